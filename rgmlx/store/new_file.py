"""A new file of conversations, without a row in it or with all of another one: whole under its name, or not there.

Knows the steps of making one; what the tables are is in `migrations`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from ..system.disk import flush_file, sync_directory
from ..system.private_files import create_private
from . import migrations
from .files import replacement


def create_file(path: Path, fill: Callable[[Path], None] | None = None) -> None:
    """Makes the file. Only for who opens the directory alone.

    Args:
        fill: makes it under a name of its own, in place of one without a row. What that raises is raised.

    Raises:
        OSError, sqlite3.Error: it can't be made; nothing is there then.
    """
    part = replacement.clear_part(path)
    try:
        if fill is None:
            open_with_tables(part).close()
        else:
            fill(part)
        flush_file(part)
        os.replace(part, path)
        sync_directory(path.parent)
    finally:
        with contextlib.suppress(OSError):
            replacement.clear_part(path)


def open_with_tables(path: Path) -> sqlite3.Connection:
    """Opens a file that is not there yet, with all tables in it. It is not flushed: don't rely on it before that.

    Raises:
        OSError, sqlite3.Error: it can't be made; there may be something of it.
    """
    create_private(path)
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has no effect later
        connection.execute("PRAGMA synchronous = OFF")
        migrations.migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def copy_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Makes a file that is not there yet of all pages that a connection can read, one after the other. Not flushed.

    Raises:
        OSError, sqlite3.Error: it can't be made, or the pages not be read; there may be something of it.
    """
    create_private(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as new:
        new.execute("PRAGMA synchronous = OFF")
        new.execute("PRAGMA cache_size = -500")
        connection.backup(new)
