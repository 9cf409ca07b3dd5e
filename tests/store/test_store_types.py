"""Values of the wrong SQL type, and a table that is gone: what is damaged is marked and read, what is a cache made again."""

from __future__ import annotations

import io
import sqlite3
import sys
from pathlib import Path

import pytest
from stores import check, say, texts

from rgmlx.conversation.session import Session
from rgmlx.store import Store
from tui.plain import PlainChat

WRONG = ["chars", "closed", "streaming", "loose", "created", "hash"]


def _lines(data: Path, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8"))
    with Store(data) as store:
        PlainChat(Session(store, sampling={"max_tokens": 3})).run()
    return capsys.readouterr().out


@pytest.mark.parametrize("column", WRONG)
def test_a_number_that_is_a_word(tmp_path: Path, monkeypatch, capsys, column: str) -> None:
    """5: of a message with no state kept, so that its text is read again."""
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A fox")
        ids = say(store, chat, None, "where is the fox", "in the wood", "and now")
    connection = sqlite3.connect(tmp_path / "chats.db")
    with connection:
        connection.execute(f"UPDATE messages SET {column} = 'abc' WHERE id = ?", (ids[1],))
    connection.close()
    out = _lines(tmp_path, "/open 1\n/continue\n/tree\n", monkeypatch, capsys)
    assert "broke off" not in out and "Error" not in out and "Assistant" in out[out.index("/continue") :]
    with Store(tmp_path) as store:
        assert store.messages.get(ids[1]).text == "in the wood"
        if column in ("chars", "hash"):
            assert [m.damaged for m in store.messages.path(ids[1])] == [False, True]


def test_a_cache_that_is_gone_is_made_again(tmp_path: Path, monkeypatch, capsys) -> None:
    """5: the table of snapshots was dropped: the chat starts as if there were none."""
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A fox")
        ids = say(store, chat, None, "where is the fox", "in the wood")
        assert store.snapshots.usage().count == 0
        assert store._database.states.writable  # the table is made
    connection = sqlite3.connect(tmp_path / "states" / "states.db")
    connection.execute("DROP TABLE snapshots")
    connection.close()
    out = _lines(tmp_path, "/open 1\nhello\n", monkeypatch, capsys)
    assert "start again" not in out and "could not be saved" not in out
    with Store(tmp_path) as store:
        assert texts(store, ids[-1]) == ["where is the fox", "in the wood"]
        assert store.snapshots.usage().count > 0
    check(tmp_path)
