"""Text files that a line names: read within a limit, written whole or not at all. Knows paths, and no widgets."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from ..errors import RgmlxError
from . import reading
from .decoding import NotText
from .disk import flush
from .macos import privacy
from .paths import expanded

MAX_READ = reading.MAX_TEXT
"""Bytes of a file that is read whole."""


def replace_text(path: Path, text: str) -> None:
    """Writes a file that is the user's alone: beside it first, flushed, then renamed over it.

    What UTF-8 can't hold becomes a question mark.

    Raises:
        OSError, ValueError: it can't be written; what was there is as it was, and nothing is left beside it.
    """
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=".rgchat-", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
            file.flush()
            flush(file.fileno())
        os.replace(temporary, path)
        temporary = None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def read_number(path: Path | None) -> int | None:
    """The number in a small file; None where there is none."""
    try:
        return int(reading.read_text(path, 20)) if path is not None else None
    except (OSError, ValueError):
        return None


def reason(error: Exception) -> str:
    """Why something can't be read or written, to stand within a sentence."""
    return (privacy.explained(error).strerror if isinstance(error, OSError) else None) or str(error)


def typed_path(text: str) -> Path:
    """The file that a line names. Raises RgmlxError: it names none, a folder, or one in the home of nobody."""
    with contextlib.suppress(OSError):  # the directory one is in was removed
        if name := text.strip():
            path = expanded(name).absolute()
            if name.endswith("/"):
                raise RgmlxError(f"{path} is a folder: add the name of a file to it.")
            return path
    raise RgmlxError("This is not the name of a file: give one such as ~/chat.json")


def exists(path: Path) -> bool:
    """Whether there is something by that name, be it a link that leads nowhere. Raises RgmlxError: a file can't be there."""
    try:
        if path.is_dir():
            raise RgmlxError(f"{path} is a folder: add the name of a file to it.")
        if not path.parent.is_dir():
            raise RgmlxError(f"There is no folder {path.parent}: name one that exists.")
        return os.path.lexists(path)
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
    """A file's text. Raises RgmlxError: it can't be read, is not text, or is larger than a text is."""
    try:
        return reading.read_text(path, MAX_READ)
    except FileNotFoundError:
        raise RgmlxError(f"There is no file {path}: give the name of one that was exported as .json.") from None
    except NotText as e:
        if e.binary:
            raise RgmlxError(f"{path} is not text: give an exported conversation, which ends in .json.") from None
        raise RgmlxError(f"{path} is {e}") from None
    except OSError as e:
        raise RgmlxError(f"{path} can't be read ({reason(e)}): give another one.") from None
