"""Sessions over the embedded model and a real store, and ways to compare them, for the tests of the session.

Texts are compared with those of a run that nothing has happened to. The embedded model computes in float32 here, so that
reading a text gives the state that writing it gave, to a millionth; a text that splits into other tokens when it is read
again would not, and `same_tokens` sees to it that none of ours does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import rgmlx
from rgmlx.conversation.context import Context
from rgmlx.conversation.session import Session
from rgmlx.generation import engine
from rgmlx.settings import Sampling
from rgmlx.store import MODEL, SNAPSHOT_DISK_BYTES, USER, Message, Store

GREEDY = {"temperature": 0.0}
STORY = "Tell me a story about a fox."
NAME = "What is your name?"
WHOLE = 99
"""Characters: more than the answer to a greeting has, so that it ends by itself."""
LONG = " ".join(f"The {n}. fox met a bear near the old river and shared some honey." for n in range(3))


class Watched(Session):
    """A session that notes what was told of reading, and may be stopped at set moments of it."""

    def __init__(self, store: Store, model: rgmlx.Model, **sampling: Any) -> None:
        super().__init__(store, sampling={**GREEDY, **sampling})
        self.context = Context(model, store)
        self.told: list[tuple[int, int] | None] = []
        self.stop_at_progress: int | None = None
        self.stop_before_writing = False

    def _progress(self, done: int, total: int) -> None:
        super()._progress(done, total)
        self.told.append(self.reading)
        if len(self.told) == self.stop_at_progress:
            self.stop()
            self.stop()

    def _sampling(self, message: Message, settings: Mapping[str, Any]) -> Sampling:
        if self.stop_before_writing:
            self.stop()
        return super()._sampling(message, settings)

    def say(self, text: str, most: int = 24) -> str:
        self.add_user_message(text)
        return self.answer(most)

    def answer(self, most: int = 24) -> str:
        """A reply, stopped when it is longer than that."""
        text = ""
        for piece in self.generate_reply():
            text += piece
            if len(text) > most:
                self.stop()
        return text

    def texts(self) -> list[str]:
        return [m.text for m in self.store.messages.path(self.head.id if self.head else None)]


Open = Callable[..., Watched]


@pytest.fixture(name="begin")
def begin_sessions(tmp_path: Path, demo: rgmlx.Model) -> Iterator[Open]:
    """Makes sessions, each over a store of its own or over one that is there."""
    opened: list[Watched] = []

    def new(
        directory: Path | None = None, model: rgmlx.Model | None = None, budget: int | None = None, **sampling: Any
    ) -> Watched:
        directory = tmp_path / f"store{len(opened)}" if directory is None else directory
        opened.append(
            Watched(
                Store(directory, snapshot_bytes=SNAPSHOT_DISK_BYTES if budget is None else budget),
                model or demo,
                **sampling,
            )
        )
        return opened[-1]

    yield new
    for session in opened:
        session.close()
        session.store.close()


@pytest.fixture(name="small_steps")
def read_in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long texts are read in many steps, each of which may be the last one before a stop."""
    monkeypatch.setattr(engine, "CPU_CHUNK", 16)


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
    session.sync()
    return session


def messages_with(message: Message, **changes: Any) -> Message:
    return Message(**{**vars(message), **changes})


def long_conversation(session: Watched, pairs: int, text: str = "one two three " * 7) -> int:
    """A conversation that no model has written, with a state after its end."""
    store = session.store
    made, last = store.conversations.create("demo"), None
    with store._database.transaction():
        for n in range(2 * pairs):
            role = MODEL if n % 2 else USER
            last = store.messages.add_finished(made.id, last, role, text, closed=True, created=1.0)
    assert session.context is not None and last is not None
    store.snapshots.put(last, session.context.model.new_state())
    session.open(made.id, last)
    return last


def same_tokens(a: Session, b: Session) -> bool:
    assert a.context is not None and b.context is not None
    return len({s.cached.state.position + len(s.cached.unread) for s in (a.context, b.context)}) == 1


def continues_alike(begin: Open, session: Watched, question: str = NAME) -> None:
    """The next answer is that of a session that has read the same path."""
    assert session.head is not None
    fresh = reader(begin, session.store.messages.path(session.head.id))
    session.sync()
    assert same_tokens(session, fresh)
    assert session.say(question) == fresh.say(question)


def continues_as_written(begin: Open, session: Watched, written: str, question: str = NAME) -> None:
    """The next answer is that of a session whose endless story was stopped after the same text, whatever its tokens."""
    twin = begin()
    twin.add_user_message(STORY)
    assert some(twin, twin.generate_reply(endless=True), len(written)) == written
    session.sync()
    assert same_tokens(session, twin)
    assert session.say(question) == twin.say(question)


def read(session: Session) -> int:
    assert session.context is not None
    return session.context.read


def other_model() -> rgmlx.Model:
    model = rgmlx.load("demo")
    model._weights_fingerprint = "of other weights"
    return model


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
