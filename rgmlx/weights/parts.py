"""A file that is fetched piece by piece: as much of it as is here, and that nothing is written after a stop.

Knows bytes, locks and hashes; nothing of servers.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from ..errors import RgmlxError

_MAX_HEADER = 100_000_000  # as the safetensors library


class Cancelled(RgmlxError):
    """The user stopped a download; what was fetched is kept."""


class Parts:
    """The part that is being written, if any: closed from another thread, after which nothing is written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._part: Part | None = None

    def open(self, path: Path, limit: int, repository: str, count: Callable[[int], None]) -> Part:
        with self._lock:
            if self._closed:
                raise Cancelled("stopped")
            self._part = Part(path, limit, repository, count)
            return self._part

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._part is not None:
                self._part.close()


class Part:
    """As much of a file as is here. One process writes to it at a time."""

    def __init__(self, path: Path, limit: int, repository: str, count: Callable[[int], None]) -> None:
        self._path, self._count = path, count
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)  # unbuffered: what was counted is kept, whatever happens
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise RgmlxError(f"another program is downloading {repository}: wait until it is done") from None
        except OSError:
            pass  # a file system without locks
        self.size = self._file.seek(0, os.SEEK_END)
        if self.size > limit:  # of something else; it was not counted as here
            self.size = self._file.truncate(0)

    def write(self, chunk: bytes) -> None:
        with self._lock:
            self._check()
            left = memoryview(chunk)
            while left:  # unbuffered writes may take a piece only, as the last one before a full disk does
                n = self._file.write(left)
                self.size += n
                left = left[n:]
        self._count(len(chunk))

    def clear(self) -> None:
        """Begins again at the first byte."""
        with self._lock:
            self._check()
            lost, self.size = self.size, 0
            self._file.truncate(0)
        self._count(-lost)

    def has_header(self) -> bool:
        """Whether a file of weights is here as far as its table of tensors reaches."""
        return self.size >= 8 and self.size >= _header_end(self._path)

    def sha256(self) -> str:
        digest = hashlib.sha256()
        with self._path.open("rb") as f:
            while block := f.read(1 << 20):
                self._check()
                digest.update(block)
        return digest.hexdigest()

    def finish(self, target: Path) -> None:
        """The file is whole: from now on it has its own name."""
        with self._lock:
            self._check()
            os.fsync(self._file.fileno())
            self._path.replace(target)
            self._file.close()

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _check(self) -> None:
        if self._file.closed:
            raise Cancelled("stopped")


def header(path: Path) -> bytes:
    """The beginning of a file of weights as far as its table of tensors reaches, which may be damaged."""
    with path.open("rb") as f:
        return f.read(min(_header_end(path), _MAX_HEADER))


def _header_end(path: Path) -> int:
    with path.open("rb") as f:
        return 8 + int.from_bytes(f.read(8), "little")
