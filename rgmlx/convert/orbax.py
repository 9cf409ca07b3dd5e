"""Flax checkpoints as orbax lays them out, read through `tensorstore`: neither JAX nor orbax is needed.

Knows the two forms of such a directory, one OCDBT database (`manifest.ocdbt`) and a zarr array a folder, and nothing
of RecurrentGemma: names (dotted) and layouts are the checkpoint's own. Tensors are read one at a time.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from ..errors import CheckpointError, RgmlxError
from ..griffin.config import DTYPES
from ..shell import typed
from ..system.printable import first_line, printable
from .source import Tensor

MANIFEST = "manifest.ocdbt"
_DRIVERS = {".zarray": "zarr", "zarr.json": "zarr3"}  # the file that describes an array, and who reads it
_MAX_ELEMENTS = 1 << 40  # a thousand times RecurrentGemma 9B's embedding


def is_orbax(directory: Path) -> bool:
    """Whether a directory is such a checkpoint, by the names in it."""
    if (directory / MANIFEST).is_file():
        return True
    return any(any(directory.glob(f"*/{file}")) for file in _DRIVERS)


class OrbaxDirectory:
    """The tensors of an orbax checkpoint, by name.

    Args:
        path: the directory that holds `manifest.ocdbt`, or one folder a tensor.

    Raises:
        RgmlxError: `tensorstore` is not installed.
        CheckpointError: the directory holds no tensor, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tensorstore = _import_tensorstore()
        self._stores: dict[str, Any] = {}  # opened: metadata only
        base = {"driver": "file", "path": f"{path.resolve()}/"}
        self._base = {"driver": "ocdbt", "base": base} if (path / MANIFEST).is_file() else base
        # Without a cache: what has been read belongs to the caller alone.
        self._context = self._tensorstore.Context({"cache_pool": {"total_bytes_limit": 0}})
        self._drivers = {}
        for key in self._keys():
            name, _, file = key.rpartition("/")
            if name and file in _DRIVERS:
                self._drivers[name] = _DRIVERS[file]
        if not self._drivers:
            raise CheckpointError(f"{path} holds no tensor: {CheckpointError.remedy}")
        self.names = sorted(self._drivers)

    def _keys(self) -> list[str]:
        """The paths of all files that describe an array, among others."""
        if self._base["driver"] == "file":
            return [p.relative_to(self.path).as_posix() for file in _DRIVERS for p in self.path.glob(f"*/{file}")]
        try:
            store = self._tensorstore.KvStore.open(self._base, context=self._context).result()
            return [key.decode("utf-8", "replace") for key in store.list().result()]
        except Exception as e:  # its errors have no base class of their own
            raise CheckpointError(
                f"{self.path / MANIFEST} can't be read ({_reason(e)}): {CheckpointError.remedy}"
            ) from None

    def describe(self, name: str) -> Tensor:
        """Shape and dtype of a tensor, from metadata.

        Raises:
            CheckpointError: the metadata is damaged, or the dtype not one of ours.
        """
        store = self._open(name)
        dtype = str(store.dtype.name)
        if dtype not in DTYPES:
            raise CheckpointError(
                f"{self.path}: the tensor {name} holds {printable(dtype)} numbers: "
                "save the model again as float32, bfloat16 or float16"
            )
        shape = tuple(int(n) for n in store.shape)
        if math.prod(shape) > _MAX_ELEMENTS:
            raise CheckpointError(f"{self.path}: the tensor {name} claims the shape {shape}: {CheckpointError.remedy}")
        return Tensor(shape, getattr(mx, dtype))

    def read(self, name: str) -> np.ndarray:
        """A tensor; bfloat16 as its bits, uint16.

        Raises:
            CheckpointError: as `describe`, or a part of the tensor is missing or damaged.
        """
        tensor = self.describe(name)
        try:
            value = np.asarray(self._open(name).read(order="C").result())
        except Exception as e:
            raise self._unreadable(name, e) from None
        return value.view(np.uint16) if tensor.dtype == mx.bfloat16 else value

    def _open(self, name: str) -> Any:
        if name not in self._stores:
            spec = {
                "driver": self._drivers[name],
                "kvstore": {**self._base, "path": f"{self._base.get('path', '')}{name}/"},
                # A missing part would read as zeros. Orbax writes every part, one of zeros too.
                "fill_missing_data_reads": False,
            }
            try:
                self._stores[name] = self._tensorstore.open(spec, context=self._context, open=True, read=True).result()
            except Exception as e:
                raise self._unreadable(name, e) from None
        return self._stores[name]

    def _unreadable(self, name: str, error: Exception) -> CheckpointError:
        reason = _reason(error)
        return CheckpointError(f"{self.path}: the tensor {name} can't be read ({reason}): {CheckpointError.remedy}")


def _import_tensorstore() -> Any:
    try:
        import tensorstore
    except ImportError:
        if sys.version_info >= (3, 15):
            raise RgmlxError(
                "reading DeepMind's Flax checkpoints takes tensorstore, which has no wheel for this Python: convert with "
                "Python 3.14 or older"
            ) from None
        raise RgmlxError(
            f"reading DeepMind's Flax checkpoints takes tensorstore: {typed('pip install')} tensorstore"
        ) from None
    return tensorstore


def _reason(error: Exception) -> str:
    """What tensorstore says, without the places in its own source."""
    return printable(first_line(error)).split(" [")[0][:300]
