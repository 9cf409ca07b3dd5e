"""Chunks of few tokens and batches beside a single token, and beside mlx-lm on the same weights in one run.

    python scripts/bench_few.py                      # the embedded model (a CPU is enough)
    python scripts/bench_few.py --shape 2b           # random 4-bit weights in 2B's shape (a GPU)

A chunk is read as a draft is: with all of its logits, the state behind it, and none moved. A batch is decoded greedily. Runs
alternate between the two and the median counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial

import bench
import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import make_prompt_cache

from rgmlx.generation import engine
from rgmlx.griffin.config import PRESETS
from rgmlx.model import Model
from rgmlx.settings import Sampling


def chunk_times(model: Model, sizes: list[int], repeats: int) -> dict[int, float]:
    """Seconds of reading so many tokens ahead behind 300 others, with their logits; of one token, of a decode step."""
    ids = bench.random_ids(model, 300 + max(sizes))
    state = model.new_state()
    engine.prefill(model, state, [ids[:300]])

    def read(size: int) -> None:
        tokens = mx.array([ids[300 : 300 + size]])
        if size == 1:
            ahead = state.copy()
            model.advance(tokens, ahead)
            mx.eval(model.head(ahead.hidden), ahead.arrays())
        else:
            trace = model.look_ahead(tokens, state)
            mx.eval(model.head(trace.hidden[0]), trace.state(size).arrays())

    times: dict[int, list[float]] = {size: [] for size in sizes}
    for turn in range(repeats + 2):
        for size in sizes:
            spent = bench.timed(partial(read, size))
            if turn > 1:  # the first ones compile
                times[size].append(spent)
    return {size: statistics.median(found) for size, found in times.items()}


def ours_batch(model: Model, rows: int, steps: int) -> float:
    """Seconds a step of so many rows."""
    ids = bench.random_ids(model, 16)
    found = engine.generate_batch(
        model, model.new_state(rows), [ids] * rows, sampling=Sampling(temperature=0), max_tokens=steps + 5
    )
    for _ in range(5 * rows):  # the first steps compile
        next(found)
    return bench.timed(lambda: list(found)) / steps


def peer_batch(peer: nn.Module, ids: list[int], rows: int, steps: int) -> float:
    """The same of mlx-lm's model, greedily, one step queued while the host waits for the one before."""
    cache = make_prompt_cache(peer)
    token = peer(mx.array([ids] * rows), cache=cache)[:, -1:].argmax(axis=-1)
    start = 0.0
    for step in range(steps + 5):
        following = peer(token, cache=cache)[:, -1:].argmax(axis=-1)
        mx.async_eval(following)
        mx.eval(token)
        token = following
        if step == 4:
            start = time.perf_counter()
    mx.eval(token)
    return (time.perf_counter() - start) / steps


def main() -> None:
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--shape", choices=[*PRESETS, "demo"], default="demo")
    p.add_argument("--chunks", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32, 64, 128])
    p.add_argument("--batches", type=int, nargs="*", default=[1, 2, 8, 32])
    p.add_argument("--prefill", type=int, nargs="*", default=[32, 128, 512, 2048])
    p.add_argument("--steps", type=int, default=60, help="of a batch")
    p.add_argument("--repeats", type=int, default=5)
    options = p.parse_args()
    mx.random.seed(0)
    ours, peer, what = bench.both(options.shape, 4, None)
    print(f"{what}, median of {options.repeats}", flush=True)

    if options.chunks:
        begun = time.perf_counter()
        times = chunk_times(ours, options.chunks, options.repeats)
        print(f"all of them, with compiling: {time.perf_counter() - begun:.0f} s")
        print("\n| tokens of a chunk | ms | steps |\n| ---: | ---: | ---: |")
        for size, seconds in times.items():
            print(f"| {size} | {seconds * 1e3:.2f} | {seconds / times[options.chunks[0]]:.2f} |", flush=True)

    print("\n| what | rgmlx | mlx-lm | ratio |\n| --- | ---: | ---: | ---: |")
    ids = bench.random_ids(ours, 16)
    for rows in options.batches:
        a, b = bench.alternate(
            partial(ours_batch, ours, rows, options.steps),
            partial(peer_batch, peer, ids, rows, options.steps),
            options.repeats,
        )
        row = bench.Row(f"batch of {rows}, {a * 1e3:.2f} and {b * 1e3:.2f} ms a step", "tok/s", rows / a, rows / b)
        print("| " + " | ".join(row.cells()) + " |", flush=True)
    for length in options.prefill:
        for row in bench.prefill_rows(ours, peer, length, None, options.repeats):
            print("| " + " | ".join(row.cells()) + " |", flush=True)


if __name__ == "__main__":
    main()
