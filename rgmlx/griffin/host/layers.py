"""The blocks of the network as NumPy arrays, and a chunk of many tokens through one of them.

    shapes   B batch   T time   D hidden_size   L lru_width

The norm before a matrix is worked into it. One token a row goes another way: see `step`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from ...kernels.add_norm import host as add_norm
from ...kernels.gelu_product import host as gelu_product
from ...kernels.recurrent_step import host as recurrent
from ...kernels.recurrent_step import host_weights
from ...kernels.rotary import host as rotary
from . import attention
from .matrices import Matrix, Room


class Plan:
    """What is worked out once for a chunk."""

    def __init__(
        self,
        angles: tuple[np.ndarray, np.ndarray],
        positions: Sequence[int],
        time: int,
        lengths: Sequence[int] | None,
        traced: bool = False,
    ) -> None:
        """`traced`: blocks return what `griffin.trace` takes, in place of the next state."""
        self.cosine, self.sine = angles
        self.positions, self.traced = list(positions), traced
        self.first = np.array([p == 0 for p in positions]) if 0 in positions else None
        self.lengths = None if lengths is None else np.array(lengths)
        self.counts = np.full(len(positions), time) if lengths is None else np.array(lengths)


Added = tuple[np.ndarray | None, np.ndarray | None]
Pair = tuple[np.ndarray, np.ndarray]


class Block:
    """One residual block."""

    def __init__(self, block: Any, room: Room | None) -> None:
        temporal, mlp = block.temporal_block, block.mlp_block
        kind = Recurrent if "rg_lru" in temporal else Attention
        self.temporal = kind(temporal, room, to_numpy(block.temporal_pre_norm.weight))
        self.inner = Matrix([mlp.gate_proj, mlp.up_proj], room, 1.0 + to_numpy(block.channel_pre_norm.weight))
        self.down = Matrix([mlp.down_proj], room)
        self.temporal_eps, self.channel_eps = block.temporal_pre_norm.eps, block.channel_pre_norm.eps

    def __call__(self, x: np.ndarray, added: Added, state: Pair, plan: Plan) -> tuple[np.ndarray, Added, Pair]:
        x, y = add_norm(x, *added, None, self.temporal_eps)
        product, bias, state = self.temporal(y, state, plan)
        x, y = add_norm(x, product, bias, None, self.channel_eps)
        inner = gelu_product(_times(y, self.inner), None, self.inner.bias)
        return x, (_times(inner, self.down), self.down.bias), state


class Recurrent:
    """Convolution, gates and RG-LRU, between their projections."""

    def __init__(self, block: Any, room: Room | None, norm: np.ndarray) -> None:
        p, conv = block.rg_lru, block.conv_1d
        self.entry = Matrix([block.linear_x, block.linear_y], room, 1.0 + norm)
        self.exit = Matrix([block.linear_out], room)
        self.weights = host_weights(
            self.entry.bias,
            *map(to_numpy, (conv.weight, conv.bias, p.input_gate_weight, p.recurrent_gate_weight)),
            *map(to_numpy, (p.input_gate_bias, p.recurrent_gate_bias, p.recurrent_param)),
        )

    def __call__(self, x: np.ndarray, state: Pair, plan: Plan) -> tuple[np.ndarray, np.ndarray | None, Pair]:
        y, *new = recurrent(_times(x, self.entry), *state, self.weights, plan.first, plan.lengths, plan.traced)
        return _times(y, self.exit), self.exit.bias, (new[0], new[1])


class Attention:
    """Local attention, between its projections."""

    def __init__(self, block: Any, room: Room | None, norm: np.ndarray) -> None:
        self.heads, self.kv_heads = block.heads, block.kv_heads
        self.entry = Matrix([block.q_proj, block.k_proj, block.v_proj], room, 1.0 + norm)
        self.exit = Matrix([block.o_proj], room)

    def __call__(self, x: np.ndarray, state: Pair, plan: Plan) -> tuple[np.ndarray, np.ndarray | None, Pair]:
        inner = _times(x, self.entry)
        q, k, v = rotary(inner, self.entry.bias, plan.cosine, plan.sine, self.heads, self.kv_heads)
        y, *new = attention.chunk(q, k, v, *state, plan.positions, plan.counts.tolist(), plan.traced)
        return _times(y, self.exit), self.exit.bias, (new[0], new[1])


def _times(x: np.ndarray, matrix: Matrix) -> np.ndarray:
    """[B, T, in] -> [B, T, out]."""
    return matrix(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], -1)


def to_numpy(a: mx.array) -> np.ndarray:
    return np.array(a.astype(mx.float32))
