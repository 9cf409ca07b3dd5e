"""`Model.batch` beside `Model.generate` one by one, on the same prompts in one run.

    python scripts/bench_batch.py                          # the embedded model
    python scripts/bench_batch.py --rows 4 16 --tokens 32 --model PATH

Runs alternate between the two, and medians count, so that a busy machine slows both alike; processor time is shown beside the
clock's, as it does not count what others take. "Unequal" prompts have one long one among short ones. Every answer of a batch is
compared with that of the prompt alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import mlx.core as mx

import rgmlx

SHORT = (
    "Tell me a story about a fox.",
    "What is the capital of France?",
    "Who are you?",
    "Tell me a joke about a bear and a river.",
)
LONG = "The fox met a bear near the old river and shared some honey. " * 40
SETTINGS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "drawn": {"temperature": 0.8, "top_p": 0.9, "seed": 1},
}


def prompts(rows: int, unequal: bool) -> list[str]:
    """So many prompts; with `unequal`, a long one first."""
    found = [f"{SHORT[n % len(SHORT)]} ({n})" for n in range(rows)]
    return [LONG, *found[1:]] if unequal else found


def seconds(action: Callable[[], list[str]]) -> tuple[tuple[float, float], list[str]]:
    """How long something takes, by the clock and of the processor; and what it returns."""
    mx.synchronize()
    clock, processor = time.perf_counter(), time.process_time()
    found = action()
    return (time.perf_counter() - clock, time.process_time() - processor), found


def compare(model: rgmlx.Model, rows: int, unequal: bool, options: dict[str, Any], repeats: int) -> tuple[str, bool]:
    """A line of the table, and whether all answers are the same."""
    texts = prompts(rows, unequal)

    def together() -> list[str]:
        return model.batch(texts, **options)

    def alone() -> list[str]:
        return [model.generate(text, **options) for text in texts]

    together(), alone()  # compiles
    times: list[tuple[float, ...]] = []
    same = True
    for _ in range(repeats):
        (one, found), (other, wanted) = seconds(together), seconds(alone)
        times.append((*one, *other))
        same &= found == wanted
    clock, processor, clock_alone, alone_processor = (statistics.median(column) for column in zip(*times, strict=True))
    cells = f"{clock:8.2f} s {clock_alone:8.2f} s {clock_alone / clock:8.2f}x {alone_processor / processor:8.2f}x"
    return f"{cells}   {'same' if same else 'DIFFERENT'}", same


def main() -> int:
    """Prints the table; 1 where an answer of a batch is another."""
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--model", default="demo")
    p.add_argument("--rows", type=int, nargs="+", default=[1, 4, 16])
    p.add_argument("--tokens", type=int, default=32, help="of each answer, at most")
    p.add_argument("--repeats", type=int, default=3)
    options = p.parse_args()
    model = rgmlx.load(options.model)
    print(
        f"{'rows':>4} {'prompts':8} {'settings':8} {'batch':>10} {'alone':>10} {'ratio':>9} {'processor':>9}   answers"
    )
    all_same = True
    for rows in options.rows:
        for unequal in (False, True) if rows > 1 else (False,):
            for name, settings in SETTINGS.items():
                line, same = compare(model, rows, unequal, {"max_tokens": options.tokens, **settings}, options.repeats)
                print(f"{rows:4} {'unequal' if unequal else 'equal':8} {name:8} {line}", flush=True)
                all_same &= same
    return int(not all_same)


if __name__ == "__main__":
    raise SystemExit(main())
