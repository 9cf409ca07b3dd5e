"""Attention of one token over the ring: 16 keys a simdgroup, then the parts joined.

    shapes   B batch   H heads   G kv heads   E head_dim   R ring slots

For CUDA, where MLX has no kernel for this head size; Metal has one, and uses it.
"""

from __future__ import annotations

import mlx.core as mx

from . import launch

_PARTS = launch.Kernel("attend_parts", ["query", "keys", "values", "place", "scale"], ["sum", "top_total"])
_JOIN = launch.Kernel("attend_join", ["sum", "top_total"], ["y"])
_PART = 16  # keys a simdgroup; the body reads them by fours


def attend_step(query: mx.array, keys: mx.array, values: mx.array, place: mx.array) -> mx.array:
    """softmax(q k^T / sqrt(E)) v over the filled slots of the ring.

    Args:
        query: [B, H, 1, E];  keys, values: [B, G, R, E], all of one dtype.
        place: float32 [B, n]; the last column is how many slots hold a key, at least 1.

    Returns:
        [B, 1, H * E].
    """
    if not launch.on_gpu("attend_step"):
        return plain(query, keys, values, place)
    batch, heads, _, size = query.shape
    _, kv_heads, held, _ = keys.shape
    share, parts = heads // kv_heads, -(-held // _PART)
    sums, stats = _PARTS(
        [query, keys, values, place, mx.array([size**-0.5], mx.float32)],
        shapes=[(batch, heads, parts, size), (batch, heads, parts, 2)],
        dtypes=[mx.float32, mx.float32],
        grid=(32 * batch * parts, heads, 1),
        threadgroup=(32, share, 1),
        template={"SIZE": size, "EACH": -(-size // 32), "KEYS": kv_heads, "SHARE": share, "PART": _PART},
    )
    threads = min(launch.blocks(size, 32), 256)
    (y,) = _JOIN(
        [sums, stats],
        shapes=[(batch, 1, heads * size)],
        dtypes=[query.dtype],
        grid=(threads * batch * heads, 1, 1),
        threadgroup=(threads, 1, 1),
        template={"T": query.dtype, "SIZE": size, "PARTS": parts, "THREADS": threads},
    )
    return y


def plain(query: mx.array, keys: mx.array, values: mx.array, place: mx.array) -> mx.array:
    """`attend_step` in plain MLX operations."""
    batch, heads, _, size = query.shape
    filled = place[:, -1].astype(mx.int32)[:, None, None, None]
    q, k, v = (a.astype(mx.float32) for a in (query, keys, values))
    y = mx.fast.scaled_dot_product_attention(q, k, v, scale=size**-0.5, mask=mx.arange(keys.shape[2]) < filled)
    return y.astype(query.dtype).reshape(batch, 1, heads * size)
