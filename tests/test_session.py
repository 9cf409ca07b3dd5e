"""The session: kill -9, stops, full disks and failing engines in the middle; any place of the tree; settings and files.

Texts are compared with those of a run that nothing has happened to. The embedded model computes in float32 here, so that
reading a text gives the state that writing it gave, to a millionth; a text that splits into other tokens when it is read
again would not, and `same_tokens` sees to it that none of ours does.
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rgmlx
from rgmlx import engine
from rgmlx.errors import ChatError, RgmlxError, StateError
from rgmlx.sampling import Sampling
from rgmlx.store import MODEL, USER, Message, Store, StoreError, messages
from rgmlx.store.messages import Messages
from rgmlx.turns import Point, ids_of
from tui import places
from tui.memory import Memory
from tui.saved import open_file, save_file
from tui.session import Session

GREEDY = {"temperature": 0.0}
STORY = "Tell me a story about a fox."
NAME = "What is your name?"
LONG = " ".join(f"The {n}. fox met a bear near the old river and shared some honey." for n in range(3))


class Watched(Session):
    """A session that notes what was told of reading, and may be stopped at set moments of it."""

    def __init__(self, store: Store, model: rgmlx.Model, **sampling: Any) -> None:
        super().__init__(store, sampling={**GREEDY, **sampling})
        self.memory = Memory(model, store)
        self.told: list[tuple[int, int] | None] = []
        self.stop_at_progress: int | None = None
        self.stop_before_writing = False

    def _progress(self, done: int, total: int) -> None:
        super()._progress(done, total)
        self.told.append(self.reading)
        if len(self.told) == self.stop_at_progress:
            self.stop()
            self.stop()

    def _sampling(self, message: Message) -> Sampling:
        if self.stop_before_writing:
            self.stop()
        return super()._sampling(message)

    def say(self, text: str) -> str:
        self.ask(text)
        return self.answer()

    def answer(self, most: int = 40) -> str:
        """A reply, stopped when it is longer than that."""
        text = ""
        for piece in self.reply():
            text += piece
            if len(text) > most:
                self.stop()
        return text

    def texts(self) -> list[str]:
        return [m.text for m in self.store.messages.path(self.head.id if self.head else None)]


Open = Callable[..., Watched]


@pytest.fixture
def begin(tmp_path: Path, demo: rgmlx.Model) -> Iterator[Open]:
    """Makes sessions, each over a store of its own or over one that is there."""
    opened: list[Watched] = []

    def new(
        directory: Path | None = None, model: rgmlx.Model | None = None, budget: int | None = None, **sampling: Any
    ) -> Watched:
        directory = tmp_path / f"store{len(opened)}" if directory is None else directory
        opened.append(Watched(Store(directory, snapshot_bytes=budget), model or demo, **sampling))
        return opened[-1]

    yield new
    for session in opened:
        session.close()
        session.store.close()


def again(begin: Open, session: Watched, **options: Any) -> Watched:
    """The same conversation, opened by what could be another process."""
    assert session.conversation is not None
    session.close()
    other = begin(session.store.directory, **options)
    assert other.open(session.conversation.id)
    return other


def crashed(begin: Open, session: Watched, name: str) -> Watched:
    """The conversation as a power cut would have left it at this moment."""
    directory = session.store.directory.with_name(name)
    shutil.copytree(session.store.directory, directory, ignore=shutil.ignore_patterns("open"))
    other = begin(directory)
    assert session.conversation is not None and other.open(session.conversation.id)
    return other


def reader(begin: Open, path: Iterable[Message], **sampling: Any) -> Watched:
    """A session that knows these messages from reading them."""
    session = begin(**sampling)
    made, last = session.store.conversations.create("demo"), None
    for m in path:
        last = session.store.messages.add_finished(made.id, last, m.role, m.text, closed=m.closed, created=1.0)
    session.open(made.id, last)
    session.stand()
    return session


def same_tokens(a: Session, b: Session) -> bool:
    assert a.memory is not None and b.memory is not None
    return len({s.point.state.position + len(s.point.unread) for s in (a.memory, b.memory)}) == 1


def goes_on_alike(begin: Open, session: Watched, question: str = NAME) -> None:
    """The next answer is that of a session that has read the same path."""
    assert session.head is not None
    fresh = reader(begin, session.store.messages.path(session.head.id))
    session.stand()
    assert same_tokens(session, fresh)
    assert session.say(question) == fresh.say(question)


def read(session: Session) -> int:
    assert session.memory is not None
    return session.memory.read


def some(session: Session, pieces: Iterator[str], chars: int = 20) -> str:
    """The start of a reply, which is stopped then."""
    text = pull(pieces, chars)
    session.stop()
    return text + "".join(pieces)


def pull(pieces: Iterator[str], chars: int) -> str:
    """At least so many characters of a running reply."""
    text = ""
    while len(text) < chars:
        text += next(pieces)
    return text


# --- kill -9 ------------------------------------------------------------------------------

# Forks before MLX has begun to work, so that a process more costs no second import.
_WRITERS = """
import json, os, sys, time
import mlx.core as mx, rgmlx.model, tui.memory, tui.writer, rgmlx.store.snapshots
from rgmlx.store import Store
from tui.session import Session
say = lambda what: print(json.dumps(what), flush=True)
for line in sys.stdin:
    directory, text, seed = json.loads(line)
    if child := os.fork():
        os.waitpid(child, 0)
        say(None)
        continue
    mx.set_default_device(mx.cpu)
    session = Session(Store(directory), sampling={"temperature": 0.8, "seed": seed})
    session.load()
    session.ask(text)
    say(os.getpid())
    for piece in session.reply(endless=True):
        say([time.time(), piece])
"""


@pytest.fixture(scope="module")
def writers() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITERS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.communicate(timeout=30)


def killed(
    writers: subprocess.Popen[str], directory: Path, moment: float, meanwhile: Callable[[], None]
) -> tuple[list[tuple[float, str]], float]:
    """Pieces with their times, of a reply whose process was killed; and when that was.

    Args:
        moment: seconds after the first piece; less than 0 kills while the message is read.
    """
    assert writers.stdin is not None and writers.stdout is not None
    writers.stdin.write(json.dumps([str(directory), STORY, 7]) + "\n")
    writers.stdin.flush()
    process, pieces = json.loads(writers.stdout.readline()), []
    if moment >= 0:
        pieces.append(json.loads(writers.stdout.readline()))
        while pieces[-1][0] < pieces[0][0] + moment:
            pieces.append(json.loads(writers.stdout.readline()))
    else:
        time.sleep(-moment)
    meanwhile()
    at = time.time()
    os.kill(process, signal.SIGKILL)
    while (line := json.loads(writers.stdout.readline())) is not None:
        pieces.append(line)
    return pieces, at


def test_kill_9_at_any_moment(begin: Open, writers: subprocess.Popen[str], tmp_path: Path) -> None:
    reference = begin(temperature=0.8, seed=7)
    reference.ask(STORY)
    undisturbed, whole = reference.reply(endless=True), ""
    rng, without_reading = random.Random(5), 0
    moments = [-0.01, -0.04] + [2.5 * (n + rng.random()) / 10 for n in range(10)]
    for number, moment in enumerate(moments):
        directory = tmp_path / f"killed{number}"

        def meanwhile(directory: Path = directory) -> None:
            other = begin(directory)
            before = other.settings
            assert other.open(1) is False  # its process has it
            assert (other.conversation, other.head, other.settings) == (None, None, before)
            assert other.store.messages.tree(1)[0].text == STORY  # the prompt is there before the first word

        pieces, at = killed(writers, directory, moment, meanwhile)
        session = begin(directory, temperature=0.8)
        assert session.open(1)
        assert session.settings["seed"] == 7
        path = session.store.messages.path(session.head.id if session.head else None)
        assert path[0].text == STORY and not path[-1].streaming
        on_disk = path[1].text if len(path) > 1 else ""
        delivered = "".join(piece for _, piece in pieces)
        old = "".join(piece for stamp, piece in pieces if stamp < at - 1)
        assert len(old) <= len(on_disk) <= len(delivered) + 20 and on_disk.startswith(old)
        going = session.go_on(endless=True) if len(path) > 1 else session.reply(endless=True)
        text = on_disk + pull(going, 20 if number % 4 else 60)
        session.stop()
        text += "".join(going)
        whole += pull(undisturbed, max(len(text) - len(whole), 0))
        assert text == whole[: len(text)]
        assert session.head is not None and session.store.messages.get(session.head.id).text == text
        assert session.store._database.row("SELECT count(*) FROM snapshots WHERE message = 2")[0]
        without_reading += not read(session) and bool(on_disk)
    assert without_reading >= 3
    reference.stop()
    list(undisturbed)


def test_after_a_crash_nothing_is_read_that_a_snapshot_knows(begin: Open) -> None:
    """Also of the user's message, another reply to which is written at once."""
    session, whole = begin(temperature=0.8, seed=3), ""
    session.say("Hello")
    session.ask(STORY)
    pieces = session.reply(endless=True)
    whole = to_unread(session, pieces)
    other = crashed(begin, session, "crash")
    assert other.head is not None and whole.startswith(other.head.text) and len(other.head.text) > 10
    session.stop()
    whole += "".join(pieces)
    assert session.head is not None and session.head.text == whole
    going = other.go_on(endless=True)
    text = other.head.text + pull(going, len(whole))
    other.stop()
    text += "".join(going)
    assert text.startswith(whole) and read(other) == 0
    third = again(begin, other)
    asked = third.store.messages.path(other.head.id)[-2]
    third.go(asked.id)
    assert third.stand() == 0 and third.memory is not None and not third.memory.point.unread


def to_unread(session: Watched, pieces: Iterator[str]) -> str:
    """Has a reply written until its state is on the disk, and then some more of its text."""
    text, at, of = next(pieces), 0, -1
    row = session.store._database.row
    while of <= at:
        text += next(pieces)
        assert session.head is not None
        number = session.head.id
        at = at or row("SELECT coalesce(max(chars), 0) FROM snapshots WHERE message = ?", (number,))[0]
        of = row("SELECT coalesce(sum(chars), 0) FROM pieces WHERE message = ?", (number,))[0] if at else -1
    return text


def test_a_stop_while_the_rest_is_read_after_a_crash(begin: Open) -> None:
    session = begin(temperature=0.8, seed=3)
    session.ask(STORY)
    pieces = session.reply(endless=True)
    to_unread(session, pieces)
    other = crashed(begin, session, "crash")
    reference = pull(pieces, 100)
    session.stop()
    reference += "".join(pieces)
    assert session.head is not None and session.head.text.endswith(reference)
    before = other.head
    other.stop_before_writing = True
    assert list(other.go_on(endless=True)) == []
    other.stop_before_writing = False
    assert other.head == before and other.memory is not None and other.memory.point.unread
    other = again(begin, other)  # what is on the disk is as right as what is in memory
    going = other.go_on(endless=True)
    text = before.text + pull(going, 60)
    other.stop()
    assert session.head.text.startswith(text) and read(other) == 0
    list(going)


def test_a_reply_too_long_for_one_text_survives_a_crash_as_well(begin: Open, monkeypatch: Any) -> None:
    monkeypatch.setattr(messages, "FOLD_CHARS", 40)
    session = begin(temperature=0.8, seed=3)
    session.ask(STORY)
    pieces = session.reply(endless=True)
    text = pull(pieces, 60)
    session.stop()
    text += "".join(pieces)
    pieces = session.go_on(endless=True)
    row = session.store._database.row
    begun = row("SELECT chars FROM snapshots WHERE message = 2")[0]
    assert begun == len(text)
    while row("SELECT chars FROM snapshots WHERE message = 2")[0] == begun:
        text += next(pieces)  # until the state of the running reply is on the disk
    other = crashed(begin, session, "crash")
    assert other.stand() == 0
    before = other.store.messages.get(2).text
    more = pull(other.go_on(endless=True), 10)
    text += pull(pieces, len(before) + len(more) - len(text))
    assert (before + more).startswith(text[: len(before + more)])


# --- without a usable snapshot ------------------------------------------------------------


def _other_model(session: Watched) -> rgmlx.Model:
    model = rgmlx.load("demo")
    model._weights_fingerprint = "of other weights"
    return model


@pytest.mark.parametrize("how", ["forgotten", "damaged", "no room", "another model"])
def test_without_a_snapshot_it_reads_again(begin: Open, how: str, small_steps: None) -> None:
    session = begin(budget=0 if how == "no room" else None)
    session.say("Hello")
    session.say("What can you do? I met a kind bear near the old river. We shared some honey and sang a song.")
    if how == "forgotten":
        session.store.snapshots.forget()
    elif how == "damaged":
        with session.store._database.transaction() as c:
            c.execute("UPDATE snapshots SET data = zeroblob(length(data))")
    model = _other_model(session) if how == "another model" else None
    other = again(begin, session, model=model, budget=session.store.snapshots.budget)
    assert other.head is not None and not other.stands
    tokens = other.stand()
    assert tokens == read(other) == session.gauges.position > 60
    assert other.stands and same_tokens(session, other)
    assert len(other.told) > 3 and other.told[-1] is None and other.reading is None
    done = [d for d, _ in filter(None, other.told)]
    assert done == sorted(done) and {total for _, total in filter(None, other.told)} == {len("".join(other.texts()))}
    session.open(other.head.conversation)
    assert other.say(NAME) == session.say(NAME)
    assert other.gauges.read_again == tokens


# --- stops --------------------------------------------------------------------------------


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CPU_CHUNK", 16)


def test_stopped_while_the_message_is_read(begin: Open, small_steps: None) -> None:
    session, reference = begin(), begin()
    reference.ask(LONG)
    expected = reference.answer()
    asked = session.ask(LONG)
    for at in (1, 3):  # twice, a little further each time
        session.stop_at_progress = at
        assert list(session.reply()) == []
        assert session.reading is None and session.head == asked
        assert session.store.messages.children(asked.id) == []  # no trace of a reply without a word
        assert session.store.conversations.get(1).head == asked.id
    assert session.memory is not None and 0 < session.memory.point.state.position < 50
    assert session.answer() == expected
    assert read(session) == 0 and same_tokens(session, reference)
    assert session.head is not None and (session.head.number, session.head.siblings) == (1, 1)


def test_a_message_stopped_while_read_can_be_left_or_edited(begin: Open, small_steps: None) -> None:
    session, reference = begin(), begin()
    for s in (session, reference):
        s.say("Hello")
    asked = session.ask(LONG)
    session.stop_at_progress = len(session.told) + 1
    assert list(session.reply()) == []
    session.edit(asked.id, NAME)
    assert session.answer() == reference.say(NAME)
    assert read(session) == 0 and same_tokens(session, reference)


def test_stopped_at_the_first_piece_and_later(begin: Open) -> None:
    reference = begin()
    reference.ask(NAME)
    expected = "".join(reference.reply())
    session = begin()
    session.ask(NAME)
    text = ""
    for wanted in (1, 9):
        pieces = session.reply() if not text else session.go_on()
        for piece in pieces:
            text += piece
            if len(text) >= wanted:
                session.stop()
                session.stop()
        assert session.head is not None and session.head.text == text == expected[: len(text)]
        assert not session.head.closed and len(text) < 30 and session.stands
    enough = threading.Event()
    other = threading.Thread(target=lambda: enough.wait() and session.stop())
    other.start()
    for piece in session.go_on():
        text += piece
        if len(text) > 20:
            enough.set()
    other.join()
    assert text == expected[: len(text)] and session.store.messages.get(2).text == text
    partial = session.head
    assert partial is not None and not partial.closed
    # From here on: a new message, another reply, or the rest, each as if nothing had been stopped.
    goes_on_alike(begin, session, "Hello")
    session.go(partial.parent)
    assert "".join(session.reply()) == expected
    session.go(partial.id)
    rest = "".join(session.go_on())  # others follow the partial one: it is a longer sibling
    assert text + rest == expected and session.texts() == [NAME, expected]
    assert session.store.messages.get(partial.id) == messages_with(partial, siblings=3)
    assert read(session) == 0 and same_tokens(session, reference)
    session = again(begin, session)
    assert session.stand() == 0


def messages_with(message: Message, **changes: Any) -> Message:
    return Message(**{**vars(message), **changes})


def test_a_stop_while_reading_again_is_gone_on_with(begin: Open, small_steps: None) -> None:
    session = begin()
    session.say(LONG)
    session.store.snapshots.forget()
    other = again(begin, session)
    other.stop_at_progress = 2
    with pytest.raises(ChatError, match="goes on with it"):
        other.stand()
    stopped_at = read(other)
    assert other.reading is None and 0 < stopped_at < session.gauges.position
    other.stand()
    assert read(other) <= session.gauges.position and same_tokens(session, other)
    assert other.say("Hello") == session.say("Hello")


def test_a_stopped_reply_says_why_and_leaves_nothing(begin: Open, small_steps: None) -> None:
    """Of a reply whose conversation had to be read again first."""
    session = begin()
    session.say(LONG)
    session.ask("Hello")
    session.store.snapshots.forget()
    other = again(begin, session)
    other.stop_at_progress = 1
    with pytest.raises(ChatError):
        list(other.reply())
    assert other.reading is None and other.head is not None and other.store.messages.children(other.head.id) == []
    assert other.answer() == session.answer()


def test_going_on_with_a_reply_that_had_ended(begin: Open) -> None:
    session = begin()
    first = session.say("Hello")
    ended = session.head
    session.stop_before_writing = True
    assert list(session.go_on()) == [] and session.head == ended  # without a word there is no sibling
    session.stop_before_writing = False
    more = "".join(session.go_on())
    assert ended is not None and session.head is not None and session.head.text == first + more
    assert len(session.memory.tokenizer.encode(more)) >= 7 if session.memory else False
    assert (session.head.number, session.head.parent) == (2, ended.parent)
    assert session.store.messages.get(ended.id).text == first
    goes_on_alike(begin, session)
    with pytest.raises(ChatError, match="send a message first"):
        session.begin()
        list(session.go_on())


# --- errors in the middle -----------------------------------------------------------------


class FullDisk(Messages):
    """Has room for so many appends."""

    room = math.inf

    def append(self, message: int, text: str, ids: Any = None) -> None:
        self.room -= 1
        if self.room < 0:
            raise StoreError("the disk is full: make room")
        super().append(message, text, ids)


def test_the_disk_is_full_for_a_while(begin: Open) -> None:
    session = begin()
    session.store.messages = full = FullDisk(session.store._database)
    session.ask(STORY)
    full.room = 1
    delivered: list[str] = []
    with pytest.raises(StoreError, match="disk is full"):
        for piece in session.reply(endless=True):
            delivered.append(piece)
    full.room = math.inf
    assert session.head is not None and session.head.role == MODEL and not session.head.closed
    assert len(session.head.text) > 0 and "".join(delivered).startswith(session.head.text)
    assert session.head == full.get(session.head.id)
    goes_on_alike(begin, session)


def test_a_reply_whose_end_could_not_be_written_has_not_ended(begin: Open) -> None:
    session = begin()
    session.store.messages = full = FullDisk(session.store._database)
    session.ask("Hello")
    full.room = 0
    with pytest.raises(StoreError):
        list(session.reply())
    full.room = math.inf
    head = session.store.messages.get(session.head.id) if session.head else None
    assert head is not None and (head.role == USER or not head.closed)
    session.stand()
    assert session.stands


_FULL = """
import json, os, resource, signal, sys, time
import mlx.core as mx; mx.set_default_device(mx.cpu)
from rgmlx.store import Store, StoreError
from tui.session import Session
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
session = Session(Store(sys.argv[1]), sampling={"temperature": 0.0})
session.load()
session.ask(sys.argv[2])
text, sentence, begun = "", "", time.monotonic()
limit = lambda n: resource.setrlimit(resource.RLIMIT_FSIZE, (n, resource.RLIM_INFINITY))
try:
    for piece in session.reply(endless=True):
        text += piece
        if len(text) > 50 and time.monotonic() > begun + 1.2:
            limit(1000)
except StoreError as e:
    sentence = str(e)
limit(resource.RLIM_INFINITY)
session.ask("What is your name?")
answer = "".join(session.reply())
print(json.dumps([text, sentence, answer]))
"""


def test_a_disk_that_fills_up_for_real(begin: Open, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FULL, str(tmp_path / "full"), STORY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    delivered, sentence, answer = json.loads(done.stdout or f"[0, 0, {json.dumps(done.stderr)}]")
    assert "disk" in sentence, answer
    session = begin(tmp_path / "full")
    session.open(1)
    path = session.store.messages.path(session.head.id if session.head else None)
    assert [m.role for m in path] == [USER, MODEL, USER, MODEL]
    assert delivered.startswith(path[1].text) and len(path[1].text) > 20 and path[3].text == answer
    assert session.stand() == 0
    assert answer.startswith(reader(begin, path[:2]).say(NAME))


class Failing(rgmlx.Model):
    """Fails in the middle of a step, when a part of the state has moved on already."""

    steps = math.inf

    def advance(self, tokens: Any, state: Any, counts: Any = None) -> Any:
        Failing.steps -= 1
        if Failing.steps < 0:
            super().advance(tokens, state, counts)
            state.layers[0] = state.layers[0][0] * 0, state.layers[0][1] * 0
            raise RuntimeError("a kernel failed")
        return super().advance(tokens, state, counts)


class Slow(rgmlx.Model):
    """Takes longer for a token than a reader wants to lose."""

    def advance(self, tokens: Any, state: Any, counts: Any = None) -> Any:
        time.sleep(0.6)
        return super().advance(tokens, state, counts)


def test_what_a_slow_model_writes_does_not_wait_for_its_next_token(begin: Open) -> None:
    model = rgmlx.load("demo")
    model.__class__ = Slow
    session = begin(model=model)
    session.ask("Hello")
    pieces, text = session.reply(), ""
    for _ in range(2):
        before, text = text, text + next(pieces)
        assert session.store.messages.get(2).text == before != text or not before  # all but the one in flight
    session.stop()
    list(pieces)


@pytest.fixture
def failing() -> Iterator[rgmlx.Model]:
    model = rgmlx.load("demo")
    model.__class__ = Failing
    Failing.steps = math.inf
    yield model
    Failing.steps = math.inf


@pytest.mark.parametrize("steps", [0, 1, 12])
def test_an_engine_that_fails(begin: Open, failing: rgmlx.Model, steps: int) -> None:
    session = begin(model=failing)
    session.say("Hello")
    asked = session.ask(STORY)
    Failing.steps = steps
    delivered = []
    with pytest.raises(RuntimeError, match="kernel"):
        for piece in session.reply():
            delivered.append(piece)
    Failing.steps = math.inf
    assert session.head is not None and session.reading is None
    if delivered:
        assert session.head.text == "".join(delivered) == session.store.messages.get(session.head.id).text
    else:
        assert session.head == asked and session.store.messages.children(asked.id) == []
    goes_on_alike(begin, session)
    if delivered:  # also from the disk
        session = again(begin, session)
        assert session.stand() == 0


def test_an_engine_that_fails_while_a_reply_is_gone_on_with(begin: Open, failing: rgmlx.Model) -> None:
    """What is in memory of the reply's first part is not the state of the whole."""
    session = begin(model=failing)
    session.ask(STORY)
    pieces = session.reply()
    pull(pieces, 10)
    session.stop()
    list(pieces)
    Failing.steps = 12
    delivered = []
    with pytest.raises(RuntimeError):
        for piece in session.go_on():
            delivered.append(piece)
    Failing.steps = math.inf
    assert len(delivered) > 5 and session.head is not None and session.head.text.endswith("".join(delivered))
    goes_on_alike(begin, session)


def test_going_on_with_settings_out_of_range_loses_nothing(begin: Open) -> None:
    """Such as an imported file may bring."""
    session = begin()
    session.ask(STORY)
    pieces = session.reply()
    text = pull(pieces, 10)
    session.stop()
    text += "".join(pieces)
    session.store.conversations.set_settings(1, {"temperature": -1})
    session = again(begin, session)
    with pytest.raises(RgmlxError, match="temperature"):
        list(session.go_on())
    assert session.store.messages.get(2).text == text and session.head is not None and session.head.id == 2
    session.go(1)
    with pytest.raises(RgmlxError, match="temperature"):
        list(session.reply())
    session.edit(2, "It had ended.")
    with pytest.raises(RgmlxError, match="temperature"):
        list(session.go_on())
    assert [m.text for m in session.store.messages.tree(1)] == [STORY, text, "It had ended."]
    session.set_settings({"temperature": 0.0})
    session.go(2)
    assert (text + "".join(session.go_on())).startswith(begin().say(STORY))


# --- any place of the tree ----------------------------------------------------------------


def grow(session: Watched) -> list[Message]:
    """A tree with two roots, edits of both sides and another reply."""
    session.say("Hello")
    hello = session.head
    session.say(NAME)
    assert hello is not None and hello.parent is not None
    session.go(hello.id)
    session.say("What can you do?")
    session.edit(hello.id, "Good evening.")
    session.say(NAME)
    session.edit(hello.parent, "Good night")
    "".join(session.reply())
    session.go(hello.parent)
    "".join(session.reply())
    assert session.conversation is not None
    return session.store.messages.tree(session.conversation.id)


def test_any_place_goes_on_as_if_its_path_had_been_read(begin: Open) -> None:
    session = begin()
    tree = grow(session)
    assert len(tree) == 12 and read(session) > 0  # the edited reply was read
    before = read(session)
    other = again(begin, session)
    for message in random.Random(1).sample(tree, len(tree)):
        for one in (session, other):
            one.go(message.id)
            # A reply of the user's own is read; every other was written, and its state is on the disk.
            assert one.stand() == 0 or (one is other and message.text == "Good evening.")
            assert one.stands and one.memory is not None and not one.memory.point.unread
    for message in (tree[3], tree[6]):
        other.go(message.id)
        goes_on_alike(begin, other, "Good night")
    assert read(session) == before and read(other) < 10


def test_states_in_memory_and_on_the_disk_have_a_budget(begin: Open, demo: rgmlx.Model) -> None:
    session = begin(budget=1_500_000)
    size = demo.new_state().nbytes
    session.memory = Memory(demo, session.store, kept_bytes=3 * size)
    assert session.memory._most == 3
    for text in ("Hello", NAME, "Good night"):
        session.say(text)
    for message in session.store.messages.tree(1):
        session.go(message.id)
        session.stand()
        assert len(session.memory._kept) <= 3
        assert session.store.snapshots.usage().bytes <= 1_500_000
    assert Memory(demo, session.store, kept_bytes=0)._most == 2
    assert Memory(demo, session.store, kept_bytes=10**15)._most == 256


def long_conversation(session: Watched, pairs: int, text: str = "one two three " * 7) -> int:
    """A conversation that no model has written, with a state after its end."""
    store = session.store
    made, last = store.conversations.create("demo"), None
    with store._database.transaction():
        for n in range(2 * pairs):
            role = MODEL if n % 2 else USER
            last = store.messages.add_finished(made.id, last, role, text, closed=True, created=1.0)
    assert session.memory is not None and last is not None
    store.snapshots.put(last, session.memory.model.new_state())
    session.open(made.id, last)
    return last


def counted(store: Store) -> list[int]:
    """Rows that queries give from now on, a number each."""
    counts: list[int] = []
    rows, row = store._database.rows, store._database.row

    def count_rows(*args: Any) -> Any:
        found = rows(*args)
        counts.append(len(found))
        return found

    def count_row(*args: Any) -> Any:
        counts.append(1)
        return row(*args)

    store._database.rows, store._database.row = count_rows, count_row  # type: ignore[method-assign]
    return counts


def test_standing_costs_the_same_after_a_hundred_thousand_tokens(begin: Open) -> None:
    costs = []
    for pairs in (10, 2500):
        session = begin()
        last = long_conversation(session, pairs)
        assert session.memory is not None
        assert 2 * pairs * len(session.memory.tokenizer.encode("one two three " * 7)) > (100_000 if pairs > 10 else 0)
        counts = counted(session.store)
        assert session.stand() == 0 and session.memory.at == last
        session.ask("Hello")
        session.stand()
        costs.append(counts)
    assert costs[0] == costs[1] and sum(costs[1]) < 30
    assert read(session) == 0


# --- opening ------------------------------------------------------------------------------


def test_a_conversation_is_open_once(begin: Open) -> None:
    session = begin()
    session.ask("Hello")
    other = begin(session.store.directory)
    other.ask("Other")
    was = other.conversation, other.head, other.settings, other.system
    assert other.open(1) is False
    assert (other.conversation, other.head, other.settings, other.system) == was
    session.begin()
    assert other.open(1) and not session.open(1) and session.open(2)
    assert other.open(1), "one's own is no other's"
    session.close()
    other.open_latest()
    assert other.conversation is not None and other.conversation.id == 2


def test_what_is_not_there_is_refused_and_nothing_changes(begin: Open) -> None:
    session = begin()
    session.ask("Hello")
    theirs = session.head
    session.begin()
    session.ask("Other")
    was = session.conversation, session.head, session.settings
    assert theirs is not None and was[0] is not None and was[1] is not None
    for refused in (
        lambda: session.open(99),
        lambda: session.open(1, was[1].id),
        lambda: session.open(2, theirs.id),
        lambda: session.edit(theirs.id, "x"),
        lambda: session.edit(99, "x"),
        lambda: session.go(theirs.id),
        lambda: session.go(99),
    ):
        with pytest.raises(StoreError):
            refused()
        assert (session.conversation, session.head, session.settings) == was
    assert len(session.store.messages.tree(1)) == len(session.store.messages.tree(2)) == 1
    other = begin(session.store.directory)
    assert other.open(1) and not other.open(2)  # the failed look at 1 holds nothing
    with pytest.raises(ChatError, match="no message to reply to"):
        session.go(None)
        list(session.reply())
    unloaded = Session(session.store)
    with pytest.raises(ChatError, match="choose a model"):
        list(unloaded.reply())
    with pytest.raises(RgmlxError):
        session.load(str(session.store.directory / "nothing"))
    assert session.ready and session.name == "demo"
    session.load()
    assert session.ready and not session.store.notices


# --- the horizon --------------------------------------------------------------------------


def by_hand(session: Watched) -> tuple[int, int] | None:
    """(message, characters) of it that are among the last tokens, counted one by one."""
    assert session.memory is not None and session.head is not None
    encode, tokenizer = session.memory.tokenizer.encode, session.memory.tokenizer
    path = session.store.messages.path(session.head.id)
    stream: list[tuple[int, int | None]] = [(tokenizer.bos, None)]
    for m, before in zip(path, [None, *path], strict=False):
        if m.role == USER:
            words = [(t, None) for t in encode("\n")] if before else []
            if before and not before.closed:
                words.insert(0, (tokenizer.end_of_turn or 0, None))
            words += [(tokenizer.start_of_turn or 0, None), *((t, None) for t in encode("user\n"))]
        else:
            words = []
        text = m.text.strip() if m.role == USER else m.text
        words += [(t, m.id) for t in encode(text)]
        if m.role == USER:
            end = [tokenizer.end_of_turn, *encode("\n"), tokenizer.start_of_turn, *encode("model\n")]
            words += [(t or 0, None) for t in end]
        elif m.closed:
            words.append((tokenizer.end_of_turn or 0, None))
        stream += words
    # The embedded model reads 60 tokens a second here: it only says that it has.
    state = session.memory.model.new_state()
    state.positions = [len(stream)]
    session.memory.keep(session.head.id, Point(state))
    inside = stream[-session.memory.window :]
    for m in reversed(path):
        seen = [t for t, owner in inside if owner == m.id]
        if len(seen) < sum(owner == m.id for _, owner in stream):
            after = len(m.text) - len(m.text.rstrip()) if m.role == USER and seen else 0
            return m.id, len(tokenizer.decode(seen)) + after
    return None


def test_the_horizon_is_where_it_is(begin: Open) -> None:
    session = begin()
    words = (LONG * 7).split()
    assert session.horizon() is None
    session.ask(" ".join(words[:40]) + " \n")
    made = session.conversation
    assert made is not None and session.head is not None
    found = set()
    for n in (2, 30, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 90, 200):
        session.go(1)
        for number, closed in ((n // 2, True), (n, n % 2 == 0)):
            text = " ".join(words[:number])
            last = session.store.messages.add_finished(
                made.id, session.head.id, MODEL, text, closed=closed, created=1.0
            )
            session.go(last)
            session.ask(f" {text}")
        for head in (session.head.id, session.head.parent):
            session.go(head)
            expected, horizon = by_hand(session), session.horizon()
            assert (horizon and (horizon.message, horizon.characters)) == expected
            found.add(expected and (session.store.messages.get(expected[0]).role, expected[1] > 0))
    assert {None, (USER, True), (MODEL, True)} <= found


@pytest.mark.parametrize("closed", [True, False])
def test_the_horizon_inside_one_long_reply(begin: Open, closed: bool) -> None:
    session = begin()
    session.ask("Hello")
    last = session.store.messages.add_finished(1, 1, MODEL, LONG * 16, closed=closed, created=1.0)
    session.go(last)
    assert session.horizon() is None  # it does not stand there
    expected, horizon = by_hand(session), session.horizon()
    assert horizon is not None and (horizon.message, horizon.characters) == expected and horizon.message == last


class Short(Memory):
    """Says that it remembers less, so that less need be read."""

    window = 48  # type: ignore[assignment]


def test_the_horizon_of_a_reply_that_is_being_written(begin: Open) -> None:
    session = begin(temperature=0.8, seed=3)
    session.memory = Short(session.memory.model, session.store) if session.memory else None
    session.ask(LONG)
    assert session.horizon_while_writing() is None
    pieces = session.reply(endless=True)
    pull(pieces, 30)
    horizon = session.horizon_while_writing()
    assert horizon is not None and horizon.message == 1 and 0 < horizon.characters < len(LONG)
    session.stop()
    list(pieces)
    after = session.horizon()
    assert after is not None and after.message == 1 and after.characters <= horizon.characters


# --- siblings, steps, branches ------------------------------------------------------------


def test_siblings_and_steps(begin: Open) -> None:
    session = begin()
    store = session.store
    session.say("Hello")
    first = session.head
    assert first is not None and first.parent is not None
    session.go(first.parent)
    "".join(session.reply())
    second = session.head
    assert second is not None and (second.number, second.siblings, second.parent) == (2, 2, first.parent)
    third = session.edit(first.id, "Mine.")
    assert (third.number, third.siblings, third.role, third.closed) == (3, 3, MODEL, True)
    assert session.head == third
    session.say(NAME)
    tip = session.head
    assert tip is not None
    asked = session.edit(first.parent, "Good night")
    assert (asked.number, asked.siblings, asked.parent) == (2, 2, None)
    first, second = store.messages.get(first.id), store.messages.get(second.id)
    assert places.sibling(store, first, -1) is None
    assert places.sibling(store, first, 1) == second.id
    assert places.sibling(store, second, 1) == tip.id  # the end of the branch
    assert places.sibling(store, third, 1) is None
    assert places.sibling(store, asked, -1) == tip.id
    assert [places.steps(store, at, tip.id) for at in (None, first.parent, third.id, tip.id)] == [
        places.Steps(here, 2) for here in (0, 1, 1, 2)
    ]
    going, head = [], tip
    while head is not None:
        number = places.earlier(store, head)
        going.append(number)
        head = None if number is None else store.messages.get(number)
    assert going == [third.id, None]
    there: list[int | None] = [None]
    while (following := places.later(store, there[-1], tip.id)) is not None:
        there.append(following)
    assert there == [None, third.id, tip.id]
    assert places.later(store, None, asked.id) == asked.id  # no reply yet: the tip itself


def test_a_branch_at_every_point_of_a_conversation(begin: Open) -> None:
    session = begin()
    last = long_conversation(session, 20)
    path = session.store.messages.path(last)
    for message in path:
        new = session.edit(message.id, "Another text")
        assert session.head == new and (new.number, new.siblings, new.depth) == (2, 2, message.depth)
        assert new.parent == message.parent and new.role == message.role
        assert session.store.messages.get(message.id).text == message.text
    assert session.store.messages.path(last) == [messages_with(m, siblings=2) for m in path]


def test_steps_of_a_long_conversation_are_a_few_queries(begin: Open) -> None:
    session = begin()
    last = long_conversation(session, 2500)
    line = [number for number, _ in session.store.messages.line(last)][::-1]
    counts = counted(session.store)
    for at in (1, 3, 2501, 4997):  # replies
        del counts[:]
        assert places.later(session.store, line[at], last) == line[at + 2]
        assert places.earlier(session.store, session.store.messages.get(line[at])) == (line[at - 2] if at > 1 else None)
        assert len(counts) < 12
    del counts[:]
    assert places.later(session.store, None, last) == line[1]
    assert places.later(session.store, last, last) is None
    assert places.steps(session.store, line[4997], last) == places.Steps(2499, 2500)
    assert len(counts) < 12


# --- files --------------------------------------------------------------------------------


def test_a_saved_conversation_goes_on_elsewhere(begin: Open, tmp_path: Path, demo: rgmlx.Model) -> None:
    session = begin()
    session.set_system("You are Griff.")
    session.say("Hello")
    session.ask(STORY)
    pieces = session.reply()
    pull(pieces, 20)
    session.stop()
    list(pieces)
    path = tmp_path / "fox.rgstate"
    save_file(session, path)
    other = begin()
    open_file(other, path)
    assert other.texts() == session.texts() and other.stands and read(other) == 0
    assert other.system == "You are Griff." and other.settings["temperature"] == 0.0
    assert other.conversation is not None and other.conversation.title == "fox"
    rest = some(other, other.go_on())
    assert rest == some(session, session.go_on()) != ""
    other = again(begin, other)  # what it remembers is on the disk as well
    assert other.say("Hello") == session.say("Hello") and read(other) == 0
    assert rgmlx.Chat.load(path, demo).turns[-1].text == session.texts()[1 + 2][: -len(rest)]
    session.go(3)  # standing at a message that has a reply elsewhere
    save_file(session, path)
    third = begin()
    open_file(third, path)
    assert third.head is not None and third.head.role == USER
    assert third.answer() == session.answer() and read(third) == 0


def test_files_that_are_refused_change_nothing(begin: Open, tmp_path: Path) -> None:
    session = begin()
    session.say("Hello")
    path = tmp_path / "a.rgstate"
    save_file(session, path)
    whole = path.read_bytes()
    was = session.conversation, session.head
    other = begin(session.store.directory, model=_other_model(session))
    with pytest.raises(StateError, match="other weights"):
        open_file(other, path)
    for damaged in (whole[:-100], whole[:1000] + b"x" + whole[1001:], whole[:-9] + b"012345678", b"", b"text"):
        path.write_bytes(damaged)
        with pytest.raises(RgmlxError):
            open_file(session, path)
    with pytest.raises(RgmlxError):
        open_file(session, tmp_path / "missing.rgstate")
    path.write_bytes(whole)

    class Full(Messages):
        left = 1

        def add_finished(self, *args: Any, **options: Any) -> int:
            self.left -= 1
            if self.left < 0:
                raise StoreError("the disk is full: make room")
            return super().add_finished(*args, **options)

    session.store.messages = Full(session.store._database)
    with pytest.raises(StoreError, match="disk"):
        open_file(session, path)
    assert (session.conversation, session.head) == was and session.stands
    assert len(session.store.conversations.listed(archived=None)) == 1
    with pytest.raises(RgmlxError):
        save_file(session, path / "below.rgstate")
    save_file(session, path)
    assert len(path.read_bytes()) == len(whole)


# --- settings -----------------------------------------------------------------------------


def first_words(session: Watched, text: str = STORY) -> str:
    session.ask(text)
    return more_words(session)


def more_words(session: Watched) -> str:
    pieces = session.reply(endless=True)
    text = pull(pieces, 60)
    session.stop()
    list(pieces)
    return text


def test_the_same_seed_gives_the_same_reply(begin: Open) -> None:
    options = {"temperature": 1.2, "top_p": 1.0}
    one, two, three = begin(**options, seed=4), begin(**options, seed=4), begin(**options, seed=5)
    text = first_words(one)
    assert first_words(two) == text
    assert first_words(three) != text
    one.go(1)
    another = more_words(one)
    assert another != text
    two.go(1)
    assert more_words(two) == another  # the second reply of the same seed, too
    free = [begin(**options), begin(**options)]
    assert len({first_words(session) for session in free} | {text}) == 3
    free[0].go(1)
    free[0].store.messages.discard(2)
    assert free[0].settings["draw"] != free[1].settings["draw"]


def test_settings_survive_a_restart_and_bad_ones_are_refused(begin: Open) -> None:
    session = begin(top_p=0.5)
    session.ask("Hello")
    session.set_settings({"temperature": 0.25, "seed": 9, "top_p": None})
    was = session.settings
    bad: list[dict[str, Any]] = [{"temperature": -1}, {"temperature": math.nan}, {"top_p": 2}, {"min_p": "x"}]
    for change in [*bad, {"seed": object()}]:
        with pytest.raises(RgmlxError):
            session.set_settings({**change, "repetition_penalty": 1.1})
        assert session.settings == was == session.store.conversations.get(1).settings
    with pytest.raises(StoreError, match="new conversation"):
        session.set_system("Be brief.")
    assert session.system is None
    session = again(begin, session, top_p=0.5)
    assert {key: session.settings.get(key) for key in was} == was
    chosen = session.sampling(session.settings)
    assert (chosen.temperature, chosen.seed) == (0.25, 9)
    assert chosen.top_p == session.memory.model.sampling.top_p == 0.9 if session.memory else False
    session.begin()
    assert session.settings["temperature"] == 0.0 and "seed" not in session.settings


def test_turns_as_ids_are_what_was_written(begin: Open) -> None:
    """The state after a conversation has read what `ids_of` says of it."""
    session = begin()
    session.set_system("You are Griff.")
    session.say("Hello")
    session.say(NAME)
    path = session.store.messages.path(session.head.id if session.head else None)
    assert session.memory is not None
    ids: list[int] = []
    for m, before in zip(path, [None, *path], strict=False):
        ids += ids_of(session.memory.tokenizer, m, before, session.system)
    assert session.memory.point.state.position == len(ids)
    assert list(session.memory.point.state.recent[0]) == ids[-256:]
