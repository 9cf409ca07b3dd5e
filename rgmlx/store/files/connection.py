"""Connections to SQLite files as this store uses them: write-ahead log, few pages in memory, no trace of deleted rows.

Knows pragmas; knows no tables.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from ..text import decoded

PATIENCE = 15.0
"""Seconds to wait for another process's write."""
CACHE = "PRAGMA cache_size = -500"
"""Kilobytes of pages in memory; the system has the rest of the file."""
_FREE_PAGES = 4096  # free pages in the file, above which it is made smaller


def connect_with_wal(path: Path, synchronous: str, *, new: bool = False) -> sqlite3.Connection:
    """Opens a file with a write-ahead log.

    Args:
        synchronous: "FULL": what was committed survives a power cut; "NORMAL": the last transactions may not.
        new: the file is empty: free pages can be given back one by one (`shrink`), which can't be chosen later.

    Raises:
        sqlite3.Error, UnicodeDecodeError: it can't be opened.
    """
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        connection.text_factory = decoded  # one bad byte must not hide all the others
        if new:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        # macOS: what goes from the log into the file is on the disk before the log is written anew, and not merely in
        # the memory of the disk. Elsewhere fsync alone does that.
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute(CACHE)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_without_wal(path: Path) -> sqlite3.Connection:
    """Opens the file for this connection alone, for a disk without room for a log.

    A crash in the middle of a write can damage the file: it is used to read and to delete.

    Raises:
        sqlite3.Error: another program has it open, or it can't be opened.
    """
    connection = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
    try:
        connection.text_factory = decoded
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # no index in a file of its own
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def rollback(connection: sqlite3.Connection) -> None:
    """Undoes an open transaction. Never raises."""
    with contextlib.suppress(sqlite3.Error):  # a failed write may have rolled back by itself, or the file be closed
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def checkpoint(connection: sqlite3.Connection) -> None:
    """Takes the log into the file, and empties it. Raises sqlite3.Error."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def shrink(connection: sqlite3.Connection, *, any_size: bool = False) -> None:
    """Gives pages of deleted rows back to the disk, if there are many. Raises sqlite3.Error.

    Args:
        any_size: however few there are.
    """
    if connection.in_transaction:
        return
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    if free > _FREE_PAGES or any_size:
        # A page a step and no columns: `execute` would do the first step only.
        connection.executescript("PRAGMA incremental_vacuum;")
