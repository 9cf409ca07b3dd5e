"""The messages on the screen, each a row of parts that are drawn alone: what the user and the model wrote, notices.

Knows how one part looks and how an open one grows. Which of them are on the screen is the transcript's business.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from rgmlx.store import MODEL, USER
from rgmlx.store import Message as Stored
from rgmlx.system.printable import printable

from .folding import fold_code, fold_text, hidden, open_fence
from .markdown import Foldable, SafeMarkdown
from .parts import LIVE_CHARS, Parts

NOTICE = "notice"
if TYPE_CHECKING:
    _Base = Widget
else:
    _Base = object  # styles go by the first widget among a class's bases


class Entry:
    """One message: its text in parts, which are cut when they are first asked for, or as the text is written.

    Attributes:
        index: the message's place in the transcript.
        live: whether it is still being written.
        stored: the message in the store, without its text; None for a notice, and for a reply that is being written.
        opened: its long blocks of code that are shown whole.
        fold: whether only its beginning is shown, where it is long; None: as it is with whoever wrote it.
        more: so many lines of it are not shown then.
        key: what `said` knows it by.
    """

    key: int | None = None

    def __init__(
        self,
        role: str,
        text: str | None,
        index: int,
        stored: Stored | None = None,
        load: Callable[[int], str] | None = None,
        model: str = "Assistant",
    ) -> None:
        """`text`: None for one that is being written. `load` brings back the text of a stored one; `model` is the model's
        name."""
        self.model = model
        self.role, self.index, self.live, self.stored = role, index, text is None, _without_text(stored)
        self.opened: set[int] = set()
        self.fold: bool | None = None
        self.more = 0
        self._long: frozenset[int] = frozenset()  # its blocks of code that can be folded
        self._cut_off = 0  # characters that are not shown
        self._text, self._load = (None if load else text), load
        self._parts = Parts(keep=LIVE_CHARS) if text is None else None

    @property
    def parts(self) -> Parts:
        if self._parts is None:
            if self._text is None and self.stored is not None and self._load is not None:
                self._text = self._load(self.stored.id)
            self._parts = Parts(self._folded(printable(self._text or "")), markdown=self.role not in (USER, NOTICE))
            if self._load is not None:
                self._text = None  # it is in the parts, and in the store
        return self._parts

    def _folded(self, text: str) -> str:
        """What of the text is shown."""
        self.more, self._cut_off, self._long = 0, 0, frozenset()
        if self.role == NOTICE:
            return text
        if self.fold if self.fold is not None else self.role == USER:
            start, self.more = fold_text(text)
            if self.more:
                self._cut_off = len(text) - len(start)
                return start if self.role == USER else f"{start}\n{open_fence(start)}"
        if self.role == MODEL:
            text, self._long = fold_code(text, self.opened)
        return text

    def toggle(self, code: int | None = None) -> bool:
        """Folds what is open and opens what is folded: a block of code, by its number among the long ones; else of a reply all
        of them, or the message. Returns whether anything has changed, which the parts show when they are asked for next."""
        if self.stored is None or self.role == NOTICE or not self.parts.end:
            return False
        if code is not None:
            self.opened ^= {code}
        elif self.role == MODEL and self._long and not self.more:
            self.opened = set(self._long) if self.is_folded else set()
        elif self.more:
            self.fold = False
        else:
            self.fold = True
            self._parts = None
            return bool(self.parts.end and self.more)
        self._parts = None
        return True

    def open(self) -> bool:
        """Opens all that is folded; whether anything was."""
        was = self.is_folded
        if was:
            self.fold = False
            self._parts = None
            self.opened = set(self._long) if self.parts.end and self._long else set()
            self._parts = None
        return was

    @property
    def foldable(self) -> bool:
        """Whether it has something that `toggle` folds or opens."""
        return not self.live and bool(self.more or self._long or self._is_long)

    @property
    def is_folded(self) -> bool:
        """Whether `toggle` opens it."""
        return bool(self.more or self._long - self.opened)

    @property
    def _is_long(self) -> bool:
        return self.parts.end - self.first > 1 or sum(map(lines, self.parts)) > 30

    def recut(self) -> bool:
        """After it was written: has what is long of it folded; whether anything is."""
        if self._load is None or self.stored is None or not any(map(_may_be_long, self.parts)):
            return False
        before, self._parts = self._parts, None
        if self.parts.end and self._long:
            return True
        self._parts = before  # of which the rows are
        return False

    def length(self, number: int) -> int:
        """The characters of a part, with those that it does not show."""
        return len(self.parts[number]) + hidden(self.parts[number]) + self._cut_off * (number == self.end - 1)

    @property
    def title(self) -> str:
        """Who says it, which of several answers it is, and whether that is what was written."""
        name = "You" if self.role == USER else self.model
        damaged = self.stored is not None and self.stored.damaged
        return f"{name}{self.which}{' · damaged on the disk' if damaged else ''}"

    @property
    def which(self) -> str:
        """Which of several answers it is, behind its name; or ""."""
        stored = self.stored
        return f" ‹{stored.number}/{stored.siblings}›" if stored is not None and stored.siblings > 1 else ""

    def settle(self, stored: Stored, load: Callable[[int], str]) -> None:
        """It has been written, and is in the store."""
        self.stored, self._load, self.live = _without_text(stored), load, False

    @property
    def first(self) -> int:
        return self.parts.first

    @property
    def end(self) -> int:
        """One more than the last part's number. A message has one, if an empty one, before its first word."""
        return max(self.parts.end, self.first + 1)

    def forget(self) -> None:
        """Lets go of the parts, which can be cut again from the text."""
        if self._text is not None or (self._load is not None and self.stored is not None and not self.live):
            self._parts = None

    def widget(self, number: int) -> MessageWidget:
        """A widget for one part."""
        text = self.parts[number] if self.parts.end else ""
        if self.role == NOTICE:
            return Notice(text, self, number)
        widget = UserMessage(text, self, number) if self.role == USER else ReplyMessage(text, self, number)
        widget.border_title = Content(self.title)
        widget.show_more(self.more if number == self.end - 1 else 0)
        return widget


def _without_text(message: Stored | None) -> Stored | None:
    """Thousands of entries may be known at a time."""
    return None if message is None else dataclasses.replace(message, text="")


def lines(text: str) -> int:
    """About how many lines a text takes: some break, some are long."""
    return 1 + text.count("\n") + len(text) // 80


def _may_be_long(part: str) -> bool:
    return part.count("\n") > 20 and ("```" in part or "~~~" in part)


class _Named(_Base):
    """Has its name at the very left of the row above, which Textual leaves free where a frame has its corner."""

    def render_lines(self, crop: Region) -> list[Strip]:
        lines = super().render_lines(crop)
        if lines and crop.y == 0 and crop.x == 0 and self.styles.border_top[0]:
            name = lines[0]
            lines[0] = Strip.join([name.crop(1, name.cell_length), name.crop(0, 1)])
        return lines


class _Plain(_Named, Foldable, Static):
    """A part that is shown as it was written."""

    def __init__(self, text: str, entry: Entry, number: int) -> None:
        self.entry, self.number, self.source = entry, number, text
        super().__init__(Content(text.removesuffix("\n")), markup=False)

    @property
    def weight(self) -> int:
        """What it costs to have it mounted, in about as many lines."""
        return lines(self.source)


class UserMessage(_Plain):
    """What the user wrote, as it was written."""


class Notice(_Plain):
    """A sentence of the app itself."""


class ReplyMessage(_Named, Foldable, SafeMarkdown):
    """A part of what the model wrote, as Markdown. It only ever grows, and is left alone once the next one begins."""

    def __init__(self, text: str, entry: Entry, number: int) -> None:
        self.entry, self.number = entry, number
        # What still grows is written by `grow`: an append after an update does not continue an open fence.
        super().__init__(None if entry.live and number == entry.end - 1 else text)

    @property
    def weight(self) -> int:
        """What it costs to have it mounted, in about as many lines: an item of a list takes three widgets, a cell one."""
        return max(lines(self.source), sum(1 for _ in self.walk_children()))

    async def grow(self, text: str) -> None:
        """Shows the part as it is now; it begins with what it was."""
        if new := text[len(self.source) :]:
            await self.append(new)


MessageWidget = UserMessage | Notice | ReplyMessage


class HorizonLine(Static):
    """Between what the model remembers to the letter and what it remembers in gist only."""

    def __init__(self, window: int, above: int) -> None:
        """`above`: so many of the last characters above the line are remembered to the letter as well."""
        words = above // 6
        self.says = (
            f"memory horizon: what is above is remembered in gist, except for the last {words:,} words or so"
            if words
            else f"memory horizon: what is above is remembered in gist, the last {window:,} tokens word by word"
        )
        super().__init__(Content(self.says), markup=False)
