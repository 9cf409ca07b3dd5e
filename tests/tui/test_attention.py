"""Who looks elsewhere is told by the terminal that something long has ended; nobody else is, and of nothing else."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rooms
from ptys import Pty, ptys
from scripted import Scripted, idle
from waiting import wait_for, wait_until

from tui.app import ChatApp
from tui.events import Got
from tui.getting import Getting
from tui.terminal import attention
from tui.terminal.attention import sequence

__all__ = ["ptys"]

OSC_9, OSC_777, BELL = "\x1b]9;rgchat: done\a", "\x1b]777;notify;rgchat;done\a", "\a"


@pytest.mark.parametrize(
    ("environment", "sent"),
    [
        ({"TERM_PROGRAM": "iTerm.app", "TERM": "xterm-256color"}, OSC_9),
        ({"TERM_PROGRAM": "ghostty", "TERM": "xterm-ghostty"}, OSC_9),
        ({"TERM_PROGRAM": "WezTerm", "TERM": "xterm-256color"}, OSC_9),
        ({"TERM": "xterm-kitty"}, OSC_9),
        ({"TERM": "xterm-ghostty"}, OSC_9),  # over SSH
        ({"LC_TERMINAL": "iTerm2", "TERM": "xterm-256color"}, OSC_9),  # over SSH
        ({"TERM": "foot"}, OSC_777),
        ({"TERM": "rxvt-unicode-256color"}, OSC_777),
        ({"TERM_PROGRAM": "Apple_Terminal", "TERM": "xterm-256color"}, BELL),
        ({"TERM_PROGRAM": "vscode", "TERM": "xterm-256color"}, BELL),
        ({"TERM": "xterm-256color"}, BELL),
        ({}, BELL),
        ({"TERM_PROGRAM": "tmux", "TERM": "tmux-256color", "TMUX": "/tmp/x"}, BELL),
        ({"TERM_PROGRAM": "iTerm.app", "TERM": "screen", "LC_TERMINAL": "iTerm2"}, BELL),
    ],
)
def test_each_terminal_is_sent_what_it_knows(environment: dict[str, str], sent: str) -> None:
    assert sequence("done", environment) == sent


def away(pty: Pty, data: Path, *, blurred: bool) -> None:
    """Has a reply written and ended, and leaves; meanwhile the terminal is put behind others, or brought back too."""
    pty.wait("Nothing you write")
    pty.send("hello\r")
    pty.wait("word")
    pty.send("\x1b[O")
    pty_reads(pty, data / "blurred")
    if not blurred:
        pty.send("\x1b[I")
        pty_reads(pty, data / "focused")
    (data / "end").touch()
    pty_reads(pty, data / "told")
    pty.send("\x11")
    assert pty.end() == 0


def pty_reads(pty: Pty, file: Path) -> None:
    """Waits for a file; what is written is taken meanwhile, or the program would wait for that."""
    wait_for(lambda: pty.read(0.05) is None or file.exists(), about=lambda: pty.text[-2000:])


NOTIFICATION = b"\x1b]9;rgchat: the reply has ended\a"


@pytest.mark.parametrize(
    ("options", "blurred", "told"),
    [
        (("--long", "0"), True, True),
        (("--long", "0", "--inline"), True, True),
        (("--long", "0"), False, False),  # in front again
        ((), True, False),  # no minute has passed
        (("--long", "0", "--quiet"), True, False),  # the setting
    ],
)
def test_in_a_real_terminal(
    options: tuple[str, ...], blurred: bool, told: bool, ptys: Callable[..., Pty], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    program = str(rooms.TESTS / "away.py")
    pty = ptys("env", "-u", "TMUX", "TERM_PROGRAM=ghostty", sys.executable, program, str(data), *options)
    away(pty, data, blurred=blurred)
    assert pty.raw.count(NOTIFICATION) == int(told)
    assert b"\x1b]777" not in pty.raw and b"word" not in NOTIFICATION


def test_a_terminal_without_notifications_rings(ptys: Callable[..., Pty], tmp_path: Path) -> None:
    data = tmp_path / "data"
    program = str(rooms.TESTS / "away.py")
    pty = ptys("env", "TERM_PROGRAM=Apple_Terminal", sys.executable, program, str(data), "--long", "0")
    away(pty, data, blurred=True)
    assert re.sub(rb"\x1b\][^\a]*\a", b"", pty.raw).count(b"\a") == 1 and b"]9;" not in pty.raw


async def test_the_end_of_a_model_s_download_is_told_of_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, float]] = []
    monkeypatch.setattr(attention, "tell", lambda app, text, seconds, *, wanted: told.append((text, seconds)))
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: idle(app) and told)
        told.clear()
        for number, (model, problem, stopped) in enumerate(
            [("", "it was stopped", True), ("", "it failed", False), ("/models/2b", "", False)]
        ):
            app.getter.current = got = Getting("2b", lambda: None)
            got.model, got.problem, got.stopped, got.over, got.seconds = model, problem, stopped, True, number
            app.post_message(Got())
            app.post_message(Got())  # told once
            await pilot.pause()
            await wait_until(lambda count=number: len(told) == count)
        assert told == [("the download has ended", 1), ("the model is here", 2)]
