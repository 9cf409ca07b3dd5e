"""What the host works out once for a chunk of tokens, shared by all layers.

    shapes   B batch   T time   R ring slots (window + 1)   W window

Rotary angles, who sees whom, where keys go in the ring buffer, and which steps are padding. All of
it depends on positions only, which are Python integers and exact for ever; what reaches the device
is small and relative. A ring slot holds the key of position p at p mod R, so it never moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from .backpressure import Pace
from .config import ATTENTION, ModelConfig
from .rope import Rotary

_NEVER = -(2**30)  # relative position of a ring slot that holds nothing yet


@dataclass(frozen=True)
class Chunk:
    """The plan of one forward pass. Arrays are on the device; None means "not needed"."""

    cos: mx.array | None = None  # float32 [B, 1, T, rotary_dim / 2]
    sin: mx.array | None = None
    is_step: bool = False  # one token a row in a decode loop
    is_inference: bool = False  # nobody will ask for a derivative
    first: mx.array | None = None  # int32 [B]: 1 where the chunk begins a sequence
    lengths: mx.array | None = None  # int32 [B]: steps that count, of a ragged batch
    positions: mx.array | None = None  # int32 [B, T], training: of each token in its own sequence; rows hold several
    ring_take: mx.array | None = None  # int32 [B, 1, R, 1]: the next ring, out of ring + new keys
    slot: mx.array | None = None  # one step: int32 [1] when all rows share it, else [B, 1, 1, 1]
    mask: mx.array | str | None = None  # what mx.fast.scaled_dot_product_attention takes
    reads_ring: bool = False  # keys are ring + new ones (else the new ones alone)
    padding: int = 0  # masked keys behind those, to a multiple of 8: products of an odd width are slow on CUDA
    reads_ring_after_write: bool = False  # one step: keys are the ring, the new one included
    filled: int | None = None  # one step: only this many slots hold keys; None: see the mask
    # One step on CUDA: cosines, sines, slot and keys held, float32 [B, rotary_dim + 2], in place of cos, sin,
    # slot, mask and filled. What the host writes, the GPU fetches page by page: one array, one fetch.
    place: mx.array | None = None
    traced: bool = False  # layers return what `griffin.trace` takes, in place of the next state
    pace: Pace | None = None  # inference: how far the host may run ahead of the device

    def with_ring(self, ring: mx.array, new: mx.array) -> tuple[mx.array, mx.array]:
        """What the chunk's queries see, and the next ring.

        Args:
            ring: keys or values before the chunk [B, G, R, E].
            new: those of the chunk itself [B, G, T, E].
        """
        if self.reads_ring_after_write:
            assert self.slot is not None
            if self.slot.ndim == 1:
                written = mx.slice_update(ring, new, self.slot, axes=(2,))
            else:
                written = mx.put_along_axis(ring, mx.broadcast_to(self.slot, new.shape), new, axis=2)
            return written[:, :, : self.filled], written
        if self.ring_take is None and not self.traced:  # nothing comes after
            return new, ring
        parts = [ring, new]
        if self.padding:
            parts.append(mx.zeros((*new.shape[:2], self.padding, new.shape[3]), new.dtype))
        whole = mx.concatenate(parts, axis=2)
        seen = whole if self.reads_ring else new
        return seen, new if self.ring_take is None else mx.take_along_axis(whole, self.ring_take, axis=2)

    def split(self) -> tuple[ChunkForm, list[mx.array]]:
        """A hashable form and the arrays, so that a compiled step can take the arrays as inputs."""
        names = [n for n in self.__dataclass_fields__ if isinstance(getattr(self, n), mx.array)]
        rest = tuple((n, getattr(self, n)) for n in self.__dataclass_fields__ if n not in names)
        return ChunkForm(tuple(names), rest), [getattr(self, n) for n in names]


class ChunkForm(NamedTuple):
    """A `Chunk` without its arrays."""

    names: tuple[str, ...]
    rest: tuple[tuple[str, Any], ...]

    def join(self, arrays: Sequence[mx.array]) -> Chunk:
        fields: dict[str, Any] = dict(zip(self.names, arrays, strict=True)) | dict(self.rest)
        return Chunk(**fields)


def _angles(rotary: Rotary, positions: Sequence[int], time: int) -> dict[str, mx.array]:
    cos, sin = rotary.cos_sin(positions, time)
    return {"cos": mx.array(cos[:, None]), "sin": mx.array(sin[:, None])}


def _first(positions: Sequence[int]) -> mx.array:
    return mx.array([int(p == 0) for p in positions], mx.int32)


def plan_step(
    config: ModelConfig, rotary: Rotary, positions: Sequence[int], fixed_shapes: bool, placed: bool = False
) -> Chunk:
    """The plan of one token a row: write its key into the ring, attend to the ring.

    Args:
        fixed_shapes: while the ring fills, mask its empty part instead of leaving it out, so that a
            compiled step need not be compiled again for every token.
        placed: for the kernels that take `Chunk.place`.
    """
    ring = config.ring_size
    fields: dict[str, Any] = {} if placed else _angles(rotary, positions, 1)
    if 0 in positions:
        fields["first"] = _first(positions)
    if placed:
        cos, sin = rotary.cos_sin(positions, 1)
        where = np.array([[p % ring, min(p + 1, ring)] for p in positions], np.float32)
        fields["place"] = mx.array(np.concatenate([cos[:, 0], sin[:, 0], where], axis=1))
    elif ATTENTION in config.layer_types:
        slots = [p % ring for p in positions]
        shared = len(set(slots)) == 1
        fields["slot"] = mx.array(slots[:1] if shared else [[[[s]]] for s in slots], mx.int32)
        filled = [min(p + 1, ring) for p in positions]
        if len(set(filled)) == 1 and not fixed_shapes:
            fields["filled"] = filled[0]
        elif min(filled) < ring:
            fields["mask"] = mx.array(np.arange(ring) < np.array(filled)[:, None, None, None])
        fields["reads_ring_after_write"] = True
    return Chunk(is_step=True, is_inference=True, **fields)


def plan_chunk(
    config: ModelConfig,
    rotary: Rotary,
    positions: Sequence[int],
    time: int,
    lengths: Sequence[int] | None,
    inference: bool = False,
    pace: Pace | None = None,
    traced: bool = False,
) -> Chunk:
    """The plan of `time` tokens a row, of which `lengths` count (None: all of them)."""
    fields: dict[str, Any] = _angles(rotary, positions, time) | {"is_inference": inference, "pace": pace}
    if 0 in positions:
        fields["first"] = _first(positions)
    counts = np.full(len(positions), time) if lengths is None else np.array(lengths)
    if lengths is not None:
        fields["lengths"] = mx.array(counts.astype(np.int32))
    if ATTENTION in config.layer_types:
        fields |= _plan_attention(config, positions, time, counts)
    if traced:
        fields |= {"traced": True, "ring_take": None}
    return Chunk(**fields)


def plan_packed(config: ModelConfig, rotary: Rotary, positions: mx.array, dtype: mx.Dtype) -> Chunk:
    """The plan of rows that hold several sequences, one behind the other, for training: nothing comes before or after.

    Args:
        positions: int32 [B, T], of each token in its own sequence: 0 where one begins, and at the start of a row.
        dtype: the compute dtype.
    """
    batch, time = positions.shape
    # Scores depend on differences of positions alone, so the angles may count from the start of the row.
    cos, sin = (mx.broadcast_to(a, (batch, *a.shape[1:])) for a in _angles(rotary, [0], time).values())
    fields: dict[str, Any] = {}
    if ATTENTION in config.layer_types:
        steps = mx.arange(time)
        ages = steps[:, None] - steps
        oldest = mx.minimum(positions, config.attention_window_size)[:, :, None]
        fields["mask"] = mx.where((ages >= 0) & (ages <= oldest), 0.0, -mx.inf).astype(dtype)[:, None]
    return Chunk(cos=cos, sin=sin, positions=positions, **fields)


def _plan_attention(config: ModelConfig, positions: Sequence[int], time: int, counts: np.ndarray) -> dict[str, Any]:
    ring, window = config.ring_size, config.attention_window_size
    slots = np.arange(ring)
    # Slot s holds the newest position q <= end-1 with q = s mod R; `back` counts from there.
    ends = np.array([(p + int(c) - 1) % ring for p, c in zip(positions, counts, strict=True)])
    back = (ends[:, None] - slots) % ring
    take = np.where(back < counts[:, None], ring + counts[:, None] - 1 - back, slots)
    fields: dict[str, Any] = {"ring_take": mx.array(take.astype(np.int32)[:, None, :, None])}

    steps = mx.arange(time)
    if not any(positions):  # nothing before this chunk
        if time <= ring:
            return fields | {"mask": "causal"}
        ages = steps[:, None] - steps
        return fields | {"mask": (ages >= 0) & (ages <= window)}
    starts = np.array([(p - 1) % ring for p in positions])
    behind = (starts[:, None] - slots) % ring  # slot s holds position p-1-behind, if that is >= 0
    held = behind < np.array([min(p, ring) for p in positions])[:, None]
    relative = mx.array(np.where(held, -1 - behind, _NEVER).astype(np.int32))
    padding = -(ring + time) % 8 if mx.default_device() == mx.gpu else 0
    never = mx.full((len(positions), padding), _NEVER)
    relative = mx.concatenate([relative, mx.broadcast_to(steps, (len(positions), time)), never], axis=1)
    ages = steps[None, :, None] - relative[:, None, :]
    return fields | {"mask": ((ages >= 0) & (ages <= window))[:, None], "reads_ring": True, "padding": padding}
