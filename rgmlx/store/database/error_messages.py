"""What to say of errors with the file of conversations: sentences for the user.

Knows SQLite's and the system's errors; changes nothing.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from ...system.macos import privacy
from ..errors import DiskFullError, StoreError, not_writable
from ..files.disk_space import is_disk_full, may_be_out_of_space
from ..files.file_checks import inaccessible_file
from ..files.sqlite_errors import error_code


def disk_full(path: Path) -> DiskFullError:
    """The disk has no room for a write."""
    return DiskFullError(f"the disk is full: make room for {path}; nothing was changed")


def damaged(path: Path) -> StoreError:
    """Damage was met while the file was in use."""
    return StoreError(f"{path} is damaged: start again, and what can be read goes into a new file")


def not_usable(path: Path, error: sqlite3.Error) -> StoreError:
    """SQLite's errors, but for damage."""
    code = error_code(error)
    if code == sqlite3.SQLITE_FULL or (may_be_out_of_space(error) and is_disk_full(path)):
        return disk_full(path)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return not_writable(inaccessible_file(path))
    if code == sqlite3.SQLITE_IOERR:
        return DiskFullError(f"{path} can't be read or written ({error}): see whether the disk is full or failing")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{path} is kept busy by another program: close that one and try again")
    return StoreError(f"{path} can't be used ({error}): start again, or name another directory")


def not_opened(path: Path, error: OSError) -> StoreError:
    """The system's errors while the file is opened or made."""
    if may_be_out_of_space(error):
        return disk_full(path)
    error = privacy.explained(error)
    if isinstance(error, PermissionError) and os.path.exists(path) and not os.access(path, os.R_OK):
        return StoreError(f"{path} can't be read: allow reading it, or name another directory")
    why, about = error.strerror or error, culprit(path, error)
    if about != path:
        return StoreError(f"{about} can't be opened ({why}): allow that, or name another directory")
    return StoreError(f"conversations can't be kept in {path.parent} ({why}): name another directory")


def opened_read_only(path: Path, error: Exception) -> str:
    """The file can be read and not be written, as the error says."""
    about = culprit(path, error)
    which = "its conversations" if about == path else f"the conversations in {path}"
    return f"{about} can't be written: {which} can be read and exported. --data names another directory to write to."


def opened_without_room(path: Path) -> str:
    """The disk has no room for a log."""
    return (
        f"The disk is full: conversations can be read, exported to another disk and deleted, and nothing can be "
        f"written until there is room for {path}."
    )


def culprit(path: Path, error: Exception) -> Path:
    """Which file an error is about: the file of conversations, or one beside it."""
    name = getattr(error, "filename", None)
    if name is None or not os.path.exists(name):  # the directory of one that is missing may not be written
        return inaccessible_file(path)
    return Path(os.fsdecode(name))
