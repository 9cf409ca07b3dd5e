"""Snapshots: the model's state after a message, kept so that no text has to be read again.

Knows which snapshot belongs to which message, and states through `delta`; the table is in `states.snapshot_table`. A
snapshot is a cache: one that is damaged, of another model, or of a message that has changed since, counts as missing.
Messages are in another file: `message_version` tells whether a snapshot is of one of them as it is now. Each is a delta
against the nearest ancestor's, or whole.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import StateError
from ..griffin.state import Owner, State
from .ancestors import ancestors
from .database.database import Database
from .errors import StoreError, no_message
from .hashes import identity_key
from .states.delta import Packed, decode, encode, pack, unpack
from .states.message_version import message_version
from .states.reply_snapshots import ids_from_bytes, ids_to_bytes
from .states.snapshot_table import (
    CHAIN,
    DEPENDENTS,
    SnapshotRow,
    drop_replaced,
    evict,
    insert_snapshot,
    note_use,
    row_checksum,
    used_bytes,
)

MAX_LINKS = 16
_log = logging.getLogger(__name__)

# Upwards step by step: mostly the first that is looked at has one.
_UP = (
    f"WITH RECURSIVE {ancestors('up', '?', '?')} "
    "SELECT m.id, m.parent, m.depth, m.chars, m.hash, m.created, m.streaming FROM up JOIN messages m ON m.id = up.id "
    "ORDER BY m.id DESC"
)
_FIRST, _MOST = 4, 512
"""Messages that are looked at at once."""


@dataclass(frozen=True)
class Near:
    """The closest snapshot to a message: the message that it is of, and how many come after that one."""

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


class SnapshotStore:
    """The snapshots of a store.

    Attributes:
        budget: bytes they may take; the least recently used go first.
    """

    def __init__(self, database: Database, budget: int) -> None:
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
        size = self._put(message, identity_key(state.owner.identity), pack(state), unread)
        _log.debug("the state after message %d is kept: %d bytes", message, size)
        return size

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
            row = SnapshotRow(of, message, identity, base, links[0] if base else 0, digest, ids, data)
            new = insert_snapshot(c, row)
            drop_replaced(c)
            evict(c, self.budget, protected=new)
            if used_bytes(c) > self.budget:  # what it is based on alone is too much: begin a chain with it
                c.execute("DELETE FROM snapshots")
                row = SnapshotRow(of, message, identity, None, 0, digest, ids, _whole(packed))
                if row.size > self.budget:
                    return 0
                insert_snapshot(c, row)
            return row.size

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

    def _get(self, message: int, identity: str) -> tuple[Packed, tuple[int, ...]] | None:
        row = self._nearest(message, identity, only=True)
        if row is None:
            return None
        found = self._read(row.id)
        if found is not None:
            with contextlib.suppress(StoreError):  # a full disk may still be read
                self._states.write(lambda c: note_use(c, row.id))
        return found

    def _read(self, snapshot: int) -> tuple[Packed, tuple[int, ...]] | None:
        """Reads a chain from its whole state. A damaged one is dropped, with all that is based on it."""
        sql = (
            f"{CHAIN} SELECT s.id, s.base, s.digest, s.checksum, s.unread, s.data FROM down "
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
        self._states.write_quietly(
            f"{DEPENDENTS} DELETE FROM snapshots WHERE id IN (SELECT id FROM above)", (snapshot,)
        )

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
                if of[2] == created and (self._current(number) if streaming else (chars, digest, created)) == of:
                    return _Row(snapshot, number, depth, links)
            above = line[-1][1] if len(line) == many and not only else None
            at = above if above is not None and above < line[-1][0] else None
            many = min(4 * many, _MOST)
        return None

    def _of(self, messages: Sequence[int], identity: str) -> dict[int, tuple[int, int, tuple[Any, ...]]]:
        """Rows of messages: number, links, and the version of the message."""
        sql = (
            "SELECT message, id, links, chars, hash, created FROM snapshots WHERE identity = ? AND message IN "
            f"({', '.join('?' * len(messages))})"
        )
        return {row[0]: (row[1], row[2], row[3:]) for row in self._states.rows(sql, (identity, *messages))}

    def _current(self, message: int) -> tuple[Any, ...] | None:
        now = message_version(self._database, message)
        return None if now is None else (now.chars, now.hash, now.created)

    def _depth(self, message: int) -> int:
        row = self._database.row("SELECT depth FROM messages WHERE id = ?", (message,))
        if row is None:
            raise no_message(message)
        return int(row[0])


def _whole(packed: Packed) -> bytes:
    data = encode(packed)
    assert data is not None
    return data
