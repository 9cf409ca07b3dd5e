"""What a command comes to: values that the screen and plain lines show, each in its way.

Knows no widgets, no streams and no commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rgmlx.store import Message


@dataclass(frozen=True)
class Said:
    """A sentence to say."""

    text: str


@dataclass(frozen=True)
class Noted:
    """What holds now, to be said as it is; in passing, where that can be done. Several lines are a list."""

    text: str


@dataclass(frozen=True)
class Renamed:
    """The conversation has this title now."""

    title: str


@dataclass(frozen=True)
class Moved:
    """The current message is another one; None is before the first."""

    message: int | None


@dataclass(frozen=True)
class Unmoved:
    """The current message stays, for this reason."""

    why: str


@dataclass(frozen=True)
class Writes:
    """The model is to write.

    Attributes:
        start: begins the reply; its pieces.
        again: the message that this is another reply to, which is the current one now.
        continued: the reply that is gone on with.
        endless: it goes on until it is stopped.
    """

    start: Callable[[], Iterator[str]]
    again: Message | None = None
    continued: Message | None = None
    endless: bool = False


@dataclass(frozen=True)
class Opens:
    """A conversation is to be opened, at a message if one is given."""

    conversation: int
    message: int | None = None


@dataclass(frozen=True)
class Opened:
    """Another conversation is open, for which the model is there: a new one, or one from a file.

    Attributes:
        how: what it begins with, to be said; or "".
    """

    how: str = ""


@dataclass(frozen=True)
class Closed:
    """The conversation is archived or deleted, and a new one is open."""

    deleted: bool


@dataclass(frozen=True)
class Runs:
    """Something slow, for a thread.

    Attributes:
        action: does it. Raises RgmlxError.
        with_model: it uses the model's state, so that it belongs into the model's thread.
        doing: what is being done, in a sentence; "" has the model say how far it is.
    """

    action: Callable[[], Outcome]
    with_model: bool = False
    doing: str = ""


@dataclass(frozen=True)
class Replaces:
    """A file of this name is there: whether it is to be replaced is to be asked before."""

    path: Path
    then: Runs


Outcome = Said | Noted | Renamed | Moved | Unmoved | Writes | Opens | Opened | Closed | Runs | Replaces
