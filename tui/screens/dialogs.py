"""Small dialogs over any screen: one asks for a line of text, one for yes or no.

Knows keys and buttons, and nothing of what is asked for. What is shown may come from models or files: it is
never read as markup, and nothing in it reaches the terminal raw.
"""

from __future__ import annotations

from time import monotonic
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Input, Static

from rgmlx.system.printable import printable

from ..fields import OneLine
from ..prompt.completions import Completions
from ..prompt.path_line import PathLine

TYPING_SECONDS = 0.5
"""A "y" or "n" that follows so soon on another character, or on the question itself, belongs to a word."""


def leave(screen: Screen[Any], result: Any) -> None:
    """Dismisses a screen once: Enter pressed twice would dismiss the one below it as well."""
    if screen.app.screen is screen:
        screen.dismiss(result)


class Box(VerticalScroll, can_focus=False):
    """The frame in the middle of a dialog."""

    DEFAULT_CSS = """
    Box {
        width: 72;
        max-width: 94%;
        height: auto;
        max-height: 90%;
        padding: 0 1;
        background: $surface;
        border: round $primary;
    }
    Box > Static { height: auto; }
    Box > .-muted { color: $text-muted; }
    Box > .-problem { color: $text-error; }
    Box > Horizontal { height: auto; align-horizontal: right; margin-top: 1; }
    Box Button { margin-left: 2; }
    """


class AskText(ModalScreen[str | None]):
    """Asks for a line of text. Dismisses with it, or with None when it was called off."""

    DEFAULT_CSS = "AskText { align: center middle; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel")]

    def __init__(
        self,
        title: str,
        value: str = "",
        placeholder: str = "",
        hint: str = "",
        problem: str = "",
        *,
        path: bool = False,
    ) -> None:
        """A question.

        Args:
            value: what stands in the line at first.
            placeholder: what an empty line shows.
            hint: a sentence below the line.
            problem: what was wrong with this value, when it is asked for again.
            path: it is the path of a file, which Tab completes.
        """
        super().__init__()
        self._title, self._value, self._placeholder = title, value, placeholder
        self._hint, self._problem, self._path = hint, problem, path

    def compose(self) -> ComposeResult:
        with Box():
            yield Static(Content(printable(self._title)))
            # Selected when it is new, so that typing replaces it; to be mended when something was wrong with it.
            line = PathLine if self._path else OneLine
            yield line(self._value, placeholder=self._placeholder, select_on_focus=not self._problem)
            if self._path:
                yield Completions()
            if self._problem:
                yield Static(Content(printable(self._problem)), classes="-problem")
            if self._hint:
                completes = " Tab completes the path." if self._path else ""
                yield Static(Content(printable(self._hint + completes)), classes="-muted")
            with Horizontal():
                yield Button("Enter  OK", id="ok", variant="primary", compact=True)
                yield Button("Esc  Cancel", id="cancel", compact=True)

    @on(Input.Submitted)
    @on(Button.Pressed, "#ok")
    def _accept(self, event: Input.Submitted | Button.Pressed) -> None:
        event.stop()
        leave(self, self.query_one(OneLine).value)

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        leave(self, None)


class Confirm(ModalScreen[bool]):
    """Asks for yes or no. Dismisses with true for yes; Enter alone, like Esc, is no.

    What was typed for the prompt before the question was seen answers nothing.
    """

    DEFAULT_CSS = "Confirm { align: center middle; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer(False)", "no"),
        Binding("n", "letter(False)", "no"),
        Binding("y", "letter(True)", "yes"),
        Binding("left,up", "app.focus_previous", show=False),
        Binding("right,down", "app.focus_next", show=False),
    ]
    AUTO_FOCUS = "#no"

    def __init__(self, question: str, yes: str = "Yes", no: str = "No") -> None:
        super().__init__()
        self._question, self._yes, self._no = question, yes, no
        self._typed = monotonic()  # when something was typed that is no answer

    def compose(self) -> ComposeResult:
        with Box():
            yield Static(Content(printable(self._question)))
            with Horizontal():
                yield Button(Content(printable(f"y  {self._yes}")), id="yes", variant="warning", compact=True)
                yield Button(Content(printable(f"n  {self._no}")), id="no", compact=True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        leave(self, event.button.id == "yes")

    def on_key(self, event: events.Key) -> None:
        if event.is_printable and event.character not in ("y", "n"):  # those come to `action_letter`
            self._typed = monotonic()

    def action_letter(self, yes: bool) -> None:
        in_a_word = monotonic() - self._typed < TYPING_SECONDS
        self._typed = monotonic()
        if not in_a_word:
            leave(self, yes)

    def action_answer(self, yes: bool) -> None:
        leave(self, yes)
