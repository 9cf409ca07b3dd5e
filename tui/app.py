"""The chat's app: what is on its screen, its keys, and how it begins and ends.

Knows which parts there are. What comes after what is in `flow`, how a conversation looks in `conversation_view`, what is
typed and not sent in `composing`, what a command does in `actions`.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult, InvalidThemeError
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Static

from rgmlx.conversation.session import Session
from rgmlx.store import MODEL

from . import themes
from .actions import Actions
from .activity import Activity
from .commands import COMMANDS as TABLE
from .commands import GIVEN_KEYS, OFFERED, use_keys
from .composing import Escape
from .dialog_actions import DialogActions
from .flow import Flow
from .key_line import KeyLine
from .marked import MarkedActions
from .palette import Palette
from .prompt.completions import Completions
from .prompt.drafts import Drafts
from .prompt.history import History
from .prompt.kept import KeptPrompts
from .prompt.prompt import Prompt
from .question import Question
from .settings import own_keys
from .settings.settings import Defaults
from .sitting import ThisSitting
from .terminal import textual_fixes
from .transcript.message_window import MessageWindow
from .transcript.parts import KEPT_CHARS
from .transcript.said import Said
from .transcript.transcript import Transcript

EXIT_SECONDS = 1.0
"""After so long it is left in any case: what a screen was to do after it was drawn goes with it, where it is left meanwhile."""


class ChatApp(Flow):
    """One conversation on one screen."""

    TITLE = "rgchat"
    CSS_PATH = "styles.tcss"
    COMMANDS: ClassVar = {Palette}
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            ",".join(command.keys),
            f"command('{command.name}')",
            command.name,
            show=False,
            priority=command.key != "escape",
        )
        for command in TABLE
        if command.keys
    ]
    BINDINGS += [
        Binding(",".join(command.while_empty), f"empty_command('{command.name}')", command.name, show=False)
        for command in TABLE
        if command.while_empty
    ]
    BINDINGS += [
        Binding(f"alt+{side}", f"by_word('{side}')", "by a word", show=False, priority=True)
        for side in ("left", "right")
    ]
    BINDINGS += [
        Binding("escape", f"escape('{what.value}')", what.value, show=False)
        for what in (Escape.LEAVE_EDIT, Escape.TAKE_BACK)
    ]

    def __init__(
        self,
        session: Session,
        *,
        defaults: Defaults | None = None,
        defaults_file: Path | None = None,
        file: Path | None = None,
        question: Question | None = None,
        history: History | None = None,
        drafts: Drafts | None = None,
        prompts: KeptPrompts | None = None,
        first: bool = False,
    ) -> None:
        """
        Args:
            defaults: settings as the user's file has them; changes are written to `defaults_file`.
            file: a `.rgstate` file to go on from, once the model is there.
            question: what to send then.
            history: what was sent before.
            drafts: what was typed before, and not sent.
            prompts: those that the user keeps as files.
            first: this is the first start.
        """
        textual_fixes.forget_removed_widgets()
        textual_fixes.outlive_the_terminal()
        textual_fixes.type_all_text()
        textual_fixes.leave_screens_once()
        textual_fixes.end_workers_first()
        textual_fixes.keep_the_order_in_the_palette()
        textual_fixes.wrap_in_no_columns()
        textual_fixes.style_footer_keys_once()
        textual_fixes.lay_out_inline_for_the_terminal()
        self.defaults, self.defaults_file = defaults or Defaults(), defaults_file  # first: the styles need them
        super().__init__(session, drafts=drafts, file=file, question=question)
        keys, problems = own_keys.read(self.defaults.keys, GIVEN_KEYS)
        session.notices += [f"{defaults_file}: {problem}." for problem in problems]
        use_keys(keys)
        self.bind_keys(keys)
        self.calls, self.copies_selection = self.defaults.notify, self.defaults.copies_selection
        self.history, self.prompts = history, prompts or KeptPrompts()
        self.actions = Actions(self)
        self.marked = MarkedActions(self, self.actions)
        self.dialogs = DialogActions(self, self.actions, self.marked.finding)
        self.actions.own |= self.dialogs.commands | self.marked.commands
        self.first_theme = ""  # instead of that of the defaults
        self.first = first

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {"text-width": str(self.defaults.text_width)}

    def get_default_screen(self) -> Screen[None]:
        """Its prompt has the keys from the start: whatever had them before would be drawn with them and without."""
        screen = Screen[None](id="_default")
        screen.AUTO_FOCUS = "#prompt"  # type: ignore[misc]
        return screen

    def compose(self) -> ComposeResult:
        yield Static(id="title")
        window = MessageWindow(
            lambda message, count: self.session.store.messages.window(message, count, chars=KEPT_CHARS),
            lambda message: self.session.store.messages.window(message, 1, chars=KEPT_CHARS)[0].text,
        )
        yield Transcript(window)
        yield Static(id="position")
        yield Completions()
        prompt = Prompt(self.history, id="prompt")
        prompt.commands = [*OFFERED, *self.prompts.offered]
        prompt.recall = self.take_back
        prompt.in_editor = lambda: self.action_command("editor")
        prompt.at_edge = lambda: self.action_command("mark")
        prompt.empty = self.enter_alone
        prompt.when_empty = self.press_while_empty
        yield self.outbox
        yield prompt
        yield Static(id="status")
        yield KeyLine()

    def on_load(self) -> None:
        """The theme comes before the widgets: they find their styles once."""
        themes.register(self, self.defaults.themes)
        with contextlib.suppress(InvalidThemeError):  # one that an older version knew
            self.theme = self.first_theme or self.defaults.theme

    async def on_mount(self) -> None:
        self.query_one(Prompt).focus()
        if self.is_inline:
            await self.grow_with(self.transcript, Said(ThisSitting(self.session)))
        self.restore_draft()  # before what waits is one
        self.ask_first()
        await self.show_conversation()
        self.find_position()
        self.load_model()
        self.watch_terminal()

    def on_resize(self) -> None:
        self.call_after_refresh(self.show_status)

    async def on_unmount(self) -> None:
        await asyncio.to_thread(self.getter.end)
        await asyncio.to_thread(self.end_work)
        self.drafts.close()
        self.session.close()

    # --- keys -----------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys of an empty prompt are the text's while there is one; a screen above has keys of its own."""
        if action == "empty_command":
            return len(self.screen_stack) == 1 and not self.query_one(Prompt).text
        if action == "command" and len(self.screen_stack) > 1:
            return parameters == ("quit",)  # a screen above has keys of its own
        if action == "command" and parameters == ("stop",):
            return self.escape is Escape.STOP
        if action == "escape":
            return self.escape.value == parameters[0] and len(self.screen_stack) == 1
        return super().check_action(action, parameters)

    def action_command(self, name: str) -> None:
        """Gives a command; the key that stops finds out in its turn what it does now."""
        self.call_next(self.press_escape) if name == "stop" else super().action_command(name)

    def action_escape(self, what: str) -> None:
        """What Esc does besides stopping."""
        self.call_next(self.press_escape)

    def action_marked(self, what: str) -> None:
        """Does something with what is marked, in turn with all else."""
        self.call_next(self.marked.do, what)

    @on(Transcript.Left)
    def _left_the_transcript(self) -> None:
        self.marked.leave()

    async def action_read(self, where: str) -> None:
        """Scrolls the transcript from the prompt: a page up or down, or to the end."""
        if where == "end":
            await self.transcript.jump()
        elif where == "up":
            self.transcript.scroll_page_up()
        else:
            self.transcript.scroll_page_down()

    async def leave(self) -> None:
        """Stops, waits until all is on the disk, and leaves."""
        self.machine.leaving = True
        self.keep_draft()
        behind = self.written if self.activity is Activity.BEHIND else None
        self.session.stop()
        status = self.query_one("#status", Static)
        if any(w.group == "model" for w in self.workers):
            status.update("saving ...")
            await asyncio.to_thread(self.end_work)
        if self.session.store.all_saved:  # else where it is kept is said when the screen is gone
            status.update("The conversation is kept.")
        head = self.session.head
        await self.transcript.end_reply(head if head is not None and head.role == MODEL else None)
        if behind is not None and behind.head is not None and behind.head.role == MODEL:
            self.transcript.heard(behind.head)
        await self.leave_inline()
        self.call_after_refresh(self._exit_once)
        self.set_timer(EXIT_SECONDS, self._exit_once)

    def _exit_once(self) -> None:
        if not self._exit:
            self.exit(return_code=self._exit_code)
