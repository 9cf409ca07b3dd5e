"""Conversations that are in memory only as the program ends, written into a file elsewhere.

Knows what such a file is filled from; where it may be is in `system.rescue_file`, what is copied in `removed_file`.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from ...shell import typed
from ...system.disk import flush_file
from ...system.rescue_file import write_rescue_file
from .. import migrations
from ..errors import StoreError
from . import removed_file
from .recent_rows import RecentRows


def write_rescue(
    old: sqlite3.Connection | None,
    conversations: Sequence[int],
    recent: RecentRows,
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

    def fill(path: Path) -> bool:
        written = False
        with (
            contextlib.suppress(sqlite3.Error, StoreError),
            contextlib.closing(sqlite3.connect(path, isolation_level=None)) as new,
        ):
            migrations.migrate(new, path)
            if _copied(old, new, conversations) or recent.write_to(new, conversations):
                finish(new)
                written = True
        if written:
            with contextlib.suppress(OSError):  # it is there all the same
                flush_file(path)
        return written

    return write_rescue_file("rescued", ".db", fill)


def _copied(old: sqlite3.Connection | None, new: sqlite3.Connection, conversations: Sequence[int]) -> bool:
    with contextlib.suppress(sqlite3.Error):
        return old is not None and removed_file.copy_conversations(old, new, conversations)
    return False


def told(path: Path, found: Path | None, damaged: bool) -> str:
    """What to say of it.

    Args:
        path: the file of conversations.
        found: the file elsewhere; None where none could be written.
        damaged: the file of conversations is damaged; else it can't be written.
    """
    recover = typed("rgchat --recover")
    if damaged and found is None:
        return f"{path} is damaged, and no file can be written elsewhere: start again for what can be read of it"
    if damaged:
        return (
            f"{path} is damaged. What was open, as far as it was in memory, is in {found}: {recover} with that name adds "
            "what the others lack of it later"
        )
    if found is None:
        return f"{path} can't be written, nor can a file elsewhere: what was in memory only is lost"
    return (
        f"{path} can't be written. What was in memory only is in {found}: {recover} with that name adds it to the others "
        "later"
    )
