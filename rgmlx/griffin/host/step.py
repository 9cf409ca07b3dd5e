"""One token a row through all blocks, in arrays that are made once.

    shapes   B batch   D hidden_size   L lru_width   H gate blocks   E channels of one, or head_dim   K taps

A step of a small model is some hundred operations on a few numbers each, and between them matrices flow through the
caches: what counts is how many operations and arrays there are. Biases are therefore a row of the matrix, which a 1 at
the end of each input takes up; scales are worked into weights; each array, with its views, stays where it is.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from . import attention
from .layers import Attention, Block, Recurrent

_SLOPE = -2.0 * math.sqrt(2.0 / math.pi)
"""gelu(x) is x / (1 + exp(_SLOPE (x + 0.044715 x^3)))."""

Arrays = tuple[mx.array, mx.array]


class Step:
    """Takes the residual stream from the embedding to the last norm."""

    def __init__(self, blocks: Sequence[Block], norm: np.ndarray, eps: float) -> None:
        """`norm`: the weight of the last norm."""
        self._blocks = blocks
        self._gates = [_Gates(b.temporal) if isinstance(b.temporal, Recurrent) else None for b in blocks]
        self._norm, self._eps = 1.0 + norm, eps
        self._mine = threading.local()

    def __call__(
        self, x: np.ndarray, layers: Sequence[Arrays], positions: Sequence[int], cosine: np.ndarray, sine: np.ndarray
    ) -> tuple[list[Arrays], mx.array]:
        """
        Args:
            x: embeddings of the tokens, scaled [B, D]; overwritten.
            layers: of the state; not written to.
            positions: of the tokens, one a row, none of them 0.
            cosine, sine: [B, 1, half].

        Returns:
            The next layers, and the normed outputs [B, D].
        """
        w = self._workspace(len(x))
        turn = np.stack([cosine, cosine], axis=2), np.stack([-sine, sine], axis=2)  # [B, 1, 2, half]
        new: list[Arrays] = []
        for block, gates, layer in zip(self._blocks, self._gates, layers, strict=True):
            # 1. the temporal block; what the block before added belongs to the stream first
            if new:
                x += w.added
            w.norm(x, block.temporal_eps)
            if isinstance(block.temporal, Recurrent):
                assert gates is not None and w.recurrent is not None
                new.append(w.recurrent(w, block.temporal, gates, layer))
            else:
                assert w.attention is not None
                new.append(w.attention(w, block.temporal, layer, positions, turn))
            x += w.added
            # 2. the MLP
            w.norm(x, block.channel_eps)
            block.inner.affine(w.normed, w.both)
            _gelu_product(w.gate, w.up, w.scratch, w.hidden.numbers)
            block.down.affine(w.hidden.whole, w.added)
        x += w.added
        w.norm(x, self._eps)
        return new, mx.array(w.normed_numbers * self._norm)

    def _workspace(self, batch: int) -> _Workspace:
        """This thread's, for so many rows: the last one is kept."""
        found: _Workspace | None = getattr(self._mine, "workspace", None)
        if found is None or found.batch != batch:
            found = self._mine.workspace = _Workspace(self._blocks, batch)
        return found


class _Gates:
    """The parameters between the projections of a recurrent block, in the form of a step.

    conv: [K + 1, L], the bias first.
    gates: both gate matrices [2, H, E, E] and their biases [2, H, 1, E], negated: a sigmoid is 1 / (1 + exp(-x)).
    decay: [H, 1, E], twice `rg_lru.decay`: of it comes the logarithm of a squared.
    """

    def __init__(self, block: Recurrent) -> None:
        w = block.weights
        heads, size, _ = w.gates.shape
        self.conv = np.concatenate([w.conv_bias[None], w.conv_weight[:, :, 0].T])
        self.gates = -np.stack([w.gates[..., :size], w.gates[..., size:]])
        self.biases = -np.stack([w.gate_bias[:, :size], w.gate_bias[:, size:]])[:, :, None]
        self.decay = 2.0 * w.decay.reshape(heads, 1, size)


class _Row:
    """Rows that end in 1, for `Matrix.affine`.

    whole: [B, width + 1];  numbers: all but the last column.
    """

    def __init__(self, batch: int, width: int) -> None:
        self.whole = np.ones((batch, width + 1), np.float32)
        self.numbers = self.whole[:, :-1]


class _Workspace:
    """The arrays of a step, with their views."""

    def __init__(self, blocks: Sequence[Block], batch: int) -> None:
        width, middle = blocks[0].down.widths[0], blocks[0].inner.widths[0]
        self.batch = batch
        self.added = np.empty((batch, width), np.float32)
        rows = _Row(batch, width)
        self.normed, self.normed_numbers = rows.whole, rows.numbers
        self.both = np.empty((batch, 2 * middle), np.float32)
        self.gate, self.up = self.both[:, :middle], self.both[:, middle:]
        self.scratch = np.empty((batch, middle), np.float32)
        self.hidden = _Row(batch, middle)
        kinds = [b.temporal for b in blocks]
        self.recurrent = next((_RecurrentStep(k, batch) for k in kinds if isinstance(k, Recurrent)), None)
        self.attention = next((_AttentionStep(k, batch) for k in kinds if isinstance(k, Attention)), None)

    def norm(self, x: np.ndarray, eps: float) -> None:
        """x [B, D], normed, without a weight."""
        size = x.shape[1]
        if self.batch == 1:
            np.multiply(x, 1.0 / math.sqrt(float(np.dot(x[0], x[0])) / size + eps), out=self.normed_numbers)
            return
        square = np.einsum("bd,bd->b", x, x)
        square /= size
        square += eps
        np.divide(x, np.sqrt(square)[:, None], out=self.normed_numbers)


class _RecurrentStep:
    """A recurrent block on rows that are normed; what ends in `_heads` is in the order of the gate blocks [H, B, E]."""

    def __init__(self, block: Recurrent, batch: int) -> None:
        (heads, size, _), taps = block.weights.gates.shape, block.weights.conv_weight.shape[1]
        width = heads * size

        def by_heads(rows: np.ndarray) -> np.ndarray:
            return rows.reshape(batch, heads, size).swapaxes(0, 1)

        # ones, the K-1 inputs before, the new one, and the branch beside: the product of the entry lands behind
        window = np.ones((batch, taps + 2, width), np.float32)
        self._taps, self._tail, self._next_tail = window[:, : taps + 1], window[:, 1:taps], window[:, 2 : taps + 1]
        self._product = window[:, taps:].reshape(batch, 2 * width)
        self._branch_heads = by_heads(window[:, -1])
        self._terms = np.empty((batch, taps + 1, width), np.float32)
        self._z = np.empty((batch, width), np.float32)
        self._z_heads = by_heads(self._z)
        self._gates = np.empty((2, heads, batch, size), np.float32)
        self._factors = np.empty((2, heads, batch, size), np.float32)
        self._scratch = np.empty((heads, batch, size), np.float32)
        self._h = np.empty((batch, width), np.float32)
        self._h_heads = by_heads(self._h)
        self._inner = _Row(batch, width)
        self._inner_heads = by_heads(self._inner.numbers)
        self._shape = batch, heads, size

    def __call__(self, w: _Workspace, block: Recurrent, p: _Gates, state: Arrays) -> Arrays:
        # 1. the projections and the convolution
        self._tail[...] = np.array(state[0], copy=False)
        block.entry.affine(w.normed, self._product)
        np.multiply(self._taps, p.conv, out=self._terms)
        np.add.reduce(self._terms, axis=1, out=self._z)
        # 2. the gates
        gates = np.matmul(self._z_heads, p.gates, out=self._gates)
        gates += p.biases
        np.exp(gates, out=gates)
        gates += 1.0
        np.reciprocal(gates, out=gates)
        # 3. h = a h + sqrt(1 - a^2) i z, of a^2 - 1 = expm1(2 log a)
        a, b = self._factors
        less = np.multiply(gates[1], p.decay, out=self._scratch)
        np.expm1(less, out=less)
        np.add(less, 1.0, out=a)
        np.negative(less, out=b)
        np.sqrt(self._factors, out=self._factors)
        a *= np.array(state[1], copy=False).reshape(self._shape).swapaxes(0, 1)
        b *= gates[0]
        b *= self._z_heads
        h = np.add(a, b, out=self._h_heads)
        # 4. the branch beside, and out
        _gelu_product(self._branch_heads, h, self._scratch, self._inner_heads)
        block.exit.affine(self._inner.whole, w.added)
        return mx.array(self._next_tail), mx.array(self._h)


class _AttentionStep:
    """Local attention on rows that are normed."""

    def __init__(self, block: Attention, batch: int) -> None:
        heads, groups = block.heads, block.kv_heads
        size = block.entry.widths[0] // heads
        self._batch, self._scale = batch, size**-0.5
        self._product = np.empty((batch, sum(block.entry.widths)), np.float32)
        by_heads = self._product.reshape(batch, heads + 2 * groups, size)
        self._turned = by_heads[:, : heads + groups]
        self._queries, self._keys = self._turned[:, :heads], self._turned[:, heads:]
        self._values = by_heads[:, heads + groups :]
        self._inner = _Row(batch, heads * size)
        self._inner_heads = self._inner.numbers.reshape(batch, groups, heads // groups, size)

    def __call__(
        self,
        w: _Workspace,
        block: Attention,
        state: Arrays,
        positions: Sequence[int],
        turn: tuple[np.ndarray, np.ndarray],
    ) -> Arrays:
        block.entry.affine(w.normed, self._product)
        # 1. the rotation of the first 2 half numbers of a head: (a, b) -> (a cos - b sin, b cos + a sin)
        cosine, sine = turn
        half = cosine.shape[-1]
        pairs = self._turned[..., : 2 * half].reshape(*self._turned.shape[:2], 2, half)
        across = pairs[:, :, ::-1] * sine
        pairs *= cosine
        pairs += across
        self._queries *= self._scale
        # 2. a copy of the rings, which NumPy writes to through a view of it
        rings = mx.array(np.array(state[0], copy=False)), mx.array(np.array(state[1], copy=False))
        keys, values = (np.array(ring, copy=False) for ring in rings)
        self._inner_heads[...] = attention.step(self._queries, self._keys, self._values, keys, values, positions)
        block.exit.affine(self._inner.whole, w.added)
        return rings


def _gelu_product(x: np.ndarray, y: np.ndarray, scratch: np.ndarray, out: np.ndarray) -> None:
    """gelu(x) y. exp overflows to infinity below -14 or so, and the result is 0, as it should be."""
    np.square(x, out=scratch)
    scratch *= 0.044715 * _SLOPE
    scratch += _SLOPE
    scratch *= x
    np.exp(scratch, out=scratch)
    scratch += 1.0
    np.divide(x, scratch, out=scratch)
    np.multiply(scratch, y, out=out)
