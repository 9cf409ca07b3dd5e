"""What was said before, found in the text that is kept: it goes into the prompt, and so before the model's eyes once more.

The model remembers what is above the memory horizon in gist only; the store has every word of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from rgmlx.store import USER, Store
from rgmlx.system.formatting import one_line
from rgmlx.system.printable import printable

from .picker import Picker

MAX_CHARS = 1_000
"""Of a message that is put in; more would push other things out of what the model remembers word by word."""
_ROW = 300  # characters of a row
_OPENINGS = {True: "Earlier I said: “", False: "Earlier you said: “"}


class RecallScreen(Picker):
    """Dismisses with a sentence that says what a message said, or None."""

    TITLED = "Said before"
    EMPTY = "Type words of what was said."

    def __init__(self, store: Store, conversation: int, head: int | None, known: int | None, start: str = "") -> None:
        """
        Args:
            head: the current message; what is on other branches was not said here.
            known: the first message that the model remembers word by word, and all after it; None: that is not known.
            start: what is searched for at first.
        """
        super().__init__(start)
        self._store, self._conversation, self._known = store, conversation, known
        self._path = {number for number, _ in store.messages.path_sizes(head)}
        self._found: list[int] = []
        self._words: Sequence[str] = ()

    def search(self, text: str) -> Sequence[Content]:
        hits = [hit for hit in self._store.search.find_in(self._conversation, text) if hit.message in self._path]
        self._words = text.lower().split()
        self._found = [hit.message for hit in hits if hit.message is not None]
        return [
            self._row(number, "".join(part for part, _ in hit.snippet))
            for number, hit in zip(self._found, hits, strict=True)
        ]

    def _row(self, number: int, snippet: str) -> Content:
        exact = self._known is not None and number >= self._known
        text = Content(one_line(printable(snippet), _ROW).strip())
        return Content.assemble(text, ("  still known word by word", "dim")) if exact else text

    def taken(self, number: int) -> str:
        message = self._store.messages.get(self._found[number])
        return f"{_OPENINGS[message.role == USER]}{around(message.text, self._words)}”\n"


def around(text: str, words: Sequence[str]) -> str:
    """A text on one line, or as much of it around the first of these words."""
    text = one_line(text, len(text)).strip()
    if len(text) <= MAX_CHARS:
        return text
    places = [at for word in words if (at := text.lower().find(word)) >= 0]
    start = max(0, min(places, default=0) - MAX_CHARS // 2)
    cut = text[start : start + MAX_CHARS]
    if start:
        cut = "… " + cut.partition(" ")[2]
    return cut.rpartition(" ")[0] + " …" if start + MAX_CHARS < len(text) else cut
