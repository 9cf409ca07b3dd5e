"""What waits until the model is free: a line each, to change, remove, move or hold it, while the chat goes on below.

Knows the outbox and what its app does to it; nothing of replies. What is sent meanwhile leaves the list by itself.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from ..prompt.outbox import Held, Outbox
from .dialogs import leave


class Chat(Protocol):
    """What has a queue."""

    outbox: Outbox

    def drop(self, number: int) -> None: ...
    def move(self, number: int, by: int) -> None: ...
    def hold(self, why: Held) -> None: ...


class _Rows(OptionList):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "select", "change", key_display="enter")]


class QueueScreen(ModalScreen[int | None | bool]):
    """Dismisses with the number of what is to be changed, with True where what is held is to go on, or with None."""

    DEFAULT_CSS = """
    QueueScreen {
        align: center middle;
        & > Vertical {
            width: 90%;
            max-width: 110;
            height: auto;
            max-height: 90%;
            background: $surface;
            border: round $accent;
            border-title-color: $accent;
            padding: 0 1;
        }
        _Rows { height: auto; max-height: 22; border: none; padding: 0; text-wrap: nowrap; text-overflow: ellipsis; }
        _Rows:focus { border: none; }
        #about { height: auto; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("delete,x,ctrl+d", "remove", "remove", key_display="x"),
        Binding("u,alt+up", "shift(-1)", "up", key_display="u"),
        Binding("d,alt+down", "shift(1)", "down", key_display="d"),
        Binding("h", "hold", "hold", tooltip="hold all of them, or have them go on"),
        Binding("escape,q", "leave", "back", key_display="esc"),
    ]

    def __init__(self, chat: Chat) -> None:
        super().__init__()
        self._chat = chat
        self._numbers: list[int] = []

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "What waits"
            yield _Rows(markup=False)
            yield Static(id="about", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        self._chat.outbox.changed = self._show
        self._show()

    def on_unmount(self) -> None:
        self._chat.outbox.changed = lambda: None

    def _show(self) -> None:
        """Shows what waits now; the highlight stays with what it was on."""
        if not self.query(_Rows):  # it is being left
            return
        outbox, rows = self._chat.outbox, self.query_one(_Rows)
        chosen, place = self._chosen, rows.highlighted or 0
        self._numbers = [item.number for item in outbox.items]
        rows.set_options([Option(Content(f"{at:2} {item.line}")) for at, item in enumerate(outbox.items, 1)])
        if self._numbers:
            place = min(place, len(self._numbers) - 1)  # where that has left the list
            rows.highlighted = self._numbers.index(chosen) if chosen in self._numbers else place
        self.query_one("#about", Static).update(outbox.about)

    @property
    def _chosen(self) -> int | None:
        at = self.query_one(_Rows).highlighted
        return self._numbers[at] if at is not None and at < len(self._numbers) else None

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if (number := self._chosen) is not None:
            leave(self, number)

    def action_remove(self) -> None:
        """Removes the chosen one."""
        if (number := self._chosen) is not None:
            self._chat.drop(number)

    def action_shift(self, by: int) -> None:
        """Moves the chosen one."""
        if (number := self._chosen) is not None:
            self._chat.move(number, by)

    def action_hold(self) -> None:
        """Holds all of it, or has it go on."""
        if self._chat.outbox.held is None:
            self._chat.hold(Held.BY_HAND)
        elif self._numbers:
            leave(self, True)

    def action_leave(self) -> None:
        """Back to the chat."""
        leave(self, None)
