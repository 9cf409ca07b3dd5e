"""Opens a file on a medium that can't be written.

Knows what SQLite needs: a file with a log takes an index beside it, which can't be made here. Without anything in the log the
file is all there is, and nobody changes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from pathlib import Path

from ..errors import StoreError

_ERRNO = {errno.EACCES, errno.EPERM, errno.EROFS}
_CODES = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}


def is_write_refused(error: BaseException) -> bool:
    """Whether an error says that something can't be written."""
    code = getattr(error, "sqlite_errorcode", None)
    return (code is not None and code & 0xFF in _CODES) or (isinstance(error, OSError) and error.errno in _ERRNO)


def connect_read_only(path: Path, known: int) -> sqlite3.Connection | None:
    """Opens the file for reading; None where that can't be done, or something in its log would be left out.

    Args:
        known: the version of its tables that can be read.

    Raises:
        StoreError: it is of another version, which would have to be brought up to date.
    """
    log = path.with_name(f"{path.name}-wal")
    with contextlib.suppress(OSError, sqlite3.Error):
        if not os.access(path, os.R_OK) or not path.stat().st_size:
            return None
        ways = ("mode=ro",) if log.exists() and log.stat().st_size else ("mode=ro", "mode=ro&immutable=1")
        for way in ways:
            connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?{way}", uri=True, isolation_level=None, check_same_thread=False
            )
            try:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except sqlite3.Error:
                connection.close()
                continue
            if version == known:
                return connection
            connection.close()
            raise StoreError(f"{path} is of format {version} and can't be written: copy it to where it can be")
    return None
