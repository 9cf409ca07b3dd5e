"""RecurrentGemma's inference in NumPy: the same network as `network`, on the same parameters and the same state.

    shapes   B batch   T time   D hidden_size   L lru_width   V vocabulary

Only plain networks in float32 run here: what replaces a layer, such as an adapter, keeps MLX's operations.
A copy of the parameters is made at the first token, and anew when one of them is replaced.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ...kernels.add_norm import host as add_norm
from ...system import threads
from .. import layers as ours
from ..state import State
from .layers import Added, Block, Pair, Plan, to_numpy
from .matrices import Matrix, Room, fits_in_memory, numbers_in
from .step import Step

_LINEAR = (nn.Linear, nn.QuantizedLinear)
_EMBEDDING = (nn.Embedding, nn.QuantizedEmbedding)


class Forward:
    """The parameters of a network as NumPy arrays, and its forward pass.

    Valid as long as the network holds the arrays that were read (`fits`).
    """

    def __init__(self, network: nn.Module) -> None:
        """Raises ValueError for a network that does not run here."""
        config = network.config
        if network.compute_dtype != mx.float32 or not _is_plain(network):
            raise ValueError("this network needs MLX's operations")
        matrices = [m for _, m in network.named_modules() if type(m) in (*_LINEAR, *_EMBEDDING)]
        read = [(m, name) for _, m in network.named_modules() for name in m if isinstance(m[name], mx.array)]
        self._read = _Read(read)
        self._config, self._rotary, self._scale = config, network._rotary, network.model.embed_scale
        numbers = numbers_in(matrices)
        self.is_dense = fits_in_memory(numbers)
        room = Room(numbers) if self.is_dense else None
        self._embedding = Matrix([network.model.embed_tokens], room)
        own = "lm_head" in network
        self._head = Matrix([network.lm_head], room) if own else self._embedding
        head = network.lm_head if own else network.model.embed_tokens
        self._head_read = _Read([(m, name) for m, name in read if m is head])
        self._blocks = [Block(block, room) for block in network.layers]
        self._final_norm = to_numpy(network.model.final_norm.weight), network.model.final_norm.eps
        self._step = Step(self._blocks, *self._final_norm)

    def fits(self, head: bool = False) -> bool:
        """Whether the network still holds what was read. `head`: what is read for the logits, as far as that matters."""
        return (self._head_read if head else self._read).is_held()

    def look_ahead(self, tokens: mx.array, state: State) -> tuple[mx.array, list[tuple[mx.array, mx.array]]]:
        """As `Griffin` computes a chunk that is traced: the normed outputs [B, T, D], and a pair of arrays a layer."""
        with threads.limited(), np.errstate(over="ignore", invalid="ignore"):
            x = self._embedding.rows(np.array(tokens))
            x *= self._scale
            angles = self._rotary.cos_sin(state.positions, tokens.shape[1])
            hidden, parts = self._through(x, state, Plan(angles, state.positions, tokens.shape[1], None, traced=True))
        return mx.array(hidden), parts

    def advance(self, tokens: mx.array, state: State, lengths: Sequence[int] | None) -> mx.array:
        """As `RecurrentGemma.advance`, but for the positions, which the caller moves."""
        ids, (batch, time) = np.array(tokens), tokens.shape
        with threads.limited(), np.errstate(over="ignore", invalid="ignore"):
            # 1. what all layers share
            angles = self._rotary.cos_sin(state.positions, time)
            x = self._embedding.rows(ids)
            x *= self._scale
            if time == 1 and lengths is None and 0 not in state.positions:
                state.layers, state.hidden = self._step(x[:, 0], state.layers, state.positions, *angles)
                return state.hidden[:, None]
            plan = Plan(angles, state.positions, time, lengths)
            # 2. the blocks
            hidden, layers = self._through(x, state, plan)
        # 3. the state
        state.layers = layers
        if lengths is None:
            state.hidden = mx.array(hidden[:, -1])
        else:
            last = hidden[np.arange(batch), np.maximum(plan.counts - 1, 0)]
            before = np.array(state.hidden, copy=False)
            state.hidden = mx.array(np.where(plan.counts[:, None] > 0, last, before))
        return mx.array(hidden)

    def _through(self, x: np.ndarray, state: State, plan: Plan) -> tuple[np.ndarray, list[tuple[mx.array, mx.array]]]:
        """The residual stream through all blocks; what one adds to it is summed by the next norm."""
        added: Added = (None, None)
        layers = []
        for block, pair in zip(self._blocks, state.layers, strict=True):
            x, added, new = block(x, added, _pair(pair), plan)
            layers.append((mx.array(new[0]), mx.array(new[1])))
        return add_norm(x, *added, *self._final_norm)[1], layers

    def head(self, hidden: mx.array) -> mx.array:
        """Normed outputs [..., D] -> logits float32 [..., V], soft-capped."""
        x = np.array(hidden, copy=False)
        with threads.limited():
            logits = self._head(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1)
            if cap := self._config.logits_soft_cap:
                logits /= cap
                np.tanh(logits, out=logits)
                logits *= cap
        return mx.array(logits)


class _Read:
    """Parameters that were read, by the modules that hold them."""

    def __init__(self, read: Sequence[tuple[nn.Module, str]]) -> None:
        self._owners, self._names = [m for m, _ in read], [name for _, name in read]
        self._arrays = [m[name] for m, name in read]

    def is_held(self) -> bool:
        return all(map(operator.is_, map(dict.get, self._owners, self._names), self._arrays))


def _pair(pair: tuple[mx.array, mx.array]) -> Pair:
    return np.array(pair[0], copy=False), np.array(pair[1], copy=False)


def _is_plain(network: nn.Module) -> bool:
    """Whether every layer is of the kind that the network is made of."""
    known: set[type] = {
        type(network.model),
        *_LINEAR,
        *_EMBEDDING,
        ours.Block,
        ours.RecurrentBlock,
        ours.LocalAttention,
    }
    known |= {ours.MLP, ours.RMSNorm, ours.Conv1d, ours.RGLRU}
    return all(type(m) in known for _, m in network.named_modules() if m is not network)
