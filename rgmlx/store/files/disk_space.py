"""Room on a full disk: snapshots, which are a cache, give way to text.

Knows SQLite's journals. A log needs room of its own, also to delete: a small file keeps that free. Where there is none,
the file is changed in place with a journal in memory. A crash in the middle of that can damage the file, so that it is used
to delete and for nothing else.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from ...system.disk import is_out_of_space
from ...system.private_files import opener

_RESERVED = 4 * 2**20  # bytes: what a log has before it goes into the file, which grows by as much
_PAGES, _FILES = 64 * 1024, 4  # bytes and files: fewer don't do for a file with a log and its index
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


def may_be_out_of_space(error: BaseException) -> bool:
    """Whether room is what an error may be about. SQLite is not clear there: no room for its index is an I/O error."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _NO_ROOM
    return is_out_of_space(error)


def is_disk_full(path: Path) -> bool:
    """Whether there is hardly room left on the disk for a page or another file: whatever failed, that is why."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _PAGES or bool(disk.f_files and disk.f_favail < _FILES)


def reserve(path: Path) -> None:
    """Keeps some room free for deleting, where there is any. `release` gives it."""
    kept = _reserve(path)
    try:
        disk = os.statvfs(path.parent)
        if kept.exists() or disk.f_bavail * disk.f_frsize < 2 * _RESERVED:
            return
        with open(kept, "xb", opener=opener) as file:
            file.write(os.urandom(_RESERVED))  # of zeros some file systems keep none
    except OSError:
        release(path)


def release(path: Path) -> None:
    """Gives the room that `reserve` has kept."""
    with contextlib.suppress(OSError):
        _reserve(path).unlink(missing_ok=True)


def _reserve(path: Path) -> Path:
    return path.with_name(".chats.reserve")  # one for all files of a directory


def drop_snapshots(states: sqlite3.Connection) -> None:
    """Drops all snapshots through the log, and makes log and file smaller.

    Raises:
        sqlite3.Error: it can't be done, for want of room as well.
    """
    with contextlib.suppress(sqlite3.Error):
        states.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    states.execute("DELETE FROM snapshots")
    _shrink(states)


def connect_without_wal(path: Path) -> sqlite3.Connection:
    """Opens the file for this connection alone, without a log.

    Raises:
        sqlite3.Error: another program has it open, or it can't be done.
    """
    connection = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # no index in a file of its own
        connection.execute("PRAGMA journal_mode = MEMORY")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def checkpoint_in_place(path: Path) -> None:
    """Reads the log into the file, and drops what earlier versions kept of states there. Raises sqlite3.Error."""
    connection = connect_without_wal(path)
    try:
        sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'snapshots'"
        if connection.execute(sql).fetchone() and connection.execute("DELETE FROM snapshots").rowcount:
            _shrink(connection)
    finally:
        connection.close()


def _shrink(connection: sqlite3.Connection) -> None:
    connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")
