"""Several tokens in one pass, beside one by one: what that gains on texts that repeat themselves, and costs on others.

    python scripts/bench_draft.py [MODEL] [--tokens N] [--repeats N]

The first table is what a chunk of some tokens costs, in decode steps; `rgmlx.generation.lookup.cost` is drawn through it. The
second has texts: the ids have to be the same, greedy and drawn. Processor time of this process, the least of the repeats.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable

import mlx.core as mx
import numpy as np

import rgmlx
from rgmlx.generation.engine import Generation, prefill
from rgmlx.generation.lookup import cost
from rgmlx.tokenizer import as_ids

LIST = "bread, milk, butter, apples, honey, cheese, eggs, flour, sugar, salt, pepper, rice, beans, onions, garlic"
TEXTS = {
    "a list again": f"Repeat this list: {LIST}",
    "a sentence again": "Say this again: my sister Anna has a red bicycle, two cats called Momo and Pip, and a garden full of beans.",
    "numbers again": "Repeat after me: one two three four five six seven eight nine ten eleven twelve thirteen fourteen",
    "a long story": "Tell me a long story about an otter.",
    "a poem": "Tell me a poem about the sea.",
    "a recipe": "Give me a recipe for pancakes.",
}
SIZES = (1, 2, 4, 8, 16, 32)


def least(action: Callable[[], object], repeats: int) -> float:
    """Seconds of this process."""
    found = []
    for _ in range(repeats):
        begun = time.process_time()
        action()
        found.append(time.process_time() - begun)
    return min(found)


def costs(model: rgmlx.Model, repeats: int) -> None:
    """A chunk of so many tokens with its logits, behind 600."""
    ids = np.random.default_rng(0).integers(3, model.config.vocab_size, (1, 600)).tolist()
    state = model.new_state()
    prefill(model, state, ids)

    def chunk(size: int) -> None:
        if size == 1:
            ahead = state.copy()
            model.advance(mx.array([ids[0][:1]]), ahead)
            mx.eval(model.head(ahead.hidden), ahead.arrays())
        else:
            trace = model.look_ahead(mx.array([ids[0][:size]]), state)
            mx.eval(model.head(trace.hidden[0]), trace.state(size).arrays())

    found = {size: least(functools.partial(chunk, size), 10 * repeats) for size in SIZES}
    print("| tokens | steps | taken for |\n| ---: | ---: | ---: |")
    for size, seconds in found.items():
        print(f"| {size} | {seconds / found[1]:.2f} | {1 if size == 1 else cost(size):.2f} |")


def written(
    model: rgmlx.Model, ids: list[int], sampling: rgmlx.Sampling, tokens: int, draft: bool
) -> tuple[list[int], int, float]:
    """What is written behind a prompt, how much of it was foreseen, and the seconds that it took."""
    state = model.new_state()
    prefill(model, state, [ids])
    run = Generation(model, state, [], sampling=sampling, max_tokens=tokens, stop_ids=model.stop_ids, draft=draft)
    begun = time.process_time()
    found = list(run)
    return found, run.foreseen, time.process_time() - begun


def texts(model: rgmlx.Model, tokens: int, repeats: int) -> None:
    """The same texts in both ways."""
    print("\n| text | drawn | tokens | foreseen | times as fast | same ids |\n| --- | --- | ---: | ---: | ---: | --- |")
    for name, prompt in TEXTS.items():
        ids = as_ids(prompt, model.text_tokenizer(), raw=False, fresh=True)
        for way, sampling in (("greedily", rgmlx.Sampling(0)), ("at 0.5", rgmlx.Sampling(0.5, seed=3))):
            runs = [[written(model, ids, sampling, tokens, draft) for draft in (False, True)] for _ in range(repeats)]
            plain, ahead = (min((pair[way] for pair in runs), key=lambda run: run[2]) for way in (0, 1))
            same = "yes" if plain[0] == ahead[0] else "no"
            faster = f"{plain[2] / ahead[2]:.2f}"
            print(f"| {name} | {way} | {len(plain[0])} | {ahead[1]} | {faster} | {same} |", flush=True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="?", default="demo")
    p.add_argument("--tokens", type=int, default=300, metavar="N")
    p.add_argument("--repeats", type=int, default=3, metavar="N")
    options = p.parse_args()
    model = rgmlx.load(options.model)
    print(f"{options.model}, {model.compute_dtype}, {mx.default_device()}\n")
    costs(model, options.repeats)
    texts(model, options.tokens, options.repeats)


if __name__ == "__main__":
    main()
