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
_UNEVEN_BITS = (3, 5, 6)
"""Of a number, where MLX's CPU build takes ten times as long as for 4 or 8 of them."""


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
        if b is not None and layer.bits in _UNEVEN_BITS:
            yield _affine(weight[rows], s, b, layer.bits)
        else:
            piece = mx.dequantize(weight[rows], s, b, **settings(layer), dtype=mx.float32)
            yield np.array(piece, copy=False)


def _affine(weight: mx.array, scales: mx.array, biases: mx.array, bits: int) -> np.ndarray:
    """What `mx.dequantize` makes of packed numbers [n, in * bits / 32], scales and biases [n, groups]: [n, in] float32."""
    # 1. eight numbers are in as many bytes as each has bits, the first in the lowest ones
    packed = np.array(weight, copy=False).view(np.uint8).reshape(weight.shape[0], -1, bits)
    words = packed[..., 0].astype(np.uint64)
    for i in range(1, bits):
        words |= packed[..., i].astype(np.uint64) << np.uint64(8 * i)
    numbers = np.empty((*words.shape, 8), np.float32)
    for k in range(8):
        numbers[..., k] = (words >> np.uint64(bits * k)) & np.uint64(2**bits - 1)
    # 2. each group has a scale and a bias
    groups = numbers.reshape(*scales.shape, -1)
    groups *= np.array(scales, copy=False)[..., None]
    groups += np.array(biases, copy=False)[..., None]
    return groups.reshape(weight.shape[0], -1)
