"""The debug log that `RGMLX_LOG=debug` asks for: which error became which sentence, and why. Off it costs a look.

It is a file of bounded size beside the conversations, the user's alone, and holds nothing of what anybody wrote (see
`causes`). Programs begin it, and so does the first `rgmlx.load`. What can't be written stops nothing. Knows the variable
and the place; `log_file` writes, and is imported only where there is something to write.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RgmlxError
from . import paths, variables

if TYPE_CHECKING:
    from .log_file import LogFile

NAME = "debug.log"
_file: LogFile | None = None
_lock = threading.Lock()


def begin(directory: Path | None = None) -> str:
    """Begins the log, if it is asked for and has not begun.

    Args:
        directory: where to; None for where conversations are by default.

    Returns:
        A sentence where it can't be written, which is tried again for whatever there is to be written; else "".
    """
    global _file
    if _file is not None or not variables.log():
        return ""
    from .log_file import LogFile

    with _lock:
        if _file is None:
            try:
                _file = LogFile(paths.expanded(directory or paths.data()).absolute() / NAME)
                _file.begin()
            except OSError as e:
                return f"the log can't be written ({e.strerror or e}): {_file.path if _file else NAME}"
            except RgmlxError as e:
                return f"the log can't be written: {e}"
    return ""


def caught(error: BaseException, what: str) -> None:
    """Notes an error that is not ours, and what becomes of it: the cause of a sentence, or of something that is left out."""
    if _file is not None:
        with contextlib.suppress(Exception):
            _file.caught(error, what)


def place() -> Path | None:
    """The file, if there is one: this program's, else the one in the place that a log has by default."""
    path = _file.path if _file is not None else paths.data() / NAME
    return path if os.path.isfile(path) else None
