"""A file of tracebacks, for errors that nobody caught: the user gets a sentence and the file's path.

Knows files and exceptions, and no widgets. The file holds no values of variables, so no text of a conversation.
"""

from __future__ import annotations

import platform
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from rgmlx import __version__
from rgmlx.system import bounded, debug_log
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
    debug_log.caught(error, "nobody caught this")
    what = f"{type(error).__name__}: {first_line(Exception(str(error)))}" if str(error) else type(error).__name__
    path = write(directory, error)
    where = f"the traceback is in {path}" if path else "its traceback could not be written anywhere"
    return f"an error in the program ended it ({what[:200]}); {where}. The conversation is kept"


def write(directory: Path, error: BaseException) -> Path | None:
    """Adds an error's traceback to the log, mode 0600; returns the path, or None where nothing can be written."""
    entry = _entry(error)
    path = directory / NAME
    try:
        bounded.append(path, entry, MAX_BYTES)
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
    return bounded.shortened(data, MAX_ENTRY) + b"\n"
