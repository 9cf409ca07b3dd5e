"""The network trains: freeze, trainable parameters, finite gradients near a = 1."""

from __future__ import annotations

import checkpoints
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers

import rgmlx
from rgmlx.griffin.config import ModelConfig
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.kernels.rg_lru import Inputs, bounded_sqrt, rg_lru, scan


def network(**changes: object) -> RecurrentGemma:
    config = checkpoints.config(**changes)
    net = RecurrentGemma(ModelConfig.from_dict(config))
    weights = {k: mx.array(v) for k, v in checkpoints.weights(config, seed=2).items()}
    net.load_weights(list(net.sanitize(weights).items()))
    return net


def loss(net: RecurrentGemma, tokens: mx.array) -> mx.array:
    return nn.losses.cross_entropy(net(tokens[:, :-1]), tokens[:, 1:], reduction="mean")


TOKENS = mx.array(np.random.default_rng(0).integers(0, 64, (2, 90)))


def test_freeze_and_trainable_parameters() -> None:
    net = network()
    assert len(tree_flatten(net.trainable_parameters())) == len(tree_flatten(net.parameters()))
    net.freeze()
    assert tree_flatten(net.trainable_parameters()) == []
    net.unfreeze(keys=["recurrent_param"])
    assert all("recurrent_param" in k for k, _ in tree_flatten(net.trainable_parameters()))


@pytest.mark.parametrize("a", [0.5, 0.999999, 1.0])
def test_gradients_are_finite_near_one(a: float) -> None:
    net = network()
    value = -80.0 if a == 1.0 else float(np.log(np.expm1(-np.log(a) / 4)))
    for block in net.layers[:2]:
        block.temporal_block.rg_lru.recurrent_param = mx.full((32,), value)
    value, gradients = nn.value_and_grad(net, loss)(net, TOKENS)
    assert np.isfinite(value.item())
    for name, g in tree_flatten(gradients):
        assert np.isfinite(np.array(g)).all(), name


def test_plain_square_root_would_not_do() -> None:
    """The bounded derivative is what keeps them finite."""
    zero = mx.zeros((3,))
    assert not np.isfinite(np.array(mx.grad(lambda x: mx.sqrt(x).sum())(zero))).any()
    assert np.allclose(np.array(mx.grad(lambda x: bounded_sqrt(x).sum())(zero)), 1000.0)
    ordinary = mx.array([0.25, 1.0, 4.0])
    assert np.allclose(np.array(mx.grad(lambda x: bounded_sqrt(x).sum())(ordinary)), [1.0, 0.5, 0.25])


@pytest.mark.parametrize("length", [1, 5, 64, 65, 200])
def test_gradient_of_the_scan_is_that_of_the_loop(length: int) -> None:
    rng = np.random.default_rng(length)
    a = mx.array(rng.uniform(0.5, 0.9999, (2, length, 5)).astype(np.float32))
    u, h = (mx.array(rng.standard_normal(s).astype(np.float32)) for s in ((2, length, 5), (2, 5)))
    weight = mx.array(rng.standard_normal((2, length, 5)).astype(np.float32))

    def loop(a: mx.array, u: mx.array, h: mx.array) -> mx.array:
        out = []
        for t in range(length):
            h = a[:, t] * h + u[:, t]
            out.append(h)
        return (mx.stack(out, axis=1) * weight).sum() + h.sum()

    def segmented(a: mx.array, u: mx.array, h: mx.array) -> mx.array:
        y, last = scan(a, u, h)
        return (y * weight).sum() + last.sum()

    for mine, plain in zip(mx.grad(segmented, (0, 1, 2))(a, u, h), mx.grad(loop, (0, 1, 2))(a, u, h), strict=True):
        assert np.abs(np.array(mine) - np.array(plain)).max() < 1e-4 * max(1.0, np.abs(np.array(plain)).max())


@pytest.mark.parametrize("length", [3, 40, 100])
def test_scan_survives_vanishing_a(length: int) -> None:
    """Products of a underflow to zero; sums of logarithms would give NaN."""
    a, u = mx.full((1, length, 4), 1e-30), mx.ones((1, length, 4))
    y, last = scan(a, u, mx.full((1, 4), 1e30))
    assert np.isfinite(np.array(y)).all()
    assert np.allclose(np.array(last), 1.0)


def test_padding_leaves_the_state_alone() -> None:
    rng = np.random.default_rng(1)
    x, i, r = (mx.array(rng.standard_normal((1, 2, 70, 2)).astype(np.float32)) for _ in range(3))
    h, zero = mx.array(rng.standard_normal((1, 4)).astype(np.float32)), mx.zeros((4,))
    _, padded = rg_lru(Inputs(x, i, r, zero, zero, zero, h), None, mx.array([20], mx.int32))
    _, short = rg_lru(Inputs(x[:, :, :20], i[:, :, :20], r[:, :, :20], zero, zero, zero, h), None, None)
    assert np.abs(np.array(padded) - np.array(short)).max() < 1e-6


def test_an_optimizer_step_lowers_the_loss_and_reaches_generation() -> None:
    net = network()
    optimizer = optim.Adam(learning_rate=3e-3)
    step = nn.value_and_grad(net, loss)
    first = loss(net, TOKENS).item()
    for _ in range(15):
        _, gradients = step(net, TOKENS)
        optimizer.update(net, gradients)
        mx.eval(net.parameters(), optimizer.state)
    assert loss(net, TOKENS).item() < first - 0.5


def test_lora_layers_of_mlx_lm(demo: rgmlx.Model) -> None:
    model = rgmlx.load("demo")
    model.freeze()
    model.train()
    linear_to_lora_layers(model, 3, {"rank": 4, "scale": 10.0, "dropout": 0.0})
    names = [k for k, _ in tree_flatten(model.trainable_parameters())]
    assert names
    assert all("lora" in n for n in names)
    value, gradients = nn.value_and_grad(model, loss)(model, mx.array([[2, 5, 9, 30, 31, 32]]))
    assert np.isfinite(value.item())
    assert all(np.isfinite(np.array(g)).all() for _, g in tree_flatten(gradients))
