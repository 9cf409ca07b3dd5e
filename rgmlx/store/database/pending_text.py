"""Ends of replies that were delivered and could not be written: in memory, until they can be or the program ends.

Knows the tables of messages and pieces. What is here was shown to the user, so that it must not get lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from ..table_rows import append_piece, reopen_message

EndReply = Callable[[sqlite3.Connection, int, bool], None]
"""Ends a reply: its pieces become its text."""


class PendingText:
    """The ends by message. Each of the replies is still open in the store."""

    def __init__(self) -> None:
        self._ends: dict[int, tuple[int, str, bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self._ends)

    def add(self, conversation: int, message: int, text: str, ids: bytes) -> None:
        """Notes the text of a reply after what is in the store, and the token ids that wrote it, as bytes."""
        self._ends[message] = conversation, text, ids

    def text(self, message: int) -> str:
        """The text of a reply after what is in the store; "" where all of it is there."""
        return self._ends[message][1] if message in self._ends else ""

    def forget(self, message: int | None = None) -> None:
        """Drops the end of a reply, which was written or is not wanted; None: all ends."""
        if message is None:
            self._ends.clear()
        else:
            self._ends.pop(message, None)

    def conversations(self) -> set[int]:
        """The conversations of the replies."""
        return {conversation for conversation, _, _ in self._ends.values()}

    def write(self, c: sqlite3.Connection, end_reply: EndReply) -> None:
        """Writes all ends, and ends the replies with them; call `forget` once that is committed.

        Of one that is not there any more, or that others follow by now, nothing is written.

        Raises:
            sqlite3.Error: the disk is still full.
        """
        for message, (_, text, ids) in self._ends.items():
            open_again = (
                "SELECT text FROM messages WHERE id = ?1 AND NOT streaming AND NOT closed "
                "AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.parent = ?1)"
            )
            if (row := c.execute(open_again, (message,)).fetchone()) is not None:  # another program has ended it
                reopen_message(c, message, row[0])
            if append_piece(c, message, text, ids):
                end_reply(c, message, False)
