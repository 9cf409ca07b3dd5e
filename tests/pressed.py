"""For tests: rgchat that writes down what keys do, in place of doing it. Run as a program, with a file to write into.

F9 puts it into the state that the file of `WANTED` names; F11 writes down what is in the prompt, where the cursor is and
what is selected, and puts it back into the state.
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
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.widgets.text_area import Selection

from tui import app as module
from tui import keyboard
from tui.actions import Actions
from tui.app import ChatApp
from tui.composing import Escape
from tui.prompt import prompt as prompts
from tui.prompt.history import History
from tui.prompt.prompt import Prompt
from tui.screens.conversations import ConversationsScreen
from tui.screens.tree import TreeScreen

LOG = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(mkdtemp()) / "log"
WANTED = "wanted"
"""A file beside LOG."""
TO_STATE, MARK = "\x1b[20~", "\x1b[23~"
TEXT, COLUMN = "one two three", 7
LINES = "one two\nthree four\nfive"
PROMPTS = {
    "empty": ("", (0, 0)),
    "text": (TEXT, (0, COLUMN)),
    "selected": (TEXT, (0, COLUMN)),  # the second word
    "lines": (LINES, (1, 5)),
    "typed": (TEXT, (0, len(TEXT))),  # the third word can be undone
    "undone": (TEXT[:COLUMN], (0, COLUMN)),  # and was
}
"""States in which the prompt has the keys: what is in it, and where the cursor is."""
SCREENS = ("tree", "settings", "models", "history", "help", "guide", "palette")
"""States in which a screen has them, which is opened again when it was left. The list of conversations is one more."""
SENT = "sent before"


def note(line: str) -> None:
    with LOG.open("a") as file:
        file.write(f"{line!r}\n")


class Noted(Actions):
    """The commands, each a line."""

    async def run(self, name: str, argument: str, typed: str = "") -> None:
        note(f"/{name}")


def noted_copy(app: object, text: str) -> str:
    note(f"copied {text}")
    return "Copied."


class NotedList(ConversationsScreen):
    """The list; what its keys do are lines."""

    def _do(self, change: object) -> None:
        raise AssertionError("nothing is done")

    def action_open(self) -> None: ...

    def action_rename(self) -> None:
        note("list rename")

    def action_pin(self) -> None:
        note("list pin")

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
        Binding("f9", "state", priority=True),
        Binding("f11", "mark", priority=True),
    ]
    state = "empty"
    leaving = False

    @property
    def escape(self) -> Escape:
        return Escape.STOP

    def stop(self) -> None:
        note("/stop")

    async def action_state(self) -> None:
        self.leaving = True
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        self.leaving = False
        self.state = LOG.with_name(WANTED).read_text()
        await self._reset()
        note(f"in {self.state}")

    def pop_screen(self) -> AwaitComplete:
        if not self.leaving:
            note(f"{self.state} left")
        return super().pop_screen()

    def action_mark(self) -> None:
        self.call_next(self._mark)  # in turn, as commands are

    async def _mark(self) -> None:
        prompt = self.screen_stack[0].query_one(Prompt)
        row, column = prompt.cursor_location
        selected = f"[{prompt.selected_text}]" if prompt.selected_text else ""
        note(f"={prompt.text}|{f'{row}:' if row else ''}{column}{selected}" if self.state in PROMPTS else "=")
        await self._reset()

    async def _reset(self) -> None:
        if self.state in PROMPTS:
            self._put(*PROMPTS[self.state])
        elif len(self.screen_stack) == 1:
            await self._open()

    def _put(self, text: str, cursor: tuple[int, int]) -> None:
        prompt = self.query_one(Prompt)
        prompt.load_text(text)
        prompt.move_cursor(cursor)
        if self.state in ("typed", "undone"):
            prompt.load_text(TEXT[:COLUMN])
            prompt.history.checkpoint()
            prompt._replace_via_keyboard(TEXT[COLUMN:], (0, COLUMN), (0, COLUMN))
            prompt.move_cursor((0, len(TEXT)))
        if self.state == "undone":
            prompt.undo()
        if self.state == "selected":
            prompt.selection = Selection((0, TEXT.index("two")), cursor)
        prompt.focus()

    async def _open(self) -> None:
        if self.state == "list":
            await self.push_screen(NotedList(self.session.store))
        elif self.state == "tree":
            [conversation] = self.session.store.conversations.listed()
            await self.push_screen(TreeScreen(self.session.store, conversation.id, None))
        elif self.state == "palette":
            super().action_command_palette()
        elif self.state == "models":
            await self.dialogs.commands["model"]("")
        else:
            await self.dialogs.commands[self.state]("")

    def action_suspend(self) -> None:
        note("suspend")

    async def action_stop(self) -> None:
        note("copy or stop")

    async def action_read(self, where: str) -> None:
        note(f"read {where}")

    def action_command_palette(self) -> None:
        note("palette")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("state", "mark"):  # above any screen, too
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
    asked = session.store.messages.add_user(session.store.conversations.create("demo").id, None, SENT)
    assert asked.text == SENT  # a conversation for the tree
    for used in (prompts, keyboard):
        used.copy = noted_copy  # type: ignore[assignment]
    app = Pressed(session, history=history)
    app.actions = Noted(app)
    app.run()
    session.store.close()


if __name__ == "__main__":
    main()
