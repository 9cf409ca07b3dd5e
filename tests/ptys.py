"""For tests: a program in a pseudo-terminal of its own, what it wrote to it, and how it left it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rooms
from rooms import ROOT
from waiting import PATIENCE

_ESCAPES = re.compile(rb"\x1b(\[[0-9;:?<>=!$ ]*[@-~]|[PX^_\]].*?(\x07|\x1b\\)|[()].|[=>78])", re.DOTALL)
OTHERS = ("XDG_", "SSH_", "TMUX", "TERM_PROGRAM", "LC_TERMINAL", "KITTY_")
"""How the names of variables begin that are about where the tests run."""
OFF = {
    "the other screen": b"\x1b[?1049l",
    "the mouse": b"\x1b[?1000l",
    "its moves": b"\x1b[?1003l",
    "its format": b"\x1b[?1006l",
    "pastes": b"\x1b[?2004l",
    "the focus": b"\x1b[?1004l",
    "the keyboard": b"\x1b[<u",
}


class Pty:
    """A program that controls a pseudo-terminal, as one does that a terminal has begun."""

    def __init__(self, home: Path, *command: str) -> None:
        self.fd, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(other)
        self.process = subprocess.Popen(
            command,
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=ROOT,
            env=environment(home),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self._other = other  # kept open: what is written last is not lost with the last one who has it open
        self.raw = b""
        self._seen = 0

    @property
    def text(self) -> str:
        """All that was written, without what moves the cursor and colours."""
        return _ESCAPES.sub(b"", self.raw).decode(errors="replace")

    def wait(self, text: str) -> None:
        """Waits until a text comes, after all that was waited for so far. It may be broken into lines anywhere."""
        end, words = time.monotonic() + PATIENCE, re.compile(re.sub(r"(?<=\S)\\ (?=\S)", r"\\s+", re.escape(text)))
        while (found := words.search(self.text, self._seen)) is None:
            alive = self._alive()  # before the read: what a program writes last is there when it has ended
            came = self.read(0.1)
            assert came or (alive and time.monotonic() < end), f"no {text!r} in {self.text[-3000:]!r}"
        self._seen = found.end()

    def send(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def end(self) -> int:
        """Waits until the program has ended; its exit code."""
        end = time.monotonic() + PATIENCE
        while self._alive():
            assert time.monotonic() < end, f"it goes on after {self.text[-2000:]!r}"
            self.read(0.1)
        while self.read(0.1):
            pass
        return self.process.wait()

    def assert_restored(self, *, other_screen: bool = True, line: bool = True) -> None:
        """Everything that was switched on is off again: in the terminal and, with `line`, in its line discipline."""
        assert (b"\x1b[?1049h" in self.raw) == other_screen
        on = max(self.raw.rfind(sequence) for sequence in (b"\x1b[?1049h", b"\x1b[?1000h"))
        assert on >= 0
        for name, off in OFF.items():
            assert self.raw.rfind(off) > on or not (other_screen or name != "the other screen"), f"{name} is still on"
        assert self.raw.rfind(b"\x1b[?25h") > self.raw.rfind(b"\x1b[?25l"), "the cursor is still hidden"
        assert not line or self.line()[:4] == self.before[:4], "the line is still in another mode"

    def line(self) -> list[Any]:
        """The modes of the line."""
        return termios.tcgetattr(self._other)

    def hang_up(self) -> None:
        """The terminal goes: its window was closed."""
        os.close(self._other)
        os.close(self.fd)
        self.fd = self._other = -1

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for descriptor in (self.fd, self._other):
            if descriptor >= 0:
                os.close(descriptor)

    def read(self, seconds: float) -> bool:
        """Takes what was written; whether there was something."""
        if self.fd < 0 or not select.select([self.fd], [], [], seconds)[0]:
            return False
        piece = os.read(self.fd, 65536)
        self.raw += piece
        return bool(piece)

    def _alive(self) -> bool:
        if self.fd < 0:
            time.sleep(0.05)
        return self.process.poll() is None


def environment(home: Path) -> dict[str, str]:
    """Ours, with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OTHERS)}
    return {**kept, "HOME": str(home), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "PS1": "$ "}


@pytest.fixture
def ptys(tmp_path: Path) -> Iterator[type]:
    """Begins programs in terminals, and ends them."""
    begun: list[Pty] = []

    def begin(*command: str) -> Pty:
        begun.append(Pty(tmp_path, *command))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


def doomed(data: Path, *options: str) -> list[str]:
    """The command of a chat that is made to end; see `doomed.py`."""
    return [sys.executable, str(rooms.TESTS / "doomed.py"), str(data), *options]
