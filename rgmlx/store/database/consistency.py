"""Finds damage in which every page is valid: a head without its message, a table whose rows are not those of its index.

Knows the tables and their indexes; reads no texts. A root page of another tree in a table's place makes all rows of the
table vanish, and `quick_check` finds nothing wrong.
"""

from __future__ import annotations

import sqlite3

_INDEXES = {
    "conversations": "conversations_by_time",
    "messages": "messages_by_conversation",
    "pieces": "pieces_by_message",
}
"""An index of each table that has all of its rows."""
_HEAD = (
    "SELECT 1 FROM conversations v WHERE v.head IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM messages m WHERE m.id = v.head AND m.conversation = v.id) LIMIT 1"
)


def find_inconsistency(connection: sqlite3.Connection) -> str | None:
    """What is inconsistent between tables and indexes; None where nothing is. Raises sqlite3.Error."""
    for table, index in _INDEXES.items():
        rows, known = connection.execute(
            f"SELECT (SELECT count(*) FROM {table} NOT INDEXED), (SELECT count(*) FROM {table} INDEXED BY {index})"
        ).fetchone()
        if rows != known:
            return f"{rows} rows of {table}, and {known} in its index"
    if connection.execute(_HEAD).fetchone():
        return "a conversation stands at a message that is not there"
    return None
