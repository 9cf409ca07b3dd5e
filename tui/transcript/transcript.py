"""The transcript: what was said so far, what is being written, and how far exact memory reaches back.

Knows how messages get into the conversation on the screen. Text that is being written is taken in from a worker thread
and drawn a few times a second; while one reads further up, below. Which parts are mounted is `scroll`'s business.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from textual.content import Content
from textual.message import Message

from rgmlx.store import MODEL
from rgmlx.store import Message as Stored
from rgmlx.system.printable import Cleaner

from .hits import FoundScroll
from .message_window import MessageWindow
from .reply import NOTICE, Entry, HorizonLine, MessageWidget
from .said import Said

WRITES_PER_SECOND = 15  # more costs twice the processor time and can't be read
_BITE = 32_768  # characters taken in at once: keys are answered between two bites
_AT_ONCE = 6  # new parts that are drawn one after the other; what is faster is not read


class Transcript(FoundScroll):
    """What was said so far."""

    FOCUS_ON_CLICK = False  # the prompt keeps the keys

    class News(Message):
        """Whether there is text further down that was not seen."""

        def __init__(self, below: bool) -> None:
            super().__init__()
            self.below = below

    said: Said | None = None
    """Notes what is said, where that is kept in the terminal."""

    def __init__(self, window: MessageWindow | None = None) -> None:
        """`window`: where messages that are not on the screen come from."""
        super().__init__(window or MessageWindow(), id="transcript")
        self._horizon: tuple[int, int, int] | None = None  # message, its exact characters, the window
        self._live: Entry | None = None
        self._listening = False  # to a reply; what another one says is not for here
        self._queue: deque[tuple[str, int | None]] = deque()  # what the worker thread wrote, and where it ends
        self._skip = 0  # so much of the running reply was there before it was listened to
        self._cleaner = Cleaner()
        self._news = False

    def name_model(self, name: str) -> None:
        """Calls the model so from now on, also in what is there."""
        if name == self._entries.model:
            return
        self._entries.model = name
        for entry in reversed(self._entries):
            entry.model = name
        for row in self._rows:
            row.border_title = Content(row.entry.title) if row.entry.role != NOTICE else None

    # --- what is written ------------------------------------------------------------------

    def write(self, piece: str, end: int | None = None) -> None:
        """Adds to the running reply, from any thread; returns at once.

        Args:
            end: characters of the reply up to the end of this piece, for one that may be shown from the middle on.
        """
        if self._listening:
            self._queue.append((piece, end))

    async def load(self, messages: Iterable[Stored]) -> None:
        """Shows the end of a conversation in place of what is there; earlier messages come on scrolling."""
        async with self._lock:
            self._let_go()
            self._horizon = None
            self._entries.restart(messages)
            if self.said is not None:
                self.said.opened(list(self._entries), self.app.size.height)
            await self._show_end()
        self._tell(False)

    async def add(self, message: Stored) -> None:
        """Adds a whole message."""
        await self._add_prepared(self._entries.entry(message))

    async def notice(self, text: str, *, passing: bool = False) -> None:
        """Adds a sentence of the app itself; `passing`: it is of no use later."""
        await self._add_prepared(Entry(NOTICE, text, self._entries.end), is_said=not passing)

    async def _add_prepared(self, entry: Entry, is_said: bool = True) -> None:
        await asyncio.to_thread(lambda: entry.parts)  # of ten megabytes, say
        async with self._lock:
            entry.index = self._entries.end
            if is_said:
                self._note(entry)
            await self._add(entry)

    def heard(self, message: Stored) -> None:
        """A message has come that is not shown."""
        self._note(self._entries.entry(message))

    async def begin_reply(self, continued: Stored | None = None) -> None:
        """From now on what is written is drawn, after a reply that it goes on with."""
        self._listen()
        if continued is not None and self.said is not None:
            self.said.going_on(continued.id)
        await self._begin(continued.text if continued is not None else "", 0)

    async def resume_reply(self, read: Callable[[], tuple[str, int] | None]) -> bool:
        """Draws a reply that has begun, and from now on what is written.

        Args:
            read: its text so far, and how many of the characters given to `write` are in it; None if it has ended.

        Returns:
            False if it has ended.
        """
        self._listen()  # first: what is delivered while it is read is in both, and left out of one by its number
        found = await asyncio.to_thread(read)
        if found is None:
            self._listening = False
            return False
        await self._begin(*found)
        return True

    def _listen(self) -> None:
        self._cleaner = Cleaner()
        self._queue.clear()
        self._listening = True

    async def _begin(self, text: str, skip: int) -> None:
        self._skip = skip
        async with self._lock:
            self._live = Entry(MODEL, None, self._entries.end, model=self._entries.model)
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
            self._live, live.live, self._listening = None, False, False
            if not live.parts.end:
                await self._remove(live)
            elif message is not None:
                self._entries.settle(live, message)
                for row in self._rows:
                    if row.entry is live:
                        row.border_title = Content(live.title)
                if self.following and live.recut():  # not under the eyes of somebody who reads further up
                    await self._show_end()
            self._note(live)
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
            if self._live is not None and self._live.index > entry.index:
                self._let_go()
            self._entries.cut(entry.index + 1)
            await self.remove_children([row for row in self._rows if row.entry.index > entry.index])
            if not self._rows or not self._ends:
                await self._show_end()
            await self._rearranged()
            return True

    async def clear(self) -> None:
        """Forgets everything."""
        async with self._lock:
            self._let_go()
            self._horizon = None
            self._entries.restart(())
            await self.remove_children()
            await self._rearranged()

    def _let_go(self) -> None:
        """The running reply, if there is one, is not drawn here any longer; it goes on in the store."""
        self._live, self._listening = None, False
        self._queue.clear()

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

    def _note(self, entry: Entry) -> None:
        if self.said is not None:
            self.said.note(entry)

    async def _remove(self, entry: Entry) -> None:
        await self.remove_children([row for row in self._rows if row.entry is entry])
        self._entries.remove(entry)
        if not self.children:
            await self._show_end()

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
            piece, end = self._queue.popleft()
            if end is not None:
                piece = piece[max(0, self._skip - (end - len(piece))) :]
            if len(piece) > _BITE:
                self._shatter(piece[_BITE:])
                piece = piece[:_BITE]
            pieces.append(piece)
            size += len(piece)
        async with self._lock:
            if pieces and self._live is not None:
                await self._feed(self._live, self._cleaner.feed("".join(pieces)))

    def _shatter(self, piece: str) -> None:
        self._queue.extendleft([(piece[at : at + _BITE], None) for at in range(0, len(piece), _BITE)][::-1])

    async def _feed(self, live: Entry, text: str) -> None:
        if not text:
            return
        attached, before = self._ends, live.end
        if closed := live.parts.feed(text):
            self._note(live)
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
                await self._trim()  # before the next one: the memory for all at once would stay the process's
                await self._mount(live, number)
        await self._trim()

    # --- the memory horizon ---------------------------------------------------------------

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

    def _first_exact(self) -> tuple[MessageWidget | None, int] | None:
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
        while number > entry.first and entry.parts.end and entry.length(number - 1) <= left:
            number -= 1
            left -= entry.length(number)
        row = next((r for r in rows if (r.entry.index, r.number) >= (entry.index, number)), None)
        if row is None:
            inside = (rows[-1].entry, rows[-1].number) == (entry, number - 1)
            return (None, left) if inside else None
        if row is rows[0] and self._before(row) is not None:
            return None  # it belongs further up
        return row, left

    async def _rearranged(self) -> None:
        await super()._rearranged()
        await self._place_horizon()

    def on_focus(self) -> None:
        self.begin_marking()

    def on_blur(self) -> None:
        if self.app.app_focus:  # another widget has the keys now, not another window
            self.end_marking()

    # --- the reader -----------------------------------------------------------------------

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

    def _scroll_to(self, *arguments: Any, **settings: Any) -> bool:
        scrolled = super()._scroll_to(*arguments, **settings)
        self._tell(self._news and not self.following)
        return scrolled

    def _tell(self, below: bool) -> None:
        if below != self._news:
            self._news = below
            self.post_message(self.News(below))
