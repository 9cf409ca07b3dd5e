"""Messages: a tree in each conversation, linked to their parents and hashed by their contents.

Knows how messages are written; how they are read is in `message_reader`, how a reply ends in `reply_end`. A reply that is
being written grows by pieces, each written once and never again; they become one text when it ends.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from . import reply_end
from .database.database import Database
from .errors import StoreError, no_conversation, no_message, not_in_conversation
from .hashes import NO_HASH, content_hash, identity_key, root_hash
from .message_reader import MessageReader
from .rows import MODEL, USER, Message
from .states.reply_snapshots import ids_to_bytes
from .table_rows import MessageRow, append_piece, insert_message, reopen_message
from .text import clean

_Result = TypeVar("_Result")


class MessageStore(MessageReader):
    """The messages of all conversations of a store."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._pending = database.pending

    def add_user(self, conversation: int, parent: int | None, text: str) -> Message:
        """A message of the user's after `parent` (None: the first). It becomes the conversation's head.

        A reply before it that is still open ends there.

        Raises:
            StoreError: there is no such conversation or parent, or the disk is full.
        """
        return self.get(self._add(conversation, parent, USER, clean(text), closed=True, streaming=False))

    def start_reply(self, conversation: int, parent: int | None, text: str = "") -> Message:
        """An open reply of the model's, to `append` to and to `finish`. It becomes the conversation's head.

        Raises:
            StoreError: there is no such conversation or parent, or the disk is full.
        """
        return self.get(self._add(conversation, parent, MODEL, clean(text), closed=False, streaming=True))

    def append(self, message: int, text: str, ids: Sequence[int] | None = None) -> None:
        """Adds to an open reply. Writes this text and no more; it is on the disk when this returns.

        Args:
            ids: the token ids that wrote it (and those before that wrote nothing). If the process dies, a snapshot
                of the reply from before is still of use: the ids since then are what it has yet to read.

        Raises:
            StoreError: the reply has ended, or the disk is full.
        """
        text = clean(text)
        if not text:
            return
        known = None if ids is None else ids_to_bytes(ids)

        def add(c: sqlite3.Connection) -> None:
            if not append_piece(c, message, text, known):
                raise StoreError(f"message {message} is not being written: start a new reply")

        self._write(add)
        self._database.recent.note_text(message, text)

    def defer(self, message: Message, text: str, ids: Sequence[int]) -> None:
        """Keeps the end of an open reply, which could not be appended, in memory. It counts as its text from here on, and is
        written before anything else is; where that never succeeds `Store.rescue` writes it elsewhere."""
        if text := clean(text):
            self._pending.add(message.conversation, message.id, text, ids_to_bytes(ids))

    @property
    def has_pending(self) -> bool:
        """Whether the end of a reply has yet to be written."""
        return bool(self._pending)

    def write_pending(self) -> None:
        """Writes what `defer` has kept, and ends those replies. Raises StoreError: the disk is still full."""
        with self._database.lock:
            if self._pending and not self._database.in_transaction:
                self._database.write(self.write_pending_to)
                self._pending.forget()

    def write_pending_to(self, c: sqlite3.Connection) -> None:
        """Writes that into a store, be it this one. Raises sqlite3.Error."""
        self._pending.write(c, self._end)

    def pending_conversations(self) -> set[int]:
        """The conversations of replies whose end can't be written."""
        with contextlib.suppress(StoreError):
            self.write_pending()
        return self._pending.conversations() if self._pending else set()

    def finish(self, message: int, *, closed: bool) -> Message:
        """Ends a reply: `closed` if the model ended it, not if it was cut short. Twice is fine.

        Returns:
            The message; of a reply that stays in pieces, with the end of its text only.

        Raises:
            StoreError: there is no such message, or the disk is full.
        """
        self._write(lambda c: self._end(c, message, closed))
        return self.window(message, 1, chars=reply_end.FOLD_CHARS)[0]

    def reopen(self, message: int, identity: Mapping[str, str] | None = None) -> Message:
        """Opens a reply that was cut short, to go on with it. It becomes the conversation's head.

        Args:
            identity: of the model that does. Snapshots of others go: what they have yet to read is in its tokens from now
                on, which may be other words for them.

        Raises:
            StoreError: the model has ended it, or something follows it.
        """

        def begin(c: sqlite3.Connection) -> None:
            row = c.execute("SELECT conversation, role, closed, text FROM messages WHERE id = ?", (message,)).fetchone()
            if row is None:
                raise no_message(message)
            follows = c.execute("SELECT 1 FROM messages WHERE parent = ? LIMIT 1", (message,)).fetchone()
            if row[1] != MODEL or row[2] or follows:
                raise StoreError(f"message {message} can't go on: only a last reply that was cut short can")
            reopen_message(c, message, row[3])
            c.execute("UPDATE conversations SET head = ?, updated = ? WHERE id = ?", (message, time.time(), row[0]))

        others = "UPDATE snapshots SET message = NULL WHERE message = ? AND identity IS NOT ?"
        self._database.states.write_quietly(others, (message, None if identity is None else identity_key(identity)))
        self._write(begin)
        return self.get(message)

    def discard(self, message: int) -> None:
        """Removes a message that nothing follows, such as a reply stopped before its first word.

        Raises:
            StoreError: something follows it.
        """
        with self._database.transaction() as c:
            if c.execute("SELECT 1 FROM messages WHERE parent = ? LIMIT 1", (message,)).fetchone():
                raise StoreError(f"message {message} has others after it: go back to before it instead")
            c.execute(
                "UPDATE conversations SET head = (SELECT parent FROM messages WHERE id = ?1) WHERE head = ?1",
                (message,),
            )
            c.execute("DELETE FROM messages WHERE id = ?", (message,))
        self._database.states.write_quietly("UPDATE snapshots SET message = NULL WHERE message = ?", (message,))
        self._pending.forget(message)
        self._database.recent.forget(message)

    def end_open_replies(self, conversation: int) -> list[int]:
        """Ends replies that a process left open when it died. Only for who has its lock.

        Returns:
            The messages that were open.
        """
        rows = self._database.rows("SELECT id FROM messages WHERE conversation = ? AND streaming", (conversation,))
        for (message,) in rows:
            self._write(lambda c, message=message: self._end(c, message, closed=False))  # type: ignore[misc]
        return [message for (message,) in rows]

    def add_finished(
        self,
        conversation: int,
        parent: int | None,
        role: str,
        text: str,
        *,
        closed: bool,
        created: float,
        damaged: bool = False,
    ) -> int:
        """A finished message from elsewhere, with its own time. The conversation's time stays.

        Args:
            damaged: the text is not what was written, and stays marked so.
        """
        return self._add(
            conversation,
            parent,
            role,
            clean(text),
            closed=closed,
            streaming=False,
            created=created,
            digest=NO_HASH if damaged else None,
        )

    def _add(
        self,
        conversation: int,
        parent: int | None,
        role: str,
        text: str,
        *,
        closed: bool,
        streaming: bool,
        created: float | None = None,
        digest: bytes | None = None,
    ) -> int:
        def add(c: sqlite3.Connection) -> int:
            home = c.execute("SELECT system FROM conversations WHERE id = ?", (conversation,)).fetchone()
            if home is None:
                raise no_conversation(conversation)
            if parent is None:
                before, depth = root_hash(home[0]), 0
            else:
                sql = "SELECT conversation, depth, streaming FROM messages WHERE id = ?"
                above = c.execute(sql, (parent,)).fetchone()
                if above is None or above[0] != conversation:
                    raise not_in_conversation(parent, conversation)
                if above[2]:  # a child's hash needs the whole text of its parent
                    self._end(c, parent, closed=False)
                depth = above[1] + 1
                before = c.execute("SELECT hash FROM messages WHERE id = ?", (parent,)).fetchone()[0]
            now = time.time() if created is None else created
            known = content_hash(before, role, [text], closed) if digest is None else digest
            chars = len(text)
            row = MessageRow(conversation, parent, depth, role, text, chars, closed, streaming, streaming, known, now)
            new = insert_message(c, row)
            if created is None:
                c.execute("UPDATE conversations SET head = ?, updated = ? WHERE id = ?", (new, now, conversation))
            return new

        return self._write(add, durable=role == USER and created is None)  # before its reply begins

    def _write(self, action: Callable[[sqlite3.Connection], _Result], *, durable: bool = False) -> _Result:
        self.write_pending()
        return self._database.write(action, durable=durable)

    def _end(self, c: sqlite3.Connection, message: int, closed: bool) -> None:
        reply_end.end_reply(c, self._database.states, message, closed)
