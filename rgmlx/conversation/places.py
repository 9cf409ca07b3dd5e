"""Places of a conversation that one may go to from here: the reply before, the one after, the other answers.

Knows the store's tree; neither models nor widgets. Messages are given by their numbers, None is before the first.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..store import MODEL, Message
from .storage import Storage


@dataclass(frozen=True)
class Steps:
    """How many replies there are up to here, and in all on this branch."""

    here: int
    of: int


def earlier(store: Storage, head: Message | None) -> int | None:
    """The reply before this place, or before the first message."""
    at = head.parent if head is not None else None
    while at is not None:
        message = store.messages.window(at, 1, chars=1)[0]
        if message.role == MODEL:
            return message.id
        at = message.parent
    return None


def after(store: Storage, message: int) -> int:
    """Where to stand to have this message read: at it, or at its newest reply for one of the user's."""
    if _is_reply(store, message):
        return message
    newest = reversed(store.messages.children(message))
    return next((child for child in newest if _is_reply(store, child)), message)


def later(store: Storage, head: int | None, tip: int) -> int | None:
    """The reply after this place on the way to the tip; the tip itself where there is none; None at the tip."""
    if head == tip:
        return None
    line = [number for number, _ in store.messages.path_sizes(tip)]
    ahead = line[: line.index(head)] if head in line else line
    # From here on: the next reply is near, the tip may be thousands of messages away.
    return next((number for number in reversed(ahead) if _is_reply(store, number)), tip)


def _is_reply(store: Storage, number: int) -> bool:
    return store.messages.window(number, 1, chars=1)[0].role == MODEL


def steps(store: Storage, head: int | None, tip: int) -> Steps:
    """Where one is on the way to the tip, counted in replies."""
    line = [number for number, _ in store.messages.path_sizes(tip)]
    here = 0 if head is None or head not in line else len(line) - line.index(head)
    return Steps((here + 1) // 2, (len(line) + 1) // 2)


def sibling(store: Storage, head: Message, by: int) -> int | None:
    """Another answer in place of this message: the tip of its branch. None where there is none on that side."""
    others = store.messages.siblings(head.id)
    at = others.index(head.id) + by
    return store.messages.tip(others[at]) if 0 <= at < len(others) else None
