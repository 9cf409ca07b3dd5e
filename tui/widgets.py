"""The prompt. Knows keys, and nothing of what becomes of a text that is sent."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea


class Prompt(TextArea):
    """The input: Enter sends, Ctrl+J (or Shift+Enter where the terminal tells) starts a new line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "send"),
        Binding("ctrl+j,shift+enter", "newline", "new line", key_display="^j"),
        Binding("ctrl+c", "copy_or_stop", "copy or stop", show=False),
        Binding("end", "end", "end", show=False),
        Binding("pageup", "app.read('up')", "read back", show=False),
        Binding("pagedown", "app.read('down')", "read on", show=False),
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

    async def action_end(self) -> None:
        """To the end of the line, and from there to the end of the conversation."""
        if self.cursor_at_end_of_line:
            await self.app.run_action("read('end')")
        else:
            self.action_cursor_line_end()

    def action_newline(self) -> None:
        self.insert("\n")

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":  # TextArea would insert a line break
            event.prevent_default()
            event.stop()
            self.action_submit()
        elif event.key not in ("ctrl+j", "shift+enter"):
            await super()._on_key(event)
