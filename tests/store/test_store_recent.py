"""What is in memory of the open conversations, for a file that is emptied under a chat: bounded, and honest about its gaps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from stores import check, say, texts

from rgmlx.store import Conversation, Store
from rgmlx.store.database import recent_rows
from rgmlx.store.new_file import create_file
from rgmlx.store.rows import LOST
from rgmlx.store.table_rows import ConversationRow, insert_conversation


@pytest.fixture
def other(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A new file, as it is where another one was emptied."""
    directory = tmp_path / "other"
    directory.mkdir()
    create_file(directory / "chats.db")
    with closing(sqlite3.connect(directory / "chats.db", isolation_level=None)) as connection:
        yield connection


def _read(tmp_path: Path, conversation: int) -> list[tuple[str, bool]]:
    """The texts of the only conversation, and whether each is marked as not what was written."""
    check(tmp_path / "other")
    with Store(tmp_path / "other") as store:
        assert store.notices == []
        return [(m.text, m.damaged) for m in store.messages.path(store.conversations.get(conversation).head)]


def test_what_was_read_and_written_is_there_as_it_was(
    store: Store, chat: Conversation, other: sqlite3.Connection, tmp_path: Path
) -> None:
    ids = say(store, chat, None, "one", "two", "three")
    open_reply = store.messages.start_reply(chat.id, ids[-1], "be")
    for piece in ("gun", " and", " goes on"):
        store.messages.append(open_reply.id, piece)
    assert store._database.recent.write_to(other, [chat.id])
    other.close()
    assert _read(tmp_path, chat.id) == [(t, False) for t in ("one", "two", "three", "begun and goes on")]
    with Store(tmp_path / "other") as again:
        assert again.conversations.get(chat.id).created == chat.created
        again.messages.append(open_reply.id, "!")  # it is still being written
        assert again.messages.finish(open_reply.id, closed=True).text == "begun and goes on!"
        assert again.messages.add_user(chat.id, open_reply.id, "more").id > open_reply.id


def test_memory_is_bounded_and_what_is_not_there_is_noted(
    store: Store, chat: Conversation, other: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_rows, "MAX_CHARS", 1000)
    ids = say(store, chat, None, *(f"{n} " + "x" * 98 for n in range(40)))
    known = store._database.recent
    assert known._chars == sum(one.chars for one in known._messages.values()) <= 1000
    assert known.write_to(other, [chat.id])
    other.close()
    found = _read(tmp_path, chat.id)
    assert found[0] == (LOST, True) and [text for text, _ in found[1:]] == texts(store, ids[-1])[-len(found) + 1 :]
    assert len(found) > 8 and not any(damaged for _, damaged in found[1:])


def test_of_a_reply_without_end_the_end_is_known(
    store: Store, chat: Conversation, other: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_rows, "MAX_CHARS", 1000)
    reply = store.messages.start_reply(chat.id, say(store, chat, None, "q")[0])
    for n in range(500):
        store.messages.append(reply.id, f"{n} and ")
        assert store._database.recent._chars <= 1000
        assert store.messages.window(reply.id, 1, chars=20)  # a look at its end takes nothing away
    assert store._database.recent.write_to(other, [chat.id])
    other.close()
    with Store(tmp_path / "other") as again:
        again.messages.end_open_replies(chat.id)
    text, _ = _read(tmp_path, chat.id)[-1]
    assert text.endswith("498 and 499 and ") and len(text) > 400


def test_another_conversation_of_that_number_is_left_alone(
    store: Store, chat: Conversation, other: sqlite3.Connection, tmp_path: Path
) -> None:
    say(store, chat, None, "one")
    insert_conversation(other, ConversationRow("Another", "demo", None, "{}", 1.0, 1.0), chat.id)
    assert not store._database.recent.write_to(other, [chat.id])
    other.close()
    assert _read(tmp_path, chat.id) == []


def test_what_was_recovered_is_completed(
    store: Store, chat: Conversation, other: sqlite3.Connection, tmp_path: Path
) -> None:
    """Where the log had the conversation, and a note for a message that it had not."""
    ids = say(store, chat, None, "one", "two")
    row = store._database.row("SELECT * FROM conversations WHERE id = ?", (chat.id,))
    other.execute(f"INSERT INTO conversations VALUES ({', '.join('?' * len(row))})", row)
    other.execute("UPDATE conversations SET head = NULL")
    for number, text in zip(ids, ("one", LOST), strict=True):
        message = store._database.row("SELECT * FROM messages WHERE id = ?", (number,))
        other.execute(f"INSERT INTO messages VALUES ({', '.join('?' * len(message))})", message)
        other.execute("UPDATE messages SET text = ? WHERE id = ?", (text, number))
    assert store._database.recent.write_to(other, [chat.id])
    other.close()
    assert _read(tmp_path, chat.id) == [("one", False), ("two", False)]
