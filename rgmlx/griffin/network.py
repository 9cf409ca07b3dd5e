"""RecurrentGemma, top to bottom.

    shapes   B batch   T time   D hidden_size   L lru_width   H heads   G kv heads   E head_dim
             R ring slots (window + 1)   K conv width   V vocabulary

    tokens [B, T] -> embedding * sqrt(D) -> N blocks -> norm -> logits [B, T, V]
    block:  x + temporal(norm(x)), then  x + mlp(norm(x))        temporal: recurrent or local attention

The network knows token ids and states, nothing of text. Precision: matrix products run in the
compute dtype; norms, gates, recurrence, rotary angles, the residual stream and the logits in
float32. Parameter names are those of Hugging Face and mlx-lm, so either's weights load.
Arithmetic: DeepMind's `recurrentgemma`; where implementations differ, its choice is taken (a token
attends to itself and `window` tokens before it; eps 1e-6; the embedding scale rounded to bfloat16).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from .. import kernels, projections
from ..chunk import Chunk, plan_chunk, plan_packed, plan_step
from ..config import ATTENTION, ModelConfig
from ..host.forward import Forward
from ..kernels import launch
from ..pace import Pace
from ..projections import Joined, product
from ..rope import Rotary
from ..state import State, empty_layer

_QUERIES = 256  # of a chunk that attend at once while memory is to stay small
_FUSED = (64, 80, 128)
"""Head sizes at which Metal's attention of many queries keeps no scores. At any other, 256 too, it is plain operations:
`ScaledDotProductAttention::use_fallback` in MLX's backend/metal/scaled_dot_product_attention.cpp (0.32), which takes its
own kernel for 256 on an M5 alone, and from 1,024 queries on; a chunk has fewer."""
Pair = tuple[mx.array, mx.array]
Added = tuple[mx.array | None, mx.array | None]
"""What a block adds to the residual stream: a product, and the bias still to be added to it."""

# Parameters that stay float32 in every model: what follows the sigmoids, and the norms.
FLOAT32_PARAMETERS = ("norm.weight", "recurrent_param", "gate_bias", "conv_1d.weight", "conv_1d.bias")


def stays_float32(name: str) -> bool:
    """Whether a parameter is kept in float32 whatever the compute dtype."""
    return name.endswith(FLOAT32_PARAMETERS)


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

    def join(self) -> None:
        """Joins the projections' weights where they are of one kind; see `projections`."""
        with contextlib.suppress(ValueError):
            self._joined = Joined([self[name] for name in self.joins])

    def project(self, x: mx.array, chunk: Chunk) -> tuple[mx.array, mx.array | None]:
        """All the products side by side [..., sum of widths], and the bias still to be added."""
        return product(x, [self[name] for name in self.joins], self._joined, chunk)


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
        return product(y, [self.linear_out], None, chunk), state

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
            y, tail, h = kernels.recurrent_step(inputs, chunk.first, raw=True)
        else:
            blocks, raw = weights[0].shape[0], chunk.is_inference
            lengths, positions = chunk.lengths, chunk.positions
            z, tail = kernels.conv(inner, bias, tail, conv_weight, conv_bias, lengths, blocks, raw, positions)
            recurrence = kernels.Recurrence(z, z @ weights[0], z @ weights[1], *biases, decay, h)
            y, h = kernels.gated(recurrence, chunk.first, lengths, inner, bias, raw, positions)
        return y, (tail, h)


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
            return product(y, [self.o_proj], None, chunk), (keys, values)
        assert chunk.cos is not None and chunk.sin is not None
        q, k, v = kernels.rotary(inner, bias, chunk.cos, chunk.sin, self.heads, self.kv_heads, raw=chunk.is_inference)
        (k, keys), (v, values) = (chunk.with_ring(ring, new) for ring, new in zip(state, (k, v), strict=True))
        y = attend_paced(q, k, v, chunk).swapaxes(1, 2).reshape(batch, time, -1)
        return product(y, [self.o_proj], None, chunk), (keys, values)


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
            inner = kernels.gelu_product(both, None, bias, raw=chunk.is_inference)
            del both
        if chunk.pace:
            chunk.pace(inner, 3 * inner.nbytes)
        return product(inner, [self.down_proj], None, chunk)


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

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = [Block(config, kind) for kind in config.layer_types]
        self.final_norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.embed_scale = embedding_scale(config)

    def __call__(
        self, tokens: mx.array, states: Sequence[Pair], chunk: Chunk, dtype: mx.Dtype
    ) -> tuple[mx.array, list[Pair]]:
        x = projections.embed(tokens, self.embed_tokens, dtype).astype(mx.float32) * self.embed_scale
        added: Added = (None, None)
        new = []
        for block, state in zip(self.layers, states, strict=True):
            x, added, state = block(x, added, state, chunk, dtype)
            new.append(state)
        return self.final_norm(x, added, dtype, chunk)[1], new


class RecurrentGemma(nn.Module):
    """The network with its head; `rgmlx.mlx_lm.Model` is the drop-in for mlx-lm's class."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model_type = "recurrent_gemma"
        self.model = Griffin(config)
        self.own_head(not config.tie_word_embeddings)
        self._rotary = Rotary(config.rotary_dim, config.rope_theta)
        self._compiled: dict[Any, Any] = {}
        self._in_numpy: Forward | None = None

    # --- what a token loop needs ----------------------------------------------------------

    @property
    def layers(self) -> list[nn.Module]:
        return self.model.layers

    @property
    def compute_dtype(self) -> mx.Dtype:
        """The dtype of matrix products, read off a parameter that is never quantized.

        A subclass may name a wider one than parameters are stored in: products then widen them as they go.
        """
        block = self.layers[0].temporal_block
        return block.rg_lru.input_gate_weight.dtype if "rg_lru" in block else block.o_proj.bias.dtype

    def advance(self, tokens: mx.array, state: State, lengths: Sequence[int] | None = None) -> mx.array:
        """Consumes tokens: moves the state forward and returns what the head needs.

        Args:
            tokens: integer array [B, T].
            state: advanced in place by T tokens, or by `lengths` tokens.
            lengths: how many tokens of each row count; the rest is padding on the right.

        Returns:
            The normed outputs [B, T, D] in the compute dtype; padding rows are meaningless.
        """
        batch, time = tokens.shape
        dtype = self.compute_dtype
        if forward := self._forward():
            hidden = forward.advance(tokens, state, lengths)
        elif time == 1 and lengths is None:
            compiled = not self.training and mx.default_device() == mx.gpu
            placed = launch.backend() == "cuda"
            chunk = plan_step(self.config, self._rotary, state.positions, compiled, placed)
            step = self._compiled_step if compiled else self.model
            hidden, state.layers = step(tokens, state.layers, chunk, dtype)
            state.hidden = hidden[:, 0]
        else:
            pace = Pace() if mx.default_device() == mx.gpu and not self.training else None
            chunk = plan_chunk(self.config, self._rotary, state.positions, time, lengths, not self.training, pace)
            hidden, state.layers = self.model(tokens, state.layers, chunk, dtype)
            if lengths is None:
                state.hidden = mx.contiguous(hidden[:, -1])
            else:
                counts = mx.array(list(lengths), mx.int32)[:, None]
                last = mx.take_along_axis(hidden, mx.maximum(counts - 1, 0)[..., None], axis=1)[:, 0]
                state.hidden = mx.where(counts > 0, last, state.hidden)
        for row in range(batch):
            state.positions[row] += time if lengths is None else lengths[row]
        return hidden

    def packed(self, tokens: mx.array, positions: mx.array) -> mx.array:
        """The normed outputs [B, T, D] of rows that hold several sequences each, none of which sees another; for training.

        Args:
            tokens: integer array [B, T].
            positions: int32 [B, T], of each token in its own sequence: 0 where one begins, and at the start of a row.
        """
        dtype = self.compute_dtype
        states = [empty_layer(self.config, t, tokens.shape[0], dtype) for t in self.config.layer_types]
        chunk = plan_packed(self.config, self._rotary, positions, dtype)
        return self.model(tokens, states, chunk, dtype)[0]

    def head(self, hidden: mx.array, inference: bool = True) -> mx.array:
        """Normed outputs [..., D] -> logits, float32 [..., V], soft-capped. `inference`: nobody asks for a derivative."""
        if inference and hidden.dtype == mx.float32 and (forward := self._forward(head=True)):
            return forward.head(hidden)
        layer = self.lm_head if "lm_head" in self else self.model.embed_tokens
        logits = projections.head(hidden, layer, inference).astype(mx.float32)
        cap = self.config.logits_soft_cap
        return mx.tanh(logits / cap) * cap if cap else logits

    def _forward(self, head: bool = False) -> Forward | None:
        """The network in NumPy, where that is what computes here and this network is one that it computes.

        `head`: only the head is asked for, and only its parameters are looked at.
        """
        if self.training or launch.backend() != "numpy":
            return None
        if self._in_numpy is None or not self._in_numpy.fits(head):
            try:
                self._in_numpy = Forward(self)
            except ValueError:
                return None
        return self._in_numpy

    def join_projections(self) -> None:
        """Stores projections that read the same input as one matrix (`projections`); parameters stay what they are."""
        for module in self.modules():
            if isinstance(module, Joining):
                module.join()
        self._compiled.clear()

    def _compiled_step(
        self, tokens: mx.array, states: list[Pair], chunk: Chunk, dtype: mx.Dtype
    ) -> tuple[mx.array, list[Pair]]:
        """One token a row, compiled as a whole: on a GPU its cost is the number of launches.

        Not for a CPU, where each fused kernel would cost half a second of g++ at the first reply.
        """
        form, arrays = chunk.split()
        step = self._compiled.get(form)
        if step is None:

            def run(tokens: mx.array, states: list[Pair], arrays: list[mx.array]) -> tuple[mx.array, list[Pair]]:
                return self.model(tokens, states, form.join(arrays), dtype)

            step = self._compiled[form] = mx.compile(run)
        return step(tokens, states, arrays)

    def update(self, *args: Any, **kwargs: Any) -> nn.Module:
        """As `nn.Module.update`; a compiled step holds the old weights and is dropped."""
        self._compiled.clear()
        return super().update(*args, **kwargs)

    def update_modules(self, *args: Any, **kwargs: Any) -> nn.Module:
        """As `nn.Module.update_modules`; a compiled step holds the old modules and is dropped."""
        self._compiled.clear()
        return super().update_modules(*args, **kwargs)

    # --- mlx-lm's protocol ----------------------------------------------------------------

    def __call__(
        self, tokens: mx.array | None = None, cache: Sequence[Any] | None = None, *, inputs: mx.array | None = None
    ) -> mx.array:
        """Logits float32 [B, T, V] of token ids [B, T], which most of mlx-lm's classes call `inputs`.

        With a cache from `make_cache`, continues and updates it.

        Raises:
            RgmlxError: the cache is another model's, or of another batch size.
            TypeError: there are no tokens, or two of them.
        """
        from .. import mlx_lm

        if (tokens is None) == (inputs is None):
            raise TypeError("give the token ids once, as tokens or as inputs")
        tokens = inputs if tokens is None else tokens
        assert tokens is not None
        if cache is None:  # training and scoring: from an empty state that is thrown away
            dtype = self.compute_dtype
            states = [empty_layer(self.config, t, tokens.shape[0], dtype) for t in self.config.layer_types]
            chunk = plan_chunk(self.config, self._rotary, [0] * tokens.shape[0], tokens.shape[1], None)
            return self.head(self.model(tokens, states, chunk, dtype)[0], inference=False)
        return self.head(mlx_lm.advance_cache(self, tokens, cache))

    def make_cache(self) -> list[Any]:
        """mlx-lm cache objects, one a layer, that carry our fixed-size state."""
        from .. import mlx_lm

        return mlx_lm.make_cache(self)

    def sanitize(self, weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """Brings a checkpoint's tensors into our layout: conv [L, 1, K] -> [L, K, 1]; a head of its own kept."""
        kernel = self.config.conv1d_width
        out = {}
        for name, w in weights.items():
            if name.endswith("conv_1d.weight") and w.ndim == 3 and w.shape[1:] == (1, kernel):
                w = w.swapaxes(1, 2)
            out[name] = w
        self.own_head("lm_head.weight" in out)
        return out

    def own_head(self, present: bool) -> None:
        """Gives the network a head of its own when the checkpoint has one, whatever its config says."""
        if present and "lm_head" not in self:
            self.lm_head = nn.Linear(self.config.hidden_size, self.config.vocab_size, bias=False)
