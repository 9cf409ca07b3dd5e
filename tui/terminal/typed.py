"""What is typed and pasted, as characters: which are text, which end a line, how they are drawn, what is one to its reader.

Knows Unicode, and neither keys nor widgets.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any

CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Controls, and what would reorder or break a line on the screen. Their width is zero, and so is that of what stands in;
# terminals give some of the fillers one.
HARM = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\u3164\uffa0\ufff9-\ufffb]")
_OTHERS = re.compile("[\u00ad\u115f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_ENDS = ("\r\n", *"\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
_SHOWN = {"\u00ad": "\u2010", "\u115f": "\u3000"}


def is_text(character: str) -> bool:
    """Whether a character that comes from a terminal is text: all are but controls and half surrogate pairs.

    `str.isprintable` is no answer: it is false of most spaces, of what joins letters and emoji, and of whatever is newer
    than Python's tables.
    """
    return bool(character) and unicodedata.category(character[0]) not in ("Cc", "Cs")


def lines(text: str) -> str:
    """A text with line breaks of one kind: all that Unicode has, which Textual breaks lines at as well.

    It would drop one at the end that is not among the usual three.
    """
    for end in _ENDS:
        if end in text:
            text = text.replace(end, "\n")
    return text


def drawn(text: str) -> str:
    """A text of as many characters and cells, in which there is nothing that a terminal obeys or takes for wider."""
    if text.isascii() and text.isprintable():
        return text
    return _OTHERS.sub(lambda found: _SHOWN.get(found[0], "\ufffd"), HARM.sub("\u200b", text))


# --- what is one character to its reader: a letter with its marks, a flag, a family of emoji ----------------------


def last(text: str) -> int:
    """How many characters are the last one of a text, as its reader sees it; 0 where there is none."""
    if not text or text[-1].isascii():
        return len(text[-1:])
    return len(_clusters().findall(text)[-1])


def first(text: str) -> int:
    """How many characters are the first one of a text, as its reader sees it; 0 where there is none."""
    found = _clusters().match(text)
    return found.end() if found else 0


def begin(text: str, column: int) -> int:
    """Where that begins which is one to its reader and that a column is inside of; the column where it is inside of none."""
    if text.isascii() or not 0 < column < len(text):
        return column
    return next(found.start() for found in _clusters().finditer(text) if found.end() > column)


def begins(text: str) -> list[int]:
    """Where each that is one to its reader begins."""
    return list(range(len(text))) if text.isascii() else [found.start() for found in _clusters().finditer(text)]


@functools.cache
def _clusters() -> Any:
    import regex  # knows Unicode's rules for it (UAX 29); an ASCII text has no need of them

    return regex.compile(r"\X")
