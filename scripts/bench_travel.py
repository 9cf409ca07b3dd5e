"""What a jump to another place of a conversation costs, in one of 1,000 tokens and in longer ones.

The states have the shapes of a model (no weights are needed for that) and random contents; the texts are made up. A jump
is `Session.checkout` and `Session.sync`: the place is on the disk and the model stands there.

    python scripts/bench_travel.py
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import mlx.core as mx

import rgmlx
from rgmlx.conversation import places
from rgmlx.conversation.context import Context
from rgmlx.conversation.session import Session
from rgmlx.griffin.config import PRESETS
from rgmlx.griffin.state import State
from rgmlx.model import Model
from rgmlx.store import MODEL, USER, Store

TURN = 250  # tokens of a message and its reply
TEXT = "the river carries what a patient small machine remembers of every long and quiet afternoon"
WORDS = TEXT.split()


def shaped(name: str) -> Model:
    """A model with the shapes of a preset, the embedded model's tokenizer, and no weights that were ever computed."""
    demo = rgmlx.load()
    if name == "demo":
        return demo
    model = Model(PRESETS[name], demo.tokenizer)
    model._weights_fingerprint = f"shapes of {name}"
    return model


def state_after(model: Model, before: State, tokens: int) -> State:
    """A state that differs from the one before as after so many tokens."""
    state = before.copy()
    layers = []
    for (a, b), kind in zip(state.layers, model.config.layer_types, strict=True):
        if kind == "attention":
            slots = mx.array([(state.positions[0] + i) % a.shape[2] for i in range(min(tokens, a.shape[2]))])
            new = mx.random.normal((2, *a.shape[:2], slots.size, a.shape[3])).astype(a.dtype)
            a[:, :, slots, :], b[:, :, slots, :] = new[0], new[1]
            layers.append((a, b))
        else:
            layers.append((mx.random.normal(a.shape).astype(a.dtype), mx.random.normal(b.shape)))
    state.layers = layers
    state.positions = [state.positions[0] + tokens]
    mx.eval(state.arrays())
    return state


def build(store: Store, model: Model, tokens: int) -> int:
    """A conversation of so many tokens, with a snapshot after each reply; the number of the last one."""
    rng = random.Random(1)
    made = store.conversations.create("bench", f"{tokens:,} tokens")
    last: int | None = None
    state = model.new_state()
    for _ in range(tokens // TURN):
        for role, words in ((USER, 30), (MODEL, TURN - 60)):
            text = " ".join(rng.choices(WORDS, k=words))
            last = store.messages.add_finished(made.id, last, role, text, closed=True, created=time.time())
        state = state_after(model, state, TURN)
        assert last is not None
        store.snapshots.put(last, state)
    assert last is not None
    store.conversations.set_head(made.id, last)
    return made.id


def jump(session: Session, to: int | None) -> tuple[float, int]:
    begun = time.perf_counter()
    session.checkout(to)
    read = session.sync()
    return 1000 * (time.perf_counter() - begun), read


def measure(model: Model, tokens: int, repeats: int) -> tuple[float, float, float, int]:
    """Milliseconds of a jump in memory, of one from the disk, megabytes on the disk, tokens read again."""
    with tempfile.TemporaryDirectory() as data, Store(data) as store:
        conversation = build(store, model, tokens)
        memory, disk, read = list[float](), list[float](), 0
        for _ in range(repeats):
            session = Session(store)
            session.open(conversation)
            session.context = Context(model, store)  # nothing is in memory, as after a restart
            assert session.head is not None
            here = session.head.id
            there = places.earlier(store, session.head)
            for to, times in ((here, disk), (there, disk), (here, memory), (there, memory)):
                took, again = jump(session, to)
                times.append(took)
                read += again
            session.checkout(here)
            session.close()
        return statistics.median(memory), statistics.median(disk), store.snapshots.usage().bytes / 1e6, read


def main() -> None:
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--shapes", nargs="+", default=["demo", "2b"])
    p.add_argument("--tokens", nargs="+", type=int, default=[1_000, 10_000, 100_000])
    p.add_argument("--repeats", type=int, default=5)
    options = p.parse_args()
    print(
        f"{'shape':>6} {'tokens':>8} {'in memory, ms':>14} {'from disk, ms':>14} {'snapshots, MB':>14} {'tokens re-read':>15}"
    )
    for shape in options.shapes:
        model = shaped(shape)
        for tokens in options.tokens:
            memory, disk, size, read = measure(model, tokens, options.repeats)
            print(f"{shape:>6} {tokens:8,} {memory:14.1f} {disk:14.1f} {size:14.1f} {read:15}", flush=True)


if __name__ == "__main__":
    main()
