"""A file of tracebacks, for errors that nobody caught: the user gets a sentence and the file's path.

Knows files and exceptions, and no widgets. The file holds no values of variables, so no text of a conversation.
"""

from __future__ import annotations

import fcntl
import os
import platform
import stat
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from rgmlx import __version__
from rgmlx.system.printable import first_line

NAME = "errors.log"
MAX_BYTES = 200_000
"""Of the file; the oldest part is dropped."""
MAX_ENTRY = 20_000
"""Bytes of one traceback; a longer one loses its middle."""


def report(directory: Path, error: BaseException) -> str:
    """Writes an error's traceback to the log in a directory, or where that fails to a file of its own.

    Returns:
        A sentence that says what happened and where the traceback is. Never raises.
    """
    what = f"{type(error).__name__}: {first_line(Exception(str(error)))}" if str(error) else type(error).__name__
    path = write(directory, error)
    where = f"the traceback is in {path}" if path else "its traceback could not be written anywhere"
    return f"an error in the program ended it ({what[:200]}); {where}. The conversation is kept"


def write(directory: Path, error: BaseException) -> Path | None:
    """Adds an error's traceback to the log, mode 0600; returns the path, or None where nothing can be written."""
    entry = _entry(error)
    path = directory / NAME
    try:
        _append(path, entry)
        return path
    except OSError:
        pass
    try:
        descriptor, name = tempfile.mkstemp(prefix="rgchat-error-", suffix=".log")
        with open(descriptor, "wb") as file:
            file.write(entry)
        return Path(name)
    except OSError:
        return None


def _entry(error: BaseException) -> bytes:
    when = datetime.now(UTC).isoformat(timespec="seconds")
    head = f"--- {when}  rgmlx {__version__}, Python {platform.python_version()}, {sys.platform}\n"
    data = (head + "".join(traceback.format_exception(error))).encode("utf-8", "backslashreplace")
    if len(data) > MAX_ENTRY:
        data = data[: MAX_ENTRY // 2] + b"\n  ...\n" + data[-MAX_ENTRY // 2 :]
    return data + b"\n"


def _append(path: Path, entry: bytes) -> None:
    flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    with open(descriptor, "r+b") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a file")
        os.fchmod(descriptor, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size + len(entry) <= MAX_BYTES:
            file.seek(0, os.SEEK_END)
            file.write(entry)
            return
        keep = MAX_BYTES - len(entry)
        file.seek(max(0, size - keep))
        kept = file.read(keep)
        file.seek(0)
        file.write(kept[kept.find(b"\n") + 1 :] + entry)
        file.truncate()
