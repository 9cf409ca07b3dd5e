"""A chunk of tokens that may come next, with what each of them leaves behind: the state at any of them is picked, not
computed again.

    shapes   T time   D hidden size   L lru_width   K conv width   G kv heads   E head_dim   R ring slots

A layer that is traced returns, in place of the two arrays of its next state:

    recurrent layer    all inputs of the convolution [1, K-1+T, L], the K-1 before included; all states, float32 [1, T, L]
    attention layer    the new keys and values [1, G, T, E]
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx

from .config import ATTENTION
from .state import State

Pair = tuple[mx.array, mx.array]


class Trace:
    """What was read ahead of a state, which has not moved.

    Attributes:
        hidden: the normed outputs behind each token [1, T, D].
    """

    def __init__(self, before: State, hidden: mx.array, parts: Sequence[Pair]) -> None:
        self._before, self.hidden, self._parts = before, hidden, parts

    def state(self, count: int) -> State:
        """The state behind the first `count` tokens, 1 or more; `recent` is as it was before them."""
        state = self._before.copy()
        position, config = state.position, state.owner.config
        state.layers = [
            self._rings(old, part, position, count)
            if kind == ATTENTION
            else (
                mx.contiguous(part[0][:, count : count + config.conv1d_width - 1]),
                mx.contiguous(part[1][:, count - 1]),
            )
            for kind, old, part in zip(config.layer_types, state.layers, self._parts, strict=True)
        ]
        state.hidden = mx.contiguous(self.hidden[:, count - 1])
        state.positions = [position + count]
        return state

    def _rings(self, old: Pair, new: Pair, position: int, count: int) -> Pair:
        """Both rings with the first `count` keys and values in their slots."""
        ring = old[0].shape[2]
        slot = position % ring
        until_end = min(count, ring - slot)

        def written(to: mx.array, what: mx.array) -> mx.array:
            to = mx.slice_update(to, what[:, :, :until_end], mx.array([slot]), axes=(2,))
            if count > until_end:
                to = mx.slice_update(to, what[:, :, until_end:count], mx.array([0]), axes=(2,))
            return to

        return written(old[0], new[0]), written(old[1], new[1])
