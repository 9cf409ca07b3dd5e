"""Files that only their owner reads and writes, whatever the umask and the directory allow. Knows modes and no contents."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

MODE = 0o600
_OTHERS = 0o077


def opener(path: str, flags: int) -> int:
    """For `open(..., opener=opener)`: a file that is made is the owner's alone. No link is followed, no pipe waited for."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, MODE)


def make_private(path: Path) -> None:
    """Takes a file from everybody but its owner. One that is missing, or somebody else's, stays as it is."""
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and mode & _OTHERS:
            os.chmod(path, stat.S_IMODE(mode) & ~_OTHERS)


def create_private(path: Path) -> None:
    """Makes an empty file of the owner's. One that is there stays as it is.

    It is not opened then: closing any descriptor of a file drops the locks that this process has on it.

    Raises:
        OSError: it can't be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE))
        os.chmod(path, MODE)  # the umask may have taken the owner's bits, too


def make_private_directory(path: Path) -> None:
    """Makes a directory of the owner's, and takes one that is there from everybody else.

    Raises:
        OSError: it can't be made.
    """
    path.mkdir(0o700, parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode) and stat.S_IMODE(mode) != 0o700:
            os.chmod(path, 0o700)
