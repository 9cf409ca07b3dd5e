"""Files of earlier formats: upgraded they are what a fresh one is, and nothing in them is lost.

`store_formats/N.sql` has the tables of format N as that version made them, `N-WHAT.sql` a variant of it, `rows.sql` rows
for all of them.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from stores import FORMATS, add_format, check, make_format, say, texts

from rgmlx.store import Store, migrations

NAMES = sorted(path.stem for path in FORMATS.glob("[0-9]*.sql"))


def tables(connection: sqlite3.Connection) -> dict[str, Any]:
    """Tables, indexes and triggers, without comments and white space; columns and indexes as SQLite knows them."""
    found: dict[str, Any] = {}
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
    for kind, name, sql in rows:
        text = " ".join(re.sub(r"--.*", "", sql or "").split())
        found[f"{kind} {name}"] = re.sub(r" ?([(),]) ?", r"\1", text)
        if kind == "table":
            for what in ("table_xinfo", "foreign_key_list", "index_list"):
                found[f"{what} {name}"] = sorted(connection.execute(f"PRAGMA {what}({name})"))
        elif kind == "index":
            found[f"columns {name}"] = connection.execute(f"PRAGMA index_xinfo({name})").fetchall()
    return found


def tables_of(path: Path) -> dict[str, Any]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return tables(connection)


def fresh(directory: Path) -> dict[str, Any]:
    with Store(directory):
        pass
    return tables_of(directory / "chats.db")


def test_the_tables_are_those_of_the_newest_format(tmp_path: Path) -> None:
    """Who changes SCHEMA adds a step to STEPS and a file here; who adds one finds the others as they were."""
    wanted = [str(number) for number in range(1, migrations.VERSION + 1)]
    assert [name for name in wanted if name not in NAMES] == [], f"write the tables to {FORMATS}/{wanted[-1]}.sql"
    make_format(tmp_path / "made.db", wanted[-1], rows=False)
    assert tables_of(tmp_path / "made.db") == fresh(tmp_path / "fresh")


@pytest.mark.parametrize("later", [False, True], ids=["today", "one more format"])
@pytest.mark.parametrize("name", NAMES)
def test_an_upgraded_file_is_as_a_fresh_one(
    tmp_path: Path, name: str, later: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if later:
        add_format(monkeypatch)
    number = int(name.partition("-")[0])
    path = tmp_path / "old" / "chats.db"
    make_format(path, name)
    old = tables_of(path)
    with Store(path.parent) as store:
        assert len(store.notices) == (number < migrations.VERSION)
        fox, honey = (store.conversations.get(number) for number in (1, 2))
        assert (fox.title, fox.system, fox.settings) == ("A fox", "Be brief.", {"temperature": 0.25})
        assert (honey.archived, honey.model, honey.updated) == (True, "2b", 1700000300.5)
        assert texts(store, fox.head) == ["where is it", "in the wood"]
        assert texts(store, 3) == ["where is it", "by the river"]
        assert [hit.message for hit in store.search.find("wood")] == [2]
        copied = store.import_export.from_json(store.import_export.to_json(1))
        assert texts(store, copied.head) == ["where is it", "in the wood"]
    assert tables_of(path) == fresh(tmp_path / "fresh")
    check(path.parent)
    copies = list(path.parent.glob(f"chats.format-{number}-*.db"))
    assert [tables_of(copy) for copy in copies] == ([old] if number < migrations.VERSION else [])


@pytest.mark.parametrize(
    "wrong",
    [
        "ALTER TABLE conversations ADD COLUMN of_tests INTEGER DEFAULT 0",
        "ALTER TABLE messages ADD COLUMN of_tests INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX of_tests ON messages (created)",
        "DROP TRIGGER message_changed",
    ],
)
def test_an_upgrade_that_makes_something_else_is_noticed(
    tmp_path: Path, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_format(monkeypatch, lambda connection: connection.execute(wrong))
    make_format(tmp_path / "old" / "chats.db", "1")
    with Store(tmp_path / "old"):
        pass
    assert tables_of(tmp_path / "old" / "chats.db") != fresh(tmp_path / "fresh")


# --- damaged files --------------------------------------------------------------------------


def damage(path: Path) -> None:
    path.write_bytes(bytes(100) + path.read_bytes()[100:])


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_file_of_an_earlier_format_is_recovered(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_format(monkeypatch)
    make_format(tmp_path / "chats.db", name)
    damage(tmp_path / "chats.db")
    with Store(tmp_path) as store:
        assert "2 conversations and 3 messages were kept" in store.notices[0]
        assert texts(store, 2) == ["where is it", "in the wood"] and texts(store, 3) == ["where is it", "by the river"]
    assert tables_of(tmp_path / "chats.db") == fresh(tmp_path / "fresh")


@pytest.mark.parametrize("table", ["conversations", "messages", "pieces"])
def test_rows_with_a_column_more_are_recovered(tmp_path: Path, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    add_format(monkeypatch, table=table)
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A chat")
        reply = store.messages.start_reply(chat.id, *say(store, chat, None, "where is it"), "by ")
        store.messages.append(reply.id, "the river")
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(tmp_path / "chats.db")
    with Store(tmp_path) as store:
        assert "1 conversation and 2 messages were kept" in store.notices[0]
        assert texts(store, reply.id) == ["where is it", "by the river"]
