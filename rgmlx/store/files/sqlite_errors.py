"""What an error of SQLite's is about. Knows its numbers, and no files."""

from __future__ import annotations

import sqlite3

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Damaged(sqlite3.DatabaseError):
    """What `quick_check` finds."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def kind(error: BaseException | None) -> int | None:
    """SQLite's number for what went wrong."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def damaged(error: BaseException | None) -> bool:
    """Whether this is SQLite's word for a file that is not what was written."""
    return kind(error) in _DAMAGED


def spoilt(error: BaseException | None) -> bool:
    """Whether a file is damaged, or its tables are not those that were made.

    `UnicodeDecodeError` is of SQLite's own sentence, which quotes the file.
    """
    return damaged(error) or kind(error) == sqlite3.SQLITE_ERROR or isinstance(error, UnicodeDecodeError)
