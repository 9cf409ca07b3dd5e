"""Lines of a text that comes in pieces, broken between words instead of where the terminal happens to end.

Knows widths and where a line may be broken; no stream.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.cells import cell_len

from rgmlx.system.printable import joins

LEAST = 10
"""Columns; a narrower terminal is left to break lines itself."""
_TAB = 8
_OPENING = "\u3008\u300a\u300c\u300e\u3010\u3014\uff08\uff3b\uff5b"
_CLOSING = (
    "\u3001\u3002\u3009\u300b\u300d\u300f\u3011\u3015\uff01\uff09\uff0c\uff0e\uff1a\uff1b\uff1f\uff3d\uff5d\u30fc"
)
_JOINER = "\u200d"


class Wrapper:
    """A text in lines. A word is held back until its end is known."""

    def __init__(self, columns: Callable[[], int]) -> None:
        """`columns` tells how wide the terminal is now; 0 where that is not known, and lines are left as they are."""
        self._columns = columns
        self._column = 0
        self._spaces = self._word = ""

    def feed(self, text: str) -> str:
        """What can be written now."""
        width = self._columns()
        if width < LEAST:
            return self.finish() + text
        out = list[str]()
        for char in text:
            if char == "\n":
                out += self._place(width), "\n"
                self._column, self._spaces = 0, ""
            elif char in " \t":
                out.append(self._place(width))
                self._spaces += char
            else:
                if self._word and _may_break(self._word[-1], char):
                    out.append(self._place(width))
                self._word += char
        return "".join(out)

    def finish(self) -> str:
        """What was held back."""
        rest = self._place(self._columns()) + self._spaces
        self._spaces = ""
        return rest

    def begin(self) -> None:
        """The cursor is in the first column: something else has ended the line."""
        self._column, self._spaces, self._word = 0, "", ""

    def _place(self, width: int) -> str:
        """The word that has ended, after the blanks before it or on a line of its own."""
        word, spaces = self._word, self._spaces
        if not word:
            return ""
        self._word = self._spaces = ""
        column = self._column
        for space in spaces:
            column = (column // _TAB + 1) * _TAB if space == "\t" else column + 1
        cells = cell_len(word)
        # Some terminals go on to the next line from the last column.
        if new := self._column > 0 and column + cells >= width >= LEAST:
            column = 0
        self._column = column + cells
        if self._column > width > 0:  # the terminal breaks it, as often as it takes
            self._column = (self._column - 1) % width + 1
        return f"\n{word}" if new else spaces + word


def _may_break(before: str, after: str) -> bool:
    """Whether a line may end between two characters that are no blanks: Chinese and Japanese have none."""
    if joins(after) or before == _JOINER or before in _OPENING or after in _CLOSING:
        return False
    return _wide(before) or _wide(after)


def _wide(char: str) -> bool:
    return char > "\u10ff" and cell_len(char) == 2
