"""Stores for tests, and what is put into them."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rooms

from rgmlx.store import Conversation, Store, migrations


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as store:
        yield store


@pytest.fixture
def chat(store: Store) -> Conversation:
    return store.conversations.create("demo", "A chat")


def say(store: Store, chat: Conversation, parent: int | None, *texts: str) -> list[int]:
    """Messages after one another, the user's and the model's in turn."""
    ids = []
    for i, text in enumerate(texts):
        if i % 2 == 0:
            parent = store.messages.add_user(chat.id, parent, text).id
        else:
            parent = store.messages.start_reply(chat.id, parent).id
            store.messages.append(parent, text)
            store.messages.finish(parent, closed=True)
        ids.append(parent)
    return ids


def texts(store: Store, message: int | None) -> list[str]:
    return [m.text for m in store.messages.path(message)]


def drop_snapshots(store: Store) -> None:
    """As if no state had ever been kept."""
    store._database.states.write_quietly("DELETE FROM snapshots")


FORMATS = rooms.TESTS / "store_formats"


def make_format(path: Path, name: str = "1", *, rows: bool = True) -> None:
    """A file as an earlier version made it (`store_formats`), with two conversations in it."""
    path.parent.mkdir(exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((FORMATS / f"{name}.sql").read_text())
        if rows:
            connection.executescript((FORMATS / "rows.sql").read_text())
        connection.execute(f"PRAGMA user_version = {name.partition('-')[0]}")


def add_format(
    monkeypatch: pytest.MonkeyPatch,
    step: Callable[[sqlite3.Connection], object] | None = None,
    *,
    table: str = "conversations",
) -> None:
    """One format more than there are, in which a table has a column that nothing uses.

    Args:
        step: what an upgrade to it does instead of adding the column.
    """

    def add_column(connection: sqlite3.Connection) -> None:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN of_tests INTEGER NOT NULL DEFAULT 0")

    schema = re.sub(
        rf"(CREATE TABLE {table} \(.*?)\n\);",
        r"\1\n    , of_tests INTEGER NOT NULL DEFAULT 0\n);",
        migrations.SCHEMA,
        flags=re.DOTALL,
    )
    assert schema != migrations.SCHEMA
    monkeypatch.setattr(migrations, "SCHEMA", schema)
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, add_column if step is None else step))
    monkeypatch.setattr(migrations, "VERSION", migrations.VERSION + 1)


def check(directory: Path) -> None:
    connection = sqlite3.connect(directory / "chats.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    for index in ("message_index", "title_index", "message_parts", "title_parts"):
        connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")
    connection.close()
    if (states := directory / "states" / "states.db").exists():
        connection = sqlite3.connect(states)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
