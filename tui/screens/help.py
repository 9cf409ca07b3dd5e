"""Help: every command and key, out of the one table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from .. import keys
from ..commands import COMMANDS

KEYS = (
    ("Enter", "send"),
    ("Ctrl+J", "new line (Shift+Enter or Alt+Enter where the terminal tells)"),
    ("↑ ↓", "from the first and last line: what you sent before"),
    ("Tab", "complete a /command or an @file"),
    ("@file", "read a text file into the message; dropping a file on the window does the same"),
    ("PgUp PgDn", "read back; End goes to the end again"),
    ("Ctrl+C", "copy what is selected, else stop"),
    ("Ctrl+P", "all commands, to search and choose from"),
)


class HelpScreen(ModalScreen[None]):
    """One page to scroll through."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 90%; max-width: 100; height: 90%; border: round $accent; background: $surface; padding: 0 1;
    }
    HelpScreen .head { text-style: bold; margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,q", "dismiss", "close", key_display="esc")]

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Help"
            yield Static("Keys", classes="head")
            for key, what in KEYS:
                yield Static(Content.assemble((f"{key:<11}", "bold"), " ", what))
            yield Static("Commands", classes="head")
            for command in COMMANDS:
                key = f"  ({keys.name(command.key)})" if command.key else ""
                yield Static(Content.assemble((command.usage, "bold"), key, "\n    ", command.summary))
            yield Static("Text", classes="head")
            yield Static("A message that begins with a slash: write two. Select text with the mouse to copy it.")
        yield Footer()
