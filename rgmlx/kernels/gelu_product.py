"""gelu(gate) * up: what lies between the projections of an MLP."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from . import launch

_KERNEL = launch.Kernel("gelu_product", ["gate", "up", "bias"], ["y"])


def gelu_product(gate: mx.array, up: mx.array | None, bias: mx.array | None, raw: bool = False) -> mx.array:
    """gelu(gate + bias) * (up + bias), computed in float32.

    Args:
        gate: [..., W], or with `up` None both side by side [..., 2W].
        up: [..., W].
        bias: of both [2W], or None.
        raw: leave out the derivative, as in inference.

    Returns:
        [..., W] in the gate's dtype.
    """
    names = [n for n, a in (("gate", gate), ("up", up), ("bias", bias)) if a is not None]
    arrays = [a for a in (gate, up, bias) if a is not None]
    width = gate.shape[-1] // (1 if up is not None else 2)

    def twin(*arrays: mx.array) -> mx.array:
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
            grid=(launch.blocks(width, 256), gate.size // gate.shape[-1], 1),
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

    if launch.backend() is None:
        return twin(*arrays)
    y: mx.array = launch.with_gradient(kernel, twin, arrays, raw)
    return y


def plain(gate: mx.array, up: mx.array | None, bias: mx.array | None) -> mx.array:
    """`gelu_product` in plain MLX operations."""
    joined = gate if up is None else mx.concatenate([gate, up], axis=-1)
    gate, up = mx.split(joined.astype(mx.float32) + (0.0 if bias is None else bias), 2, axis=-1)
    return (nn.gelu_approx(gate) * up).astype(joined.dtype)
