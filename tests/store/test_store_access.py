"""Directories and files that may not be entered, read or written: before the chat starts, and from then on under it."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from piped import AS_USER, Piped, rgchat
from ptys import Pty
from stores import check, say

from rgmlx.settings import OFFERED
from rgmlx.store import Store, migrations
from tui.prompt.drafts import Drafts

CUT = "/continue goes on with it"
CUTS = ("--max-tokens", "1", "--temperature", "0")
"""One word, the likeliest: each reply is cut, none ends by itself."""


def _rescued(home: Path, data: Path, *asked: str) -> None:
    """What was in memory is in a private file, and comes into another store from there."""
    (file,) = home.glob("rgchat-rescued-*.db")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with Store(data) as store:
        store.recover(file)
        found = [m.text for one in store.conversations.listed() for m in store.messages.path(one.head)]
    assert set(asked) <= set(found)
    check(data)


def test_permissions_that_go_under_a_running_chat(tmp_path: Path) -> None:
    """1: the directory may not be entered any more: it goes on in memory, also with a new conversation, and says so."""
    data = tmp_path / "data"
    chat = Piped(tmp_path, "--data", str(data), *CUTS)
    try:
        chat.send("alpha", CUT)
        data.chmod(0)
        chat.send("beta", CUT, 2)
        chat.send("/new", "new conversation", 2)
        chat.send("gamma", CUT, 3)
        chat.end()
    finally:
        data.chmod(0o700)
        chat.process.kill()
    assert chat.output.count("is in memory only") == 1 and "Permission denied" in chat.output
    _rescued(tmp_path, tmp_path / "other", "beta", "gamma")
    assert "was not sent" not in chat.output and "Errno" not in chat.output


def test_permissions_that_come_back(tmp_path: Path) -> None:
    """1: what was written meanwhile is in the file, which is used as before."""
    data = tmp_path / "data"
    chat = Piped(tmp_path, "--data", str(data), *CUTS)
    try:
        chat.send("alpha", CUT)
        data.chmod(0)
        chat.send("beta", CUT, 2)
        data.chmod(0o700)
        chat.send("gamma", CUT, 3)
        assert chat.end() == 0
    finally:
        data.chmod(0o700)
        chat.process.kill()
    with Store(data) as store:
        path = store.messages.path(store.conversations.listed()[0].head)
    assert [m.text for m in path][::2] == ["alpha", "beta", "gamma"]


@pytest.mark.parametrize("again", [False, True], ids=["no place", "a place again"])
def test_what_is_in_memory_only_is_written_elsewhere_at_the_end(tmp_path: Path, again: bool) -> None:
    """2: with its path as the last word and exit code 1; where there is a place again, there and with code 0."""
    data = tmp_path / "data"
    chat = Piped(tmp_path, "--data", str(data), *CUTS)
    try:
        chat.send("alpha", CUT)
        shutil.rmtree(data)
        data.touch()
        chat.send("beta", CUT, 2)
        chat.send("/new", "new conversation", 2)
        chat.send("gamma", CUT, 3)
        if again:
            data.unlink()
        assert chat.end() == int(not again)
    finally:
        chat.process.kill()
    last = chat.output.strip().splitlines()[-1]
    if again:
        assert not list(tmp_path.glob("rgchat-rescued-*"))
        with Store(data) as store:
            assert {m.text for one in store.conversations.listed() for m in store.messages.path(one.head)} > {
                "alpha",
                "beta",
                "gamma",
            }
    else:
        assert str(tmp_path / "rgchat-rescued-") in last
        _rescued(tmp_path, tmp_path / "other", "alpha", "beta", "gamma")


def test_the_screen_writes_what_is_in_memory_only_elsewhere(tmp_path: Path) -> None:
    """2: Ctrl+Q does the same."""
    data = tmp_path / "data"
    with Store(data):
        pass  # no guide
    chat = Pty(tmp_path, *AS_USER, sys.executable, "-m", "tui", "--data", str(data), *CUTS)
    try:
        chat.wait(" MB, always")
        chat.send("alpha\r")
        chat.wait("cut short")
        data.chmod(0)
        chat.send("beta\r")
        chat.wait("in memory only")
        chat.send("\x11")
        assert chat.end() == 1
    finally:
        data.chmod(0o700)
        chat.close()
    assert f"{tmp_path}/rgchat-rescued-" in chat.text
    _rescued(tmp_path, tmp_path / "other", "alpha", "beta")


@pytest.mark.parametrize("modes", [(0o500, 0o400), (0o500, 0o600), (0o700, 0o400)], ids=["both", "directory", "file"])
@pytest.mark.parametrize("deleted", [False, True])
def test_a_store_that_can_not_be_written_is_read(tmp_path: Path, modes: tuple[int, int], deleted: bool) -> None:
    """4: a backup, a medium for reading: it opens, is listed, searched and exported, and stays as it is."""
    data, out = tmp_path / "data", tmp_path / "out.md"
    with Store(data) as store:
        chat = store.conversations.create("demo", "A fox")
        say(store, chat, None, "where is the fox", "in the wood")
        if deleted:
            gone = store.conversations.create("demo", "Gone")
            with store._database.transaction() as c:
                c.execute("UPDATE conversations SET deleted = 1.0 WHERE id = ?", (gone.id,))
    for path in data.iterdir():
        if path.name != "chats.db":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (data / "chats.db").chmod(modes[1])
    before = (data / "chats.db").read_bytes()
    data.chmod(modes[0])
    try:
        done = rgchat(tmp_path, f"/list\n/find wood\n/open 1\n/export {out}\nhello\n/rename x\n", "--data", str(data))
    finally:
        data.chmod(0o700)
    assert done.returncode == 1 and not done.stderr
    assert "can't be written: its conversations can be read and exported" in done.stdout
    assert "1. A fox" in done.stdout and "in the wood" in out.read_text()
    assert "This was not sent: " in done.stdout and "broke off" not in done.stdout
    assert (data / "chats.db").read_bytes() == before
    assert modes[0] == 0o700 or [path.name for path in data.iterdir()] == ["chats.db"]


OPTIONS = [f"--{name.replace('_', '-')} {setting.sample}" for name, setting in OFFERED.items()]
OPTIONS += ["", "--model demo", "--theme light"]


@pytest.mark.parametrize("options", OPTIONS)
def test_a_store_that_can_not_be_written_opens_with_every_option(tmp_path: Path, options: str) -> None:
    """5: where its last conversation stands, and one goes about in it; nothing of that is written."""
    data = tmp_path / "data"
    with Store(data) as store:
        chat = store.conversations.create("demo", "A fox", settings={"temperature": 0.25})
        say(store, chat, None, "where is the fox", "in the wood", "and the bear", "in the den")
    shutil.rmtree(data / "open", ignore_errors=True)
    before = (data / "chats.db").read_bytes()
    data.chmod(0o500)
    (data / "chats.db").chmod(0o400)
    chat_there = Pty(tmp_path, *AS_USER, sys.executable, "-m", "tui", "--plain", "--data", str(data), *options.split())
    try:
        chat_there.wait("can't be written: its conversations can be read and exported")
        chat_there.wait("Going on with: A fox")
        for line, answer in {
            "/back": "in the wood",
            "/forward": "in the den",
            "/set top_p 0.5": "top_p: 0.5",
            "/set": f"temperature: {options.split()[1] if 'temperature' in options else 0.25}",
            "/model demo": "Model: demo",
            "more": "This was not sent",
            "/find wood": "1. A fox: in the wood",
            "/open 1": "Going on with: A fox",
        }.items():
            chat_there.send(f"{line}\n")
            chat_there.wait(answer)
        chat_there.send("/quit\n")
        assert chat_there.end() == 0
    finally:
        data.chmod(0o700)
        chat_there.close()
    assert (data / "chats.db").read_bytes() == before


def test_a_log_that_can_not_be_read_in_is_not_left_out(tmp_path: Path) -> None:
    """4: what is in the log only counts: without it the file is not opened, and nothing of it is hidden."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    with Store(data) as store:
        chat = store.conversations.create("demo", "A fox")
        say(store, chat, None, "where is the fox", "in the wood")
        copy.mkdir()
        for end in ("", "-wal"):
            shutil.copy(data / f"chats.db{end}", copy / f"chats.db{end}")
    copy.chmod(0o500)
    try:
        done = rgchat(tmp_path, "/open 1\n", "--data", str(copy))
    finally:
        copy.chmod(0o700)
    assert done.returncode == 1 and "There are none" not in done.stdout
    assert "in the wood" in done.stdout or "can't be" in done.stderr


SENTENCES = {
    "barred": "conversations can't be kept in barred/x (Permission denied)",
    "long": "(File name too long)",
    "unreadable": "unreadable/chats.db can't be read: allow reading it",
    "directory": "directory/chats.db is not a file",
    "fifo": "fifo/chats.db is not a file",
    "empty": "the name is empty",
    "--recover directory": "directory is not a file",
    "--recover /dev/null": "/dev/null is not a file",
    "--recover fifo/chats.db": "fifo/chats.db is not a file",
    "--recover loop": "loop can't be read (Too many levels of symbolic links)",
    "--recover none": "there is no file none",
}


@pytest.mark.parametrize("what", SENTENCES)
def test_a_place_that_can_not_be_used_is_one_sentence(tmp_path: Path, what: str) -> None:
    """6: what is wrong, in one sentence."""
    for name in ("barred", "unreadable", "directory", "fifo"):
        (tmp_path / name).mkdir()
    (tmp_path / "unreadable" / "chats.db").touch(0)
    (tmp_path / "directory" / "chats.db").mkdir()
    os.mkfifo(tmp_path / "fifo" / "chats.db")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "barred").chmod(0)
    names = {"barred": "barred/x", "long": "n" * 300, "empty": ""}
    arguments = ["--data", "fresh", *what.split()] if " " in what else ["--data", names.get(what, what)]
    try:
        done = rgchat(tmp_path, "", *arguments, cwd=tmp_path)
    finally:
        (tmp_path / "barred").chmod(0o700)
    assert done.returncode in (1, 2) and not done.stdout
    assert SENTENCES[what] in done.stderr.splitlines()[-1] and "Errno" not in done.stderr


def test_a_directory_that_is_named_like_a_uri(tmp_path: Path) -> None:
    """6: it is a directory all the same."""
    done = rgchat(tmp_path, "/list\n", "--data", "file:x", cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "file:x" / "chats.db").stat().st_size


# --- the store goes, and nothing is sent any more -----------------------------------------


def _empty(data: Path) -> None:
    os.truncate(data / "chats.db", 0)
    for path in data.glob("chats.db-*"):
        path.unlink()


GOING: dict[str, Callable[[Path], None]] = {"directory": shutil.rmtree, "contents": _empty}


@pytest.mark.parametrize("going", GOING)
@pytest.mark.parametrize("then", ["quit", "another"])
def test_a_conversation_whose_store_goes_is_written_again_when_it_is_left(
    tmp_path: Path, going: str, then: str
) -> None:
    """Also where nothing was sent since then; and what was typed is found in the prompt the next time."""
    data = tmp_path / "data"
    with Store(data):
        pass  # no guide
    chat = Pty(tmp_path, *AS_USER, sys.executable, "-m", "tui", "--data", str(data), *CUTS)
    try:
        chat.wait(" MB, always")
        chat.send("alpha\r")
        chat.wait("cut short")
        GOING[going](data)
        if then == "another":
            chat.send("/new\r")
            chat.wait("New conversation")
        chat.send("half a thought")
        chat.wait("half a thought")
        chat.send("\x11")
        assert chat.end() == 0
    finally:
        chat.close()
    assert "written there again" in " ".join(chat.text.split())
    with Store(data) as store:
        (one,) = store.conversations.listed()
        assert next(m.text for m in store.messages.path(one.head)) == "alpha"
        draft = Drafts(data / "drafts").read(one if then == "quit" else None)
        assert draft is not None and draft.text == "half a thought"
    check(data)


@pytest.mark.parametrize("going", GOING)
def test_lines_leave_a_conversation_whose_store_goes(tmp_path: Path, going: str) -> None:
    data = tmp_path / "data"
    chat = Piped(tmp_path, "--data", str(data), *CUTS)
    try:
        chat.send("alpha", CUT)
        GOING[going](data)
        assert chat.end() == 0
    finally:
        chat.process.kill()
    assert "written there again" in chat.output.strip().splitlines()[-1]
    with Store(data) as store:
        assert store.messages.get(1).text == "alpha"


def test_a_store_without_a_byte_is_said_to_be_empty(tmp_path: Path) -> None:
    """One is never left so, not by a crash in the first moment either: something has emptied it."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "chats.db").touch()
    done = rgchat(tmp_path, "/list\n", "--data", str(data))
    assert (
        "The file of conversations was empty or missing. Nothing in it could be read, and a new one was begun."
        in done.stdout
    )
    assert "was empty" not in rgchat(tmp_path, "/list\n", "--data", str(data)).stdout


@pytest.mark.parametrize("how", ["emptied", "removed"])
def test_what_is_in_the_log_alone_is_read_from_there(tmp_path: Path, how: str) -> None:
    """SQLite would begin the file anew, and remove the log."""
    data = tmp_path / "data"
    with Store(tmp_path / "first") as store:
        say(store, store.conversations.create("demo", "A fox"), None, "where is it", "in the wood")
        store._database.rows(f"PRAGMA user_version = {migrations.VERSION}")  # the first page is in the log as well
        shutil.copytree(tmp_path / "first", data)
    if how == "emptied":
        os.truncate(data / "chats.db", 0)
    else:
        (data / "chats.db").unlink()
    with Store(data) as store:
        (notice,) = store.notices
        assert "was empty or missing. 1 conversation and 2 messages were kept" in notice
        assert [m.text for m in store.messages.tree(1)] == ["where is it", "in the wood"]
    check(data)
