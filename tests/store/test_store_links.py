"""A store whose pages are all valid, and whose rows are not what was written: heads without messages, lost tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from stores import check, say

from rgmlx.conversation.session import Session
from rgmlx.store import Store
from rgmlx.store.rows import LOST


def _made(directory: Path, conversations: int = 6, turns: int = 8) -> Path:
    """Conversations of some messages each; all is in the file, and nothing in the log."""
    with Store(directory) as store:
        for n in range(conversations):
            chat = store.conversations.create("demo", f"Chat {n}")
            say(store, chat, None, *(f"chat {n} message {turn} " + "word " * 30 for turn in range(turns)))
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return directory / "chats.db"


def _run(path: Path, *lines: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = OFF")
    for line in lines:
        connection.execute(line)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _root_over(path: Path, source: str, target: str) -> None:
    """Writes the root page of one tree over the root page of another."""
    connection = sqlite3.connect(path)
    roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
    connection.close()
    data = bytearray(path.read_bytes())
    start, end = (roots[source] - 1) * 4096, (roots[target] - 1) * 4096
    data[end : end + 4096] = data[start : start + 4096]
    path.write_bytes(data)


HEADS = {
    "beyond": ("UPDATE conversations SET head = 999999",),
    "text": ("UPDATE conversations SET head = 'abc'",),
    "of another": ("UPDATE conversations SET head = 1 WHERE id > 1",),
    "of a deleted one": ("UPDATE conversations SET deleted = 1, head = 999999 WHERE id = 2",),
}


@pytest.mark.parametrize("how", HEADS)
def test_a_head_without_its_message_is_healed_and_said_once(tmp_path: Path, how: str) -> None:
    path = _made(tmp_path)
    _run(path, *HEADS[how])
    with Store(tmp_path) as store:
        (notice,) = store.notices
        assert "was damaged" in notice and "48 messages were kept; no message is known to be lost" in notice
        for one in store.conversations.listed() + store.conversations.deleted():
            there = store.messages.path(one.head)
            assert [m.text.split(" word")[0] for m in there] == [f"chat {one.id - 1} message {n}" for n in range(8)]
            assert not any(m.damaged for m in there)
    check(tmp_path)


def test_lost_last_messages_leave_a_conversation_at_its_last_readable_one(tmp_path: Path) -> None:
    path = _made(tmp_path)
    _run(path, "DELETE FROM messages WHERE id > 44")
    with Store(tmp_path) as store:
        (notice,) = store.notices
        session = Session(store)
        assert "44 messages were kept" in notice
        session.open_latest()
        session.close()
        assert session.head is not None and session.head.text.startswith("chat 5 message 3 ")
    check(tmp_path)


TABLES = ("conversations", "messages", "pieces")


@pytest.mark.parametrize(("table", "other"), [(a, b) for a in TABLES for b in (*TABLES, "pairing") if a != b])
def test_a_root_page_of_another_tree_hides_no_row(tmp_path: Path, table: str, other: str) -> None:
    path = _made(tmp_path)
    with Store(tmp_path) as store:  # for a row of pieces
        chat = store.conversations.create("demo", "Open")
        store.messages.append(store.messages.start_reply(chat.id, None).id, "begun")
        store._database.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    _root_over(path, other, table)
    with Store(tmp_path) as store:
        (notice,) = store.notices
        assert "was damaged" in notice
        found = [m.text for one in store.conversations.listed() for m in store.messages.tree(one.id)]
        if table == "messages":  # of many pages, which hang on nothing now
            assert sum(text.startswith("chat ") for text in found) == 48
            assert LOST not in found
    check(tmp_path)
