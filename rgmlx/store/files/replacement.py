"""Puts a new file in the place of a damaged one, which is kept under another name. A file is whole at every moment.

Knows names and renames. The new file gets a name of its own once it is complete; from then on whoever opens the directory
next finishes the replacement, whatever ends this process.
"""

from __future__ import annotations

import contextlib
import glob
import os
from pathlib import Path

from ...system.disk import sync_directory

KEPT_DAMAGED = 5
"""Damaged files that are kept; older ones go."""
_ENDS = ("-wal", "-shm", "")  # the log goes before its file: a new file must not meet an old log


def part_path(path: Path) -> Path:
    """Where a new file is made before it gets its name."""
    return path.with_name(f".{path.name}.part")


def clear_part(path: Path) -> Path:
    """The same, once what a dead process has left there is removed. Raises OSError."""
    found = part_path(path)
    for end in ("-journal", *_ENDS):
        Path(f"{found}{end}").unlink(missing_ok=True)
    return found


def replace_damaged(path: Path, fresh: Path, kept: Path) -> None:
    """Puts a new file in the place of the damaged one.

    Args:
        kept: where the damaged one goes: `dated_name(path, "damaged")`.

    Raises:
        OSError: it can't be done; the next `finish` goes on with it.
    """
    os.replace(fresh, _ready(path, kept))
    finish_replacement(path)


def finish_replacement(path: Path) -> None:
    """Finishes a replacement that was begun, if there is one. Raises OSError."""
    for ready in path.parent.glob(f".{glob.escape(path.stem)}.damaged-*.ready"):
        if not ready.is_file():
            continue
        kept = path.with_name(ready.name[1:].removesuffix(".ready"))
        for end in _ENDS:
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{path}{end}", f"{kept}{end}")
        os.replace(ready, path)
        sync_directory(path.parent)
        for old in _kept(path)[:-KEPT_DAMAGED]:
            for end in _ENDS:
                Path(f"{old}{end}").unlink(missing_ok=True)


def _kept(path: Path) -> list[Path]:
    """The damaged files, the oldest first."""
    found = path.parent.glob(f"{glob.escape(path.stem)}.damaged-*{glob.escape(path.suffix)}")
    return sorted((one for one in found if one.is_file()), key=lambda one: one.name)


def _ready(path: Path, kept: Path) -> Path:
    """The complete new file, which tells by its name where the damaged one goes."""
    return path.with_name(f".{kept.name}.ready")
