"""What `rgchat --inline` leaves in the terminal: all that was said in this sitting, once, and nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ptys import doomed, ptys
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from scripted import Scripted
from test_inline import PAST, PROMPT, Start, Tmux, start, whole
from textual.strip import Strip
from waiting import wait_for

from rgmlx.store import MODEL
from tui.app import ChatApp
from tui.inline import InlineDriver
from tui.sitting import ThisSitting
from tui.transcript.lines import ended, sequence
from tui.transcript.message_window import MessageWindow
from tui.transcript.reply import NOTICE, Entry
from tui.transcript.said import MAX_WAITING, Said

__all__ = ["ptys", "start"]  # fixtures

LONG = "x = '" + 30 * "0123456789" + "'"
REPLY = f"""A list:

- one 獺獺獺獺
- two

```python
{LONG}
    indented
```

The `end`."""
REPLIED = """
    SELECT 1 FROM messages AS reply JOIN messages AS said ON said.id = reply.parent
    WHERE said.text = ? AND reply.closed AND reply.role = 'model'
"""
DRAWN = ["", "Griff", "A list:", "", "• one 獺獺獺獺", "• two", "", LONG, "    indented", "", "The end."]


def pid(terminal: Tmux) -> int:
    """Of the chat."""
    pane = int(terminal("display-message", "-p", "-t", "t", "#{pane_pid}"))
    return int(Path(f"/proc/{pane}/task/{pane}/children").read_text().split()[0])


def say(terminal: Tmux, text: str, answer: str = "The end.") -> None:
    """Until the reply is whole: the message itself may be between the window and the scrollback by then."""
    terminal.type(text)
    with contextlib.closing(sqlite3.connect(terminal.data / "chats.db")) as store:
        wait_for(lambda: store.execute(REPLIED, [text]).fetchone(), about=terminal.ever)
    wait_for(lambda: answer in terminal.shown() and "writing" not in terminal.shown(), about=terminal.ever)


@pytest.mark.parametrize(("columns", "how"), [(60, "C-q"), (80, "/quit"), (110, "TERM"), (80, "HUP")])
@pytest.mark.skipif(sys.platform != "linux", reason="finds a process in /proc")
def test_all_that_was_said_is_left_once(start: Start, columns: int, how: str) -> None:
    terminal = start(columns, 24)
    terminal.chat(pieces=tuple(re.findall(r"\s*\S+", REPLY)))
    for number in range(6):
        say(terminal, f"question {number}")
    wait_for(lambda: whole(terminal.shown(), columns), about=terminal.ever)
    running = terminal.ever()
    assert running.count("\nquestion 1\n") == 1  # it has left the view, and is in the scrollback already
    assert running.count(PROMPT) == 1 and running.count("^q quit") == 1
    if how in ("TERM", "HUP"):
        os.kill(pid(terminal), signal.Signals[f"SIG{how}"])
    elif how == "/quit":
        terminal.type(how)
    else:
        terminal.key(how)
    expected = [line for number in range(6) for line in ["", "You", f"question {number}", *DRAWN]]
    assert terminal.left() == expected


def test_a_reply_that_is_being_written_is_left_as_far_as_it_is(start: Start) -> None:
    terminal = start(80, 24)
    terminal.chat(pieces=tuple(f"word{number}\n\n" for number in range(100_000)), delay=0.01)
    terminal.type("go on")
    wait_for(lambda: re.search(r"\nword(1[5-9]\d|[2-9]\d\d)\n", terminal.shown()), about=terminal.shown)
    terminal.key("C-q")
    left = terminal.left()
    words = [line for line in left if line.startswith("word")]
    assert left[:4] == ["", "You", "go on", ""] and left[4] == "Griff"
    assert words == [f"word{number}" for number in range(len(words))] and len(words) > 150


def test_of_an_older_conversation_what_is_shown_is_left(start: Start) -> None:
    terminal = start(80, 24)
    past = tuple(f"text {number}" for number in range(400))
    terminal.chat(past)
    terminal.key("C-q")
    left = terminal.left()
    found = re.fullmatch(r"(\d+) earlier messages are in the conversation\.", left[1])
    assert found and not left[0]
    first = int(found[1])
    assert 370 <= first < 395
    said = [(number, line) for number, line in enumerate(left) if line.startswith("text ")]
    assert [line for _, line in said] == [f"text {number}" for number in range(first, 400)]


def test_time_travel_and_other_conversations(start: Start) -> None:
    """What is said twice, said elsewhere, or said in another conversation, is where it was said."""
    terminal = start(80, 24)
    terminal.chat(PAST, pieces=("an ", "answer"))
    say(terminal, "second question", "an answer")
    terminal.key("C-r")
    wait_for(lambda: "Griff ‹2/2›\nan answer\n" in terminal.shown(), about=terminal.shown)
    for _ in range(2):
        terminal.key("M-Up")
    wait_for(lambda: "Turn" in terminal.shown() or "before the first" in terminal.shown(), about=terminal.shown)
    terminal.type("/back")
    wait_for(lambda: "before the first message" in terminal.shown(), about=terminal.shown)
    say(terminal, "from the start", "an answer")
    terminal.type("/new")
    wait_for(lambda: "Nothing you write" in terminal.shown(), about=terminal.shown)
    say(terminal, "elsewhere", "an answer")
    terminal.key("C-q")
    assert terminal.left() == [
        *["", "You", PAST[0], "", "Griff", PAST[1]],
        *["", "You", "second question", "", "Griff", "an answer", "", "Griff ‹2/2›", "an answer"],
        *["", "From the beginning:", "", "You ‹2/2›", "from the start", "", "Griff", "an answer"],
        *["", "In “elsewhere”:", "", "You", "elsewhere", "", "Griff", "an answer"],
    ]


@pytest.mark.parametrize("ends", [False, True])
def test_a_reply_behind_another_conversation_is_left(start: Start, ends: bool) -> None:
    terminal = start(80, 24)
    terminal.chat(pieces=tuple(f"word{number}\n\n" for number in range(200 if ends else 100_000)), delay=0.01)
    terminal.type("go on")
    wait_for(lambda: re.search(r"\nword\d\d\n", terminal.shown()), about=terminal.shown)
    terminal.type("/new")
    wait_for(lambda: "Nothing you write" in terminal.shown(), about=terminal.shown)
    if ends:
        wait_for(lambda: "\nword199\n" in terminal.ever(), about=terminal.ever)
    terminal.key("C-q")
    left = terminal.left()
    words = [line for line in left if line.startswith("word")]
    assert left[:5] == ["", "You", "go on", "", "Griff"] and left.count("Griff") == 1
    assert words == [f"word{number}" for number in range(len(words))] and len(words) > 10


def test_nothing_is_left_where_nothing_was_said(start: Start) -> None:
    terminal = start(80, 24)
    terminal.chat()
    for above in ("F1", "Escape"):
        terminal.key(above)
        wait_for(lambda up=above == "F1": (PROMPT in terminal.shown()) != up, about=terminal.shown)
    terminal.key("C-q")
    assert terminal.left() == []


def test_an_error_in_the_program_leaves_what_was_said(ptys: type, tmp_path: Path) -> None:
    pty = ptys(*doomed(tmp_path / "data", "--inline", "--crash", "handler"))
    pty.wait("Nothing you write")
    pty.send("hello\r")
    pty.wait("word word")
    pty.send("\x1b")
    pty.wait("another")
    pty.send("crash\r")
    assert pty.end() == 1
    end = pty.text.rpartition("\x1b[<u")[2]
    assert re.search(r"\nYou\s+hello\s+Griff\s+word word.*rgchat: an error in the program", end, re.DOTALL), end


async def test_a_write_that_a_signal_interrupts_is_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: without a buffer the rest of a drawing was lost, and the next one began in another line."""
    inlet, outlet = os.pipe()
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:7])))
    with open(outlet, "w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "__stderr__", file)
        monkeypatch.setattr(sys, "__stdin__", file)
        driver = InlineDriver(ChatApp.__new__(ChatApp))
        driver.write("one line, 獺獺獺, and more\n")
    with open(inlet, encoding="utf-8") as file:
        assert file.read() == "one line, 獺獺獺, and more\n"


# --- the notes ----------------------------------------------------------------------------


class Noted:
    """What a chat of some messages has noted."""

    def __init__(self, data: Path, past: tuple[str, ...] = ()) -> None:
        self.session = Scripted(data, past=past)
        self.said = Said(ThisSitting(self.session))
        self.window = MessageWindow(text=lambda number: self.session.store.messages.get(number).text)

    def entries(self) -> list[Entry]:
        head = self.session.head
        self.window.restart(self.session.store.messages.path(head.id if head else None))
        return list(self.window)

    def texts(self) -> list[str]:
        return [piece.text for piece in self.said.all(1000)]


@pytest.fixture
def noted(tmp_path: Path) -> Iterator[Noted]:
    made = Noted(tmp_path / "data", PAST)
    yield made
    made.session.close()


def test_what_is_noted_is_not_noted_again(noted: Noted) -> None:
    noted.said.opened(noted.entries(), 20)
    for entry in noted.entries():
        noted.said.note(entry)
    noted.said.opened(noted.entries(), 20)
    assert noted.texts() == list(PAST)


def test_a_reply_is_noted_part_by_part(noted: Noted) -> None:
    noted.said.opened(noted.entries(), 20)
    live = Entry(MODEL, None, 2)
    paragraphs = [f"{number} {'word ' * 300}\n\n" for number in range(5)]
    for paragraph in paragraphs:
        live.parts.feed(paragraph)
        noted.said.note(live)
    before = noted.texts()[2:]
    assert "".join(before) == "".join(live.parts[number] for number in range(live.parts.closed)) and len(before) >= 2
    live.live = False
    noted.said.note(live)
    noted.said.note(live)
    pieces = noted.said.all(1000)[2:]
    assert "".join(piece.text for piece in pieces) == "".join(paragraphs)
    assert [piece.first for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]


@pytest.mark.parametrize("has_left", [False, True])
def test_a_reply_that_goes_on_is_noted_from_there(noted: Noted, has_left: bool) -> None:
    """As one where it still waits, else without what is in the terminal."""
    entries = noted.entries()
    noted.said.opened(entries, 20)
    if has_left:
        noted.said.gone(2)
    assert entries[1].stored is not None
    noted.said.going_on(entries[1].stored.id)
    live = Entry(MODEL, None, 1)
    live.parts.feed(PAST[1] + " And quick.")
    live.live = False
    live.key = None
    live.live = True
    noted.said.note(live)
    live.live = False
    noted.said.note(live)
    assert noted.texts() == ([" And quick."] if has_left else [PAST[0], PAST[1] + " And quick."])


def test_what_waits_is_bounded(noted: Noted) -> None:
    for number in range(3 * MAX_WAITING):
        noted.said.note(Entry(NOTICE, f"notice {number}", number))
        while due := noted.said.due(lambda *_: False, 4):
            noted.said.gone(len(due))
        assert len(noted.said.all(1000)) <= MAX_WAITING
    assert noted.texts()[-1] == f"notice {3 * MAX_WAITING - 1}"


def test_a_huge_message_that_was_there_is_noted_as_far_as_it_is_shown(tmp_path: Path) -> None:
    noted = Noted(tmp_path / "data", ("question", "".join(f"line {number}\n\n" for number in range(20_000))))
    noted.said.opened(noted.entries(), 24)
    texts = noted.texts()
    assert texts[0] == "1 earlier message and the beginning of this one are in the conversation."
    assert len(texts) <= 4 and texts[-1].endswith("line 19999\n\n")
    noted.session.close()


def test_the_title_of_another_conversation_is_safe(noted: Noted) -> None:
    noted.said.opened(noted.entries(), 20)
    noted.session.begin()
    noted.session.add_user_message("\x1b[31m" + "long " * 50)
    noted.said.opened(noted.entries(), 20)
    heading = noted.texts()[2]
    assert heading.startswith("In “") and "\x1b" not in heading and len(heading) < 80


# --- a line -------------------------------------------------------------------------------

GROUND, OTHER = Style(bgcolor="color(233)"), Style(bgcolor="color(17)")


def test_a_line_ends_where_its_text_ends() -> None:
    console = Console(color_system="256", force_terminal=True)
    strip = Strip([Segment("two ", GROUND + Style(bold=True)), Segment("words  ", GROUND), Segment("   ", GROUND)])
    assert ended(strip).text == "two words"
    assert sequence(strip, console, 80).endswith("\x1b[48;5;233m\x1b[K\x1b[0m")
    assert sequence(strip, console, 9).count("\x1b[K") == 0  # the last column is taken
    assert ended(Strip([Segment("a", GROUND), Segment("  ", OTHER), Segment(" ", GROUND)])).text == "a  "
    assert ended(Strip([Segment("a", GROUND), Segment("  ", GROUND + Style(underline=True))])).text == "a  "
    assert ended(Strip([])).text == ""
