"""The Real-Gated Linear Recurrent Unit over a chunk (Griffin, arXiv:2402.19427, section 2.4).

    shapes   B batch   T time   D channels (lru_width)   H gate blocks   E channels of a block

    log a_t = -8 * sigmoid(r_t) * softplus(Lambda)
    h_t     = a_t * h_{t-1} + sqrt(1 - a_t^2) * sigmoid(i_t) * x_t         (multiplier 1 at the very first step)

Everything from the sigmoids on is float32, whatever the model's dtype: with long-memory weights in
bfloat16 that is eleven times closer to exact than rounding gates or state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from . import launch
from .elementwise import gelu, softplus
from .functions import gelu as host_gelu
from .functions import sigmoid

C = 8.0  # the paper's constant c
_SEGMENT = 32  # plain operations: steps run one after another; segments run side by side
_MAX_SQRT_GRADIENT = 1000.0

Pair = tuple[mx.array, mx.array]

_INPUTS = ["x", "input_gate", "recurrent_gate", "input_bias", "recurrent_bias", "recurrent_param", "h"]
_WHERE = ["first", "lengths", "positions"]
_SCAN = launch.Kernel("rg_lru_scan", [*_INPUTS, *_WHERE, "branch", "branch_bias"], ["y", "last"])
_SCAN_VJP = launch.Kernel(
    "rg_lru_scan_vjp",
    [*_INPUTS, *_WHERE, "y", "d_y", "d_last"],
    [*("d_x", "d_input_gate", "d_recurrent_gate"), *("d_input_bias", "d_recurrent_bias", "d_recurrent_param", "d_h")],
)
_STEPS = 8  # of one thread in a row, in the kernel
TIMES = (5, 12, 33, 130)
"""Lengths of a chunk, one for each form that the kernel is compiled in: a form is right or wrong by itself."""


class Inputs(NamedTuple):
    """What the recurrence is a function of.

    x: the convolution's output in gate blocks [B, H, T, E], in any float dtype.
    input_gate, recurrent_gate: gate pre-activations without bias [B, H, T, E], in x's dtype.
    input_bias, recurrent_bias: float32, D numbers in any shape.
    recurrent_param: Lambda, float32 [D].
    h: the state before the chunk, float32 [B, D].
    """

    x: mx.array
    input_gate: mx.array
    recurrent_gate: mx.array
    input_bias: mx.array
    recurrent_bias: mx.array
    recurrent_param: mx.array
    h: mx.array


def rg_lru(inputs: Inputs, first: mx.array | None, lengths: mx.array | None, positions: mx.array | None = None) -> Pair:
    """Runs the recurrence over a chunk; differentiable.

    Args:
        inputs: see there.
        first: int32 [B], 1 where the chunk begins a sequence; None: nowhere.
        lengths: int32 [B], the steps of each row that count, the rest is padding; None: all count.
        positions: int32 [B, T], of each step in its own sequence, where rows hold several: at 0 the state before is
            forgotten (a = 0, multiplier 1). `first` is not asked then.

    Returns:
        All states, float32 [B, T, D] (padding repeats the last one), and the last one, float32 [B, D].
    """
    if not launch.on_gpu("rg_lru"):
        return plain(inputs, first, lengths, positions)

    def run(*arrays: mx.array) -> Pair:
        return scan_kernel(Inputs(*arrays), first, lengths, positions)

    function: Any = mx.custom_function(run)

    @function.vjp
    def vjp(primals: Any, cotangents: Any, outputs: Any) -> Any:
        return tuple(gradient(Inputs(*primals), first, lengths, positions, outputs[0], *cotangents))

    y, last = function(*inputs)
    return y, last


def gated(
    inputs: Inputs,
    first: mx.array | None,
    lengths: mx.array | None,
    branch: mx.array,
    branch_bias: mx.array,
    inference: bool = False,
    positions: mx.array | None = None,
) -> Pair:
    """As `rg_lru`, times gelu(branch + bias), in x's dtype: a recurrent block up to its output projection.

    Args:
        branch: the joined product of the block's input projections [B, T, 2D]; its second half is used.
        branch_bias: the joined bias [2D].
        inference: leave out the derivative, as in inference.
    """
    width, dtype = inputs.h.shape[1], inputs.x.dtype

    def reference(branch: mx.array, branch_bias: mx.array, *arrays: mx.array) -> Pair:
        states, last = rg_lru(Inputs(*arrays), first, lengths, positions)
        gated = gelu(branch[..., width:].astype(mx.float32) + branch_bias[width:].astype(mx.float32))
        return (states * gated).astype(dtype), last

    def kernel(branch: mx.array, branch_bias: mx.array, *arrays: mx.array) -> Pair:
        return scan_kernel(Inputs(*arrays), first, lengths, positions, branch, branch_bias, dtype)

    if inference and positions is None and dtype == mx.float32 and launch.backend() == "numpy":
        states, last = launch.in_numpy(_host_blocks, *inputs, first, lengths)
        return states * launch.in_numpy(host_gelu, branch[..., width:] + branch_bias[width:]), last
    if not launch.on_gpu("gated"):
        return reference(branch, branch_bias, *inputs)
    y, last = launch.with_gradient(kernel, reference, (branch, branch_bias, *inputs), inference)
    return y, last


def segments(time: int) -> int:
    """How many segments of 8 steps run side by side: one (the plain loop over time) for a few steps."""
    return 1 if time <= 2 * _STEPS else 4 if time <= 64 else 8


def steps(time: int) -> int:
    """How many steps a thread does in a row."""
    return _STEPS if time >= _STEPS else 1


def scan_kernel(
    inputs: Inputs,
    first: mx.array | None,
    lengths: mx.array | None,
    positions: mx.array | None = None,
    branch: mx.array | None = None,
    branch_bias: mx.array | None = None,
    dtype: mx.Dtype = mx.float32,
) -> Pair:
    """The kernel itself, without a derivative; the states, or their product with the branch, in `dtype`."""
    x, h = inputs.x, inputs.h
    batch, blocks, time, block = x.shape
    width = blocks * block
    count, where = segments(time), _where(inputs, first, lengths, positions)
    y, last = _SCAN(
        [
            *inputs,
            *where,
            *(x if branch is None else branch, inputs.input_bias if branch_bias is None else branch_bias),
        ],
        shapes=[(batch, time, width), h.shape],
        dtypes=[dtype, mx.float32],
        grid=(batch * launch.blocks(width, 32), count, 1),
        threadgroup=(32, count, 1),
        template={
            "T": x.dtype,
            "U": dtype,
            "WIDTH": width,
            "BLOCK": block,
            "SEGMENTS": count,
            "STEPS": steps(time),
            "GATED": branch is not None,
            "PACKED": positions is not None,
            "FAST": x.dtype != mx.float32,
        },
    )
    return y, last


def _where(
    inputs: Inputs, first: mx.array | None, lengths: mx.array | None, positions: mx.array | None
) -> tuple[mx.array, mx.array, mx.array]:
    """The kernels' arrays of that name; what is None is not read."""
    batch, _, time, _ = inputs.x.shape
    first, lengths = launch.rows(first, batch, 0), launch.rows(lengths, batch, time)
    return first, lengths, lengths if positions is None else positions


def gradient(
    inputs: Inputs,
    first: mx.array | None,
    lengths: mx.array | None,
    positions: mx.array | None,
    y: mx.array,
    d_y: mx.array,
    d_last: mx.array,
) -> Inputs:
    """The gradients by all inputs of `rg_lru`, by one reverse scan.

    Args:
        y: the states that it returned.
        d_y, d_last: the gradients of its two results.
    """
    x, h = inputs.x, inputs.h
    batch, blocks, time, block = x.shape
    width, count = blocks * block, segments(time)
    d_x, d_input_gate, d_recurrent_gate, d_input_bias, d_recurrent_bias, d_param, d_h = _SCAN_VJP(
        [
            *inputs,
            *_where(inputs, first, lengths, positions),
            *(y, d_y, d_last),
        ],
        shapes=[*[x.shape] * 3, *[h.shape] * 4],
        dtypes=[*[x.dtype] * 3, *[mx.float32] * 4],
        grid=(batch * launch.blocks(width, 32), count, 1),
        threadgroup=(32, count, 1),
        template={"U": x.dtype, "SEGMENTS": count, "STEPS": _STEPS, "PACKED": positions is not None},
    )

    return Inputs(
        x=d_x,
        input_gate=d_input_gate,
        recurrent_gate=d_recurrent_gate,
        input_bias=d_input_bias.sum(axis=0).reshape(inputs.input_bias.shape),
        recurrent_bias=d_recurrent_bias.sum(axis=0).reshape(inputs.recurrent_bias.shape),
        recurrent_param=d_param.sum(axis=0),
        h=d_h,
    )


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


def plain(inputs: Inputs, first: mx.array | None, lengths: mx.array | None, positions: mx.array | None = None) -> Pair:
    """`rg_lru` in plain MLX operations."""
    batch, _, time, _ = inputs.x.shape

    def joined(blocks: mx.array) -> mx.array:
        return blocks.astype(mx.float32).swapaxes(1, 2).reshape(batch, time, -1)

    def sigmoid(gate: mx.array, bias: mx.array) -> mx.array:
        return mx.sigmoid(joined(gate) + bias.reshape(-1))

    log_a = -C * sigmoid(inputs.recurrent_gate, inputs.recurrent_bias) * softplus(inputs.recurrent_param)
    a = mx.exp(log_a)
    # 1 - a^2 as -expm1(2 log a): near a = 1 the plain difference loses the digits that matter.
    # A single step is inference: the plain root, which a compiler can fuse.
    root = mx.sqrt if time == 1 else bounded_sqrt
    multiplier = root(-mx.expm1(2.0 * log_a))
    steps = mx.arange(time)[:, None]
    if positions is not None:
        opens = positions[..., None] == 0
        a, multiplier = mx.where(opens, 0.0, a), mx.where(opens, 1.0, multiplier)
    elif first is not None:
        opens = first[:, None, None] != 0
        multiplier = mx.where(opens if time == 1 else opens & (steps == 0), 1.0, multiplier)
    u = multiplier * sigmoid(inputs.input_gate, inputs.input_bias) * joined(inputs.x)
    if lengths is not None:  # a padded step leaves the state as it is
        valid = steps < lengths[:, None, None]
        a, u = mx.where(valid, a, 1.0), mx.where(valid, u, 0.0)
    return scan(a, u, inputs.h)


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


# --- the same in NumPy --------------------------------------------------------------------------


def host(
    x: np.ndarray,
    input_gate: np.ndarray,
    recurrent_gate: np.ndarray,
    decay: np.ndarray,
    h: np.ndarray,
    first: np.ndarray | None,
    lengths: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """`rg_lru` in NumPy, in float32.

    Args:
        x: the convolution's output [B, T, D].
        input_gate, recurrent_gate: pre-activations with their biases [B, T, D]; overwritten.
        decay: -8 softplus(Lambda) [D].
        h: the state before the chunk [B, D].

    Returns:
        All states [B, T, D] and the last one [B, D].
    """
    time = x.shape[1]
    log_a = sigmoid(recurrent_gate)
    log_a *= decay
    a = np.exp(log_a)
    log_a *= 2.0
    u = np.expm1(log_a, out=log_a)
    np.negative(u, out=u)
    np.sqrt(u, out=u)
    if first is not None:
        u[first != 0, 0] = 1.0
    u *= sigmoid(input_gate)
    u *= x
    if lengths is not None:  # a padded step leaves the state as it is
        padded = np.arange(time) >= lengths[:, None]
        a[padded], u[padded] = 1.0, 0.0
    if time == 1:
        a[:, 0] *= h
        u += a
        return u, u[:, 0]
    product = np.empty_like(h)
    for t in range(time):
        np.multiply(a[:, t], h, out=product)
        u[:, t] += product
        h = u[:, t]
    return u, h


def decay(recurrent_param: np.ndarray) -> np.ndarray:
    """-8 softplus(Lambda), the logarithm of `a` where the gate is open."""
    return (-C * np.logaddexp(recurrent_param, 0.0)).astype(np.float32)


def _host_blocks(
    x: np.ndarray,
    input_gate: np.ndarray,
    recurrent_gate: np.ndarray,
    input_bias: np.ndarray,
    recurrent_bias: np.ndarray,
    recurrent_param: np.ndarray,
    h: np.ndarray,
    first: np.ndarray | None,
    lengths: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    batch, _, time, _ = x.shape

    def joined(blocks: np.ndarray) -> np.ndarray:
        return blocks.swapaxes(1, 2).reshape(batch, time, -1)

    i, r = (joined(g) + b.reshape(-1) for g, b in ((input_gate, input_bias), (recurrent_gate, recurrent_bias)))
    return host(joined(x), i, r, decay(recurrent_param), h, first, lengths)
