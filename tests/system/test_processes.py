"""Threads and processes of a library program: its end (D20), a second thread during a reply (D20), a fork (D22)."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import rooms
from interrupt_anywhere import small_model
from waiting import PATIENCE

import rgmlx
from rgmlx.conversation.chat import MODEL, Chat
from rgmlx.convert.source import raw
from rgmlx.errors import ChatError, RgmlxError, StateError
from rgmlx.generation.engine import Generation, generate_batch, prefill
from rgmlx.store import Store

SCRIPTS = rooms.ROOT / "scripts"


def program(text: str) -> subprocess.Popen[str]:
    """A Python program with a small model `m`."""
    begin = f"import sys; sys.path.insert(0, {str(SCRIPTS)!r})\nfrom interrupt_anywhere import small_model\nm = small_model()\n"
    return subprocess.Popen(
        [sys.executable, "-c", begin + text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


# --- the end of a program -----------------------------------------------------------------

JOINED = """
import threading
t = threading.Thread(target=lambda: m.generate([2, 5], max_tokens=4))
t.start()
t.join()
"""
FROM_A_CHAT = """
import threading
chat = m.chat()
t = threading.Thread(target=lambda: list(chat.send("Hi", max_tokens=4)))
t.start()
t.join()
list(chat.send("And?", max_tokens=2))
"""
LEFT_IN_THE_MIDDLE = """
import threading
stream, begun = m.stream([2, 5], temperature=1.0), threading.Event()
def forever():
    try:
        for _ in range(10**9):
            next(stream, None)
            begun.set()
    except BaseException:
        begun.set()
threading.Thread(target=forever, daemon=True).start()
begun.wait()
"""
POOL = """
import concurrent.futures
pool = concurrent.futures.ThreadPoolExecutor(3)
print([f.result() for f in [pool.submit(m.generate, [2, 5], max_tokens=3, seed=1) for _ in range(4)]])
"""
LOGITS = """
import threading
def read():
    while True:
        m.logits([[2, 5, 7, 9] * 20])
        begun.set()
begun = threading.Event()
threading.Thread(target=read, daemon=True).start()
begun.wait()
"""


ENDS = {
    "a thread that was joined": JOINED,
    "a chat in two threads": FROM_A_CHAT,
    "a daemon that writes": LEFT_IN_THE_MIDDLE,
    "a pool": POOL,
    "a daemon that reads": LOGITS,
}


@pytest.mark.parametrize("name", ENDS)
def test_a_program_that_used_a_thread_ends_quietly(name: str) -> None:
    """MLX aborted 10 of 15 such programs; four runs of each kind here, two at a time."""
    for _ in range(2):
        both = [program(ENDS[name]), program(ENDS[name])]
        for p in both:
            _, err = p.communicate(timeout=PATIENCE)
            assert (p.returncode, err) == (0, "")


def test_a_thread_after_another_has_streams_of_its_own(demo: rgmlx.Model) -> None:
    want = demo.generate("Hi", max_tokens=3, seed=1)
    got: list[str] = []
    for _ in range(5):
        t = threading.Thread(target=lambda: got.append(demo.generate("Hi", max_tokens=3, seed=1)))
        t.start()
        t.join()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        got += pool.map(lambda _: demo.generate("Hi", max_tokens=3, seed=1), range(4))
    assert got == [want] * 9


def test_tensors_are_converted_in_any_thread() -> None:
    """The stream that their bytes are looked at on is each thread's own."""
    got = [raw(mx.array([1, 2])).tolist()]
    for _ in range(2):
        t = threading.Thread(target=lambda: got.append(raw(mx.array([1, 2])).tolist()))
        t.start()
        t.join()
    assert got == [[1, 2]] * 3


def test_what_a_thread_left_can_be_used_after_its_end(demo: rgmlx.Model, tmp_path: Path) -> None:
    """Also where the thread ended in the middle, with the next token under way."""
    state = demo.new_state()

    def some() -> None:
        stream = demo.stream("Tell me a story", state=state, seed=1)
        kept.append(stream)
        next(stream)

    kept: list[Iterator[str]] = []
    t = threading.Thread(target=some)
    t.start()
    t.join()
    state.save(tmp_path / "s")
    ids = list(state.recent[0])
    fresh = demo.new_state()
    prefill(demo, fresh, [ids])
    assert np.abs(np.array(state.hidden) - np.array(fresh.hidden)).max() < 1e-4
    assert demo.logits([[5]], rgmlx.State.load(tmp_path / "s", demo)).shape[1] == 1


# --- a second thread during a reply -------------------------------------------------------


class Held:
    """Something that a thread does, held within a step: in the progress of reading a prompt."""

    def __init__(self, begin: Callable[[Callable[[int, int], None]], object]) -> None:
        self._there, self._go = threading.Event(), threading.Event()
        self.result: object = None
        self._thread = threading.Thread(target=self._run, args=(begin,))

    def _run(self, begin: Callable[[Callable[[int, int], None]], object]) -> None:
        try:
            self.result = begin(self._wait)
        except Exception as e:
            self.result = e

    def _wait(self, done: int, total: int) -> None:
        self._there.set()
        assert self._go.wait(PATIENCE)

    def __enter__(self) -> Held:
        self._thread.start()
        assert self._there.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._go.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def small() -> rgmlx.Model:
    return small_model()


CHAT: dict[str, tuple[Callable[[Chat, Path], object], type[Exception] | None]] = {
    "send": (lambda c, p: c.send("x"), ChatError),
    "regenerate": (lambda c, p: c.regenerate(), ChatError),
    "edit": (lambda c, p: c.edit(0, "x"), ChatError),
    "add_turns": (lambda c, p: c.add_turns([]), ChatError),
    "checkpoint": (lambda c, p: c.checkpoint(), ChatError),
    "rewind": (lambda c, p: c.rewind(0), ChatError),
    "fork": (lambda c, p: c.fork(), ChatError),
    "save": (lambda c, p: c.save(p / "c"), ChatError),
    "next": (lambda c, p: next(iter(c._reply or ())), ChatError),
    "close": (lambda c, p: c.close(), ChatError),
    "the reply's close": (lambda c, p: c._reply and c._reply.close(), ChatError),
    "continue_reply": (lambda c, p: c.continue_reply(), ChatError),
    "switch": (lambda c, p: c.switch(1), ChatError),
    "horizon": (lambda c, p: c.horizon(), ChatError),
    "siblings": (lambda c, p: c.siblings, None),
    "name": (lambda c, p: c.name, None),
    "open": (lambda c, p: Chat.open(c._model, "inbox", store=p / "data").close(), None),
    "turns": (lambda c, p: c.turns, None),
    "position": (lambda c, p: c.position, None),
    "state_nbytes": (lambda c, p: c.state_nbytes, None),
    "load": (lambda c, p: Chat.load(p / "before", c._model), None),
    "stop": (lambda c, p: c.stop(), None),
}
"""Every public name of a chat, and what a second thread gets from it during a reply."""


def test_the_table_has_every_method_of_a_chat() -> None:
    public = {n for n in vars(Chat) if not n.startswith("_")}
    twins = {f"a{name}" for name in CHAT}  # which do the same in a thread of the model
    assert public <= set(CHAT) | twins | {"system", "sampling", "prefilled_tokens", "threads"}


@pytest.mark.parametrize("name", CHAT)
def test_a_chat_in_a_second_thread_during_a_reply(name: str, small: rgmlx.Model, tmp_path: Path) -> None:
    call, error = CHAT[name]
    want = "".join(small.chat(seed=1).send("Hi", max_tokens=3))
    chat = small.chat(seed=1)
    chat.save(tmp_path / "before")
    with Held(lambda wait: "".join(chat.send("Hi", max_tokens=3, progress=wait))) as held:
        if error is None:
            call(chat, tmp_path)
        else:
            with pytest.raises(error, match="a reply is being written"):
                call(chat, tmp_path)
    assert held.result == ("" if name == "stop" else want)  # and the reply does not notice
    assert "".join(chat.send("And?", max_tokens=1)) is not None
    assert not (tmp_path / "c").exists()


STATE: dict[str, tuple[Callable[[rgmlx.Model, rgmlx.State, Path], object], type[Exception] | None]] = {
    "State.save": (lambda m, s, p: s.save(p / "s"), None),
    "State.load": (lambda m, s, p: rgmlx.State.load(p / "before", m), None),
    "State.copy": (lambda m, s, p: m.logits([[5]], s.copy()), None),
    "State.rows": (lambda m, s, p: mx.eval(s.rows([0]).arrays()), None),
    "State.position": (lambda m, s, p: s.position, None),
    "State.nbytes": (lambda m, s, p: s.nbytes, None),
    "Model.new_state": (lambda m, s, p: m.new_state(), None),
    "Model.generate": (lambda m, s, p: m.generate("Hi", max_tokens=2), None),
    "Model.stream": (lambda m, s, p: list(m.stream("Hi", max_tokens=2)), None),
    "Model.batch": (lambda m, s, p: m.batch(["Hi", "Who?"], max_tokens=2), None),
    "Model.logits": (lambda m, s, p: m.logits([[5]]), None),
    "Model.score": (lambda m, s, p: m.score("Hi"), None),
    "Model.chat": (lambda m, s, p: list(m.chat().send("Hi", max_tokens=2)), None),
    "Model.logits, the same state": (lambda m, s, p: m.logits([[5]], s), StateError),
    "Model.score, the same state": (lambda m, s, p: m.score([5], state=s), StateError),
    "Model.stream, the same state": (lambda m, s, p: list(m.stream([5], state=s, max_tokens=2)), StateError),
    "prefill, the same state": (lambda m, s, p: prefill(m, s, [[5]]), StateError),
    "Generation, the same state": (lambda m, s, p: list(Generation(m, s, [5], max_tokens=2)), StateError),
    "read_prompt, the same state": (lambda m, s, p: Generation(m, s, [5]).read_prompt(), StateError),
    "generate_batch, the same state": (lambda m, s, p: list(generate_batch(m, s, [[5]], max_tokens=2)), StateError),
}


@pytest.mark.parametrize("name", STATE)
def test_a_model_and_a_state_in_a_second_thread_during_a_reply(name: str, small: rgmlx.Model, tmp_path: Path) -> None:
    call, error = STATE[name]
    want = small.generate([2, 5, 6, 7], max_tokens=3, seed=1)
    state = small.new_state()
    small.new_state().save(tmp_path / "before")

    def write(wait: Callable[[int, int], None]) -> str:
        return small.generate([2, 5, 6, 7], state=state, max_tokens=3, seed=1, progress=wait)

    with Held(write) as held:
        if error is None:
            call(small, state, tmp_path)
        else:
            with pytest.raises(error, match="this state is being advanced"):
                call(small, state, tmp_path)
    assert held.result == want
    assert state.position == 4 + 3


def test_a_chat_saved_from_a_second_thread_while_it_writes_is_whole(small: rgmlx.Model, tmp_path: Path) -> None:
    """Refused, or between two pieces: then text and state of the file are of one moment."""
    chat = small.chat(seed=1, temperature=1.0)
    errors: list[Exception] = []

    def write() -> None:
        try:
            list(chat.send("Tell me a story", max_tokens=150))
        except Exception as e:
            errors.append(e)

    worker = threading.Thread(target=write)
    worker.start()
    saved = refused = 0
    while worker.is_alive() or not saved:
        try:
            chat.save(tmp_path / "c")
        except ChatError:
            refused += 1
            continue
        saved += 1
        there = Chat.load(tmp_path / "c", small)
        if there.turns and there.turns[-1].role == MODEL:
            ids = list(there._context.cached.state.recent[0])
            assert len(ids) == there.position
            written = small.text_tokenizer().decode(ids)
            assert written.rstrip("\ufffd").endswith(there.turns[-1].text.rstrip("\ufffd"))
    worker.join()
    assert errors == []
    assert refused


# --- a forked process ---------------------------------------------------------------------

IN_A_CHILD: dict[str, Callable[[dict[str, Any]], object]] = {
    "load": lambda t: rgmlx.load(),
    "Model.new_state": lambda t: t["model"].new_state(),
    "Model.logits": lambda t: t["model"].logits([[5]]),
    "Model.logits with a state": lambda t: t["model"].logits([[5]], t["state"]),
    "Model.generate": lambda t: t["model"].generate([5], max_tokens=2),
    "Model.stream": lambda t: next(t["model"].stream([5])),
    "a stream that was begun": lambda t: next(t["stream"]),
    "Model.batch": lambda t: t["model"].batch([[5]], max_tokens=2),
    "Model.score": lambda t: t["model"].score([5, 6]),
    "Model.agenerate": lambda t: asyncio.run(t["model"].agenerate([5], max_tokens=2)),
    "Model.chat": lambda t: t["model"].chat(),
    "prefill": lambda t: prefill(t["model"], t["state"], [[5]]),
    "Generation": lambda t: Generation(t["model"], t["state"], [5]),
    "generate_batch": lambda t: generate_batch(t["model"], t["state"], [[5]]),
    "State.save": lambda t: t["state"].save(t["path"] / "s"),
    "State.load": lambda t: rgmlx.State.load(t["path"] / "before", t["model"]),
    "Chat.send": lambda t: t["chat"].send("x"),
    "Chat.regenerate": lambda t: t["chat"].regenerate(),
    "Chat.edit": lambda t: t["chat"].edit(0, "x"),
    "Chat.rewind": lambda t: t["chat"].rewind(0),
    "Chat.checkpoint": lambda t: t["chat"].checkpoint(),
    "Chat.fork": lambda t: t["chat"].fork(),
    "Chat.save": lambda t: t["chat"].save(t["path"] / "c"),
    "Chat.load": lambda t: Chat.load(t["path"] / "chat", t["model"]),
    "Snapshots.put": lambda t: t["store"].snapshots.put(t["message"], t["state"]),
}


def test_a_forked_child_is_told_to_spawn(small: rgmlx.Model, tmp_path: Path) -> None:
    """Everything that computes; it would wait for ever for threads that the child does not have."""
    chat = small.chat(seed=1)
    list(chat.send("Hi", max_tokens=2))
    chat.save(tmp_path / "chat")
    state = small.new_state()
    state.save(tmp_path / "before")
    small.logits([[2, 5]], state)
    asyncio.run(small.agenerate([5], max_tokens=1))  # in a thread that the child does not have
    stream = small.stream([2, 5], temperature=1.0)
    next(stream)
    store = Store(tmp_path / "data")
    conversation = store.conversations.create("demo", "", None, {})
    message = store.messages.add_user(conversation.id, None, "Hi").id
    things = {
        "model": small,
        "state": state,
        "chat": chat,
        "stream": stream,
        "path": tmp_path,
        "store": store,
        "message": message,
    }
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        for name, call in IN_A_CHILD.items():
            try:
                call(things)
                said = "nothing"
            except RgmlxError as e:
                said = str(e)
            except BaseException as e:
                said = repr(e)
            os.write(theirs, f"{name}\t{said}\n".encode())
        os.write(theirs, f"turns\t{len(chat.turns)} {chat.position} {state.position}\n".encode())  # may be looked at
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as f:
        timer = threading.Timer(PATIENCE, os.kill, (child, 9))
        timer.start()
        lines = dict(line.rstrip("\n").split("\t") for line in f)
        timer.cancel()
    os.waitpid(child, 0)
    store.close()
    assert lines.pop("turns").startswith("2 ")
    assert set(lines) == set(IN_A_CHILD)
    assert {name: text for name, text in lines.items() if "spawn" not in text} == {}
    assert next(stream)  # the parent goes on


def test_a_fork_before_the_first_model_may_load_one() -> None:
    text = """
import os
child = os.fork()
if child == 0:
    import rgmlx
    os._exit(0 if rgmlx.load().generate("Hi", max_tokens=1) else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", "import rgmlx, rgmlx.model\n" + text], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (0, "")
