"""Lets the real chat screen draw many tokens, and prints what it costs: memory, widgets, answer of keys, processor.

The model is scripted: short replies of prose, lists, tables and code at a pace, then one reply that does not end. The
screen is Textual's own headless one. Times are this machine's at this hour; memory and widgets should hold anywhere.

    python scripts/soak_tui.py --tokens 20000
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rgmlx.chat import MODEL, USER, Turn
from tui.app import ChatApp
from tui.session import Gauges, Session
from tui.widgets import Prompt

EVERY = 2_000
WORDS = [
    "the",
    "river",
    "carries",
    "what",
    "a",
    "patient",
    "small",
    "machine",
    "remembers",
    "of",
    "every",
    "long",
    "and",
    "**quiet**",
    "afternoon,",
    "`x`",
    "or",
]


def tokens(seed: int) -> Iterator[str]:
    """An endless reply of mixed Markdown, a word at a time."""
    rng = random.Random(seed)

    def words(low: int, high: int) -> Iterator[str]:
        for _ in range(rng.randint(low, high)):
            yield rng.choice(WORDS) + " "

    while True:
        kind = rng.random()
        if kind < 0.5:
            yield from words(30, 120)
        elif kind < 0.7:
            for i in range(rng.randint(3, 12)):
                yield f"\n{i + 1}. " if kind < 0.6 else "\n- "
                yield from words(3, 15)
        elif kind < 0.75:
            yield "\n| one | two |\n|---|---|\n"
            for _ in range(rng.randint(2, 8)):
                yield "| a cell "
                yield "| another |\n"
        elif kind < 0.95:
            yield "```python\n"
            for i in range(rng.randint(3, 80)):
                yield f"def f{i}(x): "
                yield f"return x * {i}  # of {i}\n"
            yield "```\n"
        else:
            yield "## "
            yield from words(2, 5)
        yield "\n\n"


class Scripted(Session):
    """A session with no model: `rate` tokens a second, the first half in replies of 300, the rest in one."""

    def __init__(self, data: Path, total: int, rate: float) -> None:
        super().__init__("scripted", data)
        self.made, self._total, self._rate, self._stopped = 0, total, rate, False
        self._turns: list[Turn] = []

    @property
    def ready(self) -> bool:
        return True

    @property
    def turns(self) -> tuple[Turn, ...]:
        return tuple(self._turns)

    @property
    def gauges(self) -> Gauges | None:
        return Gauges(600_000, self.made, 0)

    def load(self) -> None:
        self._turns = [Turn(USER if i % 2 == 0 else MODEL, f"earlier message {i}") for i in range(200)]

    def stop(self) -> None:
        self._stopped = True

    def send(self, text: str) -> Iterator[str]:
        self._turns.append(Turn(USER, text))
        last = self.made >= self._total // 2
        text, due = "", time.monotonic()
        for count, token in enumerate(tokens(self.made), 1):
            if self._stopped or self.made >= self._total or (count > 300 and not last):
                break
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))
            self.made += 1
            text += token
            yield token
        self._turns.append(Turn(MODEL, text[-1_000_000:]))


def resident() -> float:
    """Megabytes of this process in memory, now; its highest where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


async def press(app: ChatApp, prompt: Prompt, key: str) -> float:
    """Milliseconds until a key has reached the prompt and the screen has been drawn."""
    before, begun, drawn = prompt.text, time.perf_counter(), asyncio.Event()
    app.simulate_key(key)
    while prompt.text == before:
        await asyncio.sleep(0)
    app.call_after_refresh(drawn.set)
    await drawn.wait()
    return 1000 * (time.perf_counter() - begun)


async def soak(total: int, rate: float, size: tuple[int, int]) -> None:
    with tempfile.TemporaryDirectory() as data:
        session = Scripted(Path(data), total, rate)
        app = ChatApp(session)
        marks: list[tuple[int, float]] = []
        async with app.run_test(size=size):
            while app._busy:
                await asyncio.sleep(0.05)
            prompt = app.query_one(Prompt)
            print(f"{'tokens':>8} {'RSS MB':>8} {'widgets':>8} {'parts':>6} {'key ms':>7} {'worst':>7} {'CPU s/1k':>9}")
            seen, cpu, keys = 0, time.process_time(), list[float]()
            while session.made < total:
                if not app._busy:
                    app.post_message(Prompt.Submitted("go on"))
                    await asyncio.sleep(0.05)
                keys.append(await press(app, prompt, "x"))
                if len(keys) % 20 == 0:
                    prompt.load_text("")
                await asyncio.sleep(0.1)
                if session.made - seen >= EVERY or session.made >= total:
                    gc.collect()
                    used = (time.process_time() - cpu) / max(session.made - seen, 1) * 1000
                    widgets, parts = len(app.screen.query("*")), len(app.transcript.children)
                    marks.append((session.made, resident()))
                    print(
                        f"{session.made:8,} {marks[-1][1]:8.1f} {widgets:8,} {parts:6} {statistics.median(keys):7.1f} "
                        f"{max(keys):7.1f} {used:9.2f}",
                        flush=True,
                    )
                    seen, cpu, keys = session.made, time.process_time(), []
            while app._busy:
                await asyncio.sleep(0.05)
        start = min(20_000, total // 10) if total > 20_000 else total // 10
        first = next(mark for mark in marks if mark[0] >= start)
        grown, drawn = marks[-1][1] - first[1], marks[-1][0] - first[0]
        if drawn:
            print(
                f"from token {first[0]:,} on: {grown:+.1f} MB in {drawn:,} tokens, {grown / drawn * 20_000:+.1f} MB per 20,000"
            )


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    p.add_argument("--tokens", type=int, default=20_000)
    p.add_argument("--rate", type=float, default=400, help="tokens a second")
    p.add_argument("--size", default="100x30", help="columns x rows of the screen")
    options = p.parse_args()
    columns, rows = map(int, options.size.split("x"))
    asyncio.run(soak(options.tokens, options.rate, (columns, rows)))


if __name__ == "__main__":
    main()
