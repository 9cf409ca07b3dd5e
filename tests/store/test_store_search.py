"""Parts of words are found: by the index of groups of three characters, by reading the texts, and where SQLite has no such index."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from stores import check, make_format, say

from rgmlx.store import Conversation, Store, part_index

MISSING = "a_tokenizer_that_no_sqlite_has"


def messages(store: Store, text: str) -> list[int | None]:
    return [hit.message for hit in store.search.find(text)]


@pytest.fixture(params=["with the index", "without"])
def either(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "without":
        monkeypatch.setattr(part_index, "TOKENIZER", MISSING)
    store = Store(tmp_path / "either")
    request.addfinalizer(store.close)
    assert bool(store._database.rows("SELECT 1 FROM sqlite_master WHERE name = 'message_parts'")) == (
        request.param == "with the index"
    )
    return store


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("Two seaotters sleep.", "otter"),
        ("Two seaotters sleep.", "OTTERS"),
        ("Ein Walöltank", "ÖLTANK"),
        ("Die STRAßENBAHN", "traßen"),
        ("Мы видели БЕЛОМЕДВЕДЯ", "медвед"),
        ("私は日本語を話します", "日本語"),
        ("私は日本語を話します", "本語"),
        ("私は日本語を話します", "語"),
        ("Ein Walöltank", "öl"),
        ("Ein WALÖLTANK", "öl"),
        ("call my_foo_bar(1, 2) here", "oo_bar("),
        ("x = {'a': obj.meth[0]}", "meth[0"),
        ("100%_sure, isn't it", "00%_su"),
        ('say "hello"', 'ay "hell'),
        ("a pterodactyl in the seaweed", "dactyl weed"),
        ("a pterodactyl in the seaweed", "weed od"),
    ],
)
def test_parts_of_words_are_found(either: Store, said: str, typed: str) -> None:
    chat = either.conversations.create("demo", "A chat")
    _, wanted = say(either, chat, None, "Nothing of it is here.", said)
    assert messages(either, typed) == [wanted]
    assert [hit.message for hit in either.search.find_in(chat.id, typed)] == [wanted]
    (hit,) = either.search.find(typed)
    marked = [text for text, found in hit.snippet if found]
    assert "".join(text for text, _ in hit.snippet) == said
    assert [text.casefold() for text in marked] == [
        w.casefold() for w in sorted(typed.split(), key=said.casefold().find)
    ]
    either.conversations.rename(chat.id, said)
    assert messages(either, typed) == [None, wanted]
    either.conversations.delete(chat.id)
    assert either.search.find(typed) == []


def test_what_has_the_groups_of_a_word_and_not_the_word_is_not_found(either: Store) -> None:
    chat = either.conversations.create("demo", "A chat")
    say(either, chat, None, "xotte ytter z_ter", "öX Öl xÖ")
    assert either.search.find("otter") == [] and either.search.find("x_t") == [] and either.search.find("%l") == []


def test_words_come_first_and_then_parts_of_words_the_newest_first(store: Store, chat: Conversation) -> None:
    first, second, third, fourth = say(store, chat, None, "a catfish", "the cat sat", "a tomcat", "concatenate")
    assert messages(store, "cat") == [first, second, fourth, third]  # the last word may be unfinished: catfish is one
    assert [hit.message for hit in store.search.find("cat", 3)] == [first, second, fourth]
    assert [hit.message for hit in store.search.find_in(chat.id, "cat")] == [fourth, third, second, first]
    other = store.conversations.create("demo", "Another")
    (elsewhere,) = say(store, other, None, "a wildcat")
    assert messages(store, "dcat") == [elsewhere] and store.search.find_in(chat.id, "dcat") == []


def test_the_text_around_a_part_of_a_word(store: Store, chat: Conversation) -> None:
    say(store, chat, None, f"{'before ' * 40}the seaotter and the riverOTTERS \ue000 lie{' after' * 40}")
    (hit,) = store.search.find("otter")
    text = "".join(part for part, _ in hit.snippet)
    assert text.startswith("…before ") and text.endswith("…") and len(text) < 130
    assert [part for part, found in hit.snippet if found] == ["otter", "OTTER"]


def test_the_index_is_in_step_with_what_is_written(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "Elephants")
        _, reply = say(store, chat, None, "unbelievable", "improbable")
        assert messages(store, "mprob") == [reply] and messages(store, "lephan") == [None]
        store.messages.discard(reply)
        store.conversations.rename(chat.id, "Rhinoceros")
        assert messages(store, "mprob") == messages(store, "lephan") == [] and messages(store, "hinoc") == [None]
        copied = store.import_export.from_json(store.import_export.to_json(chat.id))
        assert [hit.conversation for hit in store.search.find("nbelie")] == [copied.id, chat.id]
        store.conversations.delete(copied.id)
        store.conversations.purge()
    check(tmp_path)


def test_recovered_conversations_are_in_the_index(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "Elephants")
        _, reply = say(store, chat, None, "unbelievable", "improbable")
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "chats.db"
    path.write_bytes(bytes(100) + path.read_bytes()[100:])
    with Store(tmp_path) as store:
        assert store.notices and messages(store, "mprob") == [reply] and messages(store, "lephan") == [None]
    check(tmp_path)


# --- SQLite without trigrams ------------------------------------------------------------------


def rename_tokenizer(path: Path, old: str, new: str) -> None:
    """As if the file's indexes were of a tokenizer that this SQLite has not, or has."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, ?, ?) WHERE type = 'table'", (old, new))
        connection.commit()


def test_a_file_goes_to_a_sqlite_without_trigrams_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chats.db"
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "Elephants")
        (first,) = say(store, chat, None, "unbelievable")
    rename_tokenizer(path, "trigram", MISSING)
    with monkeypatch.context() as patch:
        patch.setattr(part_index, "TOKENIZER", MISSING)
        with Store(tmp_path) as store:
            assert not store.notices and messages(store, "lievab") == [first]
            (second,) = say(store, chat, first, "improbable")
            store.conversations.rename(chat.id, "Rhinoceros")
            assert messages(store, "mprob") == [second] and messages(store, "hinoc") == [None]
    rename_tokenizer(path, MISSING, "trigram")
    with Store(tmp_path) as store:
        assert part_index.is_whole(store._database.row(*part_index.QUESTION))
        assert messages(store, "mprob") == [second] and messages(store, "lephan") == []
    check(tmp_path)


def test_a_file_of_an_earlier_format_is_upgraded_without_trigrams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_format(tmp_path / "chats.db", "2")
    with monkeypatch.context() as patch:
        patch.setattr(part_index, "TOKENIZER", MISSING)
        with Store(tmp_path) as store:
            assert len(store.notices) == 1 and messages(store, "ood") == [2]
    with Store(tmp_path) as store:
        assert not store.notices and part_index.is_whole(store._database.row(*part_index.QUESTION))
        assert messages(store, "ood") == [2]
    check(tmp_path)


def no_room(connection: sqlite3.Connection) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize("build", [no_room, lambda connection: None], ids=["no room", "not made"])
def test_a_file_without_room_for_the_index_is_opened_and_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, build: Callable[[sqlite3.Connection], None]
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(part_index, "TOKENIZER", MISSING)
        with Store(tmp_path) as store:
            chat = store.conversations.create("demo", "Elephants")
            (first,) = say(store, chat, None, "unbelievable")
    monkeypatch.setattr(part_index, "build", build)
    with Store(tmp_path) as store:
        assert not store.notices and messages(store, "lievab") == [first]
