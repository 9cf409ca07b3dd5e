"""Pinned conversations: before all others where that is asked for, and pinned wherever the conversation goes."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from stores import FORMATS, check, make_format, say, texts

from rgmlx.conversation.session import Session
from rgmlx.store import Conversation, Store, StoreError
from rgmlx.store.new_file import create_file


def titles(store: Store, **how: object) -> list[str]:
    return [one.title for one in store.conversations.listed(pinned_first=True, **how)]  # type: ignore[arg-type]


def test_pinned_ones_come_first_and_go_back_to_their_place(store: Store) -> None:
    a, b, c, d = (store.conversations.create("demo", name).id for name in "abcd")
    assert titles(store) == ["d", "c", "b", "a"]
    store.conversations.pin(a)
    store.conversations.pin(c)
    store.conversations.pin(c)
    assert titles(store) == ["c", "a", "d", "b"]
    assert titles(store, limit=2) == ["c", "a"] and titles(store, limit=2, after=1) == ["a", "d"]
    assert [one.id for one in store.conversations.listed()] == [d, c, b, a], "unless it is asked for"
    say(store, store.conversations.get(a), None, "now it is the newest")
    assert titles(store) == ["a", "c", "d", "b"]
    store.conversations.archive(c)
    assert titles(store) == ["a", "d", "b"] and titles(store, archived=None) == ["a", "c", "d", "b"]
    store.conversations.delete(a)
    store.conversations.undelete(a)
    assert store.conversations.get(a).pinned
    store.conversations.pin(a, False)
    assert [one.pinned for one in store.conversations.listed()] == [False] * 3
    with pytest.raises(StoreError, match="no conversation 99"):
        store.conversations.pin(99)
    assert b in [one.id for one in store.conversations.listed()]


def test_a_start_opens_what_was_open_last_and_not_what_is_pinned(store: Store) -> None:
    pinned = store.conversations.create("demo", "pinned")
    newest = store.conversations.create("demo", "newest")
    store.conversations.pin(pinned.id)
    session = Session(store)
    session.open_latest()
    assert session.conversation is not None and session.conversation.id == newest.id
    session.close()


@pytest.mark.parametrize("pinned", [False, True])
def test_an_export_keeps_it(store: Store, chat: Conversation, pinned: bool) -> None:
    store.conversations.pin(chat.id, pinned)
    text = store.import_export.to_json(chat.id)
    assert json.loads(text)["pinned"] is pinned
    assert store.import_export.from_json(text).pinned is pinned


def test_an_export_of_an_earlier_version_is_not_pinned(store: Store, chat: Conversation) -> None:
    data = json.loads(store.import_export.to_json(chat.id))
    del data["pinned"]
    assert not store.import_export.from_json(json.dumps(data)).pinned
    for wrong in (0, 1, None, "yes", [], {}):
        with pytest.raises(StoreError, match="damaged"):
            store.import_export.from_json(json.dumps({**data, "pinned": wrong}))


@pytest.mark.parametrize("value", [0, 2, -1, 0.5, "1", "yes", b"\xff", 1])
def test_only_a_one_is_pinned(store: Store, chat: Conversation, value: object) -> None:
    """A damaged file may have anything there."""
    store.conversations.create("demo", "newer")
    with store._database.transaction() as c:
        c.execute("UPDATE conversations SET pinned = ? WHERE id = ?", (value, chat.id))
    pinned = value in (1, "1")  # a column of numbers makes one of the text
    assert store.conversations.get(chat.id).pinned is pinned
    assert (titles(store)[0] == "A chat") is pinned


@pytest.mark.parametrize("name", sorted(path.stem for path in FORMATS.glob("1*.sql")))
def test_in_a_file_of_format_1_nothing_is_pinned_and_all_can_be(tmp_path: Path, name: str) -> None:
    make_format(tmp_path / "chats.db", name)
    with Store(tmp_path) as store:
        assert [one.pinned for one in store.conversations.listed(archived=None)] == [False, False]
        store.conversations.pin(1)
        assert titles(store, archived=None) == ["A fox", "Of honey"]
        copied = store.import_export.from_json(store.import_export.to_json(1))
        assert copied.pinned and texts(store, copied.head) == ["where is it", "in the wood"]
    with Store(tmp_path) as store:
        assert store.conversations.get(1).pinned and store.notices == []
    check(tmp_path)


@pytest.mark.parametrize("by_hand", [False, True], ids=["as it is opened", "--recover"])
def test_a_damaged_file_keeps_it(tmp_path: Path, by_hand: bool) -> None:
    with Store(tmp_path / "old") as store:
        for name in ("one", "two"):
            say(store, store.conversations.create("demo", name), None, f"of {name}", "yes")
        store.conversations.pin(1)
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "old" / "chats.db"
    path.write_bytes(bytes(100) + path.read_bytes()[100:])
    with Store(tmp_path / ("new" if by_hand else "old")) as store:
        if by_hand:
            store.recover(path)
        else:
            assert "was damaged" in store.notices[0]
        assert {one.title: one.pinned for one in store.conversations.listed()} == {"one": True, "two": False}


def test_what_is_written_again_from_memory_keeps_it(store: Store, chat: Conversation, tmp_path: Path) -> None:
    store.conversations.pin(chat.id)
    say(store, store.conversations.get(chat.id), None, "one", "two")
    (tmp_path / "other").mkdir()
    create_file(tmp_path / "other" / "chats.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "other" / "chats.db", isolation_level=None)) as connection:
        assert store._database.recent.write_to(connection, [chat.id])
    with Store(tmp_path / "other") as other:
        assert other.conversations.get(chat.id).pinned
