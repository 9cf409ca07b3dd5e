"""The matrices of a network as NumPy multiplies by them: dense float32 where memory allows, else a piece at a time.

A dense copy is stored as [in, out]: with that layout OpenBLAS multiplies 2 to 16 rows up to eight times as fast as with
[out, in], whose product packs the matrix anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from ...system import memory
from ..projections import embed
from .pieces import NATIVE_ROWS, inputs, is_affine, pieces, settings, write_transposed

SHARE = 0.25
"""Of the machine's memory, which the dense copies of a network may take together."""
_ROWS_ALONE = 3
"""Up to here a product a row, after the first from the cache, is faster than one of all, which copies the matrix."""

_TILE = 16
"""Rows that are transposed at a time: of more the processor's cache keeps no line until its next number is read."""


def fits_in_memory(numbers: int) -> bool:
    """Whether so many float32 numbers may be kept."""
    return 4 * numbers <= SHARE * memory.physical()


def numbers_in(layers: Sequence[nn.Module]) -> int:
    """Of the dense copies of these layers, biases included."""
    return sum((inputs(layer) + 1) * layer["weight"].shape[0] for layer in layers)


class Room:
    """One array for all dense matrices: NumPy asks for huge pages only for arrays of 4 MB and more.

    Each matrix in pages of 4 KB costs a sixth of a decode step in address translation.
    """

    def __init__(self, numbers: int) -> None:
        self._array, self._used = np.empty(numbers, np.float32), 0

    def take(self, rows: int, columns: int) -> np.ndarray:
        """The next [rows, columns] of it."""
        start, self._used = self._used, self._used + rows * columns
        return self._array[start : self._used].reshape(rows, columns)


class Matrix:
    """The weights of layers that read the same input, side by side: x [N, in] -> [N, sum of outs], without bias.

    Attributes:
        bias: the layers' biases side by side [sum of outs]; None where they have none.
    """

    def __init__(self, layers: Sequence[nn.Module], room: Room | None, scale: np.ndarray | None = None) -> None:
        """
        Args:
            room: where the dense copy is kept; None: there is none.
            scale: what x is multiplied by first [in]: the weight of the norm before.
        """
        self._layers, self._scale = list(layers), scale
        self.widths = [layer["weight"].shape[0] for layer in layers]
        self.bias = _bias(self._layers)
        self._dense: np.ndarray | None = None
        self._affine: np.ndarray | None = None  # and the biases (or zeros) as a last row
        if room is not None:  # written in place, piece by piece: nothing is there twice
            self._affine = room.take(inputs(self._layers[0]) + 1, sum(self.widths))
            self._dense = self._affine[:-1]
            start = 0
            for layer, width in zip(self._layers, self.widths, strict=True):
                _write(layer, self._dense[:, start : start + width])
                start += width
            if scale is not None:
                self._dense *= scale[:, None]
            self._affine[-1] = 0.0 if self.bias is None else self.bias
            mx.clear_cache()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self._dense is not None:
            return product(x, self._dense)
        if self._scale is not None:
            x = x * self._scale
        parts = [self._of_layer(layer, x) for layer in self._layers]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def affine(self, x: np.ndarray, out: np.ndarray) -> None:
        """With biases, into `out` [N, sum of outs]: x is [N, in + 1], and its last column is 1."""
        if self._affine is not None:
            product(x, self._affine, out)
            return
        out[...] = self(x[:, :-1])
        if self.bias is not None:
            out += self.bias

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """The weight's rows of these numbers [*ids.shape, in], for an embedding."""
        if self._dense is not None:
            return np.ascontiguousarray(self._dense[:, ids.reshape(-1)].T).reshape(*ids.shape, -1)
        found = embed(mx.array(ids), self._layers[0], mx.float32).astype(mx.float32)
        return np.array(found, copy=False)

    def _of_layer(self, layer: nn.Module, x: np.ndarray) -> np.ndarray:
        if "scales" not in layer:
            return x @ next(pieces(layer)).T
        if x.shape[0] <= NATIVE_ROWS:
            y = mx.quantized_matmul(
                *(mx.array(x), layer["weight"], layer["scales"], layer.get("biases")),
                transpose=True,
                **settings(layer),
            )
            return np.array(y, copy=False)
        return np.concatenate([x @ piece.T for piece in pieces(layer)], axis=1)


def _write(layer: nn.Module, out: np.ndarray) -> None:
    """A layer's weight [N, in] as `out` [in, N]."""
    if is_affine(layer):
        write_transposed(layer, out)
        return
    start = 0
    for piece in pieces(layer):
        for row in range(0, len(piece), _TILE):
            rows = piece[row : row + _TILE]
            out[:, start : start + len(rows)] = rows.T
            start += len(rows)


def product(x: np.ndarray, matrix: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """x [N, in] times a matrix [in, out]. Of two or three rows one at a time."""
    if not 1 < len(x) <= _ROWS_ALONE:
        return np.matmul(x, matrix, out)
    y = np.empty((len(x), matrix.shape[1]), np.float32) if out is None else out
    for row, into in zip(x, y, strict=True):
        np.matmul(row, matrix, out=into)
    return y


def _bias(layers: Sequence[nn.Module]) -> np.ndarray | None:
    if not any("bias" in layer for layer in layers):
        return None
    parts = [
        np.array(layer["bias"].astype(mx.float32))
        if "bias" in layer
        else np.zeros(layer["weight"].shape[0], np.float32)
        for layer in layers
    ]
    return np.concatenate(parts)
