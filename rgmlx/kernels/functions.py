"""Functions of one number, on float32 arrays."""

from __future__ import annotations

import math

import numpy as np

_ROOT = math.sqrt(2.0 / math.pi)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), in place of x. Below -88 exp overflows to infinity, and the result is 0, as it should be."""
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1.0
    return np.reciprocal(x, out=x)


def gelu(x: np.ndarray) -> np.ndarray:
    """x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), in a new array."""
    y = np.square(x)
    y *= 0.044715 * _ROOT
    y += _ROOT
    y *= x
    np.tanh(y, out=y)
    y += 1.0
    y *= x
    y *= 0.5
    return y
