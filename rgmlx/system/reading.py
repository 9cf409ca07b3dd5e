"""Files from outside, opened here and nowhere else: regular files only, and no more of them than was agreed.

Opening a pipe waits for its writer, a device may act, and `/dev/zero` never ends; each is refused before it is opened.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

from .decoding import decoded
from .macos import privacy

MAX_SETTINGS = 1_000_000
"""Bytes of config.json, generation_config.json, a recipe; real ones have a few thousand."""
MAX_INDEX = 50_000_000
"""Bytes of a list of tensors by file."""
MAX_TOKENIZER = 300_000_000
"""Bytes of a tokenizer's file; Gemma's tokenizer.json has 34 million."""
MAX_TEXT = 256_000_000
"""Bytes of a text file."""


class NotRegular(OSError):
    """A directory, a pipe, a device or a socket in the place of a file. `strerror` says which."""


class TooLarge(OSError):
    """A file with more bytes than one of its kind has. `strerror` says how many would do."""


def open_regular(path: Path) -> BufferedReader:
    """Opens a file for reading bytes. Never waits.

    Raises:
        OSError: it can't be opened, or (NotRegular) is not a regular file; `strerror` stands after "can't be read: ".
    """
    try:
        _check(path, os.stat(path).st_mode)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError as e:  # a NUL in the name
        raise OSError(errno.EINVAL, str(e), path) from None
    except PermissionError as e:
        raise privacy.explained(e) from None
    try:
        _check(path, os.fstat(descriptor).st_mode)  # it may be another one by now
    except BaseException:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def _check(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise NotRegular(errno.EISDIR, "it is a directory, not a file", path)
    if not stat.S_ISREG(mode):
        raise NotRegular(errno.ESPIPE, "it is a pipe or a device, not a file", path)


def read_bytes(path: Path, limit: int) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: as `open_regular`, or (TooLarge) there are more than `limit`.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if data is None:  # a file of the kernel's that has nothing to say yet
        raise OSError(errno.EAGAIN, "there is nothing in it yet", path)
    if len(data) > limit:
        raise TooLarge(errno.EFBIG, f"it is larger than {limit / 1e6:,.0f} MB", path)
    return data


def read_text(path: Path, limit: int = MAX_TEXT) -> str:
    """A file's text, as `decoding` has it. Raises OSError as `read_bytes`, and NotText."""
    return decoded(read_bytes(path, limit))


def parse_json(text: str) -> Any:
    """A JSON value. Raises ValueError, of brackets without end too."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path, limit: int = MAX_SETTINGS) -> Any:
    """A file's JSON value. Raises OSError as `read_bytes`, ValueError (of text that is none, too)."""
    return parse_json(read_text(path, limit))


def present(path: Path) -> bool:
    """Whether there is anything by that name, be it of use or not: a link that leads nowhere, a pipe."""
    try:
        return os.path.lexists(path)
    except ValueError:
        return False
