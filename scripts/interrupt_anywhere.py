"""Ctrl+C between any two lines (or instructions) of the token loop: is the state that of what was delivered?

    python scripts/interrupt_anywhere.py [--seconds 600] [--seed 0] [--opcodes]

A scenario is run once to count the events of its frames, then once for each of them, with KeyboardInterrupt raised
there. A wrong state ends in AssertionError with the place. The model is random and tiny, with the embedded one's
tokenizer, in float32.
"""

from __future__ import annotations

import argparse
import collections
import dis
import gc
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import mlx.core as mx
import numpy as np

import rgmlx
from rgmlx import model
from rgmlx.conversation import (
    chat,
    checkpoints,
    context,
    in_memory,
    opened,
    replies,
    reply,
    rgstate,
    runs,
    turns,
    writer,
)
from rgmlx.generation import engine, sampling, scoring, wired
from rgmlx.generation.constrained import matcher, output
from rgmlx.generation.engine import Generation, prefill
from rgmlx.griffin import state
from rgmlx.griffin.config import ModelConfig
from rgmlx.system import atomic, process
from rgmlx.tokenizer import Tokenizer

CHAT = (chat, checkpoints, context, in_memory, opened, replies, reply, rgstate, runs, turns, writer)
FILES = {m.__file__ for m in (*CHAT, atomic, engine, matcher, model, output, process, sampling, scoring, state, wired)}
"""Whose frames are interrupted: all that moves a state or a chat."""

PROMPT = [2, 7, 1, 9]
TOKENS = 3
FORM = "[a-z ]{60,80}"
"""A regular expression for texts of more than so many tokens."""
Place = tuple[CodeType, int, int]
"""A function, a line or instruction of it, and which of the times that it is come by."""
Scenario = Callable[[rgmlx.Model], tuple[Callable[[], object], Callable[[], None]]]
"""Makes what is interrupted, and the check of what that left; the second is called after any exception of the first."""


def small_model() -> rgmlx.Model:
    """Two layers with random weights, and the embedded model's vocabulary."""
    from rgmlx.weights.hub import demo_directory

    tokenizer = Tokenizer.from_directory(demo_directory())
    assert tokenizer is not None
    shapes = ModelConfig.from_file(demo_directory() / "config.json")
    made = rgmlx.Model(
        ModelConfig.from_dict(
            {
                "model_type": "recurrent_gemma",
                "vocab_size": shapes.vocab_size,
                "hidden_size": 16,
                "intermediate_size": 32,
                "lru_width": 16,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "head_dim": 8,
                "num_hidden_layers": 2,
                "block_types": ["recurrent", "attention"],
                "attention_window_size": 8,
                "conv1d_width": 4,
            }
        ),
        tokenizer,
    )
    mx.random.seed(3)
    made.update(_random(made.parameters()))
    made.eval()
    mx.eval(made.parameters())
    return made


def _random(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _random(v) for k, v in tree.items()}
    if isinstance(tree, list):
        return [_random(v) for v in tree]
    return mx.random.normal(tree.shape) * 0.3


class Interrupt:
    """Raises KeyboardInterrupt at one place; with None counts the places that are come by."""

    def __init__(self, at: Place | None, opcodes: bool) -> None:
        self.at, self.opcodes = at, opcodes
        self.seen: collections.Counter[tuple[CodeType, int]] = collections.Counter()
        self.raised = False

    def __enter__(self) -> Interrupt:
        gc.collect()  # a generator of an earlier scenario that ends now would be struck in the place of ours
        gc.disable()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        gc.enable()

    def _is_passed(self, frame: FrameType) -> bool:
        """Whether no signal is looked for at this instruction. Lines begin with others, but for some `try:`."""
        return self.opcodes and dis.opname[frame.f_code.co_code[frame.f_lasti]] in (
            "RETURN_VALUE",
            "RETURN_CONST",
            "NOP",
        )

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in FILES or self.raised:
            return None
        if self.opcodes:
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == ("opcode" if self.opcodes else "line") and not self._is_passed(frame):
            key = frame.f_code, frame.f_lasti if self.opcodes else frame.f_lineno
            self.seen[key] += 1
            if self.at == (*key, self.seen[key]):
                self.raised = True
                raise KeyboardInterrupt
        return self._trace


def places(scenario: Scenario, model: rgmlx.Model, opcodes: bool = False, times: int = 2) -> list[Place]:
    """Every place that a scenario comes by: the first times, and the last."""
    gc.collect()
    gc.freeze()  # or each strike would look for garbage among all that the process has
    action, _ = scenario(model)
    with Interrupt(None, opcodes) as count:
        action()
    return [
        (code, where, n)
        for (code, where), most in count.seen.items()
        for n in sorted({*range(1, min(times, most) + 1), most})
    ]


def strike(scenario: Scenario, model: rgmlx.Model, at: Place, opcodes: bool = False) -> None:
    """Runs a scenario, interrupts it there and checks. Raises AssertionError."""
    action, check = scenario(model)
    try:
        with Interrupt(at, opcodes):
            action()
    except KeyboardInterrupt:
        pass
    else:
        return  # at the end of a generator that nobody waits for: Python has printed it
    code, where, n = at
    try:
        check()
    except Exception as e:
        raise AssertionError(f"{Path(code.co_filename).name} {code.co_qualname} {where} time {n}: {e}") from e


def expect(fact: object, what: object) -> None:
    """Raises AssertionError with what was found."""
    if not fact:
        raise AssertionError(str(what))


def same_state(model: rgmlx.Model, found: rgmlx.State, ids: list[int]) -> None:
    """Checks that a state is that of a model that has read these ids, and goes on as that does."""
    fresh = model.new_state()
    if ids:
        prefill(model, fresh, [ids])
    expect(found.positions == fresh.positions, f"positions {found.positions}, {fresh.positions} expected")
    expect(found.recent == fresh.recent, f"recent {found.recent}, {fresh.recent} expected")
    for one, other in zip(found.arrays(), fresh.arrays(), strict=True):
        expect(np.abs(np.array(one) - np.array(other)).max() < 1e-5, "other numbers")
    if ids:
        more = [
            list(Generation(model, s.copy(), [], sampling=rgmlx.Sampling(1.0, seed=5), max_tokens=1))
            for s in (found, fresh)
        ]
        expect(more[0] == more[1], f"goes on with {more[0]}, {more[1]} expected")


# --- what is interrupted ------------------------------------------------------------------


def tokens(model: rgmlx.Model) -> tuple[Callable[[], object], Callable[[], None]]:
    """A `Generation`."""
    here, got = model.new_state(), list[int]()

    def action() -> None:
        for token in Generation(model, here, PROMPT, sampling=rgmlx.Sampling(1.0, seed=1), max_tokens=TOKENS, chunk=2):
            got.append(token)

    return action, lambda: same_state(model, here, [*PROMPT, *got] if got else [])


def foreseen(model: rgmlx.Model) -> tuple[Callable[[], object], Callable[[], None]]:
    """A `Generation` that reads several tokens at once."""
    here, got = model.new_state(), list[int]()
    said = [5, 6, 7, 8] * 3

    def action() -> None:
        greedy = rgmlx.Sampling(temperature=0)
        run = Generation(model, here, said, sampling=greedy, max_tokens=3 * TOKENS, draft=True)
        for token in run:
            got.append(token)
        expect(run.foreseen > 0, "nothing was foreseen")

    return action, lambda: same_state(model, here, [*said, *got] if got else [])


def constrained(model: rgmlx.Model) -> tuple[Callable[[], object], Callable[[], None]]:
    """A `Generation` with a matcher."""
    here, got = model.new_state(), list[int]()
    form = output.output_format(model.vocabulary, regex=FORM)
    assert form is not None
    found, fresh = form.constraint.matcher(), form.constraint.matcher()

    def action() -> None:
        drawn = rgmlx.Sampling(1.0, seed=1)
        for token in Generation(model, here, PROMPT, sampling=drawn, max_tokens=TOKENS, matcher=found):
            got.append(token)

    def check() -> None:
        same_state(model, here, [*PROMPT, *got] if got else [])
        expect(found.ids == tuple(got), f"{got} was delivered, the matcher has {found.ids}")
        for token in got:
            fresh.accept(token)
        expect((found.allowed() == fresh.allowed()).all(), "the matcher is elsewhere")

    return action, check


def pieces(model: rgmlx.Model) -> tuple[Callable[[], object], Callable[[], None]]:
    """`Model.stream` on a state of the caller's."""
    here, got = model.new_state(), list[str]()

    def action() -> None:
        for piece in model.stream(PROMPT, state=here, max_tokens=TOKENS, temperature=1.0, seed=1):
            got.append(piece)

    def check() -> None:
        ids = list(here.recent[0])
        same_state(model, here, ids)
        expect(bool(ids) == bool(got), "read, and nothing delivered")
        text = model.text_tokenizer().decode(ids[len(PROMPT) :])
        expect(text == "".join(got), f"the state has written {text!r}, delivered was {''.join(got)!r}")

    return action, check


def reading(model: rgmlx.Model) -> tuple[Callable[[], object], Callable[[], None]]:
    """`Model.logits` and `prefill` on a state."""
    here, read = model.new_state(), list[int]()

    def action() -> None:
        model.logits([PROMPT], here)
        read.extend(PROMPT)
        prefill(model, here, [[5, 6, 7]], chunk=2)
        read.extend([5, 6, 7])

    return action, lambda: same_state(model, here, read)


def scored(model: rgmlx.Model) -> tuple[Callable[[], object], Callable[[], None]]:
    """`log_probs` on a state: it has read all of it, or nothing."""
    here, read = model.new_state(), list[int]()

    def action() -> None:
        scoring.log_probs(model, here, [5, 6, 7], prompt=PROMPT, chunk=3)
        read.extend([*PROMPT, 5, 6, 7])

    return action, lambda: same_state(model, here, read)


def talk(what: str) -> Scenario:
    """A chat of two turns in which `what` happens: "send", "edit", "regenerate", "rewind", "fork", "checkpoint".

    "send by name" is one whose text is in a file, "send of a form" one of a constrained reply.
    """

    def scenario(model: rgmlx.Model) -> tuple[Callable[[], object], Callable[[], None]]:
        directory = tempfile.TemporaryDirectory()
        name, store = ("inbox", directory.name) if what.endswith("by name") else (None, None)
        form: dict[str, Any] = {"regex": FORM} if what.endswith("of a form") else {}
        model.vocabulary()
        here = model.chat(name, store=store, temperature=1.0, seed=1)
        "".join(here.send("Hi", max_tokens=1))
        first = list(here._context.cached.state.recent[0])
        turns, position, read = here.turns, here.position, here.prefilled_tokens
        begun, got = list[object](), list[str]()

        def action() -> None:
            if what.startswith("send"):
                reply = here.send("Who?", max_tokens=TOKENS, **form)
            elif what == "edit":
                reply = here.edit(0, "Who?", max_tokens=TOKENS)
            elif what == "regenerate":
                reply = here.regenerate(max_tokens=TOKENS)
            else:
                made = {"rewind": lambda: here.rewind(1), "fork": here.fork, "checkpoint": here.checkpoint}[what]()
                del made
                return
            begun.append(reply)
            for piece in reply:
                got.append(piece)

        def check() -> None:
            now = here.turns
            ids = list(here._context.cached.state.recent[0])
            expect(len(ids) == here.position, "position and ids differ")
            same_state(model, here._context.cached.state, ids)
            if not begun:
                expect((now, here.position, here.prefilled_tokens) == (turns, position, read), f"changed: {now}")
                expect(not here._context.cached.unread, "something is to be read")
            else:
                asked = "Hi" if what == "regenerate" else "Who?"
                kept = turns if what.startswith("send") else ()
                expect([t.text for t in now if t.role == "user"].count("Who?") == (asked == "Who?"), f"turns {now}")
                expect(now[: len(kept)] == kept and now[len(kept)].text == asked, f"turns {now}")
                expect(len(now) - len(kept) == (2 if got else 1), f"{got} was delivered, turns are {now}")
                unread = here._context.cached.unread
                whole = [*ids, *unread]
                start = first[: len(ids)] if what.startswith("send") else []
                expect(whole[: len(start)] == start, "another past")
                if got:
                    expect(now[-1].text == "".join(got), f"{got} was delivered, the turn is {now[-1].text!r}")
                    written = model.text_tokenizer().decode(ids)
                    expect(written.endswith(now[-1].text), f"the state has written {written!r}")
                    expect(set(unread) <= {model.text_tokenizer().end_of_turn}, "read, and to be read")
            "".join(here.send("More", max_tokens=1))  # and it goes on
            if begun:
                shown = model.text_tokenizer().decode(list(here._context.cached.state.recent[0]))
                expect(shown.count("Who?") == (asked == "Who?"), f"the model has read {shown!r}")
            here.close()
            directory.cleanup()

        return action, check

    return scenario


SCENARIOS: dict[str, Scenario] = {
    "Generation": tokens,
    "Generation, foreseen": foreseen,
    "Generation, constrained": constrained,
    "Model.stream": pieces,
    "Model.logits, prefill": reading,
    "log_probs": scored,
    **{
        f"Chat.{n}": talk(n)
        for n in ("send", "send by name", "send of a form", "edit", "regenerate", "rewind", "fork", "checkpoint")
    },
}


def main() -> int:
    """Runs it; 1 if a state was wrong anywhere."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    p.add_argument("--seconds", type=float, default=600)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--opcodes", action="store_true", help="between any two instructions, not only lines")
    options = p.parse_args()
    model, until = small_model(), time.monotonic() + options.seconds
    total = 0
    print(f"{'scenario':24} {'places':>7} {'struck':>7} {'wrong':>6}")
    for number, (name, scenario) in enumerate(SCENARIOS.items()):
        all_places = places(scenario, model, options.opcodes)
        random.Random(options.seed).shuffle(all_places)
        end = time.monotonic() + (until - time.monotonic()) / (len(SCENARIOS) - number)
        struck, wrong = 0, []
        for at in all_places:
            if time.monotonic() > end:
                break
            struck += 1
            try:
                strike(scenario, model, at, options.opcodes)
            except AssertionError as e:
                wrong.append(str(e))
        print(f"{name:24} {len(all_places):7} {struck:7} {len(wrong):6}", flush=True)
        total += len(wrong)
        for line in wrong[:5]:
            print(f"    {line}")
    return int(bool(total))


if __name__ == "__main__":
    sys.exit(main())
