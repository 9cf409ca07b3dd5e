"""A reply of the embedded model for mac_check.sh: its text, tokens a second and memory, with kernels or without.

    python scripts/mac_check_reply.py --tokens 200
    RGMLX_KERNELS=off python scripts/mac_check_reply.py
    python scripts/mac_check_reply.py --selfcheck      # what the first load on a machine checks, whatever is remembered

The same seed each time, so that two texts can be laid side by side: they may part where rounding tips a choice.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import time

import mlx.core as mx

from rgmlx.generation.engine import Generation
from rgmlx.kernels import launch
from rgmlx.model import Model, load
from rgmlx.settings import Sampling
from rgmlx.system.printable import printable
from rgmlx.tokenizer import turn_ids
from rgmlx.verification import selfcheck

QUESTION = "Tell me a long story about a fox and a hen."


def main() -> None:
    """Prints the report; exits with 1 where a kernel is wrong."""
    p = argparse.ArgumentParser(description="A reply of the embedded model: its text, speed and memory.")
    p.add_argument("--tokens", type=int, default=200, metavar="N")
    p.add_argument("--selfcheck", action="store_true", help="the kernels' check of the first load instead")
    options = p.parse_args()
    begun = time.perf_counter()
    model = load()
    print(f"backend {launch.backend()}, {str(model.compute_dtype)[9:]}, loaded in {time.perf_counter() - begun:.2f} s")
    if options.selfcheck:
        begun = time.perf_counter()
        problem = selfcheck.check(model.config, model.compute_dtype)
        print(f"{problem or 'every kernel is right'} ({time.perf_counter() - begun:.2f} s)")
        sys.exit(bool(problem))
    write(model, 8)  # compiles
    mx.reset_peak_memory()
    text, times = write(model, options.tokens)
    speed = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else 0.0
    print(f"{len(times)} tokens: the first after {times[0] * 1e3:.1f} ms, then {speed:.1f} tok/s")
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    print(f"memory: MLX at most {mx.get_peak_memory() / 1e6:.1f} MB, the process {process / 1e6:.1f} MB\n\n{text}")


def write(model: Model, count: int) -> tuple[str, list[float]]:
    """A reply of so many tokens, whatever its end would be, and the seconds after which each was there."""
    tokenizer, sampling = model.text_tokenizer(), Sampling(temperature=0.7, seed=1)
    prompt = turn_ids(tokenizer, QUESTION)
    run = Generation(
        model,
        model.new_state(),
        prompt,
        sampling=sampling,
        max_tokens=count,
        min_tokens=math.inf,
        stop_ids=model.stop_ids,
    )
    ids, times, begun = list[int](), list[float](), time.perf_counter()
    for token in run:
        ids.append(token)
        times.append(time.perf_counter() - begun)
    return printable(tokenizer.decode(ids)), times


if __name__ == "__main__":
    main()
