"""What the store's rows are to the program: a conversation, a message, who speaks. Knows no file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

USER, MODEL = "user", "model"
LOST = "(A message that stood here was lost when the file was damaged.)"
"""The text of a message of which nothing could be read."""
UNTITLED = "Recovered conversation"
"""The title of a conversation of which only messages could be read."""


@dataclass(frozen=True)
class Conversation:
    """One conversation. Times are seconds since 1970; `deleted` is None for one that is not; a pinned one leads the lists."""

    id: int
    title: str
    model: str
    system: str | None
    settings: dict[str, Any] = field(hash=False)
    created: float
    updated: float
    archived: bool
    deleted: float | None
    head: int | None
    pinned: bool = False


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        depth: messages before it on its path.
        closed: false for a reply that was cut short, or is still being written.
        streaming: still being written (or left so by a process that died; see `end_open_replies`).
        hash: of the system text and all messages up to this one; while it streams, of no use.
        number, siblings: it is the `number`-th, from 1, of so many messages with the same parent.
        damaged: the text is not what was written: its hash says so. Not known of a text that was read in part.
    """

    id: int
    conversation: int
    parent: int | None
    depth: int
    role: str
    text: str
    closed: bool
    streaming: bool
    hash: bytes
    created: float
    number: int
    siblings: int
    damaged: bool = False


def role_of(stored: Any, depth: Any) -> str:
    """Who speaks; where that was damaged, who would by the message's place."""
    if stored in (USER, MODEL):
        return str(stored)
    return MODEL if isinstance(depth, int) and depth % 2 else USER
