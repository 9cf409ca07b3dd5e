"""The transcript: a window over the conversation, as many widgets as can be read and no more.

Knows which parts of which messages are on the screen: one unbroken row of them, around what is being read. At its ends
parts come and go as one scrolls, and the lines in view stay where they are. Text that is being written is taken in from
a worker thread and drawn a few times a second; while one reads further up, below.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import Any, cast

from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.layout import DockArrangeResult
from textual.message import Message as TextualMessage
from textual.scrollbar import ScrollBar
from textual.widget import Widget

from rgmlx.store import MODEL
from rgmlx.store import Message as Stored
from rgmlx.text import Cleaner

from .pages import Pages
from .reply import NOTICE, Entry, HorizonLine, Message, ReplyMessage

WRITES_PER_SECOND = 15  # more costs twice the processor time and can't be read
MAX_MESSAGES = 50
MAX_PARTS = 100
MAX_LINES = 300
"""Of source, mounted: lists and short paragraphs take widgets by the line, and all are restyled when focus changes."""
_BITE = 32_768  # characters taken in at once: keys are answered between two bites
_PAGE = 4  # parts that come in at an end of the row between two layouts
_AT_ONCE = 6  # new parts that are drawn one after the other; what is faster is not read


class Transcript(VerticalScroll):
    """What was said so far."""

    class News(TextualMessage):
        """Whether there is text further down that was not seen."""

        def __init__(self, below: bool) -> None:
            super().__init__()
            self.below = below

    def __init__(self, pages: Pages | None = None) -> None:
        """`pages`: where messages that are not on the screen come from."""
        super().__init__(id="transcript")
        self._entries = pages or Pages()
        self._horizon: tuple[int, int, int] | None = None  # message, its exact characters, the window
        self._live: Entry | None = None
        self._queue: deque[str] = deque()  # what the worker thread wrote
        self._cleaner = Cleaner()
        self._lock = asyncio.Lock()  # one change of the row of parts at a time
        self._tops: dict[Widget, tuple[int, int]] = {}  # where each part began and ended when last laid out
        self._filling = self._news = False
        self._shown = 0.0  # when the end was last put on the screen at once

    def on_mount(self) -> None:
        self.anchor()

    # --- what is written ------------------------------------------------------------------

    def write(self, piece: str) -> None:
        """Adds to the running reply, from any thread; returns at once."""
        self._queue.append(piece)

    async def load(self, messages: Iterable[Stored]) -> None:
        """Shows the end of a conversation in place of what is there; earlier messages come on scrolling."""
        async with self._lock:
            self._horizon = None
            self._entries.restart(messages)
            await self._show_end()
        self._tell(False)

    async def add(self, message: Stored) -> None:
        """Adds a whole message."""
        await self._add_prepared(self._entries.entry(message))

    async def notice(self, text: str) -> None:
        """Adds a sentence of the app itself."""
        await self._add_prepared(Entry(NOTICE, text, self._entries.end))

    async def _add_prepared(self, entry: Entry) -> None:
        await asyncio.to_thread(lambda: entry.parts)  # of ten megabytes, say
        async with self._lock:
            entry.index = self._entries.end
            await self._add(entry)

    async def begin_reply(self, text: str = "") -> None:
        """From now on what is written is drawn, after a text that the reply begins with."""
        self._cleaner = Cleaner()
        self._queue.clear()
        async with self._lock:
            self._live = Entry(MODEL, None, self._entries.end)
            if text:
                self._live.parts.feed(self._cleaner.feed(text))
            await self._add(self._live)
        self.run_worker(self._draw(), group="draw", exclusive=True)

    async def end_reply(self, message: Stored | None = None) -> None:
        """Draws what is left. A reply without a word leaves no trace.

        Args:
            message: what it is in the store.
        """
        live = self._live
        if live is None:
            return
        while self._queue:
            begun = monotonic()
            await self._take()
            await asyncio.sleep(monotonic() - begun)  # keys have their turn
        async with self._lock:
            await self._feed(live, self._cleaner.finish())
            self._live, live.live = None, False
            if not live.parts.end:
                await self._remove(live)
            elif message is not None:
                self._entries.settle(live, message)
                for row in self._rows:
                    if row.entry is live:
                        row.border_title = Content(live.title)
            await self._place_horizon()

    @property
    def has_words(self) -> bool:
        """Whether the running reply has begun."""
        return self._live is not None and bool(self._live.parts.end)

    async def cut(self, message: int) -> bool:
        """Takes away all that comes after a message of the store; false if it is not known here."""
        async with self._lock:
            entry = self._entries.find(message)
            if entry is None:
                return False
            self._entries.cut(entry.index + 1)
            await self.remove_children([row for row in self._rows if row.entry.index > entry.index])
            if not self._rows or not self._ends:
                await self._show_end()
            return True

    async def clear(self) -> None:
        """Forgets everything."""
        async with self._lock:
            self._horizon = None
            self._entries.restart(())
            await self.remove_children()

    async def mark_horizon(self, message: int | None, characters: int = 0, window: int = 0) -> None:
        """Draws the line above the first part that is within the window; `message` None takes it away.

        Args:
            message, characters: exact memory begins this far from the end of this message.
            window: tokens of the window, for the line's text.
        """
        async with self._lock:
            self._horizon = None if message is None else (message, characters, window)
            await self._place_horizon()

    async def _place_horizon(self) -> None:
        """Puts the line where it belongs, if that is on the screen."""
        lines = list(self.query_children(HorizonLine))
        line = before = None
        if self._horizon is not None and (found := self._first_exact()) is not None:
            row, left = found
            line, before = HorizonLine(self._horizon[2], left), row
        if line is None:
            await self.remove_children(lines)
            return
        at = len(self.children) if before is None else self.children.index(before)
        if lines and at and self.children[at - 1] is lines[0] and lines[0].says == line.says:
            return
        await self.remove_children(lines)
        await self.mount(line, before=before)

    def _first_exact(self) -> tuple[Message | None, int] | None:
        """The part below the horizon (None: it is in the last one), if the one above is on the screen or there is none.

        And how many of the characters above are remembered to the letter as well.
        """
        assert self._horizon is not None
        message, left, _ = self._horizon
        entry = self._entries.find(message) or self._live
        rows = self._rows
        if entry is None or not rows:
            return None
        number = entry.end
        while number > entry.first and entry.parts.end and len(entry.parts[number - 1]) <= left:
            number -= 1
            left -= len(entry.parts[number])
        row = next((r for r in rows if (r.entry.index, r.number) >= (entry.index, number)), None)
        if row is None:
            inside = (rows[-1].entry, rows[-1].number) == (entry, number - 1)
            return (None, left) if inside else None
        if row is rows[0] and self._before(row) is not None:
            return None  # it belongs further up
        return row, left

    # --- the reader -----------------------------------------------------------------------

    @property
    def following(self) -> bool:
        """Whether the view is at the end and stays there."""
        return not self._anchor_released

    async def jump(self) -> None:
        """Goes to the end, and stays there."""
        async with self._lock:
            if not self._ends:
                await self._show_end()
            self.anchor()
        self._tell(False)

    def action_scroll_end(self) -> None:
        self.run_worker(self.jump(), group="jump", exclusive=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._tell(self._news and not self.following)
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
        self._tell(self._news and not self.following)
        return scrolled

    def _tell(self, below: bool) -> None:
        if below != self._news:
            self._news = below
            self.post_message(self.News(below))

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
        self._tops = tops
        return result

    def _hold(self, tops: dict[Widget, tuple[int, int]]) -> None:
        for widget, (top, bottom) in self._tops.items():
            if bottom > self.scroll_y and widget in tops:
                if moved := tops[widget][0] - top:
                    y = max(0, self.scroll_y + moved)
                    self.set_reactive(Widget.scroll_y, y)
                    self.set_reactive(Widget.scroll_target_y, y)
                    self.vertical_scrollbar.set_reactive(ScrollBar.position, y)
                return

    # --- drawing --------------------------------------------------------------------------

    async def _draw(self) -> None:
        while self._live is not None:
            begun = monotonic()
            await self._take()
            took = monotonic() - begun
            await asyncio.sleep(max(1 / WRITES_PER_SECOND - took, took))

    async def _take(self) -> None:
        """Draws what is in the queue, or as much of it as is drawn at once."""
        pieces, size = [], 0
        while self._queue and size < _BITE:
            piece = self._queue.popleft()
            if len(piece) > _BITE:
                self._queue.appendleft(piece[_BITE:]) if len(piece) < 2 * _BITE else self._shatter(piece[_BITE:])
                piece = piece[:_BITE]
            pieces.append(piece)
            size += len(piece)
        async with self._lock:
            if pieces and self._live is not None:
                await self._feed(self._live, self._cleaner.feed("".join(pieces)))

    def _shatter(self, piece: str) -> None:
        self._queue.extendleft([piece[at : at + _BITE] for at in range(0, len(piece), _BITE)][::-1])

    async def _feed(self, live: Entry, text: str) -> None:
        if not text:
            return
        attached, before = self._ends, live.end
        closed = live.parts.feed(text)
        if not self.following:
            self._tell(True)
        if self.following and (closed > _AT_ONCE or not attached):
            if not self._queue or monotonic() - self._shown > 0.5:
                await self._show_end()
            return
        if not attached:
            return
        with self.app.batch_update():
            await self._refresh(self._rows[-1])
            for number in range(before, live.end):
                if not self.following and self._full:
                    return  # it is mounted when one gets there
                await self._mount(live, number)
        await self._trim()

    async def _refresh(self, row: Message) -> None:
        if isinstance(row, ReplyMessage) and row.number >= row.entry.first and row.entry.parts.end:
            await row.grow(row.entry.parts[row.number])

    # --- the row of parts -----------------------------------------------------------------

    @property
    def _rows(self) -> list[Message]:
        return [cast(Message, child) for child in self.children if not isinstance(child, HorizonLine)]

    @property
    def _ends(self) -> bool:
        """Whether the last part is mounted."""
        rows = self._rows
        return not self._entries.last if not rows else self._after(rows[-1]) is None

    @property
    def _full(self) -> bool:
        rows = self._rows
        return (
            len(rows) >= MAX_PARTS
            or len({row.entry.index for row in rows}) >= MAX_MESSAGES
            or sum(row.lines for row in rows) >= MAX_LINES
        )

    def _before(self, row: Message) -> tuple[Entry, int] | None:
        if row.number > row.entry.first:
            return row.entry, row.number - 1
        entry = self._entries.before(row.entry)
        return None if entry is None else (entry, entry.end - 1)

    def _after(self, row: Message) -> tuple[Entry, int] | None:
        if row.number + 1 < row.entry.end:
            return row.entry, max(row.number + 1, row.entry.first)
        entry = self._entries.after(row.entry)
        return None if entry is None else (entry, entry.first)

    def _make(self, entry: Entry, number: int) -> Message:
        row = entry.widget(number)
        row.set_class(number == entry.first, "-first")
        row.set_class(number == entry.end - 1, "-last")
        return row

    async def _mount(self, entry: Entry, number: int, first: bool = False) -> None:
        row = self._make(entry, number)
        if not first and self.children and (last := self._rows[-1]).entry is entry:
            last.remove_class("-last")
        await self.mount(row, before=0 if first and self.children else None)
        await self._refresh(row)

    async def _add(self, entry: Entry) -> None:
        attached = self._ends
        self._entries.append(entry, keep=rows[0].entry.index if self.following and (rows := self._rows) else 0)
        if not self.following:
            self._tell(True)
        if not attached:
            return
        if entry.end - entry.first > _AT_ONCE:
            await self._show_end()
            return
        for number in range(entry.first, entry.end):
            await self._mount(entry, number)
        await self._trim()

    async def _remove(self, entry: Entry) -> None:
        await self.remove_children([row for row in self._rows if row.entry is entry])
        self._entries.remove(entry)
        if not self.children:
            await self._show_end()

    async def _show_end(self) -> None:
        """Mounts the last parts, about two screens of them, in place of what is there."""
        rows: list[Message] = []
        lines, wanted = 0, 2 * max(self.size.height, 10)
        last = self._entries.last
        at = (last, last.end - 1) if last else None
        while at is not None and lines < wanted and len(rows) < MAX_MESSAGES:
            rows.insert(0, self._make(*at))
            lines += 1 + len(at[0].parts[at[1]]) // 80 if at[0].parts.end else 1
            at = self._before(rows[0])
        with self.app.batch_update():
            await self.remove_children()
            await self.mount_all(rows)
            if rows:
                await self._refresh(rows[-1])
            await self._place_horizon()
        self._shown = monotonic()
        self.anchor()
        self._look()

    async def _trim(self) -> None:
        """Takes away what is too many, from the end that is further from the view, and never what is near it."""
        rows, y, near = self._rows, self.scroll_y, 1.5 * self.size.height
        messages, lines = [row.entry.index for row in rows], [row.lines for row in rows]
        low, high = 0, len(rows)
        while high - low > MAX_PARTS or len(set(messages[low:high])) > MAX_MESSAGES or sum(lines[low:high]) > MAX_LINES:
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
            await self._place_horizon()
            return
        await self.remove_children(surplus)
        kept = {row.entry for row in self._rows}
        for entry in {row.entry for row in surplus} - kept:
            entry.forget()
        await self._place_horizon()

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
