"""Calibrated quantization of a whole model, one block at a time.

    shapes   B batch   T time   D hidden_size   V vocabulary   O, I outputs and inputs of a matrix

The calibration text goes through two networks side by side: the exact one, and the one that the blocks before
this one, already quantized, make of it. Inside a block the matrices are quantized in the order in which data flows, and each
is compensated (`gptq`) for the inputs that the already quantized ones before it produce. What the text has drifted by
then is corrected by half: a matrix W is replaced by the W' that would bring its outputs from the drifted inputs x half
way back to those of the exact inputs z, and, where it writes to the residual stream r, the stream too,

    W' = W + (W (sum z x^T - sum x x^T) + sum (r_exact - r) x^T) / 2 (sum x x^T + damping)^-1

before it is rounded (compare GPTAQ, arXiv:2504.02692). Half, since the whole correction, which is the best for the mean
square error, shrinks what the network says: measured, it undoes the gain. Memory is that of two blocks in float32, of the
hidden states of the text, and of a few I x I sums.

Computes with the network's own modules, in float32. Knows names and settings only from those it is given: nothing of
files, recipes or tokenizers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from ..griffin.chunk import Chunk
from ..griffin.config import ModelConfig
from ..griffin.layers import Block, RMSNorm, embedding_scale
from ..griffin.rope import Rotary
from .gptq import compensated
from .streamed import run_block

_TOKENS = 4096  # that go through a block at once
_CORRECTION = 0.5  # of what the text has drifted
_DAMPING = 0.1  # of the correction, as a part of the mean square of an input
EMBEDDING, LAYERS, NORM, HEAD = "model.embed_tokens", "model.layers", "model.final_norm", "lm_head"

Read = Callable[[str], mx.array]
Choose = Callable[[str], "dict[str, Any] | None"]
Kept = Callable[[str], mx.Dtype]
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


class _StreamListener(nn.Module):
    """A norm that remembers the residual stream that it read."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.heard = mx.zeros(())

    def __call__(self, *inputs: Any) -> tuple[mx.array, mx.array]:
        self.heard, normed = self.norm(*inputs)
        return self.heard, normed


class _Sums(NamedTuple):
    """Over all tokens, of a layer's inputs x, its exact inputs z, and the drift d of the stream it writes to."""

    hessian: np.ndarray  # sum x x^T [I, I]
    cross: np.ndarray  # sum z x^T [I, I]
    stream: np.ndarray | None  # sum d x^T [O, I]; None where the layer does not write to the stream

    def corrected(self, weight: mx.array) -> mx.array:
        """W' of the module's docstring, float32 [O, I]."""
        w = np.array(weight.astype(mx.float32))
        drift = w @ (self.cross - self.hessian)
        if self.stream is not None:
            drift += self.stream
        mean = float(np.mean(np.diag(self.hessian)))
        damped = self.hessian + _DAMPING * max(mean, 1e-12) * np.eye(len(self.hessian), dtype=np.float32)
        return mx.array(w + _CORRECTION * np.linalg.solve(damped, drift.T).T.astype(np.float32))


class Calibrator:
    """Turns a model's tensors into quantized ones, in the order embedding, blocks, final.

    Every tensor of the model is returned exactly once, under the names and in the layout of mlx-lm: `weight`, and for
    a quantized module `scales` and, in affine mode, `biases`.
    """

    def __init__(
        self,
        config: ModelConfig,
        read: Read,
        choose: Choose,
        rows: Sequence[Sequence[int]],
        dtype: mx.Dtype,
        kept: Kept | None = None,
    ) -> None:
        """Nothing is read or computed yet.

        Args:
            config: of the model; a head of its own is expected where `tie_word_embeddings` is False.
            read: gives an unquantized tensor by the name that the network has for it.
            choose: group_size, bits and mode for the path of a module that can be quantized; None leaves it.
                Only affine modes are compensated; others are rounded by `mx.quantize`.
            rows: token ids to calibrate with; rows of one length run together. Each starts a sequence.
            dtype: of scales and biases.
            kept: gives the dtype of a tensor that is not quantized, by its name; None: `dtype` of all.

        Raises:
            ValueError: there are no tokens.
        """
        self._config, self._read, self._choose, self._dtype = config, read, choose, dtype
        self._kept: Kept = kept or (lambda _: dtype)
        self._rotary = Rotary(config.rotary_dim, config.rope_theta)
        self._tokens = _batches(rows)
        self._hidden: list[mx.array] = []
        self._exact: list[mx.array] = []
        self._due = -1  # the block that comes next; -1: the embedding

    # --- the steps, in order --------------------------------------------------------------

    def embedding(self) -> Tensors:
        """The embedding; starts the hidden states. Raises ValueError if it is not the first call.

        A tied embedding is not compensated for the head's inputs: what that wins in the logits it loses at the other
        end, where rows are the model's input (measured: no better). It has the better scales alone.
        """
        self._turn(-1)
        exact = self._read(f"{EMBEDDING}.weight")
        alone = np.eye(self._config.hidden_size, dtype=np.float32)
        tensors = self._quantized(EMBEDDING, exact, lambda: alone)
        scale = embedding_scale(self._config)
        self._hidden = [self._dense(EMBEDDING, tensors, rows=tokens) * scale for tokens in self._tokens]
        self._exact = [exact[tokens].astype(mx.float32) * scale for tokens in self._tokens]
        mx.eval(self._hidden, self._exact)
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
        tensors = {prefix + n: s.astype(self._kept(prefix + n)) for n, s in sources.items() if n not in chosen}
        # A matrix that will be quantized is exact until its turn comes.
        weights = {name: tensors.get(prefix + name, source) for name, source in sources.items()}
        block.load_weights([(name, w.astype(mx.float32)) for name, w in weights.items()])
        exact = self._exact_block(index, sources)
        for number, stage in enumerate(stages):
            sums = functools.cache(functools.partial(self._sums, index, block, exact, stage[0], number % 2 == 1))
            for path in stage:
                if f"{path}.weight" in chosen:
                    source = sources[f"{path}.weight"]
                    if (self._choose(prefix + path) or {})["mode"] == "affine":
                        source = sums().corrected(source)
                    made = self._quantized(prefix + path, source, functools.partial(_hessian_of, sums))
                    tensors |= made
                    block.load_weights([(f"{path}.weight", self._dense(prefix + path, made))], strict=False)
        self._advance(index, block, exact)
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
        names = [name for name, _ in tree_flatten(block.parameters())]
        self._advance(index, block, self._exact_block(index, {n: self._read(prefix + n) for n in names}))

    def final(self) -> Tensors:
        """The final norm, and the head if the model has its own. Raises ValueError before the last block is done."""
        self._turn(self._config.num_hidden_layers)
        name = f"{NORM}.weight"
        tensors = {name: self._read(name).astype(self._kept(name))}
        if not self._config.tie_word_embeddings:
            norm = tensors[name]
            tensors |= self._quantized(HEAD, self._read(f"{HEAD}.weight"), lambda: self._normed_hessian(norm))
        self._hidden, self._exact = [], []
        return tensors

    # --- matrices -------------------------------------------------------------------------

    def _quantized(self, path: str, weight: mx.array, hessian: Callable[[], np.ndarray]) -> Tensors:
        """The tensors of one module's weight, quantized or not. `hessian` is asked only where it is needed."""
        settings = self._choose(path)
        if settings is None:
            return {f"{path}.weight": weight.astype(self._kept(f"{path}.weight"))}
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

    def _blank(self, index: int) -> Block:
        return Block(self._config, self._config.layer_types[index])

    def _exact_block(self, index: int, sources: Mapping[str, mx.array]) -> Block:
        block = self._blank(index)
        block.load_weights([(name, w.astype(mx.float32)) for name, w in sources.items()])
        return block

    def _run(self, index: int, block: Block, hidden: mx.array) -> mx.array:
        """Hidden states [B, T, D] after a block, not evaluated."""
        return run_block(self._config, self._rotary, self._config.layer_types[index], block, hidden)

    def _advance(self, index: int, block: Block, exact: Block) -> None:
        for through, states in ((block, self._hidden), (exact, self._exact)):
            for i, hidden in enumerate(states):
                states[i] = self._run(index, through, hidden)
                mx.eval(states[i])

    def _sums(self, index: int, block: Block, exact: Block, path: str, writes: bool) -> _Sums:
        """What a layer hears. Only what its inputs depend on is computed: MLX is lazy.

        Args:
            writes: the layer's output goes to the residual stream.
        """
        hessian = cross = stream = None
        for hidden, ideal in zip(self._hidden, self._exact, strict=True):
            x, r = self._heard(index, block, path, hidden)
            z, s = self._heard(index, exact, path, ideal)
            inputs, wanted = _rows(x), _rows(z)
            hessian = _added(hessian, inputs.T @ inputs)
            cross = _added(cross, wanted.T @ inputs)
            if writes:
                stream = _added(stream, _rows(s - r).T @ inputs)
        assert hessian is not None and cross is not None
        return _Sums(hessian, cross, stream)

    def _heard(self, index: int, block: Block, path: str, hidden: mx.array) -> tuple[mx.array, mx.array]:
        """A layer's inputs, and the residual stream that its half of the block read."""
        part, name = path.split(".")
        layer, norm = block[part][name], block.channel_pre_norm
        listener = block[part][name] = _Listener(layer)
        middle = block.channel_pre_norm = _StreamListener(norm)
        try:
            self._run(index, block, hidden)
        finally:
            block[part][name], block.channel_pre_norm = layer, norm
        return listener.heard, middle.heard if part == "mlp_block" else hidden

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


def _hessian_of(sums: Callable[[], _Sums]) -> np.ndarray:
    return sums().hessian


def _rows(x: mx.array) -> np.ndarray:
    return np.array(x.reshape(-1, x.shape[-1]))


def _added(total: np.ndarray | None, part: np.ndarray) -> np.ndarray:
    return part if total is None else np.add(total, part, out=total)


def _gram(inputs: Iterable[mx.array]) -> np.ndarray:
    """The sum of x x^T over all tokens [..., I]."""
    total: np.ndarray | None = None
    for x in inputs:
        rows = _rows(x)
        total = _added(total, rows.T @ rows)
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
