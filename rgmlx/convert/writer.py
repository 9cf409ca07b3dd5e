"""Writes a checkpoint directory that is there as a whole or not at all, and goes on where it was cut off.

Everything goes into a hidden folder beside the target, shard by shard; a finished shard is flushed, renamed and noted
with its SHA-256. The end is one rename. Tensors are streamed: a shard's header is known from the plan, so that no shard
is ever in memory. Knows names, shapes and bytes, nothing of models.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import mlx.core as mx
import numpy as np

from ..errors import RgmlxError
from ..system.disk import is_out_of_space, sync_directory
from ..system.macos import privacy
from ..system.reading import MAX_INDEX, open_regular, read_json
from ..weights.checksums import INDEX
from .source import Tensor, raw
from .text import size

SHARD_BYTES = 2**30
"""Of one file at most, unless a single module is larger: small enough that an interruption costs little."""

_NAMES = {mx.float32: "F32", mx.float16: "F16", mx.bfloat16: "BF16", mx.uint32: "U32", mx.uint8: "U8"}
_PIECE = 2**24
Group = Sequence[tuple[str, Tensor]]
"""Tensors that stand in one file, one after another."""


class ConversionError(RgmlxError):
    """A result that can't be written. Nothing that was there before has changed."""


def shards(groups: Iterable[Group], limit: int = SHARD_BYTES) -> list[list[tuple[str, Tensor]]]:
    """Distributes tensors over files, in their order; a group is not torn apart."""
    out: list[list[tuple[str, Tensor]]] = []
    size = 0
    for group in groups:
        need = sum(t.nbytes for _, t in group)
        if not out or size + need > limit:
            out.append([])
            size = 0
        out[-1] += group
        size += need
    return out


class Writer:
    """The hidden folder of one conversion, locked for this process.

    Args:
        target: the directory to be.
        files: what each shard holds.
        job: everything that decides the bytes of the result; another job's remains are thrown away.
        force: the target may exist, and is replaced at the end.

    Raises:
        ConversionError: the target exists, can't be made, does not fit on the disk, or another conversion is at it.
    """

    def __init__(self, target: Path, files: Sequence[Group], job: Mapping[str, Any], force: bool = False) -> None:
        self.target = Path(os.path.abspath(target))
        self.folder = partial(self.target)
        self._old = self.target.parent / f".{self.target.name}.rgmlx-old"
        self.files = files
        count = len(files)
        self.names = [
            f"model-{i + 1:05}-of-{count:05}.safetensors" if count > 1 else "model.safetensors" for i in range(count)
        ]
        self._sums: dict[str, str] = {}
        check_target(self.target, force)
        with _explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._lock)
                raise ConversionError(f"another conversion is writing {self.target}: wait for it") from None
            if self._old.exists() and not self.target.exists():  # cut off between the two renames of a replacement
                os.rename(self._old, self.target)
            self._resume(json.dumps(job, sort_keys=True))
        missing = sum(t.nbytes for i in range(count) if not self.is_finished(i) for _, t in files[i])
        free = shutil.disk_usage(self.folder).free
        if missing > free:
            raise ConversionError(
                f"{size(missing)} are still to be written to {self.target.parent}, where {size(free)} are free: "
                "make room, or name another place with --mlx-path"
            )

    def is_finished(self, shard: int) -> bool:
        """Whether an earlier run has written this shard."""
        return self.names[shard] in self._sums

    @contextlib.contextmanager
    def shard(self, number: int) -> Iterator[Shard]:
        """A shard to write to; finished when the block ends without an error."""
        path = self.folder / self.names[number]
        temporary = path.with_suffix(".writing")
        with _explained(self.folder):
            with temporary.open("wb") as f:
                out = Shard(f, self.files[number])
                yield out
                digest = out.close()
                f.flush()
                os.fsync(f.fileno())
            os.replace(temporary, path)
            sync_directory(self.folder)
            self._sums[path.name] = digest
            self._note()

    def finish(self, documents: Mapping[str, bytes], parameters: int) -> None:
        """Writes the index and everything beside the weights. `publish` then makes it visible.

        Args:
            documents: file name -> content.
        """
        index = {
            "metadata": {
                "total_size": sum(t.nbytes for f in self.files for _, t in f),
                "total_parameters": parameters,
                "sha256": {name: self._sums[name] for name in self.names},
            },
            "weight_map": dict(sorted((n, name) for f, name in zip(self.files, self.names, strict=True) for n, _ in f)),
        }
        content: dict[str, bytes] = {INDEX: json.dumps(index, indent=1).encode() + b"\n", **documents}
        with _explained(self.folder):
            for name, data in content.items():
                path = self.folder / name
                with path.open("wb") as f:
                    f.write(data)
                    f.flush()
                    os.fsync(f.fileno())

    def publish(self) -> Path:
        """Renames the folder to the target, which is replaced if it is there. Returns the target."""
        with _explained(self.folder):
            for name in (".lock", "job.json"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.folder / name)
            sync_directory(self.folder)
            if self._old.exists():
                shutil.rmtree(self._old)
            if self.target.exists():
                os.rename(self.target, self._old)
            os.rename(self.folder, self.target)
            sync_directory(self.target.parent)
            if self._old.exists():
                shutil.rmtree(self._old)
        return self.target

    @property
    def finished(self) -> int:
        """How many shards are there, of this run and of earlier ones."""
        return len(self._sums)

    def discard(self) -> None:
        """Throws the folder away: nothing in it can be of use."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Lets go of the folder, which stays for the next run unless it was published."""
        os.close(self._lock)

    def _resume(self, job: str) -> None:
        try:
            noted = read_json(self.folder / "job.json", MAX_INDEX)
            sums = dict(noted["sha256"]) if noted["job"] == job else {}
        except (OSError, ValueError, KeyError, TypeError):
            sums = {}
        good = {n: s for n, s in sums.items() if n in self.names and _sha256(self.folder / n) == s}
        for path in self.folder.iterdir():
            if path.name not in good and path.name != ".lock":
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        self._sums = good
        self._job = job
        self._note()

    def _note(self) -> None:
        temporary = self.folder / "job.writing"
        with temporary.open("w", encoding="utf-8") as f:
            json.dump({"job": self._job, "sha256": self._sums}, f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, self.folder / "job.json")


def partial(target: Path) -> Path:
    """The hidden folder of a directory to be."""
    return target.parent / f".{target.name}.rgmlx-partial"


class Shard:
    """A safetensors file being written, tensor after tensor in the planned order."""

    def __init__(self, file: BinaryIO, tensors: Group) -> None:
        self._file, self._left = file, list(tensors)
        self._hash = hashlib.sha256()
        self._missing = 0  # bytes of the tensor under way
        header: dict[str, Any] = {"__metadata__": {"format": "mlx"}}
        offset = 0
        for name, t in tensors:
            header[name] = {
                "dtype": _NAMES[t.dtype],
                "shape": list(t.shape),
                "data_offsets": [offset, offset + t.nbytes],
            }
            offset += t.nbytes
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        self._put(memoryview(len(text).to_bytes(8, "little") + text))

    def write(self, name: str, array: mx.array) -> None:
        """The next tensor, or the next rows of it.

        Raises:
            ValueError: it is not the tensor whose turn it is, or does not have the planned dtype or size.
        """
        if not self._missing:
            self._missing = self._left[0][1].nbytes
        if self._left[0][0] != name or self._left[0][1].dtype != array.dtype or array.nbytes > self._missing:
            raise ValueError(f"{name} {array.dtype} {array.shape} is not the tensor whose turn it is")
        self._put(raw(array).view(np.uint8).data)
        self._missing -= array.nbytes
        if not self._missing:
            self._left.pop(0)

    def close(self) -> str:
        """The SHA-256 of the whole file. Raises ValueError when tensors are missing."""
        if self._left:
            raise ValueError(f"{self._left[0][0]} was not written")
        return self._hash.hexdigest()

    def _put(self, data: memoryview) -> None:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            self._file.write(piece)
            self._hash.update(piece)


_PARTS = re.compile(
    r".*\.safetensors|.*\.json|tokenizer.*|.*\.jinja|README.*|LICENSE.*|NOTICE.*|\.gitattributes|\.DS_Store|\._.*"
)


def check_target(target: Path, force: bool, source: Path | None = None) -> None:
    """Raises ConversionError unless the target can become a directory of ours, with nothing of anybody else's lost.

    Args:
        source: the folder of the weights that are being converted.
    """
    if target.is_symlink():
        raise ConversionError(f"{target} is a symbolic link: name the place itself with --mlx-path")
    if not target.exists():
        return
    if not target.is_dir():
        raise ConversionError(f"{target} is not a directory: name another place with --mlx-path")
    if source is not None and target.resolve() in (source.resolve(), *source.resolve().parents):
        raise ConversionError(
            f"{target} holds the weights that are to be converted: name another place with --mlx-path"
        )
    strange = sorted(p.name for p in target.iterdir() if not p.is_file() or not _PARTS.fullmatch(p.name))
    if strange or (any(target.iterdir()) and not (target / "config.json").is_file()):
        what = f"it holds {strange[0]}" if strange else "it holds no config.json"
        raise ConversionError(f"{target} is not only a model ({what}), so it is not replaced: name another place")
    if not force:
        raise ConversionError(f"{target} exists already: --force replaces it, --mlx-path names another place")


def _sha256(path: Path) -> str | None:
    try:
        with open_regular(path) as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError:
        return None


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """An operating system's refusal as one sentence."""
    try:
        yield
    except RgmlxError:  # of who writes, and perhaps an OSError too
        raise
    except OSError as e:
        place = folder.parent
        if is_out_of_space(e):
            raise ConversionError(
                f"{place} is full ({e.strerror}): make room and run the same command again, finished shards are kept"
            ) from None
        raise ConversionError(f"{place} can't be written: {privacy.explained(e).strerror or e}") from None
