"""The desktop of a Mac for programs: clipboard, selection, notifications, files, Shortcuts; and recipes, which `rgmlx desktop` installs.

>>> from rgmlx import desktop
>>> desktop.set_clipboard(model.generate("Summarize: " + desktop.clipboard()))

Each function asks one program of the system, which gets texts as arguments or input: none of them becomes a shell's or
AppleScript's. Where there is no such program a DesktopError says so; the clipboard also is Wayland's and X11's. Nothing here
needs the model, and nothing of it has run on a Mac.
"""

from __future__ import annotations

from .calls import clipboard, notify, open_with, run_shortcut, selection, set_clipboard

__all__ = ["clipboard", "notify", "open_with", "run_shortcut", "selection", "set_clipboard"]
