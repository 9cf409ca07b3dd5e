"""Positions are exact for ever: the same window content gives the same logits at any offset."""

from __future__ import annotations

import decimal

import mlx.core as mx
import numpy as np
import pytest

from rgmlx.griffin.rope import Rotary
from rgmlx.griffin.state import State
from rgmlx.model import Model

OFFSETS = [10**6, 2**24 + 1, 2**31 + 5, 10**12]
PI = decimal.Decimal("3.141592653589793238462643383279502884197169399375105820974944592307816406286209")


def exact_angle(position: int, index: int, dims: int, theta: float) -> float:
    """The angle modulo one turn, worked out with 70 digits."""
    with decimal.localcontext(decimal.Context(prec=70)):
        frequency = decimal.Decimal(theta) ** (decimal.Decimal(-2 * index) / dims)
        turns = position * frequency / (2 * PI)
        return float((turns - turns.to_integral_value(decimal.ROUND_FLOOR)) * 2 * PI)


@pytest.mark.parametrize("position", [0, 1, 2047, *OFFSETS, 10**18])
def test_angles(position: int) -> None:
    cos, sin = Rotary(128, 10000.0).cos_sin([position, position + 3], 5)
    for row, start in enumerate((position, position + 3)):
        angles = np.array([[exact_angle(start + t, i, 128, 10000.0) for i in range(64)] for t in range(5)])
        assert np.abs(cos[row] - np.cos(angles)).max() < 1e-7
        assert np.abs(sin[row] - np.sin(angles)).max() < 1e-7


def moved(model: Model, state: State, offset: int) -> State:
    """The same state, `offset` tokens later: keys turned to their new angles, slots and position moved on."""
    config, ring, half = model.config, model.config.ring_size, model.config.rotary_dim // 2
    position = state.position
    new = state.copy()
    turn = [exact_angle(offset, i, config.rotary_dim, config.rope_theta) for i in range(half)]
    cos, sin = np.cos(turn), np.sin(turn)
    layers = []
    for kind, (a, b) in zip(config.layer_types, state.layers, strict=True):
        if kind == "attention":
            keys, values = np.array(a, np.float64), np.array(b)
            x, y = keys[..., :half].copy(), keys[..., half : 2 * half].copy()
            keys[..., :half], keys[..., half : 2 * half] = x * cos - y * sin, y * cos + x * sin
            out_keys, out_values = np.zeros_like(keys), np.zeros_like(values)
            for p in range(position - ring, position):
                out_keys[:, :, (p + offset) % ring] = keys[:, :, p % ring]
                out_values[:, :, (p + offset) % ring] = values[:, :, p % ring]
            a, b = mx.array(out_keys.astype(np.float32)), mx.array(out_values)
        layers.append((a, b))
    new.layers = layers
    new.positions = [position + offset]
    return new


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("size", [1, 5, 30])
def test_logits_at_large_offsets(tiny: Model, offset: int, size: int) -> None:
    rng = np.random.default_rng(1)
    state = tiny.new_state()
    tiny.logits(rng.integers(0, tiny.config.vocab_size, (1, 3 * tiny.config.ring_size)), state)
    later = moved(tiny, state, offset)
    tokens = rng.integers(0, tiny.config.vocab_size, (1, 60))
    for start in range(0, 60, size):
        piece = tokens[:, start : start + size]
        here, there = np.array(tiny.logits(piece, state)), np.array(tiny.logits(piece, later))
        assert np.abs(here - there).max() / np.abs(here).max() < 1e-6
    assert later.position == state.position + offset
