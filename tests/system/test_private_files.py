"""B13: every file with words of the user's is the user's alone, whatever the umask, the directory and older versions say."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sessions import Open
from stores import add_format, make_format, say

from rgmlx.conversation.rgstate import save_file
from rgmlx.store import Store
from rgmlx.system.textfiles import write_text
from tui.prompt.history import History
from tui.settings.settings import Defaults, save


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture(params=[0o700, 0o755, 0o777], ids=oct)
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    directory.chmod(request.param)
    return directory


def _files(directory: Path) -> dict[str, int]:
    """The modes of all files in a directory, at this moment."""
    found = [path for path in directory.rglob("*") if not path.is_dir()]
    return {str(path.relative_to(directory)): stat.S_IMODE(path.stat().st_mode) for path in found}


def _private(directory: Path, *least: str) -> None:
    files = _files(directory)
    assert set(least) <= set(files), files
    assert {name: oct(mode) for name, mode in files.items() if mode != 0o600} == {}


def _store(data: Path) -> None:
    with Store(data) as store:
        chat = store.conversations.create("demo", "A chat")
        with store.lock(chat.id):  # type: ignore[union-attr]
            say(store, chat, None, "q", "a")
            _private(data, "chats.db", "chats.db-wal", "chats.db-shm", ".chats.db.opening", f"open/{chat.id}.lock")


def _damaged(data: Path) -> None:
    _store(data)
    path = data / "chats.db"
    path.write_bytes(bytes(100) + path.read_bytes()[100:])
    with Store(data) as store:
        assert "was damaged" in store.notices[0]
    _private(data, "chats.db", *(p.name for p in data.glob("chats.damaged-*.db")))
    assert list(data.glob("chats.damaged-*.db"))


def _met_later(data: Path) -> None:
    with Store(data) as store:
        store._database._met_damage()
        _private(data, ".chats.db.suspect")


def _upgraded(data: Path) -> None:
    make_format(data / "chats.db", "1")
    with Store(data):
        _private(data, "chats.db", "chats.db-wal")
    assert list(data.glob("chats.format-1-*.db"))


def _moved(data: Path) -> None:
    with Store(data) as store:
        chat = store.conversations.create("demo", "A chat")
        claim = store.lock(chat.id)
        assert claim is not None
        for path in data.glob("chats.db*"):
            path.unlink()
        with Store(data) as other:  # another one takes the name and the numbers
            other.conversations.create("demo", "Another")
        say(store, chat, None, "q", "a")
        (beside,) = data.glob("chats.rescued-*.db")
        _private(data, beside.name, f"{beside.name}-wal")
        claim.release()


def _history(data: Path) -> None:
    History(data / "history.jsonl").add("what was sent")


def _settings(data: Path) -> None:
    save(data / "rgchat.toml", Defaults(system="Be brief."))


def _export(data: Path) -> None:
    with Store(data) as store:
        chat = store.conversations.create("demo", "A chat")
        write_text(data / "out.md", store.import_export.markdown(chat.id))
        write_text(data / "out.json", store.import_export.to_json(chat.id))


WRITTEN: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "store": (_store, ("chats.db",)),
    "damaged": (_damaged, ("chats.db",)),
    "damage met later": (_met_later, (".chats.db.suspect",)),
    "upgraded": (_upgraded, ("chats.db",)),
    "moved": (_moved, ("chats.db",)),
    "history": (_history, ("history.jsonl",)),
    "settings": (_settings, ("rgchat.toml",)),
    "exports": (_export, ("out.md", "out.json")),
}


@pytest.mark.parametrize("what", WRITTEN)
def test_all_files_that_are_written_are_private(data: Path, umask: int, what: str, monkeypatch) -> None:
    add_format(monkeypatch)
    write, names = WRITTEN[what]
    write(data)
    _private(data, *names)


@pytest.mark.parametrize("what", WRITTEN)
def test_files_that_others_could_read_are_taken_from_them(data: Path, what: str, monkeypatch) -> None:
    """An earlier version left the mode to the umask."""
    add_format(monkeypatch)
    write, _ = WRITTEN[what]
    write(data)
    for path in data.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    (data / "chats.format-1-20200101-000000.db").write_bytes(b"a copy")
    (data / "chats.damaged-20200101-000000.db").write_bytes(b"another")
    with Store(data) as store:
        store.conversations.create("demo", "new")
        (data / ".chats.db.suspect").unlink(missing_ok=True)
        History(data / "history.jsonl").add("more")
        save(data / "rgchat.toml", Defaults(theme="light"))
        for name in ("out.md", "out.json"):
            write_text(data / name, "exported again")
        files = _files(data)
    shared = {name for name, mode in files.items() if mode & 0o077 and not name.startswith("open/")}
    assert shared == set()


def test_what_a_session_writes_is_private(begin: Open, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        session = begin(tmp_path / "data")
        session.last = tmp_path / "data" / "last"
        session.add_user_message("Hello")
        list(session.generate_reply())
        save_file(session, tmp_path / "data" / "chat.rgstate")
        _private(tmp_path / "data", "last", "chat.rgstate", "chats.db-wal", "open/1.lock")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_a_store_of_sqlite_alone_was_not_private(tmp_path: Path) -> None:
    """What the tests above are about: SQLite itself makes what the umask allows."""
    before = os.umask(0o022)
    try:
        sqlite3.connect(tmp_path / "plain.db").execute("CREATE TABLE t (a)")
    finally:
        os.umask(before)
    assert _files(tmp_path)["plain.db"] == 0o644


@pytest.mark.parametrize("name", ["chats.db", "mine[1].db"])
def test_a_file_behind_a_link_is_private_too(umask: int, tmp_path: Path, name: str) -> None:
    data, real = tmp_path / "data", tmp_path / "elsewhere" / name
    data.mkdir()
    real.parent.mkdir(0o755)
    with Store(tmp_path / "first") as first:
        first.conversations.create("demo", "A chat")
    (tmp_path / "first" / "chats.db").rename(real)
    real.chmod(0o644)
    (data / "chats.db").symlink_to(real)
    with Store(data) as store:
        assert len(store.conversations.listed()) == 1
        _private(real.parent, name, f"{name}-wal")
        chat = store.conversations.create("demo", "Another")
        with store.lock(chat.id):  # type: ignore[union-attr]
            say(store, chat, None, "q", "a")
    _private(real.parent, name)
    assert (data / "chats.db").is_symlink()
    real.write_bytes(bytes(100) + real.read_bytes()[100:])  # made anew where it is
    with Store(data) as store:
        assert "was damaged" in store.notices.pop(0) and len(store.conversations.listed()) == 2
    _private(real.parent, name)
    assert (data / "chats.db").is_symlink() and len(list(real.parent.glob("*.damaged-*"))) == 1


def test_the_directory_of_locks_is_private(umask: int, tmp_path: Path) -> None:
    """Also one that an earlier version made."""
    with Store(tmp_path) as store:
        for number in range(2):
            chat = store.conversations.create("demo", "A chat")
            with store.lock(chat.id):  # type: ignore[union-attr]
                assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o700, number
            (tmp_path / "open").chmod(0o755)
