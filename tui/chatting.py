"""The chat as commands know it: what `actions` and `dialog_actions` may ask of the screen. `app.ChatApp` is it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

from rgmlx.conversation.navigation import Navigation
from rgmlx.store import Message as Stored

from .composing import Composing
from .getting import Getter
from .prompt.history import History
from .prompt.kept import KeptPrompts
from .settings.settings import Defaults
from .transcript.transcript import Transcript


class Chatting(Composing):
    """An app that shows one conversation.

    Attributes:
        defaults: settings as the user's file has them; changes are written to `defaults_file`.
        history: what was sent before.
        prompts: those that the user keeps as files.
        chosen_model: by the user, and not loaded yet.
        getter: has models got, behind the screen.
        navigation: where the current message is on its branch.
        ended_in: the conversation in which a reply has ended while another one was open, until the list was opened.
        welcomes: whether this is the first start, and nothing was said yet.
    """

    defaults: Defaults
    defaults_file: Path | None
    history: History | None
    prompts: KeptPrompts
    chosen_model: str
    getter: Getter
    navigation: Navigation
    ended_in: int | None = None

    @property
    @abstractmethod
    def transcript(self) -> Transcript:
        """What was said so far."""

    @property
    @abstractmethod
    def welcomes(self) -> bool: ...

    @property
    @abstractmethod
    def refusal(self) -> str:
        """Why something can't be done now."""

    @abstractmethod
    def refuse(self) -> None:
        """Says above the prompt why something can't be done now."""

    @abstractmethod
    async def begin(self, start: Callable[[], Iterator[str]], continued: Stored | None = None) -> None:
        """Has a reply written, or one that is there gone on with."""

    @abstractmethod
    async def follow(self) -> None:
        """Has the model go to the current message, which is another one now, when it is free."""

    @abstractmethod
    async def proceed(self) -> None:
        """Does what is due, if the model is free for it."""

    @abstractmethod
    async def go_on(self) -> None:
        """What is held of what waits goes on: now, or when the model is free."""

    @abstractmethod
    async def show_conversation(self) -> None:
        """Shows the conversation up to the current message, from the store alone; a reply that is written there as it goes on."""

    @abstractmethod
    def find_position(self) -> None:
        """Finds out whether other messages follow."""

    @abstractmethod
    def show_position(self, elsewhere: str = "") -> None:
        """Notes where the current message is on its branch; `elsewhere`: what to say where nothing follows."""

    @abstractmethod
    def leave_position(self) -> None:
        """Notes that the current message is the end of its branch again."""

    @abstractmethod
    async def leave(self) -> None:
        """Stops, waits until all is on the disk, and leaves."""
