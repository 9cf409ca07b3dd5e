"""Where weights come from: one interface for every form that RecurrentGemma is published in.

A source knows the configuration and, before anything is read, the name, shape and dtype of every tensor, in Hugging
Face's names and MLX's layout (a convolution is [L, K, 1]). Tensors are read one at a time and belong to the caller:
a source keeps none, so converting takes the memory of the largest tensor, not of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import mlx.core as mx
import numpy as np

Progress = Callable[[str, int, int], None]
"""Told (what is being done, how much of it is done, how much there is)."""


@dataclass(frozen=True)
class Tensor:
    """A tensor that has not been read: shape and dtype as `Source.read` will return it."""

    shape: tuple[int, ...]
    dtype: mx.Dtype

    @property
    def nbytes(self) -> int:
        size = self.dtype.size
        for n in self.shape:
            size *= n
        return size


class Source(Protocol):
    """Weights that can be read tensor by tensor."""

    @property
    def kind(self) -> str:
        """What it is, for a person: "Hugging Face", "MLX, 4 bits", "DeepMind PyTorch", "DeepMind Flax"."""
        ...

    @property
    def directory(self) -> Path:
        """The folder whose tokenizer and generation files belong to the weights."""
        ...

    @property
    def files(self) -> Sequence[Path]:
        """The weight files in a fixed order; their names, sizes and times identify the source."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """A Hugging Face `config.json`, made from the shapes where the source has none."""
        ...

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """Everything that can be read."""
        ...

    def read(self, name: str) -> mx.array:
        """One tensor of `tensors`, evaluated. Raises CheckpointError if it can't be read."""
        ...


@runtime_checkable
class InRows(Protocol):
    """A source that can read a part of a matrix without the rest passing through memory."""

    def read_rows(self, name: str, start: int, stop: int) -> mx.array:
        """Rows `start` to `stop` (excluded)."""
        ...


def pieces(source: Source, name: str, nbytes: int = 2**26) -> Iterator[tuple[int, mx.array]]:
    """A tensor in pieces of some rows each, with the first row's number; whole where the source knows no rows.

    Args:
        nbytes: of a piece, about.
    """
    tensor = source.tensors[name]
    if tensor.nbytes <= nbytes or not isinstance(source, InRows) or len(tensor.shape) != 2:
        whole = source.read(name)
        each = max(1, nbytes * whole.shape[0] // max(1, tensor.nbytes)) if len(tensor.shape) == 2 else whole.shape[0]
        for start in range(0, whole.shape[0], each):
            yield start, whole[start : start + each]
        return
    each = max(1, nbytes * tensor.shape[0] // tensor.nbytes)
    for start in range(0, tensor.shape[0], each):
        yield start, source.read_rows(name, start, min(start + each, tensor.shape[0]))


@cache
def _side() -> mx.ThreadLocalStream:
    """A stream of its own in each thread: a view must not queue up behind the work on the default one."""
    return mx.new_thread_local_stream(mx.cpu)


def viewed(array: mx.array, dtype: mx.Dtype) -> mx.array:
    """The same bytes as numbers of another dtype, at once, whatever MLX is busy with. Needs contiguous memory."""
    out = mx.view(array, dtype, stream=_side())
    mx.eval(out)
    return out


def raw(array: mx.array) -> np.ndarray:
    """The bits of an array as unsigned whole numbers [size], without a copy where its memory is contiguous."""
    plain = {1: mx.uint8, 2: mx.uint16, 4: mx.uint32}[array.dtype.size]
    return np.array(viewed(mx.contiguous(array, stream=_side()), plain), copy=False).reshape(-1)
