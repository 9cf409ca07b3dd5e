"""Products with weights that are not trained, in NumPy: values and derivatives are those of plain MLX operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import checkpoints
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import oracle
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers

from rgmlx.griffin.config import ModelConfig
from rgmlx.griffin.host import frozen
from rgmlx.kernels import launch
from rgmlx.mlx_lm import Model

pytestmark = pytest.mark.skipif(launch.backend() != "numpy", reason="here MLX has a fast product of its own, or none")

EXACT = 2e-6
KINDS: dict[str, Callable[[nn.Linear], nn.Module]] = {
    "float32": lambda layer: layer,
    "bfloat16": lambda layer: layer.set_dtype(mx.bfloat16) or layer,
    "4 bits": lambda layer: layer.to_quantized(64, 4),
    "6 bits": lambda layer: layer.to_quantized(32, 6),
    "mxfp4": lambda layer: layer.to_quantized(32, 4, mode="mxfp4"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_product_and_its_derivative(kind: str) -> None:
    layer = KINDS[kind](nn.Linear(128, 96, bias=False))
    x, g = mx.random.normal((3, 7, 128)), mx.random.normal((3, 7, 96))
    weight = mx.array(np.concatenate(list(frozen.pieces(layer))))
    for function in (lambda x: frozen.product(x, layer), lambda x: x @ weight.T):
        assert function(x) is not None
    got, want = (mx.vjp(f, [x], [g]) for f in (lambda x: frozen.product(x, layer), lambda x: x @ weight.T))
    for a, b in zip(got, want, strict=True):
        assert oracle.relative_error(np.array(a[0]), np.array(b[0])) < EXACT


def test_pieces_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight that is made dense some rows at a time."""
    layer = nn.Linear(128, 96, bias=False).to_quantized(64, 4)
    x, g = mx.random.normal((20, 128)), mx.random.normal((20, 96))
    whole = mx.vjp(lambda x: frozen.product(x, layer), [x], [g])
    monkeypatch.setattr("rgmlx.griffin.host.pieces._PIECE", 128 * 7)
    assert len(list(frozen.pieces(layer))) == 14
    for a, b in zip(whole, mx.vjp(lambda x: frozen.product(x, layer), [x], [g]), strict=True):
        assert oracle.relative_error(np.array(b[0]), np.array(a[0])) < EXACT


def test_what_mlx_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Linear(128, 96, bias=False).to_quantized(64, 4)
    assert frozen.is_frozen(layer) and not frozen.is_frozen(nn.Linear(8, 8))
    assert frozen.product(mx.ones((20, 128), mx.bfloat16), layer) is None
    assert frozen.product(mx.ones((2, 4, 128)), layer) is None  # few rows of a packed weight
    seen = []

    def traced(x: mx.array) -> mx.array:
        seen.append(frozen.product(x * 2, layer))
        return x

    mx.compile(traced)(mx.ones((20, 128)))
    assert seen == [None]


def network(quantized: bool, adapted: Any = None) -> Model:
    mx.random.seed(1)
    shape = {"hidden_size": 64, "lru_width": 64, "head_dim": 64, "num_attention_heads": 1, "intermediate_size": 128}
    model = Model(ModelConfig.from_dict(checkpoints.config(**shape)))
    if quantized:
        nn.quantize(model, 64, 4)
    model.freeze()
    if adapted is not None:
        linear_to_lora_layers(model, adapted, {"rank": 4, "dropout": 0.0, "scale": 20.0})
        model.apply_to_modules(lambda _, m: m.update({"lora_b": m.lora_b + 0.01}) if "lora_b" in m else None)
    return model


@pytest.mark.parametrize(("quantized", "adapted"), [(False, -1), (True, -1), (False, 2), (True, 2), (False, "full")])
def test_training_computes_the_same(quantized: bool, adapted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss and derivatives of adapters on all layers and on the last two, and of the last two layers themselves."""
    model = network(quantized, None if adapted == "full" else adapted)
    if adapted == "full":
        for layer in model.layers[-2:]:
            layer.unfreeze()
    tokens = mx.array(np.random.default_rng(3).integers(0, 64, (3, 12)))
    hosted: list[int] = []
    monkeypatch.setattr(frozen, "product", lambda x, layer, f=frozen.product: hosted.append(1) or f(x, layer))

    def loss(model: Model) -> mx.array:
        return nn.losses.cross_entropy(model(tokens[:, :-1]), tokens[:, 1:]).mean()

    def run() -> dict[str, np.ndarray]:
        model.train()
        value, grads = nn.value_and_grad(model, loss)(model)
        model.eval()
        return {"loss": np.array(value), "logits": np.array(model(tokens))} | {
            k: np.array(v) for k, v in tree_flatten(grads)
        }

    got = run()
    used = len(hosted)
    with launch.plain_operations():
        want = run()
    assert used > 0 and len(hosted) == used and got.keys() == want.keys() and len(got) > 10
    for name, value in want.items():
        assert np.abs(got[name] - value).max() <= 2e-5 * max(np.abs(value).max(), 1e-3), name
