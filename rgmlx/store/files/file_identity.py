"""Which file has a name: whether it is still the one that was opened, with its log.

Knows inodes and sizes; knows no contents. A connection goes on with the file that it has opened, whatever has its name now.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

FileIdentity = tuple[tuple[int, int] | None, tuple[int, int] | None]


def file_identity(path: Path) -> FileIdentity:
    """Device and inode of the file and of its log; None for one that is missing, and for a file without a byte in it."""
    return _node(path, least=1), _node(_beside(path, "-wal"))


def is_emptied(path: Path) -> bool:
    """Whether the file is there without a byte in it, as no store ever is."""
    try:
        return not os.stat(path).st_size
    except OSError:
        return False


def has_lost_contents(path: Path, was: FileIdentity) -> bool:
    """Whether the file has lost what was in it: another one that is empty does no harm to it."""
    return is_emptied(path) and _node(path) == was[0]


def why_unreachable(path: Path) -> str:
    """Why it can't be told whether the file is there, or ""."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as e:
        return e.strerror or str(e)
    return ""


def _node(path: Path, least: int = 0) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if found.st_size >= least else None


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def remove_foreign_wal(path: Path, was: FileIdentity) -> None:
    """Takes the log of the old file from the new one's side: it would be read into that."""
    now = file_identity(path)
    if now[0] != was[0] and now[1] is not None and now[1] == was[1]:
        for end in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                _beside(path, end).unlink()
