"""Conversations by name: begun or gone on with, in the file that rgchat lists. Knows the store and sessions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ChatError, RgmlxError
from ..store import Conversation, Store
from ..system import paths
from .replies import ReplySession

MAX_NAME_CHARS = 200


def check(name: str) -> None:
    """Raises RgmlxError: this can't be the name of a conversation."""
    if not name.strip() or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise RgmlxError(f"a conversation's name has 1 to {MAX_NAME_CHARS} characters on one line: choose another")


def opened(store: Store | str | Path | None) -> Store:
    """The store, that in a directory, or that of rgchat. Raises StoreError."""
    return store if isinstance(store, Store) else Store(paths.data() if store is None else store)


def find(store: Store, name: str) -> Conversation | None:
    """The conversation of this name; None where there is none. Raises ChatError: another program has it open."""
    rows = store.conversations.of_title(name.strip())
    if not rows:
        return None
    lock = store.lock(rows[0].id)
    if lock is None:
        raise _refusal(rows[0])
    lock.release()
    return rows[0]


def _refusal(row: Conversation) -> ChatError:
    return ChatError(f"“{row.title}” is open in another program: close it there, or choose another name")


def take(
    session: ReplySession, store: Store, name: str, *, system: str | None, sampling: Mapping[str, Any]
) -> dict[str, Any]:
    """Goes on with the conversation of this name in a session; a new one begins where there is none.

    Returns:
        Its settings, with `sampling` in their place.

    Raises:
        ChatError: another program has it open, or it has another system text.  StoreError.
    """
    made = store.conversations.find_or_create(
        name.strip(), session.name, system, {**session.new_settings(), **sampling}
    )
    if not session.open(made.id):
        raise _refusal(made)
    try:
        if system is not None and session.system != system:
            if session.head is not None:
                raise ChatError(f"“{made.title}” has another system text: leave yours out, or choose another name")
            session.set_system(system)
        if session.name and made.model != session.name and not store.read_only:
            store.conversations.set_model(made.id, session.name)
    except BaseException:
        session.close()
        raise
    return {**session.settings, **sampling}


def close(session: ReplySession, store: Store | None) -> None:
    """Ends a reply that is being written, and lets others have the conversation; closes the store."""
    try:
        if session.running is not None:
            session.end_reply(session.running)
    finally:
        session.close()
        if store is not None:
            store.close()
