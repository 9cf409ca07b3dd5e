"""The id that a file of conversations and its file of states have in common, so that one is not taken for another's.

Knows its table; knows no other.
"""

from __future__ import annotations

import sqlite3

from .files.sqlite_errors import error_code

STATEMENTS = (
    "CREATE TABLE pairing (file TEXT NOT NULL, id BLOB NOT NULL);",
    "INSERT INTO pairing VALUES ('states', randomblob(16));",
)
TABLE = "\n".join(STATEMENTS)
"""The table with its row. Earlier versions do without, and don't mind it."""


def pairing_id(connection: sqlite3.Connection) -> bytes | None:
    """The id that a file of conversations and its file of states have; None where there is none."""
    try:
        row = connection.execute("SELECT id FROM pairing").fetchone()
    except sqlite3.OperationalError as e:
        if error_code(e) != sqlite3.SQLITE_ERROR:
            raise
        return None
    return row[0] if row is not None and isinstance(row[0], bytes) else None


def set_pairing_id(connection: sqlite3.Connection, number: bytes | None, *, same: bool = True) -> None:
    """Makes a file of conversations the one whose states have this id, if they fit: it is empty, or has the `same`."""
    if number is not None and (same or not connection.execute("SELECT 1 FROM conversations LIMIT 1").fetchone()):
        connection.execute("UPDATE pairing SET id = ?", (number,))
