"""Safetensors files, read with suspicion and written atomically.

Reading checks the header and the file's length before MLX maps a byte, because a truncated file
would otherwise surface much later as garbage. Writing goes beside the target, is flushed to the
disk and then renamed, so that a crash or a full disk leaves the old file as it was.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import struct
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx

from ..errors import RgmlxError
from .disk import flush, sync_directory
from .macos import privacy
from .paths import is_utf8
from .printable import first_line
from .reading import open_regular

_MAX_HEADER = 100_000_000  # as the safetensors library
_MAX_AXES, _MAX_AXIS = 8, 2**31  # MLX counts an axis in 32 bits
# Bytes of a number. A type that is not here is MLX's to refuse.
_ITEMSIZES = {"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2}
_ITEMSIZES |= {"U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8}


def read_header(
    path: Path, error: type[RgmlxError], beginning: tuple[bytes, int] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """The tensor table and the metadata of a safetensors file.

    Args:
        beginning: of a file that is still on its way, what is read in its place: its first bytes, and how many it will have.

    Returns:
        `{name: {"dtype", "shape", "data_offsets"}}` and the `__metadata__` strings.

    Raises:
        error: the file is missing, truncated or not a safetensors file; the sentence names it.
    """
    try:
        with open_regular(path) if beginning is None else io.BytesIO(beginning[0]) as f:
            size = os.fstat(f.fileno()).st_size if beginning is None else beginning[1]
            start = f.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
            fits = 2 <= length <= min(_MAX_HEADER, size - 8)
            text = f.read(length) if fits else b""
    except OSError as e:
        raise error(f"{path} can't be read: {e.strerror or e}") from None
    if not fits:
        raise error(f"{path} is truncated or not a safetensors file: {error.remedy}")
    try:
        header = json.loads(text)
        metadata = header.pop("__metadata__", None) or {}
        if not all(isinstance(text, str) for text in [*metadata.keys(), *metadata.values()]):
            raise ValueError
        end = max((_end(t) for t in header.values()), default=0)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise error(f"{path} has a damaged header: {error.remedy}") from None
    if size < 8 + length + end:
        missing = 8 + length + end - size
        raise error(f"{path} is truncated ({missing:,} bytes are missing): {error.remedy}")
    return header, metadata


def _end(entry: Mapping[str, Any]) -> int:
    """Where a tensor's bytes end, after the header. Raises ValueError, TypeError: the entry contradicts itself."""
    shape, (first, last) = entry["shape"], entry["data_offsets"]
    numbers = (*shape, first, last)
    if not isinstance(shape, list) or len(shape) > _MAX_AXES or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError
    itemsize = _ITEMSIZES.get(entry["dtype"])
    if max(shape, default=0) >= _MAX_AXIS or (itemsize is not None and last - first != math.prod(shape) * itemsize):
        raise ValueError
    return last


@contextlib.contextmanager
def _loadable(path: Path) -> Iterator[str]:
    """A name that MLX takes for the file: its own, or that of an open descriptor where its own is not UTF-8."""
    if is_utf8(path):
        yield str(path)
        return
    with open_regular(path) as f:
        yield f"/dev/fd/{f.fileno()}"


def load_arrays(path: Path, error: type[RgmlxError]) -> tuple[dict[str, mx.array], dict[str, str]]:
    """All tensors of a safetensors file and its metadata; the header is checked first."""
    _, metadata = read_header(path, error)
    try:
        with _loadable(path) as name:
            arrays = mx.load(name, format="safetensors")
    except (RuntimeError, ValueError, OSError) as e:
        raise error(f"{path} can't be read: {first_line(e)}") from None
    assert isinstance(arrays, dict)
    return arrays, metadata


def save_arrays(
    path: Path, arrays: Mapping[str, mx.array], metadata: Mapping[str, str], error: type[RgmlxError]
) -> None:
    """Writes a safetensors file: beside the target, flushed, then renamed over it.

    Raises:
        error: the disk is full or the directory can't be written; nothing is left behind.
    """
    mx.eval(list(arrays.values()))
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=".rgmlx-", suffix=".safetensors", dir=path.parent)
        with os.fdopen(fd, "wb") as f:
            mx.save_safetensors(f, dict(arrays), dict(metadata))
            f.flush()
            flush(f.fileno())
        os.replace(temporary, path)
        temporary = None
        sync_directory(path.parent)
    except (OSError, RuntimeError) as e:
        reason = privacy.explained(e).strerror if isinstance(e, OSError) else ""
        raise error(f"{path} can't be written: {reason or e}; nothing was changed") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
