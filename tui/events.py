"""What worker threads tell the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from rgmlx.conversation.context import Horizon


class Loaded(Message):
    """The model is there."""


class Synced(Message):
    """The model is at the current message: so many tokens were read again for it, in so many seconds."""

    def __init__(self, tokens: int, seconds: float, horizon: Horizon | None) -> None:
        super().__init__()
        self.tokens, self.seconds, self.horizon = tokens, seconds, horizon


class Titled(Message):
    """A conversation has a title that the model made."""


class Ended(Message):
    """The running reply is over."""

    def __init__(self, horizon: Horizon | None) -> None:
        super().__init__()
        self.horizon = horizon


class Failed(Message):
    """Something went wrong, in a sentence; the app goes on.

    `of`: what failed, "load", "sync" or "write".
    """

    def __init__(self, sentence: str, of: str) -> None:
        super().__init__()
        self.sentence, self.of = sentence, of


class Got(Message):
    """A model that is got behind the screen is here, or is not to be had, or waits for an answer."""
