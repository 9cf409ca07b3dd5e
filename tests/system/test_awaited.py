"""Async twins: what their synchronous namesakes give, one after another or by turns; and what a cancelled task leaves."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import inspect
import random
import signal
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from interrupt_anywhere import same_state, small_model
from test_processes import Held
from waiting import PATIENCE, wait_for

import rgmlx
from rgmlx.conversation.chat import Chat
from rgmlx.errors import ChatError, RgmlxError
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.reading.reader import Reader
from rgmlx.system.cancellation import Cancelled
from rgmlx.system.model_thread import ModelThread

PROMPT = [2, 7, 1, 9]
DRAWN: dict[str, Any] = {"temperature": 1.0, "seed": 1}


@pytest.fixture(scope="module")
def small() -> rgmlx.Model:
    return small_model()


def run(task: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(task, PATIENCE))


async def collected(pieces: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in pieces]


# --- the same as without an a ---------------------------------------------------------------

MODEL: dict[str, tuple[Callable[[rgmlx.Model], Any], Callable[[rgmlx.Model], Any]]] = {
    "generate": (
        lambda m: m.generate("Hi", max_tokens=4, **DRAWN),
        lambda m: m.agenerate("Hi", max_tokens=4, **DRAWN),
    ),
    "stream": (
        lambda m: list(m.stream("Hi", max_tokens=4, **DRAWN)),
        lambda m: collected(m.astream("Hi", max_tokens=4, **DRAWN)),
    ),
    "batch": (
        lambda m: m.batch(["Hi", "Who are you?"], max_tokens=4, **DRAWN),
        lambda m: m.abatch(["Hi", "Who are you?"], max_tokens=4, **DRAWN),
    ),
    "score": (lambda m: m.score("Hi").log_probs.tolist(), lambda m: scored(m)),
    "logits": (lambda m: m.logits([[2, 5]]).tolist(), lambda m: logits(m)),
    "chat": (lambda m: m.chat(system="Be kind", **DRAWN).system, lambda m: system(m)),
    "read": (lambda m: read(m), lambda m: aread(m)),
}


async def scored(model: rgmlx.Model) -> list[float]:
    found = await model.ascore("Hi")
    return found.log_probs.tolist()


async def logits(model: rgmlx.Model) -> Any:
    return (await model.alogits([[2, 5]])).tolist()


def read(model: rgmlx.Model) -> Any:
    with model.read(chunk=8, **DRAWN) as reader:
        taken = reader.feed("A lamp was lit in the house behind the hill.\n")
        return taken, reader.ask("What?", max_tokens=4), list(reader.stream("Where?", max_tokens=4)), reader.position


async def aread(model: rgmlx.Model) -> Any:
    async with await model.aread(chunk=8, **DRAWN) as reader:
        taken = await reader.afeed("A lamp was lit in the house behind the hill.\n")
        asked = await reader.aask("What?", max_tokens=4)
        return taken, asked, await collected(reader.astream("Where?", max_tokens=4)), reader.position


async def system(model: rgmlx.Model) -> str | None:
    async with await model.achat(system="Be kind", **DRAWN) as chat:
        return chat.system


@pytest.mark.parametrize("name", MODEL)
def test_a_model(name: str, small: rgmlx.Model) -> None:
    plain, twin = MODEL[name]
    assert run(twin(small)) == plain(small)


def talked(chat: Chat, path: Path) -> list[object]:
    """Everything that a chat does."""
    said: list[object] = ["".join(chat.send("Hi", max_tokens=3)), "".join(chat.send("Who?", max_tokens=2))]
    here = chat.checkpoint()
    said += ["".join(chat.regenerate(max_tokens=3, seed=4)), "".join(chat.continue_reply(max_tokens=2))]
    chat.switch(-1)
    said.append(chat.turns)
    chat.rewind(here)
    said += [list(chat.edit(0, "Hello", max_tokens=2)), "".join(chat.fork().send("And?", max_tokens=2))]
    chat.save(path)
    said += [Chat.load(path, chat._model).turns, chat.horizon()]
    chat.close()
    return said


async def atalked(chat: Chat, path: Path) -> list[object]:
    said: list[object] = [await chat.asend("Hi", max_tokens=3), await chat.asend("Who?", max_tokens=2)]
    here = await chat.acheckpoint()
    said += [await chat.aregenerate(max_tokens=3, seed=4), await chat.acontinue_reply(max_tokens=2)]
    await chat.aswitch(-1)
    said.append(chat.turns)
    await chat.arewind(here)
    said += [await collected(aiter(chat.aedit(0, "Hello", max_tokens=2)))]
    said += [await (await chat.afork()).asend("And?", max_tokens=2)]
    await chat.asave(path)
    said += [(await Chat.aload(path, chat._model)).turns, await chat.ahorizon()]
    await chat.aclose()
    return said


def test_a_chat(small: rgmlx.Model, tmp_path: Path) -> None:
    want = talked(small.chat(**DRAWN), tmp_path / "plain")
    assert run(atalked(small.chat(**DRAWN), tmp_path / "twin")) == want


def test_every_method_that_computes_has_a_twin() -> None:
    """Of the same signature and documented; the others need none."""
    of_readers = {"stop", "save", "end_input", "horizon", "notes", "search"}
    for kind, names, at_once in (
        (rgmlx.Model, set(MODEL), set[str]()),
        (Chat, set[str](), {"stop", "open"}),
        (Reader, set[str](), of_readers),
    ):
        own = {
            n for n, v in vars(kind).items() if (not n.startswith("_") and callable(v)) or isinstance(v, classmethod)
        }
        twins = {n for n in own if n[0] == "a" and n[1:] in own}
        assert own - twins - at_once == {n[1:] for n in twins}, "one has no twin"
        assert names <= {n[1:] for n in twins}
        for name in twins - {"aload"}:
            twin, plain = getattr(kind, name), getattr(kind, name[1:])
            assert inspect.signature(twin) == inspect.signature(plain)
            assert twin.__name__ == name and twin.__qualname__ == f"{kind.__name__}.{name}"
            assert plain.__doc__.splitlines()[0] in twin.__doc__


def test_a_reply_is_looked_at_while_it_is_written(small: rgmlx.Model) -> None:
    async def main() -> None:
        chat = await small.achat(**DRAWN)
        reply = chat.asend("Hi", max_tokens=6)
        assert (reply.text, reply.finish_reason, chat.turns) == ("", None, ())
        got = [await anext(aiter(reply)) for _ in range(2)]
        assert (reply.text, reply.finish_reason) == ("".join(got), None)
        reply.stop()
        assert await collected(aiter(reply)) == []
        assert reply.finish_reason == "cancelled" and chat.turns[-1].text == "".join(got)
        stopped = chat.asend("And?")
        stopped.stop()  # before it was asked for
        assert await stopped == "" and stopped.finish_reason == "cancelled"
        closed = chat.asend("Who?", max_tokens=6)
        first = await anext(aiter(closed))
        await closed.aclose()
        assert await closed == first and chat.turns[-1].text == first
        assert await chat.asend("More", max_tokens=2)

    run(main())


def test_errors_are_those_of_the_namesakes(small: rgmlx.Model) -> None:
    async def main() -> None:
        for call in (
            small.agenerate("Hi", temprature=0),
            anext(small.astream("Hi", temprature=0)),
            small.abatch("Hi"),
            small.ascore(""),
            small.achat(temprature=0),
        ):
            with pytest.raises(RgmlxError, match=r"there is no sampling|list of prompts|nothing to score"):
                await call
        chat = await small.achat()
        with pytest.raises(ChatError, match="nothing to send"):
            await chat.asend(" ")
        with pytest.raises(ChatError, match=r"nothing to go on|no reply to go on"):
            await chat.acontinue_reply()

    run(main())


def test_a_model_that_a_thread_has_loaded_is_used_after_its_end(demo: rgmlx.Model) -> None:
    async def main() -> str:
        model = await asyncio.to_thread(rgmlx.load)
        return await model.agenerate("Hi", max_tokens=2, temperature=0)

    assert run(main()) == demo.generate("Hi", max_tokens=2, temperature=0)


# --- many at once -----------------------------------------------------------------------------


def test_conversations_of_many_tasks_do_not_mix(small: rgmlx.Model) -> None:
    names = [f"{name} is my name" for name in ("Ada", "Bo", "Cy", "Di", "Ed", "Flo")]

    def alone(name: str) -> list[str]:
        chat = small.chat(**DRAWN)
        return ["".join(chat.send(text, max_tokens=4)) for text in (name, "Who am I?")]

    async def talk(name: str) -> list[str]:
        async with await small.achat(**DRAWN) as chat:
            return [await chat.asend(text, max_tokens=4) for text in (name, "Who am I?")]

    async def main() -> list[list[str]]:
        return await asyncio.gather(*map(talk, names))

    assert run(main()) == [alone(name) for name in names]


def test_a_reply_that_is_awaited_is_not_ended_by_another_message(small: rgmlx.Model) -> None:
    async def two() -> None:
        async with await small.achat(**DRAWN) as chat:
            first = chat.asend("Hi", max_tokens=24)
            waiting = asyncio.ensure_future(first.result())
            while not first.text:
                await asyncio.sleep(0)
            for refused in (chat.asend("Who are you?", max_tokens=4).result(), chat.arewind(0), chat.acheckpoint()):
                with pytest.raises(ChatError, match="a reply is being written"):
                    await refused
            assert not waiting.done(), "the first was through before the others asked"
            said = await waiting
            assert chat.turns[-1].text == said and first.finish_reason == "length"
            waiting = asyncio.ensure_future(chat.asend("Who are you?", max_tokens=24).result())
            await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
            await chat.asend("Again", max_tokens=2)  # nobody waits any more

    run(two())


def test_a_result_that_a_thread_waits_for_is_not_cut(small: rgmlx.Model) -> None:
    chat, results, go_on = small.chat(**DRAWN), list[str](), threading.Event()
    reply = chat.send("Hi", max_tokens=4)

    def halting(pieces: Iterator[str]) -> Iterator[str]:
        for piece in pieces:
            yield piece
            go_on.wait(PATIENCE)

    reply._pieces = halting(reply._pieces)  # type: ignore[assignment]
    thread = threading.Thread(target=lambda: results.append(reply.result()))
    thread.start()
    wait_for(lambda: bool(reply.text))
    with pytest.raises(ChatError, match="a reply is being written"):
        chat.send("Who are you?")
    go_on.set()
    thread.join(PATIENCE)
    assert results == [reply.text] and reply.finish_reason == "length" and reply.tokens == 4 and not reply.held
    chat.send("Who are you?", max_tokens=2).result()


def test_calls_are_done_in_the_order_of_asking_and_streams_meanwhile(small: rgmlx.Model) -> None:
    go_on, there, done = threading.Event(), threading.Event(), list[str]()

    def wait(*_: int) -> None:
        there.set()
        assert go_on.wait(PATIENCE)

    async def call(name: str, **options: Any) -> None:
        await small.agenerate(PROMPT, max_tokens=1, **options)
        done.append(name)

    async def main() -> None:
        tasks = [asyncio.create_task(call("first", progress=wait))]
        await asyncio.to_thread(there.wait, PATIENCE)
        tasks += [asyncio.create_task(call(name)) for name in ("second", "third")]
        assert len(await collected(small.astream(PROMPT, max_tokens=3))) > 0
        async with await small.achat(**DRAWN) as chat:
            assert await chat.asend("Hi", max_tokens=2)
            await chat.acheckpoint()
        assert done == []
        go_on.set()
        await asyncio.gather(*tasks)
        assert done == ["first", "second", "third"]

    run(main())


# --- cancelled --------------------------------------------------------------------------------


def check_stream(model: rgmlx.Model, state: rgmlx.State, got: list[str]) -> None:
    """The state is that of what was delivered, and goes on as if nothing had happened."""
    ids = list(state.recent[0])
    same_state(model, state, ids)
    assert bool(ids) == bool(got), "read, and nothing delivered"
    assert model.text_tokenizer().decode(ids[len(PROMPT) :]) == "".join(got)


@pytest.mark.parametrize("ticks", range(14))
def test_a_stream_that_is_cancelled_at_any_time(ticks: int, small: rgmlx.Model) -> None:
    """After so many turns of the event loop; then wherever its thread is."""
    state, got = small.new_state(), list[str]()

    async def write() -> None:
        async for piece in small.astream(PROMPT, state=state, max_tokens=8, **DRAWN):
            got.append(piece)

    async def main() -> None:
        task = asyncio.create_task(write())
        for _ in range(ticks):
            await asyncio.sleep(random.choice((0, 0.0005)))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(main())
    check_stream(small, state, got)


class Gate:
    """Holds the model's thread within its forward passes, or before what it does next."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open, self.reached = threading.Event(), threading.Event()
        self.passes, self.at = 0, -1
        advance = RecurrentGemma.advance

        def held(network: RecurrentGemma, *arguments: Any) -> Any:
            self.passes += 1
            if self.passes == self.at:
                self.reached.set()
                assert self.open.wait(PATIENCE)
            return advance(network, *arguments)

        monkeypatch.setattr(RecurrentGemma, "advance", held)

    async def until_reached(self) -> None:
        assert await asyncio.to_thread(self.reached.wait, PATIENCE)


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_step_that_is_under_way_is_undone(at: int, small: rgmlx.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward pass 1 reads the prompt, 2 is the first token's: each is under way when the task is cancelled."""
    state, got, gate = small.new_state(), list[str](), Gate(monkeypatch)
    gate.at = at

    async def write() -> None:
        async for piece in small.astream(PROMPT, state=state, max_tokens=8, **DRAWN):
            got.append(piece)

    async def main() -> None:
        task = asyncio.create_task(write())
        await gate.until_reached()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # once more, while it waits for the step
        await asyncio.sleep(0)
        assert not task.done()
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    check_stream(small, state, got)


def settled(thread: ModelThread) -> None:
    """Waits, without the event loop, until all is done that a thread was given."""
    thread.submit(lambda: None).result(PATIENCE)


def test_a_piece_that_is_ready_and_that_nobody_got_is_taken_back(small: rgmlx.Model) -> None:
    state = small.new_state()

    async def main() -> list[str]:
        stream = small.astream(PROMPT, state=state, max_tokens=8, **DRAWN)
        got = [await anext(stream), await anext(stream)]
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        settled(small.threads.steps)
        assert state.position == len(PROMPT) + 3
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await collected(stream) == []
        return got

    got = run(main())
    check_stream(small, state, got)
    rest = "".join(small.stream([], state=state, max_tokens=6, **DRAWN))
    assert "".join(got) + rest == small.generate(PROMPT, max_tokens=8, **DRAWN)


def test_a_reply_that_nobody_got_the_piece_of_ends_before_it(small: rgmlx.Model) -> None:
    chat = small.chat(**DRAWN)

    async def main() -> str:
        reply = chat.asend("Hi", max_tokens=8)
        got = await anext(aiter(reply))
        task = asyncio.ensure_future(anext(aiter(reply)))
        await asyncio.sleep(0)
        settled(small.threads.steps)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert reply.text == got
        return got

    got = run(main())
    assert [t.text for t in chat.turns] == ["Hi", got] and not chat.turns[-1].closed
    ids = list(chat._context.cached.state.recent[0])
    same_state(small, chat._context.cached.state, ids)
    assert small.text_tokenizer().decode(ids).endswith(got)
    assert "".join(chat.continue_reply(max_tokens=2)) and "".join(chat.send("And?", max_tokens=2))


@pytest.mark.parametrize("ticks", range(10))
def test_a_reply_that_is_cancelled_at_any_time(ticks: int, small: rgmlx.Model, tmp_path: Path) -> None:
    """By name, with its text in a file: the turns are what was delivered, there as well."""
    got = list[str]()

    async def write(chat: Chat) -> None:
        async for piece in chat.asend("Hi", max_tokens=8):
            got.append(piece)

    async def main() -> None:
        async with await small.achat("inbox", store=tmp_path, **DRAWN) as chat:
            task = asyncio.create_task(write(chat))
            for _ in range(ticks):
                await asyncio.sleep(random.choice((0, 0.002)))
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            ids = list(chat._context.cached.state.recent[0])
            same_state(small, chat._context.cached.state, ids)
            if got:
                assert small.text_tokenizer().decode(ids).endswith("".join(got))

    run(main())
    with small.chat("inbox", store=tmp_path) as chat:
        texts = [turn.text for turn in chat.turns]
        assert texts == ["Hi", "".join(got)] if got else texts in ([], ["Hi"])
        assert "".join(chat.send("And?", max_tokens=2))


LONG: dict[str, Callable[[rgmlx.Model, rgmlx.State], Coroutine[Any, Any, object]]] = {
    "generate": lambda m, s: m.agenerate(PROMPT, state=s, **DRAWN),
    "a prompt": lambda m, s: m.agenerate([5] * 5000, state=s),
    "score": lambda m, s: m.ascore([5] * 5000, state=s),
    "batch": lambda m, s: m.abatch([PROMPT, [2, 3]], **DRAWN),
}


@pytest.mark.parametrize("name", LONG)
def test_a_call_that_is_cancelled_ends_before_it_is_through(
    name: str, small: rgmlx.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of these would end within the test; of a text that was being read nothing is left in the state."""
    monkeypatch.setattr(rgmlx.Model, "stop_ids", frozenset())
    state, gate = small.new_state(), Gate(monkeypatch)
    gate.at = 3

    async def main() -> None:
        task = asyncio.create_task(LONG[name](small, state))
        await gate.until_reached()
        task.cancel()
        await asyncio.sleep(0)
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
    assert gate.passes < 6
    if name == "generate":
        same_state(small, state, list(state.recent[0]))
    else:
        assert state.position == 0


def test_what_has_not_begun_never_does(small: rgmlx.Model) -> None:
    state = small.new_state()

    async def main() -> None:
        task = asyncio.create_task(small.agenerate(PROMPT, state=state, max_tokens=2))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    go_on = threading.Event()
    small.threads.calls.submit(lambda: go_on.wait(PATIENCE))
    try:
        run(main())
    finally:
        go_on.set()
    settled(small.threads.calls)
    assert state.position == 0


def test_a_timeout_is_a_cancellation(small: rgmlx.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rgmlx.Model, "stop_ids", frozenset())
    state = small.new_state()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await small.agenerate(PROMPT, state=state)
        same_state(small, state, list(state.recent[0]))

    run(main())


def test_ctrl_c_leaves_a_state_to_go_on_from(small: rgmlx.Model) -> None:
    state, got = small.new_state(), list[str]()

    async def main() -> None:
        async for piece in small.astream(PROMPT, state=state, max_tokens=8, **DRAWN):
            got.append(piece)
            if len(got) == 3:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert len(got) == 3
    check_stream(small, state, got)


def test_a_cancelled_task_leaves_no_word_of_it(small: rgmlx.Model, caplog: pytest.LogCaptureFixture) -> None:
    """No exception of the thread's that nobody has looked at, which asyncio would write to the log."""

    async def main() -> None:
        task = asyncio.create_task(small.agenerate([5] * 5000))
        await asyncio.sleep(0.01)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Cancelled):
            await task

    run(main())
    gc.collect()
    assert caplog.text == ""


# --- threads ------------------------------------------------------------------------------------


@pytest.fixture
def begun() -> Iterator[Callable[[], set[threading.Thread]]]:
    """Model threads that were not there before."""
    before = set(threading.enumerate())
    yield lambda: {t for t in threading.enumerate() if t.name == "model"} - before


def test_threads_begin_with_a_coroutine_and_end_with_the_model(begun: Callable[[], set[threading.Thread]]) -> None:
    model = small_model()
    model.generate(PROMPT, max_tokens=1)
    assert not begun()
    run(model.agenerate(PROMPT, max_tokens=1))
    assert len(begun()) == 1
    run(collected(model.astream(PROMPT, max_tokens=1)))
    assert len(begun()) == 2
    gone = weakref.ref(model)
    del model

    def over() -> bool:
        gc.collect()
        return gone() is None and not begun()

    wait_for(over)


def test_a_copy_of_a_model_has_threads_of_its_own() -> None:
    model = small_model()
    other = copy.deepcopy(model)
    assert other.threads is not model.threads
    assert run(other.agenerate(PROMPT, max_tokens=3, **DRAWN)) == model.generate(PROMPT, max_tokens=3, **DRAWN)


def test_a_state_that_another_thread_advances_is_refused(small: rgmlx.Model) -> None:
    state = small.new_state()

    def hold(wait: Callable[[int, int], None]) -> str:
        return small.generate(PROMPT, state=state, max_tokens=3, progress=wait, **DRAWN)

    with Held(hold) as held, pytest.raises(RgmlxError, match="this state is being advanced"):
        run(small.agenerate([5], state=state, max_tokens=1))
    assert held.result == small.generate(PROMPT, max_tokens=3, **DRAWN)
