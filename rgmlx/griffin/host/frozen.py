"""Products with weights that are not trained, in NumPy, with their derivative: most of what adapters are trained through.

For CPUs without a fast matrix product in MLX, where these take thirty times as long in MLX. No copy of a weight stays.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ...system import threads
from .pieces import NATIVE_ROWS, pieces


def is_frozen(layer: nn.Module) -> bool:
    """Whether nobody asks for the derivative of a layer's weight."""
    return "weight" in layer._no_grad


def product(x: mx.array, layer: nn.Module) -> mx.array | None:
    """x [..., in] times the weight [out, in] of a layer, float32 and without bias.

    Returns:
        None where MLX has to do it: x is not float32 or has no values yet (inside `mx.compile`), or does it as fast.
    """
    if x.dtype != mx.float32 or ("scales" in layer and x.size <= NATIVE_ROWS * x.shape[-1]):
        return None
    try:
        mx.eval(x)
    except (ValueError, RuntimeError):
        return None

    @mx.custom_function
    def times(x: mx.array) -> mx.array:
        rows = _rows(x)
        with threads.limited():
            return mx.array(
                np.concatenate([rows @ part.T for part in pieces(layer)], axis=1).reshape(*x.shape[:-1], -1)
            )

    @times.vjp
    def _(x: mx.array, cotangent: mx.array, _: Any) -> mx.array:
        rows, start = _rows(cotangent), 0
        out = np.zeros((len(rows), x.shape[-1]), np.float32)
        with threads.limited():
            for part in pieces(layer):
                out += rows[:, start : start + len(part)] @ part
                start += len(part)
        return mx.array(out.reshape(x.shape))

    result: Any = times(x)
    return result


def _rows(x: mx.array) -> np.ndarray:
    return np.array(x, copy=False).reshape(-1, x.shape[-1])
