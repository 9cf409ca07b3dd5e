"""Fields that one types in: a text of many lines, and one line. They take what is text, and draw nothing that does harm.

Knows Textual's two fields; which characters are what is in `typed`. What is taken is kept as it is: only line breaks become
those that the field has. The cursor goes by what is one character to its reader. Keys keep their order (`order`).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.document._document import EditResult, Location
from textual.document._edit import Edit
from textual.widgets import Input, TextArea
from textual.widgets.input import Selection

from .terminal import order, typed

MAX_CHARS = 4_096
"""Of one line: as long as a path can be. What is pasted beyond it is left out."""


_NOT_TEXTUALS = ("select_line", "select_all", "cut")  # whose keys are others here, or none


class TextField(TextArea, inherit_bindings=False):
    """A text of many lines."""

    # Without what only keys with fn on a Mac do, and is not needed: selecting the line, and pages to the side.
    BINDINGS: ClassVar[list[BindingType]] = [
        *(one for one in TextArea.BINDINGS if isinstance(one, Binding) and one.action not in _NOT_TEXTUALS),
        Binding("f7,super+a", "select_all", "select all", show=False),
        Binding("ctrl+x", "cut_or_select", "cut, or select all", show=False),
        Binding("ctrl+delete,alt+d,ctrl+right_square_bracket", "delete_word_right", "delete a word", show=False),
        Binding("super+x", "cut", "cut", show=False),
        Binding("super+left", "cursor_line_start", "to the beginning of the line", show=False),
        Binding("super+right", "cursor_line_end", "to the end of the line", show=False),
        Binding("super+up,ctrl+home", "cursor_text_start", "to the beginning of the text", show=False),
        Binding("super+down,ctrl+end", "cursor_text_end", "to the end of the text", show=False),
    ]

    async def _on_key(self, event: events.Key) -> None:
        await order.handle(self, event, super()._on_key)

    def action_cut_or_select(self) -> None:
        """Cuts what is selected; where that is nothing selects all, which on a Mac no other key without fn does."""
        if self.selection.is_empty:
            self.action_select_all()
        else:
            self.action_cut()

    def action_cursor_text_start(self) -> None:
        self.move_cursor((0, 0))

    def action_cursor_text_end(self) -> None:
        self.move_cursor(self.document.end)

    def _set_document(self, text: str, language: str | None) -> None:
        super()._set_document(typed.lines(text), language)

    def edit(self, edit: Edit) -> EditResult:
        """Makes a change; what is typed, pasted and put in comes through here."""
        edit.text = typed.lines(edit.text)
        return super().edit(edit)

    def get_line(self, line_index: int) -> Text:
        """A line as it is drawn."""
        line = super().get_line(line_index)
        line.plain = typed.drawn(line.plain)
        return line

    def get_cursor_left_location(self) -> Location:
        row, column = self.cursor_location
        if not column:
            return super().get_cursor_left_location()
        return row, column - typed.last(self.document.get_line(row)[:column])

    def get_cursor_right_location(self) -> Location:
        row, column = self.cursor_location
        rest = self.document.get_line(row)[column:]
        return (row, column + typed.first(rest)) if rest else super().get_cursor_right_location()

    # Elsewhere the cursor is taken to a cell or a letter, which may be inside of what is one character.

    def get_cursor_up_location(self) -> Location:
        return self._outside(super().get_cursor_up_location())

    def get_cursor_down_location(self) -> Location:
        return self._outside(super().get_cursor_down_location())

    def get_cursor_word_left_location(self) -> Location:
        return self._outside(super().get_cursor_word_left_location())

    def get_cursor_word_right_location(self) -> Location:
        row, column = super().get_cursor_word_right_location()
        line = self.document.get_line(row)
        begin = typed.begin(line, column)
        return row, column if begin == column else begin + typed.first(line[begin:])

    def get_target_document_location(self, event: events.MouseEvent) -> Location:
        return self._outside(super().get_target_document_location(event))

    def _outside(self, location: Location) -> Location:
        row, column = location
        return row, typed.begin(self.document.get_line(row), column)

    def _recompute_cursor_offset(self) -> None:
        """TextArea asks for the cursor's offset when an edit has made the text shorter, and moves the cursor after."""
        if self.cursor_location <= self.document.end:
            super()._recompute_cursor_offset()


class OneLine(Input):
    """One line, of up to `MAX_CHARS`; the line breaks of what is pasted are spaces in it, and its controls are left out."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("super+left,super+up", "home", "to the beginning", show=False),
        Binding("super+right,super+down", "end", "to the end", show=False),
        Binding("ctrl+shift+a,super+a", "select_all", "select all", show=False),
    ]

    def __init__(self, value: str = "", **settings: Any) -> None:
        super().__init__(_one_line(value)[:MAX_CHARS], **settings)

    async def _on_key(self, event: events.Key) -> None:
        await order.handle(self, event, super()._on_key)

    def replace(self, text: str, start: int, end: int) -> None:
        """Puts a text in place of another; what is typed and pasted comes through here."""
        room = MAX_CHARS - len(self.value) + abs(end - start)
        super().replace(_one_line(text)[: max(0, room)], start, end)

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.replace(typed.lines(event.text).strip("\n"), *self.selection)

    @property
    def _value(self) -> Text:
        """The line as it is drawn."""
        if self.password:
            return super()._value
        return Text(typed.drawn(self.value), no_wrap=True, overflow="ignore", end="")

    def action_cursor_left(self, select: bool = False) -> None:
        start, end = self.selection
        if select or self.selection.is_empty:
            self._move(start, end - typed.last(self.value[:end]), select)
        else:
            self.cursor_position = min(start, end)

    def action_cursor_right(self, select: bool = False) -> None:
        start, end = self.selection
        if select or self.selection.is_empty:
            self._move(start, end + typed.first(self.value[end:]), select)
        else:
            self.cursor_position = max(start, end)

    def action_delete_left(self) -> None:
        if self.selection.is_empty:
            at = self.cursor_position
            self.delete(at - typed.last(self.value[:at]), at)
        else:
            self.delete_selection()

    def action_delete_right(self) -> None:
        if self.selection.is_empty:
            at = self.cursor_position
            self.delete(at, at + typed.first(self.value[at:]))
        else:
            self.delete_selection()

    def _move(self, start: int, to: int, select: bool) -> None:
        self.selection = Selection(start, to) if select else Selection.cursor(to)

    def _cell_offset_to_index(self, offset: int) -> int:
        """Where the mouse is; Textual adds up the cells of what is one character to its reader."""
        places = [*typed.begins(self.value), len(self.value)]
        return places[bisect_right(places, offset + self.scroll_offset.x, key=self._position_to_cell) - 1]


def _one_line(text: str) -> str:
    return typed.CONTROLS.sub("", typed.lines(text).replace("\n", " "))
