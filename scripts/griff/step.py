"""The loss of a batch, and one step of training, compiled.

Parameters are float32; the network computes in bfloat16 with what they round to, but for those that stay float32 in every
model (`rgmlx.griffin.network.FLOAT32_PARAMETERS`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_map, tree_map_with_path

from rgmlx.griffin.network import RecurrentGemma, stays_float32

from .optimizer import clip
from .rows import COPIED, Batch

MEASURES = ("loss", "tokens", "copied_loss", "copied_tokens", "norm")
"""What a step tells: sums of cross entropy and of weights, of all and of copied tokens alone; the gradient's norm."""
_PIECE = 64 * 1024  # tokens whose logits are there at once: 2 GB in float32 with 8,192 of them

Arrays = dict[str, Any]
Inputs = tuple[mx.array, mx.array, mx.array]


def inputs(batch: Batch) -> Inputs:
    """A batch on the device: tokens int32 [rows, time + 1], weights float32 and positions int32 [rows, time]."""
    tokens, weights, positions = (mx.array(a) for a in (batch.tokens, batch.weights[:, 1:], batch.positions))
    return tokens.astype(mx.int32), weights.astype(mx.float32), positions


def rounded(parameters: Arrays, dtype: mx.Dtype) -> Arrays:
    """What the network computes with."""
    return tree_map_with_path(lambda name, p: p if stays_float32(name) else p.astype(dtype), parameters)


def losses(net: RecurrentGemma, parameters: Arrays, batch: Inputs, dtype: mx.Dtype, piece: int = _PIECE) -> mx.array:
    """Float32 [4]: the first four of `MEASURES`, each a sum over the batch."""
    tokens, weights, positions = batch
    net.update(rounded(parameters, dtype))
    embedding = net.model.embed_tokens.weight
    # Looked up in float32, so that the gradients of a token's many places are summed in float32.
    net.model.embed_tokens.weight = embedding.astype(mx.float32)
    hidden = net.packed(tokens[:, :-1], positions)
    hidden, targets, weights = hidden.reshape(-1, hidden.shape[-1]), tokens[:, 1:].reshape(-1), weights.reshape(-1)

    def sums(part: slice) -> Callable[[mx.array, mx.array], mx.array]:
        target, weight = targets[part], weights[part]

        def run(embedding: mx.array, hidden: mx.array) -> mx.array:
            net.model.embed_tokens.weight = embedding
            entropy = nn.losses.cross_entropy(net.head(hidden, inference=False), target)
            copied = (weight >= COPIED).astype(mx.float32)
            return mx.stack([(entropy * weight).sum(), weight.sum(), (entropy * copied).sum(), copied.sum()])

        return run

    if hidden.shape[0] <= piece:
        return sums(slice(None))(embedding, hidden)
    total = mx.zeros((4,))
    for start in range(0, hidden.shape[0], piece):  # logits are made anew in the backward pass
        part = slice(start, start + piece)
        total = total + mx.checkpoint(sums(part))(embedding, hidden[part])
    return total


def loss_and_gradients(
    net: RecurrentGemma, dtype: mx.Dtype, piece: int = _PIECE
) -> Callable[[Arrays, Inputs], tuple[mx.array, Arrays]]:
    """A function of parameters and a batch: `losses`, and the gradients of the mean over weights."""

    def mean(parameters: Arrays, batch: Inputs) -> tuple[mx.array, mx.array]:
        found = losses(net, parameters, batch, dtype, piece)
        return found[0] / mx.maximum(found[1], 1.0), mx.stop_gradient(found)

    def run(parameters: Arrays, batch: Inputs) -> tuple[mx.array, Arrays]:
        (_, found), gradients = mx.value_and_grad(mean)(parameters, batch)
        return found, gradients

    return run


class Step:
    """One step of training. Holds the parameters and the optimizer's state, and moves both.

    Args:
        net: the network; what parameters it holds is of no account.
        parameters: float32, as a tree.
        group: the trainings that share their gradients.
    """

    def __init__(
        self,
        net: RecurrentGemma,
        parameters: Arrays,
        optimizer: Any,
        dtype: mx.Dtype = mx.bfloat16,
        group: Any = None,
        piece: int = _PIECE,
        compiled: bool = True,
    ) -> None:
        self.parameters, self.optimizer = parameters, optimizer
        optimizer.init(parameters)
        self.state = optimizer.state
        self.gradients = loss_and_gradients(net, dtype, piece)
        self.losses = lambda parameters, batch: losses(net, parameters, batch, dtype, piece)
        self._group = group
        self._run = mx.compile(self._moved) if compiled else self._moved

    def _moved(
        self, parameters: Arrays, state: Arrays, batch: Inputs, rate: mx.array
    ) -> tuple[mx.array, Arrays, Arrays]:
        found, gradients = self.gradients(parameters, batch)
        if self._group is not None and self._group.size() > 1:
            gradients = nn.average_gradients(gradients, self._group)
            found = mx.distributed.all_sum(found, group=self._group)
        gradients, norm = clip(gradients)
        self.optimizer.state = state
        self.optimizer.learning_rate = rate
        moved = self.optimizer.apply_gradients(gradients, parameters)
        # In the order of what came in: another order would be compiled anew.
        moved = tree_map(lambda _, new: new, parameters, moved)
        return mx.concatenate([found, norm[None]]), moved, tree_map(lambda _, new: new, state, self.optimizer.state)

    def __call__(self, batch: Inputs, rate: float) -> mx.array:
        """Moves the parameters, lazily; returns `MEASURES`, float32 [5]."""
        found, self.parameters, self.state = self._run(self.parameters, self.state, batch, mx.array(rate))
        mx.async_eval(found, self.parameters, self.state)
        return found
