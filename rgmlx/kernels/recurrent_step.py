"""One token through a recurrent block, between its two projections.

shapes   B batch   L lru_width   H gate blocks   E channels of a block   K taps
"""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from . import launch
from .conv import plain as plain_conv
from .rg_lru import plain as plain_rg_lru

_INPUTS = [
    *("product", "product_bias", "tail", "conv_weight", "conv_bias", "input_weight", "recurrent_weight"),
    *("input_bias", "recurrent_bias", "recurrent_param", "h"),
]
_KERNEL = launch.Kernel("recurrent_step", [*_INPUTS, "first"], ["y", "new_tail", "new_h"])
_ROWS = 16  # simdgroups that share the rows of a gate block


def recurrent_step(
    product: mx.array,
    product_bias: mx.array,
    tail: mx.array,
    conv_weight: mx.array,
    conv_bias: mx.array,
    input_weight: mx.array,
    recurrent_weight: mx.array,
    input_bias: mx.array,
    recurrent_bias: mx.array,
    recurrent_param: mx.array,
    h: mx.array,
    first: mx.array | None,
    *,
    raw: bool = True,
) -> tuple[mx.array, mx.array, mx.array]:
    """Convolution, gates, RG-LRU and the product with gelu(y), for one token a row.

    Args:
        product: the joined product of `linear_x` and `linear_y` [B, 1, 2L], without bias.
        product_bias: [2L].
        tail: the K-1 inputs before [B, K-1, L], in the product's dtype.
        conv_weight: float32 [L, K, 1];  conv_bias: float32 [L].
        input_weight, recurrent_weight: gate blocks [H, E, E], in the product's dtype.
        input_bias, recurrent_bias, recurrent_param: float32 [L].
        h: float32 [B, L].
        first: int32 [B], 1 where the token begins a sequence; None: nowhere.
        raw: leave out the derivative, as in a decode step.

    Returns:
        The block's inner output [B, 1, L], the next tail and the next state.
    """
    arrays = (
        *(product, product_bias, tail, conv_weight, conv_bias, input_weight, recurrent_weight),
        *(input_bias, recurrent_bias, recurrent_param, h),
    )

    def twin(*arrays: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        return plain(*arrays, first)

    def kernel(*arrays: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        batch, (heads, block, _) = product.shape[0], input_weight.shape
        groups = -(-block // 32)
        y, new_tail, new_h = _KERNEL(
            [*arrays, launch.rows(first, batch, 0)],
            shapes=[(batch, 1, h.shape[1]), tail.shape, h.shape],
            dtypes=[product.dtype, product.dtype, mx.float32],
            grid=(32 * groups, _ROWS * heads, batch),
            threadgroup=(32, _ROWS, 1),
            template={"T": product.dtype, "BLOCK": block, "TAPS": conv_weight.shape[1], "ROWS": _ROWS},
        )
        return y, new_tail, new_h

    if launch.backend() is None or conv_weight.shape[1] == 1:
        return twin(*arrays)
    y, new_tail, new_h = launch.with_gradient(kernel, twin, arrays, raw)
    return y, new_tail, new_h


def gate_products(z: mx.array, weight: mx.array) -> mx.array:
    """The block-diagonal product of a gate: z [B, T, L] with [H, E, E] -> [B, H, T, E]."""
    heads, block, _ = weight.shape
    return z.reshape(*z.shape[:2], heads, block).swapaxes(1, 2) @ weight


def plain(
    product: mx.array,
    product_bias: mx.array,
    tail: mx.array,
    conv_weight: mx.array,
    conv_bias: mx.array,
    input_weight: mx.array,
    recurrent_weight: mx.array,
    input_bias: mx.array,
    recurrent_bias: mx.array,
    recurrent_param: mx.array,
    h: mx.array,
    first: mx.array | None,
) -> tuple[mx.array, mx.array, mx.array]:
    """`recurrent_step` in plain MLX operations."""
    z, tail = plain_conv(product, product_bias, tail, conv_weight, conv_bias, None)
    gates = (gate_products(z, w) for w in (input_weight, recurrent_weight))
    states, h = plain_rg_lru(z, *gates, input_bias, recurrent_bias, recurrent_param, h, first, None)
    width = h.shape[1]
    branch = product[..., width:].astype(mx.float32) + product_bias[width:].astype(mx.float32)
    return (states * nn.gelu_approx(branch)).astype(product.dtype), tail, h
