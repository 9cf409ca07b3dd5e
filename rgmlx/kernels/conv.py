"""The depthwise causal convolution in front of the recurrence, over a chunk.

shapes   B batch   T time   L lru_width   K taps
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np

from . import launch

_KERNEL = launch.Kernel(
    "conv", ["product", "product_bias", "tail", "weight", "conv_bias", "lengths", "positions"], ["z", "new_tail"]
)

_VJP = launch.Kernel(
    "conv_vjp",
    ["product", "product_bias", "weight", "conv_bias", "positions", "d_z"],
    ["d_product", "d_product_bias", "d_weight", "d_conv_bias"],
)
_STEPS = 64  # that a thread sums the parameters' gradients over


def conv(
    product: mx.array,
    product_bias: mx.array,
    tail: mx.array,
    weight: mx.array,
    conv_bias: mx.array,
    lengths: mx.array | None,
    blocks: int,
    inference: bool = False,
    positions: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """Convolves the first half of a joined product with the K-1 inputs before it; differentiable.

    Args:
        product: [B, T, 2L], without bias;  product_bias: [2L].
        tail: the K-1 inputs before the chunk [B, K-1, L], in the product's dtype.
        weight: float32 [L, K, 1];  conv_bias: float32 [L].
        lengths: int32 [B], the steps of each row that count, the rest is padding; None: all count.
        blocks: how many gate blocks H the channels are cut into.
        inference: leave out the derivative, as in inference.
        positions: int32 [B, T], of each step in its own sequence, where rows hold several; a step sees no other's. At
            the start of a row it is 0, so that no tail is needed, and the one returned is the one given.

    Returns:
        The outputs [B, H, T, L / H] and the next tail, both in the product's dtype.
    """
    arrays = (product, product_bias, tail, weight, conv_bias)

    def reference(
        product: mx.array, product_bias: mx.array, tail: mx.array, weight: mx.array, conv_bias: mx.array
    ) -> tuple[mx.array, mx.array]:
        return plain(product, product_bias, tail, weight, conv_bias, lengths, blocks, positions)

    def kernel(*arrays: mx.array) -> tuple[mx.array, mx.array]:
        batch, time, _ = product.shape
        width, counts = tail.shape[2], launch.rows(lengths, batch, time)
        z, new_tail = _KERNEL(
            [*arrays, counts, counts if positions is None else positions],
            shapes=[(batch, blocks, time, width // blocks), tail.shape],
            dtypes=[product.dtype, product.dtype],
            grid=(128 * batch * time, -(-width // 128), 1),
            threadgroup=(128, 1, 1),
            template={"T": product.dtype, "BLOCK": width // blocks, "PACKED": positions is not None},
        )
        return z, new_tail

    if inference and positions is None and product.dtype == mx.float32 and launch.backend() == "numpy":
        z, new_tail = launch.in_numpy(host, product, product_bias, tail, weight, conv_bias, lengths)
        return z.reshape(*z.shape[:2], blocks, -1).swapaxes(1, 2), new_tail
    if not launch.on_gpu("conv") or weight.shape[1] == 1:  # without a tail there is nothing to fuse
        return reference(*arrays)
    if positions is None:
        z, new_tail = launch.with_gradient(kernel, reference, arrays, inference)
        return z, new_tail

    def alone(function: Callable[..., tuple[mx.array, mx.array]]) -> Callable[..., mx.array]:
        return lambda product, product_bias, *rest: function(product, product_bias, tail, *rest)[0]

    def slope(primals: list[mx.array], cotangents: list[mx.array], _: list[mx.array]) -> list[mx.array]:
        product, product_bias, weight, conv_bias = primals
        return gradient(product, product_bias, weight, conv_bias, positions, cotangents[0])

    packed: mx.array = launch.with_gradient(
        alone(kernel), alone(reference), (product, product_bias, weight, conv_bias), inference, slope
    )
    return packed, tail


def gradient(
    product: mx.array,
    product_bias: mx.array,
    weight: mx.array,
    conv_bias: mx.array,
    positions: mx.array,
    d_z: mx.array,
) -> list[mx.array]:
    """Of product, product_bias, weight and conv_bias, on rows of several sequences.

    Args:
        d_z: the gradient of the outputs [B, H, T, L / H].
    """
    (batch, time, _), (width, taps, _) = product.shape, weight.shape
    chunks = batch * -(-time // _STEPS)
    d_product, d_product_bias, d_weight, d_conv_bias = _VJP(
        [product, product_bias, weight, conv_bias, positions, d_z],
        shapes=[product.shape, (chunks, width), (chunks, width, taps), (chunks, width)],
        dtypes=[product.dtype, mx.float32, mx.float32, mx.float32],
        grid=(128 * chunks, -(-width // 128), 1),
        threadgroup=(128, 1, 1),
        template={"T": product.dtype, "BLOCK": d_z.shape[-1], "TAPS": taps, "STEPS": _STEPS},
    )
    whole_bias = mx.concatenate([d_product_bias.sum(axis=0), mx.zeros((product_bias.size - width,))])
    d_weight = d_weight.sum(axis=0)[..., None]
    return [d_product, whole_bias.astype(product_bias.dtype), d_weight, d_conv_bias.sum(axis=0)]


def plain(
    product: mx.array,
    product_bias: mx.array,
    tail: mx.array,
    weight: mx.array,
    conv_bias: mx.array,
    lengths: mx.array | None,
    blocks: int,
    positions: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """`conv` in plain MLX operations."""
    (width, taps, _), time, dtype = weight.shape, product.shape[1], product.dtype
    # Rounded as the tail keeps it, so that a cut in the text changes nothing.
    x = (product[..., :width].astype(mx.float32) + product_bias[:width]).astype(dtype)
    x, before = mx.concatenate([tail, x], axis=1), tail
    weight, y = weight.astype(mx.float32)[:, :, 0].T, conv_bias.astype(mx.float32)
    if time == 1 and lengths is None and positions is None:  # fewest operations, each of which counts on a CPU
        y, tail = (x * weight).sum(axis=1, keepdims=True) + y, x[:, 1:]
    else:
        for k in range(taps):  # shifted products: no im2col
            seen = x[:, k : k + time] * weight[k]
            y = y + (seen if positions is None else mx.where(positions[..., None] >= taps - 1 - k, seen, 0.0))
        if lengths is None:
            tail = mx.contiguous(x[:, time:])  # a slice would keep the whole chunk alive
        else:
            take = lengths[:, None] + mx.arange(taps - 1)
            tail = mx.take_along_axis(x, take[..., None], axis=1)
    if positions is not None:
        tail = before
    return y.astype(dtype).reshape(*y.shape[:2], blocks, -1).swapaxes(1, 2), tail


def host(
    product: np.ndarray,
    product_bias: np.ndarray | None,
    tail: np.ndarray,
    weight: np.ndarray,
    conv_bias: np.ndarray,
    lengths: np.ndarray | None,
    traced: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """`conv` in NumPy, in float32; the outputs are [B, T, L], not in gate blocks.

    `traced`: in place of the next tail all inputs [B, K-1+T, L], the tail before included.
    """
    batch, time, width = product.shape[0], product.shape[1], weight.shape[0]
    taps = weight.shape[1]
    x = np.empty((batch, taps - 1 + time, width), np.float32)
    x[:, : taps - 1] = tail
    new = x[:, taps - 1 :]
    new[...] = product[..., :width]
    if product_bias is not None:
        new += product_bias[:width]
    if batch * time == 1:  # one call, where each costs more than its numbers
        y = np.einsum("bkl,lk->bl", x, weight[:, :, 0])[:, None]
    else:
        y = x[:, :time] * weight[:, 0, 0]
        for k in range(1, taps):
            y += x[:, k : k + time] * weight[:, k, 0]
    y += conv_bias
    if traced:
        return y, x
    if lengths is None:
        return y, x[:, time:].copy()
    take = lengths[:, None] + np.arange(taps - 1)
    return y, np.take_along_axis(x, take[..., None], axis=1)
