"""What only macOS has, one concept a file: sleep, backups, the Keychain, the pasteboard, memory, privacy.

Each file says what it asks of the system and by which of its programs; elsewhere than on a Mac none of it does anything.
Nothing here has run on a Mac: the tests put programs of the same names into PATH, which note how they were called.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

from .. import debug_log

_SECONDS = 10.0
"""For so long a program of the system is waited for; each takes a fraction of a second."""


def here() -> bool:
    """Whether this is macOS."""
    return sys.platform == "darwin"


def is_remote(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether whoever types sits at another computer, over SSH."""
    return bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))


def run(program: str, *arguments: str, said: str = "", seconds: float = _SECONDS) -> str | None:
    """What a program of the system writes; None where there is none of that name, or it fails or hangs. Never raises.

    Args:
        said: what it reads from its standard input.
    """
    import subprocess  # what never asks anything does without it

    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run(
            [path, *arguments],
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError) as e:  # ValueError: a NUL in an argument
        debug_log.caught(e, f"{program} says nothing")
        return None
    return done.stdout
