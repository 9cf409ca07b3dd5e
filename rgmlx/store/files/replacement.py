"""A damaged file gives its place to the one made from it: whole at every moment, and kept under another name.

Knows names and renames. The new file gets a name of its own once it is complete; from then on the exchange is finished by
whoever opens the directory next, whatever ends this process.
"""

from __future__ import annotations

import contextlib
import glob
import os
import time
from pathlib import Path

KEPT = 5
"""Damaged files that are kept; older ones go."""
_ENDS = ("-wal", "-shm", "")  # the log goes before its file: a new file must not meet an old log


def part(path: Path) -> Path:
    """Where a new file is made. What a dead process has left there goes."""
    found = path.with_name(f".{path.name}.part")
    for end in ("-journal", *_ENDS):
        Path(f"{found}{end}").unlink(missing_ok=True)
    return found


def beside(path: Path) -> Path:
    """A name for a file next to one that is somebody else's now."""
    return _free(path, "rescued")


def damaged(path: Path) -> Path:
    """A name for the damaged file."""
    return _free(path, "damaged")


def swap(path: Path, fresh: Path, kept: Path) -> None:
    """Puts a new file in the place of the damaged one.

    Args:
        kept: where the damaged one goes: a name from `damaged`.

    Raises:
        OSError: it can't be done; the next `finish` goes on with it.
    """
    os.replace(fresh, _ready(path, kept))
    finish(path)


def finish(path: Path) -> None:
    """Goes on with an exchange that was begun, if there is one. Raises OSError."""
    for ready in path.parent.glob(f".{glob.escape(path.stem)}.damaged-*.ready"):
        if not ready.is_file():
            continue
        kept = path.with_name(ready.name[1:].removesuffix(".ready"))
        for end in _ENDS:
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{path}{end}", f"{kept}{end}")
        os.replace(ready, path)
        sync(path.parent)
        for old in _kept(path)[:-KEPT]:
            for end in _ENDS:
                Path(f"{old}{end}").unlink(missing_ok=True)


def sync(directory: Path) -> None:
    """Sees to it that the names in a directory are on the disk, where that can be done."""
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _kept(path: Path) -> list[Path]:
    """The damaged files, the oldest first."""
    found = path.parent.glob(f"{glob.escape(path.stem)}.damaged-*{glob.escape(path.suffix)}")
    return sorted((one for one in found if one.is_file()), key=lambda one: one.name)


def _ready(path: Path, kept: Path) -> Path:
    """The complete new file, which tells by its name where the damaged one goes."""
    return path.with_name(f".{kept.name}.ready")


def _free(path: Path, what: str) -> Path:
    stem = f"{path.stem}.{what}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in range(1, 1000):
        found = path.with_name(f"{stem}{f'-{number}' if number > 1 else ''}{path.suffix}")
        if not os.path.lexists(found):  # false where the directory may not be entered
            break
    return found
