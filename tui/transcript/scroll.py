"""A window over a row of messages that may be endless: as many widgets as can be read, and no more.

Knows which parts of which messages are mounted: one unbroken row of them, around what is being read. At its ends parts
come and go as one scrolls, and the lines in view stay where they are. Knows nothing of how messages get into the row,
and passes over what a subclass puts between them.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.layout import DockArrangeResult
from textual.scrollbar import ScrollBar
from textual.widget import Widget

from .message_window import MessageWindow
from .parts import continues
from .reply import Entry, MessageWidget, ReplyMessage, lines

MAX_MESSAGES = 50
MAX_PARTS = 100
MAX_WEIGHT = 130
"""Of the mounted parts: lines or widgets, whichever are more. All of them are restyled when focus changes, and what the
most at once took the process keeps. On a high screen there may be more, so that it is filled."""
_WEIGHT_OF_ROW = 6
_PAGE = 4  # parts that come in at an end of the row between two layouts


class MessageScroll(VerticalScroll):
    """Messages, those in view and around it mounted. Whoever changes the row holds its lock."""

    def __init__(self, entries: MessageWindow, *, id: str | None = None) -> None:
        """`entries`: where the messages come from."""
        super().__init__(id=id)
        self._entries = entries
        self._lock = asyncio.Lock()  # one change of the row of parts at a time
        self._tops: dict[Widget, tuple[int, int]] = {}  # where each part began and ended when last laid out
        self._drawn = (0.0, 0)  # where the bar was when last drawn
        self._filling = False
        self._shown = 0.0  # when the end was last put on the screen at once
        self.content_height = 0  # lines of the mounted parts

    def on_mount(self) -> None:
        self.anchor()

    async def _rearranged(self) -> None:
        """For subclasses: other parts may be mounted now. The lock is held."""

    # --- the reader -----------------------------------------------------------------------

    @property
    def following(self) -> bool:
        """Whether the view is at the end and stays there."""
        return not self._anchor_released

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._look()

    def _check_anchor(self) -> None:
        if self._ends:  # the end of what is mounted need not be the end
            super()._check_anchor()

    def scroll_to(self, *arguments: Any, **settings: Any) -> None:
        """At once: after the next layout a line has another number."""
        super().scroll_to(*arguments, **{**settings, "immediate": True})

    def _scroll_to(self, *arguments: Any, **settings: Any) -> bool:
        """Without an animation, which would end where a line was before others came above it."""
        scrolled = super()._scroll_to(*arguments, **{**settings, "animate": False})
        self._check_anchor()  # at the end already, where nothing moves that would be watched
        return scrolled

    @property
    def max_scroll_y(self) -> int:
        """By the last layout, as `scroll_y` of a view that follows; Textual's is by the last drawing."""
        height = self.content_height or self.virtual_size.height
        return max(0, height - (self.container_size.height - self.scrollbar_size_horizontal))

    # --- the view stays while the rows around it change -----------------------------------

    def arrange(self, size: Size, optimal: bool = False) -> DockArrangeResult:
        """Lays out the parts; the first line in view is where it was."""
        result = super().arrange(size, optimal)
        if optimal:
            return result
        tops = {p.widget: (p.region.y, p.region.bottom) for p in result.placements}
        if not self.following:
            if self._ends and self.scroll_target_y >= self.scroll_y >= self.max_scroll_y:
                self._anchor_released = False  # nothing to read back: a key that found nothing to scroll let go
            else:
                self._hold(tops)
        self._tops, self.content_height = tops, result.total_region.bottom
        self.call_after_refresh(self._draw_bar)
        return result

    def _draw_bar(self) -> None:
        """Draws the bar where an anchor has moved it: Textual moves it then, and draws it only if the content has grown."""
        bar = self.vertical_scrollbar
        if self.show_vertical_scrollbar and (drawn := (self.scroll_y, self.max_scroll_y)) != self._drawn:
            self._drawn = drawn
            bar.refresh()

    def _hold(self, tops: dict[Widget, tuple[int, int]]) -> None:
        """Holds the first line in view, or its distance from the end where all parts came in place of others."""
        if not self._tops or not tops:
            return
        for widget, (top, bottom) in self._tops.items():
            if bottom > self.scroll_y and widget in tops:
                moved = tops[widget][0] - top
                break
        else:
            moved = max(bottom for _, bottom in tops.values()) - max(bottom for _, bottom in self._tops.values())
        if moved:
            y = max(0, self.scroll_y + moved)
            self.set_reactive(Widget.scroll_y, y)
            self.set_reactive(Widget.scroll_target_y, y)
            self.vertical_scrollbar.set_reactive(ScrollBar.position, y)

    def has_left(self, entry: Entry, number: int, rows: int) -> bool:
        """Whether a part of a message would not be seen at the end of a view of so many rows."""
        now, mounted = self._entries.now(entry), self._rows
        if now is None or not mounted:
            return now is None
        at = (now.index, number)
        if at < (mounted[0].entry.index, mounted[0].number):
            return True
        row = next((row for row in mounted if (row.entry.index, row.number) == at), None)
        return row in self._tops and self._ends and self.content_height - self._tops[row][1] >= rows

    # --- the row of parts -----------------------------------------------------------------

    @property
    def _rows(self) -> list[MessageWidget]:
        return [child for child in self.children if isinstance(child, MessageWidget)]

    @property
    def _ends(self) -> bool:
        """Whether the last part is mounted."""
        rows = self._rows
        return not self._entries.last if not rows else self._after(rows[-1]) is None

    @property
    def _most(self) -> int:
        return max(MAX_WEIGHT, _WEIGHT_OF_ROW * self.size.height)

    @property
    def _full(self) -> bool:
        rows = self._rows
        return (
            len(rows) >= MAX_PARTS
            or len({row.entry.index for row in rows}) >= MAX_MESSAGES
            or sum(row.weight for row in rows) >= self._most
        )

    def _before(self, row: MessageWidget) -> tuple[Entry, int] | None:
        if row.number > row.entry.first:
            return row.entry, row.number - 1
        entry = self._entries.before(row.entry)
        return None if entry is None else (entry, entry.end - 1)

    def _after(self, row: MessageWidget) -> tuple[Entry, int] | None:
        if row.number + 1 < row.entry.end:
            return row.entry, max(row.number + 1, row.entry.first)
        entry = self._entries.after(row.entry)
        return None if entry is None else (entry, entry.first)

    def _make(self, entry: Entry, number: int) -> MessageWidget:
        row = entry.widget(number)
        row.set_class(number == entry.first, "-first")
        row.set_class(number == entry.end - 1, "-last")
        row.set_class(self._continues(entry, number), "-goes-on")
        row.set_class(self._continues(entry, number - 1), "-went-on")
        return row

    def _continues(self, entry: Entry, number: int) -> bool:
        """Whether a block is cut after this part: nothing on the screen tells that."""
        return entry.first <= number < entry.end - 1 and continues(entry.parts[number])

    async def _mount(self, entry: Entry, number: int, first: bool = False) -> None:
        row = self._make(entry, number)
        if not first and self.children and (last := self._rows[-1]).entry is entry:
            last.remove_class("-last")
            last.set_class(self._continues(entry, last.number), "-goes-on")
        await self.mount(row, before=0 if first and self.children else None)
        await self._refresh(row)

    async def _refresh(self, row: MessageWidget) -> None:
        if not row.is_attached:  # the chat is being left
            return
        if isinstance(row, ReplyMessage) and row.number >= row.entry.first and row.entry.parts.end:
            await row.grow(row.entry.parts[row.number])

    async def _show_end(self) -> None:
        """Mounts the last parts, about two screens of them, in place of what is there.

        The view goes there, unless the reader leaves the end while they come.
        """
        followed = self.following
        rows: list[MessageWidget] = []
        height, wanted = 0, 2 * max(self.size.height, 10)
        last = self._entries.last
        at = (last, last.end - 1) if last else None
        while at is not None and height < wanted and len(rows) < MAX_MESSAGES:
            rows.insert(0, self._make(*at))
            height += lines(at[0].parts[at[1]]) if at[0].parts.end else 1
            at = self._before(rows[0])
        with self.app.batch_update():
            await self.remove_children()
            await self.mount_all(rows)
            if rows:
                await self._refresh(rows[-1])
            await self._rearranged()
        self._shown = monotonic()
        if self.following or not followed:
            self.anchor()
        self._look()

    async def _trim(self) -> None:
        """Takes away what is too many, from the end that is further from the view, and never what is near it."""
        rows, y, near = self._rows, self.scroll_y, 1.5 * self.size.height
        messages, weights = [row.entry.index for row in rows], [row.weight for row in rows]
        low, high = 0, len(rows)
        while (
            high - low > MAX_PARTS or len(set(messages[low:high])) > MAX_MESSAGES or sum(weights[low:high]) > self._most
        ):
            # What was not laid out yet has only just come, next to the view.
            above = y - self._tops.get(rows[low], (0, y))[1]
            below = self._tops.get(rows[high - 1], (y, 0))[0] - y - self.size.height
            if self.following or (above >= below and above > near):
                low += 1
            elif below > above and below > near:
                high -= 1
            else:
                break
        surplus = rows[:low] + rows[high:]
        if not surplus:
            await self._rearranged()
            return
        await self.remove_children(surplus)
        kept = {row.entry for row in self._rows}
        for entry in {row.entry for row in surplus} - kept:
            entry.forget()
        await self._rearranged()

    # --- coming and going at the ends -----------------------------------------------------

    def _look(self) -> None:
        if not self._filling and self.children and self._missing():
            self._filling = True
            self.run_worker(self._fill(), group="fill")

    def _missing(self) -> tuple[Entry, int, bool] | None:
        """The part that should be mounted next, and whether it is above the others."""
        rows, height = self._rows, self.size.height
        if not rows or not self.is_attached:
            return None
        if self.following and self._full:
            return None
        if self.scroll_y < height and (at := self._before(rows[0])):
            return *at, True
        if not self.following and self.max_scroll_y - self.scroll_y < height and (at := self._after(rows[-1])):
            return *at, False
        return None

    async def _fill(self) -> None:
        try:
            while self.is_attached:
                async with self._lock:
                    if self._missing() is None:
                        return
                    with self.app.batch_update():
                        for _ in range(_PAGE):
                            if missing := self._missing():
                                await self._mount(*missing)
                    await self._trim()
                await self._laid_out()
        finally:
            self._filling = False

    async def _laid_out(self) -> None:
        done = asyncio.Event()
        self.call_after_refresh(done.set)
        try:
            await asyncio.wait_for(done.wait(), 1)
        except TimeoutError:
            return
