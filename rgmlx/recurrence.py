"""The Real-Gated Linear Recurrent Unit in plain MLX operations (Griffin, arXiv:2402.19427, section 2.4).

    shapes   B batch   T time   D channels (lru_width)

    log a_t = -8 * sigmoid(r_t) * softplus(Lambda)
    h_t     = a_t * h_{t-1} + sqrt(1 - a_t^2) * sigmoid(i_t) * x_t         (multiplier 1 at the very first step)

Everything here is float32, whatever the model's dtype: with long-memory weights in bfloat16 that is
eleven times closer to exact than rounding gates or state.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

C = 8.0  # the paper's constant c
_SEGMENT = 32  # steps run one after another; segments run side by side
_MAX_SQRT_GRADIENT = 1000.0


@mx.custom_function
def _sqrt(x: mx.array) -> mx.array:
    return mx.sqrt(x)


@_sqrt.vjp
def _sqrt_vjp(x: mx.array, cotangent: mx.array, _: mx.array) -> mx.array:
    return cotangent / mx.sqrt(mx.maximum(4.0 * x, 1.0 / _MAX_SQRT_GRADIENT**2))


def bounded_sqrt(x: mx.array) -> mx.array:
    """sqrt(x) whose derivative never exceeds 1000, as DeepMind's `SqrtBoundDerivative`.

    Near a = 1 the argument 1 - a^2 goes to zero, and the true derivative to infinity.
    """
    y: Any = _sqrt(x)
    return y


def rg_lru(
    x: mx.array,
    input_gate: mx.array,
    recurrent_gate: mx.array,
    recurrent_param: mx.array,
    h: mx.array,
    first: mx.array | None = None,
    valid: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """Runs the recurrence over a chunk.

    Args:
        x: the convolution's output, float32 [B, T, D].
        input_gate, recurrent_gate: gate pre-activations, float32 [B, T, D].
        recurrent_param: Lambda, float32 [D].
        h: the state before the chunk, float32 [B, D].
        first: bool [B, T, 1], true at the first step of a sequence; None when there is none.
        valid: bool [B, T, 1], false where a row is only padding; None when there is none.

    Returns:
        All states, float32 [B, T, D], and the last one, float32 [B, D].
    """
    log_a = -C * mx.sigmoid(recurrent_gate) * nn.softplus(recurrent_param)
    a = mx.exp(log_a)
    # 1 - a^2 as -expm1(2 log a): near a = 1 the plain difference loses the digits that matter.
    # A single step is inference: the plain root, which a compiler can fuse.
    root = mx.sqrt if x.shape[1] == 1 else bounded_sqrt
    multiplier = root(-mx.expm1(2.0 * log_a))
    if first is not None:
        multiplier = mx.where(first, 1.0, multiplier)
    u = multiplier * mx.sigmoid(input_gate) * x
    if valid is not None:  # a padded step leaves the state as it is
        a, u = mx.where(valid, a, 1.0), mx.where(valid, u, 0.0)
    return scan(a, u, h)


def scan(a: mx.array, u: mx.array, h: mx.array) -> tuple[mx.array, mx.array]:
    """h_t = a_t * h_{t-1} + u_t over axis 1.

    Long inputs are cut into segments of 32 steps that run side by side from a zero state, one loop
    then carries the state from segment to segment. Only products of `a` are formed (sums of logs
    would give NaN when `a` underflows), so the result is that of the plain loop to about 2e-7.

    Args:
        a, u: float32 [B, T, D];  h: float32 [B, D].

    Returns:
        All states [B, T, D] and the last one [B, D].
    """
    batch, time, width = a.shape
    if time == 1:
        y = a * h[:, None] + u
        return y, y[:, 0]
    if time <= 2 * _SEGMENT:
        states = _loop(a, u, h)
        return mx.stack(states, axis=1), states[-1]

    segments = -(-time // _SEGMENT)
    if pad := segments * _SEGMENT - time:
        a = mx.concatenate([a, mx.ones((batch, pad, width), a.dtype)], axis=1)
        u = mx.concatenate([u, mx.zeros((batch, pad, width), u.dtype)], axis=1)
    # Time within the segment comes first, so that every step reads contiguous memory.
    a = mx.contiguous(a.reshape(batch, segments, _SEGMENT, width).transpose(2, 0, 1, 3))
    u = mx.contiguous(u.reshape(batch, segments, _SEGMENT, width).transpose(2, 0, 1, 3))
    local, product = [u[0]], [a[0]]
    for t in range(1, _SEGMENT):
        local.append(a[t] * local[-1] + u[t])
        product.append(a[t] * product[-1])
    carry = [h]
    for s in range(segments):
        carry.append(product[-1][:, s] * carry[-1] + local[-1][:, s])
    before = mx.stack(carry[:-1], axis=1)  # [B, segments, D]
    y = mx.stack(local) + mx.stack(product) * before
    y = y.transpose(1, 2, 0, 3).reshape(batch, segments * _SEGMENT, width)[:, :time]
    return y, carry[-1]


def _loop(a: mx.array, u: mx.array, h: mx.array) -> list[mx.array]:
    states = []
    for t in range(a.shape[1]):
        h = a[:, t] * h + u[:, t]
        states.append(h)
    return states
