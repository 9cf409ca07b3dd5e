"""Calibrated quantization of a whole model, one block at a time.

    shapes   B batch   T time   D hidden_size   V vocabulary   O, I outputs and inputs of a matrix

The calibration text goes through the network once. At each block its hidden states are what the blocks before it,
already quantized, make of the text; inside a block the matrices are quantized in the order in which data flows, and
each is compensated (`gptq`) for the inputs that the already quantized ones before it produce. So every matrix also
sees, and partly answers to, what rounding has done so far. Memory is that of one block in float32, of the hidden states
of the text, and of one Hessian.

Computes with the network's own modules, in float32. Knows names and settings only from those it is given: nothing of
files, recipes or tokenizers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from ..chunk import Chunk, plan_chunk
from ..config import ModelConfig
from ..network import Block, Griffin, RMSNorm
from ..rope import Rotary
from ..state import empty_layer
from .gptq import compensated

_TOKENS = 4096  # that go through a block at once
EMBEDDING, LAYERS, NORM, HEAD = "model.embed_tokens", "model.layers", "model.final_norm", "lm_head"

Read = Callable[[str], mx.array]
Choose = Callable[[str], "dict[str, Any] | None"]
Tensors = dict[str, mx.array]


class _Listener(nn.Module):
    """A layer that remembers its last input."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.heard = mx.zeros(())

    def __call__(self, x: mx.array) -> mx.array:
        self.heard = x
        return self.layer(x)


class Calibrator:
    """Turns a model's tensors into quantized ones, in the order embedding, blocks, final.

    Every tensor of the model is returned exactly once, under the names and in the layout of mlx-lm: `weight`, and for
    a quantized module `scales` and, in affine mode, `biases`.
    """

    def __init__(
        self, config: ModelConfig, read: Read, choose: Choose, rows: Sequence[Sequence[int]], dtype: mx.Dtype
    ) -> None:
        """Nothing is read or computed yet.

        Args:
            config: of the model; a head of its own is expected where `tie_word_embeddings` is False.
            read: gives an unquantized tensor by the name that the network has for it.
            choose: group_size, bits and mode for the path of a module that can be quantized; None leaves it.
                Only affine modes are compensated; others are rounded by `mx.quantize`.
            rows: token ids to calibrate with; rows of one length run together. Each starts a sequence.
            dtype: of scales, biases and everything that is not quantized.

        Raises:
            ValueError: there are no tokens.
        """
        self._config, self._read, self._choose, self._dtype = config, read, choose, dtype
        self._rotary = Rotary(config.rotary_dim, config.rope_theta)
        self._tokens = _batches(rows)
        self._hidden: list[mx.array] = []
        self._due = -1  # the block that comes next; -1: the embedding

    # --- the steps, in order --------------------------------------------------------------

    def embedding(self) -> Tensors:
        """The embedding; starts the hidden states. Raises ValueError if it is not the first call.

        A tied embedding is not compensated for the head's inputs: what that wins in the logits it loses at the other
        end, where rows are the model's input (measured: no better). It has the better scales alone.
        """
        self._turn(-1)
        alone = np.eye(self._config.hidden_size, dtype=np.float32)
        tensors = self._quantized(EMBEDDING, self._read(f"{EMBEDDING}.weight"), lambda: alone)
        self._start(tensors)
        return tensors

    def block(self, index: int) -> Tensors:
        """All tensors of a block; moves the hidden states through it as it is then, quantized.

        Raises:
            ValueError: it is not this block's turn.
        """
        self._turn(index)
        prefix, block = f"{LAYERS}.{index}.", self._blank(index)
        stages = _stages(block)
        chosen = [f"{path}.weight" for stage in stages for path in stage if self._choose(prefix + path)]
        sources = {name: self._read(prefix + name) for name, _ in tree_flatten(block.parameters())}
        tensors = {prefix + n: s.astype(self._dtype) for n, s in sources.items() if n not in chosen}
        # A matrix that will be quantized is exact until its turn comes.
        weights = {name: tensors.get(prefix + name, source) for name, source in sources.items()}
        block.load_weights([(name, w.astype(mx.float32)) for name, w in weights.items()])
        for stage in stages:
            hear = functools.cache(functools.partial(self._inputs, index, block, stage[0]))
            for path in stage:
                if f"{path}.weight" in chosen:
                    made = self._quantized(prefix + path, sources[f"{path}.weight"], hear)
                    tensors |= made
                    block.load_weights([(f"{path}.weight", self._dense(prefix + path, made))], strict=False)
        self._advance(index, block)
        return tensors

    def skip_block(self, index: int, tensors: Mapping[str, mx.array]) -> None:
        """Moves the hidden states through a block whose tensors `block` has returned before.

        Raises:
            ValueError: it is not this block's turn.
        """
        self._turn(index)
        prefix, block = f"{LAYERS}.{index}.", self._blank(index)
        weights = []
        for name, _ in tree_flatten(block.parameters()):
            dense = name.endswith(".weight") and f"{prefix}{name.removesuffix('weight')}scales" in tensors
            w = self._dense(prefix + name.removesuffix(".weight"), tensors) if dense else tensors[prefix + name]
            weights.append((name, w.astype(mx.float32)))
        block.load_weights(weights)
        self._advance(index, block)

    def final(self) -> Tensors:
        """The final norm, and the head if the model has its own. Raises ValueError before the last block is done."""
        self._turn(self._config.num_hidden_layers)
        name = f"{NORM}.weight"
        tensors = {name: self._read(name).astype(self._dtype)}
        if not self._config.tie_word_embeddings:
            norm = tensors[name]
            tensors |= self._quantized(HEAD, self._read(f"{HEAD}.weight"), lambda: self._normed_hessian(norm))
        self._hidden = []
        return tensors

    # --- matrices -------------------------------------------------------------------------

    def _quantized(self, path: str, weight: mx.array, hessian: Callable[[], np.ndarray]) -> Tensors:
        """The tensors of one module's weight, quantized or not. `hessian` is asked only where it is needed."""
        settings = self._choose(path)
        if settings is None:
            return {f"{path}.weight": weight.astype(self._dtype)}
        if settings["mode"] == "affine":
            parts = list(compensated(weight, hessian(), settings["group_size"], settings["bits"], self._dtype))
        else:
            parts = list(mx.quantize(weight.astype(self._dtype), **settings))
        mx.eval(parts)
        return {f"{path}.{name}": part for name, part in zip(("weight", "scales", "biases"), parts, strict=False)}

    def _dense(self, path: str, tensors: Mapping[str, mx.array], rows: mx.array | None = None) -> mx.array:
        """A module's weight, or some rows of it, as its codes have it: float32."""
        parts = [tensors.get(f"{path}.{name}") for name in ("weight", "scales", "biases")]
        weight, scales, biases = (p if p is None or rows is None else p[rows] for p in parts)
        assert weight is not None
        settings = self._choose(path)
        if scales is None or settings is None:
            return weight.astype(mx.float32)
        if biases is None:
            return mx.dequantize(weight, scales, **settings, dtype=mx.float32)
        return mx.dequantize(weight, scales.astype(mx.float32), biases.astype(mx.float32), **settings)

    # --- hidden states --------------------------------------------------------------------

    def _turn(self, index: int) -> None:
        if index != self._due:
            raise ValueError(f"block {self._due} is due, not {index} (-1 is the embedding)")
        self._due += 1

    def _start(self, tensors: Mapping[str, mx.array]) -> None:
        scale = Griffin(replace(self._config, num_hidden_layers=1)).embed_scale
        self._hidden = [self._dense(EMBEDDING, tensors, rows=tokens) * scale for tokens in self._tokens]
        mx.eval(self._hidden)

    def _blank(self, index: int) -> Block:
        return Block(self._config, self._config.layer_types[index])

    def _run(self, index: int, block: Block, hidden: mx.array) -> mx.array:
        """Hidden states [B, T, D] after a block, not evaluated."""
        batch, time, _ = hidden.shape
        state = empty_layer(self._config, self._config.layer_types[index], batch, mx.float32)
        chunk = plan_chunk(self._config, self._rotary, [0] * batch, time, None, inference=True)
        x, (y, bias), _ = block(hidden, (None, None), state, chunk, mx.float32)
        assert y is not None
        return x + (y if bias is None else y + bias)

    def _advance(self, index: int, block: Block) -> None:
        for i, hidden in enumerate(self._hidden):
            self._hidden[i] = self._run(index, block, hidden)
            mx.eval(self._hidden[i])

    def _inputs(self, index: int, block: Block, path: str) -> np.ndarray:
        """The Hessian [I, I] of a layer's inputs. Only what these depend on is computed: MLX is lazy."""
        part, name = path.split(".")
        layer = block[part][name]
        listener = block[part][name] = _Listener(layer)
        try:
            return _gram(self._heard(index, block, listener))
        finally:
            block[part][name] = layer

    def _heard(self, index: int, block: Block, listener: _Listener) -> Iterator[mx.array]:
        for hidden in self._hidden:
            self._run(index, block, hidden)
            yield listener.heard

    def _normed_hessian(self, weight: mx.array) -> np.ndarray:
        """The Hessian [D, D] of the head's inputs."""
        norm = RMSNorm(self._config.hidden_size, self._config.rms_norm_eps)
        norm.weight = weight.astype(mx.float32)
        return _gram(norm(hidden, (None, None), mx.float32, Chunk())[1] for hidden in self._hidden)


def _stages(block: Block) -> list[list[str]]:
    """Paths of the matrices that read the same input, in the order in which data flows."""
    temporal, mlp = block.temporal_block, block.mlp_block
    out = "o_proj" if "o_proj" in temporal else "linear_out"
    return [
        [f"temporal_block.{name}" for name in temporal.joins],
        [f"temporal_block.{out}"],
        [f"mlp_block.{name}" for name in mlp.joins],
        ["mlp_block.down_proj"],
    ]


def _gram(inputs: Iterable[mx.array]) -> np.ndarray:
    """The sum of x x^T over all tokens [..., I]."""
    total: np.ndarray | None = None
    for x in inputs:
        rows = np.array(x.reshape(-1, x.shape[-1]))
        part = rows.T @ rows
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    return total


def _batches(rows: Sequence[Sequence[int]]) -> list[mx.array]:
    """Token ids [B, T]: rows of one length together, about `_TOKENS` at a time."""
    lengths: dict[int, list[Sequence[int]]] = {}
    for row in rows:
        lengths.setdefault(len(row), []).append(row)
    lengths.pop(0, None)
    if not lengths:
        raise ValueError("there are no tokens to calibrate with")
    batches = []
    for length, same in lengths.items():
        step = max(1, _TOKENS // length)
        batches += [mx.array(same[i : i + step], mx.int32) for i in range(0, len(same), step)]
    return batches
