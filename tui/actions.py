"""Runs commands on the screen, and shows what they come to.

Knows the app, the session and the table of commands. What is asked on other screens is in `dialog_actions`.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, assert_never

from rgmlx.conversation.session import Session
from rgmlx.errors import ChatError, RgmlxError
from rgmlx.store import MODEL, USER, Message
from rgmlx.system.formatting import sentence

from . import operations
from .activity import Activity, Need, Verdict, verdict
from .chatting import Chatting
from .commands import BY_NAME, Command, named, pressed, takes_nothing, unknown
from .outcomes import (
    Closed,
    Moved,
    Noted,
    Opened,
    Opens,
    Outcome,
    Renamed,
    Replaces,
    Runs,
    Said,
    Unmoved,
    Writes,
)
from .prompt.outbox import Waiting
from .prompt.prompt import Prompt
from .screens.dialogs import Confirm
from .settings import settings
from .settings.own_themes import unknown as unknown_theme
from .terminal.clipboard import code_blocks
from .themes import NAMES

AT_THE_END = "At the end of this branch"
T = TypeVar("T")
Own = Callable[[str], Awaitable[None]]
"""A command that the screen has in its own way; takes what follows the name."""


class Actions:
    """The commands of the screen.

    Attributes:
        own: those that are not the same in plain lines, by their names.
    """

    def __init__(self, app: Chatting) -> None:
        self.app = app
        self.own: dict[str, Own] = {
            "stop": self._stop,
            "edit": self._edit,
            "fix": self._fix,
            "copy": self._copy,
            "theme": self._theme,
            "quit": self._quit,
        }

    @property
    def session(self) -> Session:
        return self.app.session

    # --- running --------------------------------------------------------------------------

    async def run(self, name: str, argument: str, typed: str = "") -> None:
        """Does what a command says; what it can't do is a sentence, and the prompt has its text again.

        Args:
            typed: the text that was submitted; "" for a key or a choice.
        """
        command = BY_NAME.get(named(name))
        prompt = self.app.query_one(Prompt)
        if command is None:
            self.app.take_up(typed)
            await self.say(unknown(name, self.app.prompts.commands))
            return
        match verdict(command.needs, self.app.activity):
            case Verdict.REFUSE if self.app.activity is Activity.UNLOADED:
                self.app.take_up(typed)
                await self.say(self.app.refusal)
                return
            case Verdict.REFUSE:
                self.app.take_up(typed)
                self.app.refuse()
                return
            case Verdict.QUEUE if not argument:
                if self.app.queue(Waiting(command=name)):
                    prompt.accept(typed)
                else:
                    self.app.take_up(typed)
                return
            case _:
                pass
        if argument and not command.argument:
            self.app.take_up(typed)
            self.app.notify(takes_nothing(name), timeout=4, markup=False)
            return
        prompt.accept(typed)
        if command.needs_argument and not argument:
            self.ask_for_words(command)
            return
        try:
            if command.needs is Need.REPLY:
                self.app.note_place()
            if command.does is not None:
                await self.show(command.does(self.app, argument))
            else:
                await self.own[command.name](argument)
        except RgmlxError as e:
            await self.say(str(e))

    async def choose(self, command: Command) -> None:
        """Runs a command that was chosen from a list; a prompt of the user's is put into the prompt."""
        if command.name in BY_NAME:
            await self.run(command.name, "")
        else:
            self.app.query_one(Prompt).replace_draft(f"/{command.name} ")

    def ask_for_words(self, command: Command) -> None:
        """Puts a command into the prompt of which nothing else was given, and says what it needs."""
        self.app.query_one(Prompt).replace_draft(f"/{command.name} ")
        needs = f"/{command.name} needs {command.argument}: write it after the command."
        self.app.notify(needs, timeout=4, markup=False)

    def later(self, action: Awaitable[None]) -> None:
        """Does something after a screen was left, in turn with all else; what goes wrong is a sentence."""

        async def guarded() -> None:
            try:
                await action
            except RgmlxError as e:
                await self.say(str(e))

        self.app.call_next(guarded)

    def may(self, need: Need) -> bool:
        """Whether something with this need can be done now; says why it can't."""
        if verdict(need, self.app.activity) is Verdict.RUN:
            return True
        self.app.refuse()
        return False

    # --- showing --------------------------------------------------------------------------

    async def say(self, text: str) -> None:
        """A sentence in the transcript."""
        await self.app.transcript.notice(sentence(text))

    async def show(self, outcome: Outcome) -> None:
        """Shows what a command comes to, and does what is left to do. Raises RgmlxError."""
        match outcome:
            case Said(text):
                await self.say(text)
            case Noted(text) if "\n" in text:
                await self.app.transcript.notice(text)
            case Noted(text):
                self.app.notify(text, timeout=3, markup=False)
            case Renamed():
                self.app.show_status()
            case Moved(message):
                await self.arrive(message)
            case Unmoved(why):  # said beside, not in the conversation
                self.app.notify(sentence(why), timeout=2, markup=False)
            case Writes():
                await self._write(outcome)
            case Opens(conversation, message):
                await self.open_conversation(conversation, message)
            case Opened(how):
                await self.show_opened()
                if how:
                    await self.say(how)
            case Closed(deleted):
                await self.show_opened()
                if deleted:
                    self.app.notify("Deleted. /undelete brings it back.", timeout=6)
                else:
                    self.app.notify(f"It is kept in the archive: {pressed('list')}, then Ctrl+G lists it.", timeout=4)
            case Runs():
                await self._run_slowly(outcome)
            case Replaces(path, then):
                self.app.push_screen(
                    Confirm(f"{path} is there already. Replace it?", "Replace"),
                    lambda yes: self.later(self.show(then)) if yes else None,
                )
            case _:
                assert_never(outcome)

    async def _write(self, what: Writes) -> None:
        if what.again is not None:
            if not await self.app.transcript.cut(what.again.id):
                await self.app.show_conversation()
            await self.app.transcript.jump()
        reply = what.continued
        if reply is None:
            await self.app.begin(what.start)
        elif reply.parent is None or not await self.app.transcript.cut(reply.parent):
            await self.say("Its message is not at hand: go there with /tree first.")
        else:
            await self.app.begin(what.start, reply)

    async def _run_slowly(self, what: Runs) -> None:
        if not what.with_model:
            await self.show(await asyncio.to_thread(what.action))
        elif self.may(Need.ALONE):
            self.session.require_context()
            await self.show(await self._filed(what.action))
            await self.app.proceed()

    async def _filed(self, action: Callable[[], T]) -> T:
        """Does something in the model's thread that uses its state, which is left alone meanwhile."""
        self.app.machine.enter(Activity.FILING)
        try:
            return await self.app.with_model(action)
        finally:
            self.app.machine.enter(Activity.IDLE)

    async def arrive(self, message: int | None) -> None:
        """Shows that the current message is another one: the transcript has what was said up to there."""
        self.app.show_position(AT_THE_END)
        await self.app.follow()  # at once: whoever looks next finds the model on its way
        if message is None or self.session.at_running or not await self.app.transcript.cut(message):
            await self.app.show_conversation()
        self.app.show_status()

    async def open_conversation(self, conversation: int, message: int | None = None) -> None:
        """Goes on with another conversation, loading its model if that is another one. Raises ChatError: it can't be had."""
        if self.may(Need.PLACE):
            operations.open_conversation(self.session, conversation, message)
            await self.show_opened()

    async def show_opened(self) -> None:
        """Shows the session's conversation, which is another one now, and brings the model there."""
        self.app.follow_draft()
        self.app.leave_position()
        self.app.find_position()
        row = self.session.conversation
        self.app.machine.model = row.model if row is not None else ""
        await self.app.follow()
        await self.app.show_conversation()

    def edit_message(self, message: Message) -> None:
        """Puts a message's text into the prompt; what is sent then takes its place on a new branch."""
        self.app.begin_edit(message.text, message)

    def remember(self, **changes: Any) -> None:
        """Keeps defaults in the user's file; what can't be written is said."""
        self.app.defaults = dataclasses.replace(self.app.defaults, **changes)
        if self.app.defaults_file is None:
            return
        try:
            settings.save(self.app.defaults_file, self.app.defaults)
        except RgmlxError as e:
            self.app.notify(sentence(str(e)), severity="warning", markup=False)

    # --- what only the screen has ---------------------------------------------------------

    async def _stop(self, _: str) -> None:
        self.app.stop()

    async def _edit(self, _: str) -> None:
        self.edit_message(operations.last_message(self.session, USER))

    async def _fix(self, _: str) -> None:
        self.edit_message(operations.last_message(self.session, MODEL))

    async def _copy(self, what: str) -> None:
        head, store = self.session.head, self.session.store
        line = store.messages.path_sizes(head.id if head else None, 2)
        last = [store.messages.get(number) for number, _ in line]
        if what.startswith("code"):
            replies = [m for m in last if m.role == MODEL]
            if not replies:
                raise ChatError("there is no reply yet")
            blocks = [b for m in replies for b in code_blocks(m.text)]
            number = what.removeprefix("code").strip() or str(len(blocks))
            if not number.isdecimal() or not 0 < int(number) <= len(blocks):
                count = "one" if len(blocks) == 1 else f"{len(blocks)}"
                has = f"no such code block: it has {count}" if blocks else "no code block"
                raise ChatError(f"the last reply has {has}")
            text = blocks[int(number) - 1]
        elif what == "all" and self.session.conversation is not None:
            text = store.import_export.markdown(self.session.conversation.id)
        elif what in ("", "mine"):
            role = USER if what else MODEL
            text = next((m.text for m in last if m.role == role), "")
        else:
            await self.say("/copy copies the last reply; there is also /copy code, /copy mine and /copy all.")
            return
        await self.app.copy_text(text)

    async def _theme(self, name: str) -> None:
        names = [*NAMES, *self.app.defaults.themes]
        if not name:
            name = names[(names.index(self.app.theme) + 1) % len(names)] if self.app.theme in names else names[0]
        if name not in names:
            await self.say(unknown_theme(name, self.app.defaults.themes))
            return
        self.app.theme = name
        self.remember(theme=name)

    async def _quit(self, _: str) -> None:
        await self.app.leave()
