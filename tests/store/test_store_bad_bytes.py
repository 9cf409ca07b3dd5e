"""B9: bytes that are no UTF-8, in any column that holds text: the chat starts, and marks what is not as it was written."""

from __future__ import annotations

import io
import sqlite3
import sys
from pathlib import Path

import pytest
from scripted import Scripted, idle, screen, wait_until
from stores import say

from rgmlx.store import Store
from tui.app import ChatApp
from tui.plain import PlainChat

BAD = [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80", b"\0"]
MARK, OTHER = b"MARKEDMARKED", b"OTHERSOTHERS"


def _columns() -> list[tuple[str, str]]:
    """All columns of all our tables that hold text."""
    from rgmlx.store import migrations, pairing
    from rgmlx.store.states import state_file

    connection = sqlite3.connect(":memory:")
    connection.executescript(migrations.SCHEMA.replace(pairing.TABLE, "") + state_file.SCHEMA)
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%\\_index%' ESCAPE '\\' "
        "AND name NOT LIKE 'sqlite%'"
    )
    return [
        (table, column[1])
        for (table,) in tables.fetchall()
        for column in connection.execute(f"PRAGMA table_info({table})").fetchall()
        if column[2] == "TEXT"
    ]


def _spoil(directory: Path, table: str, column: str, bad: bytes) -> None:
    """Puts bad bytes into the first row's column, in the file: no trigger and no check sees it."""
    path = directory / "chats.db"
    if table in ("snapshots", "pairing"):
        path = directory / "states" / "states.db"
    if column == "role":
        old, new = b"user" + MARK, b"us" + bad[:1] + b"r" + MARK
    else:
        old = MARK
        if (table, column) != ("messages", "text"):  # that is as `add_user` wrote it, so that its hash is right
            old, connection = OTHER, sqlite3.connect(path)
            with connection:
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = 1", (old.decode(),))
            connection.close()
        new = old[: len(old) - len(bad)] + bad
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))


def _make(directory: Path) -> None:
    with Store(directory) as store:
        chat = store.conversations.create("demo", "A title", "A system text", {"temperature": 0.5})
        say(store, chat, None, MARK.decode(), "an answer", "another question", "another answer")
        open_reply = store.messages.start_reply(chat.id, 3)
        store.messages.append(open_reply.id, "a piece")
        with store._database.states.transaction() as c:
            c.execute(
                "INSERT INTO snapshots (conversation, message, identity, links, chars, hash, created, digest, checksum, size, "
                "used, unread, data) VALUES (1, 2, 'x', 0, 1, x'', 1, x'', x'', 1, 1, x'', x'')"
            )
        store.conversations.create("demo", "Another")


@pytest.mark.parametrize("bad", BAD, ids=repr)
@pytest.mark.parametrize(("table", "column"), _columns(), ids=lambda name: name)
def test_a_bad_byte_in_any_text_is_lived_with(tmp_path: Path, table: str, column: str, bad: bytes) -> None:
    _make(tmp_path)
    _spoil(tmp_path, table, column, bad)
    with Store(tmp_path) as store:
        # A role is one of two words: SQLite's own check finds that one, and the file is made anew.
        assert len(store.notices) == (column == "role") and all("5 messages were kept" in n for n in store.notices)
        while store.notices:
            store.notices.pop()
        assert {one.id for one in store.conversations.listed()} == {1, 2}
        tree = store.messages.tree(1)
        assert [m.role for m in tree] == ["user", "model", "user", "model", "model"]
        # The system text is a part of what the first message's hash stands for.
        spoilt = (table, column) in (("messages", "text"), ("conversations", "system"))
        assert [m.id for m in tree if m.damaged] == ([1] if spoilt else [])
        if column == "text" and table == "messages":
            assert tree[0].text == (MARK[: len(MARK) - len(bad)] + bad).decode(errors="replace")
        assert [m.damaged for m in store.messages.path(4)] == [m.damaged for m in tree[:4]]
        assert ("*(damaged" in store.import_export.markdown(1, 4)) == spoilt
        assert ('"damaged": true' in store.import_export.to_json(1)) == spoilt
        store.import_export.from_json(store.import_export.to_json(1))
        store.outlines.read(1, 4, None, 10)
        store.search.find("answer marked title")
        with store.lock(1):  # type: ignore[union-attr]  # and ends the open reply
            assert not store.messages.tree(1)[4].streaming
        say(store, store.conversations.get(1), 4, "goes on", "yes")
        assert not any(m.damaged for m in store.messages.path(store.conversations.get(1).head)[4:])
        store.conversations.rename(1, "Renamed")
        store.conversations.delete(1)
        assert store.conversations.purge() == 1
    with Store(tmp_path) as store:
        assert store.notices == [] and len(store.conversations.listed()) == 2


def test_any_change_of_a_message_is_noticed_and_its_neighbours_are_not_blamed(store: Store) -> None:
    chat = store.conversations.create("demo", "A chat")
    say(store, chat, None, "one", "two", "three", "four")
    changes = {"text": "'onE'", "hash": "zeroblob(32)", "closed": "NOT closed"}
    for column, value in changes.items():
        with store._database.transaction() as c:
            old = c.execute(f"SELECT {column} FROM messages WHERE id = 2").fetchone()[0]
            c.execute(f"UPDATE messages SET {column} = {value} WHERE id = 2")
        assert [m.id for m in store.messages.tree(chat.id) if m.damaged] == [2], column
        assert store.messages.get(2).damaged and not store.messages.get(3).damaged
        with store._database.transaction() as c:
            c.execute(f"UPDATE messages SET {column} = ? WHERE id = 2", (old,))
    assert not any(m.damaged for m in store.messages.tree(chat.id))


def test_a_long_reply_in_pieces_is_verified_when_all_of_it_is_read(store: Store, monkeypatch) -> None:
    from rgmlx.store import reply_end

    monkeypatch.setattr(reply_end, "FOLD_CHARS", 10)
    chat = store.conversations.create("demo", "A chat")
    asked, reply = say(store, chat, None, "q", "a reply that is too long for one text")
    assert not store.messages.get(reply).damaged
    with store._database.transaction() as c:
        c.execute("UPDATE pieces SET text = 'another' WHERE message = ?", (reply,))
    assert store.messages.get(reply).damaged
    assert not store.messages.get(asked).damaged


async def test_a_damaged_message_is_marked_on_the_screen_and_in_lines(tmp_path: Path, capsys) -> None:
    _make(tmp_path)
    _spoil(tmp_path, "messages", "text", b"\xff")
    session = Scripted(tmp_path)
    session.open(1, 2)
    app = ChatApp(session)
    async with app.run_test(size=(80, 30)) as pilot:
        await wait_until(lambda: idle(app))
        await pilot.pause()
        shown = "\n".join(screen(app))
        assert "You · damaged on the disk" in shown and "Assistant ‹1/1›" not in shown
        assert "\ufffd" in shown
    session.store.close()

    session = Scripted(tmp_path)
    session.loaded = True
    session.require_context = lambda: None  # type: ignore[method-assign,assignment,return-value]
    session.open(1, 2)
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(b""), "utf-8")
    try:
        assert PlainChat(session).run() == 0
    finally:
        sys.stdin = before
    assert "You, damaged on the disk: MARKEDMARKE\ufffd" in capsys.readouterr().out
    session.store.close()
