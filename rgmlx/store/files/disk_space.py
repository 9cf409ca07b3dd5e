"""Space on the disk: whether an error is about it, and a reserve that a full disk can't take.

Knows SQLite's errors and one file. A log needs space of its own, also to delete rows: the reserve is released for that.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from ...system.disk import is_out_of_space
from ...system.private_files import opener

_RESERVED = 4 * 2**20  # bytes: what a log has before it goes into the file, which grows by as much
_CHUNK = 128 * 2**10  # random ones: file systems that compress do so in pieces of as many, and keep these as they are
_PAGES, _FILES = 64 * 1024, 4  # bytes and files: fewer don't do for a file with a log and its index
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


def may_be_out_of_space(error: BaseException) -> bool:
    """Whether an error may be about disk space. SQLite is not clear there: no space for its index is an I/O error."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _NO_ROOM
    return is_out_of_space(error)


def is_disk_full(path: Path) -> bool:
    """Whether hardly a page or a file fits on the disk any more: whatever failed, that is why."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _PAGES or bool(disk.f_files and disk.f_favail < _FILES)


def reserve(path: Path) -> None:
    """Makes the reserve, if there is space for it. `release` gives it back."""
    kept = _reserve(path)
    try:
        disk = os.statvfs(path.parent)
        if kept.exists() or disk.f_bavail * disk.f_frsize < 2 * _RESERVED:
            return
        with open(kept, "xb", opener=opener) as file:
            file.write(os.urandom(_CHUNK) * (_RESERVED // _CHUNK))
    except OSError:
        release(path)


def release(path: Path) -> None:
    """Gives the reserve back to the disk. Never raises."""
    with contextlib.suppress(OSError):
        _reserve(path).unlink(missing_ok=True)


def _reserve(path: Path) -> Path:
    return path.with_name(".chats.reserve")  # one for all files of a directory
