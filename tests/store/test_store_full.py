"""B12: a disk with no byte left: the chat opens, reads, exports and deletes, and snapshots give way before text is refused."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rooms
from piped import Piped
from ptys import Pty
from scripted import Scripted, command, idle, notices, screen
from sessions import STORY, Open, continues_as_written, some
from stores import check, say, texts
from waiting import wait_for, wait_until

from rgmlx.store import Conversation, DiskFullError, Store, StoreError
from tui.app import ChatApp
from tui.plain import PlainChat
from tui.prompt.drafts import Draft, Drafts
from tui.prompt.prompt import Prompt


class Disk:
    """A small disk.

    Attributes:
        data: where conversations are on it.
    """

    def __init__(self, root: Path) -> None:
        self._root, self.data = root, root / "data"

    def fill(self, *, reserve: bool = True) -> None:
        """Leaves not a byte; `reserve`: but what is kept free, if anything is."""
        if not reserve:
            (self.data / ".chats.reserve").unlink(missing_ok=True)
        self._take_all()
        assert os.statvfs(self._root).f_bavail == 0

    def fill_at_once(self) -> None:
        """Nor any room in the log, which a running reply would write into for half a minute more."""
        with contextlib.closing(sqlite3.connect(self.data / "chats.db")) as connection:
            wait_for(lambda: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
        self.fill(reserve=False)

    def _take_all(self) -> None:
        descriptor = os.open(self._root / "filling", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(descriptor, b"x" * size)
        os.close(descriptor)

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
        with store.lock(chat):  # type: ignore[union-attr]
            pass
        assert texts(store, one.head) == [f"message {n}" for n in range(6)]
        assert "message 5" in store.import_export.markdown(chat) and "message 5" in store.import_export.to_json(chat)
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


def _resize(disk: Disk, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk.data.parent)], check=True)


def _free(disk: Disk) -> int:
    found = os.statvfs(disk.data.parent)
    return found.f_bavail * found.f_frsize


def _put_state(store: Store, chat: int, message: int, size: int) -> None:
    """A row as large as a state."""
    sql = (
        "INSERT INTO snapshots (conversation, message, identity, links, chars, hash, created, digest, checksum, size, used, "
        "unread, data) VALUES (?, ?, 'x', 0, 1, x'', 1, x'', x'', ?, 1, x'', randomblob(?))"
    )
    store._database.states.write(lambda c: c.execute(sql, (chat, message, size, size)))


def test_a_state_that_has_no_room_takes_none(disk: Disk) -> None:
    """A disk of 1 MB: what was written of it stays in no log, and the next text is not refused."""
    _resize(disk, "1m")
    with Store(disk.data) as store:
        chat, head = store.conversations.create("demo"), None
        head = say(store, chat, head, "hello", "Hi.")[-1]
        _put_state(store, chat.id, head, 1000)  # its file and its log are there
        with pytest.raises(DiskFullError):
            _put_state(store, chat.id, head + 1, 2_000_000)
        assert _free(disk) > 400_000
        head = say(store, chat, head, "y" * 50_000, "z" * 50_000)[-1]
        assert len(texts(store, head)) == 4
    check(disk.data)


def test_the_log_of_states_gives_way_without_a_row_in_the_file(disk: Disk) -> None:
    """A write that another program, or an earlier one, could not end has left it."""
    _resize(disk, "1m")
    with Store(disk.data) as store:
        chat = store.conversations.create("demo")
        head = say(store, chat, None, "hello", "Hi.")[-1]
        states = store._database.states
        assert states.writable  # the file is made
        with contextlib.closing(sqlite3.connect(states.path, isolation_level=None)) as c:
            c.execute("PRAGMA cache_size = 5")
            c.execute("BEGIN")
            with pytest.raises(sqlite3.OperationalError, match="full"):
                c.execute("CREATE TABLE t AS SELECT randomblob(2000000)")
            assert Path(f"{states.path}-wal").stat().st_size > 200_000
            assert not states.rows("SELECT 1 FROM snapshots")
            head = say(store, chat, head, "y" * 50_000, "z" * 50_000)[-1]
        assert len(texts(store, head)) == 4
    check(disk.data)


def test_states_of_an_earlier_run_give_way(disk: Disk) -> None:
    """They were not even opened yet."""
    with Store(disk.data) as store:
        chat = _fill_store(store, 20)
    with Store(disk.data) as store:
        disk.fill(reserve=False)
        head = store.conversations.get(chat).head
        head = say(store, store.conversations.get(chat), head, "y" * 200_000, "z" * 200_000)[-1]
        assert len(texts(store, head)) == 8
    check(disk.data)


@pytest.mark.parametrize("new", [False, True], ids=["of a conversation", "of a new one"])
def test_states_give_way_to_a_draft(disk: Disk, new: bool) -> None:
    with Store(disk.data) as store:
        one = store.conversations.get(_fill_store(store, 50))
    with Store(disk.data) as store:
        disk.fill(reserve=False)
        drafts, row, draft = disk.data / "drafts", None if new else one, Draft("y" * 100_000)
        alone = Drafts(drafts)
        with pytest.raises(OSError):  # no room for the directory, or its file
            alone.write(row, draft, alone.ticket())
        alone.close()
        made = Drafts(drafts, make_room=store.free_disk_space)
        made.write(row, draft, made.ticket())
        made.close()
        assert Drafts(drafts).read(row) == draft and made.rescue() == ""
        assert texts(store, one.head) == [f"message {n}" for n in range(6)]
    check(disk.data)


def test_a_draft_that_has_no_room_at_all_asks_once(disk: Disk) -> None:
    asked = list[int]()
    disk.data.mkdir()
    disk.fill()
    made = Drafts(disk.data / "drafts", make_room=lambda: asked.append(1))
    with pytest.raises(OSError, match="No space left"):
        made.write(None, Draft("y" * 10_000), made.ticket())
    assert asked == [1]


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
    root = rooms.ROOT
    done = subprocess.run(command, input=lines, capture_output=True, text=True, cwd=root, env=home)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "The disk is full: conversations can be read" in done.stdout
    assert "This was not sent: the disk is full" in done.stdout
    assert "message 5" in export.read_text()
    assert "Deleted." in done.stdout and "There are none." in done.stdout


async def test_the_screen_on_a_full_disk(disk: Disk, tmp_path: Path) -> None:
    with Store(disk.data) as store:
        _fill_store(store, 0)
    disk.fill(reserve=False)
    chat, export = Scripted(disk.data, ["ok"]), tmp_path / "out.md"
    assert chat.open(1)
    app = ChatApp(chat)
    async with app.run_test(size=(80, 24)):
        await wait_until(lambda: idle(app) and "The disk is full: conversations can be read" in notices(app))
        assert any("message 5" in text for text in screen(app))
        await command(app, "another message")
        await wait_until(lambda: idle(app) and "This was not sent: the disk is full" in notices(app))
        assert app.query_one(Prompt).text == "another message"
        await command(app, f"/export {export}")
        await wait_until(lambda: idle(app) and export.exists() and "message 5" in export.read_text())
        await command(app, "/delete")
        await wait_until(lambda: chat.conversation is None and chat.store.conversations.listed() == [])
    chat.close()
    chat.store.close()
    check(disk.data)


_LIMITED = """
import json, resource, signal, sys
from rgmlx.store import Store, DiskFullError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
with Store(sys.argv[1]) as store:
    one = store.conversations.listed()[0]
    found = [m.text for m in store.messages.path(one.head)]
    markdown = store.import_export.markdown(one.id)
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


# --- a disk that is too small from the beginning ------------------------------------------

SMALL = [f"size={kb}k" for kb in (4, 16, 40, 80, 100, 120, 160, 200)] + [f"size=12m,nr_inodes={n}" for n in range(2, 7)]
ROOM = "mount -o remount,size=12m,nr_inodes=100"


@pytest.mark.parametrize("size", SMALL)
def test_a_disk_that_is_too_small_for_an_empty_store_is_full(disk: Disk, size: str) -> None:
    """12a: that is what is said, whatever SQLite says of it; and with room all is well."""
    subprocess.run(["mount", "-o", f"remount,{size}", str(disk.data.parent)], check=True)
    for _ in range(2):
        try:
            with Store(disk.data) as store:
                assert all("The disk is full" in notice for notice in store.notices)
                store.messages.add_user(store.conversations.create("demo").id, None, "hello")
        except DiskFullError as e:
            assert str(e).startswith("the disk is full: make room for")
            there = {path.name for path in disk.data.iterdir()} if disk.data.exists() else set()
            assert ".chats.db.part" not in there
    subprocess.run([*ROOM.split(), str(disk.data.parent)], check=True)
    with Store(disk.data) as store:
        assert store.notices == []
        store.messages.add_user(store.conversations.create("demo").id, None, "hello")
    check(disk.data)


_SMALL = """
import resource, signal, sys
from rgmlx.store import Store, StoreError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    Store(sys.argv[1])
except StoreError as e:
    print(e)
"""


@pytest.mark.parametrize("limit", [0, 4096, 20_000, 60_000, 80_000])
def test_a_store_is_made_whole_or_not_at_all(tmp_path: Path, limit: int) -> None:
    """12a, where nobody may mount a disk."""
    done = subprocess.run([sys.executable, "-c", _SMALL, str(tmp_path), str(limit)], capture_output=True, text=True)
    assert "full" in done.stdout and done.stdout.count("\n") == 1 and not done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".chats.db.opening"]
    with Store(tmp_path) as store:
        assert store.notices == []
    check(tmp_path)


def test_a_file_without_tables_on_a_full_disk_is_no_store_to_read(disk: Disk) -> None:
    """12a: an earlier version has left one, where there was room for the first page."""
    disk.data.mkdir()
    connection = sqlite3.connect(disk.data / "chats.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    disk.fill()
    for _ in range(2):
        with pytest.raises(DiskFullError, match="the disk is full"):
            Store(disk.data)
    disk.clear()
    with Store(disk.data) as store:
        store.conversations.create("demo")


# --- what is on the screen, and not on the disk -------------------------------------------


def _rescued(home: Path, tmp_path: Path) -> list[str]:
    """The conversation in the file that was written elsewhere, with one that was cut off on the disk beside it."""
    (file,) = home.glob("rgchat-rescued-*.db")
    with Store(tmp_path / "other") as store:
        report = store.recover(file)
        assert (report.damaged, report.lost) == (0, 0)
        found = texts(store, store.conversations.listed()[0].head)
    check(tmp_path / "other")
    return found


def _keep_no_states(home: Path) -> None:
    """What would give way to text for minutes."""
    for config in (home / "rgmlx", home / ".config" / "rgmlx"):
        config.mkdir(parents=True)
        (config / "rgchat.toml").write_text("snapshot_bytes = 0\n")


def test_all_that_was_delivered_before_the_disk_was_full_is_kept_elsewhere(disk: Disk, tmp_path: Path) -> None:
    """4: word for word, with its path as the last line and code 1."""
    _keep_no_states(tmp_path)
    chat = Piped(tmp_path, "--data", str(disk.data))
    try:
        chat.send("Tell me a story about a fox.", "\n\n")
        chat.send("/endless", "Assistant: ", 2)
        wait_for(lambda: len(chat.output.rpartition("Assistant: ")[2]) > 400)  # of the reply itself
        disk.fill_at_once()
        wait_for(lambda: "in memory only" in chat.output)
        assert chat.end() == 1
    finally:
        chat.process.kill()
    assert f"{tmp_path}/rgchat-rescued-" in chat.output.strip().splitlines()[-1]
    found = _rescued(tmp_path, tmp_path)
    shown = chat.output.rpartition("Assistant: ")[2].partition("The disk is full: make room")[0]
    assert found[-1].strip().endswith(shown.strip()) and len(shown) > 300
    disk.clear()
    with Store(disk.data) as store:
        head = store.conversations.listed()[0].head
        assert len(texts(store, head)[-1]) < len(found[-1])  # what there was room for
        store.recover(next(tmp_path.glob("rgchat-rescued-*")))
        assert {m.text for m in store.messages.tree(1)} >= {found[-1]}
    check(disk.data)


def test_the_screen_keeps_elsewhere_what_there_was_no_room_for(disk: Disk, tmp_path: Path) -> None:
    """4: Ctrl+Q does the same."""
    with Store(disk.data):
        pass  # no guide
    _keep_no_states(tmp_path)
    chat = Pty(tmp_path, sys.executable, "-m", "tui", "--data", str(disk.data), "--max-tokens", "1")
    try:
        chat.wait(" MB, always")
        chat.send("Tell me a story about a fox.\r")
        chat.wait("cut short")
        chat.send("/endless\r")
        with Store(disk.data) as store:

            def grown() -> bool:
                chat.read(0.05)  # a screen that nobody reads holds it up
                return len(store.messages.tree(1)[-1].text) > 300

            wait_for(grown, about=lambda: chat.text[-3000:])
        disk.fill_at_once()
        chat.wait("in memory only")
        chat.send("\x11")
        assert chat.end() == 1
    finally:
        chat.close()
    assert f"{tmp_path}/rgchat-rescued-" in chat.text and "Traceback" not in chat.text
    found = _rescued(tmp_path, tmp_path)
    with Store(disk.data) as store:
        kept = texts(store, store.conversations.listed()[0].head)
    assert found[-1].startswith(kept[-1]) and len(found[-1]) > len(kept[-1])


class NoRoom:
    """Every write of a store fails from some moment on."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full, write = False, store._database.write

        def refuse(*arguments: Any, **settings: Any) -> Any:
            if self.full:
                raise DiskFullError("the disk is full: make room")
            return write(*arguments, **settings)

        monkeypatch.setattr(store._database, "write", refuse)


@pytest.mark.parametrize("then", ["elsewhere", "there again", "goes on"])
def test_what_was_delivered_counts_though_it_can_not_be_written(
    begin: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """4: it is read and exported with the rest, and written first once there is room."""
    monkeypatch.setenv("HOME", str(tmp_path))
    session = begin()
    session.add_user_message(STORY)
    room, delivered = NoRoom(session.store, monkeypatch), ""
    with pytest.raises(StoreError, match="disk is full"):
        for piece in session.generate_reply(endless=True):
            delivered += piece
            if session.store.messages.get(2).text and len(delivered) > 100:
                room.full = True
    assert session.head is not None and session.head.text == delivered == session.texts()[-1]
    assert "in memory only" in session.notices.pop()
    exchange, chat = session.store.import_export, session.head.conversation
    assert (
        delivered in exchange.markdown(chat) and json.loads(exchange.to_json(chat))["messages"][1]["text"] == delivered
    )
    with pytest.raises(StoreError, match="disk is full"):
        session.add_user_message("more")
    assert len(session.texts()) == 2
    if then == "elsewhere":
        assert str(tmp_path) in session.store.rescue()
        assert _rescued(tmp_path, tmp_path) == [STORY, delivered]
        return
    room.full = False
    if then == "there again":
        assert session.store.rescue() == ""
    else:
        continues_as_written(begin, session, delivered)
        assert session.store.rescue() == ""
    with Store(session.store.directory) as other:
        found = other.messages.tree(chat)
        assert found[1].text == delivered and not found[1].streaming and not found[1].damaged
        assert len(found) == (2 if then == "there again" else 4)


def test_a_reply_that_is_gone_on_with_when_there_is_room_again(begin: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    session = begin()
    session.add_user_message(STORY)
    room, delivered = NoRoom(session.store, monkeypatch), ""
    with pytest.raises(StoreError):
        for piece in session.generate_reply(endless=True):
            delivered += piece
            room.full = len(delivered) > 100
    room.full = False
    more = some(session, session.continue_reply())
    assert session.texts()[-1] == delivered + more
    continues_as_written(begin, session, delivered + more)


@pytest.mark.parametrize("followed", [False, True])
def test_a_reply_that_another_program_has_ended_meanwhile(store: Store, chat: Conversation, followed: bool) -> None:
    """Its end is added, unless something follows it by now."""
    reply = store.messages.start_reply(chat.id, say(store, chat, None, "q")[0])
    store.messages.append(reply.id, "It begins")
    store.messages.defer(reply, " and it ends.", [1])
    with Store(store.directory) as other:
        other.messages.end_open_replies(chat.id)
        if followed:
            other.messages.add_user(chat.id, reply.id, "more")
    assert store.rescue() == ""
    found = store.messages.get(reply.id)
    assert found.text == ("It begins" if followed else "It begins and it ends.") and not found.streaming
    assert not found.damaged


def test_what_is_owed_to_a_reply_that_is_no_more_is_forgotten(store: Store, chat: Conversation) -> None:
    asked = say(store, chat, None, "q")[0]
    for what in ("discarded", "purged"):
        one = chat if what == "discarded" else store.conversations.create("demo")
        reply = store.messages.start_reply(one.id, asked if one == chat else None)
        store.messages.defer(reply, "the end", [1])
        assert store.messages.get(reply.id).text == "the end"
        if what == "discarded":
            store.messages.discard(reply.id)
        else:
            store.conversations.delete(one.id)
            store.conversations.purge(older_than=-1)
        store.messages.add_user(chat.id, asked, "more")
        assert store.rescue() == ""


# --- the exit code of a pipe --------------------------------------------------------------


@pytest.mark.parametrize("which", ["message", "reply", "file", "none"])
def test_a_piped_message_that_is_not_stored_is_exit_code_1(tmp_path: Path, monkeypatch, capsys, which: str) -> None:
    session = Scripted(tmp_path, ["Good ", "day."])
    session.loaded = True
    monkeypatch.setattr(session, "require_context", lambda: None)
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
