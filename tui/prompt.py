"""The prompt, and the list of what could complete it. Knows keys, and nothing of what becomes of a text that is sent."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from rich.text import Text
from textual import events, on, work
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.document._document import EditResult, Location
from textual.message import Message
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from rgmlx.text import printable

from .clipboard import Pasted, copy
from .files import Matches, begun, complete, dropped, mention
from .history import History, Walk

# Controls, and what would reorder or break a line on the screen. Their width is zero, and so is that of what stands in.
_HARM = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")


class _AltEnter:
    value = "alt+enter"


# What terminals without the Kitty protocol send for Alt+Enter. Textual takes it for Enter: a message sent too early.
cast(dict[str, Any], ANSI_SEQUENCES_KEYS).setdefault("\x1b\r", (_AltEnter,))


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
        & > .option-list--option-highlighted {
            color: $block-cursor-foreground;
            background: $block-cursor-background;
            text-style: $block-cursor-text-style;
        }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._choose: Callable[[int], None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is on the screen."""
        return self.has_class("-open")

    def open(self, rows: Sequence[Content], highlighted: int, choose: Callable[[int], None], more: bool) -> None:
        """Shows rows.

        Args:
            choose: is called with the number of a row that is clicked.
            more: whether to say that there are others.
        """
        self._choose = choose
        rest = [Option(Content.styled("more: type on", "$text-muted"), disabled=True)] if more else []
        self.set_options([*(Option(row) for row in rows), *rest])
        self.add_class("-open")
        self.highlighted = highlighted
        self.call_after_refresh(self.scroll_to_highlight)

    def close(self) -> None:
        """Leaves the screen."""
        self.remove_class("-open")
        self.clear_options()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self._choose is not None:
            self._choose(event.option_index)


@dataclass(frozen=True)
class _Word:
    """The word that is being typed: a command of the line, or a path."""

    sign: str  # "/" or "@"
    row: int
    start: int
    end: int
    typed: str


class Prompt(TextArea):
    """The input: Enter sends; Ctrl+J, or Alt+Enter and Shift+Enter where the terminal tells, starts a new line.

    Attributes:
        commands: names (without a slash) and what each does, offered where the text begins with a slash.
        sent: what Up and Down go through; None for nothing. (`history` is what TextArea can undo.)
    """

    DEFAULT_CSS = """
    Prompt {
        height: auto;
        min-height: 3;
        max-height: 10;
        border: round $accent;
        &:focus { border: round $accent; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "send"),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "new line", key_display="^j"),
        Binding("ctrl+c", "copy_or_stop", "copy or stop", show=False),
        Binding("end", "end", "end", show=False),
        Binding("pageup", "app.read('up')", "read back", show=False),
        Binding("pagedown", "app.read('down')", "read on", show=False),
    ]

    class Submitted(Message):
        """The user sent a text. The app calls `accept` if it takes it; until then it stays where it is."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class _Copied(Message):
        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    class _Found(Message):
        def __init__(self, word: _Word, matches: Matches) -> None:
            super().__init__()
            self.word, self.matches = word, matches

    def __init__(self, sent: History | None = None, *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, id=id)
        self.commands: Sequence[tuple[str, str]] = ()
        self.sent = sent
        self._walk: Walk | None = None
        self._pasted = Pasted()
        self._word: _Word | None = None  # at the cursor
        self._dismissed: tuple[str, int, int] | None = None  # the word for which the list was closed
        self._offers: tuple[str, ...] = ()  # for `_offered`, row by row
        self._offered: _Word | None = None
        self._scanning = False
        self._list: Completions | None = None

    # --- the text -------------------------------------------------------------------------

    @property
    def whole(self) -> str:
        """The text, with what is kept aside in its place."""
        return self._pasted.restore(self.text)

    def load_text(self, text: str) -> None:
        """Replaces everything; nothing of what was there comes back. The cursor is at the end."""
        self._walk = None
        self._pasted.clear()
        self._show(self._pasted.take(_lines(text)))

    def accept(self, text: str) -> None:
        """Empties the prompt and keeps the text, which was submitted, in the history."""
        if self.sent is not None:
            self.sent.add(text)
        self.load_text("")

    def _show(self, text: str) -> None:
        super().load_text(text)
        self.move_cursor(self.document.end)
        self._suggest()

    def _take(self, text: str) -> None:
        """Puts in what was pasted, in one piece."""
        shown = [self.text, *(self._walk.texts if self._walk else ())]
        if not self._pasted.has_room(len(text), shown):
            self.notify("There is no room for a text of this length: put it into a file.", severity="warning")
        elif result := self._replace_via_keyboard(self._pasted.take(_lines(text)), *self.selection):
            self.move_cursor(result.end_location)
            self.focus()

    def _widen(self, start: Location, end: Location) -> tuple[Location, Location]:
        """The range with the whole of a marker that it cuts."""
        (row, column), (last_row, last_column) = sorted((start, end))
        column, _ = self._pasted.span(self.document.get_line(row), column)
        _, last_column = self._pasted.span(self.document.get_line(last_row), last_column)
        return (row, column), (last_row, last_column)

    def _delete_via_keyboard(self, start: Location, end: Location) -> EditResult | None:
        return super()._delete_via_keyboard(*self._widen(start, end))

    def _replace_via_keyboard(self, insert: str, start: Location, end: Location) -> EditResult | None:
        first, last = self._widen(start, end)
        return super()._replace_via_keyboard(insert, last if start == end else first, last)

    def get_line(self, line_index: int) -> Text:
        """A line as it is drawn: what a terminal would obey has no power there."""
        line = super().get_line(line_index)
        if _HARM.search(line.plain):
            line.plain = _HARM.sub("\u200b", line.plain)
        return line

    # --- keys -----------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        if await self._acted(event.key):
            event.prevent_default()
            event.stop()
            self._restart_blink()
        else:
            await super()._on_key(event)

    async def _acted(self, key: str) -> bool:
        if key == "tab" and self._word is not None:
            self._complete()
            return True
        if key == "escape" and self._is_open:  # with a closed list it is the app's: it stops a reply
            self._dismiss()
            return True
        # Textual leaves bindings to the app, which may be busy: meanwhile the next letter would be put in before Home
        # has moved the cursor.
        for binding in self._bindings.key_to_bindings.get(key, ()):
            if not binding.action.startswith("app.") and await self.app.run_action(binding.action, self):
                return True
        return False

    def action_submit(self) -> None:
        """Sends the text, or completes a word that is not complete."""
        if self._incomplete:
            self._complete()
        elif self.text.strip():
            self._close()
            self.post_message(self.Submitted(self.whole))

    def action_newline(self) -> None:
        if result := self._replace_via_keyboard("\n", *self.selection):
            self.move_cursor(result.end_location)

    async def action_copy_or_stop(self) -> None:
        """Copies a selection, as everywhere; without one it stops the reply, as people expect of Ctrl+C."""
        if self.selected_text:
            self.action_copy()
        else:
            await self.app.run_action("stop")

    def action_copy(self) -> None:
        if self.selected_text:
            self._copy(self._pasted.restore(self.selected_text))

    def action_cut(self) -> None:
        start, end = self._widen(*self.selection)
        if start != end:
            self._copy(self._pasted.restore(self.get_text_range(start, end)))
            self._delete_via_keyboard(start, end)

    def action_paste(self) -> None:
        self._take(self.app.clipboard)

    async def action_end(self) -> None:
        """To the end of the line, and from there to the end of the conversation."""
        if self.cursor_at_end_of_line:
            await self.app.run_action("read('end')")
        else:
            self.action_cursor_line_end()

    def action_cursor_up(self, select: bool = False) -> None:
        """A line up; in the list of completions; from the first line, to an older prompt."""
        if select or not self._moved(-1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """A line down; in the list of completions; from the last line, to a newer prompt."""
        if select or not self._moved(1):
            super().action_cursor_down(select)

    def _moved(self, step: int) -> bool:
        if self._is_open and (completions := self._completions):
            completions.action_cursor_up() if step < 0 else completions.action_cursor_down()
            return True
        at_end = self.navigator.is_first_wrapped_line if step < 0 else self.navigator.is_last_wrapped_line
        if not self.selection.is_empty or not at_end(self.cursor_location) or self.sent is None:
            return False
        if self._walk is None:
            self._walk = Walk(self.sent.entries, self.text)
        text = self._walk.move(step, self.text)
        if text is None:
            return False
        self._show(self._pasted.take(_lines(text)))
        if step < 0:  # where the next Up goes further back
            self.move_cursor((0, len(self.document.get_line(0))))
        self._dismiss()  # or the next Up would go through the list
        return True

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        paths = await asyncio.to_thread(dropped, event.text)
        self._take(event.text if paths is None else paths + " ")

    @work(thread=True, group="copy")
    def _copy(self, text: str) -> None:
        self.post_message(self._Copied(copy(self.app, text)))

    @on(_Copied)
    def _copied(self, event: _Copied) -> None:
        self.notify(event.sentence, markup=False, timeout=3)

    # --- completion -----------------------------------------------------------------------

    @property
    def _completions(self) -> Completions | None:
        if self._list is None and self.is_attached:  # looked for once: there may be many widgets
            self._list = next(iter(self.screen.query(Completions)), None)
        return self._list

    @property
    def _is_open(self) -> bool:
        return (completions := self._completions) is not None and completions.is_open

    def update_suggestion(self) -> None:
        """Looks for completions: Textual calls this after each edit."""
        self._suggest()

    def watch_selection(self) -> None:
        if self.is_mounted:  # TextArea sets it before we are made
            self._suggest()

    def on_blur(self) -> None:
        if self.app.app_focus:  # another widget has the keys now, not another window
            self._close()

    def _find_word(self) -> _Word | None:
        if not self.selection.is_empty:
            return None
        row, column = self.cursor_location
        line = self.document.get_line(row)
        if self.document.line_count == 1 and line.startswith("/") and not line.startswith("//"):
            end = len(line.split(maxsplit=1)[0])
            return _Word("/", 0, 0, end, line[1:column]) if 0 < column <= end else None
        if line[column : column + 1].strip():  # in the middle of a word
            return None
        path = begun(line[max(0, column - 4096) : column])
        return _Word("@", row, max(0, column - 4096) + path[0], column, path[1]) if path else None

    def _suggest(self) -> None:
        word = self._find_word()
        if word == self._word:
            return
        self._word = word
        if self._dismissed is not None and (word is None or (word.sign, word.row, word.start) != self._dismissed):
            self._dismissed = None
        if word is None or self._dismissed is not None:
            self._close()
        else:
            self._look_up(word)

    def _look_up(self, word: _Word) -> None:
        if word.sign == "@":
            if self._offered is not None and self._offered.sign != "@":
                self._close()
            self._scan()
            return
        found = [(name, summary) for name, summary in self.commands if name.startswith(word.typed.lower())]
        width = max((len(name) for name, _ in found), default=0) + 3
        rows = [
            Content.assemble(f"/{name}".ljust(width), (printable(summary), "$text-muted")) for name, summary in found
        ]
        self._offer(word, tuple(name for name, _ in found), rows)

    def _scan(self) -> None:
        """Looks for paths, in one thread at a time: a disk may take as long as it likes."""
        if not self._scanning and self._word is not None:
            self._scanning = True
            self._read_directory(self._word)

    @work(thread=True, group="scan")
    def _read_directory(self, word: _Word) -> None:
        self.post_message(self._Found(word, complete(word.typed)))

    @on(_Found)
    def _found(self, event: _Found) -> None:
        self._scanning = False
        if self._word is None or self._word.sign != "@" or self._dismissed is not None:
            return
        if event.word != self._word:
            self._scan()
            return
        rows = [Content(printable(path[path.rstrip("/").rfind("/") + 1 :])) for path in event.matches.paths]
        self._offer(event.word, event.matches.paths, rows, event.matches.more)

    def _offer(self, word: _Word, offers: tuple[str, ...], rows: list[Content], more: bool = False) -> None:
        completions = self._completions
        if completions is None:
            return
        if not offers:
            self._close()
            return
        self._offers, self._offered = offers, word
        highlighted = offers.index(word.typed) if word.typed in offers else 0
        completions.open(rows, highlighted, self._complete, more)

    @property
    def _incomplete(self) -> bool:
        """Whether the list shows something else for the word than what is there."""
        if not self._is_open or self._offered != self._word or self._word is None:
            return False
        completions = self._completions
        at = completions.highlighted if completions is not None else None
        return at is not None and at < len(self._offers) and self._offers[at] != self._word.typed

    def _complete(self, number: int | None = None) -> None:
        """Puts a row of the list in the place of the word; opens the list where it is closed."""
        word, completions = self._word, self._completions
        if word is None or completions is None:
            return
        if not completions.is_open:
            self._dismissed = None
            self._look_up(word)
            return
        number = completions.highlighted if number is None else number
        if self._offered != word or number is None or number >= len(self._offers):
            return  # an answer for what was typed since is on its way
        chosen = self._offers[number]
        text = f"/{chosen}" if word.sign == "/" else mention(chosen)
        if not chosen.endswith("/") and not self.document.get_line(word.row)[word.end :].startswith(" "):
            text += " "
        self._close()
        result = self.replace(text, (word.row, word.start), (word.row, word.end), maintain_selection_offset=False)
        self.move_cursor(result.end_location)
        self.focus()

    def _dismiss(self) -> None:
        if self._word is not None:
            self._dismissed = (self._word.sign, self._word.row, self._word.start)
        self._close()

    def _close(self) -> None:
        self._offered, self._offers = None, ()
        if (completions := self._completions) is not None and completions.is_open:
            completions.close()


def _lines(text: str) -> str:
    """With line breaks of one kind: terminals paste others."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
