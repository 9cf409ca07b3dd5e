"""`rgchat --inline` in a real terminal, through tmux: no higher than what is on it, whole after a change of size, and
nothing left that looks as if it could be typed into."""

from __future__ import annotations

import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import rooms
from scripted import Scripted
from textual.geometry import Size
from textual.widgets import Static
from waiting import wait_for

from tui.app import ChatApp
from tui.inline import breaks_lines

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux, a real terminal to resize")

HERE = rooms.TESTS
PROMPT = "Enter sends"
CODE = """
import sys
from pathlib import Path
sys.path[:0] = [{here!r}, {root!r}]
from scripted import Scripted
from tui.app import ChatApp
from tui.cli import end_with, show
end_with(lambda: show(ChatApp(Scripted(Path({data!r}), {pieces!r}, delay={delay}, past={past!r})), inline=True), lambda: Path({data!r}))
"""


class Tmux:
    """A shell in a terminal of its own."""

    def __init__(self, directory: Path, columns: int, rows: int) -> None:
        self._socket, self._directory = f"inline-{secrets.token_hex(8)}", directory
        shell = f"env -u COLUMNS -u LINES HOME={directory} XDG_CONFIG_HOME={directory} PS1='$ ' sh"
        self("new-session", "-d", "-s", "t", "-x", str(columns), "-y", str(rows), shell)
        self.columns = columns
        wait_for(lambda: self.shown().startswith("$"), about=self.shown)
        self.type("echo before")
        wait_for(lambda: "\nbefore\n" in self.shown(), about=self.shown)

    @property
    def data(self) -> Path:
        """Where the chat's conversations are."""
        return self._directory / "data"

    def __call__(self, *arguments: str) -> str:
        command = ["tmux", "-L", self._socket, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def type(self, text: str) -> None:
        self("send-keys", "-t", "t", text, "Enter")

    def key(self, name: str) -> None:
        self("send-keys", "-t", "t", name)

    def shown(self) -> str:
        return self("capture-pane", "-p", "-t", "t")

    def ever(self) -> str:
        """The screen, and what has left it at the top."""
        return self("capture-pane", "-p", "-S", "-", "-t", "t")

    def left(self) -> list[str]:
        """Waits until the shell is back; what the chat has left between its prompts, a line that the terminal broke whole."""
        wait_for(lambda: self.shown().rstrip("\n").endswith("\n$"), about=self.ever)
        self.type("echo after")
        wait_for(lambda: self.shown().rstrip("\n").endswith("\nafter\n$"), about=self.ever)
        all_lines = self("capture-pane", "-p", "-J", "-S", "-", "-t", "t").rstrip("\n").split("\n")
        begin = max(i for i, line in enumerate(all_lines) if line.rstrip().endswith(f"{self._directory}/c.py"))
        return [line.rstrip() for line in all_lines[begin + 1 : all_lines.index("$ echo after", begin)]]

    def chat(self, past: tuple[str, ...] = (), pieces: tuple[str, ...] = ("ok",), delay: float = 0) -> None:
        data = str(self.data)
        code = CODE.format(here=str(HERE), root=str(HERE.parent), data=data, pieces=pieces, delay=delay, past=past)
        (self._directory / "c.py").write_text(code)
        self.type(f"{sys.executable} {self._directory}/c.py")
        wait_for(lambda: PROMPT in self.shown() and "Griff" in self.shown(), about=self.shown)

    def resize(self, columns: int, rows: int) -> None:
        self("resize-window", "-t", "t", "-x", str(columns), "-y", str(rows))
        self.columns = columns

    def end(self) -> None:
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], capture_output=True)


Start = Callable[[int, int], Tmux]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun: list[Tmux] = []

    def begin(columns: int, rows: int) -> Tmux:
        begun.append(Tmux(tmp_path, columns, rows))
        return begun[-1]

    yield begin
    for one in begun:
        one.end()


def whole(shown: str, columns: int) -> bool:
    """Whether the chat is on the screen, once, and every box of it closed where it began."""
    lines = shown.rstrip("\n").split("\n")
    boxes = [line for line in lines if re.match(r" ?[╭╰│]", line)]
    prompt = [i for i, line in enumerate(lines) if line.startswith("╭")]
    return (
        len(prompt) == 1
        and len(lines) == prompt[0] + 5
        and [lines[prompt[0]], lines[prompt[0] + 2]] == [f"╭{'─' * (columns - 2)}╮", f"╰{'─' * (columns - 2)}╯"]
        and lines[prompt[0] + 1].startswith("│ ")
        and lines[prompt[0] + 3].startswith(" Griff")
        and [i for i, line in enumerate(lines) if "^q quit" in line] == [prompt[0] + 4]
        and all(re.match(r" ?(╭.*╮|╰─*╯|│.*│)", line) for line in boxes)
    )


def stays_whole(terminal: Tmux) -> None:
    wait_for(lambda: whole(terminal.shown(), terminal.columns), about=terminal.ever)


PAST = ("What is a fox?", "A fox is an animal with a bushy tail, and it is clever.")


def test_it_is_as_high_as_what_is_on_it(start: Start) -> None:
    """Also when that grows and shrinks again, up to a share of the terminal; what was above stays."""
    terminal = start(80, 40)
    terminal.chat(PAST)
    # Names and texts, each with a line above it.
    wait_for(lambda: whole(terminal.shown(), 80) and f"\n\nYou\n{PAST[0]}\n\nGriff\n{PAST[1]}\n╭─" in terminal.shown())
    first = terminal.shown().rstrip("\n").split("\n")
    at = first.index(PAST[0])
    assert first[at - 1] == "" and first[at - 2].endswith("c.py") and len(first) - at == 1 + 2 * 3 + 5
    terminal.key("/")
    wait_for(lambda: "/regenerate" in terminal.shown(), about=terminal.shown)
    assert "\nbefore\n" in terminal.shown()
    terminal.key("BSpace")
    wait_for(lambda: terminal.shown().rstrip("\n").split("\n")[:-2] == first[:-2], about=terminal.shown)  # no status
    for number in range(12):
        terminal.type(f"message {number}")
        wait_for(
            lambda text=f"\nmessage {number}\n": "\nok\n" in terminal.shown().partition(text)[2], about=terminal.shown
        )
    stays_whole(terminal)
    lines = terminal.shown().rstrip("\n").split("\n")
    title = max(i for i, line in enumerate(lines) if line == PAST[0])
    assert len(lines) - title == int(0.85 * 40)
    assert terminal.ever().count("\nbefore\n") == 1 and terminal.ever().count(f"\nYou\n{PAST[0]}\n") == 1


SIZES = [(60, 40), (60, 20), (100, 20), (40, 30), (120, 40), (79, 24), (80, 24), (61, 15), (80, 40)]


def test_after_a_change_of_size_it_is_whole(start: Start) -> None:
    terminal = start(80, 40)
    terminal.chat(PAST)
    stays_whole(terminal)
    for size in SIZES:
        terminal.resize(*size)
        stays_whole(terminal)
    terminal.type("and then?")
    wait_for(lambda: "\nok\n" in terminal.shown(), about=terminal.shown)
    stays_whole(terminal)


def test_what_the_shell_had_above_it_is_kept(start: Start) -> None:
    """When the size has settled the chat is drawn at the top, and the rest is where one scrolls back to."""
    terminal = start(60, 40)
    terminal.chat(PAST)
    stays_whole(terminal)
    for size in ((61, 40), (80, 40), (80, 30), (100, 36), (40, 40)):
        terminal.resize(*size)
        wait_for(lambda: terminal.shown().startswith(f"{PAST[0]}\n") and whole(terminal.shown(), terminal.columns))
        assert terminal.ever().count("\nbefore\n") == 1


def test_a_change_of_size_while_a_reply_is_written(start: Start) -> None:
    terminal = start(80, 40)
    terminal.chat(PAST, pieces=tuple(f"word{n} " for n in range(20_000)), delay=0.01)
    terminal.type("go on")
    wait_for(lambda: "word5 " in terminal.shown(), about=terminal.shown)
    for columns, rows in SIZES:
        terminal.resize(columns, rows)
        stays_whole(terminal)
    terminal.key("Escape")
    wait_for(lambda: "cut short" in terminal.ever(), about=terminal.ever)
    stays_whole(terminal)


async def test_a_layout_before_the_news_of_a_change_of_size_is_of_the_new_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what the screen is told of its new height overtakes the width, which is then never known."""
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=(80, 24)):
        monkeypatch.setattr(ChatApp, "is_inline", True)
        app._size = Size(60, 30)
        app.screen._refresh_layout()
        assert app.screen.outer_size.width == 60


@pytest.mark.parametrize("above", ["", "F1", "C-p"])
def test_no_dead_prompt_is_left_behind(start: Start, above: str) -> None:
    """Whatever is open above the chat when one leaves."""
    terminal = start(80, 40)
    terminal.chat((*PAST, "more " * 300, "and more " * 300) if not above else PAST)
    stays_whole(terminal)
    terminal("send-keys", "-t", "t", "-l", "not sent")
    wait_for(lambda: "│ not sent" in terminal.shown(), about=terminal.shown)
    if above:
        terminal.key(above)
        wait_for(lambda: "│ not sent" not in terminal.shown(), about=terminal.shown)
    if above == "C-p":
        terminal.key("Escape")  # the palette takes every key
        wait_for(lambda: "│ not sent" in terminal.shown(), about=terminal.shown)  # Esc Ctrl+Q at once is Alt+Ctrl+Q
    terminal.key("C-q")
    left = terminal.left()
    if above:
        assert left == ["", "You", PAST[0], "", "Griff", PAST[1]]
    else:
        words = " ".join(left)
        assert left[:4] == ["", "2 earlier messages are in the conversation.", "", "You"] and words.count("more") == 600
    assert "\nbefore\n" in terminal.ever()


async def test_what_is_said_at_the_end_stays(tmp_path: Path) -> None:
    """What still comes while the conversation is put away does not write over it."""
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test():
        await app.leave()
        app.show_status()
        assert str(app.query_one("#status", Static).content) == "The conversation is kept."


@pytest.mark.parametrize(
    ("environment", "breaks"),
    [
        ({"TERM": "xterm-256color"}, True),
        ({"TERM": "xterm-256color", "XTERM_VERSION": "XTerm(379)"}, False),
        ({"TERM": "linux"}, False),
        ({"TERM": "screen"}, False),
        ({"TERM": "screen-256color", "TMUX": "/tmp/x,1,0"}, True),
        ({"TERM": "st-256color"}, False),
        ({"TERM": "vt220"}, False),
        ({}, True),
    ],
)
def test_which_terminals_break_lines_that_have_become_too_long(environment: dict[str, str], breaks: bool) -> None:
    assert breaks_lines(environment) == breaks
