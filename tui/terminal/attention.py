"""Tells somebody who looks elsewhere that something long has ended, by what the terminal has for that.

Knows terminals by their environment; nothing of models. What is told has no word of a conversation in it: it may be
shown on a screen that is locked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from textual.app import App

# OSC 9: iterm2.com/documentation-escape-codes.html ("Post a notification"), ghostty.org/docs/vt/osc/9,
# wezterm.org/escape-sequences.html, sw.kovidgoyal.net/kitty/desktop-notifications ("kitty also supports the legacy OSC 9
# protocol developed by iTerm2"). OSC 777: foot-ctlseqs(7), and rxvt-unicode, whose own it is. macOS Terminal has neither.
LONG_SECONDS = 60.0
"""What takes less is waited for."""
_BELL = "\a"
_BY_PROGRAM = {"iTerm.app": 9, "ghostty": 9, "WezTerm": 9}
"""TERM_PROGRAM, and the number of the escape sequence (OSC) that has the terminal show a notification."""
_BY_KIND = {"xterm-kitty": 9, "xterm-ghostty": 9, "wezterm": 9, "foot": 777, "foot-extra": 777, "rxvt-unicode": 777}
"""TERM, which goes along over SSH."""


def sequence(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """What a terminal is to be sent: a notification with a text, or a bell where it is not known to have those."""
    kind = environ.get("TERM", "")
    if environ.get("TMUX") or kind.startswith(("screen", "tmux")):  # it would drop what it does not know
        return _BELL
    number = _BY_PROGRAM.get(environ.get("TERM_PROGRAM", "")) or _BY_KIND.get(kind.removesuffix("-256color"))
    if number is None and environ.get("LC_TERMINAL") == "iTerm2":  # which SSH hands on
        number = 9
    if number == 9:
        return f"\x1b]9;rgchat: {text}\a"
    return f"\x1b]777;notify;rgchat;{text}\a" if number else _BELL


def tell(app: App[Any], text: str, seconds: float, *, wanted: bool) -> None:
    """Tells of the end of something that took so long, if the terminal has said that it is not in front.

    Args:
        wanted: whether the user wants to be told at all.
    """
    if wanted and seconds >= LONG_SECONDS and not app.app_focus and app._driver is not None:
        app._driver.write(sequence(text))
