"""Commands that open a screen of their own, and what becomes of the answers.

Knows the screens and the app; all else that a command does is in `actions`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rgmlx.conversation.session import Session
from rgmlx.store import Store
from rgmlx.weights.hub import is_repository, resolve

from . import operations
from .actions import Actions, Own
from .activity import Need
from .chatting import Chatting
from .finding import Finding
from .prompt.prompt import Prompt
from .screens.conversations import ConversationsScreen, Opened
from .screens.dialogs import Confirm
from .screens.guide import GET, GuideScreen
from .screens.help import HelpScreen
from .screens.history import HistoryScreen
from .screens.models import ModelsScreen
from .screens.queue import QueueScreen
from .screens.recall import RecallScreen
from .screens.settings import Changed, SettingsScreen, Values
from .screens.tree import Chosen, TreeScreen
from .settings import settings
from .themes import NAMES
from .titles import makes_titles


class DialogActions:
    """The commands that ask on other screens.

    Attributes:
        commands: by their names.
    """

    def __init__(self, app: Chatting, actions: Actions, finding: Finding) -> None:
        self.app, self._actions, self._finding = app, actions, finding
        self.commands: dict[str, Own] = {
            "help": self._help,
            "guide": self.guide,
            "history": self._history,
            "recall": self._recall,
            "queue": self._queue,
            "list": self._list,
            "tree": self._tree,
            "model": self._model,
            "settings": self._settings,
        }

    @property
    def session(self) -> Session:
        return self.app.session

    async def _help(self, _: str) -> None:
        if self.app.welcomes:  # whoever has seen nothing yet wants to know what this is; the guide has the help, too
            await self.guide()
        else:
            self.app.push_screen(HelpScreen(self.app.prompts.commands))

    async def guide(self, _: str = "") -> None:
        """Shows what this is; its answer may lead to the models."""

        def answered(answer: str | None) -> None:
            if answer == "models":
                self._choose_model(GET)

        self.app.push_screen(GuideScreen(), answered)

    async def _history(self, _: str) -> None:
        if self.app.history is not None:
            prompt = self.app.query_one(Prompt)
            self.app.push_screen(
                HistoryScreen(self.app.history, prompt.text if len(prompt.text) < 100 else ""),
                lambda text: prompt.replace_draft(text) if text is not None else None,
            )

    async def _recall(self, words: str) -> None:
        row, head = self.session.conversation, self.session.head
        if row is None or head is None:
            self.app.notify("Nothing was said yet: this conversation is empty.", timeout=3)
            return
        mark = None if self.app.busy else self.session.horizon()
        known = None if self.app.busy else mark.message + 1 if mark is not None else 0
        prompt = self.app.query_one(Prompt)

        def put(said: str | None) -> None:
            if said is not None:
                prompt.replace_draft(said + prompt.text)

        self.app.push_screen(RecallScreen(self.session.store, row.id, head.id, known, words), put)

    async def _queue(self, _: str) -> None:
        if not self.app.outbox.items:
            self.app.notify(self.app.outbox.about, timeout=4, markup=False)
            return

        def answered(answer: int | bool | None) -> None:
            if answer is True:
                self._actions.later(self.app.go_on())
            elif answer is not None:
                self.app.take_back(answer)

        self.app.push_screen(QueueScreen(self.app), answered)

    async def _list(self, _: str) -> None:
        current = self.session.conversation.id if self.session.conversation else None
        ended, self.app.ended_in = self.app.ended_in, None
        self.app.push_screen(
            ConversationsScreen(self.session.store, current, self.session.writes_in, ended),
            lambda opened: self._actions.later(self._listed(opened)),
        )

    async def _listed(self, opened: Opened | None) -> None:
        current = self.session.conversation
        if opened is not None and opened.message is not None:
            await self._show_hit(opened.conversation, opened.message, opened.words)
        elif opened is not None:
            await self._actions.open_conversation(opened.conversation)
        elif current is not None:
            now = self.session.store.conversations.get(current.id)
            if now.deleted is not None:
                self.session.begin()
                await self._actions.show_opened()
            else:
                operations.refresh(self.session)  # it may have another title
                self.app.show_status()

    async def _show_hit(self, number: int, message: int, words: Sequence[str]) -> None:
        """Marks what was found, where it was said; where the conversation stands does not change.

        What is not on the way there is looked at, until something is sent from it.
        """
        store, row, head = self.session.store, self.session.conversation, self.session.head
        here = row is not None and row.id == number and head is not None
        if not (here and head is not None and _leads(store, message, head.id)):
            if not self._actions.may(Need.PLACE):
                return
            stands = store.conversations.get(number).head
            passed = _leads(store, message, stands)
            await self._actions.open_conversation(number, None if passed else message)
            if not passed:
                where = "further on" if _leads(store, stands, message) else "on another branch"
                said = (
                    f"This was said {where}. The conversation stands where it stood until you send something from here."
                )
                self.app.notify(said, timeout=8)
        await self._finding.show(message, words)

    async def _tree(self, _: str) -> None:
        conversation, head = self.session.conversation, self.session.head
        if conversation is None:
            self.app.notify("There are no branches yet: this conversation is empty.", timeout=3)
            return
        self.app.push_screen(
            TreeScreen(self.session.store, conversation.id, head.id if head else None),
            lambda chosen: self._actions.later(self._chosen(chosen)),
        )

    async def _chosen(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        message = self.session.store.messages.get(chosen.message)
        if chosen.action == "copy":
            await self.app.copy_text(message.text)
        elif chosen.action == "edit":
            self._actions.edit_message(message)
        elif self._actions.may(Need.PLACE):
            await self._actions.arrive(self.app.navigation.checkout(message.id))
            if chosen.action in ("regenerate", "continue"):
                await self._actions.run(chosen.action, "")  # or once the model is there

    async def _model(self, name: str) -> None:
        if not name:
            self._choose_model()  # also to get one meanwhile
        elif self._actions.may(Need.ALONE):
            await self._change(name)
        else:
            self.app.take_up(f"/model {name}")

    def _choose_model(self, wanted: str = "") -> None:
        """Opens the list of models with the cursor at one of them, or at the one in use."""
        screen = ModelsScreen(self.session.name, self.app.getter, wanted)
        self.app.push_screen(screen, lambda chosen: self._actions.later(self._change(chosen)))

    async def _change(self, name: str | None) -> None:
        """Changes the model, after a question where there is something that the new one has to read."""
        if name is None or (name == self.session.name and self.session.ready) or not self._actions.may(Need.ALONE):
            return
        if not is_repository(name):
            resolve(name)  # a wrong name is a sentence now, not after a question
        if self.session.head is None:
            self._load(name)
            return
        question = (
            f"{name} knows nothing of this conversation yet: it will read it once, up to here. "
            f"What {self.session.name} remembers is kept, should you change back. Change the model?"
        )
        self.app.push_screen(Confirm(question, "Change"), lambda yes: self._load(name) if yes else None)

    def _load(self, name: str) -> None:
        if not self._actions.may(Need.ALONE):  # a reply may have begun since the list was opened
            return
        self.app.chosen_model = name  # a default once it is there
        self.app.load_model(name)

    async def _settings(self, _: str) -> None:
        values = Values.of(self.session.system, self.session.settings)
        names = (*NAMES, *self.app.defaults.themes)
        self.app.push_screen(
            SettingsScreen(
                values,
                self.session.own_settings(),
                system_fixed=self.session.head is not None,
                file=self.app.defaults_file,
                titles=makes_titles(self.app.defaults.titles, self.session.name),
                themes=[self.app.theme, *(one for one in names if one != self.app.theme)],
            ),
            lambda changed: self._actions.later(self._set(changed)),
        )

    async def _set(self, changed: Changed | None) -> None:
        if changed is None:
            return
        values = changed.values
        self.session.set_settings({**dict.fromkeys(settings.SAMPLING), **values.sampling})
        if values.system != self.session.system:
            self.session.set_system(values.system)
        if changed.titles is not None:
            self._actions.remember(titles=changed.titles)
        if changed.defaults:
            self.session.defaults, self.session.default_system = dict(values.sampling), values.system
            self._actions.remember(sampling=values.sampling, system=values.system)
        self.app.notify("These settings hold from the next reply on.", timeout=3)


def _leads(store: Store, message: int | None, to: int | None) -> bool:
    """Whether a message is on the path to another one."""
    return message is None or (to is not None and any(one == message for one, _ in store.messages.path_sizes(to)))
