"""The prompt, where a message is typed. Knows keys, and nothing of what becomes of a text that is sent.

What could complete a word is looked up by the list above it (`completions`); here it is put in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events, on, work
from textual.binding import Binding, BindingType
from textual.document._document import EditResult, Location
from textual.message import Message

from rgmlx.system.formatting import joined

from ..fields import TextField
from ..terminal.clipboard import Pasted, copy, fits
from ..terminal.keys import END, NEW_LINE, UNDO
from ..terminal.typed import lines
from .completions import Completions, Word, word_at
from .files import dropped, mention
from .history import History, Walk


class Prompt(TextField):
    """The input: Enter sends; Ctrl+J, or Alt+Enter and Shift+Enter where the terminal tells, starts a new line.

    Attributes:
        commands: names (without a slash) and what each does, offered where the text begins with a slash.
        submitted: the text of which the app has yet to say what becomes of it; or "".
        sent: what Up and Down go through; None for nothing. (`history` is what TextArea can undo.)
        recall: what Up in an empty prompt does first: puts a text that waits into the prompt; false if there is none.
        at_edge: is told of Up in the first line where there is nothing older to go to.
        in_editor: has the text written in the user's editor.
        when_empty: does what a key means while there is nothing in the prompt; false if that is nothing else than usual.
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
        Binding(",".join(NEW_LINE), "newline", "new line", show=False),
        Binding("alt+left", "cursor_word_left", "back by a word", show=False),
        Binding("alt+right", "cursor_word_right", "on by a word", show=False),
        Binding("ctrl+c", "copy_or_stop", "copy or stop", show=False),
        Binding("ctrl+z", "app.suspend", "suspend", show=False),
        Binding(UNDO, "undo", "undo", show=False),
        Binding(",".join(END), "end", "end", show=False),
        Binding("pageup", "app.read('up')", "read back", show=False),
        Binding("pagedown", "app.read('down')", "read on", show=False),
    ]

    class Submitted(Message):
        """The user sent a text, which the prompt has no longer. The app calls `accept` if it takes it, or gives it back."""

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
        self.submitted = ""
        self.sent = sent
        self.recall: Callable[[], bool] = lambda: False
        self.empty: Callable[[], None] = lambda: None  # told of Enter where there is nothing to send
        self.at_edge: Callable[[], None] = lambda: None
        self.in_editor: Callable[[], None] = lambda: None
        self.when_empty: Callable[[str], bool] = lambda key: False
        self._walk: Walk | None = None
        self._pasted = Pasted()
        self._word: Word | None = None  # at the cursor
        self._before_editor = False  # Ctrl+X was pressed, and cut nothing: Ctrl+E now is for the editor, as in a shell
        self._dismissed: tuple[str, int, int] | None = None  # the word for which the list was closed
        self._list: Completions | None = None

    # --- the text -------------------------------------------------------------------------

    @property
    def whole(self) -> str:
        """The text, with what is kept aside in its place."""
        return self._pasted.restore(self.text)

    @property
    def unsent(self) -> str:
        """What was typed and not sent: the text, and what was left on a way through older prompts for one of them."""
        typed = self._walk.typed(self.text, self._pasted.restore) if self._walk else []
        return joined(*typed) or self.whole

    def load_text(self, text: str) -> None:
        """Replaces everything; nothing of what was there comes back. The cursor is at the end."""
        self._walk = None
        self._pasted.clear()
        self._show(self._pasted.take(lines(text)))

    def accept(self, text: str) -> None:
        """Keeps a text, which was submitted, in the history."""
        self.submitted = ""
        if self.sent is not None:
            self.sent.add(text)

    def replace_draft(self, text: str) -> None:
        """Replaces everything; undo brings what was there back, all of it. The cursor is at the end."""
        if (unsent := self.unsent) != self.whole:
            self._replace_via_keyboard(self._pasted.take(unsent), (0, 0), self.document.end)
        self._walk = None
        self.history.checkpoint()
        if result := self._replace_via_keyboard(self._pasted.take(lines(text)), (0, 0), self.document.end):
            self.move_cursor(result.end_location)
        self.history.checkpoint()

    def clear_draft(self) -> None:
        """Empties the prompt; undo brings the text back."""
        self.history.checkpoint()
        self._delete_via_keyboard((0, 0), self.document.end)
        self.history.checkpoint()

    def _show(self, text: str) -> None:
        super().load_text(text)
        self.move_cursor(self.document.end)
        self._suggest()

    def _take(self, text: str) -> None:
        """Puts in what was pasted, in one piece."""
        shown = [self.text, *(self._walk.texts if self._walk else ())]
        if not self._pasted.has_room(len(text), shown):
            self.notify("There is no room for a text of this length: put it into a file.", severity="warning")
            return
        text = lines(text)
        taken = self._pasted.take(text, fold=True)
        if result := self._replace_via_keyboard(taken, *self.selection):
            self.move_cursor(result.end_location)
            self.focus()
            if taken != text and fits(text):
                self.notify("Folded: Tab behind it shows the lines.", timeout=3)

    def _unfold(self) -> bool:
        """Puts a folded text in the place of the marker that the cursor is behind or in; whether there is one."""
        row, column = self.cursor_location
        if not self.selection.is_empty or (found := self._pasted.at(self.document.get_line(row), column)) is None:
            return False
        start, end, text = found
        if not fits(text):
            self.notify("It is too long to be shown here.", timeout=2)
        elif result := self._replace_via_keyboard(text, (row, start), (row, end)):
            self.move_cursor(result.end_location)
        return True

    def _widen(self, start: Location, end: Location) -> tuple[Location, Location]:
        """The range with the whole of a marker that it cuts. TextArea deletes up to a line after the last one."""
        (row, column), (last_row, last_column) = (min(place, self.document.end) for place in sorted((start, end)))
        column, _ = self._pasted.span(self.document.get_line(row), column)
        _, last_column = self._pasted.span(self.document.get_line(last_row), last_column)
        return (row, column), (last_row, last_column)

    def _delete_via_keyboard(self, start: Location, end: Location) -> EditResult | None:
        return super()._delete_via_keyboard(*self._widen(start, end))

    def _replace_via_keyboard(self, insert: str, start: Location, end: Location) -> EditResult | None:
        first, last = self._widen(start, end)
        return super()._replace_via_keyboard(insert, last if start == end else first, last)

    # --- keys -----------------------------------------------------------------------------

    async def _on_key(self, event: events.Key) -> None:
        if (not self.text and self.when_empty(event.key)) or self._acted(event.key):
            event.prevent_default()
            event.stop()
            self._restart_blink()
        else:
            await super()._on_key(event)

    def _acted(self, key: str) -> bool:
        before_editor, self._before_editor = self._before_editor, key == "ctrl+x" and self.selection.is_empty
        if key == "ctrl+e" and before_editor:
            self.in_editor()
            return True
        if key == "tab" and self._word is not None:
            self._complete()
            return True
        if key == "escape" and self._is_open:  # with a closed list it is the app's: it stops a reply
            self._dismiss()
            return True
        return key == "tab" and self._unfold()

    def action_submit(self) -> None:
        """Sends the text, or completes a word that is not complete."""
        if self._incomplete:
            self._complete()
        elif self.text.strip():
            self._close()
            # Taken out now and handed over in turn: what is typed next is neither sent with it nor cleared with it.
            self.submitted, left = self.whole, self._walk.draft if self._walk else ""
            self.load_text(joined(self._pasted.restore(left)))  # for an older prompt, which is sent now
            self.app.call_next(self.app._dispatch_message, self.Submitted(self.submitted))
        else:
            self.empty()

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
        if self.selected_text:  # a marker is copied whole, however much of it is selected
            self._copy(self._pasted.restore(self.get_text_range(*self._widen(*self.selection))))

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
        if step < 0 and not self.text and self.recall():
            return True
        at_end = self.navigator.is_first_wrapped_line if step < 0 else self.navigator.is_last_wrapped_line
        if not self.selection.is_empty or not at_end(self.cursor_location):
            return False
        text = None
        if self.sent is not None:
            if self._walk is None:
                self._walk = Walk(self.sent.entries, self.text)
            text = self._walk.move(step, self.text)
        if text is None:
            if step < 0:
                self.at_edge()
            return False
        self._show(self._pasted.take(lines(text)))
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
        if word is None or completions is None or word.sign == "=":  # a file that is not there may be meant
            return False
        chosen = completions.chosen(word)
        if word.sign == "@" and not word.typed and not completions.highlighted:
            return False  # nothing was typed of a path, and none was chosen: it may be meant as it is
        typed = word.typed.lower() if word.sign == "/" else word.typed  # a command in any capitals is one
        return chosen is not None and chosen != typed

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
        text = f"/{chosen}" if word.sign == "/" else mention(chosen) if word.sign == "@" else chosen
        if (
            word.sign != "="
            and not chosen.endswith("/")
            and not self.document.get_line(word.row)[word.end :].startswith(" ")
        ):
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
