"""For tests: rgchat that writes down what keys do, in place of doing it. Run as a program, with a file to write into.

F9, F8 and F7 put it into a state of `STATES`; F11 writes down what is in the prompt and where the cursor is, and puts it
back into the state. F6 and F7 are keys of the prompt, which the chat itself does not bind.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from scripted import Scripted
from textual import on
from textual.binding import Binding, BindingType

from tui import app as module
from tui.actions import Actions
from tui.app import ChatApp
from tui.history import History
from tui.prompt import Prompt
from tui.screens.conversations import ConversationsScreen

LOG = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(mkdtemp()) / "log"
STATES = {"empty": "\x1b[20~", "text": "\x1b[19~", "list": "\x1b[18~"}
"""An empty prompt; one with a text and the cursor after its second word; the list of conversations."""
MARK = "\x1b[23~"
TEXT, COLUMN = "one two three", 7
SENT = "sent before"


def note(line: str) -> None:
    with LOG.open("a") as file:
        file.write(f"{line!r}\n")


class Noted(Actions):
    """The commands, each a line."""

    async def run(self, name: str, argument: str, typed: str = "") -> None:
        note(f"/{name}")


class NotedList(ConversationsScreen):
    """The list; what its keys do are lines."""

    def _do(self, change: object) -> None:
        raise AssertionError("nothing is done")

    def action_open(self) -> None: ...

    def action_rename(self) -> None:
        note("list rename")

    def action_archive(self) -> None:
        note("list archive")

    def action_show_archived(self) -> None:
        note("list archived")

    def action_delete(self) -> None:
        note("list delete")

    def action_export(self) -> None:
        note("list export")

    def action_import(self) -> None:
        note("list import")

    def action_undo(self) -> None:
        note("list undo")

    def action_leave(self) -> None:
        note("list leave")


class Pressed(ChatApp):
    """The chat, in which a reply is always being written."""

    CSS_PATH = Path(module.__file__).with_name("styles.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f9", "state('empty')", priority=True),
        Binding("f8", "state('text')", priority=True),
        Binding("f7", "state('list')", priority=True),
        Binding("f11", "mark", priority=True),
    ]
    state = "empty"

    @property
    def escape(self) -> str:
        return "stop"

    async def action_state(self, state: str) -> None:
        self.state = state
        await self._reset()
        note(f"in {state}")

    def action_mark(self) -> None:
        self.call_next(self._mark)  # in turn, as commands are

    async def _mark(self) -> None:
        prompt = self.query_one(Prompt)
        where = "" if self.state == "list" else f"{prompt.text}|{prompt.cursor_location[1]}"
        note(f"={where}")
        await self._reset()

    async def _reset(self) -> None:
        prompt = self.query_one(Prompt)
        prompt.load_text(TEXT if self.state == "text" else "")
        prompt.move_cursor((0, COLUMN if self.state == "text" else 0))
        prompt.focus()
        if self.state == "list" and len(self.screen_stack) == 1:
            await self.push_screen(NotedList(self.session.store))
        while self.state != "list" and len(self.screen_stack) > 1:
            await self.pop_screen()

    def action_suspend(self) -> None:
        note("suspend")

    async def action_stop(self) -> None:
        note("copy or stop")

    async def action_read(self, where: str) -> None:
        note(f"read {where}")

    def action_command_palette(self) -> None:
        note("palette")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("state", "mark"):
            return True
        return super().check_action(action, parameters)

    @on(Prompt.Submitted)
    def _note(self, event: Prompt.Submitted) -> None:
        event.prevent_default()
        note(f"sent {event.text}")


def main() -> None:
    history = History(None)
    history.add(SENT)
    session = Scripted(LOG.parent / "data")
    app = Pressed(session, history=history)
    app.actions = Noted(app)
    app.run()
    session.store.close()


if __name__ == "__main__":
    main()
