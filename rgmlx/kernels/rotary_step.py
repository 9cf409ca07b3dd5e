"""One token's queries, and the rings of keys and values with its own in their slot.

    shapes   B batch   H heads   G kv heads   E head_dim   R ring slots   half: rotary dimensions / 2

Out of place: MLX has no kernel that writes into an array. Copying the rings costs less on CUDA than the
five launches that it saves; on Metal the native slice update is kept (`network.LocalAttention`).
"""

from __future__ import annotations

import mlx.core as mx

from . import launch
from .rotary import plain as plain_rotary

_KERNEL = launch.Kernel(
    "rotary_step", ["product", "bias", "place", "ring_keys", "ring_values"], ["query", "keys", "values"]
)

Triple = tuple[mx.array, mx.array, mx.array]


def rotary_step(product: mx.array, bias: mx.array | None, place: mx.array, keys: mx.array, values: mx.array) -> Triple:
    """Splits [queries | keys | values] of one token, rotates, and puts keys and values into the rings.

    Args:
        product: [B, 1, (H + 2G) * E];  bias: the same width, or None.
        place: float32 [B, 2 * half + 2], see `chunk.Chunk.place`.
        keys, values: the rings [B, G, R, E].

    Returns:
        Queries [B, H, 1, E] and the new rings.
    """
    if not launch.on_gpu("rotary_step"):
        return plain(product, bias, place, keys, values)
    batch, kv_heads, held, size = keys.shape
    heads = product.shape[-1] // size - 2 * kv_heads
    rows = heads + 2 * kv_heads * held
    query, new_keys, new_values = _KERNEL(
        [product, product if bias is None else bias, place, keys, values],
        shapes=[(batch, heads, 1, size), keys.shape, values.shape],
        dtypes=[product.dtype] * 3,
        grid=(32 * batch * -(-rows // 8), 8, 1),
        threadgroup=(32, 8, 1),
        template={"T": product.dtype, "BIAS": bias is not None, "SIZE": size, "QUERIES": heads, "KEYS": kv_heads},
    )
    return query, new_keys, new_values


def plain(product: mx.array, bias: mx.array | None, place: mx.array, keys: mx.array, values: mx.array) -> Triple:
    """`rotary_step` in plain MLX operations."""
    half, kv_heads = (place.shape[1] - 2) // 2, keys.shape[1]
    cosine, sine = place[:, None, None, :half], place[:, None, None, half : 2 * half]
    heads = product.shape[-1] // keys.shape[-1] - 2 * kv_heads
    query, key, value = plain_rotary(product, bias, cosine, sine, heads, kv_heads)
    here = mx.arange(keys.shape[2])[:, None] == place[:, -2][:, None, None, None].astype(mx.int32)
    return query, mx.where(here, key, keys), mx.where(here, value, values)
