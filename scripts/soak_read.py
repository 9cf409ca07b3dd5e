"""Reads a long text with `rgmlx read`, killed (-9) in the middle if asked: is memory flat, and the state that of one reading?

    python scripts/soak_read.py [--tokens 5000000] [--model tiny|demo] [--kill] [--once]

The text is a log that is made up, in a file that the command reads as its input. At each tenth: how long it took, the
memory of the process, and the bytes on the disk. Then another process reads the same without a stop, and the two states are
compared byte for byte. `tiny` is a random model of 0.3 million parameters: with it, what is measured is the reader.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(1, str(Path(__file__).parent.parent))
    sys.path.insert(2, str(Path(__file__).parent.parent / "tests"))

from readings import write_model

from rgmlx.errors import RgmlxError
from rgmlx.reading.files import ReadingFiles, Summary
from rgmlx.system.files import load_arrays
from rgmlx.system.reading import parse_json
from rgmlx.weights.hub import demo_directory

ROOT = Path(__file__).parent.parent
WORDS = [
    "disk",
    "cache",
    "user",
    "page",
    "router",
    "login",
    "index",
    "backup",
    "mail",
    "garden",
    "queue",
    "river",
    "timer",
    "report",
    "parser",
    "worker",
]
STATES = ["started", "stopped", "ready", "slow", "full", "empty", "missing", "lost"]


def log(seed: int = 0) -> Iterator[str]:
    """Lines of a log without an end."""
    chance, second = random.Random(seed), 0
    while True:
        second += chance.randint(0, 9)
        day, hour, minute = second // 86_400, second // 3_600 % 24, second // 60 % 60
        when = f"{day:04}T{hour:02}:{minute:02}:{second % 60:02}"
        what = f"{chance.choice(WORDS)} {chance.choice(WORDS)} {chance.choice(STATES)}"
        yield f"{when} {chance.choice(('INFO', 'INFO', 'INFO', 'WARN', 'ERROR'))} {what}, took {chance.randint(1, 999)} ms\n"


def write_log(path: Path, model: Path, tokens: int) -> None:
    """A file with about so many tokens."""
    from rgmlx.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_directory(model)
    assert tokenizer is not None
    with path.open("w") as file:
        lines = log()
        while tokens > 0:
            part = "".join(next(lines) for _ in range(1_000))
            file.write(part)
            tokens -= len(tokenizer.encode(part))


def rss(process: subprocess.Popen[bytes]) -> float:
    """Megabytes of a process's memory, as `ps` has them."""
    done = subprocess.run(["ps", "-o", "rss=", "-p", str(process.pid)], capture_output=True, text=True)
    return int(done.stdout or 0) / 1024


class Run:
    """One reading, maybe of several processes."""

    def __init__(self, data: Path, model: Path, given: Path) -> None:
        self._environment = {**os.environ, "XDG_DATA_HOME": str(data), "HOME": str(data)}
        self._model, self._given = model, given
        self.files = ReadingFiles("soak", next_directory(data))
        self.done = ""

    def begin(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "rgmlx", "read", "--session", "soak", "--stats", "--model", str(self._model)]
        with self._given.open("rb") as given:
            return subprocess.Popen(command, stdin=given, stderr=subprocess.PIPE, cwd=ROOT, env=self._environment)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        self.done = process.stderr.read().decode()
        if process.wait():
            raise SystemExit(f"it ended with {process.returncode}: {self.done}")

    @property
    def tokens(self) -> int:
        """As far as it was saved."""
        summary = self._summary()
        return 0 if summary is None else summary.tokens

    def _summary(self) -> Summary | None:
        try:
            return self.files.summary() if self.files.exist else None
        except RgmlxError:
            return None


def next_directory(data: Path) -> Path:
    """Where the command keeps its readings, with that directory as home."""
    if sys.platform == "darwin":
        return data / "Library" / "Application Support" / "rgmlx" / "rgchat" / "reading"
    return data / "rgmlx" / "rgchat" / "reading"


def table(run: Run, tokens: int, kill_at: int | None) -> None:
    """Reads all, with a row at each tenth."""
    print("| tokens | tokens/s | process MB | disk kB |\n| ---: | ---: | ---: | ---: |", flush=True)
    process, row, begun, before = run.begin(), 1, time.monotonic(), 0
    while process.poll() is None:
        position = run.tokens
        if position >= row * tokens // 10:
            now = time.monotonic()
            rate = (position - before) / (now - begun)
            print(f"| {position:,} | {rate:,.0f} | {rss(process):.1f} | {run.files.size / 1e3:,.0f} |", flush=True)
            row, begun, before = position * 10 // tokens + 1, now, position
        if kill_at is not None and position >= kill_at:
            kill_at = None
            process.send_signal(signal.SIGKILL)
            process.wait()
            print(f"| {run.tokens:,} | killed | | |", flush=True)
            process = run.begin()
        time.sleep(0.05)
    run.end(process)


def state(run: Run) -> tuple[dict[str, bytes], dict[str, object]]:
    """All tensors, and what belongs to them, but for the time and the mark of the write."""
    arrays, metadata = load_arrays(run.files.path / "state.rgstate", RgmlxError)
    record = parse_json(metadata["extra"])["reading"]
    import mlx.core as mx
    import numpy as np

    tensors = {k: np.array(v.reshape(-1).view(mx.uint8)).tobytes() for k, v in arrays.items()}
    rest = {k: v for k, v in record.items() if k not in ("saved", "of")}
    return tensors, {**rest, "states": metadata["states"]}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tokens", type=int, default=5_000_000)
    p.add_argument("--model", choices=["tiny", "demo"], default="tiny")
    p.add_argument("--kill", action="store_true", help="kill the process (-9) after half of the tokens, and go on")
    p.add_argument("--once", action="store_true", help="don't read a second time to compare")
    options = p.parse_args()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        model = write_model(place / "model") if options.model == "tiny" else demo_directory()
        write_log(place / "app.log", model, options.tokens)
        print(f"{options.model}, {(place / 'app.log').stat().st_size / 1e6:.1f} MB of text")
        run = Run(place / "one", model, place / "app.log")
        table(run, options.tokens, options.tokens // 2 if options.kill else None)
        print(run.done)
        if options.once:
            return
        other = Run(place / "other", model, place / "app.log")
        other.end(other.begin())
        (tensors, record), (others, record_of_other) = state(run), state(other)
        size = sum(map(len, tensors.values()))
        print(
            f"{len(tensors)} tensors, {size:,} bytes: {'equal' if tensors == others else 'DIFFERENT'} to one reading;",
            end=" ",
        )
        print(f"place: {'equal' if record == record_of_other else 'DIFFERENT'}")
        if tensors != others or record != record_of_other:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
