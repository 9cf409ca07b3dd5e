"""How rgchat ends: by signals, in a terminal that goes, by an error that nobody caught; and how it pauses."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import fuzz_terminal
import pytest
from ptys import OFF, Pty, doomed, ptys
from waiting import wait_for

from rgmlx.cli import signals
from rgmlx.store import Message, Store
from tui.terminal import crash_log

__all__ = ["ptys"]

Begin = Callable[..., Pty]
BASH = ("bash", "--norc", "--noprofile", "-i")


def kept(data: Path) -> list[Message]:
    """The messages of the first conversation, in a store that was closed and that nobody holds."""
    assert not list((data / "open").glob("*.lock")), "the conversation is still held"
    assert not list(data.glob("*-wal")), "the store was not closed"
    with Store(data) as store:
        return store.messages.tree(1)


def assert_reply_kept(data: Path, shown: str) -> None:
    reply = kept(data)[1]
    assert not reply.streaming
    assert reply.text.count("word") >= shown.count("word") > 0


# --- A4: signals --------------------------------------------------------------------------

WRITING, DIALOG, IDLE = ("hello\r",), ("hello\r", "\x1bOP"), ()


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (signal.SIGTERM, "writing"),
        (signal.SIGHUP, "writing"),
        (signal.SIGQUIT, "writing"),
        (signal.SIGINT, "writing"),
        (signal.SIGTERM, "loading"),
        (signal.SIGHUP, "dialog"),
        (signal.SIGQUIT, "idle"),
        (signal.SIGTERM, "inline"),
        (signal.SIGUSR1, "idle"),
        (signal.SIGUSR2, "writing"),
        (signal.SIGALRM, "loading"),
        (signal.SIGABRT, "writing"),
        (signal.SIGXCPU, "inline"),
        (signal.SIGVTALRM, "dialog"),
        (signal.SIGPROF, "idle"),
        (signal.Signals(max(signals.ENDING)), "writing"),
    ],
)
def test_a_signal_ends_it_as_ctrl_q_does(number: signal.Signals, state: str, ptys: Begin, tmp_path: Path) -> None:
    """A4, fault 11: the reply and the draft are kept, the terminal is as it was, the code is 128 + the signal."""
    data = tmp_path / "data"
    options = {"loading": ["--load", "100"], "inline": ["--inline"]}.get(state, [])
    pty = ptys(*doomed(data, *options))
    pty.wait("loading" if state == "loading" else "Nothing you write")
    if state in ("writing", "inline"):
        pty.send("hello\r")
        pty.wait("word word")
    if state == "dialog":
        pty.send("\x0f")  # all conversations
        pty.wait("Conversations")
    else:
        pty.send("a draft")
        pty.wait("draft")
    pty.process.send_signal(number)
    assert pty.end() == 128 + number
    pty.assert_restored(other_screen=state != "inline")
    assert "Traceback" not in pty.text
    assert not (data / crash_log.NAME).exists()
    if state in ("writing", "inline"):
        assert_reply_kept(data, "word word")
    if state != "dialog":
        assert draft(data) == "a draft"


@pytest.mark.parametrize("options", [(), ("--inline",)])
def test_a_terminal_that_is_closed(options: tuple[str, ...], ptys: Begin, tmp_path: Path) -> None:
    """A4, fault 17: with nobody left to write to, the reply is kept all the same, and that is no error."""
    pty = ptys(*doomed(tmp_path / "data", *options))
    pty.wait("Nothing you write")
    pty.send("hello\r")
    pty.wait("word word")
    pty.hang_up()
    assert pty.end() == 128 + signal.SIGHUP
    assert_reply_kept(tmp_path / "data", "word word")
    assert not (tmp_path / "data" / crash_log.NAME).exists()


@pytest.mark.parametrize("options", [(), ("--inline",)])
def test_a_terminal_that_is_closed_without_a_signal(options: tuple[str, ...], ptys: Begin, tmp_path: Path) -> None:
    """A4, fault 17: under nohup no signal comes, and no key ever will."""
    pty = ptys("sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *doomed(tmp_path / "data", *options))
    pty.wait("Nothing you write")
    pty.send("hello\r")
    pty.wait("word word")
    pty.hang_up()
    assert pty.end() == 128 + signal.SIGHUP
    assert_reply_kept(tmp_path / "data", "word word")
    assert not (tmp_path / "data" / crash_log.NAME).exists()


def test_a_signal_ends_the_real_program(ptys: Begin, tmp_path: Path) -> None:
    """A4: with the embedded model, through the command line."""
    data = tmp_path / "data"
    pty = ptys(sys.executable, "-m", "tui", "--data", str(data), "--temperature", "0")
    pty.wait(" MB, always")
    pty.send("Tell me a story about a fox and a kite\r")
    pty.wait("writing ...")
    pty.process.send_signal(signal.SIGTERM)
    assert pty.end() == 143
    pty.assert_restored()
    assert len(kept(data)) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGABRT])
@pytest.mark.parametrize("state", ["asking", "writing"])
def test_a_signal_ends_the_lines(number: signal.Signals, state: str, ptys: Begin, tmp_path: Path) -> None:
    """A4: --plain too, while it waits for a line and while it writes."""
    data = tmp_path / "data"
    pty = ptys(sys.executable, "-m", "tui", "--plain", "--data", str(data), "--temperature", "0")
    pty.wait("You: ")
    if state == "writing":
        pty.send("Tell me a story about a fox and a kite\n")
        pty.wait("Assistant: ")
    pty.process.send_signal(number)
    assert pty.end() == 128 + number
    assert "Traceback" not in pty.text
    if state == "writing":
        reply = kept(data)[1]
        assert not reply.streaming
    assert (pty.before[:4]) == pty.line()[:4]


def test_a_second_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A4: several that come together are one; after a while another one ends it where it stands; nohup is respected."""
    seen: list[int] = []
    before = signal.getsignal(signal.SIGTERM)
    with signals.handled(seen.append, signal.SIGUSR1):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [signal.SIGUSR1]
        monkeypatch.setattr(signals, "PATIENCE", -1.0)
        with pytest.raises(signals.Stopped) as caught:
            os.kill(os.getpid(), signal.SIGTERM)
        assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.handled(seen.append):
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert seen == [signal.SIGUSR1]


# --- A1: an error that nobody caught ------------------------------------------------------


@pytest.mark.parametrize("where", ["handler", "worker", "startup"])
def test_an_error_is_a_sentence_and_a_log(where: str, ptys: Begin, tmp_path: Path) -> None:
    """A1: the terminal is as it was, the reply and the prompt are kept, and no text of the user's is in the log."""
    data = tmp_path / "data"
    data.mkdir()
    pty = ptys(*doomed(data, "--crash", where))
    if where != "startup":
        pty.wait("Nothing you write")
        pty.send("hello\r")
        pty.wait("word word")
        pty.send("crash my secret\r")
    assert pty.end() == 1
    log = data / crash_log.NAME
    said = "".join(pty.text.rpartition("rgchat: an error in the program ended it")[1:]).replace("\r\n", "\n")
    assert f"the traceback is in {log}. The conversation is kept\n" in said
    assert said.count("\n") == 1
    assert "Traceback" not in pty.text
    assert "\x1b" not in said
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    text = log.read_text()
    assert "IndexError" in text
    assert "doomed.py" in text
    assert "secret" not in text
    if where != "startup":
        pty.assert_restored()
        assert_reply_kept(data, "word word")
        assert draft(data) == "crash my secret"


def test_keys_that_can_not_be_read(ptys: Begin, tmp_path: Path) -> None:
    """A1: an error of the thread that reads the keys is none of the app's: it leaves, and keeps everything."""
    data = tmp_path / "data"
    pty = ptys(*doomed(data, "--crash", "thread"))
    pty.wait("Nothing you write")
    pty.send("hello\r")
    pty.wait("word word")
    pty.send("crash now\r")
    assert pty.end() == 128 + signal.SIGHUP
    assert "Traceback" not in pty.text
    assert_reply_kept(data, "word word")


def test_bytes_that_are_no_keys(ptys: Begin, tmp_path: Path) -> None:
    """A1: Latin-1, numbers that are no character and broken sequences ended the thread that reads the keys."""
    pty = ptys(*doomed(tmp_path / "data"))
    pty.wait("Nothing you write")
    os.write(pty.fd, b"caf\xe9 \xff\xfe\x1b[99999999999u\x1b[1:2:3u\x1b[1;x2u\x1b[<0;0;0;0M\x1bOq\x1b[1;99999u")
    time.sleep(0.3)  # an escape at the end would belong to the next key
    pty.send("still here")
    pty.wait("still here")
    pty.send("\x11")
    assert pty.end() == 0


def fail(depth: int) -> None:
    if depth:
        fail(depth - 1)
    raise ValueError("x" * 100_000 + " \ud800")


def test_the_log_is_bounded(tmp_path: Path) -> None:
    """A1: the newest errors are kept, whatever the log's file is."""
    path = tmp_path / crash_log.NAME
    for number in range(40):
        try:
            fail(3)
        except ValueError as e:
            e.add_note(f"number {number}")
            assert crash_log.write(tmp_path, e) == path
    assert crash_log.MAX_BYTES / 2 < path.stat().st_size <= crash_log.MAX_BYTES
    text = path.read_text()
    assert "number 39" in text
    assert "number 0\n" not in text
    assert text.startswith("---") or "---" in text
    path.unlink()
    os.mkfifo(path)  # opening it would wait
    other = crash_log.write(tmp_path, ValueError("x"))
    assert other is not None and other != path
    assert stat.S_IMODE(other.stat().st_mode) == 0o600
    other.unlink()
    sentence = crash_log.report(tmp_path / "not there", ValueError("one\ntwo"))
    assert "(ValueError: one)" in sentence
    other = Path(sentence.split("the traceback is in ")[1].split(".log")[0] + ".log")
    assert "ValueError: one" in other.read_text()
    other.unlink()


# --- A7: Ctrl+Z ---------------------------------------------------------------------------


def shell(ptys: Begin, tmp_path: Path, *, through_make: bool = False) -> Pty:
    """A shell with job control in which a reply is being written."""
    command = " ".join(doomed(tmp_path / "data"))
    if through_make:
        (tmp_path / "Makefile").write_text(f"chat:\n\t@{command}\n")
        command = f"make -f {tmp_path}/Makefile chat"
    pty = ptys(*BASH)
    pty.wait("$ ")
    pty.send(f"{command}\n")
    pty.wait("Nothing you write")
    pty.send("hello\r")
    pty.wait("word word")
    return pty


@pytest.mark.parametrize("through_make", [False, True])
def test_ctrl_z_suspends(through_make: bool, ptys: Begin, tmp_path: Path) -> None:
    """A7: the shell has its terminal back, also through make, and fg goes on with the reply."""
    pty = shell(ptys, tmp_path, through_make=through_make)
    pty.send("\x1a")
    pty.wait("Stopped")
    pty.wait("$ ")
    pty.assert_restored(line=False)
    pty.send("echo $((6 * 7)) there\n")
    pty.wait("42 there")
    pty.send("fg\n")
    pty.wait("writing ...")  # all of the screen is there again: what changes is above it
    assert pty.raw.rfind(b"\x1b[?1049h") > pty.raw.rfind(b"\x1b[?1049l")
    pty.wait("word word")
    pty.send("\x11")
    pty.wait("$ ")
    pty.assert_restored(line=False)
    pty.send("exit $?\n")
    assert pty.end() == 0
    assert_reply_kept(tmp_path / "data", "word word")


def test_a_suspended_chat_is_ended(ptys: Begin, tmp_path: Path) -> None:
    """A4, A7: a signal ends it in the background, and leaves the shell's terminal alone."""
    pty = shell(ptys, tmp_path)
    pty.send("\x1a")
    pty.wait("Stopped")
    switched = pty.raw.count(b"\x1b[?1049")
    pty.send("kill %1; while kill -0 %1; do sleep 0.1; done\n")
    pty.wait("Exit 143")
    assert pty.raw.count(b"\x1b[?1049") == switched
    pty.send("exit\n")
    pty.end()
    assert_reply_kept(tmp_path / "data", "word word")


def test_ctrl_z_where_no_shell_is(ptys: Begin, tmp_path: Path) -> None:
    """A7: nothing could bring it back; it says so and goes on."""
    pty = ptys(*doomed(tmp_path / "data"))
    pty.wait("Nothing you write")
    pty.send("\x1a")
    pty.wait("no shell")
    pty.send("\x11")
    assert pty.end() == 0


def typed_and_left(pty: Pty) -> None:
    """What is typed arrives once, Ctrl+Q leaves to the shell, and the shell ends with the chat's code."""
    pty.send("typed once")
    pty.wait("typed once")
    pty.send("\x11")
    pty.wait("$ ")
    pty.send("exit $?\n")
    assert pty.end() == 0


def test_a7_ctrl_z_under_inline(ptys: Begin, tmp_path: Path) -> None:
    """A7: a shell is there, and it is the screen that can't be left; it says so and goes on."""
    pty = begun_in(ptys, tmp_path, "--inline")
    pty.wait("Nothing you write")
    pty.send("\x1a")
    pty.wait("Under --inline")  # the rest is in other lines
    assert "no shell" not in pty.text
    typed_and_left(pty)


def test_stopped_and_continued_from_elsewhere(ptys: Begin, tmp_path: Path) -> None:
    """A4: kill -STOP and -CONT: the terminal's modes are those of before the chat, not those of its first half."""
    pty = ptys(*doomed(tmp_path / "data"))
    pty.wait("Nothing you write")
    pty.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, pty.process.pid, os.WSTOPPED | os.WNOWAIT)
    pty.process.send_signal(signal.SIGCONT)
    pty.wait("Nothing you write")  # drawn again
    pty.send("typed once")
    pty.wait("typed once")
    pty.send("\x11")
    assert pty.end() == 0
    pty.assert_restored()


@pytest.mark.parametrize("options", [(), ("--inline",)])
def test_stopped_from_elsewhere_under_a_shell(options: tuple[str, ...], ptys: Begin, tmp_path: Path) -> None:
    """Fault 8: the shell has set modes of its own when fg goes on after kill -STOP; keys are not echoed, nor lines."""
    pty = begun_in(ptys, tmp_path, *options)
    pty.wait("Nothing you write")
    modes = pty.line()[:4]
    assert modes[3] & (termios.ICANON | termios.ECHO | termios.ISIG) == 0
    os.kill(os.tcgetpgrp(pty.fd), signal.SIGSTOP)
    pty.wait("Stopped")
    pty.wait("$ ")
    pty.send("fg\n")
    pty.wait("Nothing you write")  # drawn again
    wait_for(lambda: pty.line()[:4] == modes, about=lambda: (pty.line(), pty.text[-2000:]))
    typed_and_left(pty)


@pytest.mark.parametrize("options", [(), ("--inline",)])
def test_begun_in_the_background(options: tuple[str, ...], ptys: Begin, tmp_path: Path) -> None:
    """Fault 6: `rgchat &` waits to be in front; bg alone does not bring it there, fg does."""
    pty = begun_in(ptys, tmp_path, *options, "&")
    pty.wait("Stopped")
    assert not [mode for mode in (b"\x1b[?25l", b"\x1b[?1000h", b"\x1b[?1049h") if mode in pty.raw]
    for command in ("bg", "fg"):
        pty.send(f"{command}\n")
        pty.wait("Stopped" if command == "bg" else "Nothing you write")
    pty.send("typed")
    pty.wait("typed")
    pty.send("\x11")
    pty.wait("$ ")
    pty.assert_restored(line=False, other_screen=not options)
    pty.send("exit $?\n")
    assert pty.end() == 0


@pytest.mark.parametrize("options", [(), ("--inline",)])
def test_ended_in_the_background_before_it_was_in_front(options: tuple[str, ...], ptys: Begin, tmp_path: Path) -> None:
    """Fault 6: without ever touching the shell's terminal."""
    pty = begun_in(ptys, tmp_path, *options, "&")
    pty.wait("Stopped")
    pty.send("kill %1; while kill -0 %1; do sleep 0.1; done\n")
    pty.wait("Exit 143")
    assert not [off for name, off in OFF.items() if name != "pastes" and off in pty.raw]
    assert not (tmp_path / "data" / crash_log.NAME).exists()
    pty.send("exit\n")
    pty.end()


def begun_in(ptys: Begin, tmp_path: Path, *options: str) -> Pty:
    """A shell, which tells at once when a job stops, in which a chat was begun."""
    pty = ptys(*BASH)
    pty.wait("$ ")
    pty.send("set -b; bind 'set enable-bracketed-paste off'\n")
    pty.wait("$ ")
    pty.send(" ".join([*doomed(tmp_path / "data"), *options]) + "\n")
    return pty


# --- A1: anything typed -------------------------------------------------------------------


def test_random_keys_in_a_terminal() -> None:
    """A1: a session of `scripts/fuzz_terminal.py`, which also runs for longer."""
    sessions, keys, problems = fuzz_terminal.fuzz(0, seed=1, keys=60)
    assert problems == []
    assert sessions == 1 and keys > 0


def draft(data: Path) -> str:
    """What is in the one file of drafts."""
    (file,) = (data / "drafts").glob("*.json")
    return str(json.loads(file.read_text())["text"])
