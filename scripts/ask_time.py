"""Where the time of `rgmlx ask "hi" --max-tokens 1` goes, in fresh processes (medians): what a resident program would save.

python scripts/ask_time.py [--model NAME] [--repeats 7]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

STAGES = """
import time
at = [time.perf_counter()]
from rgmlx.cli import parser
parser(); at.append(time.perf_counter())
import mlx.core; at.append(time.perf_counter())
import rgmlx.model; at.append(time.perf_counter())
model = rgmlx.model.load({model!r}); at.append(time.perf_counter())
from rgmlx.conversation.chat import Chat
chat = model.chat(); at.append(time.perf_counter())
list(chat.send("hi", max_tokens=1)); at.append(time.perf_counter())
list(chat.send("hi", max_tokens=1)); at.append(time.perf_counter())
import json; print(json.dumps([b - a for a, b in zip(at, at[1:])]))
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


def stages(model: str) -> list[float]:
    """Seconds of each stage, in a process of its own."""
    out = subprocess.run(
        [sys.executable, "-c", STAGES.format(model=model)], capture_output=True, text=True, check=True
    ).stdout
    return [float(value) for value in json.loads(out.splitlines()[-1])]


def whole(*arguments: str) -> float:
    """Seconds of a process, from its begin to its end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return time.perf_counter() - begun


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", default="demo", metavar="NAME")
    p.add_argument("--repeats", type=int, default=7, metavar="N")
    options = p.parse_args()
    rounds = range(options.repeats)
    ask = ("-m", "rgmlx", "ask", "hi", "--max-tokens", "1", "--model", options.model)
    rows = [("Python itself", statistics.median(whole("-c", "pass") for _ in rounds))]
    found = [stages(options.model) for _ in rounds]
    rows += [(name, statistics.median(column)) for name, column in zip(NAMES, zip(*found, strict=True), strict=True)]
    rows.append(("rgmlx ask, the whole process", statistics.median(whole(*ask) for _ in rounds)))
    rows.append(("rgmlx --help", statistics.median(whole("-m", "rgmlx", "--help") for _ in rounds)))
    with tempfile.TemporaryDirectory() as place:
        named = (*ask, "--data", place, "--session", "a")
        rows.append(("rgmlx ask --session, first call", whole(*named)))
        rows.append(("rgmlx ask --session, later calls", statistics.median(whole(*named) for _ in rounds)))
        names = ("-m", "rgmlx", "sessions", "list", "--names", "--data", place)
        rows.append(("names for completion", statistics.median(whole(*names) for _ in rounds)))
    for name, seconds in rows:
        print(f"{name:45} {seconds:7.3f} s")


if __name__ == "__main__":
    main()
