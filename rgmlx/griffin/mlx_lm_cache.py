"""mlx-lm's caches for our network, which keep a state between two calls of it.

A cache is a list of mlx-lm's own `ArraysCache`, one a layer, with three slots: the two arrays of our
`State` and the row positions (int64 [B]). mlx-lm can save, merge, filter and extract them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import mlx.core as mx

from ..errors import NotFiniteError, RgmlxError
from .config import ModelConfig
from .state import State, empty_layer

_SLOTS = 3


class Network(Protocol):
    """What a cache needs to know of its network."""

    config: ModelConfig

    @property
    def layers(self) -> Sequence[Any]: ...
    @property
    def compute_dtype(self) -> mx.Dtype: ...
    def advance(self, tokens: mx.array, state: State, lengths: Sequence[int] | None = None) -> mx.array: ...
    def head(self, hidden: mx.array) -> mx.array: ...


def make_cache(network: Network) -> list[Any]:
    """Empty caches, one a layer."""
    from mlx_lm.models.cache import ArraysCache

    return [ArraysCache(size=_SLOTS) for _ in network.layers]


def advance_cache(network: Network, tokens: mx.array, cache: Sequence[Any]) -> mx.array:
    """Consumes tokens [B, T] and writes the state back into the caches; returns outputs [B, T, D].

    Right-padded rows are honoured (`ArraysCache.lengths`).

    Raises:
        RgmlxError: the caches are another model's or of another batch size, or ask for left padding, which this
            model has no use for.
        NotFiniteError: the logits after several tokens are not finite; the caches are what they were.
    """
    batch, time = tokens.shape
    _check_cache(network, cache, batch)
    first = cache[0]
    if first.left_padding is not None:
        if any(n > 0 for n in first.left_padding.tolist()):
            raise RgmlxError("left-padded batches are not supported: pad on the right, as mlx-lm's batches do")
        for c in cache:  # mlx-lm counts it down for ever, as a lazy sum that would grow with the text
            c.left_padding = None
    state = State(_Blank(network), batch)
    if first[2] is not None:
        state.positions = [int(p) for p in first[2].tolist()]
        dtypes = [(a.dtype, b.dtype) for a, b in state.layers]  # a file may hold those of another machine
        state.layers = [(c[0].astype(a), c[1].astype(b)) for c, (a, b) in zip(cache, dtypes, strict=True)]
    lengths = None
    if first.lengths is not None:
        lengths = [min(max(int(n), 0), time) for n in first.lengths.tolist()]
        lengths = None if min(lengths) == time else lengths
    hidden = network.advance(tokens, state, lengths)
    if time > 1 and not mx.isfinite(network.head(state.hidden)).all().item():
        raise NotFiniteError
    positions = mx.array(state.positions, mx.int64)
    for c, (a, b) in zip(cache, state.layers, strict=True):
        c[0], c[1], c[2] = a, b, positions
        c.advance(time)
    return hidden


def _check_cache(network: Network, cache: Sequence[Any], batch: int) -> None:
    """Raises RgmlxError unless each layer's cache is empty or holds a state of this network for `batch` rows."""
    advice = "make one with mlx_lm's make_prompt_cache(model), and a new one for each conversation"
    layers = network.config.layer_types
    if len(cache) != len(layers):
        raise RgmlxError(f"the cache has {len(cache)} layers, this model {len(layers)}: {advice}")
    wanted: dict[str, list[tuple[int, ...]]] = {}
    for i, (c, kind) in enumerate(zip(cache, layers, strict=True)):
        slots = getattr(c, "cache", None)
        if not isinstance(slots, list) or len(slots) != _SLOTS:
            raise RgmlxError(f"layer {i} of the cache is another model's ({type(c).__name__}): {advice}")
        found = [None if a is None else tuple(a.shape) for a in slots]
        if found == [None] * _SLOTS:
            continue
        if kind not in wanted:
            wanted[kind] = [tuple(a.shape) for a in empty_layer(network.config, kind, batch, mx.float32)] + [(batch,)]
        if found == wanted[kind]:
            continue
        if found[-1] is not None and found[-1] != (batch,):
            raise RgmlxError(f"the cache is for {found[-1][0]} rows, the tokens have {batch}: {advice}")
        raise RgmlxError(f"layer {i} of the cache is another model's (shapes {found}): {advice}")


@dataclass
class _Blank:
    """The owner of a state that lives in mlx-lm's caches and is never saved by us."""

    network: Network

    @property
    def config(self) -> ModelConfig:
        return self.network.config

    @property
    def compute_dtype(self) -> mx.Dtype:
        return self.network.compute_dtype

    @property
    def identity(self) -> dict[str, str]:
        raise RgmlxError("a state inside an mlx-lm cache is saved by mlx-lm: use its save_prompt_cache")
