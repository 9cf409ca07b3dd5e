"""Products of a 4-bit matrix with some rows, each way that a GPU has of them, in microseconds.

    python scripts/bench_products.py [--shape 2b] [--rows 1 2 4 8 16 32 64 128] [--only NAME ...]

The matrices are a model's own; of each there are so many copies that none is still in the device's cache when its turn comes.
"dense" makes the matrix dense first, as a long chunk does; "step" is our product of one row. What Python spends on a launch is
in the figures.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import mlx.core as mx

from rgmlx.griffin.config import PRESETS, ModelConfig
from rgmlx.kernels import dequantize, quantized_step

CACHE = 200 * 2**20  # bytes, beyond any device's
Matrix = tuple[mx.array, mx.array, mx.array]


def matrices(config: ModelConfig) -> dict[str, tuple[int, int, bool]]:
    """Inputs, outputs, and whether they are the halves of a gelu product."""
    d, w, mlp = config.hidden_size, config.lru_width, config.mlp_width
    queries = (config.num_attention_heads + 2 * config.num_key_value_heads) * config.head_dim
    return {
        "linear_x | linear_y": (d, 2 * w, False),
        "linear_out": (w, d, False),
        "q | k | v": (d, queries, False),
        "gate | up, gelu": (d, 2 * mlp, True),
        "down": (mlp, d, False),
        "head": (d, config.vocab_size, False),
    }


def microseconds(product: Callable[[mx.array, Matrix], mx.array], x: mx.array, copies: list[Matrix]) -> float:
    """Of one product, the median of rounds over all copies."""
    times = []
    for _ in range(6):
        mx.synchronize()
        start = time.perf_counter()
        mx.eval([product(x, matrix) for matrix in copies])
        mx.synchronize()
        times.append((time.perf_counter() - start) / len(copies))
    return statistics.median(times[1:]) * 1e6


def ways(gelu: bool, rows: int) -> dict[str, Callable[[mx.array, Matrix], mx.array]]:
    """What can be compared for so many rows."""
    found: dict[str, Callable[[mx.array, Matrix], mx.array]] = {
        "MLX": lambda x, m: mx.quantized_matmul(x, *m, transpose=True, group_size=64, bits=4),
        "dense": lambda x, m: x @ dequantize(*m).T,
    }
    if rows == 1:
        found["step"] = lambda x, m: quantized_step(x, *m, gelu=gelu)
    return found


def main() -> None:
    p = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    p.add_argument("--shape", choices=list(PRESETS), default="2b")
    p.add_argument("--rows", type=int, nargs="+", default=[1, 2, 4, 8, 16, 24, 32, 48, 64, 128])
    p.add_argument("--only", nargs="*", help="matrices whose names begin so")
    options = p.parse_args()
    for name, (size, out, gelu) in matrices(PRESETS[options.shape]).items():
        if options.only and not name.startswith(tuple(options.only)):
            continue
        bytes_each = size * out * 9 // 16
        copies = []
        for _ in range(max(2, min(64, -(-CACHE // bytes_each)))):
            matrix = mx.quantize((mx.random.normal((out, size)) * size**-0.5).astype(mx.bfloat16), 64, 4)
            mx.eval(matrix)
            copies.append(matrix)
        print(f"\n{name}: {size:,} x {out:,}, {bytes_each / 1e6:.1f} MB", flush=True)
        for rows in options.rows:
            x = mx.random.normal((1, rows, size)).astype(mx.bfloat16)
            mx.eval(x)
            times = {way: microseconds(product, x, copies) for way, product in ways(gelu, rows).items()}
            print(f"{rows:4} rows  " + "  ".join(f"{way} {each:8.1f}" for way, each in times.items()), flush=True)


if __name__ == "__main__":
    main()
