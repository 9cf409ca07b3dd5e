"""What a disk is asked and answers: flushed files and names, no space left. Knows errors and paths, no contents.

On macOS fsync leaves what it was given in the memory of the disk, which a power cut empties; F_FULLFSYNC does not (man 2
fcntl). It takes the time of a write to the disk, so files that can be had again, of downloads and conversions, are flushed
with fsync alone; SQLite's files are its own (`store.files.connection`).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_out_of_space(error: BaseException) -> bool:
    """Whether the operating system refused for want of space: the disk's, the user's quota, a file's size limit."""
    return isinstance(error, OSError) and error.errno in _NO_SPACE


def flush(descriptor: int) -> None:
    """Flushes an open file to the disk, on macOS to the disk itself. Raises OSError."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        with contextlib.suppress(OSError):  # not every file system can, one on a network say
            fcntl.fcntl(descriptor, full)
            return
    os.fsync(descriptor)


def flush_file(path: Path) -> None:
    """Flushes a file's contents to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Flushes a directory's entries to the disk, where the file system can."""
    with contextlib.suppress(OSError):  # not every file system can; the rename itself is atomic
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            flush(descriptor)
        finally:
            os.close(descriptor)
