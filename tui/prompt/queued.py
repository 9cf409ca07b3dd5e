"""What waits until the model is free, as a draft keeps it on the disk. Values only; nothing of widgets and files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST = 20
"""Messages and commands that wait in one conversation."""


@dataclass(frozen=True)
class Queued:
    """A message or a command that waits.

    Attributes:
        text: the message, as it was typed; or "".
        words: of a question of the command line, whose text has more in it than was typed; or "".
        editing: the number of the message that it takes the place of.
        command: the name of a command; or "".
        after: the number of the message that it comes after; None is the beginning.
        reply: it comes after the reply that was being written there, whichever that message has by then.
    """

    text: str = ""
    words: str = ""
    editing: int | None = None
    command: str = ""
    after: int | None = None
    reply: bool = False

    @property
    def said(self) -> str:
        """What it is, for people."""
        return f"/{self.command}" if self.command else self.text


def kept(queue: Sequence[Queued]) -> list[dict[str, Any]]:
    """A queue as JSON has it."""
    return [asdict(one) for one in queue]


def found(rows: Any) -> tuple[Queued, ...]:
    """The queue that a file has; what is not one of its rows is left out."""
    if not isinstance(rows, list):
        return ()
    return tuple(one for row in rows[:MOST] if isinstance(row, dict) and (one := _queued(row)) is not None)


def _queued(row: dict[str, Any]) -> Queued | None:
    text, words, command = (value if isinstance(value := row.get(key), str) else "" for key in _TEXTS)
    editing, after = (value if type(value := row.get(key)) is int and value > 0 else None for key in _NUMBERS)
    if not text.strip() and not command:
        return None
    return Queued(text, words, editing, command, after, row.get("reply") is True)


_TEXTS, _NUMBERS = ("text", "words", "command"), ("editing", "after")
