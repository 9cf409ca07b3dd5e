"""Messages: a tree in each conversation, linked to their parents and hashed by their contents.

Knows the tables of messages and of pieces. A reply that is being written grows by pieces, each
written once and never again; they become one text when it ends. Paths are walked by the database, so
that a conversation may be as long as it likes.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from .database.database import Database
from .errors import StoreError
from .hashes import NO_HASH, content_hash, identity_key, root_hash
from .rows import MODEL, USER, Message, role_of
from .states.reply_snapshots import OpenReply, ids_to_bytes, update_reply_snapshots
from .text import as_number, as_text, clean

FOLD_CHARS = 4_000_000
"""A reply longer than this stays in pieces when it ends: no step may take memory without bound."""

_SAME_PLACE = "s.parent IS m.parent AND s.conversation = m.conversation"
_BESIDE = f"SELECT count(*) FROM messages s WHERE {_SAME_PLACE}"
NUMBER_OF = f"({_BESIDE} AND s.id <= m.id), ({_BESIDE})"
"""Columns: which one a message m is, from 1, of how many with the same parent."""
_COLUMNS = (
    "m.id, m.conversation, m.parent, m.depth, m.role, m.text, m.closed, m.streaming, m.hash, m.created, "
    f"{NUMBER_OF}, m.loose, (SELECT p.hash FROM messages p WHERE p.id = m.parent), "
    "CASE WHEN m.parent IS NULL THEN (SELECT v.system FROM conversations v WHERE v.id = m.conversation) END, m.chars"
)
_UP = (
    "WITH RECURSIVE up (id, parent) AS (SELECT id, parent FROM messages WHERE id = ? UNION ALL "
    "SELECT p.id, p.parent FROM up JOIN messages p ON p.id = up.parent AND p.id < up.id LIMIT ?) "  # never in circles
)
_Result = TypeVar("_Result")


class MessageStore:
    """The messages of all conversations of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending = database.pending

    # --- reading --------------------------------------------------------------------------

    def get(self, message: int) -> Message:
        """One message. Raises StoreError: there is none."""
        found = self._read(f"SELECT {_COLUMNS} FROM messages m WHERE m.id = ?", (message,))
        if not found:
            raise _none(message)
        return found[0]

    def path(self, message: int | None) -> list[Message]:
        """All messages from the root to this one; none for None."""
        return self.window(message, -1)

    def window(self, message: int | None, count: int, *, chars: int | None = None) -> list[Message]:
        """The last `count` messages of the path to this one, for a screen. Costs as much as they do.

        Args:
            chars: of a text that is in pieces, read about so many of its last characters only.
        """
        sql = f"{_UP} SELECT {_COLUMNS} FROM up JOIN messages m ON m.id = up.id ORDER BY m.depth"
        return self._read(sql, (message, count), chars)

    def children(self, message: int) -> list[int]:
        """The messages that follow this one, in order."""
        return [
            row[0] for row in self._database.rows("SELECT id FROM messages WHERE parent = ? ORDER BY id", (message,))
        ]

    def has_children(self, message: int) -> bool:
        """Whether something follows this one."""
        return self._database.row("SELECT 1 FROM messages WHERE parent = ? LIMIT 1", (message,)) is not None

    def siblings(self, message: int) -> list[int]:
        """The messages with the same parent, this one included, in order."""
        sql = f"SELECT s.id FROM messages m JOIN messages s ON {_SAME_PLACE} WHERE m.id = ? ORDER BY s.id"
        return [row[0] for row in self._database.rows(sql, (message,))]

    def tree(self, conversation: int) -> list[Message]:
        """All messages of a conversation, parents before children."""
        return self._read(f"SELECT {_COLUMNS} FROM messages m WHERE m.conversation = ? ORDER BY m.id", (conversation,))

    def tip(self, message: int) -> int:
        """Where one gets by always taking the newest child: what to show after choosing a sibling."""
        row = self._database.row(
            "WITH RECURSIVE down (id, n) AS (SELECT ?, 0 UNION ALL "
            "SELECT (SELECT max(m.id) FROM messages m WHERE m.parent = down.id), n + 1 FROM down "
            "WHERE down.id IS NOT NULL) SELECT id FROM down WHERE id IS NOT NULL ORDER BY n DESC LIMIT 1",
            (message,),
        )
        return int(row[0])

    def path_sizes(self, message: int | None, count: int = -1) -> list[tuple[int, int]]:
        """(id, characters) of the last `count` messages of the path to this one, this one first. Reads no text.

        Of a reply that is still being written only the characters that it began with are counted.
        """
        sql = f"{_UP} SELECT m.id, m.chars FROM up JOIN messages m ON m.id = up.id ORDER BY m.depth DESC"
        return [(row[0], int(as_number(row[1]))) for row in self._database.rows(sql, (message, count))]

    def _read(self, sql: str, values: Sequence[Any], chars: int | None = None) -> list[Message]:
        # No transaction for two reads: a reply that is folded between them has its whole text in neither,
        # so that one is read again.
        found = []
        for row in self._database.rows(sql, values):
            number, conversation, parent, depth, role, text, closed, streaming, digest, created, at, of = row[:12]
            loose, before, system, size = row[12:]
            role, text, whole = role_of(role, depth), as_text(text), True
            if loose:
                text, closed, streaming, digest, whole = self._loose(number, chars)
            damaged = not isinstance(size, int)
            if whole and not streaming:
                before = root_hash(system) if parent is None else before
                # The parent's text stands in for its hash, which may be what was damaged.
                damaged |= before is not None and not any(
                    digest == content_hash(known, role, [text], closed) for known in self._hashes(before, parent)
                )
            made = Message(
                *(number, conversation, parent, depth, role, text, bool(closed), bool(streaming)),
                *(digest, as_number(created), at, of, damaged),
            )
            self._database.recent.note_message(made, whole=whole)
            found.append(made)
        return found

    def _hashes(self, stored: bytes, message: int | None) -> Iterator[bytes]:
        """The hash of a message: as it is stored, and as its text has it."""
        yield stored
        row = self._database.row(
            "SELECT m.parent, m.role, m.text, m.closed, m.loose, m.depth, p.hash, v.system FROM messages m "
            "LEFT JOIN messages p ON p.id = m.parent LEFT JOIN conversations v ON v.id = m.conversation WHERE m.id = ?",
            (message,),
        )
        if row is not None and not row[4]:
            parent, role, text, closed, _, depth, before, system = row
            before = root_hash(system) if parent is None else before
            yield content_hash(before, role_of(role, depth), [as_text(text)], closed)

    def _loose(self, message: int, chars: int | None) -> tuple[str, bool, bool, bytes, bool]:
        """Text, closed, streaming, hash of a message in pieces, as they are at one moment; whether that is all text."""
        sql = (
            "SELECT m.text, m.closed, m.streaming, m.hash, p.text FROM messages m LEFT JOIN pieces p "
            "ON p.message = m.id AND (?2 IS NULL OR p.id > coalesce((SELECT id FROM (SELECT id, "
            "sum(chars) OVER (ORDER BY id DESC) AS after FROM pieces WHERE message = ?1) "
            "WHERE after >= ?2 ORDER BY id DESC LIMIT 1) - 1, 0)) WHERE m.id = ?1 ORDER BY p.id"
        )
        with self._database.lock:  # what is owed is in a piece as soon as it is paid
            rows, pending = self._database.rows(sql, (message, chars)), self._pending.text(message)
        if not rows:
            raise _none(message)
        end = "".join(as_text(piece) for *_, piece in rows if piece is not None) + pending
        whole = chars is None or len(end) < chars
        start = as_text(rows[0][0]) if whole else ""
        return start + end, bool(rows[0][1]), bool(rows[0][2]), rows[0][3], whole

    # --- writing --------------------------------------------------------------------------

    def add_user(self, conversation: int, parent: int | None, text: str) -> Message:
        """A message of the user's after `parent` (None: the first). The conversation stands there now.

        A reply before it that is still open ends there.

        Raises:
            StoreError: there is no such conversation or parent, or the disk is full.
        """
        return self.get(self._add(conversation, parent, USER, clean(text), closed=True, streaming=False))

    def start_reply(self, conversation: int, parent: int | None, text: str = "") -> Message:
        """An open reply of the model's, to `append` to and to `finish`. The conversation stands there now.

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
            added = c.execute(
                "INSERT INTO pieces (message, chars, ids, text) SELECT id, ?, ?, ? FROM messages WHERE id = ? AND streaming",
                (len(text), known, text, message),
            )
            if not added.rowcount:
                raise StoreError(f"message {message} is not being written: start a new reply")

        self._write(add)
        self._database.recent.note_text(message, text)

    def defer(self, message: Message, text: str, ids: Sequence[int]) -> None:
        """Takes the end of an open reply that could not be appended. It counts as its text from here on, and is written
        before anything else is; where that never succeeds `Store.rescue` writes it elsewhere."""
        if text := clean(text):
            self._pending.add(message.conversation, message.id, text, ids_to_bytes(ids))

    @property
    def has_pending(self) -> bool:
        """Whether the end of a reply has yet to be written."""
        return bool(self._pending)

    def write_pending(self) -> None:
        """Writes what is owed, and ends those replies. Raises StoreError: the disk is still full."""
        with self._database.lock:
            if self._pending and not self._database.in_transaction:
                self._database.write(self.write_pending_to)
                self._pending.forget()

    def write_pending_to(self, c: sqlite3.Connection) -> None:
        """Writes what is owed into a store, be it this one. Raises sqlite3.Error."""
        self._pending.write(c, self._fold)

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
        self._write(lambda c: self._fold(c, message, closed))
        return self.window(message, 1, chars=FOLD_CHARS)[0]

    def reopen(self, message: int, identity: Mapping[str, str] | None = None) -> Message:
        """Opens a reply that was cut short, to go on with it. The conversation stands there now.

        Args:
            identity: of the model that does. Snapshots of others go: what they have yet to read is in its tokens from now
                on, which may be other words for them.

        Raises:
            StoreError: the model has ended it, or something follows it.
        """

        def begin(c: sqlite3.Connection) -> None:
            row = c.execute("SELECT conversation, role, closed, text FROM messages WHERE id = ?", (message,)).fetchone()
            if row is None:
                raise _none(message)
            follows = c.execute("SELECT 1 FROM messages WHERE parent = ? LIMIT 1", (message,)).fetchone()
            if row[1] != MODEL or row[2] or follows:
                raise StoreError(f"message {message} can't go on: only a last reply that was cut short can")
            # Of a reply that stayed in pieces these are counted again from now on.
            sql = "UPDATE messages SET streaming = 1, loose = 1, chars = ? WHERE id = ?"
            c.execute(sql, (len(as_text(row[3])), message))
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
        """Ends replies that a process left open when it died. Only for who holds the conversation.

        Returns:
            The messages that were open.
        """
        rows = self._database.rows("SELECT id FROM messages WHERE conversation = ? AND streaming", (conversation,))
        for (message,) in rows:
            self._write(lambda c, message=message: self._fold(c, message, closed=False))  # type: ignore[misc]
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
                raise StoreError(f"there is no conversation {conversation}: choose one from the list")
            if parent is None:
                before, depth = root_hash(home[0]), 0
            else:
                sql = "SELECT conversation, depth, streaming FROM messages WHERE id = ?"
                above = c.execute(sql, (parent,)).fetchone()
                if above is None or above[0] != conversation:
                    raise StoreError(f"message {parent} is not in conversation {conversation}: choose one that is")
                if above[2]:  # a child's hash needs the whole text of its parent
                    self._fold(c, parent, closed=False)
                depth = above[1] + 1
                before = c.execute("SELECT hash FROM messages WHERE id = ?", (parent,)).fetchone()[0]
            now = time.time() if created is None else created
            known = content_hash(before, role, [text], closed) if digest is None else digest
            new = c.execute(
                "INSERT INTO messages (conversation, parent, depth, role, text, chars, closed, streaming, loose, hash, "
                "created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (conversation, parent, depth, role, text, len(text), closed, streaming, streaming, known, now),
            ).lastrowid
            assert new is not None
            if created is None:
                c.execute("UPDATE conversations SET head = ?, updated = ? WHERE id = ?", (new, now, conversation))
            return new

        return self._write(add, durable=role == USER and created is None)  # before its reply begins

    def _write(self, action: Callable[[sqlite3.Connection], _Result], *, durable: bool = False) -> _Result:
        self.write_pending()
        return self._database.write(action, durable=durable)

    def _fold(self, c: sqlite3.Connection, message: int, closed: bool) -> None:
        row = c.execute(
            "SELECT m.streaming, m.created, m.role, m.text, p.hash, v.system FROM messages m "
            "JOIN conversations v ON v.id = m.conversation LEFT JOIN messages p ON p.id = m.parent WHERE m.id = ?",
            (message,),
        ).fetchone()
        if row is None:
            raise _none(message)
        streaming, created, role, start, before, system = row
        start = as_text(start)
        if not streaming:
            return
        before = root_hash(system) if before is None else before

        def pieces() -> Iterable[str]:
            yield start
            for (piece,) in c.execute("SELECT text FROM pieces WHERE message = ? ORDER BY id", (message,)):
                yield as_text(piece)

        # A reply that was reopened has pieces that are counted already, if it was too long to be one text.
        sql = "SELECT coalesce(sum(chars), 0) FROM pieces WHERE message = ?"
        chars = len(start) + c.execute(sql, (message,)).fetchone()[0]
        size = sum(len(p.encode()) for p in pieces())
        digest = content_hash(before, role, pieces(), closed, size)
        update_reply_snapshots(
            c, self._database.states, OpenReply(message, created, before, role, start), digest, closed
        )
        if loose := chars > FOLD_CHARS:
            c.execute("UPDATE messages SET chars = ? WHERE id = ?", (chars, message))
        else:
            c.execute("UPDATE messages SET chars = ?, text = ? WHERE id = ?", (chars, "".join(pieces()), message))
            c.execute("DELETE FROM pieces WHERE message = ?", (message,))
        c.execute(
            "UPDATE messages SET streaming = 0, closed = ?, loose = ?, hash = ? WHERE id = ?",
            (closed, loose, digest, message),
        )
        c.execute(
            "UPDATE conversations SET updated = ? WHERE id = (SELECT conversation FROM messages WHERE id = ?)",
            (time.time(), message),
        )


def _none(message: int) -> StoreError:
    return StoreError(f"there is no message {message}: choose one of the conversation")
