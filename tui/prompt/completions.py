"""What could complete the word that is being typed: a command or a path, and the list that offers it.

Knows which word the cursor is in, what begins like it, and what is marked in the list. Nothing here changes a text:
whoever has the text puts in what was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import on, work
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from rgmlx.system.printable import printable

from ..commands import ALIASES, COMMANDS
from .files import Matches, begun, complete

MAX_ROWS = 8
"""Rows that are seen at once; a line below says how many others there are."""
_FILE = {command.name for command in COMMANDS if command.argument == "FILE"}
_MAX_TYPED = 4_096  # characters before the cursor in which a path begins: no system has longer ones


@dataclass(frozen=True)
class Word:
    """The word that is being typed: a command of the line, or a path, in a text or as all that follows a command."""

    sign: str  # "/", "@" or "="
    row: int
    start: int
    end: int
    typed: str


def word_at(line: str, row: int, column: int, alone: bool) -> Word | None:
    """The word that the cursor is at the end of, or, if it is a command, in.

    Args:
        alone: whether this line is the whole text; only then it may be a command.
    """
    if alone and line.startswith("/") and not line.startswith("//"):
        end = len(line.split(maxsplit=1)[0])
        if column > end and column == len(line) and line[1:end].lower() in _FILE:
            start = len(line) - len(line[end:].lstrip())
            return Word("=", 0, start, column, line[start:]) if start > end else None
        return Word("/", 0, 0, end, line[1:column]) if 0 < column <= end else None
    if line[column : column + 1].strip():  # in the middle of a word
        return None
    first = max(0, column - _MAX_TYPED)
    path = begun(line[first:column])
    return Word("@", row, first + path[0], column, path[1]) if path else None


class Completions(OptionList, can_focus=False):
    """What could complete the word being typed; stands above the prompt, and is not there when there is nothing."""

    DEFAULT_CSS = """
    Completions {
        display: none;
        height: auto;
        max-height: 8;
        border: none;
        padding: 0 1;
        background: $panel;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        scrollbar-size-vertical: 1;
        &.-open { display: block; }
        &.-more {
            max-height: 9;
            border-bottom: blank $panel;
            border-subtitle-align: left;
            border-subtitle-color: $text-muted;
            border-subtitle-background: $panel;
        }
        & > .option-list--option-highlighted {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }
    }
    """

    class _Found(Message):
        def __init__(self, word: Word, matches: Matches) -> None:
            super().__init__()
            self.word, self.matches = word, matches

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._choose: Callable[[int], None] | None = None
        self._word: Word | None = None  # that something is wanted for
        self._offered: Word | None = None  # that the rows are for
        self._offers: tuple[str, ...] = ()  # row by row
        self._scanning = False

    @property
    def is_open(self) -> bool:
        """Whether it is on the screen."""
        return self.has_class("-open")

    def look_up(self, word: Word, commands: Sequence[tuple[str, str]], choose: Callable[[int], None]) -> None:
        """Shows what could complete a word: at once, or when the disk has answered.

        Args:
            commands: names (without a slash) and what each does.
            choose: is called with the number of a row that is clicked.
        """
        self._word, self._choose = word, choose
        if word.sign != "/":
            if self._offered is not None and self._offered.sign != word.sign:
                self.close()
            self._scan()
            return
        # An alias is noise in the list of all, and found by who begins to type it.
        listed = [(name, summary) for name, summary in commands if word.typed or name not in ALIASES]
        found = [(name, summary) for name, summary in listed if name.startswith(word.typed.lower())]
        width = max((len(name) for name, _ in found), default=0) + 3
        rows = [
            Content.assemble(f"/{name}".ljust(width), (printable(summary), "$text-muted")) for name, summary in found
        ]
        self._offer(word, tuple(name for name, _ in found), rows)

    def chosen(self, word: Word, number: int | None = None) -> str | None:
        """What a row has for the word, by default the marked one.

        None where there is none, and while the rows are for another word: an answer is on its way.
        """
        number = self.highlighted if number is None else number
        if not self.is_open or self._offered != word or number is None or number >= len(self._offers):
            return None
        return self._offers[number]

    def stop(self) -> None:
        """Leaves the screen; what is still being looked for is no longer wanted."""
        self._word = None
        self.close()

    def close(self) -> None:
        """Leaves the screen."""
        self._offered, self._offers = None, ()
        if self.is_open:
            self.remove_class("-open")
            self.clear_options()

    def _scan(self) -> None:
        """Looks for paths, in one thread at a time: a disk may take as long as it likes."""
        if not self._scanning and self._word is not None:
            self._scanning = True
            self._read_directory(self._word)

    @work(thread=True, group="scan")
    def _read_directory(self, word: Word) -> None:
        self.post_message(self._Found(word, complete(word.typed)))

    @on(_Found)
    def _found(self, event: _Found) -> None:
        self._scanning = False
        if self._word is None or self._word.sign == "/":
            return
        if event.word != self._word:
            self._scan()
            return
        rows = [Content(printable(path[path.rstrip("/").rfind("/") + 1 :])) for path in event.matches.paths]
        self._offer(event.word, event.matches.paths, rows, event.matches.more)

    def _offer(self, word: Word, offers: tuple[str, ...], rows: list[Content], more: bool = False) -> None:
        if not offers:
            self.close()
            return
        self._offered, self._offers = word, offers
        rest = [Option(Content.styled("more: type on", "$text-muted"), disabled=True)] if more else []
        self.set_options([*(Option(row) for row in rows), *rest])
        self.add_class("-open")
        self.set_class(self.option_count > MAX_ROWS, "-more")
        typed = word.typed.lower() if word.sign == "/" else word.typed
        self.highlighted = offers.index(typed) if typed in offers else 0
        self.call_after_refresh(self.scroll_to_highlight)
        self.call_after_refresh(self._count)

    def _count(self) -> None:
        """Says how many rows are above and below those that are seen."""
        above = round(self.scroll_y)
        below = max(0, self.option_count - above - self.size.height)
        parts = [f"{arrow} {count} more" for arrow, count in (("↑", above), ("↓", below)) if count]
        self.border_subtitle = "   ".join(parts)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._count()

    def on_resize(self) -> None:
        self._count()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self._choose is not None:
            self._choose(event.option_index)
