"""For tests: stand-ins for programs of the system that keep each argument and their input as they were, NULs between them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from rgmlx.desktop import installation
from rgmlx.system import macos

SURROGATE = "half a pair \udcff"
HOSTILE = {
    "quotes": "it's \"quoted\" '\"'\"' \\",
    "command": "$(touch pwned) `touch pwned` ${HOME} ; touch pwned & | > pwned",
    "newlines": '\n-e\ndo shell script "touch pwned"\r\nend run\n',
    "cdata": "]]></string><string>&amp; <![CDATA[ <!ENTITY x SYSTEM 'file:///etc/passwd'> &x;",
    "parents": "../../../../etc/passwd/..",
    "option": "-e",
    "options": "--help",
    "equals": "=text",
    "bidi": "evil\u202egnp.exe \u2066x\u2069 \u200f",
    "controls": "\x1b]0;title\x07\x1b[2J\x08\x7f\x9b",
    "emoji": "👩🏽‍👧‍👦 ✈️ é café naïve 日本語 😀",
    "applescript": '" & (do shell script "touch pwned") & "',
    "format": "%s %n {language} {0} {model} %(x)s",
    "spaces": " \t\u00a0 x \u3000 ",
    "large": "long text, 1 MB. " * 62_000,
}
"""Texts that something would obey if it were given them in a wrong way."""
RECORD = """#!/bin/sh
printf '%s\\0' "$#" "$@" >> "$0.argv"
cat > "$0.stdin"
"""


@dataclass
class Recorder:
    """The programs in a folder, which is the first of PATH.

    Attributes:
        folder: where they are.
        home: the user's home directory.
    """

    folder: Path
    home: Path

    def program(self, name: str, then: str = "") -> Path:
        """Installs a program, which keeps how it was called and then does something."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{RECORD}{then}\n")
        file.chmod(0o755)
        return file

    def answers(self, name: str, answer: str | bytes, then: str = "") -> Path:
        """A program that writes this, byte by byte."""
        data = answer.encode("utf-8", "surrogateescape") if isinstance(answer, str) else answer
        (self.folder / f"{name}.answer").write_bytes(data)
        return self.program(name, f'cat "$0.answer"\n{then}')

    def calls(self, name: str) -> list[list[str]]:
        """The arguments of each call so far."""
        file = self.folder / f"{name}.argv"
        parts = os.fsdecode(file.read_bytes()).split("\0")[:-1] if file.exists() else []
        found = []
        while parts:
            count = int(parts[0])
            found.append(parts[1 : count + 1])
            parts = parts[count + 1 :]
        return found

    def given(self, name: str) -> bytes:
        """What the last call read from standard input."""
        return (self.folder / f"{name}.stdin").read_bytes()

    def forget(self) -> None:
        """As if nothing had been called."""
        for file in [*self.folder.rglob("*.argv"), *self.folder.rglob("*.stdin")]:
            file.unlink()

    def model(self, answer: str = "An answer") -> Path:
        """An rgmlx that answers this, and the one that recipes run from now on."""
        return self.answers("rgmlx", f"{answer}\n")


def recorder(place: Path, monkeypatch: pytest.MonkeyPatch, *, is_mac: bool) -> Recorder:
    made = Recorder(place / "bin", place / "home")
    for folder in (made.folder, made.home):
        folder.mkdir()
    monkeypatch.setattr(macos, "here", lambda: is_mac)
    monkeypatch.setattr(installation, "program_of", lambda name: made.folder / name)
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(made.home))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_DATA_HOME", "RGMLX_LOG"):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A computer that takes itself for a Mac, with no program of one yet."""
    return recorder(tmp_path, monkeypatch, is_mac=True)


@pytest.fixture
def other_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """A computer that is none."""
    return recorder(tmp_path, monkeypatch, is_mac=False)
