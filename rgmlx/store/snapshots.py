"""Snapshots: what a model remembers after a message, kept so that nothing need be read again.

Knows the table of snapshots, and states through `delta`. A snapshot is a cache of something that can
be had again by reading: what is damaged, or of another model, or of a message that has changed since,
is not there. Each is a delta against the nearest ancestor's, or whole.

Eviction drops the least recently used. Using a snapshot uses those it is based on as well, and of
equals the later one goes first; so nothing goes before what is based on it, and no chain breaks.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from ..errors import StateError
from ..state import Owner, State
from .carry import checksum, from_bytes, to_bytes
from .database import Database, damaged
from .delta import Packed, decode, encode, pack, unpack
from .errors import StoreError

BUDGET = 2 * 10**9
MAX_LINKS = 16
_IDENTITY = ("weights", "quantization", "tokenizer", "dtype")

_LENGTH = (
    "CASE WHEN m.streaming THEN m.chars + (SELECT coalesce(sum(p.chars), 0) FROM pieces p WHERE p.message = m.id) "
    "ELSE m.chars END"
)
# A reply only grows, so at the same length it is the same; a finished message has a hash for it.
_FITS = f"s.chars = ({_LENGTH}) AND (s.hash IS NULL OR (NOT m.streaming AND s.hash = m.hash))"
_NEAREST = (
    "WITH RECURSIVE up (id, parent) AS (SELECT id, parent FROM messages WHERE id = ? UNION ALL "
    "SELECT p.id, p.parent FROM up JOIN messages p ON p.id = up.parent AND p.id < up.id) "
    # CROSS keeps the order of the loops: upwards step by step, and no further than to the first.
    "SELECT s.id, s.message, m.depth, s.links FROM up CROSS JOIN snapshots s ON s.message = up.id AND s.identity = ? "
    f"CROSS JOIN messages m ON m.id = up.id WHERE {_FITS} LIMIT 1"
)
_CHAIN = (
    "WITH RECURSIVE down (id, base) AS (SELECT id, base FROM snapshots WHERE id = ? UNION "
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


class Snapshots:
    """The snapshots of a store.

    Attributes:
        budget: bytes they may take; the least recently used go first.
    """

    def __init__(self, database: Database, budget: int = BUDGET) -> None:
        self._database = database
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
        return self._put(message, key(state.owner.identity), pack(state), unread)

    def get(self, message: int, owner: Owner) -> Snapshot | None:
        """The state after exactly this message; None if it is missing, stale or damaged."""
        found = self._get(message, key(owner.identity))
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
        depth, row = self._depth(message), self._nearest(message, key(identity))
        return None if row is None else Near(row[1], depth - row[2])

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
        with self._database.transaction() as c:
            c.execute("DELETE FROM snapshots WHERE ?1 IS NULL OR conversation = ?1", (conversation,))
        self._database.shrink()

    def trim(self) -> None:
        """Brings what is kept within the budget, after the budget was changed. Raises StoreError."""
        with self._database.transaction() as c:
            self._evict(c)
        self._database.shrink()

    def usage(self) -> Usage:
        """Bytes and number of all snapshots. Raises StoreError."""
        row = self._database.row("SELECT coalesce(sum(size), 0), count(*) FROM snapshots")
        return Usage(row[0], row[1])

    # --- inside: the same without MLX -----------------------------------------------------

    def _put(self, message: int, identity: str, packed: Packed, unread: Sequence[int] = ()) -> int:
        digest, ids = packed.digest(), to_bytes(unread)
        base, data = self._as_delta(message, identity, packed)
        if data is None:
            data = _whole(packed)
        with self._database.transaction() as c:
            sql = f"SELECT conversation, {_LENGTH}, CASE WHEN streaming THEN NULL ELSE hash END FROM messages m WHERE id = ?"
            row = c.execute(sql, (message,)).fetchone()
            if row is None:
                raise StoreError(f"there is no message {message} to keep a state for: choose one of the conversation")
            links = c.execute("SELECT links + 1 FROM snapshots WHERE id = ?", (base,)).fetchone()
            if base is not None and links is None:  # evicted in the meantime, by another process
                base, data = None, _whole(packed)
            c.execute("UPDATE snapshots SET message = NULL WHERE message = ? AND identity = ?", (message, identity))
            new, size = self._insert(c, row, message, identity, base, links[0] if base else 0, digest, ids, data)
            _sweep(c)
            self._evict(c, new)
            if self._used(c) > self.budget:  # what it is based on alone is too much: begin a chain with it
                size = 0
                c.execute("DELETE FROM snapshots")
                data = _whole(packed)
                if len(data) + len(ids) <= self.budget:
                    _, size = self._insert(c, row, message, identity, None, 0, digest, ids, data)
        return size

    def _as_delta(self, message: int, identity: str, packed: Packed) -> tuple[int | None, bytes | None]:
        """The nearest ancestor's snapshot and the delta against it; (None, None) where whole is better."""
        row = self._database.row("SELECT parent FROM messages WHERE id = ?", (message,))
        while row is not None and row[0] is not None:
            near = self._nearest(row[0], identity)
            if near is None or near[3] >= MAX_LINKS:
                break
            base = self._read(near[0])
            if base is not None:
                data = encode(base=base[0], packed=packed)
                return (None, None) if data is None else (near[0], data)
            if self._nearest(row[0], identity) == near:  # damaged, and can't even be dropped
                break
        return None, None

    @staticmethod
    def _insert(
        c: sqlite3.Connection,
        row: tuple[int, int, bytes | None],
        message: int,
        identity: str,
        base: int | None,
        links: int,
        digest: bytes,
        unread: bytes,
        data: bytes,
    ) -> tuple[int, int]:
        conversation, chars, message_hash = row
        size, check = len(data) + len(unread), checksum(digest, unread, data)
        new = c.execute(
            "INSERT INTO snapshots (conversation, message, identity, base, links, chars, hash, digest, checksum, size, "
            "used, unread, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
            (conversation, message, identity, base, links, chars, message_hash, digest, check, size, unread, data),
        ).lastrowid
        assert new is not None
        _touch(c, new)
        return new, size

    def _get(self, message: int, identity: str) -> tuple[Packed, tuple[int, ...]] | None:
        sql = (
            "SELECT s.id FROM snapshots s JOIN messages m ON m.id = s.message "
            f"WHERE s.message = ? AND s.identity = ? AND {_FITS}"
        )
        row = self._look(sql, (message, identity))
        if row is None:
            return None
        found = self._read(row[0])
        if found is not None:
            with contextlib.suppress(StoreError), self._database.transaction() as c:  # a full disk may still be read
                _touch(c, row[0])
        return found

    def _read(self, snapshot: int) -> tuple[Packed, tuple[int, ...]] | None:
        """Follows a chain from its whole state. What is damaged is dropped, with all that is based on it."""
        sql = (
            f"{_CHAIN} SELECT s.id, s.base, s.digest, s.checksum, s.unread, s.data FROM down "
            "JOIN snapshots s ON s.id = down.id ORDER BY s.links"
        )
        try:
            rows = self._database.rows(sql, (snapshot,))
        except StoreError as e:
            if not damaged(e.__cause__):
                raise
            self._drop(snapshot)
            return None
        packed: Packed | None = None
        number, before = snapshot, None
        try:
            if not rows or rows[-1][0] != snapshot:
                raise StateError("a chain that does not end where it should")
            for number, base, digest, check, unread, data in rows:
                if base != before or check != checksum(digest, unread, data):
                    raise StateError("not what was written")
                packed, before = decode(data, packed, consume=True), number
            assert packed is not None
            if packed.digest() != digest:
                raise StateError("a chain that leads elsewhere")
            return packed, from_bytes(unread)
        except (StateError, ValueError, TypeError):
            self._drop(number)
            return None

    def _drop(self, snapshot: int) -> None:
        with contextlib.suppress(StoreError), self._database.transaction() as c:
            c.execute(f"{_ABOVE} DELETE FROM snapshots WHERE id IN (SELECT id FROM above)", (snapshot,))

    def _nearest(self, message: int, identity: str) -> Any:
        return self._look(_NEAREST, (message, identity))

    def _look(self, sql: str, values: tuple[Any, ...]) -> Any:
        """A row, or None; of a damaged table as well: what can't be found is missing."""
        try:
            return self._database.row(sql, values)
        except StoreError as e:
            if not damaged(e.__cause__):
                raise
            return None

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


def key(identity: Mapping[str, str]) -> str:
    """One word for a model's identity: its weights, quantization, tokenizer and dtype."""
    text = json.dumps([identity[what] for what in _IDENTITY])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _whole(packed: Packed) -> bytes:
    data = encode(packed)
    assert data is not None
    return data


def _touch(c: sqlite3.Connection, snapshot: int) -> None:
    c.execute(
        f"{_CHAIN} UPDATE snapshots SET used = (SELECT max(used) + 1 FROM snapshots) WHERE id IN (SELECT id FROM down)",
        (snapshot,),
    )


def _sweep(c: sqlite3.Connection) -> None:
    """Drops replaced snapshots that nothing is based on any more."""
    sql = "DELETE FROM snapshots WHERE message IS NULL AND NOT EXISTS (SELECT 1 FROM snapshots s WHERE s.base = snapshots.id)"
    while c.execute(sql).rowcount:
        pass
