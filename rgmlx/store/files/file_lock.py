"""Locks on files, which the system releases when their process ends.

Knows one file at a time; does not know what it stands for.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ...system.private_files import opener
from ..errors import StoreError
from .file_checks import check_file


def open_lock_file(path: Path) -> IO[bytes]:
    """Opens a file that is there to be locked, and makes it where it is missing. Never waits.

    Raises:
        StoreError: something else has its name.
        OSError: it can't be opened; `filename` is its name.
    """
    check_file(path)
    descriptor = opener(str(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # it is another one by now
        os.close(descriptor)
        check_file(path)
        raise OSError(errno.EINVAL, "it is not a file", str(path))
    return os.fdopen(descriptor, "ab")


@contextlib.contextmanager
def exclusive(path: Path, patience: float = 30.0) -> Iterator[None]:
    """One process at a time comes in here, through the lock on a file.

    Args:
        patience: seconds to wait for another one.

    Raises:
        StoreError, OSError: as `open_lock`, or another process does not come out.
    """
    with open_lock_file(path) as lock:
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise StoreError(f"{path} is held by another program: close that one and try again") from None
                time.sleep(0.02)
        yield
