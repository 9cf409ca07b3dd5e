"""Conversations in `.rgstate` files: the text with what the model remembers of it, to go on from for ever.

Knows sessions and the file's format in `rgmlx.turns`. For worker threads.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from rgmlx.errors import RgmlxError
from rgmlx.store import USER, StoreError

from .sampled import SETTINGS
from .session import TITLE_CHARS, Session


def save_file(session: Session, path: Path) -> None:
    """Writes the conversation up to where one stands, with the model's state, atomically.

    Raises:
        RgmlxError: no model is loaded, or the file can't be written; what was there before is unchanged.
    """
    from rgmlx.turns import NOW, SavedChat, Turn

    memory = session.needs()
    session.stand()
    messages = session.store.messages.path(session.head.id if session.head else None)
    turns = tuple(Turn(m.role, m.text, m.closed) for m in messages)
    SavedChat(turns, {NOW: memory.point}, session.system, vars(session.sampling(session.settings))).write(path)


def open_file(session: Session, path: Path) -> None:
    """Makes a conversation of a file and goes on with it; nothing is read again.

    Raises:
        RgmlxError: no model is loaded, the file is damaged or another model's, the disk is full; nothing was changed.
    """
    from rgmlx.turns import NOW, SavedChat

    if path.suffix.lower() in (".json", ".md"):
        raise RgmlxError(f"{path.name} is not a .rgstate file, which /save writes: /import reads .json")
    memory, store = session.needs(), session.store
    saved = SavedChat.read(path, memory.model)
    settings = {k: v for k, v in saved.sampling.items() if k in SETTINGS and v is not None}
    made = store.conversations.create(
        session.name, path.stem[:TITLE_CHARS], saved.system, {**session.new_settings(), **settings}
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
