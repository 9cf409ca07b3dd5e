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


def is_affine(layer: nn.Module) -> bool:
    """Whether a layer's numbers are packed as `spread` takes them, with a scale and a bias for each group."""
    return "scales" in layer and layer.get("biases") is not None


def write_transposed(layer: nn.Module, out: np.ndarray) -> None:
    """What `mx.dequantize` makes of an affine layer's weight [N, in], as `out` [in, N]: its bytes are what is transposed."""
    width, outs = inputs(layer), layer["weight"].shape[0]
    step = max(1, _PIECE // width)
    for start in range(0, outs, step):
        rows = slice(start, min(start + step, outs))
        packed = np.ascontiguousarray(np.array(layer["weight"][rows], copy=False).view(np.uint8).T)
        scales, biases = (np.array(layer[name][rows].astype(mx.float32).T) for name in ("scales", "biases"))
        units = packed.reshape(len(scales), -1, layer.bits, packed.shape[1])
        for into, unit, scale, bias in zip(
            out[:, rows].reshape(len(scales), -1, 8, packed.shape[1]), units, scales, biases, strict=True
        ):
            np.multiply(spread(unit, layer.bits), scale, out=into)
            into += bias


def spread(packed: np.ndarray, bits: int) -> np.ndarray:
    """The numbers of units of eight, uint8 [units, bits, n] -> [units, 8, n]: each has so many bits, the first the lowest ones."""
    numbers = np.empty((packed.shape[0], 8, packed.shape[2]), np.uint8)
    for k in range(8):
        byte, low = divmod(k * bits, 8)
        number = numbers[:, k]
        np.right_shift(packed[:, byte], low, out=number)
        if low + bits > 8:
            number |= packed[:, byte + 1] << (8 - low)
        if bits < 8:
            number &= 2**bits - 1
    return numbers


def _affine(weight: mx.array, scales: mx.array, biases: mx.array, bits: int) -> np.ndarray:
    """What `mx.dequantize` makes of packed numbers [n, in * bits / 32], scales and biases [n, groups]: [n, in] float32."""
    packed = np.array(weight, copy=False).view(np.uint8).reshape(-1, bits, 1)
    groups = spread(packed, bits).reshape(*scales.shape, -1) * np.array(scales, copy=False)[..., None]
    groups += np.array(biases, copy=False)[..., None]
    return groups.reshape(weight.shape[0], -1)
