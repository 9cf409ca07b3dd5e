"""Moves states that an earlier version kept among the conversations to the file that they are in now.

Knows both tables. The format of the conversations stays the same: an earlier version makes its table again where it is
missing, so that one can go back to it.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path
from typing import Any

from ..files.connection import connect_without_wal
from ..hashes import hash_before
from ..text import as_text
from .message_version import first_pieces, partial_hash
from .state_file import StateFile

_MOVED = 2**29
"""Bytes that are moved, of those used last. Others are made again by reading: nobody waits for minutes at a start."""
_COLUMNS = (
    "conversation, message, identity, base, links, chars, hash, created, digest, checksum, size, used, unread, data"
)
_GIVE_BACK = "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);"
_log = logging.getLogger(__name__)


def move_states(conversations: sqlite3.Connection, states: StateFile) -> None:
    """Moves the table's rows, each on its own, and drops it. Cut short anywhere, it is begun again with what is left.

    No other process may open the file of conversations at the same time.

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
        conversations.executescript(_GIVE_BACK)


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
        start, before = as_text(text), hash_before(before, system)
        row[6] = partial_hash(before, role, lambda: first_pieces(c, message, start, chars))
    elif row[6] is None:
        row[1], row[6] = None, b""
    return tuple(row)


def drop_states_in_place(path: Path) -> None:
    """Takes the log into the file and drops the states that are there, on a disk without room for a log.

    Raises:
        sqlite3.Error: it can't be done.
    """
    with contextlib.closing(connect_without_wal(path)) as connection:
        if has_states(connection) and connection.execute("DELETE FROM snapshots").rowcount:
            connection.executescript(_GIVE_BACK)


def has_states(conversations: sqlite3.Connection) -> bool:
    """Whether states are kept among the conversations. Raises sqlite3.Error."""
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'snapshots'"
    return conversations.execute(sql).fetchone() is not None
