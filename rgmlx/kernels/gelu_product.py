"""gelu(gate) * up: what lies between the projections of an MLP."""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from . import launch
from .elementwise import gelu
from .functions import gelu as host_gelu

_KERNEL = launch.Kernel("gelu_product", ["gate", "up", "bias"], ["y"])
_VJP = launch.Kernel("gelu_product_vjp", ["joined", "bias", "d_y"], ["d_joined", "d_bias"])
_ROWS, _BATCH = 32, 4  # rows a thread sums the bias's gradient over, and those that it asks for at once


def gelu_product(gate: mx.array, up: mx.array | None, bias: mx.array | None, inference: bool = False) -> mx.array:
    """gelu(gate + bias) * (up + bias), computed in float32.

    Args:
        gate: [..., W], or with `up` None both side by side [..., 2W].
        up: [..., W].
        bias: of both [2W], or None.
        inference: leave out the derivative, as in inference.

    Returns:
        [..., W] in the gate's dtype.
    """
    names = [n for n, a in (("gate", gate), ("up", up), ("bias", bias)) if a is not None]
    arrays = [a for a in (gate, up, bias) if a is not None]
    width = gate.shape[-1] // (1 if up is not None else 2)

    def reference(*arrays: mx.array) -> mx.array:
        given = dict(zip(names, arrays, strict=True))
        return plain(given["gate"], given.get("up"), given.get("bias"))

    def kernel(*arrays: mx.array) -> mx.array:
        given = dict(zip(names, arrays, strict=True))
        gate = given["gate"]
        shape = (*gate.shape[:-1], width)
        (y,) = _KERNEL(
            [gate, given.get("up", gate), given.get("bias", gate)],
            shapes=[shape],
            dtypes=[gate.dtype],
            grid=(256 * (gate.size // gate.shape[-1]), -(-width // 256), 1),
            threadgroup=(256, 1, 1),
            template={
                "T": gate.dtype,
                "BIAS": "bias" in given,
                "WIDTH": width,
                "STRIDE": gate.shape[-1],
                "SHIFT": gate.shape[-1] - width,
            },
        )
        return y

    if inference and gate.dtype == mx.float32 and launch.backend() == "numpy":
        result: mx.array = launch.in_numpy(host, gate, up, bias)
        return result
    if not launch.on_gpu("gelu_product"):
        return reference(*arrays)
    y: mx.array = launch.with_gradient(
        kernel, reference, arrays, inference, gradient if names == ["gate", "bias"] else None
    )
    return y


def gradient(primals: list[mx.array], cotangents: list[mx.array], _: list[mx.array]) -> list[mx.array]:
    """Of the halves side by side [..., 2W] and the bias [2W]."""
    (joined, bias), (d_y,) = primals, cotangents
    width = joined.shape[-1] // 2
    rows = joined.size // (2 * width)
    chunks = -(-rows // _ROWS)
    d_joined, d_bias = _VJP(
        [joined.reshape(rows, 2 * width), bias, d_y.reshape(rows, width)],
        shapes=[(rows, 2 * width), (chunks, 2 * width)],
        dtypes=[joined.dtype, mx.float32],
        grid=(256 * chunks, -(-width // 256), 1),
        threadgroup=(256, 1, 1),
        template={"T": joined.dtype, "WIDTH": width, "ROWS": _ROWS, "BATCH": _BATCH},
    )
    return [d_joined.reshape(joined.shape), d_bias.sum(axis=0).astype(bias.dtype)]


def plain(gate: mx.array, up: mx.array | None, bias: mx.array | None) -> mx.array:
    """`gelu_product` in plain MLX operations."""
    joined = gate if up is None else mx.concatenate([gate, up], axis=-1)
    gate, up = mx.split(joined.astype(mx.float32) + (0.0 if bias is None else bias), 2, axis=-1)
    return (gelu(gate) * up).astype(joined.dtype)


def host(gate: np.ndarray, up: np.ndarray | None, bias: np.ndarray | None) -> np.ndarray:
    """`gelu_product` in NumPy, in float32."""
    width = gate.shape[-1] if up is not None else gate.shape[-1] // 2
    if up is None:
        gate, up = gate[..., :width], gate[..., width:]
    if bias is None:
        return host_gelu(gate) * up
    y = host_gelu(gate + bias[:width])
    y *= up + bias[width:]
    return y
