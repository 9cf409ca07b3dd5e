"""Stores for tests, and what is put into them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from rgmlx.store import Conversation, Store


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


def check(directory: Path) -> None:
    connection = sqlite3.connect(directory / "chats.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    for index in ("message_index", "title_index"):
        connection.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")
    connection.close()
    if (states := directory / "states" / "states.db").exists():
        connection = sqlite3.connect(states)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.close()
