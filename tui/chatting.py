"""The chat as commands know it: what `actions` and `dialog_actions` may ask of the screen. `app.ChatApp` is it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

from .composing import Composing
from .prompt.history import History
from .settings.settings import Defaults
from .transcript.transcript import Transcript


class Chatting(Composing):
    """An app that shows one conversation.

    Attributes:
        defaults: settings as the user's file has them; changes are written to `defaults_file`.
        history: what was sent before.
        chosen_model: by the user, and not loaded yet.
        wanted_model: of the open conversation, to be loaded when the model that is there is free.
    """

    defaults: Defaults
    defaults_file: Path | None
    history: History | None
    chosen_model: str
    wanted_model: str

    @property
    @abstractmethod
    def transcript(self) -> Transcript:
        """What was said so far."""

    @property
    @abstractmethod
    def refusal(self) -> str:
        """Why something can't be done now."""

    @abstractmethod
    async def begin(self, start: Callable[[], Iterator[str]], text: str = "") -> None:
        """Has a reply written, after a text that it begins with."""

    @abstractmethod
    async def follow(self) -> None:
        """One stands elsewhere: the model comes there when it is free."""

    @abstractmethod
    async def proceed(self) -> None:
        """The model is free: it goes where the conversation on the screen stands, and then does what waits."""

    @abstractmethod
    async def show_conversation(self) -> None:
        """Shows the conversation as it stands, from the store alone; a reply that is written there as it goes on."""

    @abstractmethod
    def find_place(self) -> None:
        """Says where in the conversation one stands, if other messages follow."""

    @abstractmethod
    def show_place(self, position: str, *, further: bool) -> None:
        """Says where one stands; `further`: other messages follow."""

    @abstractmethod
    def leave_place(self) -> None:
        """One stands at the end again."""

    @abstractmethod
    async def leave(self) -> None:
        """Stops, waits until all is on the disk, and leaves."""
