"""Text that is safe to show: no escape sequences, no control or direction-override characters."""

from __future__ import annotations

import re

# C0 but tab and newline, DEL, C1, and the bidirectional controls that can reorder what follows.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """The text with control characters shown as U+FFFD, so that a terminal can't obey them."""
    return _UNSAFE.sub("\ufffd", text)


def first_line(error: Exception) -> str:
    """What another library's error says, cut to one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
