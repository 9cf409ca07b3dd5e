"""For tests: a computer that takes itself for a Mac, whose programs note how they were called.

What a real Mac does is not shown by any of this: nothing here has run on one.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from rgmlx.system import macos

STAY_AWAKE = 'while kill -0 "$3" 2>/dev/null; do sleep 0.1; done'
"""`caffeinate -i -w PID`: until that process has ended."""
KEYCHAIN = """
case "$1" in
find-generic-password) cat "$0.secret" 2>/dev/null || exit 44 ;;
-i) read -r line; case "$line" in "add-generic-password -U -s rgmlx -a "*) echo "${line##* -w }" > "$0.secret" ;; esac ;;
esac
"""
"""`security`, with one item, as far as we use it; -i ends well whatever becomes of its commands."""


class Mac:
    """The programs of the computer.

    Attributes:
        bin: where they are.
    """

    def __init__(self, place: Path) -> None:
        self.bin = place / "bin"
        self.bin.mkdir()

    def program(self, name: str, script: str = "") -> None:
        """Installs a program, which notes its process and its arguments and then does something."""
        file = self.bin / name
        file.write_text(f'#!/bin/sh\necho "$$ $*" >> "{self.bin}/{name}.calls"\n{script}\n')
        file.chmod(0o755)

    def _calls(self, name: str) -> list[tuple[str, str]]:
        file = self.bin / f"{name}.calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(process, arguments) for process, _, arguments in (line.partition(" ") for line in lines)]

    def calls(self, name: str) -> list[str]:
        """The arguments of each call so far."""
        return [arguments for _, arguments in self._calls(name)]

    def running(self, name: str) -> int:
        """How many of its processes run."""
        return sum(_runs(int(process)) for process, _ in self._calls(name))

    def python(self, code: str, *arguments: str) -> list[str]:
        """A command: Python that takes itself to be on a Mac, and runs this."""
        return [sys.executable, "-c", f"from rgmlx.system import macos; macos.here = lambda: True\n{code}", *arguments]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mac:
    """From now on this is a Mac, that one sits at."""
    monkeypatch.setattr(macos, "here", lambda: True)
    return programs(tmp_path, monkeypatch)


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mac:
    """A computer that has programs of these names, and is none."""
    monkeypatch.setattr(macos, "here", lambda: False)
    return programs(tmp_path, monkeypatch)


def programs(place: Path, monkeypatch: pytest.MonkeyPatch) -> Mac:
    made = Mac(place)
    monkeypatch.setenv("PATH", f"{made.bin}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "caches"))
    for name in ("SSH_CONNECTION", "SSH_TTY", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    return made
