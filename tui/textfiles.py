"""Text files that a line names: read within a limit, written whole or not at all. Knows paths, and no widgets."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from rgmlx.errors import RgmlxError

MAX_READ = 256_000_000
"""Bytes of a file that is read whole."""


def replace_text(path: Path, text: str, *, keep_mode: bool = False) -> None:
    """Writes a file: beside it first, flushed, then renamed over it. What UTF-8 can't hold becomes a question mark.

    Args:
        keep_mode: whether a file that is there passes on who may read and write it; else it is the user's alone.

    Raises:
        OSError, ValueError: it can't be written; what was there is as it was, and nothing is left beside it.
    """
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".rgchat-", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if keep_mode and path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
        temporary = None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def read_number(path: Path | None) -> int | None:
    """The number in a small file; None where there is none."""
    try:
        return int(path.read_text("ascii")[:20]) if path is not None else None
    except (OSError, ValueError):
        return None


def reason(error: Exception) -> str:
    """Why something can't be read or written, to stand within a sentence."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def typed_path(text: str) -> Path:
    """The file that a line names. Raises RgmlxError: it names none."""
    try:
        if text.strip():
            return Path(text.strip()).expanduser().absolute()
    except (RuntimeError, ValueError, OSError):  # ~nobody
        pass
    raise RgmlxError("This is not the name of a file: give one such as ~/chat.json")


def exists(path: Path) -> bool:
    """Whether there is such a file. Raises RgmlxError: a file can't be there."""
    try:
        if path.is_dir():
            raise RgmlxError(f"{path} is a folder: add the name of a file to it.")
        if not path.parent.is_dir():
            raise RgmlxError(f"There is no folder {path.parent}: name one that exists.")
        return path.exists()
    except (OSError, ValueError) as e:
        raise RgmlxError(f"{path} can't be written ({reason(e)}): give another name.") from None


def write_text(path: Path, text: str) -> None:
    """Writes a file: beside it first, flushed, then renamed over it.

    Raises:
        RgmlxError: it can't be written; what was there is as it was.
    """
    try:
        replace_text(path, text)
    except (OSError, ValueError) as e:
        raise RgmlxError(f"{path} can't be written ({reason(e)}): choose another place.") from None


def read_text(path: Path) -> str:
    """A file's text. Raises RgmlxError: it can't be read, is not text, or is larger than `MAX_READ`."""
    try:
        if not path.is_file():  # a pipe may never end
            raise RgmlxError(f"There is no file {path}: give the name of one that was exported as .json.")
        if path.stat().st_size > MAX_READ:
            raise RgmlxError(f"{path} is larger than {MAX_READ // 1_000_000} MB: give an exported conversation.")
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise RgmlxError(f"{path} is not text: give an exported conversation, which ends in .json.") from None
    except (OSError, ValueError) as e:
        raise RgmlxError(f"{path} can't be read ({reason(e)}): give another one.") from None
