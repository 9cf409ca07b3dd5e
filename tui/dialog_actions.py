"""Commands that ask on a screen of their own, or for a file. The other half of `actions`."""

from __future__ import annotations

import asyncio
import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rgmlx.conversation import places
from rgmlx.conversation.navigation import Travel
from rgmlx.errors import RgmlxError
from rgmlx.store import Message
from rgmlx.system.formatting import sentence
from rgmlx.system.textfiles import exists, read_text, typed_path, write_text
from rgmlx.weights.hub import is_repository, resolve

from . import operations
from .activity import Activity, Need, Verdict, verdict
from .chatting import Chatting
from .prompt.prompt import Prompt
from .screens.conversations import ConversationsScreen, Opened
from .screens.dialogs import Confirm
from .screens.guide import GET, GuideScreen
from .screens.help import HelpScreen
from .screens.history import HistoryScreen
from .screens.models import ModelsScreen
from .screens.settings import Changed, SettingsScreen, Values
from .screens.tree import Chosen, TreeScreen
from .settings import settings

if TYPE_CHECKING:
    from rgmlx.conversation.session import Session


class DialogActions(ABC):
    """What is asked on other screens, and what becomes of the answers."""

    def __init__(self, app: Chatting) -> None:
        self.app = app
        self.trail = Travel(app.session)

    @property
    def session(self) -> Session:
        return self.app.session

    # --- what the other half does -----------------------------------------------------------

    @abstractmethod
    async def run(self, name: str, argument: str, typed: str = "") -> None:
        """Does what a command says."""

    @abstractmethod
    def edit_message(self, message: Message) -> None:
        """Puts a message's text into the prompt; what is sent then takes its place on a new branch."""

    @abstractmethod
    async def arrive(self, message: int | None) -> None:
        """One stands at another message now; the transcript shows what was said up to there."""

    @abstractmethod
    async def copy_text(self, text: str) -> None:
        """Puts a text on the clipboard, and says so."""

    # --- what is shown ----------------------------------------------------------------------

    async def say(self, text: str) -> None:
        """A sentence in the transcript."""
        await self.app.transcript.notice(sentence(text))

    async def show(self) -> None:
        """Shows the session's conversation, which is another one now, and brings the model there."""
        self.app.follow_draft()
        self.app.leave_place()
        self.app.find_place()
        row = self.session.conversation
        self.app.wanted_model = row.model if row is not None else ""
        await self.app.follow()
        await self.app.show_conversation()

    def _later(self, action: Any) -> None:
        """Does something after a screen was left, in turn with all else; what goes wrong is a sentence."""

        async def guarded() -> None:
            try:
                await action
            except RgmlxError as e:
                await self.say(str(e))

        self.app.call_next(guarded)

    def _may(self, need: Need) -> bool:
        """Whether something with this need can be done now; says why it can't."""
        if verdict(need, self.app.activity) is Verdict.RUN:
            return True
        self.app.notify(self.app.refusal, timeout=3, markup=False)
        return False

    # --- screens --------------------------------------------------------------------------

    def help(self) -> None:
        self.app.push_screen(HelpScreen())

    def guide(self) -> None:
        def answered(answer: str | None) -> None:
            if answer == "models":
                self._models(GET)

        self.app.push_screen(GuideScreen(), answered)

    def history(self) -> None:
        if self.app.history is not None:
            prompt = self.app.query_one(Prompt)
            self.app.push_screen(
                HistoryScreen(self.app.history, prompt.text if len(prompt.text) < 100 else ""),
                lambda text: prompt.replace_draft(text) if text is not None else None,
            )

    def list(self) -> None:
        current = self.session.conversation.id if self.session.conversation else None
        self.app.push_screen(
            ConversationsScreen(self.session.store, current, self.session.writes_in),
            lambda opened: self._later(self._listed(opened)),
        )

    async def _listed(self, opened: Opened | None) -> None:
        current = self.session.conversation
        if opened is not None:
            await self.open_conversation(opened.conversation, opened.message)
        elif current is not None:
            now = self.session.store.conversations.get(current.id)
            if now.deleted is not None:
                self.session.begin()
                await self.show()
            else:
                operations.refresh(self.session)  # it may have another title
                self.app.show_status()

    async def open_conversation(self, conversation: int, message: int | None = None) -> None:
        """Goes on with another conversation, loading its model if that is another one."""
        if not self._may(Need.PLACE):
            return
        if message is not None:
            message = places.after(self.session.store, message)
        if not self.session.open(conversation, message, peek=True):
            await self.say("Another rgchat has this conversation open: close it there first.")
            return
        await self.show()

    def tree(self) -> None:
        conversation, head = self.session.conversation, self.session.head
        if conversation is None:
            self.app.notify("There are no branches yet: this conversation is empty.", timeout=3)
            return
        self.app.push_screen(
            TreeScreen(self.session.store, conversation.id, head.id if head else None),
            lambda chosen: self._later(self._chosen(chosen)),
        )

    async def _chosen(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        message = self.session.store.messages.get(chosen.message)
        if chosen.action == "copy":
            await self.copy_text(message.text)
        elif chosen.action == "edit":
            self.edit_message(message)
        elif self._may(Need.PLACE):
            await self.arrive(self.trail.go(message.id))
            if chosen.action in ("regenerate", "continue"):
                await self.run(chosen.action, "")  # or once the model stands there

    def model(self, name: str) -> None:
        if name:
            self._later(self._model(name))
        else:
            self._models()

    def _models(self, wanted: str = "") -> None:
        """Opens the list of models with the cursor at one of them, or at the one in use."""
        screen = ModelsScreen(self.session.name, wanted)
        self.app.push_screen(screen, lambda chosen: self._later(self._model(chosen)))

    async def _model(self, name: str | None) -> None:
        if name is None or (name == self.session.name and self.session.ready):
            return
        if not is_repository(name):
            resolve(name)  # a wrong name is a sentence now, not after a question
        if self.session.head is None:
            self._change_model(name)
            return
        question = (
            f"{name} knows nothing of this conversation yet: it will read it once, up to here. "
            f"What {self.session.name} remembers is kept, should you change back. Change the model?"
        )
        self.app.push_screen(Confirm(question, "Change"), lambda yes: self._change_model(name) if yes else None)

    def _change_model(self, name: str) -> None:
        self.app.chosen_model = name  # a default once it is there
        self.app.load_model(name)

    def settings(self) -> None:
        values = Values.of(self.session.system, self.session.settings)
        self.app.push_screen(
            SettingsScreen(
                values,
                self.session.own_settings(),
                system_fixed=self.session.head is not None,
                file=self.app.defaults_file,
            ),
            lambda changed: self._later(self._settings(changed)),
        )

    async def _settings(self, changed: Changed | None) -> None:
        if changed is None:
            return
        values = changed.values
        self.session.set_settings({**dict.fromkeys(settings.SAMPLING), **values.sampling})
        if values.system != self.session.system:
            self.session.set_system(values.system)
        if changed.defaults:
            self.session.defaults, self.session.default_system = dict(values.sampling), values.system
            self.remember(sampling=values.sampling, system=values.system)
        self.app.notify("These settings hold from the next reply on.", timeout=3)

    def remember(self, **changes: Any) -> None:
        """Keeps defaults in the user's file; what can't be written is said."""
        self.app.defaults = dataclasses.replace(self.app.defaults, **changes)
        if self.app.defaults_file is None:
            return
        try:
            settings.save(self.app.defaults_file, self.app.defaults)
        except RgmlxError as e:
            self.app.notify(sentence(str(e)), severity="warning", markup=False)

    def where(self) -> str:
        """Where one stands, for the line above the prompt; "" at the end of a branch."""
        steps = self.trail.steps
        return f"Turn {steps.here} of {steps.of}" if steps else ""

    # --- files ----------------------------------------------------------------------------

    async def _to_new_file(self, name: str, write: Any) -> None:
        """Asks before a file is replaced, then writes it in a thread."""
        path = typed_path(name)
        if exists(path):
            self.app.push_screen(
                Confirm(f"{path} is there already. Replace it?", "Replace"),
                lambda yes: self._later(write(path)) if yes else None,
            )
        else:
            await write(path)

    async def _with_model(self, action: Callable[[], None]) -> bool:
        """Does something in the model's thread that uses its state, which is left alone meanwhile; false if it can't."""
        if not self._may(Need.ALONE):
            return False
        self.session.needs()
        self.app.machine.enter(Activity.FILING)
        try:
            await self.app.with_model(action)
        finally:
            self.app.machine.enter(Activity.IDLE)
        return True

    async def export(self, name: str) -> None:
        operations.conversation(self.session)

        async def write(path: Path) -> None:
            await asyncio.to_thread(lambda: write_text(path, operations.exported(self.session, path)))
            await self.say(f"Written: {path}")

        await self._to_new_file(name, write)

    async def import_(self, name: str) -> None:
        text = await asyncio.to_thread(read_text, typed_path(name))
        made = await asyncio.to_thread(self.session.store.exchange.from_json, text)
        await self.open_conversation(made.id)

    async def save(self, name: str) -> None:
        from rgmlx.conversation.rgstate import check_name, save_file

        operations.conversation(self.session)
        check_name(typed_path(name))

        async def write(path: Path) -> None:
            if await self._with_model(lambda: save_file(self.session, path)):
                await self.say(f"Written: {path}")
                await self.app.proceed()

        await self._to_new_file(name, write)

    async def open(self, name: str) -> None:
        from rgmlx.conversation.rgstate import open_file

        path = typed_path(name)
        if await self._with_model(lambda: open_file(self.session, path)):
            await self.show()
