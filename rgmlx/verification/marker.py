"""A note of what a program is about to do, which outlives the program where that ends it.

An abort inside of a library, such as an Objective-C exception of a driver, can't be caught: what is left is a file that
says what was being done. Knows files and locks; nothing of kernels and models.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType


class Marker:
    """A file that is there while something dangerous is done; within `with`.

    Where the file can't be written, or another process holds it, nothing is noted.

    Attributes:
        left: what an earlier program noted last before it ended in the middle; "" where none did.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self.left = ""

    def __enter__(self) -> Marker:
        with contextlib.suppress(OSError, ValueError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held by a program that is alive
            except OSError:
                os.close(fd)
                raise
            self._fd = fd
            self.left = os.pread(fd, 10_000, 0).decode("utf-8", errors="replace")
        return self

    def note(self, text: str) -> None:
        """Notes what is done next."""
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, text.encode(), 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._fd is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)  # before the name goes: another program may have opened it by now
                os.unlink(self._path)
            os.close(self._fd)
            self._fd = None
