"""Conversations in `.rgstate` files: the text with what the model remembers of it, to go on from for ever.

Knows sessions and the file's format in `rgmlx.conversation.turns`. For worker threads.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from ..errors import RgmlxError
from ..settings import OFFERED
from ..store import USER, StoreError
from . import sampling_settings
from .opened import NEW_TITLE_CHARS
from .session import Session


def check_name(path: Path) -> None:
    """Raises RgmlxError: this is not the name of a file to save to."""
    if path.suffix.lower() != ".rgstate":
        raise RgmlxError(
            f"{path} should end in .rgstate: /save writes what the model remembers, /export a text to read"
        )


def save_file(session: Session, path: Path) -> None:
    """Writes the conversation up to where one stands, with the model's state, atomically.

    Raises:
        RgmlxError: no model is loaded, the name has another ending, or the file can't be written; what was there before is unchanged.
    """
    from .turns import NOW, SavedChat, Turn

    check_name(path)
    memory = session.needs()
    session.stand()
    messages = session.store.messages.path(session.head.id if session.head else None)
    turns = tuple(Turn(m.role, m.text, m.closed) for m in messages)
    sampling, budget = vars(session.sampling(session.settings)), sampling_settings.max_tokens(session.settings)
    SavedChat(turns, {NOW: memory.point}, session.system, sampling, budget).write(path)


def open_file(session: Session, path: Path) -> None:
    """Makes a conversation of a file and goes on with it; nothing is read again.

    Raises:
        RgmlxError: no model is loaded, the file is damaged or another model's, the disk is full; nothing was changed.
    """
    from .turns import NOW, SavedChat

    if path.suffix.lower() in (".json", ".md"):
        raise RgmlxError(f"{path} is not a .rgstate file, which /save writes: /import reads .json")
    memory, store = session.needs(), session.store
    saved = SavedChat.read(path, memory.model)
    found = {**saved.sampling, "max_tokens": saved.max_tokens}
    settings = {k: v for k, v in found.items() if k in OFFERED and v is not None}
    made = store.conversations.create(
        session.name, path.stem[:NEW_TITLE_CHARS], saved.system, {**session.new_settings(), **settings}
    )
    last: int | None = None
    try:
        for turn in saved.turns:
            closed = turn.closed or turn.role == USER
            last = store.messages.add_finished(made.id, last, turn.role, turn.text, closed=closed, created=time.time())
        session.open(made.id, last)
    except StoreError:
        with contextlib.suppress(StoreError):  # half a conversation is not one to find in the list
            store.conversations.delete(made.id)
        raise
    memory.keep(last, saved.points[NOW].copy())
    if last is not None and (sentence := memory.save(last)):
        session.notices.append(sentence)
    session.measure()
