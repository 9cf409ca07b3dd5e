"""Weights of layers as dense float32 NumPy arrays, some rows at a time. Parameters in 16 bits are widened first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

NATIVE_ROWS = 8
"""Of x: up to here MLX's quantized product is as fast as making the matrix dense."""
_PIECE = 2**21  # numbers of a matrix that is made dense at a time


def settings(layer: nn.Module) -> dict[str, Any]:
    """How a quantized layer's weight is packed."""
    return {k: getattr(layer, k) for k in ("group_size", "bits", "mode")}


def inputs(layer: nn.Module) -> int:
    """What a layer's weight [out, in] has as `in`."""
    return int(layer["scales"].shape[1] * layer.group_size if "scales" in layer else layer["weight"].shape[1])


def pieces(layer: nn.Module) -> Iterator[np.ndarray]:
    """The rows of a layer's weight [out, in] in order, some [n, in] at a time; of one that is dense all."""
    if "scales" not in layer:
        yield np.array(layer["weight"].astype(mx.float32), copy=False)
        return
    weight, scales, biases = layer["weight"], layer["scales"], layer.get("biases")
    outs = weight.shape[0]
    step = max(1, _PIECE // inputs(layer))
    for start in range(0, outs, step):
        rows = slice(start, start + step)
        b = None if biases is None else biases[rows].astype(mx.float32)
        s = scales[rows] if scales.dtype == mx.uint8 else scales[rows].astype(mx.float32)
        piece = mx.dequantize(weight[rows], s, b, **settings(layer), dtype=mx.float32)
        yield np.array(piece, copy=False)
