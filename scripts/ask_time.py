"""Where the time of `rgmlx ask "hi" --max-tokens 1` goes, in fresh processes (medians): what a resident program would save.

python scripts/ask_time.py [--model NAME] [--repeats 7]

Seconds by the clock, and of processors: on a machine that does other things as well, the second are what counts.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable

STAGES = """
import time
at = []
def note(): at.append((time.perf_counter(), time.process_time()))
note()
from rgmlx.cli import parser
parser(); note()
import mlx.core; note()
import rgmlx.model; note()
model = rgmlx.model.load({model!r}); note()
from rgmlx.conversation.chat import Chat
chat = model.chat(); note()
list(chat.send("hi", max_tokens=1)); note()
list(chat.send("hi", max_tokens=1)); note()
import json; print(json.dumps([(b[0] - a[0], b[1] - a[1]) for a, b in zip(at, at[1:])]))
"""
NAMES = (
    "the command line, imported and parsed",
    "import of mlx.core",
    "import of the model's classes",
    "load",
    "import of conversations",
    "the first question: read, one token written",
    "another question (not part of a call)",
)


Cost = tuple[float, float]
"""Seconds by the clock, and of processors."""


def stages(model: str) -> list[Cost]:
    """What each stage costs, in a process of its own."""
    out = subprocess.run(
        [sys.executable, "-c", STAGES.format(model=model)], capture_output=True, text=True, check=True
    ).stdout
    return [(clock, processor) for clock, processor in json.loads(out.splitlines()[-1])]


def whole(*arguments: str) -> Cost:
    """What a process costs, from its begin to its end."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - begun, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def median(costs: Iterable[Cost]) -> Cost:
    """The median of each of the two."""
    clock, processor = zip(*costs, strict=True)
    return statistics.median(clock), statistics.median(processor)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", default="demo", metavar="NAME")
    p.add_argument("--repeats", type=int, default=7, metavar="N")
    options = p.parse_args()
    rounds = range(options.repeats)
    ask = ("-m", "rgmlx", "ask", "hi", "--max-tokens", "1", "--model", options.model)
    rows = [("Python itself", median(whole("-c", "pass") for _ in rounds))]
    found = [stages(options.model) for _ in rounds]
    rows += [(name, median(column)) for name, column in zip(NAMES, zip(*found, strict=True), strict=True)]
    rows.append(("rgmlx ask, the whole process", median(whole(*ask) for _ in rounds)))
    rows.append(("rgmlx --help", median(whole("-m", "rgmlx", "--help") for _ in rounds)))
    with tempfile.TemporaryDirectory() as place:
        named = (*ask, "--data", place, "--session", "a")
        rows.append(("rgmlx ask --session, first call", whole(*named)))
        rows.append(("rgmlx ask --session, later calls", median(whole(*named) for _ in rounds)))
        names = ("-m", "rgmlx", "sessions", "list", "--names", "--data", place)
        rows.append(("names for completion", median(whole(*names) for _ in rounds)))
    print(f"{'':45} {'clock':>9} {'processor':>11}")
    for name, (clock, processor) in rows:
        print(f"{name:45} {clock:7.3f} s {processor:9.3f} s")


if __name__ == "__main__":
    main()
