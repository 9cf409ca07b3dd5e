"""The residual sum and the RMSNorm that follows it."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np

from . import launch

_KERNEL = launch.Kernel("add_norm", ["x", "y", "bias", "weight", "eps"], ["total", "normed"])
_VJP = launch.Kernel(
    "add_norm_vjp", ["total", "weight", "eps", "d_total", "d_normed"], ["d_x", "d_y", "d_bias", "d_weight"]
)
_ROWS = 16  # that a threadgroup sums the parameters' gradients over


def add_norm(
    x: mx.array,
    y: mx.array | None,
    bias: mx.array | None,
    weight: mx.array,
    eps: float,
    dtype: mx.Dtype,
    inference: bool = False,
) -> tuple[mx.array, mx.array]:
    """x + y + bias, and RMSNorm of it: v * rsqrt(mean(v^2) + eps) * (1 + weight).

    Args:
        x: the residual stream, float32 [..., D].
        y: what a block adds to it, in any float dtype; None: nothing.
        bias: [D], the bias of the block's last projection; None: none.
        weight: float32 [D].
        dtype: of the normed result; everything is computed in float32.
        inference: leave out the derivative, as in a decode step.

    Returns:
        The sum, float32 [..., D], and its norm, in `dtype`.
    """

    if inference and y is not None and dtype == y.dtype == mx.float32 and launch.backend() == "numpy":
        total, normed = launch.in_numpy(host, x, y, bias, weight, eps)
        return total, normed
    if y is None or not launch.on_gpu("add_norm"):  # without a sum there is nothing to fuse
        return plain(x, y, bias, weight, eps, dtype)
    arrays = (x, y, weight) if bias is None else (x, y, weight, bias)

    def reference(
        x: mx.array, y: mx.array, weight: mx.array, bias: mx.array | None = None
    ) -> tuple[mx.array, mx.array]:
        return plain(x, y, bias, weight, eps, dtype)

    def kernel(x: mx.array, y: mx.array, weight: mx.array, bias: mx.array | None = None) -> tuple[mx.array, mx.array]:
        width = x.shape[-1]
        # One row waits for memory, so many threads ask at once; many rows hide each other's waiting.
        groups = min(16 if x.size // width <= 64 else 4, -(-width // 128))
        total, normed = _KERNEL(
            [
                *(x, y, weight if bias is None else bias, weight),
                mx.array([eps], mx.float32),
            ],
            shapes=[x.shape, x.shape],
            dtypes=[mx.float32, dtype],
            grid=(32 * groups * (x.size // width), 1, 1),
            threadgroup=(32 * groups, 1, 1),
            template={
                "T": dtype,
                "BIAS": bias is not None,
                "WIDTH": width,
                "GROUPS": groups,
                "EACH": -(-width // (32 * groups)),
            },
        )
        return total, normed

    def gradient(primals: list[mx.array], cotangents: list[mx.array], outputs: list[mx.array]) -> list[mx.array]:
        (total, _), (d_total, d_normed) = outputs, cotangents
        y, weight = primals[1], primals[2]
        width, rows = total.shape[-1], total.size // total.shape[-1]
        chunks, groups = -(-rows // _ROWS), min(4, -(-width // 128))
        d_x, d_y, d_bias, d_weight = _VJP(
            [
                *(total.reshape(rows, width), weight, mx.array([eps], mx.float32)),
                *(d_total.reshape(rows, width), d_normed.reshape(rows, width)),
            ],
            shapes=[(rows, width), (rows, width), (chunks, width), (chunks, width)],
            dtypes=[mx.float32, y.dtype, mx.float32, mx.float32],
            grid=(32 * groups * chunks, 1, 1),
            threadgroup=(32 * groups, 1, 1),
            template={
                "T": y.dtype,
                "WIDTH": width,
                "GROUPS": groups,
                "EACH": -(-width // (32 * groups)),
                "ROWS": _ROWS,
            },
        )
        made = [d_x.reshape(total.shape), d_y.reshape(y.shape), d_weight.sum(axis=0)]
        return made if bias is None else [*made, d_bias.sum(axis=0).astype(bias.dtype)]

    total, normed = launch.with_gradient(kernel, reference, arrays, inference, gradient)
    return total, normed


def plain(
    x: mx.array, y: mx.array | None, bias: mx.array | None, weight: mx.array, eps: float, dtype: mx.Dtype
) -> tuple[mx.array, mx.array]:
    """`add_norm` in plain MLX operations."""
    if y is not None:
        x = x + (y if bias is None else y.astype(mx.float32) + bias.astype(mx.float32))
    return x, (mx.fast.rms_norm(x, None, eps) * (1.0 + weight)).astype(dtype)


def host(
    x: np.ndarray, y: np.ndarray | None, bias: np.ndarray | None, weight: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    """`add_norm` in NumPy, in float32. Without a weight where the matrix behind has it."""
    if y is not None:
        x = x + y
        if bias is not None:
            x += bias
    if x.size == x.shape[-1]:  # one row: without arrays of one number
        row = x.reshape(-1)
        normed = x * np.float32(1.0 / math.sqrt(float(np.dot(row, row)) / row.size + eps))
    else:
        square = np.einsum("...d,...d->...", x, x)[..., None]
        normed = x * (1.0 / np.sqrt(square / x.shape[-1] + eps)).astype(np.float32)
    if weight is not None:
        normed *= 1.0 + weight
    return x, normed
