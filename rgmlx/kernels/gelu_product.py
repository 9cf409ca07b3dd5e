"""gelu(gate) * up: what lies between the projections of an MLP."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from . import launch

_KERNEL = launch.Kernel("gelu_product", ["product", "bias"], ["y"])


def gelu_product(product: mx.array, bias: mx.array | None, raw: bool = False) -> mx.array:
    """gelu(gate + bias) * (up + bias), computed in float32.

    Args:
        product: gate and up side by side [..., 2W];  bias: [2W], or None.
        raw: leave out the derivative, as in a decode step.

    Returns:
        [..., W] in the product's dtype.
    """
    arrays = [product] if bias is None else [product, bias]

    def kernel(product: mx.array, bias: mx.array | None = None) -> mx.array:
        width = product.shape[-1] // 2
        rows = product.size // (2 * width)
        (y,) = _KERNEL(
            [product, product if bias is None else bias],
            shapes=[(*product.shape[:-1], width)],
            dtypes=[product.dtype],
            grid=(launch.blocks(width, 256), rows, 1),
            threadgroup=(256, 1, 1),
            template={"T": product.dtype, "BIAS": bias is not None, "WIDTH": width},
        )
        return y

    if launch.backend() is None:
        return plain(*arrays)
    y: mx.array = launch.with_gradient(kernel, plain, arrays, raw)
    return y


def plain(product: mx.array, bias: mx.array | None = None) -> mx.array:
    """`gelu_product` in plain MLX operations."""
    gate, up = mx.split(product.astype(mx.float32) + (0.0 if bias is None else bias), 2, axis=-1)
    return (nn.gelu_approx(gate) * up).astype(product.dtype)
