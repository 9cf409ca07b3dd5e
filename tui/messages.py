"""What worker threads tell the screen."""

from __future__ import annotations

from textual.message import Message


class Loaded(Message):
    """The model and the kept conversation are there."""


class Ended(Message):
    """The running reply is over."""

    def __init__(self, seconds: float, tokens: int) -> None:
        super().__init__()
        self.seconds, self.tokens = seconds, tokens


class Failed(Message):
    """Something went wrong, in a sentence; the app goes on."""

    def __init__(self, sentence: str, fatal: bool = False) -> None:
        super().__init__()
        self.sentence, self.fatal = sentence, fatal
