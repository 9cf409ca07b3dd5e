"""One model and many threads: no answer differs from that of one thread alone, Ctrl+C is one thread's, and the end is quiet."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from interrupt_anywhere import same_state, small_model
from test_processes import program
from waiting import PATIENCE

import rgmlx
from rgmlx.conversation.chat import Chat
from rgmlx.system import process

TALKS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"temperature": 0.0}, ("I have a cat named Zibo.", "What is my cat called?")),
    ({"temperature": 0.0}, ("Who are you?", "Tell me a story about a fox.")),
    ({"temperature": 1.0, "seed": 3}, ("My color is blue.", "What is my color?")),
    ({"temperature": 0.8, "seed": 4, "repetition_penalty": 1.3}, ("Tell me a joke", "Another one")),
]
"""Four conversations: settings, and what is said in two turns."""


@pytest.fixture(scope="module")
def small() -> rgmlx.Model:
    return small_model()


def at_once(*actions: Callable[[], object]) -> list[object]:
    """What several threads return, or raise, that begin together."""
    found: list[object] = [None] * len(actions)
    begin = threading.Barrier(len(actions))

    def run(number: int, action: Callable[[], object]) -> None:
        begin.wait(PATIENCE)
        try:
            found[number] = action()
        except BaseException as e:
            found[number] = e

    threads = [threading.Thread(target=run, args=one) for one in enumerate(actions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return found


def talk(model: rgmlx.Model, first: int = 0) -> list[list[str]]:
    """Four conversations, a turn of each after another, begun with that of a number."""
    chats = [model.chat(**settings) for settings, _ in TALKS]
    said: list[list[str]] = [[] for _ in TALKS]
    for turn in range(2):
        for n in range(len(TALKS)):
            one = (first + n) % len(TALKS)
            said[one].append("".join(chats[one].send(TALKS[one][1][turn], max_tokens=3)))
    return said


def test_eight_threads_of_four_conversations_say_what_one_thread_says(demo: rgmlx.Model) -> None:
    alone = talk(demo)
    assert all(all(texts) for texts in alone)
    found = at_once(*[lambda first=n: talk(demo, first) for n in range(8)])  # type: ignore[misc]
    assert found == [alone] * 8


CALLS: dict[str, Callable[[rgmlx.Model], object]] = {
    "generate": lambda m: m.generate("Hi", max_tokens=12, temperature=1.0, seed=5),
    "greedy": lambda m: m.generate([2, 8, 9], max_tokens=12, temperature=0),
    "stream": lambda m: list(m.stream("Who?", max_tokens=12, temperature=1.0, seed=6)),
    "batch": lambda m: m.batch(["Hi", "Who are you?", [2, 5]], max_tokens=12, temperature=1.0, seed=7),
    "score": lambda m: m.score("Once upon a time", prompt="Tell me a story").log_probs.tolist(),
    "logits": lambda m: m.logits([[2, 5, 9], [2, 7, 1]]).tolist(),
    "a long prompt": lambda m: m.generate(list(range(2, 600)), max_tokens=2, temperature=0),
    "chat": lambda m: "".join(m.chat(temperature=1.0, seed=8).send("Hi", max_tokens=12)),
}


def test_every_call_beside_every_other(small: rgmlx.Model) -> None:
    alone = [call(small) for call in CALLS.values()]
    for _ in range(3):
        assert at_once(*[lambda call=call: call(small) for call in CALLS.values()]) == alone  # type: ignore[misc]


def test_ctrl_c_is_the_main_threads_alone(small: rgmlx.Model) -> None:
    """The chat that it strikes keeps what was delivered and goes on; those of other threads notice nothing."""
    chat, got = small.chat(temperature=1.0, seed=1), list[str]()
    want = "".join(small.chat(temperature=1.0, seed=2).send("Hi", max_tokens=40))
    found = list[str]()

    def other() -> None:
        found.append("".join(small.chat(temperature=1.0, seed=2).send("Hi", max_tokens=40)))

    threads = [threading.Thread(target=other) for _ in range(3)]
    for thread in threads:
        thread.start()
    with pytest.raises(KeyboardInterrupt):
        for piece in chat.send("Who?", max_tokens=40):
            got.append(piece)
            if len(got) == 3:
                signal.raise_signal(signal.SIGINT)
    for thread in threads:
        thread.join(PATIENCE)
    assert found == [want] * 3
    assert chat.turns[-1].text == "".join(got)
    state = chat._context.cached.state
    same_state(small, state, list(state.recent[0]))
    assert "".join(chat.send("And?", max_tokens=2))


def test_one_chat_in_two_threads_is_refused_to_one_or_each_has_a_turn(small: rgmlx.Model) -> None:
    """Two that send at once: whatever comes first, the turns are in order and the state is that of the turns."""
    chat: Chat = small.chat(temperature=1.0, seed=1)
    found = at_once(*[lambda t=t: "".join(chat.send(t, max_tokens=6)) for t in ("One", "Two")])  # type: ignore[misc]
    for one in found:
        assert isinstance(one, str) or "a reply is being written" in str(one)
    assert any(isinstance(one, str) for one in found)
    roles = [turn.role for turn in chat.turns]
    assert roles[0] == "user" and 1 <= roles.count("model") <= 2
    state = chat._context.cached.state
    same_state(small, state, list(state.recent[0]))


EIGHT = """
import threading
begun = threading.Barrier(9)
def talk(n):
    chats = [m.chat(temperature=1.0, seed=s) for s in range(4)]
    replies = [iter(c.send("Hi")) for c in chats]
    for r in replies: next(r, None)
    begun.wait()
    while True:
        for r in replies: next(r, None)
        replies = [iter(c.send("Hi")) for c in chats]
for n in range(8): threading.Thread(target=talk, args=(n,), daemon=True).start()
begun.wait()
"""
LOOP = """
import asyncio, threading
begun = threading.Event()
async def main():
    read = asyncio.create_task(m.agenerate([5] * 10**6, progress=lambda *_: begun.set()))
    async for piece in m.astream([2, 5], temperature=1.0): pass
    await read
threading.Thread(target=lambda: asyncio.run(main()), daemon=True).start()
begun.wait()
"""
TASKS = """
import asyncio
async def main():
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    async def write(chat):
        while True:
            async for piece in chat.asend("Hi", max_tokens=50): begun.set()
    tasks = [asyncio.create_task(write(await m.achat(temperature=1.0))) for _ in range(4)]
    tasks.append(asyncio.create_task(m.ascore([5] * 10**6)))
    await begun.wait()
asyncio.run(main())
"""
ENDS = {"eight daemons": EIGHT, "a daemon's event loop": LOOP, "tasks that are left": TASKS}


@pytest.mark.parametrize("name", ENDS)
def test_a_program_that_ends_in_the_middle_ends_quietly(name: str) -> None:
    for p in [program(ENDS[name]), program(ENDS[name])]:
        _, err = p.communicate(timeout=PATIENCE)
        assert (p.returncode, err) == (0, "")


def test_a_step_is_counted_before_it_looks_whether_the_program_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the end could come between the two, and the interpreter go while the step computes: an abort."""
    counted: list[bool] = []

    class Looked(threading.Event):
        def is_set(self) -> bool:
            counted.append(threading.get_ident() in process._working)
            return super().is_set()

    def step() -> None:
        with process.work():
            pass

    monkeypatch.setattr(process, "_ending", Looked())
    thread = threading.Thread(target=step)
    thread.start()
    thread.join(PATIENCE)
    assert counted == [True] and not process._working


def test_no_thread_of_a_model_is_left_when_the_interpreter_ends() -> None:
    """One that waits for work may abort the program then, in one of many runs; so it is looked for."""
    code = """
import asyncio, atexit, threading
async def main(): return await m.agenerate("Hi", max_tokens=2), await m.ascore("Hi")
asyncio.run(main())
assert [t for t in threading.enumerate() if t.name == "model"]
from rgmlx.system import process
atexit.unregister(process._end)
atexit.register(lambda: print([t.name for t in threading.enumerate() if t.name == "model"]))
atexit.register(process._end)
"""
    p = program(code)
    out, err = p.communicate(timeout=PATIENCE)
    assert (p.returncode, out.strip(), err) == (0, "[]", "")
