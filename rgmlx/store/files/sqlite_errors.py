"""What an error of SQLite's is about. Knows its numbers, and no files."""

from __future__ import annotations

import sqlite3

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class DamagedError(sqlite3.DatabaseError):
    """What `quick_check` finds."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def error_code(error: BaseException | None) -> int | None:
    """SQLite's number for what went wrong."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_damage(error: BaseException | None) -> bool:
    """Whether this is SQLite's word for a file that is not what was written."""
    return error_code(error) in _DAMAGED


def is_unusable(error: BaseException | None) -> bool:
    """Whether a file is damaged, or its tables are not those that were made.

    `UnicodeDecodeError` is of SQLite's own sentence, which quotes the file.
    """
    return is_damage(error) or error_code(error) == sqlite3.SQLITE_ERROR or isinstance(error, UnicodeDecodeError)
