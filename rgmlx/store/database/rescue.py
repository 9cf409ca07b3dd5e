"""What is in memory only when the program ends goes into a file elsewhere: the home directory, or the temporary one.

Knows where such a file may be and how a fresh one is made; what is copied is in `removed_file`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .. import migrations
from ..errors import StoreError
from . import removed_file
from .recent_rows import Recent


def write(
    old: sqlite3.Connection | None,
    conversations: Sequence[int],
    recent: Recent,
    finish: Callable[[sqlite3.Connection], None],
) -> Path | None:
    """Writes conversations into a new file, which is the user's alone.

    Args:
        old: the file that has them; None for one that is damaged.
        recent: what is in memory of them, where the old file can't be read any more.
        finish: adds what is in no file.

    Returns:
        The file; None where none can be written.
    """
    for directory in places():
        path = None
        try:
            prefix = f"rgchat-rescued-{time.strftime('%Y%m%d-%H%M%S')}-"
            descriptor, name = tempfile.mkstemp(".db", prefix, directory)
            path = Path(name)
            with open(descriptor, "wb"):
                pass
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as new:
                migrations.bring_up_to_date(new, path)
                if _copied(old, new, conversations) or recent.write(new, conversations):
                    finish(new)
                    return path
        except (sqlite3.Error, OSError, StoreError):
            pass
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink()
    return None


def _copied(old: sqlite3.Connection | None, new: sqlite3.Connection, conversations: Sequence[int]) -> bool:
    with contextlib.suppress(sqlite3.Error):
        return old is not None and removed_file.copy(old, new, conversations)
    return False


def places() -> Iterator[Path]:
    """Where a file may be that has no place in the directory of the conversations."""
    with contextlib.suppress(RuntimeError):  # nobody's home is known
        yield Path.home()
    with contextlib.suppress(OSError):
        yield Path(tempfile.gettempdir())
