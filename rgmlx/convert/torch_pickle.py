"""PyTorch's `.pt` files read without PyTorch, and without running anything that they hold.

Knows the zip archive that `torch.save` writes (a pickle that describes tensors, and their bytes beside it) and
nothing of RecurrentGemma: names and layouts are the file's own. The pickle may ask for the few names that describe a
tensor; whatever else it asks for is refused by name. Bytes are mapped from the disk one tensor at a time.
"""

from __future__ import annotations

import collections
import math
import os
import pickle
import pickletools
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import mlx.core as mx
import numpy as np

from ..errors import CheckpointError
from ..griffin.config import DTYPES
from ..system.printable import first_line, printable
from ..system.reading import open_regular
from .source import Tensor

_MAX_PICKLE = 16 << 20  # RecurrentGemma 9B's takes 100 kB
_STORAGES = {
    "FloatStorage": "float32",
    "BFloat16Storage": "bfloat16",
    "HalfStorage": "float16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
_NUMPY: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "bfloat16": np.dtype("<u2"),
    "float16": np.dtype("<f2"),
}


class _Storage(NamedTuple):
    """A run of numbers in the archive, as the pickle describes it: nothing of it has been checked."""

    dtype: Any
    key: Any
    count: Any


class _Entry(NamedTuple):
    """A tensor as the pickle describes it: nothing of it has been checked."""

    storage: Any
    offset: Any
    shape: Any
    strides: Any


class _RebuildTensor:
    """Stands for `torch._utils._rebuild_tensor_v2`. Without attributes, so that a pickle can set none."""

    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Entry:
        return _Entry(storage, offset, shape, strides)


class _RebuildParameter:
    """Stands for `torch._utils._rebuild_parameter`, which marks a tensor as trainable."""

    __slots__ = ()

    def __call__(self, data: Any, *_: Any) -> Any:
        return data


class _Unpickler(pickle.Unpickler):
    """Makes dictionaries, lists, numbers, strings and `_Entry`s; refuses every other name."""

    _allowed: ClassVar[dict[tuple[str, str], Any]] = {
        ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
        ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
        ("collections", "OrderedDict"): collections.OrderedDict,
        **{("torch", storage): dtype for storage, dtype in _STORAGES.items()},
        **{("torch", dtype): dtype for dtype in _STORAGES.values()},
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._allowed[module, name]
        except KeyError:
            asked = printable(f"{module}.{name}").replace("\n", " ")[:200]
            raise CheckpointError(
                f"asks for {asked}, which is not part of a tensor: refused, as loading it could run a program"
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count = pid
        if kind != "storage":
            raise ValueError(kind)
        return _Storage(dtype, key, count)


def _check_memo(data: bytes) -> None:
    """Raises ValueError for a place in the memo that a pickle of this length can't need: Python would make room for it."""
    for op, argument, _ in pickletools.genops(data):
        if op.name in ("PUT", "BINPUT", "LONG_BINPUT") and not 0 <= (argument or 0) <= len(data):
            raise ValueError(f"memo {argument}")


class TorchFile:
    """The tensors of a `.pt` file, by name; those of nested dictionaries have dotted names.

    Args:
        path: a file that `torch.save` wrote (PyTorch 1.6 or later).

    Raises:
        CheckpointError: it can't be read, is truncated, of another format, or asks for anything but tensors.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with open_regular(path) as f:
                self._size = os.fstat(f.fileno()).st_size
                start = f.read(4)
                if start[:1] == b"\x80":  # a bare pickle
                    raise CheckpointError(
                        f"{path} is in PyTorch's format from before 1.6: save it again in Python with "
                        "torch.save(torch.load(path, weights_only=True), path)"
                    )
                if not start.startswith(b"PK"):
                    raise CheckpointError(f"{path} is truncated or not a PyTorch file: {CheckpointError.remedy}")
                with zipfile.ZipFile(f) as archive:
                    self._members = {info.filename: info for info in archive.infolist()}
                    content = self._open_archive(archive)
        except OSError as e:
            raise CheckpointError(f"{path} can't be read: {e.strerror or e}") from None
        except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, EOFError, struct.error) as e:
            if isinstance(e, CheckpointError):
                raise
            raise CheckpointError(f"{path} is truncated or damaged: {CheckpointError.remedy}") from None
        self._entries = _flatten(content)
        self.names = list(self._entries)

    def _open_archive(self, archive: zipfile.ZipFile) -> Any:
        """Unpickles what lies beside the tensors' bytes."""
        found = [name for name in self._members if name.split("/")[-1] == "data.pkl" and name.count("/") < 2]
        if len(found) != 1:
            raise CheckpointError(f"{self.path} is a zip archive, but not one that PyTorch saved")
        self._folder = found[0].removesuffix("data.pkl")
        order = f"{self._folder}byteorder"
        if self._stored(found[0]).file_size > _MAX_PICKLE:
            raise CheckpointError(f"{self.path} holds a description of {self._members[found[0]].file_size:,} bytes")
        if order in self._members and archive.read(self._stored(order)).strip() != b"little":
            raise CheckpointError(f"{self.path} was saved on a big-endian machine: save it again on another one")
        data = archive.read(found[0])  # checks the CRC
        try:
            _check_memo(data)
            return _Unpickler(BytesIO(data)).load()
        except CheckpointError as e:
            raise CheckpointError(f"{self.path} {e}") from None
        except Exception as e:  # a damaged pickle raises almost anything
            raise CheckpointError(
                f"{self.path} has a damaged description of its tensors ({first_line(e)}): {CheckpointError.remedy}"
            ) from None

    def _stored(self, name: str) -> zipfile.ZipInfo:
        """A member that is not compressed, as PyTorch writes them all."""
        info = self._members[name]
        if info.compress_type != zipfile.ZIP_STORED:
            raise CheckpointError(
                f"{self.path} holds {name} compressed, which PyTorch doesn't do: {CheckpointError.remedy}"
            )
        return info

    def describe(self, name: str) -> Tensor:
        """Shape and dtype of a tensor.

        Raises:
            CheckpointError: the dtype is not one of ours, or the tensor does not lie within its storage.
        """
        return self._locate(name)[0]

    def read(self, name: str) -> np.ndarray:
        """A tensor, mapped from the disk; bfloat16 as its bits, uint16.

        Raises:
            CheckpointError: as `describe`, or the file has changed since it was opened.
        """
        tensor, start, strides = self._locate(name)
        dtype = _NUMPY[_name(tensor.dtype)]
        span = 1 + sum((n - 1) * stride for n, stride in zip(tensor.shape, strides, strict=True))
        try:
            flat = np.memmap(self.path, dtype, "r", start, (span,))
        except (OSError, ValueError) as e:
            raise CheckpointError(f"{self.path}: the tensor {name} can't be read: {first_line(e)}") from None
        steps = [stride * dtype.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(flat, tensor.shape, steps, writeable=False)

    def _locate(self, name: str) -> tuple[Tensor, int, tuple[int, ...]]:
        """A tensor's description, its first byte in the file, and its strides in elements."""
        storage, offset, shape, strides = self._entries[name]
        where = f"{self.path}: the tensor {name}"
        if not isinstance(storage, _Storage) or not isinstance(storage.key, str):
            raise CheckpointError(f"{where} has no storage: {CheckpointError.remedy}")
        if storage.dtype not in DTYPES:
            raise CheckpointError(
                f"{where} holds {storage.dtype} numbers: save the model again as float32, bfloat16 or float16"
            )
        numbers = (offset, storage.count, *_whole(shape), *_whole(strides))
        fits = len(_whole(shape)) == len(_whole(strides)) < 9 and all(type(n) is int and n >= 0 for n in numbers)
        # As many elements as the storage holds at most: a stride of 0 would make a large tensor of a small file.
        fits = fits and 0 < math.prod(shape) <= storage.count
        if not fits or offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) >= storage.count:
            raise CheckpointError(f"{where} does not lie within its storage: {CheckpointError.remedy}")
        itemsize = _NUMPY[storage.dtype].itemsize
        start, size = self._bytes(f"{self._folder}data/{storage.key}", where)
        if storage.count * itemsize > size:
            missing = storage.count * itemsize - size
            raise CheckpointError(f"{where} is truncated ({missing:,} bytes are missing): {CheckpointError.remedy}")
        return Tensor(tuple(shape), getattr(mx, storage.dtype)), start + offset * itemsize, tuple(strides)

    def _bytes(self, member: str, where: str) -> tuple[int, int]:
        """Where a member's content starts in the file, and its length. It is not compressed."""
        if member not in self._members:
            raise CheckpointError(f"{where} has no data in the file ({printable(member)}): {CheckpointError.remedy}")
        info = self._stored(member)
        try:
            with open_regular(self.path) as f:
                f.seek(info.header_offset)
                header = f.read(30)
        except OSError as e:
            raise CheckpointError(f"{where} can't be read: {e.strerror or e}") from None
        if len(header) < 30 or not header.startswith(b"PK\x03\x04"):
            raise CheckpointError(f"{where} has damaged data: {CheckpointError.remedy}")
        # The lengths of name and extra field; PyTorch pads the latter, and the directory doesn't repeat it.
        start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        if start + info.file_size > self._size:
            raise CheckpointError(f"{where} is truncated: {CheckpointError.remedy}")
        return start, info.file_size


def _flatten(content: Any) -> dict[str, _Entry]:
    """All tensors below a dictionary, by dotted name. What has no name, as an optimizer's numbers, is left out."""
    out: dict[str, _Entry] = {}
    seen: set[int] = set()  # a pickle can make a dictionary that holds itself
    waiting: list[tuple[str, Any]] = [("", content)]
    while waiting:
        prefix, value = waiting.pop()
        if isinstance(value, dict) and id(value) not in seen:
            seen.add(id(value))
            # `dict.items`, as an attribute set by the pickle could hide the method.
            waiting += [(f"{prefix}{key}.", v) for key, v in dict.items(value) if isinstance(key, str)]
        elif isinstance(value, _Entry):
            out[prefix[:-1]] = value
    return out


def _whole(value: Any) -> tuple[Any, ...]:
    """A tuple or list as a tuple; anything else as one that fits nothing."""
    return tuple(value) if isinstance(value, (tuple, list)) else (-1,)


def _name(dtype: mx.Dtype) -> str:
    return str(dtype).removeprefix("mlx.core.")
