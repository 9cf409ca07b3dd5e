"""Queries, keys and values out of their joined product, turned by their positions.

shapes   B batch   T time   H heads   G kv heads   E head_dim   half: rotary dimensions / 2
"""

from __future__ import annotations

import mlx.core as mx
import numpy as np

from . import launch

_KERNEL = launch.Kernel("rotary", ["product", "bias", "cosine", "sine"], ["query", "keys", "values"])

Triple = tuple[mx.array, mx.array, mx.array]


def rotary(
    product: mx.array,
    bias: mx.array | None,
    cosine: mx.array,
    sine: mx.array,
    heads: int,
    kv_heads: int,
    inference: bool = False,
) -> Triple:
    """Splits [queries | keys | values] into heads, adds the bias, and rotates queries and keys.

    Args:
        product: [B, T, (H + 2G) * E];  bias: the same width, or None.
        cosine, sine: float32 [B, 1, T, half]; the first 2 * half dimensions are rotated, half-split.
        inference: leave out the derivative, as in a decode step.

    Returns:
        Queries [B, H, T, E], keys and values [B, G, T, E], in the product's dtype.
    """
    arrays = [product] if bias is None else [product, bias]

    def reference(product: mx.array, bias: mx.array | None = None) -> Triple:
        return plain(product, bias, cosine, sine, heads, kv_heads)

    def kernel(product: mx.array, bias: mx.array | None = None) -> Triple:
        batch, time, width = product.shape
        all_heads = heads + 2 * kv_heads
        size = width // all_heads
        threads = min(launch.blocks(size, 32), 256)
        query, keys, values = _KERNEL(
            [product, product if bias is None else bias, cosine, sine],
            shapes=[(batch, heads, time, size), *[(batch, kv_heads, time, size)] * 2],
            dtypes=[product.dtype] * 3,
            grid=(threads * batch * time * all_heads, -(-size // threads), 1),
            threadgroup=(threads, 1, 1),
            template={
                "T": product.dtype,
                "BIAS": bias is not None,
                "SIZE": size,
                "QUERIES": heads,
                "KEYS": kv_heads,
                "HEADS": all_heads,
                "THREADS": threads,
            },
        )
        return query, keys, values

    if inference and product.dtype == mx.float32 and launch.backend() == "numpy":
        turned: Triple = launch.in_numpy(host, product, bias, cosine[:, 0], sine[:, 0], heads, kv_heads)
        return turned
    if not launch.on_gpu("rotary"):
        return reference(*arrays)
    query, keys, values = launch.with_gradient(kernel, reference, arrays, inference)
    return query, keys, values


def plain(
    product: mx.array, bias: mx.array | None, cosine: mx.array, sine: mx.array, heads: int, kv_heads: int
) -> Triple:
    """`rotary` in plain MLX operations."""
    if bias is not None:
        product = (product.astype(mx.float32) + bias.astype(mx.float32)).astype(product.dtype)
    parts = product.reshape(*product.shape[:2], heads + 2 * kv_heads, -1).swapaxes(1, 2)
    turned = rotate(parts[:, : heads + kv_heads], cosine, sine)
    return turned[:, :heads], turned[:, heads:], parts[:, heads + kv_heads :]


def rotate(x: mx.array, cos: mx.array, sin: mx.array) -> mx.array:
    """Rotary embedding of the first 2 * cos.shape[-1] dimensions of x [B, heads, T, E], half-split."""
    half = cos.shape[-1]
    a, b = x[..., :half].astype(mx.float32), x[..., half : 2 * half].astype(mx.float32)
    parts = [(a * cos - b * sin).astype(x.dtype), (b * cos + a * sin).astype(x.dtype)]
    if 2 * half < x.shape[-1]:
        parts.append(x[..., 2 * half :])
    return mx.concatenate(parts, axis=-1)


def host(
    product: np.ndarray, bias: np.ndarray | None, cosine: np.ndarray, sine: np.ndarray, heads: int, kv_heads: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`rotary` in NumPy, in float32; cosine and sine are [B, T, half]."""
    batch, time, half = cosine.shape
    x = product if bias is None else product + bias
    x = x.reshape(batch, time, heads + 2 * kv_heads, -1).swapaxes(1, 2)
    turned = x[:, : heads + kv_heads].copy()
    a, b = x[:, : heads + kv_heads, :, :half], x[:, : heads + kv_heads, :, half : 2 * half]
    cosine, sine = cosine[:, None], sine[:, None]
    turned[..., :half] = a * cosine - b * sine
    turned[..., half : 2 * half] = b * cosine + a * sine
    return turned[:, :heads], turned[:, heads:], x[:, heads + kv_heads :]
