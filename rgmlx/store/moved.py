"""A file of conversations that was removed or replaced under the program: what is open goes into another one.

Knows inodes and tables. A connection goes on reading a file that has lost its name, so that nothing is lost yet.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from . import migrations

Identity = tuple[tuple[int, int] | None, tuple[int, int] | None]
_TABLES = ("conversations", "messages", "pieces")


def identity(path: Path) -> Identity:
    """Device and inode of the file and of its log; None for one that is missing."""
    return _node(path), _node(_with(path, "-wal"))


def barred(path: Path) -> str:
    """Why it can't be told whether the file is there, or ""."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as e:
        return e.strerror or str(e)
    return ""


def _node(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _with(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def clear(path: Path, was: Identity) -> None:
    """Takes the log of the old file from the new one's side: it would be read into that."""
    now = identity(path)
    if now[0] != was[0] and now[1] is not None and now[1] == was[1]:
        for end in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                _with(path, end).unlink()


def copy(old: sqlite3.Connection, new: sqlite3.Connection, conversations: Sequence[int]) -> bool:
    """Writes conversations into another store under the numbers that they have. In an empty one their states fit.

    Returns:
        False where one of the numbers is taken there; nothing was written.

    Raises:
        sqlite3.Error: it can't be done; nothing was written.
    """
    new.execute("BEGIN IMMEDIATE")
    try:
        new.execute("PRAGMA defer_foreign_keys = ON")
        states = migrations.pairing(old)
        if states is not None and not new.execute("SELECT 1 FROM conversations LIMIT 1").fetchone():
            migrations.pair(new, states)
        for number in conversations:
            for table in _TABLES:
                _copy_rows(old, new, table, number)
        for name, last in old.execute("SELECT name, seq FROM sqlite_sequence").fetchall():  # never given again
            new.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, name))
        new.execute("COMMIT")
    except sqlite3.IntegrityError:
        new.execute("ROLLBACK")
        return False
    except BaseException:
        if new.in_transaction:
            new.execute("ROLLBACK")
        raise
    return True


def _copy_rows(old: sqlite3.Connection, new: sqlite3.Connection, table: str, conversation: int) -> None:
    where = {
        "conversations": "id = ?",
        "pieces": "message IN (SELECT id FROM messages WHERE conversation = ?)",
    }.get(table, "conversation = ?")
    for row in old.execute(f"SELECT * FROM {table} WHERE {where} ORDER BY id", (conversation,)):
        new.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
