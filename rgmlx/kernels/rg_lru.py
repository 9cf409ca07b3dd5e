"""The Real-Gated Linear Recurrent Unit over a chunk (Griffin, arXiv:2402.19427, section 2.4).

    shapes   B batch   T time   D channels (lru_width)   H gate blocks   E channels of a block

    log a_t = -8 * sigmoid(r_t) * softplus(Lambda)
    h_t     = a_t * h_{t-1} + sqrt(1 - a_t^2) * sigmoid(i_t) * x_t         (multiplier 1 at the very first step)

Everything from the sigmoids on is float32, whatever the model's dtype: with long-memory weights in
bfloat16 that is eleven times closer to exact than rounding gates or state.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from . import launch

C = 8.0  # the paper's constant c
_SEGMENT = 32  # plain operations: steps run one after another; segments run side by side
_MAX_SQRT_GRADIENT = 1000.0

_INPUTS = ["x", "input_gate", "recurrent_gate", "input_bias", "recurrent_bias", "recurrent_param", "h"]
_SCAN = launch.Kernel("rg_lru_scan", [*_INPUTS, "first", "lengths", "branch", "branch_bias"], ["y", "last"])
_SCAN_VJP = launch.Kernel(
    "rg_lru_scan_vjp",
    [*_INPUTS, "first", "lengths", "y", "d_y", "d_last"],
    [*("d_x", "d_input_gate", "d_recurrent_gate"), *("d_input_bias", "d_recurrent_bias", "d_recurrent_param", "d_h")],
)
_STEPS = 8  # of one thread in a row, in the kernel


def rg_lru(
    x: mx.array,
    input_gate: mx.array,
    recurrent_gate: mx.array,
    input_bias: mx.array,
    recurrent_bias: mx.array,
    recurrent_param: mx.array,
    h: mx.array,
    first: mx.array | None,
    lengths: mx.array | None,
) -> tuple[mx.array, mx.array]:
    """Runs the recurrence over a chunk; differentiable.

    Args:
        x: the convolution's output [B, T, D], in any float dtype.
        input_gate, recurrent_gate: gate pre-activations without bias [B, H, T, E], in x's dtype.
        input_bias, recurrent_bias: float32 [D].
        recurrent_param: Lambda, float32 [D].
        h: the state before the chunk, float32 [B, D].
        first: int32 [B], 1 where the chunk begins a sequence; None: nowhere.
        lengths: int32 [B], the steps of each row that count, the rest is padding; None: all count.

    Returns:
        All states, float32 [B, T, D] (padding repeats the last one), and the last one, float32 [B, D].
    """
    arrays = (x, input_gate, recurrent_gate, input_bias, recurrent_bias, recurrent_param, h)
    if launch.backend() is None:
        return plain(*arrays, first, lengths)

    def run(*arrays: mx.array) -> tuple[mx.array, mx.array]:
        return _launch(*arrays, first, lengths, None, None, mx.float32)

    function = mx.custom_function(run)

    @function.vjp
    def vjp(primals: Any, cotangents: Any, outputs: Any) -> Any:
        return gradient(*primals, first, lengths, outputs[0], *cotangents)

    y, last = function(*arrays)
    return y, last


def gated(
    x: mx.array,
    input_gate: mx.array,
    recurrent_gate: mx.array,
    input_bias: mx.array,
    recurrent_bias: mx.array,
    recurrent_param: mx.array,
    h: mx.array,
    first: mx.array | None,
    lengths: mx.array | None,
    branch: mx.array,
    branch_bias: mx.array,
) -> tuple[mx.array, mx.array]:
    """As `rg_lru`, times gelu(branch + bias), in x's dtype: a recurrent block up to its output projection.

    Args:
        branch: the joined product of the block's input projections [B, T, 2D]; its second half is used.
        branch_bias: the joined bias [2D].
    """
    arrays = (x, input_gate, recurrent_gate, input_bias, recurrent_bias, recurrent_param, h)

    def twin(*arrays: mx.array) -> tuple[mx.array, mx.array]:
        *scan_arrays, branch, branch_bias = arrays
        states, last = rg_lru(*scan_arrays, first, lengths)
        half = x.shape[2]
        gelu = nn.gelu_approx(branch[..., half:].astype(mx.float32) + branch_bias[half:].astype(mx.float32))
        return (states * gelu).astype(x.dtype), last

    def kernel(*arrays: mx.array) -> tuple[mx.array, mx.array]:
        *scan_arrays, branch, branch_bias = arrays
        return _launch(*scan_arrays, first, lengths, branch, branch_bias, x.dtype)

    if launch.backend() is None:
        return twin(*arrays, branch, branch_bias)
    y, last = launch.with_gradient(kernel, twin, (*arrays, branch, branch_bias))
    return y, last


def segments(time: int) -> int:
    """How many segments of 8 steps run side by side: one (the plain loop) for a few steps."""
    return 1 if time <= 2 * _STEPS else 4 if time <= 64 else 16


def _launch(
    x: mx.array,
    input_gate: mx.array,
    recurrent_gate: mx.array,
    input_bias: mx.array,
    recurrent_bias: mx.array,
    recurrent_param: mx.array,
    h: mx.array,
    first: mx.array | None,
    lengths: mx.array | None,
    branch: mx.array | None,
    branch_bias: mx.array | None,
    dtype: mx.Dtype,
) -> tuple[mx.array, mx.array]:
    batch, time, width = x.shape
    count = segments(time)
    y, last = _SCAN(
        [
            *(x, input_gate, recurrent_gate, input_bias, recurrent_bias, recurrent_param, h),
            *(launch.rows(first, batch, 0), launch.rows(lengths, batch, time)),
            *(x if branch is None else branch, input_bias if branch_bias is None else branch_bias),
        ],
        shapes=[x.shape, h.shape],
        dtypes=[dtype, mx.float32],
        grid=(launch.blocks(width, 32), count, batch),
        threadgroup=(32, count, 1),
        template={"U": dtype, "SEGMENTS": count, "STEPS": _STEPS, "GATED": branch is not None},
    )
    return y, last


def gradient(
    x: mx.array,
    input_gate: mx.array,
    recurrent_gate: mx.array,
    input_bias: mx.array,
    recurrent_bias: mx.array,
    recurrent_param: mx.array,
    h: mx.array,
    first: mx.array | None,
    lengths: mx.array | None,
    y: mx.array,
    d_y: mx.array,
    d_last: mx.array,
) -> tuple[mx.array, ...]:
    """The gradients of `rg_lru`'s first seven arguments, by one reverse scan.

    Args:
        y: the states that it returned.
        d_y, d_last: the gradients of its two results.
    """
    batch, time, width = x.shape
    count = segments(time)
    *d_sequences, d_input_bias, d_recurrent_bias, d_param, d_h = _SCAN_VJP(
        [
            *(x, input_gate, recurrent_gate, input_bias, recurrent_bias, recurrent_param, h),
            *(launch.rows(first, batch, 0), launch.rows(lengths, batch, time), y, d_y, d_last),
        ],
        shapes=[x.shape, input_gate.shape, input_gate.shape, *[h.shape] * 4],
        dtypes=[*[x.dtype] * 3, *[mx.float32] * 4],
        grid=(launch.blocks(width, 32), count, batch),
        threadgroup=(32, count, 1),
        template={"U": x.dtype, "SEGMENTS": count, "STEPS": _STEPS},
    )

    return *d_sequences, *(g.sum(axis=0) for g in (d_input_bias, d_recurrent_bias, d_param)), d_h


# --- the same in plain MLX operations -----------------------------------------------------------


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


def plain(
    x: mx.array,
    input_gate: mx.array,
    recurrent_gate: mx.array,
    input_bias: mx.array,
    recurrent_bias: mx.array,
    recurrent_param: mx.array,
    h: mx.array,
    first: mx.array | None,
    lengths: mx.array | None,
) -> tuple[mx.array, mx.array]:
    """`rg_lru` in plain MLX operations."""
    time = x.shape[1]

    def sigmoid(gate: mx.array, bias: mx.array) -> mx.array:
        return mx.sigmoid(gate.astype(mx.float32).swapaxes(1, 2).reshape(x.shape) + bias)

    log_a = -C * sigmoid(recurrent_gate, recurrent_bias) * nn.softplus(recurrent_param)
    a = mx.exp(log_a)
    # 1 - a^2 as -expm1(2 log a): near a = 1 the plain difference loses the digits that matter.
    # A single step is inference: the plain root, which a compiler can fuse.
    root = mx.sqrt if time == 1 else bounded_sqrt
    multiplier = root(-mx.expm1(2.0 * log_a))
    steps = mx.arange(time)[:, None]
    if first is not None:
        opens = first[:, None, None] != 0
        multiplier = mx.where(opens if time == 1 else opens & (steps == 0), 1.0, multiplier)
    u = multiplier * sigmoid(input_gate, input_bias) * x
    if lengths is not None:  # a padded step leaves the state as it is
        valid = steps < lengths[:, None, None]
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
