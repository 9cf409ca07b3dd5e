"""The widgets of the chat: a message, a notice, the prompt."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Markdown, Static, TextArea

from rgmlx.text import printable


class UserMessage(Static):
    """What the user wrote, as it was written."""

    def __init__(self, text: str) -> None:
        super().__init__(Content(printable(text)), markup=False)
        self.border_title = "You"


class ReplyMessage(Markdown):
    """What the model wrote, as Markdown."""

    def __init__(self, text: str = "") -> None:
        super().__init__(printable(text), open_links=False)
        self.border_title = "Assistant"


class Notice(Static):
    """A sentence of the app itself."""

    def __init__(self, text: str) -> None:
        super().__init__(Content(printable(text)), markup=False)


class Prompt(TextArea):
    """The input: Enter sends, Ctrl+J (or Shift+Enter where the terminal tells) starts a new line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "send"),
        Binding("ctrl+j,shift+enter", "newline", "new line", key_display="^j"),
        Binding("ctrl+c", "copy_or_stop", "copy or stop", show=False),
    ]

    class Submitted(Message):
        """The user sent a text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def action_submit(self) -> None:
        text = self.text
        if text.strip():
            self.post_message(self.Submitted(text))

    async def action_copy_or_stop(self) -> None:
        """Copies a selection, as everywhere; without one it stops the reply, as people expect of Ctrl+C."""
        if self.selected_text:
            self.action_copy()
        else:
            await self.app.run_action("stop")

    def action_newline(self) -> None:
        self.insert("\n")

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":  # TextArea would insert a line break
            event.prevent_default()
            event.stop()
            self.action_submit()
        elif event.key not in ("ctrl+j", "shift+enter"):
            await super()._on_key(event)
