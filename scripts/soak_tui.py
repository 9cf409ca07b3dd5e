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
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rgmlx.conversation.metrics import resident_bytes
from rgmlx.conversation.session import Session
from rgmlx.store import Message, Store
from tui.app import ChatApp
from tui.prompt.prompt import Prompt

FLUSH_SECONDS = 0.5

EVERY = 2_000
TEXT = "the river carries what a patient small machine remembers of every long and **quiet** afternoon, `x` or"
WORDS = TEXT.split()


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
    """A session with no model: `rate` tokens a second, the first half in replies of 300, the rest in one.

    What it writes goes to the disk as a model's does, twice a second.
    """

    def __init__(self, store: Store, total: int, rate: float) -> None:
        super().__init__(store, "scripted")
        self._total, self._rate, self._loaded = total, rate, False
        for i in range(0, 200, 2):
            self.add_user_message(f"earlier message {i}")
            self._finish(self._open(), f"earlier message {i + 1}", True)

    def load(self, name: str | None = None, progress: object = None) -> None:
        self._loaded = True
        self.metrics.state_bytes = 600_000

    @property
    def ready(self) -> bool:
        return self._loaded

    @property
    def in_sync(self) -> bool:
        return True

    def sync(self) -> int:
        return 0

    def horizon(self) -> None:
        return None

    def generate_reply(self, *, endless: bool = False) -> Iterator[str]:
        self._cancel.clear()
        message, text, flushed, due = self._open(), list[str](), time.monotonic(), time.monotonic()
        last = self.metrics.position >= self._total // 2
        for count, token in enumerate(tokens(self.metrics.position), 1):
            if self._cancel.is_set() or self.metrics.position >= self._total or (count > 300 and not last):
                break
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))
            self.metrics.position += 1
            text.append(token)
            yield token
            if time.monotonic() - flushed > FLUSH_SECONDS:
                self.store.messages.append(message.id, "".join(text))
                text, flushed = [], time.monotonic()
        self._finish(message, "".join(text), True)

    def _open(self) -> Message:
        assert self.conversation is not None and self.head is not None
        return self.store.messages.start_reply(self.conversation.id, self.head.id)

    def _finish(self, message: Message, text: str, closed: bool) -> None:
        self.store.messages.append(message.id, text)
        self.head = self.store.messages.finish(message.id, closed=closed)


class Endless(Session):
    """A real model that does not end its reply."""

    def generate_reply(self, *, endless: bool = False) -> Iterator[str]:
        return super().generate_reply(endless=True)


async def press(app: ChatApp, prompt: Prompt, key: str) -> float:
    """Milliseconds until a key has reached the prompt and the screen has been drawn."""
    before, begun, drawn = prompt.text, time.perf_counter(), asyncio.Event()
    app.simulate_key(key)
    while prompt.text == before:
        await asyncio.sleep(0)
    app.call_after_refresh(drawn.set)
    await drawn.wait()
    return 1000 * (time.perf_counter() - begun)


@dataclass
class Mark:
    """What was measured up to a token: of the tokens since the mark before."""

    token: int
    memory: float  # MB
    widgets: int
    parts: int
    key: float  # milliseconds, the median
    worst: float
    cpu: float  # seconds for a thousand tokens


async def soak(session: Session, total: int, size: tuple[int, int], message: str) -> list[Mark]:
    """Has `total` tokens written on the real screen, typing all the while."""
    app, marks = ChatApp(session), list[Mark]()
    every = min(EVERY, max(total // 10, 200))
    async with app.run_test(size=size):
        while app.busy or not session.ready:
            await asyncio.sleep(0.05)
        prompt = app.query_one(Prompt)
        print(f"{'tokens':>8} {'RSS MB':>8} {'widgets':>8} {'parts':>6} {'key ms':>7} {'worst':>7} {'CPU s/1k':>9}")
        seen, cpu, keys, begun = 0, time.process_time(), list[float](), session.metrics.position
        while (made := session.metrics.position - begun) < total:
            if not app.busy:
                app.post_message(Prompt.Submitted(message))
                await asyncio.sleep(0.05)
            keys.append(await press(app, prompt, "x"))
            if len(keys) % 20 == 0:
                prompt.load_text("")
            await asyncio.sleep(0.1)
            if made - seen >= every:
                gc.collect()
                used = (time.process_time() - cpu) / (made - seen) * 1000
                widgets, parts = len(app.screen.query("*")), len(app.transcript.children)
                key, worst = statistics.median(keys), max(keys)
                marks.append(Mark(made, resident_bytes() / 1e6, widgets, parts, key, worst, used))
                m = marks[-1]
                print(
                    f"{m.token:8,} {m.memory:8.1f} {m.widgets:8,} {m.parts:6} {m.key:7.1f} {m.worst:7.1f} {m.cpu:9.2f}",
                    flush=True,
                )
                seen, cpu, keys = made, time.process_time(), []
        session.stop()
        while app.busy:
            await asyncio.sleep(0.05)
    return marks


def summary(marks: list[Mark], start: int) -> str:
    """How memory, keys and processor time went from a token on."""
    rest = [m for m in marks if m.token >= start]
    half = len(rest) // 2
    early, late = rest[:half], rest[half:]

    def change(what: str) -> str:
        before, after = (statistics.median(getattr(m, what) for m in part) for part in (early, late))
        return f"{before:.2f} to {after:.2f}"

    return (
        f"from token {rest[0].token:,} to {rest[-1].token:,}: memory {rest[-1].memory - rest[0].memory:+.1f} MB; medians of "
        f"the first and the second half: key {change('key')} ms, processor {change('cpu')} s a thousand tokens"
    )


def plot(marks: list[Mark], path: Path, title: str) -> None:
    """Memory, key latency and processor time along the tokens, as an SVG."""
    width, height, left = 640, 110, 60
    rows = (("memory", "process, MB"), ("key", "key, ms (median)"), ("cpu", "CPU s / 1,000 tokens"))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + left + 20}" height="{3 * (height + 30) + 50}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{left}" y="20" font-size="14">{title}</text>',
    ]
    last = marks[-1].token
    for row, (what, label) in enumerate(rows):
        top = 40 + row * (height + 30)
        values = [getattr(m, what) for m in marks]
        most = 1.15 * max(values)
        points = " ".join(
            f"{left + width * m.token / last:.1f},{top + height - height * v / most:.1f}"
            for m, v in zip(marks, values, strict=True)
        )
        out += [
            f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#999"/>',
            f'<text x="{left + 6}" y="{top + 16}" fill="#444">{label}</text>',
            f'<text x="{left - 6}" y="{top + 10}" text-anchor="end">{most:.0f}</text>',
            f'<text x="{left - 6}" y="{top + height}" text-anchor="end">0</text>',
            f'<polyline points="{points}" fill="none" stroke="#0a58ca" stroke-width="1.5"/>',
        ]
    out += [f'<text x="{left + width}" y="{3 * (height + 30) + 36}" text-anchor="end">{last:,} tokens</text>', "</svg>"]
    path.write_text("\n".join(out) + "\n")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    p.add_argument("--tokens", type=int, default=20_000)
    p.add_argument("--model", help="a real one, such as demo, whose endless reply is drawn (default: a scripted one)")
    p.add_argument("--rate", type=float, default=400, help="tokens a second of the scripted one")
    p.add_argument("--from", type=int, dest="start", help="look at what comes from this token on (default: a tenth)")
    p.add_argument("--size", default="100x30", help="columns x rows of the screen")
    p.add_argument("--plot", type=Path, help="write an SVG here")
    options = p.parse_args()
    columns, rows = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as data, Store(data) as store:
        session: Session = (
            Endless(store, options.model) if options.model else Scripted(store, options.tokens, options.rate)
        )
        marks = asyncio.run(soak(session, options.tokens, (columns, rows), "Tell me a story about a fox"))
        print(summary(marks, options.start or options.tokens // 10))
        if options.plot:
            plot(marks, options.plot, f"{options.tokens:,} tokens, {options.model or 'scripted'}")


if __name__ == "__main__":
    main()
