"""One thread for all that the model does: the same for each reply, reading and journey, on the screen and in lines."""

from __future__ import annotations

import contextvars
import gc
import io
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
from scripted import ask, command, idle, said, session
from waiting import PATIENCE, wait_for, wait_until

import rgmlx
from rgmlx.conversation.session import Session
from rgmlx.conversation.turns import SavedChat
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.store import Store
from rgmlx.system import process
from rgmlx.system.model_thread import ModelThread
from tui.app import ChatApp
from tui.events import Synced
from tui.plain import PlainChat

_BEFORE = set[threading.Thread]()
"""Of a model that other tests use, too: they are there as long as that is."""


@pytest.fixture(autouse=True)
def others() -> None:
    _BEFORE.clear()
    _BEFORE.update(t for t in threading.enumerate() if t.name == "model")


def model_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "model" and t not in _BEFORE]


# --- the thread ---------------------------------------------------------------------------


def test_all_is_done_in_one_thread_and_in_turn() -> None:
    thread, done = ModelThread(), list[int]()
    assert not model_threads()  # before there is something to do
    futures = [thread.submit(lambda n=n: done.append(n) or threading.get_ident()) for n in range(20)]  # type: ignore[func-returns-value]
    found = {f.result(PATIENCE) for f in futures}
    assert len(found) == 1 and found != {threading.get_ident()}
    assert done == list(range(20))
    assert len(model_threads()) == 1
    thread.end()
    thread.end()
    assert not model_threads()


def test_what_goes_wrong_is_the_callers_and_the_thread_goes_on() -> None:
    thread = ModelThread()
    with pytest.raises(ZeroDivisionError):
        thread.submit(lambda: 1 // 0).result(PATIENCE)
    with pytest.raises(SystemExit):
        thread.submit(sys.exit).result(PATIENCE)
    assert thread.submit(lambda: 3).result(PATIENCE) == 3
    thread.end()
    assert thread.submit(lambda: 4).result(PATIENCE) == 4  # after an end another one begins
    thread.end()


def test_the_end_waits_for_what_was_given_before() -> None:
    thread, go_on, done = ModelThread(), threading.Event(), list[str]()
    thread.submit(lambda: go_on.wait(PATIENCE))
    thread.submit(lambda: done.append("all"))
    asked: list[int] = []

    def meanwhile() -> None:
        asked.append(1)
        go_on.set()

    thread.end(meanwhile)
    assert asked and done == ["all"]


def test_what_hangs_can_be_left() -> None:
    thread, go_on = ModelThread(), threading.Event()
    future = thread.submit(lambda: go_on.wait(PATIENCE))
    left = thread.leave()
    assert left is not None and left.daemon and not future.done()
    go_on.set()
    left.join(PATIENCE)
    assert not model_threads()


def test_nothing_stays_in_memory_and_the_context_is_the_callers() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")
    variable.set("mine")

    class Thing:
        pass

    thread, thing = ModelThread(), Thing()
    reference = weakref.ref(thing)

    def action(thing: Thing = thing) -> str:
        return variable.get()

    assert thread.submit(action).result(PATIENCE) == "mine"
    del action, thing

    def gone() -> bool:
        gc.collect()
        return reference() is None

    wait_for(gone)
    thread.end()


def test_its_streams_are_given_back_before_the_end_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    cleared: list[str] = []
    real = mx.clear_streams
    monkeypatch.setattr(mx, "clear_streams", lambda: (cleared.append(threading.current_thread().name), real()))
    thread = ModelThread()

    def compute() -> float:
        with process.work():
            return float(mx.ones((3,)).sum().item())

    assert thread.submit(compute).result(PATIENCE) == 3
    assert not cleared
    thread.end()
    assert len(cleared) == 1


# --- the chat in it -----------------------------------------------------------------------


class Watched:
    """Notes in which threads the network and its states are used, and how often MLX traces a function there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[int] = []
        self.traces: list[int] = []
        traced = mx.compile(lambda x: x + self._trace())
        advance, build = RecurrentGemma.advance, rgmlx.weights.checkpoint.build

        def watched(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                self.threads.append(threading.get_ident())
                assert traced(mx.array(1.0)).item() == 2
                return real(*arguments, **options)

            return call

        monkeypatch.setattr(RecurrentGemma, "advance", watched(advance))
        monkeypatch.setattr(rgmlx.weights.checkpoint, "build", watched(build))
        monkeypatch.setattr(SavedChat, "write", watched(SavedChat.write))
        monkeypatch.setattr(SavedChat, "read", watched(SavedChat.read))

    def _trace(self) -> float:
        self.traces.append(threading.get_ident())
        return 1.0

    @property
    def used(self) -> int:
        return len(self.threads)

    def assert_one_thread(self, least: int) -> None:
        """The network was used at least so often."""
        assert self.used >= least
        assert len(set(self.threads)) == 1
        assert set(self.threads) != {threading.get_ident()}
        assert len(self.traces) == 1


def test_a_trace_is_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is watched below: MLX keeps what it has compiled for each thread."""
    watched, network = Watched(monkeypatch), rgmlx.load()
    for count in (1, 2, 3):
        for _ in range(2):
            t = threading.Thread(target=lambda: network.logits([[5]]))
            t.start()
            t.join()
        assert len(watched.traces) == 1 + 2 * count


LONG = "one two three four five six seven " * 20


def test_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Loads, replies, a long message, a journey, another reply, files and another model: all in one thread."""
    watched, counts = Watched(monkeypatch), list[int]()
    session = Session(Store(tmp_path), sampling={"temperature": 0.0, "max_tokens": 4})
    send = session.generate_reply

    def reply(**options: bool) -> Any:
        counts.append(watched.used)
        return send(**options)

    monkeypatch.setattr(session, "generate_reply", reply)
    file = tmp_path / "a.rgstate"
    typed = ["Hello!", LONG, "/back", "And now?", "/regenerate", f"/save {file}", f"/open {file}", "Who are you?"]
    typed += [f"/model {rgmlx.weights.hub.demo_directory()}", "/back", "Good night!"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(typed).encode())))
    assert PlainChat(session).run() == 0, capsys.readouterr().out
    assert len(counts) == 6 and sorted(set(counts)) == counts  # each reply has used the network
    watched.assert_one_thread(20)
    assert not model_threads()
    session.store.close()


async def test_the_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on the screen, where each of these had a thread of a pool."""
    watched = Watched(monkeypatch)
    app = ChatApp(session(tmp_path, temperature=0.0, max_tokens=4))
    async with app.run_test(size=(80, 24)):
        await wait_until(lambda: idle(app))
        before = watched.used
        for text in ("Hello!", LONG, "Who are you?"):
            await ask(app, text)
            assert watched.used > before
            before = watched.used
        app.simulate_key("alt+up")
        await wait_until(lambda: idle(app) and len(said(app)) == 4)
        await ask(app, "And now?")
        app.simulate_key("ctrl+r")
        await wait_until(lambda: idle(app) and said(app)[-1].siblings == 2)
        await command(app, f"/save {tmp_path / 'a.rgstate'}")
        await wait_until(lambda: (tmp_path / "a.rgstate").exists() and idle(app))
        await command(app, f"/open {tmp_path / 'a.rgstate'}")
        await wait_until(
            lambda: idle(app) and app.session.conversation is not None and app.session.conversation.id == 2
        )
        await ask(app, "Good night!")
        watched.assert_one_thread(20)
    assert not model_threads()


async def test_leaving_does_not_wait_for_a_download_that_hangs(tmp_path: Path) -> None:
    go_on = threading.Event()

    class Hangs(Session):
        def load(self, *arguments: object) -> None:
            go_on.wait(PATIENCE)

    app = ChatApp(Hangs(Store(tmp_path)))
    async with app.run_test():
        await wait_until(model_threads)
    assert model_threads()  # and yet the app has ended
    go_on.set()
    wait_for(lambda: not model_threads())


async def test_leaving_during_a_reply_ends_it_and_its_thread(tmp_path: Path) -> None:
    made = session(tmp_path, temperature=0.0)
    app = ChatApp(made)
    async with app.run_test():
        await wait_until(lambda: idle(app))
        made.add_user_message("Tell me a story")
        await app.begin(lambda: made.generate_reply(endless=True))
        await wait_until(lambda: made.metrics.position > 20)
    assert not model_threads()
    reply = said(app)[-1]
    assert reply.text and not reply.streaming and not reply.closed


async def test_what_the_model_has_done_when_the_app_ends_is_no_fault(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path))
    close = app._close_messages

    async def close_late(wait: bool = True) -> None:  # when the screen is gone
        app.post_message(Synced(0, 0.0, None))
        await close(wait)

    async with app.run_test():
        await wait_until(lambda: idle(app))
        app._close_messages = close_late  # type: ignore[method-assign]
    assert not app.failure
    assert not (tmp_path / "errors.log").exists()
