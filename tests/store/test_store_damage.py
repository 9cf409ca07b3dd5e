"""The store with an old version's file, a damaged one, and a disk that is full."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from piped import AS_USER
from ptys import Pty
from stores import add_format, check, make_format, say, texts

from rgmlx.store import Conversation, Store, StoreError, migrations

PYTHON = [sys.executable, "-c"]


def _titles(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [title for (title,) in connection.execute("SELECT title FROM conversations ORDER BY id")]


def test_an_older_schema_is_upgraded_with_a_copy_beside_it(tmp_path: Path, monkeypatch) -> None:
    make_format(tmp_path / "chats.db", "1")
    add_format(monkeypatch)
    with Store(tmp_path) as store:
        assert [c.title for c in store.conversations.listed(archived=None)] == ["Of honey", "A fox"]
        (notice,) = store.notices
        store.messages.add_user(2, None, "and now")
    (copy,) = tmp_path.glob("chats.format-1-*.db")
    assert str(copy) in notice
    assert _titles(copy) == ["A fox", "Of honey"]
    with Store(tmp_path) as store:
        assert store.notices == []
    check(tmp_path)


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch) -> None:
    make_format(tmp_path / "chats.db", "1")

    def broken(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE conversations SET title = 'lost'")
        connection.execute("SELECT * FROM nowhere")

    add_format(monkeypatch, broken)
    with pytest.raises(StoreError, match="can't be used"):
        Store(tmp_path)
    assert _titles(tmp_path / "chats.db") == ["A fox", "Of honey"]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "chats.db")
    connection.executescript("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('from long ago')")
    connection.close()
    with pytest.raises(StoreError, match="not a store of rgmlx"):
        Store(tmp_path)
    assert sqlite3.connect(tmp_path / "chats.db").execute("SELECT text FROM notes").fetchall() == [("from long ago",)]


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.conversations.create("demo", "kept")
    connection = sqlite3.connect(tmp_path / "chats.db")
    connection.execute(f"PRAGMA user_version = {migrations.VERSION + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer rgmlx"):
        Store(tmp_path)
    assert sqlite3.connect(tmp_path / "chats.db").execute("SELECT title FROM conversations").fetchall() == [("kept",)]


def _damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "not a database":
        data = bytearray(b"hello " * 1000)
    elif how == "cut in half":
        data = data[: len(data) // 2 // 4096 * 4096]
    elif how == "overwritten":
        data[8192 : len(data) - 8192] = os.urandom(len(data) - 16384)
    else:
        data[:100] = bytes(100)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("how", "least"), [("not a database", 0), ("cut in half", 0), ("overwritten", 0), ("no header", 40)]
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, how: str, least: int) -> None:
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A chat")
        say(store, chat, None, *["some text " * 50] * 40)
    _damage(tmp_path / "chats.db", how)
    damaged = (tmp_path / "chats.db").read_bytes()
    with Store(tmp_path) as store:
        notice = store.notices.pop(0)
        assert sum(len(store.messages.tree(one.id)) for one in store.conversations.listed()) >= least
        store.conversations.create("demo", "new")
    (kept,) = tmp_path.glob("chats.damaged-*.db")
    assert str(kept) in notice
    assert len(kept.read_bytes()) == len(damaged)
    with Store(tmp_path) as store:
        assert store.notices == []
        assert store.conversations.listed()[0].title == "new"
    check(tmp_path)


def test_damage_met_later_is_one_sentence_and_set_aside_next_time(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        chat = store.conversations.create("demo", "A chat")
        say(store, chat, None, *["some text " * 50] * 200)
    with Store(tmp_path) as store:
        _damage(tmp_path / "chats.db", "overwritten")
        store._database.rows("PRAGMA shrink_memory")  # what it has in memory is whole
        with pytest.raises(StoreError, match="damaged: start again"):
            store.messages.tree(chat.id)
    with Store(tmp_path) as store:
        assert "is kept as" in store.notices[0]


def test_a_full_disk_is_one_sentence_and_loses_nothing(store: Store, chat: Conversation) -> None:
    before = say(store, chat, None, "q", "a")
    pages = store._database.row("PRAGMA page_count")[0]
    store._database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="disk is full"):
        say(store, chat, before[-1], "x" * 100_000)
    assert store.conversations.get(chat.id).head == before[-1]
    store._database.rows("PRAGMA max_page_count = 1000000")
    say(store, chat, before[-1], "x" * 100_000)  # room was made: it goes on
    check(store.directory)


def test_a_write_that_fails_for_real(store: Store, chat: Conversation) -> None:
    """A limit on the size of files, in another process: the same as a disk that fills up while writing."""
    before = say(store, chat, None, "q", "a")
    code = (
        "import resource, signal, sys; from rgmlx.store import Store, StoreError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "store = Store(sys.argv[1]); head = int(sys.argv[3])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))\n"
        "try:\n"
        "    for _ in range(1000): head = store.messages.add_user(int(sys.argv[2]), head, 'y' * 20_000).id\n"
        "except StoreError as e: print(head, e)\n"
    )
    command = [*PYTHON, code, str(store.directory), str(chat.id), str(before[-1])]
    done = subprocess.run(command, capture_output=True, text=True)
    head, _, sentence = done.stdout.partition(" ")
    assert "disk" in sentence, done.stderr
    assert store.conversations.get(chat.id).head == int(head)
    assert len(store.messages.path(int(head))) > 2
    check(store.directory)


@contextlib.contextmanager
def nobody():
    """Root may write anywhere: be nobody for a moment."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_a_directory_that_can_not_be_written(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        store.conversations.create("demo", "kept")
    (tmp_path / "chats.db").chmod(0o444)
    tmp_path.chmod(0o555)
    with nobody(), pytest.raises(StoreError, match="name another directory"):
        Store(tmp_path)
    with nobody(), pytest.raises(StoreError, match="name another directory"):
        Store(tmp_path / "below")
    tmp_path.chmod(0o755)
    (tmp_path / "chats.db").chmod(0o644)
    with Store(tmp_path) as store:
        assert [c.title for c in store.conversations.listed()] == ["kept"]
        assert store.notices == []
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="name another directory"):
        Store(tmp_path / "file")


# --- damage under a running chat ----------------------------------------------------------

CUTS = ("--max-tokens", "1", "--temperature", "0")


def _random(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


def _random_but_the_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(path.stat().st_size - 100))


def _cut(path: Path) -> None:
    os.truncate(path, 4096)


DAMAGES = pytest.mark.parametrize(
    "damage", [_random, _random_but_the_header, _cut], ids=lambda d: d.__name__.strip("_")
)


def _damage_under(path: Path, damage: Callable[[Path], None]) -> None:
    """Damages the file itself, where the log has nothing and nobody has pages in memory that still count."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE conversations SET updated = updated + 1")
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
        damage(path)


def _in_the_rescued(home: Path, other: Path) -> list[str]:
    (file,) = home.glob("rgchat-rescued-*.db")
    with Store(other) as store:
        assert not store.recover(file).damaged
        (one,) = store.conversations.listed()
        return texts(store, one.head)


@DAMAGES
@pytest.mark.parametrize("released", [False, True])
def test_what_is_open_is_written_elsewhere_when_the_file_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None], released: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    data = tmp_path / "data"
    with Store(data) as store:
        say(store, store.conversations.create("demo", "Another"), None, "not open", "no")
        chat = store.conversations.create("demo", "Mine")
        lock = store.lock(chat.id)
        assert lock is not None
        head = say(store, chat, None, "one", "two", "three", "four")[-1]
        store.conversations.get(chat.id)
        _damage_under(data / "chats.db", damage)
        for _ in range(2):
            with pytest.raises(StoreError, match="damaged: start again"):
                store.messages.add_user(chat.id, head, "five")
        with contextlib.suppress(StoreError):
            store.messages.path(head)  # what can be read by now is not what was written
        if released:
            lock.release()
        said = store.rescue()
        assert "is damaged" in said and f"{tmp_path}/rgchat-rescued-" in said and "--recover" in said
    assert _in_the_rescued(tmp_path, tmp_path / "other") == ["one", "two", "three", "four"]
    with Store(data) as store:
        assert "was damaged" in store.notices[0] and store.rescue() == ""
        store.recover(next(tmp_path.glob("rgchat-rescued-*")))
        assert ["one", "two", "three", "four"] in [texts(store, one.head) for one in store.conversations.listed()]
    check(data)


def test_damage_without_anything_open_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with Store(tmp_path / "data") as store:
        chat = store.conversations.create("demo", "Mine")
        head = say(store, chat, None, "one", "two")[-1]
        _damage_under(tmp_path / "data" / "chats.db", _random)
        with pytest.raises(StoreError, match="damaged: start again"):
            store.messages.add_user(chat.id, head, "five")
        assert store.rescue() == "" and not list(tmp_path.glob("rgchat-rescued-*"))


def test_the_screen_tells_at_the_end_where_the_conversation_of_a_damaged_file_is(tmp_path: Path) -> None:
    """Ctrl+Q: with its path as the last line, and exit code 1."""
    data = tmp_path / "data"
    with Store(data):
        pass  # no guide
    chat = Pty(tmp_path, *AS_USER, sys.executable, "-m", "tui", "--data", str(data), *CUTS)
    try:
        chat.wait(" MB, always")
        chat.send("alpha\r")
        chat.wait("cut short")
        _damage_under(data / "chats.db", _random)
        chat.send("beta\r")
        chat.wait("damaged:")
        chat.send("\x11")
        assert chat.end() == 1
    finally:
        chat.close()
    assert f"{tmp_path}/rgchat-rescued-" in chat.text and "Traceback" not in chat.text
    found = _in_the_rescued(tmp_path, tmp_path / "other")
    assert found[0] == "alpha" and len(found) == 2
