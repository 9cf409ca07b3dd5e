"""A file for what has no place where it belongs, as a program ends: in the home directory, or the temporary one.

Knows where such a file may be and what it is called; does not know what is written into it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_log = logging.getLogger(__name__)


def write_rescue_file(kind: str, suffix: str, fill: Callable[[Path], bool]) -> Path | None:
    """Writes a new file that is the user's alone: `rgchat-KIND-DATE-….SUFFIX`.

    Args:
        fill: writes the file, which is there and empty; false, or an OSError, where it can't.

    Returns:
        The file; None where none can be written.
    """
    for directory in rescue_directories():
        path = None
        try:
            prefix = f"rgchat-{kind}-{time.strftime('%Y%m%d-%H%M%S')}-"
            descriptor, name = tempfile.mkstemp(suffix, prefix, directory)
            os.close(descriptor)
            path = Path(name)
            if fill(path):
                return path
        except OSError as e:
            _log.info("nothing is rescued to %s: %s", directory, e)
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()
    return None


def rescue_directories() -> Iterator[Path]:
    """Where such a file may be, the better place first."""
    with contextlib.suppress(RuntimeError):  # nobody's home is known
        yield Path.home()
    with contextlib.suppress(OSError):
        yield Path(tempfile.gettempdir())
