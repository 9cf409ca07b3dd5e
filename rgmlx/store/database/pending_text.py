"""Ends of replies that were delivered and could not be written: in memory, until they can be or the program ends.

Knows the tables of messages and pieces. Nobody has seen what was never delivered; what is here is on a screen.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from ..text import as_text

EndReply = Callable[[sqlite3.Connection, int, bool], None]
"""Ends a reply: its pieces become its text."""


class PendingText:
    """The ends, by the numbers of their replies, each of which is still open in the store."""

    def __init__(self) -> None:
        self._ends: dict[int, tuple[int, str, bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self._ends)

    def add(self, conversation: int, message: int, text: str, ids: bytes) -> None:
        """Notes how a reply goes on after what is in the store, and the token ids that wrote that, as they are stored."""
        self._ends[message] = conversation, text, ids

    def text(self, message: int) -> str:
        """How a reply goes on; "" for one that is in the store as a whole."""
        return self._ends[message][1] if message in self._ends else ""

    def forget(self, message: int | None = None) -> None:
        """It was written, or is wanted no longer; None: all of it."""
        if message is None:
            self._ends.clear()
        else:
            self._ends.pop(message, None)

    def conversations(self) -> set[int]:
        """Where the replies are."""
        return {conversation for conversation, _, _ in self._ends.values()}

    def write(self, c: sqlite3.Connection, end_reply: EndReply) -> None:
        """Writes all ends, and ends the replies with them; `forget` is for once that is kept.

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
                sql = "UPDATE messages SET streaming = 1, loose = 1, chars = ? WHERE id = ?"
                c.execute(sql, (len(as_text(row[0])), message))
            added = c.execute(
                "INSERT INTO pieces (message, chars, ids, text) SELECT id, ?, ?, ? FROM messages WHERE id = ? AND streaming",
                (len(text), ids, text, message),
            )
            if added.rowcount:
                end_reply(c, message, False)
