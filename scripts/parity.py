"""Every kernel beside plain operations on this machine's GPU, as a table for the docs or under a sanitizer.

    python scripts/parity.py                                      # small shapes, all dtypes
    python scripts/parity.py --shape 2b --dtype bfloat16 float32  # a published model's sizes, 300 steps
    compute-sanitizer --tool racecheck python scripts/parity.py --dtype bfloat16    # NVIDIA

`rgmlx doctor` runs the same cases for users. Exits with 1 if a kernel is wrong.
"""

from __future__ import annotations

import argparse
import sys

import mlx.core as mx

from rgmlx.griffin.config import PRESETS
from rgmlx.kernels import launch
from rgmlx.verification import parity, selfcheck
from rgmlx.verification.parity import Shape

SMALL = [Shape(2, 33, 2, 24, kv_heads=2), Shape(1, 300, 1, 40, heads=2, size=64, ring=70)]


def main() -> None:
    p = argparse.ArgumentParser(description="Every kernel beside plain operations on this machine's GPU.")
    p.add_argument("--shape", choices=["small", *PRESETS], default="small")
    p.add_argument("--dtype", nargs="*", choices=["float32", "bfloat16", "float16"], default=["float32", "bfloat16"])
    options = p.parse_args()
    if launch.backend() is None:
        sys.exit("there is no GPU here, or RGMLX_KERNELS=off: nothing to compare")
    shapes = SMALL if options.shape == "small" else [parity.shape_of(PRESETS[options.shape], 300)]
    wrong = 0
    print("| kernel | dtype | shape | relative error | allowed | |\n| --- | --- | --- | ---: | ---: | --- |")
    for name in options.dtype:
        for shape in shapes:
            for case in selfcheck.cases_here(shape, getattr(mx, name)):
                error = case.error()
                wrong += not error <= case.tolerance
                verdict = "ok" if error <= case.tolerance else "WRONG"
                print(
                    f"| {case.kernel} | {name} | {shape} | {error:.1e} | {case.tolerance:.1e} | {verdict} |", flush=True
                )
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
