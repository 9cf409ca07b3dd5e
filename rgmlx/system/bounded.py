"""A log's file: the user's alone, of bounded size, from which the oldest entries go. Several programs may append to it.

Knows bytes and files; nothing of what is in an entry. Never waits: not for a pipe in the file's place, and not for a
program that was stopped while it wrote.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path


def shortened(entry: bytes, most: int) -> bytes:
    """An entry of so many bytes, about; a longer one loses its middle."""
    return entry if len(entry) <= most else entry[: most // 2] + b"\n  ...\n" + entry[-most // 2 :]


def append(path: Path, entry: bytes, most: int, spare: int = 0) -> None:
    """Adds an entry at the end of a file, mode 0600, which is made if it is missing.

    Args:
        most: bytes of the file; where it would have more, the beginning of it is dropped, in whole lines.
        spare: how many bytes more are dropped then, so that the file is not written anew for every entry that follows.

    Raises:
        OSError: it can't be written, or is no file.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path))
        os.fchmod(descriptor, 0o600)
        alone = _lock(descriptor)
        size = os.fstat(descriptor).st_size
        if size + len(entry) <= most:
            _write(descriptor, entry)
        elif alone:
            keep = max(0, most - spare - len(entry))
            kept = os.pread(descriptor, keep, max(0, size - keep))
            kept = kept[kept.find(b"\n") + 1 :]
            fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_NONBLOCK)  # from here on it is written where one says
            _write(descriptor, kept + entry)
            os.ftruncate(descriptor, len(kept) + len(entry))
        else:
            raise OSError(errno.EWOULDBLOCK, "another program has it", str(path))
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _lock(descriptor: int) -> bool:
    """Whether nobody else has the file. One that was stopped has it for as long as that lasts."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True
