"""The index of parts of words: which groups of three characters a text has.

Knows SQLite's trigram tokenizer, which SQLite has since 3.34: with an older one a file has no such index, and whoever searches
reads the texts. The index is in step with its tables where its triggers are there. A program whose SQLite has no trigrams
takes the triggers out, since its writes would fail otherwise, and the next one that can makes the index anew.

It keeps groups without their places (`detail=none`), in a third of the space: what has all groups of a word need not have the
word.
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from collections.abc import Callable

from .files.connection import rollback

TOKENIZER = "trigram"
GROUP = 3
"""Characters of a group. A shorter word is in no index."""
PAIRS = (("messages", "message_parts", "text"), ("conversations", "title_parts", "title"))
"""Tables, what their index is called, and the column that is in it."""


def _table(table: str, index: str, column: str) -> str:
    return (
        f"CREATE VIRTUAL TABLE {index} USING fts5 (\n"
        f"    {column}, content='{table}', content_rowid='id', tokenize='{TOKENIZER}', detail='none'\n)"
    )


def _triggers(table: str, index: str, column: str) -> tuple[str, ...]:
    add = f"    INSERT INTO {index} (rowid, {column}) VALUES (new.id, new.{column});\n"
    remove = f"    INSERT INTO {index} ({index}, rowid, {column}) VALUES ('delete', old.id, old.{column});\n"
    return (
        f"CREATE TRIGGER {index}_added AFTER INSERT ON {table} BEGIN\n{add}END",
        f"CREATE TRIGGER {index}_removed AFTER DELETE ON {table} BEGIN\n{remove}END",
        f"CREATE TRIGGER {index}_changed AFTER UPDATE OF {column} ON {table} BEGIN\n{remove}{add}END",
    )


TRIGGERS = tuple(f"{index}_{what}" for _, index, _ in PAIRS for what in ("added", "removed", "changed"))
QUESTION = (
    f"SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND name IN ({', '.join('?' * len(TRIGGERS))})",
    TRIGGERS,
)
"""To a file, with its values: how much of the index it has."""
SCHEMA = "\n".join(f"{one};" for pair in PAIRS for one in (_table(*pair), *_triggers(*pair))) + "\n"


def available() -> bool:
    """Whether this program's SQLite can have the index."""
    return _has(TOKENIZER)


@functools.cache
def _has(tokenizer: str) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(":memory:")) as connection:
            connection.execute(f"CREATE VIRTUAL TABLE one USING fts5 (text, tokenize='{tokenizer}', detail='none')")
            return True
    except sqlite3.Error:
        return False


def is_whole(answer: tuple[int]) -> bool:
    """Whether the answer to `QUESTION` says that a file has the index, and all of its texts are in it."""
    return answer[0] == len(TRIGGERS)


def build(connection: sqlite3.Connection) -> None:
    """Makes the index of all texts, inside a transaction. Raises sqlite3.Error."""
    for table, index, column in PAIRS:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (index,)).fetchone() is None:
            connection.execute(_table(table, index, column))
        connection.execute(f"INSERT INTO {index} ({index}) VALUES ('rebuild')")
        for name, trigger in zip(("added", "removed", "changed"), _triggers(table, index, column), strict=True):
            connection.execute(f"DROP TRIGGER IF EXISTS {index}_{name}")
            connection.execute(trigger)


def keep(connection: sqlite3.Connection) -> None:
    """Makes the index where it is missing or not in step, or takes its triggers out where this SQLite can't have it.

    Where there is no room for it, or another program writes, the file stays without: it is to be found anyhow.

    Raises:
        sqlite3.Error: the triggers are there and can't be taken out.
    """
    answer = connection.execute(*QUESTION).fetchone()
    if available():
        if is_whole(answer):
            return
        with contextlib.suppress(sqlite3.OperationalError):
            _within(connection, build)
    elif answer[0]:
        _within(connection, _drop_triggers)


def _drop_triggers(connection: sqlite3.Connection) -> None:
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")


def _within(connection: sqlite3.Connection, action: Callable[[sqlite3.Connection], None]) -> None:
    try:
        connection.execute("BEGIN IMMEDIATE")
        action(connection)
        connection.execute("COMMIT")
    except BaseException:
        rollback(connection)
        raise
