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

from .kernels import launch

_DEQUANTIZE_FROM = 64  # rows, on CUDA
_PARTS = ("weight", "scales", "biases", "bias")


def multiply(x: mx.array, weight: mx.array, scales: mx.array | None, biases: mx.array | None, settings: Any) -> mx.array:
    """x [..., in] times a weight [out, in], quantized when there are scales."""
    if scales is None:
        return x @ weight.T
    if x.size // x.shape[-1] >= _DEQUANTIZE_FROM and launch.backend() == "cuda":
        # MLX's quantized product for many rows is written for Metal first; on CUDA, dense matrices
        # that live for one product are several times faster.
        return x @ mx.dequantize(weight, scales, biases, **settings, dtype=x.dtype).T
    return mx.quantized_matmul(x, weight, scales, biases, transpose=True, **settings)


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

    def __call__(self, x: mx.array) -> tuple[mx.array, mx.array | None]:
        """The product [..., sum of outs] without bias, and the joined bias."""
        w = self._whole
        y = multiply(x, w["weight"], w.get("scales"), w.get("biases"), self._settings)
        return y, w.get("bias")


def product(x: mx.array, layers: Sequence[nn.Module], joined: Joined | None) -> tuple[mx.array, mx.array | None]:
    """The outputs of several layers side by side, without bias, and the bias to be added (None: none)."""
    if joined is not None and joined.fits(layers):
        return joined(x)
    if any(_kind(layer) is None for layer in layers):  # adapters, and whatever else replaces a Linear
        return _beside([layer(x) for layer in layers]), None
    parts = [
        multiply(x, layer["weight"], layer.get("scales"), layer.get("biases"), _settings(layer)) for layer in layers
    ]
    return _beside(parts), _beside([layer["bias"] for layer in layers]) if "bias" in layers[0] else None


def _beside(parts: list[mx.array]) -> mx.array:
    return parts[0] if len(parts) == 1 else mx.concatenate(parts, axis=-1)


def _settings(layer: nn.Module) -> dict[str, Any]:
    return {k: getattr(layer, k) for k in ("group_size", "bits", "mode")} if "scales" in layer else {}


def _kind(layer: nn.Module) -> Any:
    """What must be equal for layers to be joined; None for a layer that is more than a product and a bias."""
    if type(layer) not in (nn.Linear, nn.QuantizedLinear):
        return None
    return type(layer), "bias" in layer, "biases" in layer, tuple(_settings(layer).items()), layer["weight"].dtype
