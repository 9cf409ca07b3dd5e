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

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ..errors import RgmlxError
from ..kernels import launch
from ..settings import OFF
from . import mlx_lm_cache, projections, sharding
from .backpressure import Pace
from .chunk import Chunk, plan_chunk, plan_packed, plan_step
from .config import ModelConfig
from .host.forward import Forward
from .layers import Griffin, Joining, Pair
from .rope import Rotary
from .state import State, empty_layer
from .trace import Trace

# Parameters that stay float32 in every model: what follows the sigmoids, and the norms.
FLOAT32_PARAMETERS = ("norm.weight", "recurrent_param", "gate_bias", "conv_1d.weight", "conv_1d.bias")


def stays_float32(name: str) -> bool:
    """Whether a parameter is kept in float32 whatever the compute dtype."""
    return name.endswith(FLOAT32_PARAMETERS)


class RecurrentGemma(nn.Module):
    """The network with its head; `rgmlx.mlx_lm.Model` is the drop-in for mlx-lm's class."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model_type = "recurrent_gemma"
        self.model = Griffin(config)
        self.own_head(not config.tie_word_embeddings)
        self.draft = OFF
        self._rotary = Rotary(config.rotary_dim, config.rope_theta)
        self._compiled: dict[Any, Any] = {}
        self._in_numpy: Forward | None = None
        self.group: mx.distributed.Group | None = None

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

    def look_ahead(self, tokens: mx.array, state: State) -> Trace:
        """Reads tokens that may come next, without moving the state; the trace has the state behind each of them.

        Args:
            tokens: integer array [1, T], of at most as many tokens as the ring has slots.
        """
        if forward := self._forward():
            hidden, parts = forward.look_ahead(tokens, state)
        else:
            chunk = plan_chunk(
                self.config, self._rotary, state.positions, tokens.shape[1], None, not self.training, traced=True
            )
            hidden, parts = self.model(tokens, state.layers, chunk, self.compute_dtype)
        return Trace(state.copy(), hidden, parts)

    def packed(self, tokens: mx.array, positions: mx.array) -> mx.array:
        """The normed outputs [B, T, D] of rows that hold several sequences each, none of which sees another; for training.

        Args:
            tokens: integer array [B, T].
            positions: int32 [B, T], of each token in its own sequence: 0 where one begins, and at the start of a row.
        """
        self._refuse_training()
        dtype = self.compute_dtype
        states = [empty_layer(self.config, t, tokens.shape[0], dtype) for t in self.config.layer_types]
        chunk = plan_packed(self.config, self._rotary, positions, dtype)
        return self.model(tokens, states, chunk, dtype)[0]

    def head(self, hidden: mx.array, inference: bool = True) -> mx.array:
        """Normed outputs [..., D] -> logits, float32 [..., V], soft-capped. `inference`: nobody asks for a derivative."""
        if inference and hidden.dtype == mx.float32 and (forward := self._forward(head=True)):
            return forward.head(hidden)
        layer = self.lm_head if "lm_head" in self else self.model.embed_tokens
        logits = projections.head(hidden, layer, inference)
        if self.model.group is not None:
            logits = sharding.beside(logits, -1, self.model.group)
        logits = logits.astype(mx.float32)
        cap = self.config.logits_soft_cap
        return mx.tanh(logits / cap) * cap if cap else logits

    def _forward(self, head: bool = False) -> Forward | None:
        """The network in NumPy, where that is what computes here and this network is one that it computes.

        `head`: only the head is asked for, and only its parameters are looked at. A network that ranks share has none.
        """
        if self.group is not None or self.training or launch.backend() != "numpy":
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

    # --- ranks ----------------------------------------------------------------------------

    def shard(self, group: mx.distributed.Group | None = None) -> None:
        """Shares the network out on the ranks of a group (None: all there are), as mlx-lm asks for it: see `sharding`.

        Each rank calls it with the same whole network, keeps its part of the parameters and computes the same outputs;
        `config` has the shapes of that part from then on. A group of one changes nothing.

        Raises:
            RgmlxError: so many ranks can't share this network, or it is shared out already, or has adapters.
        """
        if self.group is not None:
            raise RgmlxError("this model is shared out on ranks already: load it again to share it out otherwise")
        group = group or mx.distributed.init()
        if group.size() == 1:
            return
        sharding.shard(self, group)
        self.group, self._in_numpy = group, None
        self._compiled.clear()

    def _refuse_training(self) -> None:
        if self.group is not None and self.training:
            raise RgmlxError("a model that is shared out on ranks is not trained: train it whole, or call its `eval()`")

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
        if (tokens is None) == (inputs is None):
            raise TypeError("give the token ids once, as tokens or as inputs")
        tokens = inputs if tokens is None else tokens
        assert tokens is not None
        self._refuse_training()
        if cache is None:  # training and scoring: from an empty state that is thrown away
            dtype = self.compute_dtype
            states = [empty_layer(self.config, t, tokens.shape[0], dtype) for t in self.config.layer_types]
            chunk = plan_chunk(self.config, self._rotary, [0] * tokens.shape[0], tokens.shape[1], None)
            return self.head(self.model(tokens, states, chunk, dtype)[0], inference=False)
        return self.head(mlx_lm_cache.advance_cache(self, tokens, cache))

    def make_cache(self) -> list[Any]:
        """mlx-lm cache objects, one a layer, that carry our fixed-size state."""
        return mlx_lm_cache.make_cache(self)

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
