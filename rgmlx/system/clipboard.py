"""The programs that own a clipboard: macOS's, Wayland's, X11's. Knows how each is called; runs none of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping

from . import macos
from .macos import pasteboard


def writers(environ: Mapping[str, str] = os.environ) -> list[list[str]]:
    """Commands that put their input on the clipboard of this machine, the best first; whole paths."""
    known = []
    if macos.here():
        known.append([pasteboard.WRITE])
    if environ.get("WAYLAND_DISPLAY"):
        known.append(["wl-copy", "--type", "text/plain"])  # or it looks for a type of its own
    if environ.get("DISPLAY"):
        known += [["xclip", "-selection", "clipboard", "-in"], ["xsel", "--clipboard", "--input"]]
    return _found(known)


def readers(environ: Mapping[str, str] = os.environ) -> list[list[str]]:
    """Commands that write what is on the clipboard, as plain text."""
    known = []
    if macos.here():
        known.append([pasteboard.READ, "-Prefer", "txt"])
    if environ.get("WAYLAND_DISPLAY"):
        known.append(["wl-paste", "--no-newline", "--type", "text"])
    if environ.get("DISPLAY"):
        known += [["xclip", "-selection", "clipboard", "-out"], ["xsel", "--clipboard", "--output"]]
    return _found(known)


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str] | None:
    """The environment for these commands; None for one's own."""
    return pasteboard.environment(environ) if macos.here() else None


def _found(known: Iterable[list[str]]) -> list[list[str]]:
    return [[path, *rest] for program, *rest in known if (path := shutil.which(program))]
