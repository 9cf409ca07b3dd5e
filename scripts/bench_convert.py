"""Time and peak memory of `rgmlx convert`, beside `mlx_lm.convert` where both are run.

    python scripts/make_synthetic.py 2b /tmp/2b && python scripts/bench_convert.py /tmp/2b --repeats 3
    python scripts/make_synthetic.py 9b /tmp/9b && python scripts/bench_convert.py /tmp/9b --alone

Each conversion is a process of its own, by turns; results are deleted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

OURS = "from rgmlx.cli import main; main()"
PEER = "from mlx_lm.convert import main; main()"


def measure(code: str, arguments: list[str]) -> tuple[float, float]:
    """Seconds, and gigabytes of memory at the most (the process's own, not the file cache)."""
    start = time.perf_counter()
    pid = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-c", code, *arguments])
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"the conversion failed: {' '.join(arguments)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - start, usage.ru_maxrss * unit / 1e9


def main() -> None:
    p = argparse.ArgumentParser(description="Times conversions.")
    p.add_argument("source", type=Path)
    p.add_argument("--alone", action="store_true", help="leave mlx-lm out")
    p.add_argument("--repeats", type=int, default=1)
    options = p.parse_args()
    size = sum(f.stat().st_size for f in options.source.glob("*.safetensors"))
    print(f"{options.source.name}: {size / 1e9:.2f} GB, 4 bits, group size 64")
    print("| | seconds | peak memory |\n| --- | ---: | ---: |")
    figures: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(dir=options.source.parent) as scratch:
        target = f"{scratch}/out"
        for _ in range(options.repeats):
            ours = ["convert", "--model", str(options.source), "--mlx-path", target, "--no-verify"]
            runs = {"rgmlx convert": (OURS, ours)}
            if not options.alone:
                runs["mlx_lm.convert"] = (PEER, ["--hf-path", str(options.source), "--mlx-path", target, "-q"])
            for name, (code, arguments) in runs.items():
                figures.setdefault(name, []).append(measure(code, arguments))
                shutil.rmtree(target)
    for name, seen in figures.items():
        seconds, peak = statistics.median(s for s, _ in seen), max(m for _, m in seen)
        print(f"| {name} | {seconds:.1f} | {peak:.2f} GB |")


if __name__ == "__main__":
    main()
