"""Is this machine's MLX device right? Logits beside float64, in every way of running the network.

    python scripts/check_device.py [GOLDEN_DIRECTORY ...]

The one command to run on a Mac (or any new device): it exits with 1 if a figure is out of bounds.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import numpy as np

import rgmlx
from rgmlx.engine import Generation
from rgmlx.sampling import Sampling

# Largest relative error. Float32 products may run in TF32 on some GPUs (MLX_ENABLE_TF32=0 switches that off).
BOUNDS = {"float32": 2e-6, "bfloat16": 0.03}


def main() -> None:
    p = argparse.ArgumentParser(description="Logits on this machine's MLX device beside float64 references.")
    p.add_argument("golden", nargs="*", type=Path, help="directories of references (default: tests/goldens)")
    goldens = p.parse_args().golden or sorted((Path(__file__).parent.parent / "tests" / "goldens").iterdir())
    print(f"mlx {version('mlx')}, {mx.default_device()}, {json.dumps(mx.device_info(), default=str)}")
    bad = 0
    for golden in goldens:
        reference = np.load(golden / "logits.npz")
        tokens = reference["tokens"]
        want = reference["oracle" if "oracle" in reference else "oracle_window_plus_1"].astype(np.float64)
        for dtype, bound in BOUNDS.items():
            model = rgmlx.load(golden, dtype=dtype)
            for size in (tokens.shape[1], 24, 1):
                state, parts = model.new_state(len(tokens)), []
                for start in range(0, tokens.shape[1], size):
                    parts.append(np.array(model.logits(tokens[:, start : start + size], state)))
                error = float(np.abs(np.concatenate(parts, axis=1) - want).max() / np.abs(want).max())
                verdict = "ok" if error <= bound else "OUT OF BOUNDS"
                bad += error > bound
                print(f"{golden.name:8} {dtype:9} {size:4} tokens a call   relative error {error:.1e}   {verdict}")
    model = rgmlx.load()
    ids = [2, *model.text_tokenizer().encode("Once upon a time")]
    runs = [list(Generation(model, model.new_state(), ids, sampling=Sampling(seed=3), max_tokens=50)) for _ in (1, 2)]
    same = runs[0] == runs[1]
    bad += not same
    print(f"demo     {model.compute_dtype}: {model.text_tokenizer().decode(runs[0])!r}; repeatable: {same}")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
