"""One token through a recurrent block, between its two projections.

shapes   B batch   L lru_width   H gate blocks   E channels of a block   K taps
"""

from __future__ import annotations

from typing import NamedTuple

import mlx.core as mx
import numpy as np

from . import launch
from .conv import host as host_conv
from .conv import plain as plain_conv
from .elementwise import gelu
from .functions import gelu as host_gelu
from .rg_lru import Inputs as Recurrence
from .rg_lru import decay
from .rg_lru import host as host_rg_lru
from .rg_lru import plain as plain_rg_lru

Triple = tuple[mx.array, mx.array, mx.array]

_INPUTS = [
    *("product", "product_bias", "tail", "conv_weight", "conv_bias", "input_weight", "recurrent_weight"),
    *("input_bias", "recurrent_bias", "recurrent_param", "h"),
]
_KERNEL = launch.Kernel("recurrent_step", [*_INPUTS, "first"], ["y", "new_tail", "new_h"])
_ROWS = 16  # simdgroups that share the rows of a gate block


class Inputs(NamedTuple):
    """What a step is a function of.

    product: the joined product of `linear_x` and `linear_y` [B, 1, 2L], without bias.
    product_bias: [2L].
    tail: the K-1 inputs before [B, K-1, L], in the product's dtype.
    conv_weight: float32 [L, K, 1];  conv_bias: float32 [L].
    input_weight, recurrent_weight: gate blocks [H, E, E], in the product's dtype.
    input_bias, recurrent_bias, recurrent_param: float32, L numbers in any shape.
    h: float32 [B, L].
    """

    product: mx.array
    product_bias: mx.array
    tail: mx.array
    conv_weight: mx.array
    conv_bias: mx.array
    input_weight: mx.array
    recurrent_weight: mx.array
    input_bias: mx.array
    recurrent_bias: mx.array
    recurrent_param: mx.array
    h: mx.array


def recurrent_step(inputs: Inputs, first: mx.array | None, inference: bool = False) -> Triple:
    """Convolution, gates, RG-LRU and the product with gelu(y), for one token a row.

    Args:
        inputs: see there.
        first: int32 [B], 1 where the token begins a sequence; None: nowhere.
        inference: leave out the derivative, as in a decode step.

    Returns:
        The block's inner output [B, 1, L], the next tail and the next state.
    """

    def reference(*arrays: mx.array) -> Triple:
        return plain(Inputs(*arrays), first)

    def kernel(*arrays: mx.array) -> Triple:
        product, tail, h = arrays[0], inputs.tail, inputs.h
        batch, (heads, block, _) = product.shape[0], inputs.input_weight.shape
        y, new_tail, new_h = _KERNEL(
            [*arrays, launch.rows(first, batch, 0)],
            shapes=[(batch, 1, h.shape[1]), tail.shape, h.shape],
            dtypes=[product.dtype, product.dtype, mx.float32],
            grid=(batch * launch.blocks(block, 32), _ROWS * heads, 1),
            threadgroup=(32, _ROWS, 1),
            template={
                "T": product.dtype,
                "BLOCK": block,
                "TAPS": inputs.conv_weight.shape[1],
                "ROWS": _ROWS,
                "EACH": -(-block // _ROWS),
            },
        )
        return y, new_tail, new_h

    if inference and inputs.product.dtype == mx.float32 and launch.backend() == "numpy":
        found: Triple = launch.in_numpy(_host_inputs, *inputs, first)
        return found
    if not launch.on_gpu("recurrent_step") or inputs.conv_weight.shape[1] == 1:
        return reference(*inputs)
    y, new_tail, new_h = launch.with_gradient(kernel, reference, inputs, inference)
    return y, new_tail, new_h


def plain(inputs: Inputs, first: mx.array | None) -> Triple:
    """`recurrent_step` in plain MLX operations."""
    i, width = inputs, inputs.h.shape[1]
    blocks = i.input_weight.shape[0]
    z, tail = plain_conv(i.product, i.product_bias, i.tail, i.conv_weight, i.conv_bias, None, blocks)
    gates = z @ i.input_weight, z @ i.recurrent_weight
    recurrence = Recurrence(z, *gates, i.input_bias, i.recurrent_bias, i.recurrent_param, i.h)
    states, h = plain_rg_lru(recurrence, first, None)
    branch = i.product[..., width:].astype(mx.float32) + i.product_bias[width:].astype(mx.float32)
    return (states * gelu(branch)).astype(i.product.dtype), tail, h


class HostWeights(NamedTuple):
    """The parameters between the projections of a recurrent block, as `host` takes them: float32.

    product_bias: [2L], or None;  conv_weight: [L, K, 1];  conv_bias: [L].
    gates: both gate matrices side by side, [H, E, 2E];  gate_bias: [H, 2E].
    decay: [L], see `rg_lru.decay`.
    """

    product_bias: np.ndarray | None
    conv_weight: np.ndarray
    conv_bias: np.ndarray
    gates: np.ndarray
    gate_bias: np.ndarray
    decay: np.ndarray


def host(
    product: np.ndarray,
    tail: np.ndarray,
    h: np.ndarray,
    weights: HostWeights,
    first: np.ndarray | None,
    lengths: np.ndarray | None = None,
    traced: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What lies between the projections of a recurrent block, in NumPy, for any number of tokens a row.

    Args:
        product: the joined product [B, T, 2L], without bias.
        tail: [B, K-1, L];  h: [B, L].
        first, lengths: int [B], as in `rg_lru`.
        traced: keep what every position leaves behind.

    Returns:
        The block's inner output [B, T, L], the next tail and the next state; `traced`: all inputs of the convolution
        [B, K-1+T, L] and all states [B, T, L] in place of the two.
    """
    w, (batch, time, _), width = weights, product.shape, h.shape[1]
    z, tail = host_conv(product, w.product_bias, tail, w.conv_weight, w.conv_bias, lengths, traced)
    blocks, block, _ = w.gates.shape
    gates = np.matmul(z.reshape(batch * time, blocks, block).swapaxes(0, 1), w.gates)  # [H, B * T, 2E]
    gates += w.gate_bias[:, None]

    def by_channel(gate: np.ndarray) -> np.ndarray:
        """In the order of the channels, as the rest is: [H, B * T, E] -> [B, T, L]."""
        return np.ascontiguousarray(gate.swapaxes(0, 1)).reshape(batch, time, width)

    i, r = by_channel(gates[..., :block]), by_channel(gates[..., block:])
    y, h = host_rg_lru(z, i, r, w.decay, h, first, lengths)
    branch = product[..., width:]
    if w.product_bias is not None:
        branch = branch + w.product_bias[width:]
    h = (y if traced else h).copy()  # of what is overwritten now
    y *= host_gelu(branch)
    return y, tail, h


def _host_inputs(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`host` on the arrays of `Inputs`, and `first`."""
    product, bias, tail, *parameters, h, first = arrays
    return host(product, tail, h, host_weights(bias, *parameters), first)


def host_weights(
    product_bias: np.ndarray | None,
    conv_weight: np.ndarray,
    conv_bias: np.ndarray,
    input_weight: np.ndarray,
    recurrent_weight: np.ndarray,
    input_bias: np.ndarray,
    recurrent_bias: np.ndarray,
    recurrent_param: np.ndarray,
) -> HostWeights:
    """The parameters in the form of `host`, from those of `Inputs`."""
    heads = input_weight.shape[0]
    biases = [b.reshape(heads, -1) for b in (input_bias, recurrent_bias)]
    return HostWeights(
        *(product_bias, conv_weight, conv_bias),
        np.concatenate([input_weight, recurrent_weight], axis=-1),
        np.concatenate(biases, axis=-1),
        decay(recurrent_param),
    )
