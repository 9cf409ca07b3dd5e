"""Rows that hold several sequences, for training: none of them sees another."""

from __future__ import annotations

import checkpoints
import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from rgmlx.griffin.config import ModelConfig
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.kernels import Recurrence, rg_lru

LENGTHS = [5, 1, 2, 30, 3, 23]  # in front of, in and beyond the taps of the convolution; within and beyond the window
TOKENS = np.random.default_rng(3).integers(3, 64, sum(LENGTHS))
POSITIONS = np.concatenate([np.arange(n) for n in LENGTHS])
ENDS = np.cumsum(LENGTHS)


def network() -> RecurrentGemma:
    config = checkpoints.config()
    net = RecurrentGemma(ModelConfig.from_dict(config))
    weights = {k: mx.array(v) for k, v in checkpoints.weights(config, seed=2).items()}
    net.load_weights(list(net.sanitize(weights).items()))
    return net


def packed(net: RecurrentGemma, rows: int = 2) -> mx.array:
    """Logits of the same row twice: the batch is one more thing that must not mix."""
    tokens, positions = (mx.array(np.stack([a] * rows).astype(np.int32)) for a in (TOKENS, POSITIONS))
    return net.head(net.packed(tokens, positions), inference=False)


def alone(net: RecurrentGemma) -> list[mx.array]:
    return [net(mx.array(TOKENS[end - n : end])[None])[0] for n, end in zip(LENGTHS, ENDS, strict=True)]


def test_logits_of_a_packed_row_are_those_of_each_sequence_alone() -> None:
    net = network()
    want = mx.concatenate(alone(net))
    for row in packed(net):
        assert np.abs(np.array(row) - np.array(want)).max() < 2e-5


def test_gradients_of_a_packed_row_are_those_of_each_sequence_alone() -> None:
    net = network()
    targets = mx.array(np.random.default_rng(4).integers(0, 64, len(TOKENS)))

    def loss(logits: mx.array) -> mx.array:
        return nn.losses.cross_entropy(logits, targets, reduction="sum")

    _, got = nn.value_and_grad(net, lambda net: loss(packed(net, 1)[0]))(net)
    _, want = nn.value_and_grad(net, lambda net: loss(mx.concatenate(alone(net))))(net)
    for (name, g), (_, w) in zip(tree_flatten(got), tree_flatten(want), strict=True):
        g, w = np.array(g), np.array(w)
        assert np.abs(g - w).max() <= 2e-5 * max(np.abs(w).max(), 1.0), name


def test_a_row_of_one_sequence_is_what_it_is_elsewhere() -> None:
    net = network()
    tokens = mx.array(TOKENS[None])
    steps = mx.arange(len(TOKENS))[None]
    got = net.head(net.packed(tokens, steps), inference=False)
    assert np.abs(np.array(got) - np.array(net(tokens))).max() < 1e-5


def test_where_a_sequence_begins_the_multiplier_is_one_and_a_is_zero() -> None:
    """DeepMind's semantics, written down step by step."""
    rng = np.random.default_rng(0)
    x, i, r = (rng.standard_normal((1, 1, 7, 3)).astype(np.float32) for _ in range(3))
    positions = np.array([[0, 1, 0, 0, 1, 2, 3]], np.int32)
    bias, parameter, h = np.zeros(3, np.float32), np.full(3, 0.2, np.float32), np.ones((1, 3), np.float32)
    arrays = [mx.array(a) for a in (x, i, r, bias, bias, parameter, h)]
    states, last = rg_lru(Recurrence(*arrays), None, None, mx.array(positions))
    state = h[0].astype(np.float64)
    for t in range(7):
        gate_x, gate_a = (1 / (1 + np.exp(-g[0, 0, t].astype(np.float64))) for g in (i, r))
        log_a = -8.0 * gate_a * np.log1p(np.exp(0.2))
        resets = positions[0, t] == 0
        a = 0.0 if resets else np.exp(log_a)
        multiplier = 1.0 if resets else np.sqrt(1 - np.exp(2 * log_a))
        state = a * state + multiplier * gate_x * x[0, 0, t]
        assert np.abs(np.array(states)[0, t] - state).max() < 1e-6
    assert np.array_equal(np.array(last), np.array(states)[:, -1])
