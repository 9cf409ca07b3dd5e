"""The ends of log files, put together to be asked about: so much of each, so many, and none that is older than a day.

Knows files; nothing of models.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

from ..errors import DesktopError
from ..system.printable import printable
from ..system.reading import open_regular
from . import places

MOST_FILES = 8
MOST_BYTES = 16_000
"""Of each file, its end."""
HOURS = 24.0
_DEPTH = 2
_LOOKED_AT = 5_000
"""Files of ~/Library/Logs at most."""


def recent_logs(now: float | None = None) -> list[Path]:
    """Log files in ~/Library/Logs that were written within a day, the newest first."""
    since = (time.time() if now is None else now) - HOURS * 3600
    root = places.library() / "Logs"
    found: dict[Path, float] = {}
    looked_at = 0
    for folder, folders, names in os.walk(root):
        if len(Path(folder).relative_to(root).parts) >= _DEPTH:
            folders.clear()
        for name in sorted(names):
            looked_at += 1
            if looked_at > _LOOKED_AT:
                folders.clear()
                break
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix in (".log", ".txt", ".out", ".err"):
                with contextlib.suppress(OSError):
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode) and status.st_size and status.st_mtime >= since:
                        found[path] = status.st_mtime
    return sorted(found, key=lambda path: (-found[path], path))[:MOST_FILES]


def material(paths: Sequence[Path]) -> str:
    """The ends of files, each under its name. Raises DesktopError: none of them can be read."""
    parts, refusals = [], list[str]()
    for path in paths[:MOST_FILES]:
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(max(0, size - MOST_BYTES))
                data = file.read(MOST_BYTES)
        except OSError as e:
            refusals.append(f"{path} can't be read ({e.strerror or e})")
            continue
        text = data.decode("utf-8", "replace")
        if size > MOST_BYTES:
            text = text.partition("\n")[2] or text  # the first line is cut off
        parts.append(f"== {printable(path.name)} ==\n{_quiet(text)}")
    if not parts:
        raise DesktopError(refusals[0] if refusals else "no log file was written since yesterday: name one with --log")
    return "\n\n".join(parts)


def _quiet(text: str) -> str:
    """A log without a terminal's colors, and without what a terminal would obey."""
    return "\n".join(printable(line).replace("\ufffd", "") for line in text.strip().splitlines())
