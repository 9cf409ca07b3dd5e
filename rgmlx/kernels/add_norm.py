"""The residual sum and the RMSNorm that follows it."""

from __future__ import annotations

import mlx.core as mx

from . import launch

_KERNEL = launch.Kernel("add_norm", ["x", "y", "bias", "weight", "eps"], ["total", "normed"])


def add_norm(
    x: mx.array,
    y: mx.array | None,
    bias: mx.array | None,
    weight: mx.array,
    eps: float,
    dtype: mx.Dtype,
    raw: bool = False,
) -> tuple[mx.array, mx.array]:
    """x + y + bias, and RMSNorm of it: v * rsqrt(mean(v^2) + eps) * (1 + weight).

    Args:
        x: the residual stream, float32 [..., D].
        y: what a block adds to it, in any float dtype; None: nothing.
        bias: [D], the bias of the block's last projection; None: none.
        weight: float32 [D].
        dtype: of the normed result; everything is computed in float32.
        raw: leave out the derivative, as in a decode step.

    Returns:
        The sum, float32 [..., D], and its norm, in `dtype`.
    """

    if y is None or launch.backend() is None:  # without a sum there is nothing to fuse
        return plain(x, y, bias, weight, eps, dtype)
    arrays = (x, y, weight) if bias is None else (x, y, weight, bias)

    def twin(x: mx.array, y: mx.array, weight: mx.array, bias: mx.array | None = None) -> tuple[mx.array, mx.array]:
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
            grid=(32 * groups, x.size // width, 1),
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

    total, normed = launch.with_gradient(kernel, twin, arrays, raw)
    return total, normed


def plain(
    x: mx.array, y: mx.array | None, bias: mx.array | None, weight: mx.array, eps: float, dtype: mx.Dtype
) -> tuple[mx.array, mx.array]:
    """`add_norm` in plain MLX operations."""
    if y is not None:
        x = x + (y if bias is None else y.astype(mx.float32) + bias.astype(mx.float32))
    return x, (mx.fast.rms_norm(x, None, eps) * (1.0 + weight)).astype(dtype)
