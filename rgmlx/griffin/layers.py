"""The layers of RecurrentGemma: norm, convolution, RG-LRU, local attention, MLP, the block of them, and the stack of blocks.

shapes   B batch   T time   D hidden_size   L lru_width   H heads   G kv heads   E head_dim
         R ring slots (window + 1)   K conv width
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from .. import kernels
from ..errors import RgmlxError
from ..kernels.elementwise import gelu
from . import projections
from .chunk import Chunk
from .config import ATTENTION, ModelConfig
from .projections import Joined, product

_QUERIES = 256  # of a chunk that attend at once while memory is to stay small
_FUSED = (64, 80, 128)
"""Head sizes at which Metal's attention of many queries keeps no scores. At any other, 256 too, it is plain operations:
`ScaledDotProductAttention::use_fallback` in MLX's backend/metal/scaled_dot_product_attention.cpp (0.32), which takes its
own kernel for 256 on an M5 alone, and from 1,024 queries on; a chunk has fewer."""
Pair = tuple[mx.array, mx.array]
Added = tuple[mx.array | None, mx.array | None]
"""What a block adds to the residual stream: a product, and the bias still to be added to it."""


class RMSNorm(nn.Module):
    """x * rsqrt(mean(x^2) + eps) * (1 + weight); `kernels.add_norm` computes it."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = mx.zeros((width,))
        self.eps = eps

    def __call__(self, x: mx.array, added: Added, dtype: mx.Dtype, chunk: Chunk) -> tuple[mx.array, mx.array]:
        """The residual stream with what the last block adds, and the norm of that in `dtype`."""
        return kernels.add_norm(x, *added, self.weight.astype(mx.float32), self.eps, dtype, chunk.is_inference)


class Conv1d(nn.Module):
    """The parameters of the convolution: weight [L, K, 1], bias [L]."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.weight = mx.zeros((width, kernel, 1))
        self.bias = mx.zeros((width,))


class RGLRU(nn.Module):
    """The parameters of the recurrence: Lambda and two block-diagonal gates."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        heads, block = config.num_attention_heads, config.gate_block
        self.recurrent_param = mx.zeros((config.lru_width,))
        self.input_gate_weight = mx.zeros((heads, block, block))
        self.input_gate_bias = mx.zeros((heads, block))
        self.recurrent_gate_weight = mx.zeros((heads, block, block))
        self.recurrent_gate_bias = mx.zeros((heads, block))


class Joining(nn.Module):
    """A module whose first projections read the same input and are multiplied as one."""

    _joined: Joined | None = None
    joins: tuple[str, ...] = ()
    group: mx.distributed.Group | None = None
    """The ranks that share this module's heads or width (`sharding`); None: it is whole."""

    def join(self) -> None:
        """Joins the projections' weights where they are of one kind; see `projections`."""
        with contextlib.suppress(ValueError):
            self._joined = Joined([self[name] for name in self.joins])

    def project(self, x: mx.array, chunk: Chunk) -> tuple[mx.array, mx.array | None]:
        """All the products side by side [..., sum of widths], and the bias still to be added."""
        return product(x, [self[name] for name in self.joins], self._joined, chunk)

    def out(self, y: mx.array, layer: nn.Module, chunk: Chunk) -> Added:
        """The output projection; of a module that ranks share, the sum of their products. The bias is still to be added.

        Raises:
            RgmlxError: an adapter is on a layer that ranks share.
        """
        y, bias = product(y, [layer], None, chunk)
        if self.group is None:
            return y, bias
        if bias is None:  # it is in the product, and would be added by every rank
            raise RgmlxError("a model that is shared out on ranks takes no adapters: fuse them before")
        return mx.distributed.all_sum(y, group=self.group), bias


class RecurrentBlock(Joining):
    """out( gelu(y) * RG-LRU(conv(x)) )."""

    joins = ("linear_x", "linear_y")

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, w = config.hidden_size, config.lru_width
        self.linear_y = nn.Linear(d, w)
        self.linear_x = nn.Linear(d, w)
        self.linear_out = nn.Linear(w, d)
        self.conv_1d = Conv1d(w, config.conv1d_width)
        self.rg_lru = RGLRU(config)

    def __call__(self, x: mx.array, state: Pair, chunk: Chunk) -> tuple[Added, Pair]:
        y, state = self.mix(x, state, chunk)
        return self.out(y, self.linear_out, chunk), state

    def mix(self, x: mx.array, state: Pair, chunk: Chunk) -> tuple[mx.array, Pair]:
        """All but the output projection."""
        tail, h = state
        inner, bias = self.project(x, chunk)
        if bias is None:
            bias = mx.zeros((inner.shape[-1],), inner.dtype)
        p = self.rg_lru
        weights = p.input_gate_weight, p.recurrent_gate_weight
        biases = p.input_gate_bias.astype(mx.float32), p.recurrent_gate_bias.astype(mx.float32)
        decay = p.recurrent_param.astype(mx.float32)
        conv_weight, conv_bias = self.conv_1d.weight.astype(mx.float32), self.conv_1d.bias.astype(mx.float32)
        if chunk.is_step:
            inputs = kernels.StepInputs(inner, bias, tail, conv_weight, conv_bias, *weights, *biases, decay, h)
            y, tail, h = kernels.recurrent_step(inputs, chunk.first, inference=True)
        else:
            blocks, inference = weights[0].shape[0], chunk.is_inference
            lengths, positions = chunk.lengths, chunk.positions
            z, tail = kernels.conv(inner, bias, tail, conv_weight, conv_bias, lengths, blocks, inference, positions)
            recurrence = kernels.Recurrence(z, z @ weights[0], z @ weights[1], *biases, decay, h)
            if chunk.traced:
                return self._traced(recurrence, (inner, bias), state[0], chunk)
            y, h = kernels.gated(recurrence, chunk.first, lengths, inner, bias, inference, positions)
        return y, (tail, h)

    def _traced(
        self, recurrence: kernels.Recurrence, inner: tuple[mx.array, mx.array], tail: mx.array, chunk: Chunk
    ) -> tuple[mx.array, Pair]:
        """As `mix`, with all inputs of the convolution [B, K-1+T, L] and all states [B, T, L] for `griffin.trace`."""
        (product, bias), width, dtype = inner, tail.shape[2], tail.dtype
        x, branch = (
            part.astype(mx.float32) + b.astype(mx.float32)
            for part, b in zip(mx.split(product, 2, axis=-1), mx.split(bias, 2), strict=True)
        )
        states, _ = kernels.rg_lru(recurrence, chunk.first, chunk.lengths)
        assert x.shape[2] == width
        return (states * gelu(branch)).astype(dtype), (mx.concatenate([tail, x.astype(dtype)], axis=1), states)


def attend(q: mx.array, k: mx.array, v: mx.array, mask: mx.array | str | None) -> mx.array:
    """softmax(q k^T / sqrt(E)) v, for q [B, H, T, E] and k, v [B, G, S, E]."""
    batch, heads, time, size = q.shape
    if time == 1 and not mx.metal.is_available():
        # MLX's one-query kernel exists on Metal only (for this head size); elsewhere the heads that
        # share keys are better off as the rows of one product than as a product each.
        q = q.reshape(batch, k.shape[1], -1, size)
    y = mx.fast.scaled_dot_product_attention(q, k, v, scale=size**-0.5, mask=mask)
    return y.reshape(batch, heads, time, size)


def attend_paced(q: mx.array, k: mx.array, v: mx.array, chunk: Chunk) -> mx.array:
    """`attend`, some queries at a time where the scores of all of them would be the largest arrays of all."""
    time, size = q.shape[2:]
    fused = mx.metal.is_available() and size in _FUSED
    if chunk.pace is None or time <= _QUERIES or fused:
        return attend(q, k, v, chunk.mask)
    parts = []
    for start in range(0, time, _QUERIES):
        end = min(start + _QUERIES, time)
        if isinstance(chunk.mask, mx.array):
            part = attend(q[:, :, start:end], k, v, chunk.mask[..., start:end, :])
        else:  # causal, from the first key on: the last query sees all
            part = attend(q[:, :, start:end], k[:, :, :end], v[:, :, :end], "causal")
        parts.append(part)
        chunk.pace(part, 3 * part.nbytes // part.shape[-1] * k.shape[2])
    return mx.concatenate(parts, axis=2)


class LocalAttention(Joining):
    """Sliding-window multi-query attention over a ring buffer of window + 1 keys."""

    joins = ("q_proj", "k_proj", "v_proj")

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d, e, bias = config.hidden_size, config.head_dim, config.attention_bias
        self.heads, self.kv_heads, self.head_dim = config.num_attention_heads, config.num_key_value_heads, e
        self.q_proj = nn.Linear(d, self.heads * e, bias=bias)
        self.k_proj = nn.Linear(d, self.kv_heads * e, bias=bias)
        self.v_proj = nn.Linear(d, self.kv_heads * e, bias=bias)
        self.o_proj = nn.Linear(self.heads * e, d, bias=True)

    def __call__(self, x: mx.array, state: Pair, chunk: Chunk) -> tuple[Added, Pair]:
        batch, time, _ = x.shape
        inner, bias = self.project(x, chunk)
        if chunk.place is not None:
            q, keys, values = kernels.rotary_step(inner, bias, chunk.place, *state)
            y = kernels.attend_step(q, keys, values, chunk.place)
            return self.out(y, self.o_proj, chunk), (keys, values)
        assert chunk.cos is not None and chunk.sin is not None
        q, k, v = kernels.rotary(
            inner, bias, chunk.cos, chunk.sin, self.heads, self.kv_heads, inference=chunk.is_inference
        )
        (k, keys), (v, values) = (chunk.with_ring(ring, new) for ring, new in zip(state, (k, v), strict=True))
        y = attend_paced(q, k, v, chunk).swapaxes(1, 2).reshape(batch, time, -1)
        return self.out(y, self.o_proj, chunk), (keys, values)


class MLP(Joining):
    """down( gelu(gate(x)) * up(x) )."""

    joins = ("gate_proj", "up_proj")

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.mlp_width)
        self.up_proj = nn.Linear(config.hidden_size, config.mlp_width)
        self.down_proj = nn.Linear(config.mlp_width, config.hidden_size)

    def __call__(self, x: mx.array, chunk: Chunk) -> Added:
        if self._joined is not None and self._joined.fits([self.gate_proj, self.up_proj]):
            inner = self._joined.gelu(x, chunk)
        else:
            both, bias = self.project(x, chunk)
            inner = kernels.gelu_product(both, None, bias, inference=chunk.is_inference)
            del both
        if chunk.pace:
            chunk.pace(inner, 3 * inner.nbytes)
        return self.out(inner, self.down_proj, chunk)


class Block(nn.Module):
    """One residual block: temporal mixing, then the MLP. The residual stream is float32.

    What a half of it adds to the stream is handed on as product and bias: the next norm adds them.
    """

    def __init__(self, config: ModelConfig, kind: str) -> None:
        super().__init__()
        self.temporal_pre_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.temporal_block = LocalAttention(config) if kind == ATTENTION else RecurrentBlock(config)
        self.channel_pre_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp_block = MLP(config)

    def __call__(
        self, x: mx.array, added: Added, state: Pair, chunk: Chunk, dtype: mx.Dtype
    ) -> tuple[mx.array, Added, Pair]:
        x, y = self.temporal_pre_norm(x, added, dtype, chunk)
        if chunk.pace:
            chunk.pace(x, 6 * x.nbytes)
        added, state = self.temporal_block(y, state, chunk)
        x, y = self.channel_pre_norm(x, added, dtype, chunk)
        if chunk.pace:
            chunk.pace(x, 6 * x.nbytes)
        return x, self.mlp_block(y, chunk), state


def embedding_scale(config: ModelConfig) -> float:
    """sqrt(D), rounded to bfloat16 in every dtype, as the models were trained (2B: 50.5)."""
    if not config.embeddings_scale_by_sqrt_dim:
        return 1.0
    return float(np.array(mx.array(math.sqrt(config.hidden_size)).astype(mx.bfloat16).astype(mx.float32)))


class Griffin(nn.Module):
    """Embedding, blocks and final norm."""

    group: mx.distributed.Group | None = None
    """The ranks that share the vocabulary (`sharding`); None: it is whole."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = [Block(config, kind) for kind in config.layer_types]
        self.final_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.embed_scale = embedding_scale(config)

    def __call__(
        self, tokens: mx.array, states: Sequence[Pair], chunk: Chunk, dtype: mx.Dtype
    ) -> tuple[mx.array, list[Pair]]:
        x = self.embed(tokens, dtype).astype(mx.float32) * self.embed_scale
        added: Added = (None, None)
        new = []
        for block, state in zip(self.layers, states, strict=True):
            x, added, state = block(x, added, state, chunk, dtype)
            new.append(state)
        return self.final_norm(x, added, dtype, chunk)[1], new

    def embed(self, tokens: mx.array, dtype: mx.Dtype) -> mx.array:
        """The rows of tokens [B, T] in the embedding [B, T, D], each from the rank that has it."""
        if self.group is None:
            return projections.embed(tokens, self.embed_tokens, dtype)
        size = self.embed_tokens["weight"].shape[0]
        own = tokens.astype(mx.int32) - self.group.rank() * size
        here = (own >= 0) & (own < size)
        rows = projections.embed(mx.where(here, own, 0), self.embed_tokens, dtype)
        rows = mx.where(here[..., None], rows, mx.zeros((), rows.dtype))
        return mx.distributed.all_sum(rows, group=self.group)
