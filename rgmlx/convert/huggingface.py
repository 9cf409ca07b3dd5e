"""Safetensors directories as a source: Hugging Face's, and mlx-lm's conversions, whose matrices are made dense again.

Knows how tensors are laid out in files, and nothing of what becomes of them.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np

from ..errors import CheckpointError
from ..griffin.config import ModelConfig, describe_quantization
from ..system import device
from ..system.files import load_arrays, read_header
from ..system.reading import open_regular, read_json
from ..weights.arriving import Arriving
from ..weights.checkpoint import weight_files
from .source import Tensor, viewed

_DTYPES = {"F32": mx.float32, "F16": mx.float16, "BF16": mx.bfloat16, "U32": mx.uint32, "U8": mx.uint8}
_LARGE = 2**28  # bytes of a tensor
_FLOATS = (mx.float32, mx.float16, mx.bfloat16)


class _Stored(NamedTuple):
    """Where a tensor lies."""

    path: Path
    dtype: mx.Dtype
    shape: tuple[int, ...]
    offset: int  # of its first byte in the file


class Quantized(NamedTuple):
    """A matrix as an MLX checkpoint stores it."""

    weight: str  # the names of its tensors
    scales: str
    biases: str | None
    settings: dict[str, Any]


class SafetensorsSource:
    """A checkpoint directory. See `Source`; all checks but those of values happen when it is made.

    Attributes:
        quantized: by the name of the dense tensor, how it is stored.
        nbytes: of its files.

    Args:
        coming: where its files of weights are still on their way: who waits for each before it is read.

    Raises:
        CheckpointError, ConfigError: a file is missing, truncated or damaged, or tensors don't fit config.json.
    """

    def __init__(self, directory: Path, coming: Arriving | None = None) -> None:
        self.directory = directory
        self._coming = coming
        self.files = weight_files(directory, None if coming is None else coming.names())
        self.nbytes = 0
        parsed = ModelConfig.from_file(directory / "config.json")
        self.config: dict[str, Any] = read_json(directory / "config.json")
        self._stored: dict[str, _Stored] = {}
        for path in self.files:
            self._add(path)
        self.quantized: dict[str, Quantized] = {}
        self._kernel = parsed.conv1d_width
        self._settings = parsed.quantization
        self._dtype = getattr(mx, parsed.dtype)
        self.tensors: dict[str, Tensor] = {}
        for name, stored in self._stored.items():
            self._describe(name, stored)
        self.kind = "Hugging Face" if not self.quantized else f"MLX, {describe_quantization(self._settings or {})}"

    def read(self, name: str) -> mx.array:
        """One tensor, evaluated; a quantized matrix made dense in float32, exactly what its codes say."""
        how = self.quantized.get(name)
        if how is not None:
            return _dense(self.parts(name), how.settings)
        w = self._load(name)
        if self.tensors[name].shape != self._stored[name].shape:
            w = mx.contiguous(w.swapaxes(1, 2))
        mx.eval(w)
        return w

    def read_rows(self, name: str, start: int, stop: int) -> mx.array:
        """Rows `start` to `stop` (excluded) of a matrix, without the others passing through memory."""
        how = self.quantized.get(name)
        if how is not None:
            names = [how.weight, how.scales, *([how.biases] if how.biases else [])]
            return _dense([self._rows(n, start, stop) for n in names], how.settings)
        return self._rows(name, start, stop)

    def parts(self, name: str) -> list[mx.array]:
        """The stored arrays of a quantized matrix: codes, scales and, in affine mode, biases."""
        how = self.quantized[name]
        return [self._load(n) for n in (how.weight, how.scales, how.biases) if n is not None]

    def _add(self, path: Path) -> None:
        beginning = None if self._coming is None else self._coming.beginning(path.name)
        header, _ = read_header(path, CheckpointError, beginning)
        with open_regular(path) if beginning is None else io.BytesIO(beginning[0]) as f:
            start = 8 + int.from_bytes(f.read(8), "little")
        self.nbytes += path.stat().st_size if beginning is None else beginning[1]
        for name, entry in header.items():
            if name in self._stored:
                raise CheckpointError(f"the tensor {name} is both in {self._stored[name].path.name} and in {path.name}")
            dtype = _DTYPES.get(entry.get("dtype"))
            if dtype is None:
                raise CheckpointError(
                    f"the tensor {name} in {path.name} holds {entry.get('dtype')} numbers, which can't be converted: "
                    "start from float32, float16 or bfloat16 weights"
                )
            shape = tuple(int(n) for n in entry["shape"])
            first, last = entry["data_offsets"]
            if last - first != Tensor(shape, dtype).nbytes:
                raise CheckpointError(f"the tensor {name} in {path.name} has a damaged header: download it again")
            self._stored[name] = _Stored(path, dtype, shape, start + first)

    def _describe(self, name: str, stored: _Stored) -> None:
        shape = stored.shape
        if name.endswith((".scales", ".biases", "_scales", "_biases")):
            return
        scales, biases = _companions(name)
        if scales in self._stored:
            settings = self._settings_of(scales.removesuffix(".scales").removesuffix("_scales"))
            bits, group = settings["bits"], settings["group_size"]
            dense = (*shape[:-1], shape[-1] * 32 // bits)
            if stored.dtype != mx.uint32 or self._stored[scales].shape != (*shape[:-1], dense[-1] // group):
                raise CheckpointError(f"the tensor {scales} does not fit config.json's quantization: download it again")
            has_biases = settings["mode"] == "affine"
            if has_biases and biases not in self._stored:
                raise CheckpointError(f"the tensor {biases} is missing: download or convert the model again")
            dtype = self._stored[scales].dtype if has_biases else self._dtype
            self.quantized[name] = Quantized(name, scales, biases if has_biases else None, settings)
            self.tensors[name] = Tensor(dense, dtype)
            return
        if stored.dtype not in _FLOATS:
            raise CheckpointError(f"the tensor {name} holds whole numbers, but {scales} is missing")
        if name.endswith("conv_1d.weight") and len(shape) == 3 and shape[1:] == (1, self._kernel):
            shape = (shape[0], shape[2], shape[1])
        self.tensors[name] = Tensor(shape, stored.dtype)

    def _settings_of(self, path: str) -> dict[str, Any]:
        if self._settings is None:
            raise CheckpointError(
                f"{path} is quantized, but config.json has no 'quantization': convert the model again"
            )
        own = self._settings.get(path, True)
        own = dict(self._settings) | (own if isinstance(own, dict) else {})
        settings = {"bits": own["bits"], "group_size": own.get("group_size"), "mode": own.get("mode") or "affine"}
        if settings["group_size"] is None:
            raise CheckpointError(f"config.json does not say the group size of {path}: convert the model again")
        return settings

    def _load(self, name: str) -> mx.array:
        stored = self._stored[name]
        if Tensor(stored.shape, stored.dtype).nbytes <= _LARGE and stored.shape:
            return self._rows(name, 0, stored.shape[0])
        # MLX reads into the array itself, where we would need the memory twice.
        w = load_arrays(self._whole(stored.path), CheckpointError)[0][name]
        try:
            mx.eval(w)
        except RuntimeError as e:  # else a file that shrank after its header was read
            told = device.explained(e) or CheckpointError(f"{stored.path} can't be read: download the model again")
            raise told from None
        return w

    def _rows(self, name: str, start: int, stop: int) -> mx.array:
        stored = self._stored[name]
        row = Tensor(stored.shape[1:], stored.dtype).nbytes
        data = np.empty((stop - start) * row, np.uint8)
        path = self._whole(stored.path)  # what a download fails with is told as it is
        try:
            with open_regular(path).detach() as f:
                f.seek(stored.offset + start * row)
                count = 0  # one call may give less than was asked for
                while count < data.size and (more := f.readinto(data.data[count:])):
                    count += more
        except OSError as e:
            raise CheckpointError(f"{stored.path} can't be read: {e.strerror or e}") from None
        if count != data.size:
            raise CheckpointError(f"{stored.path} ended early: it has changed meanwhile, or is truncated")
        return viewed(mx.array(data), stored.dtype).reshape(stop - start, *stored.shape[1:])

    def _whole(self, path: Path) -> Path:
        """Where a file is, once it is here."""
        return path if self._coming is None else self._coming.whole(path.name)


def _companions(weight: str) -> tuple[str, str]:
    """The names of a matrix's scales and biases: `x.weight` has `x.scales`, a gate's `x_weight` has `x_scales`."""
    base = weight.removesuffix("weight")
    return f"{base}scales", f"{base}biases"


def _dense(parts: list[mx.array], settings: dict[str, Any]) -> mx.array:
    codes, scales, *biases = parts
    if biases:
        w = mx.dequantize(codes, scales.astype(mx.float32), biases[0].astype(mx.float32), **settings)
    else:
        w = mx.dequantize(codes, scales, None, **settings, dtype=mx.float32)
    mx.eval(w)
    return w
