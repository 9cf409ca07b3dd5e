"""Snapshots: what a model remembers after a message, kept so that nothing need be read again.

Knows the table of snapshots, and states through `delta`. A snapshot is a cache of something that can
be had again by reading: what is damaged, or of another model, or of a message that has changed since,
is not there. Which messages there are is in another file: `message_version` tells whether a snapshot is of one
of them as it is now. Each is a delta against the nearest ancestor's, or whole.

Eviction drops the least recently used. Using a snapshot uses those it is based on as well, and of
equals the later one goes first; so nothing goes before what is based on it, and no chain breaks.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import StateError
from ..griffin.state import Owner, State
from .database.database import Database
from .errors import StoreError
from .hashes import identity_key
from .states.delta import Packed, decode, encode, pack, unpack
from .states.message_version import MessageVersion, message_version
from .states.reply_snapshots import ids_from_bytes, ids_to_bytes, row_checksum

BUDGET = 2 * 10**9
MAX_LINKS = 16

# Upwards step by step: mostly the first that is looked at has one.
_UP = (
    "WITH RECURSIVE up (id, parent) AS (SELECT id, parent FROM messages WHERE id = ? UNION ALL "
    "SELECT p.id, p.parent FROM up JOIN messages p ON p.id = up.parent AND p.id < up.id LIMIT ?) "
    "SELECT m.id, m.parent, m.depth, m.chars, m.hash, m.created, m.streaming FROM up JOIN messages m ON m.id = up.id "
    "ORDER BY m.id DESC"
)
_USED = 2**24
"""Numbers of uses begin above: all take four bytes, and SQLite changes these where they are. Else it writes the row anew."""
_FIRST, _MOST = 4, 512
"""Messages that are looked at at once."""
_CHAIN = (
    "WITH RECURSIVE down (id, base) AS (SELECT id, base FROM snapshots WHERE id = ?1 UNION "
    "SELECT b.id, b.base FROM down JOIN snapshots b ON b.id = down.base) "
)
_ABOVE = "WITH RECURSIVE above (id) AS (SELECT ? UNION SELECT s.id FROM above JOIN snapshots s ON s.base = above.id) "


@dataclass(frozen=True)
class Near:
    """The closest snapshot to a message: the message it stands after, and how many come after that one."""

    message: int
    after: int


@dataclass(frozen=True)
class Snapshot:
    """A state, and token ids that it has yet to read."""

    state: State
    unread: tuple[int, ...]


@dataclass(frozen=True)
class Usage:
    """What snapshots take on the disk."""

    bytes: int
    count: int


@dataclass(frozen=True)
class _Row:
    """A row that fits: its number, its message and where that is, deltas up to a whole one."""

    id: int
    message: int
    depth: int
    links: int


class Snapshots:
    """The snapshots of a store.

    Attributes:
        budget: bytes they may take; the least recently used go first.
    """

    def __init__(self, database: Database, budget: int = BUDGET) -> None:
        self._database, self._states = database, database.states
        self.budget = budget

    # --- keeping --------------------------------------------------------------------------

    def put(self, message: int, state: State, unread: Sequence[int] = ()) -> int:
        """Keeps the state after a message, in place of an earlier one of the same model.

        Of a reply that is still being written: after all that the model has written was appended.

        Returns:
            Bytes that it takes; 0 if the budget has no room for it.

        Raises:
            StoreError: there is no such message, or the disk is full; nothing was changed.
        """
        return self._put(message, identity_key(state.owner.identity), pack(state), unread)

    def get(self, message: int, owner: Owner) -> Snapshot | None:
        """The state after exactly this message; None if it is missing, stale or damaged."""
        found = self._get(message, identity_key(owner.identity))
        if found is None:
            return None
        try:
            return Snapshot(unpack(found[0], owner), found[1])
        except StateError:
            return None

    def nearest(self, message: int, identity: Mapping[str, str]) -> Near | None:
        """The closest ancestor (or the message itself) with a snapshot for this model.

        A look at the table only: `restore` also finds out whether it can be read.

        Raises:
            StoreError: there is no such message.
        """
        depth, row = self._depth(message), self._nearest(message, identity_key(identity))
        return None if row is None else Near(row.message, depth - row.depth)

    def restore(self, message: int, owner: Owner) -> tuple[Near, Snapshot] | None:
        """The closest snapshot that can be read. Damaged ones on the way are dropped.

        Raises:
            StoreError: there is no such message.
        """
        while (near := self.nearest(message, owner.identity)) is not None:
            found = self.get(near.message, owner)
            if found is not None:
                return near, found
            # `get` drops what it can't read; where even that failed, looking again would not end.
            if self.nearest(message, owner.identity) == near:
                return None
        return None

    def forget(self, conversation: int | None = None) -> None:
        """Drops the snapshots of a conversation, or all. Raises StoreError."""
        with self._states.transaction() as c:
            c.execute("DELETE FROM snapshots WHERE ?1 IS NULL OR conversation = ?1", (conversation,))
        self._states.shrink()

    def trim(self) -> None:
        """Brings what is kept within the budget, after the budget was changed. Raises StoreError."""
        with self._states.transaction() as c:
            self._evict(c)
        self._states.shrink()

    def usage(self) -> Usage:
        """Bytes and number of all snapshots."""
        row = (
            self._states.row("SELECT coalesce(sum(size), 0), count(*) FROM snapshots") if self._states.exists else None
        )
        return Usage(0, 0) if row is None else Usage(row[0], row[1])

    # --- inside: the same without MLX -----------------------------------------------------

    def _put(self, message: int, identity: str, packed: Packed, unread: Sequence[int] = ()) -> int:
        digest, ids = packed.digest(), ids_to_bytes(unread)
        if not self._states.writable:
            return 0
        of = message_version(self._database, message)
        if of is None:
            raise StoreError(f"there is no message {message} to keep a state for: choose one of the conversation")
        based, delta = self._as_delta(message, identity, packed)
        whole = _whole(packed) if delta is None else b""
        if len(whole if delta is None else delta) + len(ids) > self.budget:  # not even written and removed again
            return 0

        def keep(c: sqlite3.Connection) -> int:
            base, data = based, whole if delta is None else delta
            links = c.execute("SELECT links + 1 FROM snapshots WHERE id = ?", (base,)).fetchone()
            if base is not None and links is None:  # evicted in the meantime, by another process
                base, data = None, _whole(packed)
            c.execute("UPDATE snapshots SET message = NULL WHERE message = ? AND identity = ?", (message, identity))
            new, size = self._insert(c, of, message, identity, base, links[0] if base else 0, digest, ids, data)
            _sweep(c)
            self._evict(c, new)
            if self._used(c) > self.budget:  # what it is based on alone is too much: begin a chain with it
                size = 0
                c.execute("DELETE FROM snapshots")
                data = _whole(packed)
                if len(data) + len(ids) <= self.budget:
                    _, size = self._insert(c, of, message, identity, None, 0, digest, ids, data)
            return size

        return self._states.write(keep)

    def _as_delta(self, message: int, identity: str, packed: Packed) -> tuple[int | None, bytes | None]:
        """The nearest ancestor's snapshot and the delta against it; (None, None) where whole is better."""
        row = self._database.row("SELECT parent FROM messages WHERE id = ?", (message,))
        while row is not None and row[0] is not None:
            near = self._nearest(row[0], identity)
            if near is None or near.links >= MAX_LINKS:
                break
            base = self._read(near.id)
            if base is not None:
                data = encode(base=base[0], packed=packed)
                return (None, None) if data is None else (near.id, data)
            if self._nearest(row[0], identity) == near:  # damaged, and can't even be dropped
                break
        return None, None

    @staticmethod
    def _insert(
        c: sqlite3.Connection,
        of: MessageVersion,
        message: int,
        identity: str,
        base: int | None,
        links: int,
        digest: bytes,
        unread: bytes,
        data: bytes,
    ) -> tuple[int, int]:
        size, check = len(data) + len(unread), row_checksum(digest, unread, data)
        used = _next(c)
        new = c.execute(
            "INSERT INTO snapshots (conversation, message, identity, base, links, chars, hash, created, digest, "
            "checksum, size, used, unread, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(of.conversation, message, identity, base, links, of.chars, of.hash, of.created),
                *(digest, check, size, used, unread, data),
            ),
        ).lastrowid
        assert new is not None
        if base is not None:
            _touch(c, base, used)
        return new, size

    def _get(self, message: int, identity: str) -> tuple[Packed, tuple[int, ...]] | None:
        row = self._nearest(message, identity, only=True)
        if row is None:
            return None
        found = self._read(row.id)
        if found is not None:
            with contextlib.suppress(StoreError):  # a full disk may still be read
                self._states.write(lambda c: _touch(c, row.id, _next(c)))
        return found

    def _read(self, snapshot: int) -> tuple[Packed, tuple[int, ...]] | None:
        """Follows a chain from its whole state. What is damaged is dropped, with all that is based on it."""
        sql = (
            f"{_CHAIN} SELECT s.id, s.base, s.digest, s.checksum, s.unread, s.data FROM down "
            "JOIN snapshots s ON s.id = down.id ORDER BY s.links"
        )
        rows = self._states.rows(sql, (snapshot,))
        packed: Packed | None = None
        number, before = snapshot, None
        try:
            if not rows or rows[-1][0] != snapshot:
                raise StateError("a chain that does not end where it should")
            for number, base, digest, check, unread, data in rows:
                if base != before or check != row_checksum(digest, unread, data):
                    raise StateError("not what was written")
                packed, before = decode(data, packed, consume=True), number
            assert packed is not None
            if packed.digest() != digest:
                raise StateError("a chain that leads elsewhere")
            return packed, ids_from_bytes(unread)
        except (StateError, ValueError, TypeError):
            self._drop(number)
            return None

    def _drop(self, snapshot: int) -> None:
        self._states.write_quietly(f"{_ABOVE} DELETE FROM snapshots WHERE id IN (SELECT id FROM above)", (snapshot,))

    def _nearest(self, message: int, identity: str, *, only: bool = False) -> _Row | None:
        """The closest row that fits its message as it is now; `only`: of the message itself."""
        at: int | None = message
        many = 1 if only else _FIRST
        while at is not None and self._states.exists:
            line = self._database.rows(_UP, (at, many))
            rows = self._of([row[0] for row in line], identity)
            for number, _, depth, chars, digest, created, streaming in line:
                if (row := rows.get(number)) is None:
                    continue
                snapshot, links, of = row
                if self._database.pending.text(number):  # the state is somewhere inside of it
                    continue
                if of[2] == created and (self._as_it_is(number) if streaming else (chars, digest, created)) == of:
                    return _Row(snapshot, number, depth, links)
            above = line[-1][1] if len(line) == many and not only else None
            at = above if above is not None and above < line[-1][0] else None
            many = min(4 * many, _MOST)
        return None

    def _of(self, messages: Sequence[int], identity: str) -> dict[int, tuple[int, int, tuple[Any, ...]]]:
        """Rows of messages: number, links, and how the message stood."""
        sql = (
            "SELECT message, id, links, chars, hash, created FROM snapshots WHERE identity = ? AND message IN "
            f"({', '.join('?' * len(messages))})"
        )
        return {row[0]: (row[1], row[2], row[3:]) for row in self._states.rows(sql, (identity, *messages))}

    def _as_it_is(self, message: int) -> tuple[Any, ...] | None:
        now = message_version(self._database, message)
        return None if now is None else (now.chars, now.hash, now.created)

    def _depth(self, message: int) -> int:
        row = self._database.row("SELECT depth FROM messages WHERE id = ?", (message,))
        if row is None:
            raise StoreError(f"there is no message {message}: choose one of the conversation")
        return int(row[0])

    @staticmethod
    def _used(c: sqlite3.Connection) -> int:
        return int(c.execute("SELECT coalesce(sum(size), 0) FROM snapshots").fetchone()[0])

    def _evict(self, c: sqlite3.Connection, protected: int | None = None) -> None:
        """Drops the least recently used until the rest fits, but not a protected one and what it is based on."""
        excess = self._used(c) - self.budget
        if excess <= 0:
            return
        keep = {row[0] for row in c.execute(f"{_CHAIN} SELECT id FROM down", (protected,))}
        gone = []
        for number, size in c.execute("SELECT id, size FROM snapshots ORDER BY used, id DESC"):
            if excess <= 0:
                break
            if number not in keep:
                gone.append((number,))
                excess -= size
        c.executemany("DELETE FROM snapshots WHERE id = ?", gone)


def _whole(packed: Packed) -> bytes:
    data = encode(packed)
    assert data is not None
    return data


def _next(c: sqlite3.Connection) -> int:
    return int(c.execute("SELECT max(coalesce(max(used), 0), ?) + 1 FROM snapshots", (_USED,)).fetchone()[0])


def _touch(c: sqlite3.Connection, snapshot: int, used: int) -> None:
    """Notes that a snapshot was used, and what it is based on. Its own row has it from the beginning: it is large."""
    c.execute(f"{_CHAIN} UPDATE snapshots SET used = ?2 WHERE id IN (SELECT id FROM down)", (snapshot, used))


def _sweep(c: sqlite3.Connection) -> None:
    """Drops replaced snapshots that nothing is based on any more."""
    sql = "DELETE FROM snapshots WHERE message IS NULL AND NOT EXISTS (SELECT 1 FROM snapshots s WHERE s.base = snapshots.id)"
    while c.execute(sql).rowcount:
        pass
