"""The user's editor: which one it is, what it is given, what comes back; in a terminal that is whole again afterwards."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import rooms
from ptys import ptys  # noqa: F401 - a fixture
from scripted import Scripted, command, idle, notices
from waiting import wait_for, wait_until

from rgmlx.errors import ChatError
from tui.app import ChatApp
from tui.terminal import editor

SIZE = (80, 24)
CHAT = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {root!r}]
from scripted import Scripted
from tui.app import ChatApp
session = Scripted(Path({data!r}), [f"word{{i}} " for i in range(40)], delay=0.02, past=("Hello", "Hi there."))
ChatApp(session).run(inline={inline}, inline_no_clear=True)
"""


class Lender:
    """Has a function in the place of an editor."""

    def __init__(self, edit: object = None, code: int = 0) -> None:
        self.path, self.mode, self.folder, self.words = Path(), 0, 0, [""]
        self._edit, self._code = edit, code

    async def lend_terminal(self, command: Sequence[str]) -> int:
        *self.words, name = command
        self.path = Path(name)
        self.mode, self.folder = self.path.stat().st_mode & 0o777, self.path.parent.stat().st_mode & 0o777
        if callable(self._edit):
            self._edit(self.path)
        return self._code


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, and no others."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("vi", "vim", "code", "my editor"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    return folder


def test_which_one_it_is(programs: Path) -> None:
    path = {"PATH": str(programs)}
    assert editor.command({**path, "VISUAL": "code --wait", "EDITOR": "vi"}) == ["code", "--wait"]
    assert editor.command({**path, "VISUAL": " ", "EDITOR": "vi"}) == ["vi"]
    assert editor.command({**path, "EDITOR": f"'{programs}/my editor' -x"}) == [f"{programs}/my editor", "-x"]
    assert editor.command(path) == ["vim"], "nano, vim, vi: the first that is there"
    (programs / "nano").write_text("#!/bin/sh\n")
    (programs / "nano").chmod(0o755)
    assert editor.command(path) == ["nano"]
    for name in ("nothere --wait", '"open quote'):
        with pytest.raises(ChatError, match="EDITOR names: set it to your editor"):
            editor.command({**path, "EDITOR": name})
    for name in ("nano", "vim", "vi"):
        (programs / name).unlink()
    with pytest.raises(ChatError, match="there is no editor: set EDITOR"):
        editor.command(path)


def test_the_file_is_the_users_alone_and_gone_afterwards(programs: Path) -> None:
    """What was written there comes back: UTF-8, with line ends of any kind."""
    lender = Lender(lambda path: path.write_bytes("größer\r\nzwei\n".encode()))
    assert asyncio.run(editor.opened(lender, "before\ntext")) == "größer\nzwei\n"
    assert (lender.mode, lender.folder, lender.words) == (0o600, 0o700, ["vim"])
    assert not lender.path.parent.exists()
    lender = Lender()
    assert asyncio.run(editor.opened(lender, "as it was\ud800\n", ".txt")) == "as it was?\n"
    assert lender.path.suffix == ".txt"


@pytest.mark.parametrize(
    ("edit", "code", "why"),
    [
        (None, 1, "^the editor vim ended with exit code 1: nothing was changed"),
        (None, -9, "signal 9: nothing was changed"),
        (lambda path: path.unlink(), 0, "can't be read"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00\xd8"), 0, "nothing was changed"),
        (lambda path: path.write_bytes(b"x" * (editor.MAX_BYTES + 1)), 0, "8 MB"),
        (lambda path: (path.unlink(), os.mkfifo(path)), 0, "pipe"),
    ],
)
def test_what_fails_is_a_sentence_and_leaves_nothing(programs: Path, edit: object, code: int, why: str) -> None:
    lender = Lender(edit, code)
    with pytest.raises(ChatError, match=why):
        asyncio.run(editor.opened(lender, "text"))
    assert not lender.path.parent.exists()


# --- in the chat --------------------------------------------------------------------------


def lent(monkeypatch: pytest.MonkeyPatch, lender: Lender) -> None:
    async def lend(app: ChatApp, command: Sequence[str]) -> int:
        return await lender.lend_terminal(command)

    monkeypatch.setattr(ChatApp, "lend_terminal", lend)


@pytest.mark.parametrize("how", ["keys", "command"])
async def test_the_prompt_is_written_there(
    tmp_path: Path, programs: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was folded in its place; undo brings back what was there."""
    long = "\n".join(f"pasted {i}" for i in range(150))
    lender = Lender(lambda path: path.write_text(path.read_text() + "and more\n"))
    lent(monkeypatch, lender)
    app = ChatApp(Scripted(tmp_path / "data"))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        if how == "keys":
            app.prompt._take(long)
            assert app.prompt.text.startswith("[pasted text")
            await pilot.press("ctrl+x", "ctrl+e")
            await wait_until(lambda: app.prompt.whole == f"{long}\nand more")
            await pilot.press("ctrl+underscore")
            await wait_until(lambda: app.prompt.whole == long)
        else:
            await command(app, "/editor")
            await wait_until(lambda: app.prompt.whole == "and more")
        assert not lender.path.exists() and app.prompt.has_focus


async def test_the_keys_mean_what_they_did_apart_from_each_other(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After something was cut, or another key, Ctrl+E goes to the end of the line."""
    lender = Lender(code=1)
    lent(monkeypatch, lender)
    app = ChatApp(Scripted(tmp_path / "data"))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        app.prompt.load_text("some words")
        await pilot.press("home", "ctrl+e")
        assert app.prompt.cursor_location == (0, 10)
        await pilot.press("ctrl+x", "left", "ctrl+e")
        assert app.prompt.cursor_location == (0, 10)
        await pilot.press("shift+left", "ctrl+x", "ctrl+e")
        assert app.prompt.text == "some word" and lender.path == Path()
        await pilot.press("ctrl+x", "ctrl+e")
        await wait_until(lambda: "exit code 1: nothing was changed" in notices(app))
        assert app.prompt.text == "some word"


async def test_what_has_no_editor_is_a_sentence(tmp_path: Path, programs: Path) -> None:
    for name in ("vim", "vi"):
        (programs / name).unlink()
    app = ChatApp(Scripted(tmp_path / "data", past=("Hello", "Hi.")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await command(app, "/editor")
        await wait_until(lambda: "There is no editor: set EDITOR to the name of one." in notices(app))
        await pilot.press("tab", "o")
        await wait_until(lambda: notices(app).count("There is no editor") == 2)


async def test_what_is_marked_is_opened_and_not_changed(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []

    def edit(path: Path) -> None:
        seen.append((path.suffix, path.read_text()))
        path.write_text("else")

    lent(monkeypatch, Lender(edit))
    said = ("Hello", "Hi:\n\n```\ncode\n```")
    app = ChatApp(Scripted(tmp_path / "data", past=said))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await pilot.press("tab", "o")
        await wait_until(lambda: len(seen) == 1)
        await pilot.press("down", "o")
        await wait_until(lambda: len(seen) == 2)
        await wait_until(lambda: any("is not kept: e edits" in one.message for one in app._notifications))
        assert seen == [(".md", said[1] + "\n"), (".txt", "code\n")]
        assert tuple(app.session.texts()) == said and app.transcript.mark is not None


# --- in a terminal ------------------------------------------------------------------------


@pytest.mark.parametrize("inline", [False, True])
def test_the_terminal_is_lent_and_comes_back_whole(
    tmp_path: Path,
    ptys: type,  # noqa: F811
    inline: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With its keys, its line and its screen, while a reply is written; Ctrl+C there is the editor's, and ends nothing."""
    program = tmp_path / "editor"
    program.write_text(
        f"#!{sys.executable}\nimport sys, time, termios\n"
        "flags = termios.tcgetattr(0)[3]\n"
        "print('EDITING', bool(flags & termios.ECHO and flags & termios.ICANON), flush=True)\n"
        "try:\n    line = input()\nexcept KeyboardInterrupt:\n    line = 'interrupted'\n"
        "open(sys.argv[1], 'a').write(line + '\\n')\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("VISUAL", shlex.quote(str(program)))
    code = CHAT.format(tests=str(rooms.TESTS), root=str(rooms.ROOT), data=str(tmp_path / "data"), inline=inline)
    (tmp_path / "chat.py").write_text(code)
    chat = ptys(sys.executable, str(tmp_path / "chat.py"))
    chat.wait("Hi there.")
    chat.wait("Enter sends")
    chat.send("go\r")
    chat.wait("word3 ")
    chat.send("\x18\x05")
    chat.wait("EDITING True")
    chat.send("typed there\n")
    chat.wait("typed there")  # its echo
    chat.wait("typed there")  # in the prompt
    chat.wait("another")  # the reply has ended meanwhile
    chat.send("\x18\x05")
    chat.wait("EDITING True")
    chat.send("\x03")
    chat.wait("interrupted")
    chat.send("\x11")
    assert chat.end() == 0
    chat.assert_restored(other_screen=not inline)


def test_a_signal_ends_the_chat_and_the_editor(
    tmp_path: Path,
    ptys: type,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VISUAL", "sh -c 'echo EDITING $$; exec sleep 1000'")
    code = CHAT.format(tests=str(rooms.TESTS), root=str(rooms.ROOT), data=str(tmp_path / "data"), inline=False)
    code = code.replace("ChatApp(session).run(", "app = ChatApp(session)\nfrom tui.cli import end_with, show\napp.run(")
    code += "\n"
    (tmp_path / "chat.py").write_text(
        code.replace(
            "app.run(", "import signal\nsignal.signal(signal.SIGTERM, lambda n, _: app.end_on_signal(n))\napp.run("
        )
    )
    chat = ptys(sys.executable, str(tmp_path / "chat.py"))
    chat.wait("Enter sends")
    chat.send("\x18\x05")
    chat.wait("EDITING ")
    wait_for(lambda: chat.read(0.1) or chat.text.rpartition("EDITING ")[2][:1].isdigit())
    number = int(chat.text.rpartition("EDITING ")[2].split()[0])
    chat.process.terminate()
    chat.end()

    def gone() -> bool:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        return False

    wait_for(gone)
