"""A mark that goes through the messages of the transcript, and the blocks of code in them, by keys.

Knows where the mark may stand (`stops`) and how what is marked is brought into view, be it mounted or not. What is done
with it is the app's business: the keys for that are actions of the app's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from rgmlx.store import USER

from . import stops
from .markdown import Fence, Unfold
from .reply import NOTICE, Entry, MessageWidget, ReplyMessage, lines
from .scroll import MessageScroll
from .stops import Stop

_SOON = 6  # parts that are mounted one by one on the way to a stop; where more are between, they come in place of what is there
_SHOWN = 3  # lines of a message that have to be in view
_MARGIN = 1
_FAR = 1_000_000  # lines


class MarkedScroll(MessageScroll):
    """A transcript that may have the keys: then one of its stops is marked.

    Attributes:
        mark: what is marked; None while the prompt has the keys.
        finding: whether there are keys for places that were found; `found`: which of how many is marked.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "mark('before')", "up", show=False),
        Binding("down,j", "mark('after')", "down", show=False),
        Binding("home,g", "mark('first')", "first", show=False),
        Binding("end,G,ctrl+e", "mark('last')", "last", show=False),
        Binding("c", "app.marked('copy')", "copy", show=False),
        Binding("e", "app.marked('edit')", "edit", show=False),
        Binding("r", "app.marked('again')", "another reply", show=False),
        Binding("b", "app.marked('branch')", "go back here", show=False),
        Binding("space", "app.marked('fold')", "fold or open", show=False),
        Binding("o", "app.marked('open')", "open in the editor", show=False),
        Binding("n", "app.marked('next_hit')", "the next place that was found", show=False),
        Binding("N", "app.marked('previous_hit')", "the one before", show=False),
        Binding("escape", "app.marked('leave')", "to the prompt", show=False),
    ]

    class Marked(Message):
        """Something else is marked now, or nothing."""

    class Left(Message):
        """The mark has gone on past the end, where the prompt is."""

    mark: Stop | None = None
    finding = False
    found = ""

    def takes(self, key: str) -> bool:
        """Whether a key is one of the mark's, and not of a text."""
        known = self._bindings.key_to_bindings.get(key, [])
        return self.mark is not None and bool(known) and (self.finding or "_hit" not in known[0].action)

    @property
    def mark_label(self) -> str:
        """What is marked, in words."""
        if self.mark is None:
            return ""
        entry, block = self.mark.entry, self.mark.block
        who = "Your message" if entry.role == USER else "Reply"
        of = len(stops.places(entry)) if block is not None else 0
        which = f", code {block + 1} of {of}" if block is not None else ""
        found = f"{self.found}: " if self.finding else ""
        return f"▸ {found}{who}{entry.which}{which}"

    @property
    def mark_folds(self) -> str:
        """What the key for folds does with what is marked; "" for nothing."""
        mark = self.mark
        if mark is None or mark.entry.live:
            return ""
        if mark.block is None:
            return "" if not mark.entry.foldable else "unfold" if mark.entry.is_folded else "fold"
        fold = next((one.fold for one in self._parts_of(mark) if isinstance(one, Fence)), None)
        return "" if fold is None else "unfold" if fold.lines else "fold"

    # --- where it stands ------------------------------------------------------------------

    async def action_mark(self, where: str) -> None:
        """Marks the stop before or after, or the first or last message; reads on by pages where the next is further away."""
        if where in ("first", "last"):
            await self.mark_end(first=where == "first")
        else:
            await self._step(-1 if where == "before" else 1)

    def begin_marking(self) -> bool:
        """Marks the last message in view; false where there is none."""
        if self.mark is not None and self._entries.knows(self.mark.entry) and self._in_view(self.mark):
            return True
        rows = [row for row in self._rows if row.entry.role != NOTICE]
        seen = [row for row in rows if self._seen(row)]
        if not rows:
            return False
        self._put((seen or rows)[-1].entry)
        return True

    def end_marking(self) -> None:
        """Marks nothing."""
        if self.mark is not None:
            self.mark = None
            self._show_mark()
            self.post_message(self.Marked())

    async def mark_end(self, *, first: bool) -> None:
        """Marks the first message of all, or the last."""
        if first:
            entry = await self._entries.reach(None)
        else:
            await self.jump()
            entry = self._entries.last
        while entry is not None and entry.role == NOTICE:
            entry = self._entries.after(entry) if first else self._entries.before(entry)
        if entry is not None and first:
            await self.show(Stop(entry))
        elif entry is not None:
            self._put(entry)  # of a long one the end is in view

    async def jump(self) -> None:
        """Goes to the end, and stays there."""
        raise NotImplementedError

    async def show(self, stop: Stop, *, at: int | None = None) -> None:
        """Marks a stop, and brings it into view, wherever it is.

        Args:
            at: the line of the view that it is to begin at; None moves the view as little as can be.
        """
        place = stops.begins(stop)
        if place is None:
            stop, place = Stop(stop.entry), (stop.entry.first, -1)
        await self._bring(stop.entry, place[0])
        self._put(stop.entry, stop.block)
        y = self._top(stop)
        if y is None:
            return
        if at is not None:
            self.scroll_to(y=max(0, y - at))
            return
        height = self._height(stop)
        if y < self.scroll_y:
            self.scroll_to(y=max(0, y - (_MARGIN if stop.block is not None else 0)))
        elif y + min(height, self.size.height) > self.scroll_y + self.size.height:
            self.scroll_to(y=y + min(height, self.size.height) - self.size.height)

    async def _step(self, step: int) -> None:
        mark = self.mark
        if mark is None or not self._entries.knows(mark.entry) or not self._in_view(mark):
            if (seen := self._stop_in_view(last=step < 0)) is not None:
                self._put(seen.entry, seen.block)
            else:
                self.begin_marking()
            return
        found = (stops.after if step > 0 else stops.before)(self._entries, mark)
        if found is None:
            if step > 0 and self.following:
                self.post_message(self.Left())
            else:
                self._read(step)
            return
        place = stops.begins(found)
        assert place is not None
        await self._bring(found.entry, place[0])
        y = self._top(found)
        if y is not None and step > 0 and y > self.scroll_y + self.size.height - _SHOWN:
            if not self._is_near(y, step):
                self._read(step)
                return
        elif y is not None and step < 0 and y < self.scroll_y and not self._is_near(y, step):
            self._read(step)
            return
        await self.show(found)

    def _is_near(self, y: int, step: int) -> bool:
        """Whether the view need not pass over lines that were not seen to have a stop in it."""
        if step < 0:
            return y >= self.scroll_y - (self.size.height - 2)
        return y <= self.scroll_y + self.size.height

    def _read(self, step: int) -> None:
        self.scroll_to(y=max(0, self.scroll_y + step * max(1, self.size.height - 2)))

    def _put(self, entry: Entry, block: int | None = None) -> None:
        stop = Stop(entry, block)
        if stop != self.mark:
            self.mark = stop
            self._show_mark()
            self.post_message(self.Marked())

    # --- what is in view ------------------------------------------------------------------

    def _seen(self, row: Widget) -> bool:
        top = self._line(row)
        return top is not None and top < self.scroll_y + self.size.height and top + row.size.height > self.scroll_y

    def _line(self, widget: Widget) -> int | None:
        """The line of the transcript that something mounted begins at, by the last layout."""
        row = self._row_of(widget)
        if row is None or row not in self._tops:
            return None
        # What is in a row is where it was drawn, which may have been before the view moved, as the row itself was.
        return self._tops[row][0] + (widget.region.y - row.region.y if widget is not row else 0)

    def _parts_of(self, stop: Stop) -> list[Widget]:
        """What is mounted of a stop."""
        rows = [row for row in self._rows if row.entry is stop.entry]
        if stop.block is None:
            return list(rows)
        at = dict(stops.pieces(stop))
        found: list[Widget] = []
        for row in rows:
            blocks = list(row.query(Fence)) if row.number in at else []
            found += blocks[at[row.number] :][:1] if blocks else []
        return found

    def _top(self, stop: Stop) -> int | None:
        """The line that a stop begins at; None where that is not mounted."""
        place, there = stops.begins(stop), self._parts_of(stop)
        if place is None or not there:
            return None
        row = there[0] if isinstance(there[0], MessageWidget) else self._row_of(there[0])
        return self._line(there[0]) if row is not None and row.number == place[0] else None

    def _height(self, stop: Stop) -> int:
        return sum(part.outer_size.height for part in self._parts_of(stop))

    def _in_view(self, stop: Stop) -> bool:
        return any(self._seen(part) for part in self._parts_of(stop))

    def _stop_in_view(self, *, last: bool) -> Stop | None:
        """The first or last stop that begins in view."""
        found = []
        for row in self._rows:
            if row.entry.role == NOTICE or not self._seen(row):
                continue
            here = [Stop(row.entry)] if row.number == row.entry.first else []
            blocks = enumerate(stops.places(row.entry))
            here += [Stop(row.entry, number) for number, (part, _) in blocks if part == row.number]
            low, high = self.scroll_y, self.scroll_y + self.size.height
            found += [stop for stop in here if (y := self._top(stop)) is not None and low <= y < high]
        return found[-1 if last else 0] if found else None

    def _row_of(self, widget: Widget) -> MessageWidget | None:
        return next((one for one in widget.ancestors_with_self if isinstance(one, MessageWidget)), None)

    # --- how it looks ---------------------------------------------------------------------

    def _show_mark(self) -> None:
        there = set(self._parts_of(self.mark)) if self.mark is not None else set[Widget]()
        for widget in self._markable():
            if widget.has_class("-marked") != (widget in there):
                widget.set_class(widget in there, "-marked")

    def _markable(self) -> Iterable[Widget]:
        for row in self._rows:
            yield row
            if isinstance(row, ReplyMessage):
                yield from row.query(Fence)

    async def _rearranged(self) -> None:
        await super()._rearranged()
        if self.mark is not None:
            if not self._entries.knows(self.mark.entry):
                self._lost()
            self._show_mark()

    def _lost(self) -> None:
        """What was marked is no longer known here, as after a change of place: the mark is at its message, if that is there."""
        stored = self.mark.entry.stored if self.mark is not None else None
        entry = self._entries.find(stored.id) if stored is not None else None
        self.mark = None
        if entry is not None:
            self._put(entry)
        else:
            self.post_message(self.Marked())

    # --- bringing it into view ------------------------------------------------------------

    async def _bring(self, entry: Entry, number: int) -> None:
        """Has a part of a message mounted and laid out, with what is around it."""
        wanted = entry.index, number
        async with self._lock:
            for _ in range(_SOON):
                rows = self._rows
                places = [(row.entry.index, row.number) for row in rows]
                if not rows or wanted in places:
                    break
                above = wanted < places[0]
                at = self._before(rows[0]) if above else self._after(rows[-1])
                if at is None:
                    break
                await self._mount(*at, above)
            if wanted not in [(row.entry.index, row.number) for row in self._rows]:
                await self._show_at(entry, number)
            await self._rearranged()
        await self._laid_out()
        self._settle()

    def _settle(self) -> None:
        """A short conversation is at the foot of the view, which a longer one in its place has to fill from the top on."""
        if self._ends and self.content_height <= self.size.height:
            self.anchor()
        elif self.scroll_y < 0:
            self.scroll_to(y=0)

    async def _show_at(self, entry: Entry, number: int, line: int = 0) -> None:
        """Mounts a part, which is to begin at this line of the view, and what is around it, in place of what is there."""
        self.release_anchor()
        row = self._make(entry, number)
        rows, height = [row], 0
        while height < 2 * max(self.size.height, 10) and (at := self._after(rows[-1])) is not None:
            height += _lines_of(rows[-1])
            rows.append(self._make(*at))
        height = 0
        while height < max(self.size.height, 10) and (at := self._before(rows[0])) is not None:
            rows.insert(0, self._make(*at))
            height += _lines_of(rows[0])
        with self.app.batch_update():
            await self.remove_children()
            await self.mount_all(rows)
            for one in rows:
                await self._refresh(one)
            await self._rearranged()
            # The layout that comes holds what was in view: this is what was. And it is not at the end of what it was.
            y = round(self.scroll_y) + line
            self._tops, self.content_height = {row: (y, y + _FAR)}, _FAR

    # --- folding --------------------------------------------------------------------------

    @on(Unfold)
    async def _unfold(self, event: Unfold) -> None:
        event.stop()
        row = self._row_of(event.widget)
        if row is None:
            return
        if isinstance(event.widget, Fence):
            if event.widget.fold is not None:
                at = row.number, list(row.query(Fence)).index(event.widget)
                there = stops.places(row.entry)
                stop = Stop(row.entry, there.index(at)) if at in there else Stop(row.entry)
                await self._toggle(stop, event.widget.fold.number)
        else:
            await self._toggle(Stop(row.entry))

    async def fold_marked(self) -> bool:
        """Folds what is marked, or opens it; false where there is nothing to fold."""
        mark = self.mark
        if mark is None or mark.entry.live:
            return False
        if mark.block is None:
            return mark.entry.foldable and await self._toggle(mark)
        found = next((one for one in self._parts_of(mark) if isinstance(one, Fence)), None)
        return found is not None and found.fold is not None and await self._toggle(mark, found.fold.number)

    async def _toggle(self, stop: Stop, code: int | None = None) -> bool:
        """Has a message cut anew; what was folded or opened stays where it begins."""
        entry, place = stop.entry, stops.begins(stop)
        number = place[0] if place is not None else entry.first
        row = next((one for one in self._rows if one.entry is entry and one.number == number), None)
        top = self._line(row) if row is not None else None
        if not entry.toggle(code):
            return False
        if self.mark is not None and self.mark.entry is entry and stops.begins(self.mark) is None:
            self._put(entry)
        async with self._lock:
            line = top - round(self.scroll_y) if top is not None else 0
            await self._show_at(entry, min(number, entry.end - 1), line)
        await self._laid_out()
        self._settle()
        if (y := self._top(stop)) is not None and y < self.scroll_y:
            self.scroll_to(y=y)
        self._show_mark()
        self.post_message(self.Marked())
        return True


def _lines_of(row: MessageWidget) -> int:
    """About how many lines a part takes that is not drawn yet."""
    return lines(row.entry.parts[row.number]) if row.entry.parts.end else 1
