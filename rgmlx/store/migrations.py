"""The tables of conversations, and the steps from older formats to them, with a copy of the file beside it first.

Knows the schema; does not know what the tables are used for. An upgrade is one function from format n to n + 1, run inside
the transaction that also notes the new format: a crash leaves the old one as it was.

A new column is a step as `_add_pinned`, and the same words as the last column of the table in `SCHEMA`: that is where SQLite
adds it. What else there is to change is in docs/CONTRIBUTING.md; `tests/store/test_store_formats.py` compares an upgraded file
of each format with a fresh one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from ..system.private_files import create_private
from . import pairing, part_index
from .errors import StoreError

Step = Callable[[sqlite3.Connection], None]


def _add_pinned(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE conversations ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0")


def _add_part_index(connection: sqlite3.Connection) -> None:
    if part_index.available():
        part_index.build(connection)


STEPS: tuple[Step, ...] = (_add_pinned, _add_part_index)
"""The first takes a file of format 1 to format 2, and so on: a new one goes to the end and stays as it is for ever."""
VERSION = 1 + len(STEPS)
"""The format of a file that is made now."""

SCHEMA = f"""
{pairing.TABLE}
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never given again: locks and windows may hold an old one
    title TEXT NOT NULL,
    model TEXT NOT NULL,
    system TEXT,
    settings TEXT NOT NULL,
    created REAL NOT NULL,
    updated REAL NOT NULL,
    archived INTEGER NOT NULL DEFAULT 0,
    deleted REAL,
    head INTEGER REFERENCES messages (id) DEFERRABLE INITIALLY DEFERRED,
    pinned INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX conversations_by_time ON conversations (updated);
CREATE INDEX conversations_by_head ON conversations (head);

-- `parent` does not cascade: SQLite would recurse once a message, and gives up at a thousand.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL REFERENCES conversations (id),
    parent INTEGER REFERENCES messages (id),
    depth INTEGER NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('user', 'model')),
    text TEXT NOT NULL,
    chars INTEGER NOT NULL,      -- of the whole text once finished
    closed INTEGER NOT NULL,
    streaming INTEGER NOT NULL,  -- still being written
    loose INTEGER NOT NULL,      -- the text goes on in `pieces`
    hash BLOB NOT NULL,
    created REAL NOT NULL
);
CREATE INDEX messages_by_parent ON messages (parent, conversation);
CREATE INDEX messages_by_conversation ON messages (conversation, parent);
CREATE INDEX messages_streaming ON messages (conversation) WHERE streaming;

CREATE TABLE pieces (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    chars INTEGER NOT NULL,
    ids BLOB,                    -- the token ids that wrote it, where they are known
    text TEXT NOT NULL
);
CREATE INDEX pieces_by_message ON pieces (message, id, chars);

CREATE VIRTUAL TABLE message_index USING fts5 (
    text, content='messages', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER message_added AFTER INSERT ON messages BEGIN
    INSERT INTO message_index (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER message_removed AFTER DELETE ON messages BEGIN
    INSERT INTO message_index (message_index, rowid, text) VALUES ('delete', old.id, old.text);
END;
CREATE TRIGGER message_changed AFTER UPDATE OF text ON messages BEGIN
    INSERT INTO message_index (message_index, rowid, text) VALUES ('delete', old.id, old.text);
    INSERT INTO message_index (rowid, text) VALUES (new.id, new.text);
END;

CREATE VIRTUAL TABLE title_index USING fts5 (
    title, content='conversations', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER conversation_added AFTER INSERT ON conversations BEGIN
    INSERT INTO title_index (rowid, title) VALUES (new.id, new.title);
END;
CREATE TRIGGER conversation_removed AFTER DELETE ON conversations BEGIN
    INSERT INTO title_index (title_index, rowid, title) VALUES ('delete', old.id, old.title);
END;
CREATE TRIGGER conversation_renamed AFTER UPDATE OF title ON conversations BEGIN
    INSERT INTO title_index (title_index, rowid, title) VALUES ('delete', old.id, old.title);
    INSERT INTO title_index (rowid, title) VALUES (new.id, new.title);
END;

{part_index.SCHEMA}"""


def migrate(connection: sqlite3.Connection, path: Path) -> str | None:
    """Makes the tables, or upgrades older ones after copying the file.

    No other process may do the same at the same time.

    Returns:
        A sentence about the upgrade and its copy, or None where there was none.

    Raises:
        StoreError: the file is of a newer version, or not a store of ours.
        sqlite3.Error: the disk is full, or the file is damaged; nothing was changed.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise StoreError(
            f"{path} was written by a newer rgmlx (format {version}, this one knows {VERSION}): update rgmlx, "
            f"or name another directory"
        )
    if version == VERSION:
        if _lacks_pairing(connection):
            connection.executescript(f"BEGIN IMMEDIATE; {pairing.TABLE} COMMIT;")
        part_index.keep(connection)
        return None
    if not version and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        # executescript would commit the transaction around it; BEGIN and COMMIT inside make it one.
        schema = SCHEMA if part_index.available() else SCHEMA.replace(part_index.SCHEMA, "")
        connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {VERSION}; COMMIT;")
        return None
    if version < 1:
        raise StoreError(f"{path} is not a store of rgmlx conversations (format {version}): name another directory")
    copy = _copy_file(connection, path, version)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _lacks_pairing(connection):
            for statement in pairing.STATEMENTS:
                connection.execute(statement)
        for step in STEPS[version - 1 :]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return f"The conversations were brought to format {VERSION}; a copy from before is {copy}."


def _lacks_pairing(connection: sqlite3.Connection) -> bool:
    """Whether the file is of the time before states had a file of their own, which was of format 1 as well."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return "messages" in tables and "pairing" not in tables  # a file that has lost more is damaged


def _copy_file(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """A whole copy beside the file, write-ahead log included; under its name only once it is complete."""
    copy = path.with_name(f"{path.stem}.format-{version}-{time.strftime('%Y%m%d-%H%M%S')}{path.suffix}")
    part = copy.with_name(f".{copy.name}.part")
    try:
        create_private(part)
        with contextlib.closing(sqlite3.connect(part)) as target:
            connection.backup(target)
        os.replace(part, copy)
    finally:
        part.unlink(missing_ok=True)
    return copy
