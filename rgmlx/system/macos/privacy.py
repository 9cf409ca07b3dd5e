"""Folders that macOS keeps programs out of until the user allows it: what to say when it does.

A terminal that was not allowed into Documents, Desktop or Downloads gets EPERM there for files whose permissions are all
right (those give EACCES; man 2 intro: "[EPERM] Operation not permitted", as in anthropics/claude-code#90687 for such
folders), and no dialog comes a second time. Which folders those are is in System Settings > Privacy &
Security > Files and Folders. Knows paths and error numbers.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ...errors import PathError
from .. import macos
from ..paths import expanded

_FOLDERS = ("Documents", "Desktop", "Downloads", "Library/Mobile Documents")
"""In the home directory; the last is iCloud Drive."""


class NotAllowed(PermissionError):
    """The user has not allowed this terminal into a folder. `strerror` says where that is done."""


def explained(error: OSError) -> OSError:
    """The error, or in its place a NotAllowed where that is what it comes from."""
    name = error.filename
    if not macos.here() or error.errno != errno.EPERM or not isinstance(name, str | bytes | os.PathLike):
        return error
    folder = _kept_from(os.fsdecode(name))
    if folder is None:
        return error
    sentence = (
        f"macOS keeps your terminal out of {folder}, which System Settings > Privacy & Security > Files and Folders > "
        "your terminal can allow"
    )
    return NotAllowed(errno.EPERM, sentence, name)


def check(directory: Path) -> None:
    """Raises NotAllowed: the directory may not be looked into, so that it would seem to be empty."""
    if macos.here():
        try:
            with os.scandir(directory):
                pass
        except (OSError, ValueError) as e:
            if isinstance(e, OSError) and isinstance(refusal := explained(e), NotAllowed):
                raise refusal from None


def _kept_from(path: str) -> str | None:
    """The folder of those that a path is in, as people write it."""
    try:
        real, home = os.path.realpath(path), os.path.realpath(expanded("~"))
    except PathError:  # there is no home
        return None
    for folder in _FOLDERS:
        place = os.path.join(home, folder)
        if real == place or real.startswith(f"{place}/"):
            return "iCloud Drive" if folder.startswith("Library") else f"~/{folder}"
    return None
