"""Damage that was met while the file was in use: noted beside it, so that the next start makes the file anew.

Knows names and numbers of conversations; does not know what is damaged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from ...system.private_files import create_private


def mark_path(path: Path) -> Path:
    """The file that is beside a file of conversations once damage was met in it."""
    return path.with_name(f".{path.name}.suspect")


class Damage:
    """Whether damage was met since the file was opened.

    Attributes:
        met: whether it was; nothing more is written then.
        conversations: those that were open at that time, or were opened since: they may not be readable later.
    """

    def __init__(self) -> None:
        self.met = False
        self.conversations: set[int] = set()

    def note(self, path: Path, conversations: Iterable[int]) -> None:
        """Notes that a file is damaged, and which conversations are open."""
        self.met = True
        self.conversations.update(conversations)
        with contextlib.suppress(OSError):
            create_private(mark_path(path))

    def forget(self) -> None:
        """For another file."""
        self.met = False
        self.conversations.clear()
