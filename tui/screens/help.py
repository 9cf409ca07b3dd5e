"""Help: every command and key, out of the one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from ..commands import COMMANDS, PALETTE, Command, keys_of
from ..prompt.kept import HOW
from ..terminal import keys, terminals

_WHERE = " in an empty prompt"  # of a key that is typed otherwise
_WINDOW = (
    "window ███░░ in the last line but one: how much of what the model remembers word by word is in use. Once it is full, "
    "what is older is remembered in gist; a dashed line in the chat shows where that begins, and /info says it in numbers."
)


def selecting() -> str:
    """How a text is selected and copied, in the program and past it, as it is on this terminal."""
    here = terminals.here()
    past = {"Apple_Terminal": "Fn", "iTerm.app": "Option"}.get(here.name, "")
    own = "Ctrl+C copies text that the mouse has selected."
    return f"{own} With {past} held the mouse selects for the terminal, and Cmd+C copies." if past else own


def rows(*, inline: bool = False) -> list[tuple[str, str]]:
    """The keys that belong to no command, and what they do, as it is on this terminal; `inline`: under the shell's prompt."""
    here = terminals.here()
    line, *others = sorted(filter(here.reaches, keys.NEW_LINE), key=keys.NEW_LINE.index)
    also = " or ".join(keys.name(key) for key in reversed(others))
    shift = "shift+" if here.name == "Apple_Terminal" else ""  # without it these scroll the window there
    undo = "undo, what was cleared included"
    undo += " (Ctrl+Shift+Z where the terminal tells)" if here.reaches("ctrl+shift+z") else ""
    pause = [] if inline else [("Ctrl+Z", "pause, and back to the shell; fg goes on")]
    return [
        ("Enter", "send; during a reply it waits its turn: ↑ or Esc takes the last one back, /queue shows all"),
        (keys.name(line), f"new line ({also} where the terminal tells)" if also else "new line"),
        ("↑ ↓", "from the first and last line: what you sent before, and behind the oldest of it the messages"),
        ("Tab", "complete a /command or an @file; show the lines of a [pasted text]; else go to the messages:"),
        (
            "  ↑ ↓ k j",
            "mark the message or code before, after; g and G the first and the last; Esc goes back to the prompt",
        ),
        ("  c e r b", "copy it; edit it; another reply; go back there, where what you send begins a branch"),
        ("  Space o", "fold or unfold it; show it in your editor"),
        ("@file", "read a text file into the message; dropping a file on the window does the same"),
        (
            f"{keys.name(f'{shift}pageup')} {keys.name(f'{shift}pagedown')}",
            f"read back; {keys.shown(*keys.END)} goes to the end again",
        ),
        ("Ctrl+C", "copy what is selected, else stop a reply, else clear what you typed"),
        ("Ctrl+_", f"{undo}; Ctrl+Y redoes"),
        ("Ctrl+X", "cut what is selected; where that is nothing select all, and Ctrl+E then opens your editor"),
        *pause,
        (keys.shown(*keys_of(PALETTE)), "all commands, to search and choose from"),
    ]


class HelpScreen(ModalScreen[None]):
    """One page to scroll through."""

    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen > VerticalScroll {
        width: 90%; max-width: 100; height: 90%; border: round $accent; background: $surface; padding: 0 1;
    }
    HelpScreen Horizontal { height: auto; }
    HelpScreen .key { width: 12; text-style: bold; }
    HelpScreen .what { width: 1fr; }
    HelpScreen .summary { padding: 0 0 0 4; }
    HelpScreen .head { text-style: bold; margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,question_mark,q", "dismiss", "close", key_display="esc")
    ]

    def __init__(self, prompts: Sequence[Command] = ()) -> None:
        """`prompts`: those that the user keeps as files, as commands."""
        super().__init__()
        self._prompts = prompts

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Help"
            yield Static("Keys", classes="head")
            for key, what in rows(inline=self.app.is_inline):
                with Horizontal():
                    yield Static(key, classes="key", markup=False)
                    yield Static(what, classes="what", markup=False)
            yield Static("Commands", classes="head")
            for command in COMMANDS:
                key = f"  ({command.pressed}{_WHERE * (len(command.pressed) == 1)})" if command.pressed else ""
                yield Static(Content.assemble((command.usage, "bold"), key))
                yield Static(command.summary, classes="summary", markup=False)
            if self._prompts:
                yield Static("Your prompts", classes="head")
            for command in self._prompts:
                yield Static(command.usage, classes="what", markup=False)
                yield Static(command.summary, classes="summary", markup=False)
            yield Static("Text", classes="head")
            yield Static(f"A message that begins with a slash: write two. {selecting()}", markup=False)
            yield Static(HOW, markup=False)
            yield Static("What is remembered", classes="head")
            yield Static(_WINDOW, markup=False)
        yield Footer()
