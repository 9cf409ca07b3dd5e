"""Weights that stay in memory while a model works, as mlx-lm has it: Metal's wired limit is raised, and put back after.

macOS takes back memory that a GPU has not used for a while; the next word then waits until all weights are there again.
MLX wires nothing unless it is told to, and before macOS 15 it can't. What is wired nobody else can have: only weights
that leave two fifths of the memory to others are. A limit is one for the process: a program that imports us has its own
again as soon as nothing is read or written any more.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from types import TracebackType
from typing import TypeVar

import mlx.core as mx
from mlx.nn import Module
from mlx.utils import tree_flatten

from ..system import memory

T = TypeVar("T")

SHARE = 0.6
"""Of the machine's memory, which weights and margin may take together: with more wired, Macs of 16 GB have frozen
(osaurus-ai/vmlx-swift #421)."""
_LEAST_MARGIN = 2**30  # bytes besides the weights: states, a chunk's temporaries, what MLX keeps for the next ones
_MARGIN = 0.25  # of the weights, where that is more


def limit(weights: int) -> int:
    """The limit that keeps so many bytes of weights in memory; 0: they are too large for it."""
    info = mx.device_info()
    total = int(info.get("memory_size") or memory.physical())
    wanted = weights + max(_LEAST_MARGIN, int(_MARGIN * weights))
    most = int(info.get("max_recommended_working_set_size") or 0)  # a higher limit is an error
    return min(wanted, most) if wanted <= SHARE * total else 0


class _Limit:
    """The limit of this process, and for whom it is raised."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # again in one thread: a reply that is thrown away ends wherever that happens
        self._held: dict[int, list[int]] = {}  # by model: how often it is held, and its bytes
        self._before: int | None = None  # what it was, while it is raised

    def hold(self, model: int, weights: int) -> None:
        with self._lock:
            self._held.setdefault(model, [0, weights])[0] += 1
            self._set()

    def release(self, model: int) -> None:
        with self._lock:
            self._held[model][0] -= 1
            if not self._held[model][0]:
                del self._held[model]
            self._set()

    def _set(self) -> None:
        wanted = limit(sum(weights for _, weights in self._held.values())) if self._held else 0
        with contextlib.suppress(RuntimeError, ValueError):  # without it all is as right, and slower at most
            if wanted:
                old = mx.set_wired_limit(max(wanted, self._before or 0))
                if self._before is None:
                    self._before = old
                    if old > wanted:  # somebody wants more
                        mx.set_wired_limit(old)
            elif self._before is not None:
                mx.set_wired_limit(self._before)
                self._before = None


_limit = _Limit()


class wired:
    """Within it, a model's weights stay in memory, where they fit and this is a Mac."""

    def __init__(self, model: Module) -> None:
        self._model, self._holds = model, False

    def __enter__(self) -> None:
        if memory.on_metal():
            weights = sum(array.nbytes for _, array in tree_flatten(self._model.parameters()))
            _limit.hold(id(self._model), weights)
            self._holds = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._holds:
            self._holds = False
            _limit.release(id(self._model))


def while_wired(model: Module, steps: Generator[T]) -> Generator[T]:
    """The steps of something, with the model's weights in memory from the first to the last."""
    with wired(model):
        yield from steps
