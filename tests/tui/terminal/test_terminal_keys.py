"""Every key of every terminal does its one thing: as bytes through a pseudo-terminal, and through tmux, into the app."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import rooms
from pressed import LINES, MARK, SCREENS, SENT, TEXT, TO_STATE, WANTED
from ptys import Pty
from terminal_keys import IN_ITERM, IN_TMUX, TERMINALS, in_tmux
from waiting import PATIENCE

NOTHING = ""
# Keys, of which a terminal need not have all, and what they do: a line that is written down, or after = the prompt.
ALWAYS = {
    "Option+Up Ctrl+B Ctrl+Option+Up": "/back",
    "Option+Down Ctrl+F": "/forward",
    "fn+F1": "/help",
    "fn+F2 Ctrl+L": "/settings",
    "Ctrl+R": "/regenerate",
    "Ctrl+G": "/continue",
    "Ctrl+T": "/tree",
    "Ctrl+N": "/new",
    "Ctrl+O": "/list",
    "Ctrl+S": "/history",
    "Ctrl+Q": "/quit",
    "Esc": "/stop",
    "Ctrl+P": "palette",
    "Ctrl+Z": "suspend",
    "Ctrl+C": "copy or stop",
    "fn+Up Shift+fn+Up": "read up",
    "fn+Down Shift+fn+Down": "read down",
}
DOES: dict[str, dict[str, str]] = {
    "empty": {
        **ALWAYS,
        "?": "/help",
        "Option+Left Left": "/previous",
        "Option+Right Right": "/next",
        "Ctrl+E fn+Right": "read end",
        "Ctrl+A Ctrl+D Ctrl+W Ctrl+U Ctrl+K Ctrl+] Ctrl+_ Ctrl+Y fn+Delete fn+Left Down Enter": NOTHING,
        "Ctrl+X fn+F6 fn+F7 Cmd+C Cmd+X Cmd+A Cmd+Y Cmd+Z Cmd+Up Cmd+Down Cmd+Left": NOTHING,
        "Up": f"={SENT}|{len(SENT)}",
        "Ctrl+J": "=\n|1:0",
    },
    "text": {
        **ALWAYS,
        "?": "=one two? three|8",
        "Option+Left": "=one two three|4",
        "Option+Right Ctrl+E fn+Right": "=one two three|13",
        "Left": "=one two three|6",
        "Right": "=one two three|8",
        "Up": f"={SENT}|{len(SENT)}",
        "Down": "=one two three|13",
        "Ctrl+A fn+Left": "=one two three|0",
        "Ctrl+W Option+Delete": "=one  three|4",
        "Ctrl+] Option+fn+Delete Option+D": "=one two|7",
        "Ctrl+D fn+Delete": "=one twothree|7",
        "Ctrl+U": "= three|0",
        "Ctrl+K": "=one two|7",
        "Ctrl+J Shift+Enter Option+Enter": "=one two\n three|1:0",
        "Ctrl+X fn+F7 Cmd+A": f"={TEXT}|{len(TEXT)}[{TEXT}]",
        "fn+F6 Cmd+C Cmd+X": NOTHING,
        "Enter": f"sent {TEXT}",
    },
    "selected": {"Ctrl+C Cmd+C Ctrl+X Cmd+X": "copied two", "Esc": "/stop", "fn+Delete Ctrl+D": "=one  three|4"},
    "lines": {
        "Cmd+Left Ctrl+A fn+Left": f"={LINES}|1:0",
        "Cmd+Right Ctrl+E fn+Right": f"={LINES}|1:10",
        "Cmd+Up": f"={LINES}|0",
        "Cmd+Down": f"={LINES}|2:4",
        "Up": f"={LINES}|5",
        "Down": f"={LINES}|2:4",
    },
    "typed": {"Ctrl+_ Cmd+Z": "=one two|7", "Ctrl+Y Cmd+Y": NOTHING},
    "undone": {"Ctrl+_ Cmd+Z": NOTHING, "Ctrl+Y Cmd+Y": f"={TEXT}|{len(TEXT)}"},
    "list": {
        "Ctrl+R fn+F2": "list rename",
        "Ctrl+T fn+F3": "list archive",
        "Ctrl+G fn+F4": "list archived",
        "Ctrl+D fn+Delete": "list delete",
        "Ctrl+S fn+F5": "list export",
        "Ctrl+O fn+F6": "list import",
        "Ctrl+L fn+F7": "list pin",
        "Ctrl+_ Cmd+Z": "list undo",
        "Esc": "list leave",
        "Ctrl+Q": "/quit",
        "Option+Up Option+Left Option+Right Ctrl+B Ctrl+F Ctrl+N": NOTHING,
    },
    **{
        screen: {
            "Esc": f"{screen} left",
            "Ctrl+Q": "/quit",
            "Option+Up Option+Down Option+Left Option+Right Ctrl+Option+Up Ctrl+F Cmd+C Cmd+Left Cmd+Right": NOTHING,
        }
        for screen in SCREENS
    },
}
DOES["help"]["fn+F1 ?"] = "help left"
TYPES = {"∂": "=one two∂ three|8", "\x1b[100;3;8706u": "=one two∂ three|8"}
"""What Option types with a letter where it is not Alt."""


def does(sent: Mapping[str, str], state: str) -> Iterator[tuple[str, str, str]]:
    """Each key that a terminal sends, its bytes, and what it does."""
    meaning = {key: what for keys, what in DOES[state].items() for key in keys.split()}
    for key, data in sent.items():
        plain = key.rpartition("+")[2]
        if state == "text" and data in TYPES:
            yield key, data, TYPES[data]
        elif plain in meaning and key != plain and data == sent.get(plain):  # it is not told apart
            yield key, data, meaning[plain]
        elif key in meaning:
            yield key, data, meaning[key]


ON_SCREENS = ("Terminal.app", "Terminal.app, Option as Meta", "iTerm2, CSI u", "kitty")
"""Those that send Esc and Option with an arrow in other ways than all before: their keys are pressed on every screen."""
_NEXT_IN_LIST = ("\x1f", "list undo")


class Recorder:
    """The program of `pressed.py` in a terminal, and what it has written down."""

    def __init__(self, directory: Path, *before: str) -> None:
        self.log = directory / "log"
        self.log.touch()
        program = rooms.TESTS / "pressed.py"
        self.pty = Pty(directory, *before, sys.executable, str(program), str(self.log))
        self._read = 0
        self._next = ("", "")
        self._waits = False

    def press(self, data: str, what: str) -> str:
        """What a key does, as in `DOES`: all that is written down before what the next key does."""
        lines = list[str]()
        self.pty.send(data)
        if data == "\x1b" or (what and self._waits) or what.startswith("copied"):  # what comes next belongs to it,
            # or overtakes it
            lines += self._until(what)
        key, start = self._next
        self.pty.send(key)
        *told, last = lines + self._until(start)
        return " and ".join(told) or last

    def enter(self, state: str) -> None:
        """Puts it into a state, once it is there."""
        self._next = _NEXT_IN_LIST if state == "list" else (MARK, "=")
        self._waits = state in ("list", *SCREENS)
        self.log.with_name(WANTED).write_text(state)
        self.pty.send(TO_STATE)
        self._until(f"in {state}")

    def _until(self, start: str) -> list[str]:
        """The lines up to one that begins so, which is the last of them."""
        end, found = time.monotonic() + PATIENCE, list[str]()
        while not (found and found[-1].startswith(start)):
            self.pty.read(0.01)
            new = self.log.read_text()[self._read :].partition("\n")
            if new[1]:
                found.append(ast.literal_eval(new[0]))
                self._read += len(new[0]) + 1
            assert time.monotonic() < end, f"no {start!r} after {found} in {self.pty.text[-2000:]!r}"
        return found


def check(recorder: Recorder, sent: Mapping[str, str], *, on_screens: bool = False) -> None:
    """Every key of a terminal, in every state: it does what it should, and nothing else."""
    wrong, pressed = list[str](), set[str]()
    for state in (state for state in DOES if on_screens or state not in SCREENS):
        recorder.enter(state)
        nothing = recorder.press("", "")
        for key, data, what in does(sent, state):
            pressed.add(key)
            if (told := recorder.press(data, what)) != (what or nothing):
                wrong.append(f"{key} ({data!r}, {state}): {told!r} instead of {what!r}")
    assert not wrong, "\n".join(wrong)
    assert pressed == set(sent), "there are keys that do nothing anywhere"


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    made = Recorder(tmp_path_factory.mktemp("pressed"))
    made.pty.wait("Nothing you write")
    yield made
    made.pty.close()


@pytest.fixture(scope="module")
def recorder_in_iterm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    made = Recorder(tmp_path_factory.mktemp("pressed"), "env", "TERM_PROGRAM=iTerm.app")
    made.pty.wait("Nothing you write")
    yield made
    made.pty.close()


@pytest.mark.parametrize("terminal", TERMINALS)
def test_each_key_does_its_one_thing(terminal: str, request: pytest.FixtureRequest) -> None:
    """Also: Option with an arrow neither stops a reply nor leaves a screen."""
    recorder = request.getfixturevalue("recorder_in_iterm" if terminal in IN_ITERM else "recorder")
    check(recorder, TERMINALS[terminal], on_screens=terminal in ON_SCREENS)


@pytest.fixture(scope="module")
def recorder_in_tmux(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    tmux = ["tmux", "-L", f"rgchat-keys-{os.getpid()}", "-f", "/dev/null"]
    made = Recorder(tmp_path_factory.mktemp("pressed"), *tmux, "new-session")
    made.pty.wait("Nothing you write")
    yield made
    subprocess.run([*tmux, "kill-server"], capture_output=True)
    made.pty.close()


@pytest.mark.parametrize("terminal", IN_TMUX)
def test_each_key_does_its_one_thing_in_tmux(terminal: str, recorder_in_tmux: Recorder) -> None:
    """As tmux passes them on."""
    check(recorder_in_tmux, in_tmux(TERMINALS[terminal]))
