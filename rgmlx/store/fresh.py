"""A new file of conversations without a row in it: whole under its name, or not there.

Knows the steps of making one; what the tables are is in `migrations`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from . import aside, migrations
from .private import create_private


def make(path: Path) -> None:
    """Makes the file. Only for who opens the directory alone.

    Raises:
        OSError, sqlite3.Error: it can't be made; nothing is there then.
    """
    part = aside.part(path)
    try:
        tables(part).close()
        flush(part)
        os.replace(part, path)
        aside.sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            aside.part(path)


def tables(path: Path) -> sqlite3.Connection:
    """Opens a file that is not there yet, with all tables in it and not flushed: nobody may rely on it before `flush`.

    Raises:
        OSError, sqlite3.Error: it can't be made; there may be something of it.
    """
    create_private(path)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has no effect later
        connection.execute("PRAGMA synchronous = OFF")
        migrations.bring_up_to_date(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def flush(path: Path) -> None:
    """Sees to it that a file is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
