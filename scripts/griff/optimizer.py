"""AdamW on float32 parameters, and the learning rate."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim

from rgmlx.griffin.network import stays_float32

CLIP = 1.0


def decays(name: str) -> bool:
    """Whether weight decay is for it: matrices, and neither norms nor biases nor the convolution."""
    return name.endswith("weight") and not stays_float32(name)


def adamw() -> Any:
    """Betas 0.9 and 0.95, weight decay 0.1 on matrices only."""
    both = [optim.AdamW(0.0, betas=[0.9, 0.95], weight_decay=decay, bias_correction=True) for decay in (0.1, 0.0)]
    return optim.MultiOptimizer(both, [lambda name, _: decays(name)])


@dataclass
class Schedule:
    """Warm-up, then a cosine from `peak` to `last`, over steps or over time.

    Over time the share that is done is measured now and then (`measure`) and foretold between, so that several trainings
    that are told the same go the same way.

    steps, minutes: how long; the one that is 0 does not count.
    warm: steps of the warm-up.
    spent: seconds that an earlier part of this training took.
    since: the step that this training began at.
    """

    peak: float
    last: float
    warm: int
    steps: int = 0
    minutes: float = 0.0
    spent: float = 0.0
    since: int = 0

    def __post_init__(self) -> None:
        self._began = time.monotonic() - self.spent
        self._at, self._share, self._pace = self.since, self.elapsed() / 60 / self.minutes if self.minutes else 0.0, 0.0

    def elapsed(self) -> float:
        """Seconds, earlier parts included."""
        return time.monotonic() - self._began

    def measure(self, step: int) -> tuple[float, float]:
        """The share that is done, and how much a step adds to it."""
        if not self.minutes:
            return (step - self.since) / max(self.steps, 1), 1 / max(self.steps, 1)
        share = self.elapsed() / 60 / self.minutes
        pace = (share - self._share) / (step - self._at) if step > self._at else self._pace
        return share, pace

    def set(self, step: int, share: float, pace: float) -> None:
        """Takes what was measured, by this training or by another that it goes with."""
        self._at, self._share, self._pace = step, share, pace

    def share(self, step: int) -> float:
        """Of the training, 0 to 1, before this step."""
        return min(1.0, self._share + (step - self._at) * self._pace)

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.share(step)))
        return min(1.0, (step - self.since + 1) / max(self.warm, 1)) * (self.last + (self.peak - self.last) * cosine)

    def over(self, step: int) -> bool:
        return self.share(step) >= 1.0 - 1e-9


def clip(gradients: Any) -> tuple[Any, mx.array]:
    """Gradients of a norm of at most 1, and the norm before."""
    clipped, norm = optim.clip_grad_norm(gradients, CLIP)
    return clipped, norm
