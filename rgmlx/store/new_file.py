"""A new file of conversations, without a row in it or with all of another one: whole under its name, or not there.

Knows the steps of making one; what the tables are is in `migrations`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from ..system.private_files import create_private
from . import migrations
from .files import replacement


def make(path: Path, fill: Callable[[Path], None] | None = None) -> None:
    """Makes the file. Only for who opens the directory alone.

    Args:
        fill: makes it under a name of its own, in place of one without a row. What that raises is raised.

    Raises:
        OSError, sqlite3.Error: it can't be made; nothing is there then.
    """
    part = replacement.part(path)
    try:
        if fill is None:
            tables(part).close()
        else:
            fill(part)
        flush(part)
        os.replace(part, path)
        replacement.sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            replacement.part(path)


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


def copy(connection: sqlite3.Connection, path: Path) -> None:
    """Makes a file that is not there yet of all pages that a connection can read, one after the other. Not flushed.

    Raises:
        OSError, sqlite3.Error: it can't be made, or the pages not be read; there may be something of it.
    """
    create_private(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as new:
        new.execute("PRAGMA synchronous = OFF")
        new.execute("PRAGMA cache_size = -500")
        connection.backup(new)


def flush(path: Path) -> None:
    """Sees to it that a file is on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
