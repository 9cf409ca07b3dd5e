"""Takes a repository out of Hugging Face's cache: what no other revision of it needs.

Knows the cache's layout (blobs, links to them in a snapshot for each revision); asks nobody whether it may.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from ..errors import RgmlxError
from ..system.macos import privacy
from .hub import cached


def held(repository: str) -> int:
    """Bytes that `remove` would free; 0 where there is nothing."""
    try:
        return sum(path.stat().st_size for path in _files(cached(repository)) if not path.is_symlink())
    except OSError:
        return 0


def remove(repository: str) -> None:
    """Deletes the newest revision that is here, and parts of files; all of the directory where there is no other revision.

    Cut off, it goes on when it is called again.

    Raises:
        RgmlxError: something can't be deleted.
    """
    directory = cached(repository)
    try:
        if not _others(directory):
            # What says which revision is which goes last, so that a deletion that was cut off can be gone on with.
            for path in sorted(directory.iterdir(), key=lambda p: p.name == "refs") if directory.exists() else ():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            with contextlib.suppress(FileNotFoundError):
                directory.rmdir()
            return
        for path in _files(directory):  # links come before what they lead to
            path.unlink()
        with contextlib.suppress(FileNotFoundError):
            for folder, _, _ in os.walk(_main(directory), topdown=False):
                os.rmdir(folder)
    except OSError as e:
        raise RgmlxError(f"{directory} can't be deleted: {privacy.explained(e).strerror or e}") from None


def _files(directory: Path) -> list[Path]:
    """What would go: the links of the newest revision, then blobs that none of another one leads to."""
    others = _others(directory)
    if not others:
        return [path for path in directory.rglob("*") if path.is_symlink() or path.is_file()]
    needed = {os.path.realpath(path) for other in others for path in other.rglob("*")}
    links = [path for path in _main(directory).rglob("*") if path.is_symlink() or path.is_file()]
    blobs = [path for path in (directory / "blobs").iterdir() if os.path.realpath(path) not in needed]
    return [*links, *blobs]


def _main(directory: Path) -> Path:
    """The snapshot of the newest revision."""
    return directory / "snapshots" / (directory / "refs" / "main").read_text(encoding="utf-8").strip()


def _others(directory: Path) -> list[Path]:
    """The snapshots of other revisions."""
    try:
        main = _main(directory).name
    except OSError:  # of no revision, or of one with another name
        main = ""
    folder = directory / "snapshots"
    return [path for path in folder.iterdir() if path.name != main] if folder.is_dir() else []
