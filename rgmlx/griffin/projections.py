"""Linear layers that read the same input, as one product.

A decode step costs by the launch: `linear_x | linear_y`, `q | k | v` and `gate | up` are stored as one
matrix each. Rows of a matrix are independent, quantized ones too, so every number stays what it was.
The layers keep their own parameters as views of the joined ones: names, values, saving, quantizing
and training are untouched, and memory is not spent twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from .. import kernels
from ..kernels import launch
from ..kernels.dequantize import suits
from ..kernels.quantized_step import quantized_step
from .backpressure import Pace
from .chunk import Chunk
from .host import frozen

_DENSE_FROM = 128  # rows of x, on CUDA
_TILE = 8  # rows: MLX multiplies by so many on CUDA in less time than by three or four (docs, benchmarks, 2026-12-01)
_DENSE_NUMBERS = 48 * 2**20  # of a matrix made dense at a time: all of half an MLP's input, 9B's too
_PARTS = ("weight", "scales", "biases", "bias")


def multiply(
    x: mx.array,
    weight: mx.array,
    scales: mx.array | None,
    biases: mx.array | None,
    settings: dict[str, Any],
    inference: bool,
    pace: Pace | None = None,
) -> mx.array:
    """x [..., in] times a weight [out, in], quantized when there are scales."""
    if scales is None:
        return x @ weight.T
    rows, numbers = x.size // x.shape[-1], x.shape[-1] * weight.shape[0]
    native = inference and suits(scales, biases, settings, x.dtype)
    if rows == 1 and native and biases is not None:
        return quantized_step(x, weight, scales, biases)
    if rows < _DENSE_FROM or not inference or launch.backend() != "cuda":
        # As one matrix: an x [B, 1, in] may be taken for B products, each of which reads the weights.
        flat = x.reshape(rows, x.shape[-1])
        if native and rows < _TILE:
            flat = mx.pad(flat, [(0, _TILE - rows), (0, 0)])
        y = mx.quantized_matmul(flat, weight, scales, biases, transpose=True, **settings)
        return y[:rows].reshape(*x.shape[:-1], y.shape[-1])
    # On CUDA, MLX's quantized product of many rows is several times slower than a dense one with a matrix
    # that lives for it alone. A piece at a time, so that this matrix stays small.
    step = -(-weight.shape[0] // max(1, -(-numbers // _DENSE_NUMBERS)))
    pieces = []
    for start in range(0, weight.shape[0], step):
        w, s = weight[start : start + step], scales[start : start + step]
        b = None if biases is None else biases[start : start + step]
        if native and b is not None:
            dense = kernels.dequantize(w, s, b)
        else:
            dense = mx.dequantize(w, s, b, **settings, dtype=x.dtype)
        pieces.append(x @ dense.T)
        temporary = pieces[-1].nbytes + dense.nbytes
        del dense
        if pace:
            pace(pieces[-1], temporary)
    return _beside(pieces)


class Joined:
    """Several layers as one. Valid as long as the layers hold the arrays that were joined."""

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        """Joins layers of one kind, and makes their parameters views of the joined ones.

        Raises:
            ValueError: the layers differ in kind or quantization.
        """
        kinds = {_kind(layer) for layer in layers}
        if len(kinds) != 1 or None in kinds:
            raise ValueError("these layers can't be joined")
        self._settings = _settings(layers[0])
        ends = np.cumsum([layer["weight"].shape[0] for layer in layers])[:-1].tolist()
        self._whole: dict[str, mx.array] = {}
        for name in _PARTS:
            if name in layers[0]:
                whole = mx.concatenate([layer[name] for layer in layers])
                views = mx.split(whole, ends)
                mx.eval(whole, views)
                self._whole[name] = whole
                for layer, view in zip(layers, views, strict=True):
                    layer[name] = view
        self._sources = [layer[name] for layer in layers for name in self._whole]

    def fits(self, layers: Sequence[nn.Module]) -> bool:
        """Whether the layers still hold what was joined."""
        now = [layer.get(name) for layer in layers for name in self._whole]
        return all(a is b for a, b in zip(now, self._sources, strict=True))

    def __call__(self, x: mx.array, chunk: Chunk) -> tuple[mx.array, mx.array | None]:
        """The product [..., sum of outs] without bias, and the joined bias."""
        w = self._whole
        y = multiply(x, w["weight"], w.get("scales"), w.get("biases"), self._settings, chunk.is_inference, chunk.pace)
        return y, w.get("bias")

    def gelu(self, x: mx.array, chunk: Chunk) -> mx.array:
        """gelu(first half + bias) * (second half + bias) of the product."""
        w, bias = self._whole, self._whole.get("bias")
        weight, scales, biases = w["weight"], w.get("scales"), w.get("biases")
        rows, inference = x.size // x.shape[-1], chunk.is_inference
        if inference and scales is not None and launch.backend() == "cuda":
            if rows == 1 and biases is not None and suits(scales, biases, self._settings, x.dtype):
                return quantized_step(x, weight, scales, biases, bias, gelu=True)
            if rows >= _DENSE_FROM:  # each half by itself, as they are made dense by themselves
                half = weight.shape[0] // 2
                gate, up = (
                    multiply(
                        *(x, weight[p], scales[p], None if biases is None else biases[p]),
                        *(self._settings, inference, chunk.pace),
                    )
                    for p in (slice(None, half), slice(half, None))
                )
                return kernels.gelu_product(gate, up, bias, inference=True)
        return kernels.gelu_product(self(x, chunk)[0], None, bias, inference=inference)


def product(
    x: mx.array, layers: Sequence[nn.Module], joined: Joined | None, chunk: Chunk
) -> tuple[mx.array, mx.array | None]:
    """The outputs of several layers side by side, without bias, and the bias to be added (None: none)."""
    if joined is not None and joined.fits(layers):
        return joined(x, chunk)
    if any(_kind(layer) is None for layer in layers):  # adapters, and whatever else replaces a Linear
        return _beside([_adapted(x, layer, chunk.is_inference) for layer in layers]), None
    biases = _beside([layer["bias"] for layer in layers]) if "bias" in layers[0] else None
    hosted = [_hosted(x, layer, chunk.is_inference) for layer in layers]
    if in_numpy := [y for y in hosted if y is not None]:  # all of one kind, or none
        return _beside(in_numpy), biases
    if not chunk.is_inference and len(layers) > 1 and all(type(layer) is nn.Linear for layer in layers):
        # Weights are smaller than what a training batch makes of them: to lay these side by side is the lesser copy.
        return x @ mx.concatenate([layer["weight"] for layer in layers]).T, biases
    parts = [
        multiply(
            *(x, layer["weight"], layer.get("scales"), layer.get("biases"), _settings(layer)),
            *(chunk.is_inference, chunk.pace),
        )
        for layer in layers
    ]
    return _beside(parts), biases


def embed(tokens: mx.array, layer: nn.Module, dtype: mx.Dtype) -> mx.array:
    """The rows of an embedding [..., D]; quantized ones are made dense in `dtype`, whatever their scales are stored in."""
    if type(layer) is not nn.QuantizedEmbedding or layer.mode != "affine" or layer["scales"].dtype == dtype:
        return layer(tokens)
    scales, biases = (layer[name][tokens].astype(dtype) for name in ("scales", "biases"))
    return mx.dequantize(layer["weight"][tokens], scales, biases, **_settings(layer))


def head(x: mx.array, layer: nn.Module, inference: bool) -> mx.array:
    """x [..., in] times the weight of a head, or of the embedding that serves as one."""
    if type(layer) not in (nn.Linear, nn.QuantizedLinear, nn.Embedding, nn.QuantizedEmbedding):
        return layer.as_linear(x) if hasattr(layer, "as_linear") else layer(x)
    if (hosted := _hosted(x, layer, inference)) is not None:
        return hosted
    return multiply(x, layer["weight"], layer.get("scales"), layer.get("biases"), _settings(layer), inference)


def _hosted(x: mx.array, layer: nn.Module, inference: bool) -> mx.array | None:
    """The product with a layer's weight in NumPy, where that is what computes here and no derivative of the weight is wanted."""
    if launch.backend() != "numpy" or not (inference or frozen.is_frozen(layer)):
        return None
    return frozen.product(x, layer)


def _adapted(x: mx.array, layer: nn.Module, inference: bool) -> mx.array:
    """The output of a layer that is more than a product and a bias. Of mlx-lm's LoRA the product that it adapts is ours."""
    base = layer.get("linear")
    if type(layer).__module__ != "mlx_lm.tuner.lora" or base is None or _kind(base) is None:
        return layer(x)
    y = _hosted(x, base, inference)
    if y is None:
        return layer(x)
    if "bias" in base:
        y = y + base["bias"]
    return y + (layer.scale * ((layer.dropout(x) @ layer.lora_a) @ layer.lora_b)).astype(x.dtype)


def _beside(parts: list[mx.array]) -> mx.array:
    return parts[0] if len(parts) == 1 else mx.concatenate(parts, axis=-1)


def _settings(layer: nn.Module) -> dict[str, Any]:
    return {k: getattr(layer, k) for k in ("group_size", "bits", "mode")} if "scales" in layer else {}


def _kind(layer: nn.Module) -> Any:
    """What must be equal for layers to be joined; None for a layer that is more than a product and a bias."""
    if type(layer) not in (nn.Linear, nn.QuantizedLinear):
        return None
    return type(layer), "bias" in layer, "biases" in layer, tuple(_settings(layer).items()), layer["weight"].dtype
