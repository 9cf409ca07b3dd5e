"""A search through what was sent before, from which one goes back into the prompt."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from rgmlx.system.formatting import one_line

from ..fields import OneLine
from ..prompt.history import History

MAX_ROWS = 200
_MAX_CHARACTERS = 500  # of a row; the rest is beyond the edge of any screen


class HistoryScreen(ModalScreen[str | None]):
    """Type to filter; Enter or a click dismisses with the prompt, Esc with None."""

    DEFAULT_CSS = """
    HistoryScreen {
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

    def __init__(self, history: History, start: str = "") -> None:
        """Makes the screen.

        Args:
            start: what is searched for at first.
        """
        super().__init__()
        self._history, self._start = history, start
        self._rows: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Sent before"
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
        found = self._history.search(text)
        self._rows = found[:MAX_ROWS]
        rows = self.query_one(OptionList)
        rows.set_options([Option(Content(one_line(row, _MAX_CHARACTERS).strip())) for row in self._rows])
        rows.highlighted = 0 if self._rows else None
        if len(found) > MAX_ROWS:
            note = f"The newest {MAX_ROWS} of {len(found):,}: type more words to see others."
        elif found:
            note = f"{len(found)} found" if text.strip() else f"{len(found)}, the newest first"
        elif text.strip():
            note = "Nothing has all of these words."
        else:
            note = "Nothing was sent yet."
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
        if number is not None and number < len(self._rows):
            self.dismiss(self._rows[number])

    def on_click(self, event: events.Click) -> None:
        if event.widget is self:  # beside the box
            self.dismiss(None)

    def action_move(self, where: str) -> None:
        """Moves the highlight."""
        getattr(self.query_one(OptionList), f"action_{where}")()

    def action_leave(self) -> None:
        """Back, without a prompt."""
        self.dismiss(None)
