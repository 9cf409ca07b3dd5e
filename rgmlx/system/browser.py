"""Opens a page in the user's browser, where there is one and a screen that it is seen on.

Python's own `webbrowser` would start a browser of text in the middle of ours.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from . import debug_log, macos


def can_open() -> bool:
    """Whether the user who types here would see it."""
    return _program() is not None


def open_page(address: str) -> None:
    """Opens it. Never raises: the address is there to be copied."""
    program = _program()
    if program is None:
        return
    try:
        subprocess.Popen(
            [program, address],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as e:
        debug_log.caught(e, "the browser is not opened")


def _program() -> str | None:
    if macos.is_remote():
        return None
    if macos.here():
        return shutil.which("open")
    has_screen = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return shutil.which("xdg-open") if has_screen else None
