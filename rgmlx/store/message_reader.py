"""Reads messages: single ones, paths, children and siblings, whole trees.

Knows the tables of messages and of pieces, and how damage of a row is recognized; writes nothing. A reply that is being written is
in pieces, and what could not be written of it yet in memory (`database.pending`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .ancestors import ancestors
from .database.database import Database
from .errors import no_message
from .hashes import content_hash, root_hash
from .rows import Message, role_of
from .text import as_number, as_text

_SAME_PLACE = "s.parent IS m.parent AND s.conversation = m.conversation"
_BESIDE = f"SELECT count(*) FROM messages s WHERE {_SAME_PLACE}"
NUMBER_OF = f"({_BESIDE} AND s.id <= m.id), ({_BESIDE})"
"""Columns: which one a message m is, from 1, of how many with the same parent."""
_COLUMNS = (
    "m.id, m.conversation, m.parent, m.depth, m.role, m.text, m.closed, m.streaming, m.hash, m.created, "
    f"{NUMBER_OF}, m.loose, (SELECT p.hash FROM messages p WHERE p.id = m.parent), "
    "CASE WHEN m.parent IS NULL THEN (SELECT v.system FROM conversations v WHERE v.id = m.conversation) END, m.chars"
)
_UP = f"WITH RECURSIVE {ancestors('up', '?', '?')}"


class MessageReader:
    """The messages of all conversations of a store, to read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, message: int) -> Message:
        """One message. Raises StoreError: there is none."""
        found = self._read(f"SELECT {_COLUMNS} FROM messages m WHERE m.id = ?", (message,))
        if not found:
            raise no_message(message)
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
        """The end of the newest branch below a message: what to show after choosing a sibling."""
        row = self._database.row(
            "WITH RECURSIVE down (id, n) AS (SELECT ?, 0 UNION ALL "
            "SELECT (SELECT max(m.id) FROM messages m WHERE m.parent = down.id), n + 1 FROM down "
            "WHERE down.id IS NOT NULL) SELECT id FROM down WHERE id IS NOT NULL ORDER BY n DESC LIMIT 1",
            (message,),
        )
        return int(row[0])

    def newest_beginning(self, conversation: int) -> int | None:
        """The newest first message; None where there is none."""
        sql = "SELECT max(id) FROM messages WHERE conversation = ? AND parent IS NULL"
        found = self._database.row(sql, (conversation,))[0]
        return None if found is None else int(found)

    def newest(self, conversation: int) -> int:
        """The greatest number of a message of a conversation; 0 where there is none."""
        sql = "SELECT coalesce(max(id), 0) FROM messages WHERE conversation = ?"
        return int(self._database.row(sql, (conversation,))[0])

    def since(self, conversation: int, message: int) -> list[int]:
        """The messages of a conversation with a greater number, the greatest first."""
        sql = "SELECT id FROM messages WHERE conversation = ? AND id > ? ORDER BY id DESC"
        return [row[0] for row in self._database.rows(sql, (conversation, message))]

    def newest_piece(self, message: int) -> int:
        """A number that grows with each `append` to an open reply."""
        return int(self._database.row("SELECT coalesce(max(id), 0) FROM pieces WHERE message = ?", (message,))[0])

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
        with self._database.lock:  # what is pending is in a piece as soon as it is written
            rows, pending = self._database.rows(sql, (message, chars)), self._database.pending.text(message)
        if not rows:
            raise no_message(message)
        end = "".join(as_text(piece) for *_, piece in rows if piece is not None) + pending
        whole = chars is None or len(end) < chars
        start = as_text(rows[0][0]) if whole else ""
        return start + end, bool(rows[0][1]), bool(rows[0][2]), rows[0][3], whole
