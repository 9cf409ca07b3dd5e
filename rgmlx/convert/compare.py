"""How far two models are apart: their tensors, and what they say of a text.

    KL divergence   of the second model's next-token distribution from the first's, in nats a token
    top-1           how often both find the same token likeliest
    perplexity      of each on the text

Both are read through `Source`, dense and block by block, so neither has to fit in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from ..errors import CheckpointError, RgmlxError
from ..griffin.config import ModelConfig
from .source import Progress, Source, pieces
from .streamed import hidden_states

_PIECE = 2**22  # numbers of a tensor compared at once, in float32


@dataclass(frozen=True)
class Outputs:
    """What two models make of one text; see the module."""

    tokens: int
    kl: float
    kl_largest: float
    top1: float
    perplexity: tuple[float, float]

    def sentence(self) -> str:
        a, b = self.perplexity
        return (
            f"KL {self.kl:.4f} nats a token, the same likeliest token in {self.top1:.1%}, "
            f"perplexity {a:,.2f} -> {b:,.2f}"
        )


def tensor_errors(a: Source, b: Source, progress: Progress = lambda *_: None) -> dict[str, float]:
    """By the name of a tensor, ||b - a|| / ||a||.

    Raises:
        RgmlxError: one of them lacks a tensor of the other, or it has another shape. A head that equals the
            embedding may be missing.
    """
    names = sorted(set(a.tensors) | set(b.tensors))
    errors = {}
    for i, name in enumerate(names):
        progress(name, i, len(names))
        x, y = a.tensors.get(name), b.tensors.get(name)
        if (x is None or y is None) and name == "lm_head.weight":
            continue  # compared by what it says
        if x is None or y is None or x.shape != y.shape:
            raise RgmlxError(f"these are not two versions of one model: they differ in the shape of {name}")
        errors[name] = relative_error(a, b, name)
        if math.isnan(errors[name]):
            raise CheckpointError(
                f"the tensor {name} holds NaN or infinite values in one of the two: download it again"
            )
    progress("", len(names), len(names))
    return errors


def relative_error(a: Source, b: Source, name: str) -> float:
    """||b - a|| / ||a|| of one tensor; 0 where both are zero."""
    squares = np.zeros(2)
    for (_, x), (_, y) in zip(_in_step(a, name), _in_step(b, name), strict=True):
        x, y = x.astype(mx.float32), y.astype(mx.float32)
        squares += np.array([mx.square(y - x).sum().item(), mx.square(x).sum().item()], np.float64)
    return math.sqrt(squares[0] / squares[1]) if squares[1] else (math.inf if squares[0] else 0.0)


def _in_step(source: Source, name: str) -> Iterator[tuple[int, mx.array]]:
    """Pieces of the same rows, whatever the dtype."""
    return pieces(source, name, _PIECE * source.tensors[name].dtype.size)


def outputs(a: Source, b: Source, rows: Sequence[Sequence[int]], progress: Progress = lambda *_: None) -> Outputs:
    """Compares two models on token ids, rows of one length of at least 2.

    Raises:
        RgmlxError: their vocabularies differ.
    """
    configs = [ModelConfig.from_dict(s.config) for s in (a, b)]
    if configs[0].vocab_size != configs[1].vocab_size:
        raise RgmlxError(
            f"these models have vocabularies of {configs[0].vocab_size:,} and {configs[1].vocab_size:,} pieces, "
            "so what they say can't be compared"
        )
    total = sum(c.num_hidden_layers for c in configs) + 1
    hidden = []
    done = 0
    for source, config in zip((a, b), configs, strict=True):
        before = done

        def told(layers: int, before: int = before) -> None:
            progress("blocks", before + layers, total)

        out = hidden_states(config, source, rows, told)[:, :-1]
        hidden.append(out.reshape(-1, out.shape[-1]))
        done += config.num_hidden_layers
    following = mx.array([list(r[1:]) for r in rows], mx.int32).reshape(-1)
    sums = _Sums(hidden, following, [c.logits_soft_cap for c in configs])
    for (start, x), (_, y) in zip(_in_step(a, _head(a)), _in_step(b, _head(b)), strict=True):
        sums.add(start, x.astype(mx.float32), y.astype(mx.float32))
    progress("", total, total)
    return sums.result()


class _Sums:
    """Softmax, divergence and likeliest token over the vocabulary, some of it at a time.

    With x, y the logits of the two models, m the largest x so far:
        s = sum exp(x - m),  d = sum exp(x - m) (x - y);  KL = d / s - log(sum exp x) + log(sum exp y)
    """

    def __init__(self, hidden: list[mx.array], following: mx.array, caps: list[float | None]) -> None:
        count = len(following)
        self._hidden, self._following, self._caps = hidden, np.array(following), caps
        self._top = np.full((2, count), -np.inf)
        self._likeliest = np.zeros((2, count), np.int64)
        self._sum = np.zeros((2, count))
        self._difference = np.zeros(count)
        self._next = np.zeros((2, count))

    def add(self, start: int, *heads: mx.array) -> None:
        """The rows of both heads [v, D] from number `start` on."""
        products = (h @ head.T for h, head in zip(self._hidden, heads, strict=True))
        both = [np.array(mx.tanh(p / cap) * cap if cap else p) for p, cap in zip(products, self._caps, strict=True)]
        here = (self._following >= start) & (self._following < start + both[0].shape[1])
        for k, y in enumerate(both):
            top = np.maximum(self._top[k], y.max(axis=1))
            self._likeliest[k] = np.where(top > self._top[k], start + y.argmax(axis=1), self._likeliest[k])
            shrink = np.exp(self._top[k] - top)
            weights = np.exp(y - top[:, None])
            self._sum[k] = self._sum[k] * shrink + weights.sum(axis=1, dtype=np.float64)
            if k == 0:
                self._difference *= shrink
                self._difference += (weights * (both[0] - both[1])).sum(axis=1, dtype=np.float64)
            self._top[k] = top
            self._next[k, here] = y[here, self._following[here] - start]

    def result(self) -> Outputs:
        log = self._top + np.log(self._sum)
        kl = self._difference / self._sum[0] - log[0] + log[1]
        perplexity = np.exp((log - self._next).mean(axis=1))
        return Outputs(
            tokens=len(kl),
            kl=float(max(kl.mean(), 0.0)),
            kl_largest=float(max(kl.max(), 0.0)),
            top1=float((self._likeliest[0] == self._likeliest[1]).mean()),
            perplexity=(float(perplexity[0]), float(perplexity[1])),
        )


def _head(source: Source) -> str:
    return "lm_head.weight" if "lm_head.weight" in source.tensors else "model.embed_tokens.weight"
