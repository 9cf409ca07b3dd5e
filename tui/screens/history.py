"""A search through what was sent before, from which one goes back into the prompt."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from rgmlx.system.formatting import one_line

from ..prompt.history import History
from .picker import Picker

_MAX_CHARACTERS = 500  # of a row; the rest is beyond the edge of any screen


class HistoryScreen(Picker):
    """Dismisses with a prompt that was sent before, or None."""

    TITLED = "Sent before"
    EMPTY = "Nothing was sent yet."

    def __init__(self, history: History, start: str = "") -> None:
        """`start`: what is searched for at first."""
        super().__init__(start)
        self._history = history
        self._found: Sequence[str] = ()

    def search(self, text: str) -> Sequence[Content]:
        self._found = self._history.search(text)
        return [Content(one_line(row, _MAX_CHARACTERS).strip()) for row in self._found]

    def taken(self, number: int) -> str:
        return self._found[number]
