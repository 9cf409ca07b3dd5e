"""Local attention over the ring of keys, in NumPy, in float32.

    shapes   B batch   T time   H heads   G kv heads   E head_dim   R ring slots (window + 1)

A ring slot holds the key of position p at p mod R.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_QUERIES = 128  # that attend at once: their scores are the largest arrays


def step(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, keys: np.ndarray, values: np.ndarray, positions: Sequence[int]
) -> np.ndarray:
    """One token a row: writes its key and value into the rings and attends to them.

    Args:
        q: [B, H, E], multiplied by E**-0.5;  k, v: [B, G, E].
        keys, values: the rings [B, G, R, E]; written to.
        positions: of the tokens, one a row.

    Returns:
        The outputs [B, G, H / G, E].
    """
    batch, groups, ring, size = keys.shape
    if batch == 1:
        slot = positions[0] % ring
        keys[0, :, slot], values[0, :, slot] = k[0], v[0]
    else:
        rows, slots = np.arange(batch), np.array([p % ring for p in positions])
        keys[rows, :, slots], values[rows, :, slots] = k, v
    filled = [min(p + 1, ring) for p in positions]
    most = max(filled)
    scores = np.matmul(q.reshape(batch, groups, -1, size), keys[:, :, :most].swapaxes(2, 3))
    if min(filled) < most:
        hidden = np.arange(most) >= np.array(filled)[:, None]
        scores += np.where(hidden, np.float32(-np.inf), np.float32(0))[:, None, None]
    scores -= np.maximum.reduce(scores, axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    y: np.ndarray = np.matmul(scores, values[:, :, :most])
    y /= np.add.reduce(scores, axis=-1, keepdims=True)
    return y


def chunk(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray,
    positions: Sequence[int],
    counts: Sequence[int],
    traced: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Many tokens a row, of which `counts` are real; the others' outputs mean nothing.

    Args:
        q: [B, H, T, E];  k, v: [B, G, T, E].
        keys, values: the rings before [B, G, R, E]; not written to.
        positions: of each row's first token.
        traced: leave the rings as they are.

    Returns:
        The outputs [B, T, H * E] and the next rings; `traced`: k and v in place of these.
    """
    (batch, heads, time, size), ring = q.shape, keys.shape[2]
    groups = keys.shape[1]
    y = np.empty((batch, time, heads, size), np.float32)
    next_keys, next_values = (k, v) if traced else (keys.copy(), values.copy())
    for row, (position, count) in enumerate(zip(positions, counts, strict=True)):
        # 1. what is held, oldest first, and the new ones behind
        held, slot = min(position, ring), position % ring
        slots = np.arange(slot - held, slot) % ring
        all_keys = np.concatenate([keys[row][:, slots], k[row]], axis=1)
        all_values = np.concatenate([values[row][:, slots], v[row]], axis=1)
        # 2. some queries at a time, each over the keys of its window only
        grouped = q[row].reshape(groups, heads // groups, time, size)
        for start in range(0, time, _QUERIES):
            end = min(start + _QUERIES, time)
            low = max(0, held + start - (ring - 1))
            part = all_keys[:, low : held + end]
            scores = np.matmul(grouped[:, :, start:end], part[:, None].swapaxes(2, 3))
            scores *= size**-0.5
            ages = np.arange(held + start, held + end)[:, None] - np.arange(low, held + end)
            scores[..., (ages < 0) | (ages >= ring)] = -np.inf
            found = np.matmul(_softmax(scores), all_values[:, None, low : held + end])
            y[row, start:end] = found.reshape(heads, end - start, size).swapaxes(0, 1)
        if traced:
            continue
        # 3. the last of the real ones, into the ring
        last = min(count, ring)
        into = np.arange(slot + count - last, slot + count) % ring
        next_keys[row][:, into] = k[row][:, count - last : count]
        next_values[row][:, into] = v[row][:, count - last : count]
    return y.reshape(batch, time, -1), next_keys, next_values


def _softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis, in place."""
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores
