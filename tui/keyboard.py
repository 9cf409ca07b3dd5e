"""What keys mean that belong to no single widget: typing anywhere, commands, Ctrl+C, undo and Ctrl+Z.

Knows which widget has the focus and what is selected; what a command does is in `actions`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar, Protocol

from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList, TextArea

from rgmlx.system.printable import printable

from .activity import STOPPABLE
from .commands import COMMANDS, PALETTE, keys_of, pressed, while_empty
from .prompt.prompt import Prompt
from .screens.guide import GuideScreen
from .terminal import keys, order, terminals
from .terminal.clipboard import copy
from .transcript.transcript import Transcript
from .workers import WorkerApp


class Runs(Protocol):
    """What runs a command by its name."""

    async def run(self, name: str, argument: str, typed: str = "") -> None: ...


class Keyboard(WorkerApp):
    """An app with a prompt on its first screen, to which all typing goes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+z", "suspend", "suspend", show=False, priority=True),
        Binding("ctrl+c", "copy_selected", "copy", show=False, priority=True),
        Binding("super+c", "copy_only", "copy", show=False, priority=True),
        Binding(keys.UNDO, "undo", "undo", show=False, priority=True),  # or it does not reach a modal screen
    ]
    actions: Runs

    async def on_event(self, event: events.Event) -> None:
        """Keys are handled in their order: one that means something here waits for those that a field was given."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self._wait_for_keys()
            await self._flush_next_callbacks()  # what they have set off
            if self._leaves_the_guide(event):
                self.screen.dismiss(None)
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded and self._is_for_prompt(event):
            self.screen.set_focus(self.query_one(Prompt))  # at once: the next key finds it there
        await super().on_event(event)

    async def _wait_for_keys(self) -> None:
        """Waits for a field, and where its screen is another also for what it has told that: Enter may leave it."""
        focused = self.focused
        if isinstance(focused, Prompt):
            await order.wait_for_keys(focused)
        elif isinstance(focused, Input | TextArea | OptionList):  # from a list, letters go to its search
            await order.wait_for_keys(*(node for node in focused.ancestors_with_self if node is not self))

    def _leaves_the_guide(self, event: events.Key | events.Paste) -> bool:
        """Whether something typed or pasted is for the prompt below the guide, which takes no text."""
        above = self.screen_stack[-1] if self.screen_stack else None
        if not isinstance(above, GuideScreen):
            return False
        return isinstance(event, events.Paste) or (event.is_printable and not above.takes(event.key))

    def _is_for_prompt(self, event: events.Key | events.Paste) -> bool:
        """Whether something typed or pasted belongs to the prompt, which has not the focus."""
        if len(self.screen_stack) != 1 or not self.screen.is_mounted or isinstance(self.focused, Prompt):
            return False
        if isinstance(event, events.Paste):
            return True
        if isinstance(self.focused, Transcript) and self.focused.takes(event.key):
            return False
        if event.is_printable:
            return True
        of_text = while_empty(event.key) is not None and bool(self.query_one(Prompt).text)
        return not any(
            event.key in bindings.key_to_bindings
            for node, bindings in self.screen._modal_binding_chain
            if not (of_text and node is self)
        )

    def action_command(self, name: str) -> None:
        """Gives a command. One after the other, whichever widget had the key: none finds another half done."""
        self.call_next(self.actions.run, name, "")

    def action_empty_command(self, name: str) -> None:
        """The same, by a key that stands for it while there is nothing in the prompt."""
        self.action_command(name)

    def press_while_empty(self, key: str) -> bool:
        """Gives the command that a key stands for in an empty prompt; false if there is none."""
        if (name := while_empty(key)) is not None:
            self.action_command(name)
        return name is not None

    def bind_keys(self, own: Iterable[str]) -> None:
        """Has keys of the user's mean commands (or the palette), and those that they had before nothing."""
        for name in own:
            action = "command_palette" if name == PALETTE else f"command('{name}')"
            known = self._bindings.key_to_bindings
            for key, there in list(known.items()):
                left = [one for one in there if one.action not in (action, f"empty_{action}")]
                known.pop(key)
                if left:
                    known[key] = left
            for key in keys_of(name):
                empty = while_empty(key) == name
                given = f"empty_{action}" if empty else action
                self._bindings.bind(key, given, name, show=False, priority=not empty and key != "escape")

    def get_key_display(self, binding: Binding) -> str:
        """The key of a command that reaches a program in this terminal."""
        command = next((one for one in COMMANDS if binding.action == f"command('{one.name}')"), None)
        if command is not None:
            binding = binding.with_key(terminals.here().best(command.all_keys))
        return super().get_key_display(binding)

    async def action_stop(self) -> None:
        """What Ctrl+C means where nothing is selected in the prompt: copies what is selected on the screen, else stops
        what runs, else clears the prompt, else says how to leave."""
        prompt = self.query_one(Prompt)
        if self.screen.get_selected_text():
            await self.action_copy_selected()
        elif self.activity in STOPPABLE:
            await self.actions.run("stop", "")
        elif prompt.text:
            prompt.clear_draft()
            self.notify("Cleared: Ctrl+_ brings it back.", timeout=3)
        else:
            self.action_command("stop")  # as Esc: an edit is left, say
            self.notify(f"{pressed('quit')} leaves; the conversation is kept.", timeout=3)

    async def action_copy_selected(self) -> None:
        """Copies what is selected on any screen, and says so; Textual's own key for it says nothing. On the first screen
        it is what it is in the prompt where nothing is selected."""
        text = self._selected
        if not text:
            await self.action_stop()
            return
        self.screen.clear_selection()
        await self.copy_text(text)

    async def action_copy_only(self) -> None:
        """Copies what is selected on any screen, and never stops anything: a Mac's Cmd+C."""
        await self.action_copy_selected()

    async def copy_text(self, text: str) -> None:
        """Puts a text on the clipboard, and says so."""
        self.notify(printable(await asyncio.to_thread(copy, self, text)), markup=False, timeout=3)

    def action_undo(self) -> None:
        """Takes back the last edit of a text on another screen; the prompt has the same keys."""
        assert isinstance(self.focused, TextArea)
        self.focused.undo()

    def action_by_word(self, side: str) -> None:
        """Moves by a word in a line or a text of another screen: what Option with an arrow is on a Mac."""
        if isinstance(self.focused, Input):
            getattr(self.focused, f"action_cursor_{side}_word")()
        elif isinstance(self.focused, TextArea):
            getattr(self.focused, f"action_cursor_word_{side}")()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The prompt handles its own keys, in their order."""
        if action == "copy_selected":
            return not isinstance(self.focused, Prompt) and (bool(self._selected) or len(self.screen_stack) == 1)
        if action == "copy_only":  # what is selected in the prompt is copied by the prompt
            return bool(self._selected) and not (isinstance(self.focused, Prompt) and self.focused.selected_text)
        if action == "undo":
            return not isinstance(self.focused, Prompt) and isinstance(self.focused, TextArea)
        if action == "by_word":
            return not isinstance(self.focused, Prompt) and isinstance(self.focused, Input | TextArea)
        return True

    @property
    def _selected(self) -> str:
        """What is selected where the focus is, or on the screen."""
        if isinstance(self.focused, Input | TextArea) and self.focused.selected_text:
            return self.focused.selected_text
        return self.screen.get_selected_text() or ""
