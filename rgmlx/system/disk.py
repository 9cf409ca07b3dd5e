"""What a disk is asked and answers: flushed files and names, no space left. Knows errors and paths, no contents."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_out_of_space(error: BaseException) -> bool:
    """Whether the operating system refused for want of space: the disk's, the user's quota, a file's size limit."""
    return isinstance(error, OSError) and error.errno in _NO_SPACE


def flush_file(path: Path) -> None:
    """Flushes a file's contents to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Flushes a directory's entries to the disk, where the file system can."""
    with contextlib.suppress(OSError):  # not every file system can; the rename itself is atomic
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
