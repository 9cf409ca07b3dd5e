"""States that an earlier version kept among the conversations: moved to the file that they are in now.

Knows both tables. The conversations stay of the same version: an earlier one makes its table again where it is missing, so
that it can be gone back to.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from typing import Any

from ..hashes import root_hash
from ..text import as_text
from .message_version import first_pieces, partial_hash
from .states import StateDatabase

_MOVED = 2**29
"""Bytes that are moved, of those used last. Others are had again by reading: nobody waits for minutes at a start."""
_COLUMNS = (
    "conversation, message, identity, base, links, chars, hash, created, digest, checksum, size, used, unread, data"
)
_log = logging.getLogger(__name__)


def move_states(conversations: sqlite3.Connection, states: StateDatabase) -> None:
    """Moves the table's rows, each on its own, and drops it. Cut short anywhere, it is begun again with what is left.

    The caller sees to it that no other process opens the file of conversations at the same time.

    Raises:
        sqlite3.Error: the table can't be dropped: there is no room, or the file is damaged.
    """
    here = states.open_for(conversations)
    if here is not None:
        with contextlib.closing(here):
            try:
                _move(conversations, here)
            except (
                sqlite3.Error,
                UnicodeDecodeError,
                TypeError,
                ValueError,
            ) as e:  # of the table, it is met right below
                _log.info("states are not taken to %s: %s", states.path, e)
    conversations.execute("PRAGMA foreign_keys = OFF")  # or each row would be looked at
    conversations.execute("DROP TABLE snapshots")
    conversations.execute("PRAGMA foreign_keys = ON")
    with contextlib.suppress(sqlite3.Error):
        conversations.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")


def _move(conversations: sqlite3.Connection, states: sqlite3.Connection) -> None:
    chosen, left = list[int](), _MOVED
    for number, size in conversations.execute("SELECT id, size FROM snapshots ORDER BY used DESC, id"):
        left -= size
        if left < 0:
            break
        chosen.append(number)
    numbers: dict[int, int] = {}  # there, by those here
    for number in sorted(chosen):  # what others are based on comes first
        row = _row(conversations, number, numbers)
        if row is not None:
            sql = f"INSERT OR IGNORE INTO snapshots ({_COLUMNS}) VALUES ({', '.join('?' * len(row))})"
            if states.execute(sql, row).rowcount:
                numbers[number] = states.execute("SELECT last_insert_rowid()").fetchone()[0]
            else:  # it was moved before
                sql = "SELECT id FROM snapshots WHERE message = ? AND identity = ? AND digest = ?"
                numbers.update((number, there) for (there,) in states.execute(sql, (row[1], row[2], row[8])))


def _row(c: sqlite3.Connection, number: int, numbers: dict[int, int]) -> tuple[Any, ...] | None:
    """A row as it is kept now; None where it is of no use."""
    old = c.execute(
        "SELECT s.conversation, s.message, s.identity, s.base, s.links, s.chars, s.hash, m.created, s.digest, s.checksum, "
        "s.size, s.used, s.unread, s.data, m.streaming, m.role, m.text, p.hash, v.system FROM snapshots s "
        "LEFT JOIN messages m ON m.id = s.message LEFT JOIN messages p ON p.id = m.parent "
        "LEFT JOIN conversations v ON v.id = m.conversation WHERE s.id = ?",
        (number,),
    ).fetchone()
    if old is None:
        return None
    (*row, streaming, role, text, before, system) = old
    base, message, chars = row[3], row[1], row[5]
    if base is not None:
        if base not in numbers:
            return None
        row[3] = numbers[base]
    if row[7] is None:  # replaced, or of no message that is there
        row[1], row[6], row[7] = None, row[6] or b"", 0.0
    elif row[6] is None and streaming:
        start, before = as_text(text), root_hash(system) if before is None else before
        row[6] = partial_hash(before, role, lambda: first_pieces(c, message, start, chars))
    elif row[6] is None:
        row[1], row[6] = None, b""
    return tuple(row)
