"""Places of the transcript where something stands that is looked for: shown, and brought into view one by one.

Knows what is mounted of the messages; which places there are in all is told. What is found is underlined, the place that
one is at reversed: that is seen without colours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from textual.content import Content
from textual.widgets import Static

from .marking import MarkedScroll
from .message_window import MessageWindow
from .reply import Entry, MessageWidget

_FOUND, _CURRENT = "underline", "reverse"


class FoundScroll(MarkedScroll):
    """A transcript in which places may be shown."""

    def __init__(self, entries: MessageWindow, *, id: str | None = None) -> None:
        super().__init__(entries, id=id)
        self._wanted: re.Pattern[str] | None = None
        self._current: tuple[Entry, int, int] | None = None  # a message, its part, which place in that
        self._shown_in: WeakKeyDictionary[Static, tuple[Content, Content]] = WeakKeyDictionary()  # before, and since

    def begin_finding(self, wanted: re.Pattern[str]) -> None:
        """From now on these places are shown, until nothing is marked any more."""
        self._wanted, self._current, self.finding, self.found = wanted, None, True, ""

    def end_marking(self) -> None:
        if self.finding:
            self._wanted, self._current, self.finding = None, None, False
            self._show_places()
        super().end_marking()

    async def show_hit(self, message: int, number: int, place: str) -> bool:
        """Goes to a place; false where its message is not in the row.

        Args:
            number: which of the places in this message.
            place: which of all it is, in words.
        """
        entry = await self._entries.reach(message)
        if entry is None and (last := self._entries.last) is not None and last.live:
            entry = last
        if entry is None:
            return False
        found = self._place(entry, number)
        if found is None and entry.open():  # it is in what is folded
            found = self._place(entry, number)
            async with self._lock:
                await self._show_at(entry, found[0] if found else entry.first)
            await self._laid_out()
        part, which = found or (entry.first, 0)
        self._current, self.found = (entry, part, which), place
        await self._bring(entry, part)
        self._put(entry)
        self._show_places()
        y = self._line_of_current()
        if y is not None and not self.scroll_y + 1 <= y < self.scroll_y + self.size.height - 2:
            self.scroll_to(y=max(0, y - self.size.height // 2))
        self.post_message(self.Marked())
        return True

    def _place(self, entry: Entry, number: int) -> tuple[int, int] | None:
        """The part with one of a message's places, and which it is there; None: it is not shown."""
        assert self._wanted is not None
        for part in range(entry.first, entry.parts.end):
            count = sum(1 for _ in self._wanted.finditer(entry.parts[part]))
            if number < count:
                return part, number
            number -= count
        return None

    def _line_of_current(self) -> int | None:
        """The line that the place one is at is in, or about there."""
        assert self._current is not None
        entry, part, which = self._current
        row = next((one for one in self._rows if one.entry is entry and one.number == part), None)
        if row is None:
            return None
        for static, before, number in self._places_in(row):
            if number == which:
                top, height = self._line(static), static.size.height
                at = self._found_in(static)[before].start() / max(1, len(_plain(static)))
                return None if top is None else top + int(height * at)
        return self._line(row)

    async def _rearranged(self) -> None:
        await super()._rearranged()
        if self.finding:
            self._show_places()

    # --- how they look --------------------------------------------------------------------

    def _places_in(self, row: MessageWidget) -> Iterator[tuple[Static, int, int]]:
        """Each place that is drawn of a row: the text, which place in that text, and which in the row."""
        number = 0
        for static in _texts(row):
            for before, _ in enumerate(self._found_in(static)):
                yield static, before, number
                number += 1

    def _found_in(self, static: Static) -> list[re.Match[str]]:
        return list(self._wanted.finditer(_plain(static))) if self._wanted is not None else []

    def _show_places(self) -> None:
        for row in self._rows:
            current = None
            if self._current is not None and (row.entry, row.number) == self._current[:2]:
                places = list(self._places_in(row))
                current = places[min(self._current[2], len(places) - 1)][:2] if places else None
            for static in _texts(row):
                self._show_in(static, current[1] if current is not None and current[0] is static else None)

    def _show_in(self, static: Static, current: int | None) -> None:
        content = static.content
        before, since = self._shown_in.get(static, (None, None))
        if before is None or content is not since:
            before = content if isinstance(content, Content) else None
        if before is None:
            return
        shown = before
        for number, match in enumerate(self._found_in(static)):
            shown = shown.stylize(_CURRENT if number == current else _FOUND, *match.span())
        if shown is before:
            self._shown_in.pop(static, None)
        else:
            self._shown_in[static] = before, shown
        if shown is not content:
            static.update(shown, layout=False)


def _texts(row: MessageWidget) -> Iterator[Static]:
    if isinstance(row, Static):
        yield row
    yield from row.query(Static)


def _plain(static: Static) -> str:
    return static.content.plain if isinstance(static.content, Content) else ""
