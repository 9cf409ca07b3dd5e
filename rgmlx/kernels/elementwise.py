"""Functions that MLX compiles, without its compiler on a CPU.

There, `mx.compile` writes C++ into `mlx/VERSION/cpu` of the directory for temporary files, has g++ make a library of it
and loads that; a library of the same name that is there already it loads as it is, whoever put it there. A predictable
place in a directory that all users share is no place to load code from, a full or missing one ends the program, and a
library that was cut off stays broken. What it would fuse here gains nothing on a CPU. On a GPU nothing is loaded from
there: Metal compiles in memory, and CUDA is given a private directory (`launch`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import mlx.core as mx
import mlx.nn as nn


def gelu(x: mx.array) -> mx.array:
    """GELU by its tanh approximation, as the models were trained."""
    return suited(nn.gelu_approx)(x)


def softplus(x: mx.array) -> mx.array:
    """log(1 + exp(x))."""
    return suited(nn.softplus)(x)


def suited(compiled: Callable[..., Any]) -> Callable[..., Any]:
    """A function made by `mx.compile` on a GPU, and the one that it was made of on a CPU."""
    return compiled if mx.default_device() == mx.gpu else _original(compiled)


@cache
def _original(compiled: Any) -> Callable[..., Any]:
    code = getattr(compiled, "__code__", None)
    if code is None:  # a later MLX may have left it as it is, or hide it: a test would say so
        return compiled
    made = FunctionType(code, compiled.__globals__, compiled.__name__, compiled.__defaults__, compiled.__closure__)
    made.__kwdefaults__ = compiled.__kwdefaults__
    return made
