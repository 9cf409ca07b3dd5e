"""The depthwise causal convolution in front of the recurrence, over a chunk.

shapes   B batch   T time   L lru_width   K taps
"""

from __future__ import annotations

import mlx.core as mx

from . import launch

_KERNEL = launch.Kernel(
    "conv", ["product", "product_bias", "tail", "weight", "conv_bias", "lengths"], ["z", "new_tail"]
)


def conv(
    product: mx.array,
    product_bias: mx.array,
    tail: mx.array,
    weight: mx.array,
    conv_bias: mx.array,
    lengths: mx.array | None,
    blocks: int,
    raw: bool = False,
) -> tuple[mx.array, mx.array]:
    """Convolves the first half of a joined product with the K-1 inputs before it; differentiable.

    Args:
        product: [B, T, 2L], without bias;  product_bias: [2L].
        tail: the K-1 inputs before the chunk [B, K-1, L], in the product's dtype.
        weight: float32 [L, K, 1];  conv_bias: float32 [L].
        lengths: int32 [B], the steps of each row that count, the rest is padding; None: all count.
        blocks: how many gate blocks H the channels are cut into.
        raw: leave out the derivative, as in inference.

    Returns:
        The outputs [B, H, T, L / H] and the next tail, both in the product's dtype.
    """
    arrays = (product, product_bias, tail, weight, conv_bias)

    def twin(
        product: mx.array, product_bias: mx.array, tail: mx.array, weight: mx.array, conv_bias: mx.array
    ) -> tuple[mx.array, mx.array]:
        return plain(product, product_bias, tail, weight, conv_bias, lengths, blocks)

    def kernel(*arrays: mx.array) -> tuple[mx.array, mx.array]:
        batch, time, _ = product.shape
        width = tail.shape[2]
        z, new_tail = _KERNEL(
            [*arrays, launch.rows(lengths, batch, time)],
            shapes=[(batch, blocks, time, width // blocks), tail.shape],
            dtypes=[product.dtype, product.dtype],
            grid=(launch.blocks(width, 128), time, batch),
            threadgroup=(128, 1, 1),
            template={"T": product.dtype, "BLOCK": width // blocks},
        )
        return z, new_tail

    if launch.backend() is None or weight.shape[1] == 1:  # without a tail there is nothing to fuse
        return twin(*arrays)
    z, new_tail = launch.with_gradient(kernel, twin, arrays, raw)
    return z, new_tail


def plain(
    product: mx.array,
    product_bias: mx.array,
    tail: mx.array,
    weight: mx.array,
    conv_bias: mx.array,
    lengths: mx.array | None,
    blocks: int,
) -> tuple[mx.array, mx.array]:
    """`conv` in plain MLX operations."""
    (width, taps, _), time, dtype = weight.shape, product.shape[1], product.dtype
    # Rounded as the tail keeps it, so that a cut in the text changes nothing.
    x = (product[..., :width].astype(mx.float32) + product_bias[:width]).astype(dtype)
    x = mx.concatenate([tail, x], axis=1)
    weight, y = weight.astype(mx.float32)[:, :, 0].T, conv_bias.astype(mx.float32)
    if time == 1 and lengths is None:  # fewest operations, each of which counts on a CPU
        y, tail = (x * weight).sum(axis=1, keepdims=True) + y, x[:, 1:]
    else:
        for k in range(taps):  # shifted products: no im2col
            y = y + x[:, k : k + time] * weight[k]
        if lengths is None:
            tail = mx.contiguous(x[:, time:])  # a slice would keep the whole chunk alive
        else:
            take = lengths[:, None] + mx.arange(taps - 1)
            tail = mx.take_along_axis(x, take[..., None], axis=1)
    return y.astype(dtype).reshape(*y.shape[:2], blocks, -1).swapaxes(1, 2), tail
