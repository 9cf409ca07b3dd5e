"""A question on the command line: which conversation it is for, what comes with it, who goes on typing, and how it is shown.

The table is of real descriptors and a real store; only the screen and the lines are stood in for, and say what they were given.
"""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import IO, Any

import pytest
from ptys import Pty, ptys
from rooms import ROOT
from scripted import Scripted, idle, notices, said, screen, taken
from waiting import PATIENCE, wait_for, wait_until

import tui.app
import tui.plain
from rgmlx.cli import material
from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError
from rgmlx.store import Store
from tui import cli
from tui.app import ChatApp
from tui.prompt.drafts import Draft, Drafts
from tui.prompt.history import History
from tui.prompt.outbox import Outbox
from tui.question import Question
from tui.terminal import own_keyboard

__all__ = ["ptys"]

SIZE = (80, 24)
WORDS = "What is this?"
NOTES = "otters hold hands\n"
BOTH = f"Input:\n```\n{NOTES}```\n\n{WORDS}"

QUESTION = Question(WORDS, BOTH, len(NOTES))

# --- the table ----------------------------------------------------------------------------------

INPUTS = ("terminal", "pipe", "file", "/dev/null")
MODES = ("", "--inline", "--plain")
WAYS = ("", "--continue", "--new", "--session", "--open")
REFUSED = "refused"
SHOWN = {
    # a question, what standard input is, where the terminal is: the whole screen, inline, lines; and who types then
    (False, "terminal", "both"): ("screen", "inline", "lines"),
    (False, "terminal", "no output"): (REFUSED, REFUSED, "lines"),
    (False, "pipe", "both"): (REFUSED, REFUSED, "lines of the input"),
    (False, "file", "both"): (REFUSED, REFUSED, "lines of the input"),
    (False, "/dev/null", "both"): (REFUSED, REFUSED, "lines of the input"),
    (False, "pipe", "none"): (REFUSED, REFUSED, "lines of the input"),
    (False, "file", "none"): (REFUSED, REFUSED, "lines of the input"),
    (False, "/dev/null", "none"): (REFUSED, REFUSED, "lines of the input"),
    (True, "terminal", "both"): ("screen", "inline", "lines"),
    (True, "pipe", "both"): ("screen", "inline", "lines"),
    (True, "file", "both"): ("screen", "inline", "lines"),
    (True, "/dev/null", "both"): ("screen", "inline", "lines"),
    (True, "terminal", "no output"): ("printed", "printed", "printed"),
    (True, "pipe", "no output"): ("printed", "printed", "printed"),
    (True, "file", "no output"): ("printed", "printed", "printed"),
    (True, "/dev/null", "no output"): ("printed", "printed", "printed"),
    (True, "pipe", "none"): ("printed", "printed", "printed"),
    (True, "file", "none"): ("printed", "printed", "printed"),
    (True, "/dev/null", "none"): ("printed", "printed", "printed"),
}
OPENED = {
    # the option, a question: the conversation where somebody types, and where nobody does
    ("", False): ("last", "new"),
    ("", True): ("new", "new"),
    ("--continue", False): ("last", "last"),
    ("--continue", True): ("last", "last"),
    ("--new", False): ("new", "new"),
    ("--new", True): ("new", "new"),
    ("--session", False): ("diary", "diary"),
    ("--session", True): ("diary", "diary"),
    ("--open", False): ("file", "file"),
    ("--open", True): ("file", "file"),
}
SENT = {"terminal": WORDS, "pipe": BOTH, "file": BOTH, "/dev/null": WORDS}


@dataclass
class Begun:
    """What a chat was begun with."""

    shown: str
    conversation: str
    typed: bool
    left: bytes
    question: Question | None
    last: bool


class Streams:
    """The standard streams of one run, and the terminal it belongs to."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._place, self._monkeypatch = place, monkeypatch
        self._opened: list[int] = []
        self._streams: list[IO[str]] = []
        monkeypatch.setattr(sys, "__stdin__", sys.__stdin__)

    def set(self, kind: str, terminal: str) -> None:
        """`terminal`: "both", "no output" or "none"."""
        ours, theirs = pty.openpty()
        name = os.ttyname(theirs)
        self._opened += [ours, theirs]
        self._monkeypatch.setattr(own_keyboard, "TERMINAL", name if terminal != "none" else str(self._place / "none"))
        (self._place / "notes").write_text(NOTES)
        if kind == "pipe":
            descriptor, inlet = os.pipe()
            os.write(inlet, NOTES.encode())
            os.close(inlet)
        else:
            path = {"terminal": name, "file": str(self._place / "notes"), "/dev/null": os.devnull}[kind]
            descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY)
        output = os.open(name if terminal == "both" else os.devnull, os.O_WRONLY | os.O_NOCTTY)
        self._streams = [os.fdopen(descriptor, "r", encoding="utf-8"), os.fdopen(output, "w", encoding="utf-8")]
        self._monkeypatch.setattr(sys, "stdin", self._streams[0])
        self._monkeypatch.setattr(sys, "stdout", self._streams[1])

    def close(self) -> None:
        for stream in self._streams:
            stream.close()
        for descriptor in self._opened:
            os.close(descriptor)


@pytest.fixture
def streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Streams]:
    made = Streams(tmp_path, monkeypatch)
    yield made
    made.close()
    monkeypatch.undo()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conversations: one that was open last, a newer one, a diary. And a file."""
    place = tmp_path_factory.mktemp("made")
    with Store(place / "data") as store:
        for title in ("diary", "last", "newer"):
            one = store.conversations.create("demo", title)
            store.messages.add_user(one.id, None, title)
            if title == "last":
                (place / "data" / "last").write_text(str(one.id))
    (place / "a.rgstate").write_text("")
    return place


@pytest.fixture
def begun(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Begun | str]:
    """Runs a command line up to where the chat would begin; what it begins with, or the sentence that ends it."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TERM", "xterm-256color")
    data = Path(shutil.copytree(made / "data", tmp_path / "data"))

    def run(*arguments: str) -> Begun | str:
        found: list[Begun] = []

        def note(shown: str, session: Session, file: Path | None, question: Question | None) -> None:
            row = session.conversation
            title = "file" if file is not None else row.title if row is not None else "new"
            typed = sys.stdin.isatty()
            left = b"" if typed else os.read(sys.stdin.fileno(), 100)
            found.append(Begun(shown, title, typed, left, question, session.last is not None))

        class Lines:
            def __init__(
                self, session: Session, *, file: Path | None, question: Question | None, **others: Any
            ) -> None:
                self._given = session, file, question

            def run(self) -> int:
                note("lines", *self._given)
                self._given[0].close()
                return 0

        class Screen:
            def __init__(self, session: Session, **given: Any) -> None:
                self.session, self.given = session, given

        def show(app: Any, *, inline: bool) -> int:
            note("inline" if inline else "screen", app.session, app.given["file"], app.given["question"])
            app.session.close()
            return 0

        monkeypatch.setattr(tui.plain, "PlainChat", Lines)
        monkeypatch.setattr(tui.app, "ChatApp", Screen)
        monkeypatch.setattr(cli, "show", show)
        options = cli.parser().parse_args(["--data", str(data), *arguments])
        try:
            assert cli._run(options) == 0
        except RgmlxError as e:
            assert not found
            return str(e)
        return found[0]

    return run


CASES = [(way, asks, kind, terminal, mode) for (asks, kind, terminal), way, mode in product(SHOWN, WAYS, MODES)]


@pytest.mark.parametrize(("way", "asks", "kind", "terminal", "mode"), CASES)
def test_every_option_with_every_input_in_every_mode(
    way: str,
    asks: bool,
    kind: str,
    terminal: str,
    mode: str,
    made: Path,
    streams: Streams,
    begun: Callable[..., Begun | str],
) -> None:
    value = {"--session": ["diary"], "--open": [str(made / "a.rgstate")]}.get(way, [])
    shown = SHOWN[asks, kind, terminal][MODES.index(mode)]
    streams.set(kind, terminal)
    found = begun(*filter(None, [mode, way]), *value, *[WORDS] * asks)
    if shown == REFUSED:
        assert isinstance(found, str) and found.startswith("this is not a terminal: add a question, as in  cat notes")
        return
    assert isinstance(found, Begun)
    types = shown in ("screen", "inline", "lines")
    assert found.shown == (shown if types and shown != "lines" else "lines")
    assert found.conversation == OPENED[way, asks][0 if types else 1]
    assert found.typed == types
    assert found.left == (NOTES.encode() if shown == "lines of the input" and kind in ("pipe", "file") else b"")
    assert found.last == (types or way == "--continue"), "what nobody types is not what was open last"
    assert (found.question.text if found.question else None) == (SENT[kind] if asks else None)
    if found.question:
        assert found.question.words == WORDS
        assert found.question.input_chars == (len(NOTES) if kind in ("pipe", "file") else 0)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--new", "--continue"), "--continue and --new each name a conversation: leave one of them out"),
        (("--session", "x", "--open", "y"), "--session and --open each name a conversation: leave one of them out"),
        (("--continue", "--session", "x"), "--continue and --session each name"),
        (("--system", "Be kind.", "--continue"), "--system is for a new conversation: leave it out, or --continue"),
        (("--system", "Be kind.", "--open", "x"), "--system is for a new conversation: leave it out, or --open"),
        (("--plain", "--inline"), "--plain and --inline are two ways to show the chat"),
        (
            ("--recover", "x", "Hello"),
            "--recover adds conversations and leaves, without a chat: leave out the question",
        ),
        (("--recover", "x", "--new"), "--recover adds conversations and leaves, without a chat: leave out --new"),
        (("",), "the question is empty: write one, as in  cat notes.txt | "),
        (("-",), "- is no question: write one"),
        (("--session", " ", "Hello"), "a conversation's name has 1 to 200 characters on one line"),
        (("--session", "diary", "--system", "Be kind."), "“diary” has another system text"),
        (("What is in @nothing.txt?",), "There is no file nothing.txt: check the name, or leave out the @"),
    ],
)
def test_what_contradicts_itself_is_a_sentence(
    arguments: tuple[str, ...], sentence: str, streams: Streams, begun: Callable[..., Begun | str]
) -> None:
    streams.set("terminal", "both")
    found = begun(*arguments)
    assert isinstance(found, str) and found.startswith(sentence) and "\n" not in found


def test_what_is_open_elsewhere_is_not_gone_on_with(
    tmp_path: Path, streams: Streams, begun: Callable[..., Begun | str]
) -> None:
    streams.set("terminal", "both")
    with Store(tmp_path / "data") as store:
        last, diary = (store.conversations.of_title(title)[0] for title in ("last", "diary"))
        with contextlib.ExitStack() as locks:
            for one in (last, diary):
                locks.callback(store.lock(one.id).release)  # type: ignore[union-attr]
            assert begun("--continue") == "“last” is open in another program: close it there first"
            assert begun("--session", "diary") == (
                "“diary” is open in another program: close it there, or choose another name"
            )
            found = begun()
            assert isinstance(found, Begun) and found.conversation == "new"


def test_one_of_several_of_a_name_is_gone_on_with_by_its_number(
    tmp_path: Path, streams: Streams, begun: Callable[..., Begun | str]
) -> None:
    streams.set("terminal", "both")
    with Store(tmp_path / "data") as store:
        [diary] = store.conversations.of_title("diary")
        other = store.conversations.create("demo", "diary")
    assert begun("--session", "diary") == (
        f"there are 2 conversations “diary”: give the number of one, :{other.id}, :{diary.id}"
    )
    found = begun("--session", f":{diary.id}")
    assert isinstance(found, Begun) and found.conversation == "diary"
    assert str(begun("--session", ":99")).startswith("there is no conversation “:99”: ")


def test_a_name_that_there_is_none_of_begins_a_conversation(
    tmp_path: Path, streams: Streams, begun: Callable[..., Begun | str]
) -> None:
    streams.set("terminal", "both")
    found = begun("--session", "novel", "--system", "Be kind.", "--temperature", "0.5")
    assert isinstance(found, Begun) and found.conversation == "novel"
    with Store(tmp_path / "data") as store:
        [row] = store.conversations.of_title("novel")
        assert (row.system, row.settings["temperature"], row.model) == ("Be kind.", 0.5, "demo")


def test_without_any_conversation_continue_begins_one(
    tmp_path: Path, streams: Streams, begun: Callable[..., Begun | str]
) -> None:
    streams.set("terminal", "both")
    found = begun("--data", str(tmp_path / "other"), "--continue", WORDS)
    assert isinstance(found, Begun) and found.conversation == "new"


def test_the_last_one_may_be_older_than_many(made: Path, tmp_path: Path) -> None:
    with Store(tmp_path / "many") as store:
        first = store.conversations.create("demo", "first")
        for number in range(60):
            store.conversations.create("demo", str(number))
        session = Session(store)
        session.last = tmp_path / "last"
        session.last.write_text(str(first.id))
        assert session.open_last() and session.conversation is not None and session.conversation.title == "first"
        session.close()
        store.conversations.archive(first.id)
        assert session.open_last() and session.conversation.title == "59"
        session.close()


def test_a_silent_pipe_is_waited_for_where_somebody_can_leave(
    monkeypatch: pytest.MonkeyPatch, streams: Streams, begun: Callable[..., Begun | str], capsys: Any
) -> None:
    """With nobody there it ends with a sentence."""
    monkeypatch.setattr(material, "NOTICE_SECONDS", 0.01)
    monkeypatch.setattr(material, "WAIT_SECONDS", 0.02)
    streams.set("terminal", "none")
    outlet, inlet = os.pipe()
    os.dup2(outlet, sys.stdin.fileno())
    found = begun(WORDS)
    assert isinstance(found, str) and found.endswith(
        "still open: add </dev/null where nothing will come, or write the text into a file and add <FILE"
    )
    assert "rgchat: waiting for standard input, which is open, and silent so far" in capsys.readouterr().err
    os.close(outlet)
    os.close(inlet)


# --- on the screen ------------------------------------------------------------------------------


class Gated(Scripted):
    """A model that is there when it is told to be."""

    def __init__(self, data: Path, pieces: tuple[str, ...] = ("Fish.",), past: tuple[str, ...] = ()) -> None:
        super().__init__(data, pieces, past=past)
        self.gate = threading.Event()
        self.fails = ""

    def load(self, name: str | None = None, progress: object = None) -> None:
        self.gate.wait(PATIENCE)
        if self.fails:
            raise RgmlxError(self.fails)
        super().load(name)


def chat(session: Scripted, question: Question = QUESTION, **more: Any) -> ChatApp:
    data = session.store.directory
    return ChatApp(
        session, question=question, history=History(data / "history.jsonl"), drafts=Drafts(data / "drafts"), **more
    )


async def test_it_waits_for_the_model_and_is_sent(tmp_path: Path) -> None:
    """Its words are the title and what Up brings back; what it is about is in the message, word by word."""
    session = Gated(tmp_path)
    app = chat(session, Question(WORDS, BOTH.replace("hands", "@nothing.txt"), len(NOTES)))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: any(f"takes it back: {WORDS}" in line for line in screen(app)))
        assert not notices(app), "no greeting for somebody who knows what to ask"
        session.gate.set()
        await wait_until(lambda: len(said(app)) == 2 and idle(app))
        assert said(app)[0].text == BOTH.replace("hands", "@nothing.txt") and said(app)[1].text == "Fish."
        assert session.conversation is not None and session.conversation.title == WORDS
        assert app.history is not None and list(app.history.entries)[-1] == WORDS
        assert app.prompt.text == ""


async def test_it_can_be_taken_back_and_changed(tmp_path: Path) -> None:
    session = Gated(tmp_path)
    app = chat(session)
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: app.query_one(Outbox).display)
        await pilot.press("escape")
        await wait_until(lambda: app.prompt.text == BOTH)
        session.gate.set()
        await wait_until(lambda: idle(app))
        await taken(app)
        assert said(app) == []
        await pilot.press("!", "enter")
        await wait_until(lambda: len(said(app)) == 2 and idle(app))
        assert said(app)[0].text == BOTH + "!"


async def test_what_was_typed_before_and_not_sent_is_still_there(tmp_path: Path) -> None:
    drafts = Drafts(tmp_path / "drafts")
    drafts.write(None, Draft("a draft"), drafts.ticket())
    drafts.close()
    app = chat(Scripted(tmp_path, ["Fish."]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: len(said(app)) == 2 and idle(app))
        assert app.prompt.text == "a draft" and said(app)[0].text == BOTH


async def test_without_a_model_it_is_held(tmp_path: Path) -> None:
    session = Gated(tmp_path)
    session.fails = "there is no such model"
    session.gate.set()
    app = chat(session)
    async with app.run_test(size=SIZE):
        held = f"Held, since there was no model: Enter alone sends it: {WORDS}"
        await wait_until(lambda: "There is no model" in notices(app) and str(app.outbox.content) == held)
        assert said(app) == []
        app.simulate_key("enter")
        await wait_until(lambda: "is not loaded: choose a model" in app.position_label)
        app.simulate_key("up")
        await wait_until(lambda: app.prompt.text == BOTH and not app.outbox.items)


@pytest.mark.parametrize("good", [True, False])
async def test_it_is_for_the_conversation_of_the_file(
    good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not sent to another one where that can't be opened."""

    def open_file(session: Session, path: Path) -> None:
        if not good:
            raise RgmlxError("it is damaged")
        session.begin()
        session.created("from a file")

    monkeypatch.setattr("tui.operations.rgstate.open_file", open_file)
    session = Scripted(tmp_path, ["Fish."])
    session.require_context = lambda: None  # type: ignore[method-assign,assignment,return-value]
    app = chat(session, file=tmp_path / "a.rgstate")
    async with app.run_test(size=SIZE):
        if good:
            await wait_until(lambda: len(said(app)) == 2 and idle(app))
            assert session.conversation is not None and session.conversation.title == "from a file"
        else:
            await wait_until(lambda: app.prompt.text == BOTH and idle(app))
            assert said(app) == [] and "It is damaged" in notices(app)


# --- real programs ------------------------------------------------------------------------------

FEW = ("--max-tokens", "8", "--temperature", "0")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("given", ["<notes.txt", "</dev/null", "cat notes.txt |", ""])
def test_it_is_answered_and_the_chat_goes_on(mode: str, given: str, tmp_path: Path, ptys: Callable[..., Pty]) -> None:
    """In a terminal of its own, whose keyboard is not the standard input."""
    (tmp_path / "notes.txt").write_text(NOTES)
    before, after = (given, "") if given.endswith("|") else ("", given)
    data = tmp_path / "data"
    code = f'cd "$1"; {before} PYTHONPATH="$2" "$0" -m tui --data data {" ".join(FEW)} {mode} "{WORDS}" {after}'
    chat = ptys("sh", "-c", code, sys.executable, str(tmp_path), str(ROOT))

    def texts() -> list[str]:
        if not (data / "chats.db").exists():
            return []
        with Store(data) as store:
            rows = store.conversations.listed()
            return [m.text for m in store.messages.path(rows[0].head) if not m.streaming] if rows else []

    def count(number: int) -> bool:
        chat.read(0.1)
        return len(texts()) == number

    wait_for(lambda: count(2), about=lambda: chat.text[-2000:])
    if mode == "--plain":
        chat.wait(f"You: {WORDS}")
        chat.wait("Assistant: ")
        chat.wait("You: ")
    chat.send("Hello" + ("\n" if mode == "--plain" else "\r"))
    wait_for(lambda: count(4), about=lambda: chat.text[-2000:])
    chat.send("/quit\n" if mode == "--plain" else "\x11")
    assert chat.end() == 0
    assert texts()[0] == (BOTH if "notes" in given else WORDS) and texts()[2] == "Hello"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("data", [b"", NOTES.encode()])
def test_without_a_terminal_the_answer_is_printed(mode: str, data: bytes, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tui", "--data", str(tmp_path / "data"), *FEW, *filter(None, [mode]), WORDS]
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(
        command, input=data, capture_output=True, cwd=ROOT, env=environment, start_new_session=True, timeout=PATIENCE
    )
    with Store(tmp_path / "data") as store:
        asked, answer = store.messages.path(store.conversations.listed()[0].head)
    assert (done.returncode, done.stderr) == (0, b"")
    size = f"Input: {len(NOTES)} characters\n" if data else ""
    out = done.stdout.decode().replace("Loading demo.\n", "")
    assert out.startswith(f"Model: demo\nThis is a new conversation.\nYou: {WORDS}\n{size}Assistant: {answer.text}\n")
    assert asked.text == (BOTH if data else WORDS) and not (tmp_path / "data" / "last").exists()


def test_a_conversation_by_name_is_begun_and_gone_on_with(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}

    def ask(words: str) -> str:
        command = [sys.executable, "-m", "tui", "--data", str(tmp_path / "data"), *FEW, "--session", "diary", words]
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            timeout=PATIENCE,
            check=True,
        ).stdout

    assert f"New conversation: diary.\nYou: {WORDS}\n" in ask(WORDS)
    assert "Going on with: diary (2 messages)\n" in ask("And now?")


async def test_an_empty_conversation_of_a_name_has_nothing_to_go_forward_to(tmp_path: Path) -> None:
    """It was before the first message of none."""
    session = Scripted(tmp_path, ["Fish."])
    session.created("diary")
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app) and "You are talking to Griff" in notices(app))
        assert "before the first message" not in notices(app)
