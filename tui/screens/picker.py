"""A list that is searched as one types, from which one thing is taken. What it is of is its subclass's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ..fields import OneLine

MAX_ROWS = 200


class Picker(ModalScreen[str | None]):
    """Type to filter; Enter or a click dismisses with the text that is taken, Esc with None."""

    TITLED = ""
    """What stands in the frame."""
    NOTHING = "Nothing has all of these words."
    EMPTY = "There is nothing yet."

    DEFAULT_CSS = """
    Picker {
        align: center middle;
        & > Vertical {
            width: 90%;
            max-width: 110;
            height: 90%;
            max-height: 30;
            background: $surface;
            border: round $accent;
            border-title-color: $accent;
            padding: 0 1;
        }
        Input {
            border: none;
            height: 1;
            padding: 0;
            margin: 0 0 1 0;
            background: $surface;
            &:focus { border: none; }
        }
        OptionList {
            height: 1fr;
            border: none;
            padding: 0;
            text-wrap: nowrap;
            text-overflow: ellipsis;
            scrollbar-size-vertical: 1;
        }
        #found, #keys {
            height: 1;
            color: $text-muted;
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back"),
        Binding("up", "move('cursor_up')", "up", show=False),
        Binding("down", "move('cursor_down')", "down", show=False),
        Binding("pageup", "move('page_up')", "page up", show=False),
        Binding("pagedown", "move('page_down')", "page down", show=False),
    ]

    def __init__(self, start: str = "") -> None:
        """`start`: what is searched for at first."""
        super().__init__()
        self._start = start
        self._count = 0

    @abstractmethod
    def search(self, text: str) -> Sequence[Content]:
        """A row for each thing that has these words; of all, where there are none."""

    @abstractmethod
    def taken(self, number: int) -> str:
        """What the row of this number, as it was found last, stands for."""

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self.TITLED
            yield OneLine(self._start, placeholder="Type words to find", select_on_focus=False)
            yield OptionList(markup=False)
            yield Static(id="found")
            yield Static("Enter take  ·  Up/Down choose  ·  Esc back", id="keys", markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).can_focus = False  # the keys stay with the Input, and are the list's, too
        self.query_one(Input).focus()
        self._fill(self.query_one(Input).value)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self._fill(event.value)

    def _fill(self, text: str) -> None:
        found = self.search(text)
        self._count = min(len(found), MAX_ROWS)
        rows = self.query_one(OptionList)
        rows.set_options([Option(row) for row in found[:MAX_ROWS]])
        rows.highlighted = 0 if found else None
        if len(found) > MAX_ROWS:
            note = f"The newest {MAX_ROWS} of {len(found):,}: type more words to see others."
        elif found:
            note = f"{len(found)} found" if text.strip() else f"{len(found)}, the newest first"
        else:
            note = self.NOTHING if text.strip() else self.EMPTY
        self.query_one("#found", Static).update(Content(note))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._take(self.query_one(OptionList).highlighted)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(event.option_index)

    def _take(self, number: int | None) -> None:
        if number is not None and number < self._count:
            self.dismiss(self.taken(number))

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:  # beside the box
            self.dismiss(None)

    def action_move(self, where: str) -> None:
        """Moves the highlight."""
        getattr(self.query_one(OptionList), f"action_{where}")()

    def action_leave(self) -> None:
        """Back, with nothing."""
        self.dismiss(None)
