"""Conversations in `.rgstate` files: the text with what the model remembers of it, to go on from for ever.

Knows sessions and the file's format in `turns`. For worker threads.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RgmlxError
from ..settings import OFFERED, Sampling
from ..store import USER, StoreError
from . import sampling_settings
from .opened import NEW_TITLE_CHARS
from .replies import ReplySession

if TYPE_CHECKING:  # imported on use: the screen is there before MLX is
    from .turns import SavedChat, Turn

_BACK = 2
"""Of so many of the last turns the state before them is kept, too: to write them anew without reading."""


def check_name(path: Path) -> None:
    """Raises RgmlxError: this is not the name of a file to save to."""
    if path.suffix.lower() != ".rgstate":
        raise RgmlxError(
            f"{path} should end in .rgstate: /save writes what the model remembers, /export a text to read"
        )


def saved(session: ReplySession, sampling: Sampling, max_tokens: int | None, partial: Turn | None = None) -> SavedChat:
    """The conversation up to where one stands, with the model's states: now, and before the last turns.

    Args:
        partial: a reply that is being written, between two pieces of it: as far as it is delivered.

    Raises:
        RgmlxError: no model is loaded, or it can't be brought there.
    """
    from .turns import NOW, CachedState, SavedChat, Turn

    context = session.require_context()
    if partial is None:
        session.sync()
    messages = session.store.messages.path(session.head.id if session.head else None)
    cached = {NOW: context.cached if partial is None else CachedState(context.cached.state)}
    for index in range(max(len(messages) - _BACK, 1), len(messages)):
        if (before := context.kept(messages[index - 1].id)) is not None:
            cached[str(index)] = before
    turns = [Turn(m.role, m.text, m.closed) for m in messages]
    if partial is not None:
        turns[-1] = partial
    return SavedChat(tuple(turns), cached, session.system, vars(sampling), max_tokens)


def put(session: ReplySession, found: SavedChat) -> None:
    """Goes on with a saved conversation in the open, new one. Raises StoreError."""
    from .turns import NOW

    context, numbers = session.require_context(), add_turns(session, session.created().id, found.turns)
    session.checkout(numbers[-1] if numbers else None)
    _remember(session, found, numbers)
    context.set(numbers[-1] if numbers else None, found.cached[NOW].copy())


def save_file(session: ReplySession, path: Path) -> None:
    """Writes the conversation up to where one stands, with the model's state, atomically.

    Raises:
        RgmlxError: no model is loaded, the name has another ending, or the file can't be written; what was there before
            is unchanged.
    """
    check_name(path)
    settings = session.settings
    saved(session, session.sampling(settings), sampling_settings.max_tokens(settings)).write(path)


def open_file(session: ReplySession, path: Path) -> None:
    """Makes a conversation of a file and goes on with it; nothing is read again.

    Raises:
        RgmlxError: no model is loaded, the file is damaged or another model's, the disk is full; nothing was changed.
    """
    from .turns import NOW, SavedChat

    if path.suffix.lower() in (".json", ".md"):
        raise RgmlxError(f"{path} is not a .rgstate file, which /save writes: /import reads .json")
    context, store = session.require_context(), session.store
    found = SavedChat.read(path, context.model)
    said = {**found.sampling, "max_tokens": found.max_tokens}
    settings = {k: v for k, v in said.items() if k in OFFERED and v is not None}
    made = store.conversations.create(
        session.name, path.stem[:NEW_TITLE_CHARS], found.system, {**session.new_settings(), **settings}
    )
    try:
        numbers = add_turns(session, made.id, found.turns)
        session.open(made.id, numbers[-1] if numbers else None)
    except StoreError:
        with contextlib.suppress(StoreError):  # half a conversation is not one to find in the list
            store.conversations.delete(made.id)
        raise
    last = numbers[-1] if numbers else None
    _remember(session, found, numbers)
    context.set(last, found.cached[NOW].copy())
    if last is not None and (sentence := context.save(last)):
        session.notices.append(sentence)
    session.measure()


def add_turns(session: ReplySession, conversation: int, turns: Sequence[Turn], parent: int | None = None) -> list[int]:
    """The numbers of the messages that these turns are now, one after the other, behind `parent`. Raises StoreError."""
    numbers, add = list[int](), session.store.messages.add_finished
    for turn in turns:
        closed = turn.closed or turn.role == USER
        parent = add(conversation, parent, turn.role, turn.text, closed=closed, created=time.time())
        numbers.append(parent)
    return numbers


def _remember(session: ReplySession, found: SavedChat, numbers: Sequence[int]) -> None:
    """Keeps the states before turns as those after the messages that stand before them."""
    for name, cached in found.cached.items():
        if name.isdigit() and 0 < int(name) <= len(numbers):
            session.require_context().remember(numbers[int(name) - 1], cached)
