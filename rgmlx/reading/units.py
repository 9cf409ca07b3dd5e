"""Text that comes in pieces, cut where its tokens don't change: the same units however it came.

A unit is a line with the blank lines behind it, known to be whole once the next line has begun. No token reaches over a line
break into other text (line breaks are tokens of their own, one or several at a time), so the ids of the units in a row are
those of the whole text. Only a line of more than `MAX_UNIT` characters is cut within: before a space that stands between two
words, which changes no ids either, and where there is no such place anywhere, which costs a token or two.
"""

from __future__ import annotations

import re

MAX_UNIT = 4_096
"""Characters of a unit: what is not known to be whole is held back, and must be bounded."""

_LINE = re.compile(r"[^\n]*\n+(?=[^\n])")
_WORD_END = re.compile(r"\w(?= \w)")


def unit_end(text: str, start: int = 0, *, final: bool = False) -> int | None:
    """Where the unit ends that begins at `start`; None as long as that depends on what follows.

    Args:
        final: nothing follows, so that the last unit is what is left.
    """
    limit = start + MAX_UNIT
    if found := _LINE.match(text, start, limit + 1):
        return found.end()
    if len(text) <= limit:
        return len(text) if final and start < len(text) else None
    word = _WORD_END.search(text, start + MAX_UNIT // 2, limit)
    return word.end() if word else limit
