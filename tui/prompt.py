"""The prompt, where a message is typed. Knows keys, and nothing of what becomes of a text that is sent.

What could complete a word is looked up by the list above it (`completions`); here it is put in.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from rich.text import Text
from textual import events, on, work
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.binding import Binding, BindingType
from textual.document._document import EditResult, Location
from textual.message import Message
from textual.widgets import TextArea

from .clipboard import Pasted, copy
from .completions import Completions, Word, word_at
from .files import dropped, mention
from .history import History, Walk

# Controls, and what would reorder or break a line on the screen. Their width is zero, and so is that of what stands in.
_HARM = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")


class _AltEnter:
    value = "alt+enter"


# What terminals without the Kitty protocol send for Alt+Enter. Textual takes it for Enter: a message sent too early.
cast(dict[str, Any], ANSI_SEQUENCES_KEYS).setdefault("\x1b\r", (_AltEnter,))


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
        Binding("enter", "submit", "send", show=False),
        Binding("ctrl+j,shift+enter,alt+enter", "newline", "new line", show=False),
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

    def __init__(self, sent: History | None = None, *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, id=id)
        self.commands: Sequence[tuple[str, str]] = ()
        self.sent = sent
        self._walk: Walk | None = None
        self._pasted = Pasted()
        self._word: Word | None = None  # at the cursor
        self._dismissed: tuple[str, int, int] | None = None  # the word for which the list was closed
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

    def _find_word(self) -> Word | None:
        if not self.selection.is_empty:
            return None
        row, column = self.cursor_location
        return word_at(self.document.get_line(row), row, column, alone=self.document.line_count == 1)

    def _suggest(self) -> None:
        word = self._find_word()
        if word == self._word:
            return
        self._word = word
        if self._dismissed is not None and (word is None or (word.sign, word.row, word.start) != self._dismissed):
            self._dismissed = None
        if (completions := self._completions) is None:
            return
        if word is None or self._dismissed is not None:
            completions.stop()
        else:
            completions.look_up(word, self.commands, self._complete)

    @property
    def _incomplete(self) -> bool:
        """Whether the list shows something else for the word than what is there."""
        word, completions = self._word, self._completions
        if word is None or completions is None:
            return False
        chosen = completions.chosen(word)
        return chosen is not None and chosen != word.typed

    def _complete(self, number: int | None = None) -> None:
        """Puts a row of the list in the place of the word; opens the list where it is closed."""
        word, completions = self._word, self._completions
        if word is None or completions is None:
            return
        if not completions.is_open:
            self._dismissed = None
            completions.look_up(word, self.commands, self._complete)
            return
        chosen = completions.chosen(word, number)
        if chosen is None:
            return
        text = f"/{chosen}" if word.sign == "/" else mention(chosen)
        if not chosen.endswith("/") and not self.document.get_line(word.row)[word.end :].startswith(" "):
            text += " "
        completions.close()
        result = self.replace(text, (word.row, word.start), (word.row, word.end), maintain_selection_offset=False)
        self.move_cursor(result.end_location)
        self.focus()

    def _dismiss(self) -> None:
        if self._word is not None:
            self._dismissed = (self._word.sign, self._word.row, self._word.start)
        if (completions := self._completions) is not None:
            completions.stop()

    def _close(self) -> None:
        if (completions := self._completions) is not None:
            completions.close()


def _lines(text: str) -> str:
    """With line breaks of one kind: terminals paste others."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
