"""A double for a slow model: a session whose replies are chosen pieces at a chosen pace, kept in a real store."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from textual.widgets import Static
from waiting import PATIENCE, wait_for, wait_until

from rgmlx.conversation.opened import ReplyRun
from rgmlx.conversation.session import Session
from rgmlx.store import MODEL, USER, Message, Store
from tui.app import ChatApp
from tui.prompt.prompt import Prompt
from tui.transcript.reply import Notice

_KEYS = ("enter", "escape", "tab", "up", "down")


class Scripted(Session):
    """No model; everything else is as it is."""

    def __init__(self, data: Path, pieces: Iterable[str] = (), delay: float = 0.0, past: Iterable[str] = ()) -> None:
        """`past`: texts of a conversation that is there, the user's and the model's in turn."""
        super().__init__(Store(data), "demo")
        self.pieces, self.delay, self.loaded, self._begun = list(pieces), delay, False, 0
        for number, text in enumerate(past):
            if number % 2 == 0:
                self.add_user_message(text)
            else:
                self._reply(text)

    def load(self, name: str | None = None, progress: object = None) -> None:
        self.loaded = True
        self.name = name or self.name

    @property
    def ready(self) -> bool:
        return self.loaded

    @property
    def in_sync(self) -> bool:
        return True

    def sync(self) -> int:
        return 0

    def horizon(self) -> Any:
        return None

    def generate_reply(self, *, endless: bool = False) -> Iterator[str]:
        assert self.head is not None and self.head.role == USER
        self._begin_work()  # now, as the real one does: what comes after is a stop
        return self._scripted(self._start_run())

    def continue_reply(self, *, endless: bool = False) -> Iterator[str]:
        assert self.head is not None and self.head.role == MODEL
        self._begin_work()
        return self._scripted(self._start_run())

    def so_far(self, chars: int) -> tuple[str, int] | None:
        run = self._run
        if run is None or run.message is None:
            return None if run is None else ("", 0)
        with self._lock:  # as `_scripted` does: what was delivered is on the disk
            text = self.store.messages.get(run.message.id).text
        return text, len(text) - self._begun

    def texts(self) -> list[str]:
        """All texts up to here."""
        return [message.text for message in self.store.messages.path(self.head.id if self.head else None)]

    def _scripted(self, run: ReplyRun) -> Iterator[str]:
        whole, asked = False, run.asked
        assert asked is not None
        try:
            if asked.role == USER:
                message = self._start_message(run, asked.id)
            elif asked.closed:
                message = self._start_message(run, asked.parent, asked.text)
            else:
                message = run.message = self.store.messages.reopen(asked.id)
            self._begun = len(message.text)
            for piece in self.pieces:
                if self._cancel.is_set():
                    return
                time.sleep(self.delay)
                with self._lock:
                    self.store.messages.append(message.id, piece)
                yield piece
            whole = True
        finally:
            if run.message is not None:
                self._follow(run, self.store.messages.finish(run.message.id, closed=whole))
            self._end_run(run)

    def _begin(self, parent: int | None, text: str = "") -> Message:
        assert self.conversation is not None
        self.head = self.store.messages.start_reply(self.conversation.id, parent, text)
        return self.head

    def _reply(self, text: str) -> None:  # type: ignore[override]
        assert self.head is not None
        message = self._begin(self.head.id)
        self.store.messages.append(message.id, text)
        self.head = self.store.messages.finish(message.id, closed=True)


class Held(Scripted):
    """One whose replies wait after some pieces, until they are let go on with or stopped: none ends before a key comes.

    Attributes:
        go_on: lets them.
    """

    def __init__(self, data: Path, pieces: Iterable[str], after: int = 3, past: Iterable[str] = ()) -> None:
        super().__init__(data, pieces, past=past)
        self.go_on, self._after = threading.Event(), after
        self.pieces = _Each(self._held, self.pieces)  # type: ignore[assignment]

    def _held(self, pieces: list[str]) -> Iterator[str]:
        yield from pieces[: self._after]
        wait_for(lambda: self.go_on.is_set() or self._cancel.is_set())
        yield from pieces[self._after :]


class _Each:
    """Begins anew for each reply."""

    def __init__(self, begin: Callable[[list[str]], Iterator[str]], pieces: list[str]) -> None:
        self._begin, self._pieces = begin, pieces

    def __iter__(self) -> Iterator[str]:
        return self._begin(self._pieces)


def idle(app: ChatApp) -> bool:
    """Whether the model is there and has nothing to do."""
    return app.session.ready and not app.busy


async def type_and_send(app: ChatApp, text: str) -> None:
    """Puts a text into the prompt and presses Enter."""
    app.query_one(Prompt).insert(text)
    app.simulate_key("enter")  # pilot.press would wait for a quiet processor, which a reply is not
    await wait_until(lambda: app.query_one(Prompt).text == "")
    await taken(app)


async def taken(app: ChatApp) -> None:
    """Waits until the app has dealt with all that it was told so far."""
    done = asyncio.Event()
    app.call_later(done.set)
    await asyncio.wait_for(done.wait(), PATIENCE)


def burst(app: ChatApp, *keys: str) -> None:
    """Keys that come in one read: words of several letters are typed, names of keys are pressed."""
    for key in keys:
        for one in [key] if key in _KEYS or "+" in key else key:
            app.simulate_key(one)


def screen(app: ChatApp) -> list[str]:
    """The lines on the screen, as the terminal is given them."""
    return [strip.text for strip in app.screen._compositor.render_strips()]


async def command(app: ChatApp, text: str) -> None:
    quiet = 0
    while app.session.ready and quiet < 5:  # what the last one set off is over
        quiet = quiet + 1 if idle(app) else 0
        await asyncio.sleep(0.02)
    app.query_one(Prompt).load_text(text)
    app.query_one(Prompt).action_submit()
    await taken(app)


def session(data: Path, **sampling: float) -> Session:
    made = Session(Store(data), sampling=sampling)
    made.open_latest()
    return made


def said(app: ChatApp) -> list[Message]:
    """The messages up to here, as the store has them."""
    head = app.session.head
    return app.session.store.messages.path(head.id if head else None)


def notices(app: ChatApp) -> str:
    return "\n".join(str(n.content) for n in app.query(Notice))


def line(app: ChatApp, which: str) -> str:
    return str(app.query_one(which, Static).content)


async def ask(app: ChatApp, text: str) -> str:
    """Sends a message and waits for the end of its reply."""
    before = len(said(app))
    await type_and_send(app, text)
    await wait_until(lambda: idle(app) and len(said(app)) >= before + 2)
    return said(app)[-1].text
