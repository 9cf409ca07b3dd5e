"""Where weights come from: one interface for every form that RecurrentGemma is published in.

A source knows the configuration and, before anything is read, the name, shape and dtype of every tensor, in Hugging
Face's names and MLX's layout (a convolution is [L, K, 1]). Tensors are read one at a time and belong to the caller:
a source keeps none, so converting takes the memory of the largest tensor, not of the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import mlx.core as mx


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
    """Weights that can be read tensor by tensor.

    Attributes:
        kind: what it is, for a person: "Hugging Face", "MLX, 4-bit", "DeepMind PyTorch", "DeepMind Flax".
        directory: the folder whose tokenizer and generation files belong to the weights.
        files: the weight files, in a fixed order; their names, sizes and times identify the source.
        config: a Hugging Face `config.json`, made from the shapes where the source has none.
        tensors: everything that can be read.
    """

    kind: str
    directory: Path
    files: list[Path]
    config: dict[str, Any]
    tensors: Mapping[str, Tensor]

    def read(self, name: str) -> mx.array:
        """One tensor of `tensors`, evaluated. Raises CheckpointError if it can't be read."""
        ...
