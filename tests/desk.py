"""For tests: a screen with nothing but the prompt and what completes it."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Static

from tui.prompt.completions import Completions
from tui.prompt.history import History
from tui.prompt.prompt import Prompt

COMMANDS = [("help", "show the keys"), ("model", "choose [b]another[/b] model"), ("models", "list them"), ("new", "")]


class Desk(App[None]):
    """The prompt where it will stand, in an app that takes what is sent."""

    CSS = "#above { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "stop", "stop")]

    def __init__(self, history: History | None = None) -> None:
        super().__init__()
        self.prompt = Prompt(history, placeholder="Write a message, Enter sends", id="prompt")
        self.prompt.commands = COMMANDS
        self.list = Completions()
        self.sent: list[str] = []
        self.stops = 0
        self.copied = ""

    def compose(self) -> ComposeResult:
        yield Static("transcript", id="above")
        yield self.list
        yield self.prompt
        yield Footer()

    def on_mount(self) -> None:
        self.prompt.focus()

    @on(Prompt.Submitted)
    def _submitted(self, event: Prompt.Submitted) -> None:
        self.sent.append(event.text)
        self.prompt.accept(event.text)

    def action_stop(self) -> None:
        self.stops += 1

    def copy_to_clipboard(self, text: str) -> None:
        super().copy_to_clipboard(text)
        self.copied = text

    def paste(self, text: str) -> None:
        """As the terminal's driver does it."""
        self.post_message(events.Paste(text))

    @property
    def rows(self) -> list[str]:
        """What the list shows."""
        return [str(option.prompt).strip() for option in self.list.options] if self.list.is_open else []


def screen_of(app: App) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]
