"""What lies under the names of a store's files, be it a pipe or a link that leads nowhere, is named, and never waited for."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from piped import AS_USER, ROOT, rgchat
from stores import check, say
from waiting import PATIENCE

from rgmlx.store import Store, StoreError


def _directory(path: Path) -> None:
    path.mkdir()


def _file(path: Path) -> None:
    path.write_bytes(b"x")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        short = os.open(path.parent, os.O_RDONLY)  # the name of a socket has 100 characters at most
        try:
            made.bind(f"/proc/self/fd/{short}/{path.name}" if sys.platform == "linux" else str(path))
        finally:
            os.close(short)


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent.parent / "unplugged" / "x")


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


KINDS: dict[str, Callable[[Path], None]] = {
    "directory": _directory,
    "file": _file,
    "pipe": _pipe,
    "socket": _socket,
    "dangling link": _dangling,
    "loop": _loop,
}
FILES = ("chats.db", "chats.db-wal", "chats.db-shm", "chats.db-journal", ".chats.db.opening", ".chats.db.suspect")
FILES += (".chats.db.part", "open/1.lock")
DIRECTORIES = ("open", "")
HARMLESS = (".chats.reserve", "last", "history.jsonl", "errors.log", "drafts", "drafts/open/1.lock", "drafts/1.json")
_OPEN = """
import sys
from rgmlx.store import Store, StoreError
try:
    with Store(sys.argv[1]) as store, store.lock(1):
        print("opened", list(store.notices), store.messages.get(2).text)
        store.messages.add_user(1, 2, "more")
except StoreError as e:
    print(e)
"""


def _put(data: Path, name: str, kind: str) -> Path:
    """A store in which something else has a name."""
    with Store(data) as store:
        chat = store.conversations.create("demo", "A chat")
        say(store, chat, None, "q", "a")
        with store.lock(chat.id):  # type: ignore[union-attr]
            pass
    path = data / name if name else data
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True, parents=True)
    KINDS[kind](path)
    return path


def _opened(data: Path) -> str:
    """What opening it comes to, in a process of its own: one that waits for a pipe would do so for ever."""
    command = [*AS_USER, sys.executable, "-c", _OPEN, str(data)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE)
    assert not done.stderr and done.stdout.count("\n") == 1, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "file"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_in_the_way_of_a_file_is_named(tmp_path: Path, name: str, kind: str) -> None:
    path = _put(tmp_path / "data", name, kind)
    said = _opened(tmp_path / "data")
    if name == "chats.db" and kind in ("dangling link", "loop"):
        words = "which is not there: connect the disk that it is on, or remove the link"
        words = words if kind == "dangling link" else "is a link that leads back to itself: remove it"
        assert said.startswith(f"{path} is a link") and said.endswith(words)
    else:
        kind = "link" if kind in ("dangling link", "loop") else kind
        assert said == f"{path} is not a file but a {kind}: move it away, or name another directory"
    assert os.path.lexists(path) and not (tmp_path / "unplugged").exists()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "directory"])
@pytest.mark.parametrize("name", DIRECTORIES)
def test_what_is_in_the_way_of_a_directory_is_named(tmp_path: Path, name: str, kind: str) -> None:
    path = _put(tmp_path / "data", name, kind)
    said = _opened(tmp_path / "data")
    assert said.startswith(f"{path} is ")
    words = {"dangling link": "which is not there", "loop": "leads back to itself"}
    assert words.get(kind, f"is not a directory but a {kind}: move it away") in said
    assert not (tmp_path / "unplugged").exists()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HARMLESS)
def test_what_conversations_can_do_without_is_in_nobodys_way(tmp_path: Path, name: str, kind: str) -> None:
    data = tmp_path / "data"
    _put(data, name, kind)
    assert _opened(data) == "opened [] a"
    check(data)


@pytest.mark.parametrize("above", ["data", "data/more", "more/data/less"])
def test_a_directory_that_is_no_directory_further_up(tmp_path: Path, above: str) -> None:
    for kind, words in (("file", "is not a directory but a file"), ("dangling link", "is a link to")):
        culprit = tmp_path / kind
        KINDS[kind](culprit)
        done = rgchat(tmp_path, "", "--data", str(culprit / above))
        assert done.returncode == 1 and done.stderr.startswith(f"rgchat: {culprit} {words}"), done.stderr


def test_a_chat_that_meets_a_pipe_says_so(tmp_path: Path) -> None:
    """Both are opened when somebody chats, with the screen or without."""
    for name in (".chats.db.opening", "open/1.lock"):
        data = tmp_path / name.replace("/", "-")
        path = _put(data, name, "pipe")
        done = rgchat(tmp_path, "/open 1\n", "--data", str(data))
        assert done.returncode == 1 and f"{path} is not a file but a pipe" in done.stdout + done.stderr


def test_a_lock_that_somebody_else_has_made_is_named(tmp_path: Path) -> None:
    """It can't be opened, but what it is about can be read."""
    data = tmp_path / "data"
    with Store(data) as store:
        say(store, store.conversations.create("demo", "A fox"), None, "q", "in the wood")
    lock = data / ".chats.db.opening"
    lock.chmod(0)
    done = rgchat(tmp_path, "/list\n", "--data", str(data))
    assert f"{lock} can't be written: the conversations in {data / 'chats.db'} can be read" in done.stdout
    assert "1. A fox" in done.stdout
    (data / "chats.db").unlink()
    done = rgchat(tmp_path, "/list\n", "--data", str(data))
    assert done.stderr == f"rgchat: {lock} can't be opened (Permission denied): allow that, or name another directory\n"


@pytest.mark.parametrize("end", ["-wal", "-shm"])
def test_a_file_beside_the_store_that_may_not_be_written_is_named(tmp_path: Path, end: str) -> None:
    with Store(tmp_path / "first") as store:
        say(store, store.conversations.create("demo", "A fox"), None, "q", "a")
        shutil.copytree(tmp_path / "first", tmp_path / "data")  # as a crash leaves it
    culprit = tmp_path / "data" / f"chats.db{end}"
    culprit.chmod(0)
    done = rgchat(tmp_path, "/list\n", "--data", str(tmp_path / "data"))
    assert f"{culprit} can't be" in done.stdout + done.stderr and "disk is full" not in done.stdout + done.stderr
    assert "There are none" not in done.stdout  # what is in the log only is not left out


def test_links_to_what_is_there_are_followed(tmp_path: Path) -> None:
    real = tmp_path / "disk"
    with Store(real) as store:
        store.conversations.create("demo", "On another disk")
    (tmp_path / "data").symlink_to(real)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "chats.db").symlink_to(real / "chats.db")
    for data in (tmp_path / "data", tmp_path / "other"):
        with Store(data) as store:
            assert [one.title for one in store.conversations.listed()] == ["On another disk"]


def test_a_disk_that_is_unplugged_under_a_chat_is_not_made_up(tmp_path: Path) -> None:
    """Of a link to a disk: a folder in its place would hide the conversations on it, and be hidden by it."""
    data, disk = tmp_path / "data", tmp_path / "disk" / "chats"
    with Store(disk) as store:
        store.conversations.create("demo", "On another disk")
    data.mkdir()
    (data / "chats.db").symlink_to(disk / "chats.db")
    store = Store(data)
    claim = store.lock(1)
    assert claim is not None
    disk.parent.rename(tmp_path / "unplugged")
    said = say(store, store.conversations.get(1), None, "one", "two")
    assert not disk.parent.exists()
    assert len(store.notices) == 1 and "is in memory only" in store.notices[0]
    (tmp_path / "unplugged").rename(disk.parent)
    say(store, store.conversations.get(1), said[-1], "three")
    claim.release()
    store.close()
    with Store(data) as store:
        assert [m.text for m in store.messages.tree(1)] == ["one", "two", "three"]


@pytest.mark.parametrize("kind", ["device", "directory", "pipe"])
def test_a_link_to_something_else_than_a_file_is_named(tmp_path: Path, kind: str) -> None:
    """And not only where it leads: nobody is told to move a device away."""
    target = Path("/dev/zero") if kind == "device" else (tmp_path / "there").resolve()
    if kind == "directory":
        target.mkdir()
    elif kind == "pipe":
        os.mkfifo(target)
    path = tmp_path / "data" / "chats.db"
    path.parent.mkdir()
    path.symlink_to(target)
    with pytest.raises(StoreError) as raised:
        Store(path.parent)
    said = f"{path} is a link to {target}, which is not a file but a {kind}: remove the link, or name another directory"
    assert str(raised.value) == said and path.is_symlink()
