"""A 4-bit product for one token, with the MLP's gelu product behind it where asked.

    shapes   K inputs   N outputs

For CUDA, where MLX's own product of one row reaches a sixth of the memory's speed; on Metal it is as fast
as memory allows, and is used.
"""

from __future__ import annotations

import mlx.core as mx

from . import launch
from .gelu_product import plain as plain_gelu

_KERNEL = launch.Kernel("quantized_step", ["x", "weight", "scales", "biases", "bias"], ["y"])


def quantized_step(
    x: mx.array,
    weight: mx.array,
    scales: mx.array,
    biases: mx.array,
    bias: mx.array | None = None,
    gelu: bool = False,
) -> mx.array:
    """W x, or gelu(gate + bias) * (up + bias) of its two halves.

    Args:
        x: bfloat16 [..., K], one row, K a multiple of 64.
        weight: uint32 [N, K / 8];  scales, biases: bfloat16 [N, K / 64], as `mx.quantize` makes them.
        bias: [N], for the gelu product only; None: none.
        gelu: multiply the halves.

    Returns:
        bfloat16 [..., N], or [..., N / 2]. For inference: not differentiable.
    """
    if not launch.on_gpu("quantized_step"):
        return plain(x, weight, scales, biases, bias, gelu)
    size, out = x.shape[-1], weight.shape[0] // (2 if gelu else 1)
    rows, groups = 2, 4
    simdgroups = -(-out // (rows // 2 if gelu else rows))
    (y,) = _KERNEL(
        [x, weight, scales, biases, scales if bias is None else bias],
        shapes=[(*x.shape[:-1], out)],
        dtypes=[x.dtype],
        grid=(32 * -(-simdgroups // groups), groups, 1),
        threadgroup=(32, groups, 1),
        template={
            "T": x.dtype,
            "SIZE": size,
            "OUT": out,
            "ROWS": rows,
            "GROUPS": groups,
            "BATCH": min(5, -(-size // 512)),
            "GELU": gelu,
            "BIAS": bias is not None,
        },
    )
    return y


def plain(
    x: mx.array, weight: mx.array, scales: mx.array, biases: mx.array, bias: mx.array | None, gelu: bool
) -> mx.array:
    """`quantized_step` in plain MLX operations."""
    # In float32: MLX's CPU sums 16-bit products in 16 bits.
    scales, biases = scales.astype(mx.float32), biases.astype(mx.float32)
    y = mx.quantized_matmul(x.astype(mx.float32), weight, scales, biases, transpose=True, group_size=64, bits=4)
    return plain_gelu(y.astype(x.dtype), None, bias) if gelu else y.astype(x.dtype)
