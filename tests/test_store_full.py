"""B12: a disk with no byte left: the chat opens, reads, exports and deletes, and snapshots give way before text is refused."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import Scripted
from stores import check, say, texts

from rgmlx.store import DiskFullError, Store, StoreError
from tui.plain import PlainChat


class Disk:
    """A small disk.

    Attributes:
        data: where conversations are on it.
    """

    def __init__(self, root: Path) -> None:
        self._root, self.data = root, root / "data"

    def fill(self, *, reserve: bool = True) -> None:
        """Leaves not a byte; `reserve`: but what is kept free."""
        if not reserve:
            (self.data / ".chats.reserve").unlink()
        descriptor = os.open(self._root / "filling", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for size in (65536, 4096, 1):
            try:
                while True:
                    os.write(descriptor, b"x" * size)
            except OSError:
                continue
        os.close(descriptor)
        assert os.statvfs(self._root).f_bavail == 0

    def clear(self) -> None:
        (self._root / "filling").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    root = tmp_path / "disk"
    root.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(root)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk; the limit on file sizes below stands in for it")
    yield Disk(root)
    subprocess.run(["umount", "-l", str(root)], check=True)


def _fill_store(store: Store, snapshots: int) -> int:
    """A conversation, and rows that are as large as states."""
    chat = store.conversations.create("demo", "A chat")
    ids = say(store, chat, None, *(f"message {n}" for n in range(6)))
    if snapshots:  # else there is no file of states
        with store._database.states.transaction() as c:
            for number in range(snapshots):
                c.execute(
                    "INSERT INTO snapshots (conversation, message, identity, links, chars, hash, created, digest, checksum, "
                    "size, used, unread, data) "
                    "VALUES (?, ?, ?, 0, 1, x'', 1, x'', x'', 100000, ?, x'', randomblob(100000))",
                    (chat.id, ids[-1], str(number), number),
                )
    return chat.id


def test_a_full_disk_is_opened_read_exported_and_deleted_from(disk: Disk) -> None:
    with Store(disk.data) as store:
        chat = _fill_store(store, 0)
    disk.fill(reserve=False)
    with Store(disk.data) as store:
        (notice,) = store.notices
        assert "The disk is full" in notice
        one = store.conversations.get(chat)
        with store.claim(chat):  # type: ignore[union-attr]
            pass
        assert texts(store, one.head) == [f"message {n}" for n in range(6)]
        assert "message 5" in store.exchange.markdown(chat) and "message 5" in store.exchange.to_json(chat)
        assert store.search.find("message")
        for _ in range(2):
            with pytest.raises(DiskFullError, match="disk is full"):
                store.messages.add_user(chat, one.head, "more")
        store.conversations.delete(chat)
        assert store.conversations.listed() == []
    with Store(disk.data) as store:
        assert [c.id for c in store.conversations.deleted()] == [chat]
        disk.clear()
        store.conversations.undelete(chat)
        assert store.messages.add_user(chat, one.head, "more").text == "more"  # there is room: it goes on as usual
        assert store._database.row("PRAGMA journal_mode")[0] == "wal"
    check(disk.data)


def test_snapshots_give_way_when_a_full_disk_is_opened(disk: Disk) -> None:
    with Store(disk.data) as store:
        chat = _fill_store(store, 10)
    disk.fill()
    with Store(disk.data) as store:
        assert store.notices == [] and store.snapshots.usage().count == 0
        store.messages.add_user(chat, store.conversations.get(chat).head, "more")
    with Store(disk.data) as store:
        assert texts(store, store.conversations.get(chat).head)[-1] == "more"
    check(disk.data)


def test_snapshots_give_way_before_text_is_refused(disk: Disk) -> None:
    with Store(disk.data) as store:
        chat = _fill_store(store, 20)
        disk.fill()
        head, written = store.conversations.get(chat).head, 0
        with pytest.raises(DiskFullError):
            while written < 1000:
                reply = store.messages.start_reply(chat, head)
                store.messages.append(reply.id, "y" * 20_000)
                head = store.messages.finish(reply.id, closed=True).id
                written += 1
        assert store.snapshots.usage().count == 0
        assert written > 10, "the room that snapshots took is for text"
        assert len(texts(store, head)) == 6 + written
        disk.clear()
        store.messages.add_user(chat, head, "room again")
    check(disk.data)
    with Store(disk.data) as store:
        assert store.notices == []


def test_a_damaged_file_on_a_full_disk_stays_as_it_is(disk: Disk) -> None:
    with Store(disk.data) as store:
        _fill_store(store, 0)
    path = disk.data / "chats.db"
    path.write_bytes(bytes(100) + path.read_bytes()[100:])
    damaged = path.read_bytes()
    disk.fill()
    with pytest.raises(StoreError, match="disk is full"):
        Store(disk.data)
    assert path.read_bytes() == damaged
    disk.clear()
    with Store(disk.data) as store:
        assert "6 messages were kept" in store.notices[0]
    check(disk.data)


def test_rgchat_on_a_full_disk(disk: Disk, tmp_path: Path) -> None:
    with Store(disk.data) as store:
        _fill_store(store, 0)
    disk.fill(reserve=False)
    export = tmp_path / "out.md"
    command = [sys.executable, "-m", "tui", "--plain", "--data", str(disk.data)]
    lines = f"/open 1\nanother message\n/export {export}\n/delete\n/list\n"
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    root = Path(__file__).parent.parent
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=root, env=home)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "The disk is full: conversations can be read" in done.stdout
    assert "This was not sent: the disk is full" in done.stdout
    assert "message 5" in export.read_text()
    assert "Deleted." in done.stdout and "There are none." in done.stdout


_LIMITED = """
import json, resource, signal, sys
from rgmlx.store import Store, DiskFullError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
with Store(sys.argv[1]) as store:
    one = store.conversations.listed()[0]
    found = [m.text for m in store.messages.path(one.head)]
    markdown = store.exchange.markdown(one.id)
    try:
        store.messages.add_user(one.id, one.head, "x" * 500_000)
        refused = ""
    except DiskFullError as e:
        refused = str(e)
    store.conversations.delete(one.id)
    print(json.dumps([found, len(markdown), refused, len(store.conversations.listed()), store.notices]))
"""


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """A limit on the size of files is nearly as good as a full disk, and anybody may set it."""
    with Store(tmp_path) as store:
        _fill_store(store, 0)
    done = subprocess.run([sys.executable, "-c", _LIMITED, str(tmp_path), "40000"], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    found, exported, refused, left, notices = json.loads(done.stdout)
    assert found == [f"message {n}" for n in range(6)] and exported and refused
    assert left == 0 and notices == []
    with Store(tmp_path) as store:
        assert store.notices == [] and len(store.conversations.deleted()) == 1
    check(tmp_path)


# --- the exit code of a pipe --------------------------------------------------------------


@pytest.mark.parametrize("which", ["message", "reply", "file", "none"])
def test_a_piped_message_that_is_not_stored_is_exit_code_1(tmp_path: Path, monkeypatch, capsys, which: str) -> None:
    session = Scripted(tmp_path, ["Good ", "day."])
    session.loaded = True
    monkeypatch.setattr(session, "needs", lambda: None)
    messages = session.store.messages

    def refuse(*_: object, **__: object) -> None:
        raise StoreError("the disk is full: make room")

    if which == "message":
        monkeypatch.setattr(messages, "add_user", refuse)
    elif which == "reply":
        monkeypatch.setattr(messages, "append", refuse)
    text = "see @./missing.txt" if which == "file" else "Hello"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{text}\n/list\n".encode()), "utf-8"))
    assert PlainChat(session).run() == (0 if which == "none" else 1)
    out = capsys.readouterr().out
    assert ("disk is full" in out) == (which in ("message", "reply"))
