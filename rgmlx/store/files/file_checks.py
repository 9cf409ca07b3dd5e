"""What lies under the names that a store uses: what is in the way of its files is named, and never opened.

Knows names and kinds of files; nothing of what is in them. Opening a pipe waits for its other end, a link that leads nowhere
has a file made where nobody looks for one, and SQLite says of whatever is in its way that it can't open a file.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from ...system.private_files import make_private_directory
from ..errors import StoreError

ENDS = ("-wal", "-shm", "-journal")
"""What SQLite adds to a file's name for the files that it makes beside it."""
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a directory",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def check_link(path: Path) -> None:
    """Raises StoreError: this is a link that leads nowhere. Through it a file would be made in another place."""
    try:
        if not stat.S_ISLNK(os.lstat(path).st_mode):
            return
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):
            where = os.path.realpath(path)
            raise StoreError(
                f"{path} is a link to {where}, which is not there: connect the disk that it is on, or remove the link"
            ) from None
    except OSError as e:
        if e.errno == errno.ELOOP:
            raise StoreError(f"{path} is a link that leads back to itself: remove it") from None


def check_target(path: Path) -> None:
    """Raises StoreError: this is a link to something else than a file."""
    try:
        mode = os.stat(path).st_mode
    except OSError:  # as of `check_file`
        return
    if not stat.S_ISREG(mode):
        raise StoreError(
            f"{path} is a link to {os.path.realpath(path)}, which is not a file but {_kind(mode)}: remove the link, or name "
            "another directory"
        )


def check_file(path: Path) -> None:
    """Raises StoreError: something else than a file has this name."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:  # missing; opening it says what else is wrong
        return
    if not stat.S_ISREG(mode):
        raise StoreError(f"{path} is not a file but {_kind(mode)}: move it away, or name another directory")


def make_directory(path: Path, *, private: bool = False) -> None:
    """Makes a directory of the owner's, and those above it.

    Args:
        private: also takes one that is there from everybody else.

    Raises:
        StoreError: something else is in its way.
        OSError: it can't be made.
    """
    try:
        if private:
            make_private_directory(path)
        else:
            path.mkdir(0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        for one in (path, *path.parents):
            if os.path.lexists(one) and not os.path.isdir(one):
                check_link(one)
                kind = _kind(os.lstat(one).st_mode)
                raise StoreError(
                    f"{one} is not a directory but {kind}: move it away, or name another directory"
                ) from None
        raise


def inaccessible_file(path: Path) -> Path:
    """Which of a file and those beside it may not be read or written; the file itself where all may be."""
    beside = (path.with_name(path.name + end) for end in ENDS)
    return next((one for one in (path, *beside) if os.path.lexists(one) and not _is_open(one)), path)


def _is_open(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "a device")
