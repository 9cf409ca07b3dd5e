"""Text for others without the user in it: the home directory is `~`, the user's name in a path `USER`. Knows no files."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
from pathlib import Path


def anonymous(text: str) -> str:
    """The text without the names of the home directory and the user."""
    with contextlib.suppress(RuntimeError):  # a user without a home
        for home in {str(Path.home()), os.path.realpath(Path.home())} - {"/"}:
            text = re.sub(rf"{re.escape(home)}(?!\w|[.-]\w)", "~", text)
    with contextlib.suppress(OSError, KeyError, ImportError):  # or without a name
        text = re.sub(rf"(?<=/){re.escape(getpass.getuser())}(?!\w|[.-]\w)", "USER", text)
    return text
