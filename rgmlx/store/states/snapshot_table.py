"""The table of snapshots: rows that are based on one another, and which of them go when there are too many.

Knows columns and sizes; does not know what is in a row's data. A row is a delta of the one it is based on, or whole; a chain is
a row with all those below it.

Eviction drops the least recently used. Using a snapshot uses those it is based on as well, and of
equals the later one goes first; so nothing goes before what is based on it, and no chain breaks.
"""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from hashlib import blake2b

from .message_version import MessageVersion

_log = logging.getLogger(__name__)

CHAIN = (
    "WITH RECURSIVE down (id, base) AS (SELECT id, base FROM snapshots WHERE id = ?1 UNION "
    "SELECT b.id, b.base FROM down JOIN snapshots b ON b.id = down.base) "
)
"""The table `down`: a snapshot and those it is based on."""
DEPENDENTS = (
    "WITH RECURSIVE above (id) AS (SELECT ? UNION SELECT s.id FROM above JOIN snapshots s ON s.base = above.id) "
)
"""The table `above`: a snapshot and those that are based on it."""
_USED = 2**24
"""Numbers of uses begin above: all take four bytes, and SQLite changes these where they are. Else it writes the row anew."""


@dataclass(frozen=True)
class SnapshotRow:
    """A new row.

    Attributes:
        of: the message as it is now.
        base: the row that the data is a delta of; None for a whole state.
        links: deltas up to a whole one.
        digest: of the whole state.
        unread: token ids that the state has yet to read, as bytes.
    """

    of: MessageVersion
    message: int
    identity: str
    base: int | None
    links: int
    digest: bytes
    unread: bytes
    data: bytes

    @property
    def size(self) -> int:
        """Bytes that count against the budget."""
        return len(self.data) + len(self.unread)


def row_checksum(digest: bytes, unread: bytes, data: bytes) -> bytes:
    """What tells that a row is as it was written."""
    h = blake2b(digest + len(unread).to_bytes(8, "little") + unread, digest_size=16)
    h.update(data)
    return h.digest()


def insert_snapshot(c: sqlite3.Connection, row: SnapshotRow) -> int:
    """Adds a row, which is used now. Returns its number."""
    used = _next_use(c)
    new = c.execute(
        "INSERT INTO snapshots (conversation, message, identity, base, links, chars, hash, created, digest, "
        "checksum, size, used, unread, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(row.of.conversation, row.message, row.identity, row.base, row.links),
            *(row.of.chars, row.of.hash, row.of.created, row.digest),
            *(row_checksum(row.digest, row.unread, row.data), row.size, used, row.unread, row.data),
        ),
    ).lastrowid
    assert new is not None
    if row.base is not None:  # its own row has it from the beginning: it is large
        _set_use(c, row.base, used)
    return new


def note_use(c: sqlite3.Connection, snapshot: int) -> None:
    """Notes that a snapshot was used, and what it is based on."""
    _set_use(c, snapshot, _next_use(c))


def drop_replaced(c: sqlite3.Connection) -> None:
    """Drops replaced snapshots that nothing is based on any more."""
    sql = "DELETE FROM snapshots WHERE message IS NULL AND NOT EXISTS (SELECT 1 FROM snapshots s WHERE s.base = snapshots.id)"
    while c.execute(sql).rowcount:
        pass


def used_bytes(c: sqlite3.Connection) -> int:
    """Bytes of all snapshots."""
    return int(c.execute("SELECT coalesce(sum(size), 0) FROM snapshots").fetchone()[0])


def evict(c: sqlite3.Connection, budget: int, *, protected: int) -> None:
    """Drops the least recently used until the rest fits the budget, but not a protected one and what it is based on."""
    excess = used_bytes(c) - budget
    if excess <= 0:
        return
    keep = {row[0] for row in c.execute(f"{CHAIN} SELECT id FROM down", (protected,))}
    gone = []
    for number, size in c.execute("SELECT id, size FROM snapshots ORDER BY used, id DESC"):
        if excess <= 0:
            break
        if number not in keep:
            gone.append((number,))
            excess -= size
    c.executemany("DELETE FROM snapshots WHERE id = ?", gone)
    _log.debug("%d states give way to a budget of %d bytes", len(gone), budget)


def _next_use(c: sqlite3.Connection) -> int:
    return int(c.execute("SELECT max(coalesce(max(used), 0), ?) + 1 FROM snapshots", (_USED,)).fetchone()[0])


def _set_use(c: sqlite3.Connection, snapshot: int, used: int) -> None:
    c.execute(f"{CHAIN} UPDATE snapshots SET used = ?2 WHERE id IN (SELECT id FROM down)", (snapshot, used))
