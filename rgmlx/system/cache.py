"""What is remembered between programs, in the user's cache directory: small facts as JSON, and what MLX compiles.

Bounded, and lost at no loss.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from . import debug_log
from .reading import MAX_INDEX, read_json

T = TypeVar("T")


def file(name: str) -> Path:
    """Where the facts of that name are kept."""
    from platformdirs import user_cache_path

    return user_cache_path("rgmlx") / name


def read(path: Path, kind: type[T]) -> dict[str, T]:
    """What is remembered, of entries of one kind; nothing where the file is missing or damaged."""
    with contextlib.suppress(OSError, ValueError):
        data: Any = read_json(path, MAX_INDEX)
        if isinstance(data, dict):
            return {str(k): v for k, v in data.items() if isinstance(v, kind)}
    return {}


def write(path: Path, known: Mapping[str, Any], entries: int) -> None:
    """Remembers the last so many entries. A file that can't be written costs finding out again."""
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(dict(list(known.items())[-entries:]), indent=1), encoding="utf-8")
        os.replace(beside, path)
    except OSError as e:
        debug_log.caught(e, f"{path.name} is not remembered")
    with contextlib.suppress(OSError):
        beside.unlink()  # there only if something failed, such as a full disk


def private_directory(name: str, version: str, keep: int = 3) -> Path | None:
    """A directory that nobody else can write to, for one version of something; of others the newest few are kept.

    Returns:
        None where there can be none: the place belongs to somebody else, is a link or can't be made.
    """
    above = file(name)
    path = above / version
    try:
        for part in (above, path):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = part.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                return None
            if stat.S_IMODE(found.st_mode) & 0o077:
                part.chmod(0o700)
        others = sorted((p for p in above.iterdir() if p != path), key=lambda p: p.lstat().st_mtime)
    except OSError as e:
        debug_log.caught(e, f"there is no directory {name}")
        return None
    for old in others[: max(0, len(others) - keep + 1)]:
        shutil.rmtree(old, ignore_errors=True)
    return path
