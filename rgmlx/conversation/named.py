"""Conversations by name: begun or gone on with, in the file that rgchat lists. Knows the store and sessions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ChatError, RgmlxError
from ..shell import typed
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


def only(store: Store, name: str) -> Conversation | None:
    """The conversation of this name, or that of a number (`:3`) where none is called so; None where a new one may begin.

    Raises:
        ChatError: several have this name, or none has this number.
    """
    name = name.strip()
    rows = store.conversations.of_title(name)
    number = name.removeprefix(":")
    if not rows and number != name and number.isascii() and number.isdecimal():
        rows = of_number(store, number)
        if not rows:
            raise unknown(name)
    if len(rows) > 1:
        numbers = ", ".join(f":{one.id}" for one in rows)
        raise ChatError(
            f"there are {len(rows)} conversations “{name}”: give the number of one, {numbers}", quotes=(name,)
        )
    return rows[0] if rows else None


def unknown(name: str) -> ChatError:
    """What to raise where there is no conversation of this name or number, and none may begin."""
    text = f"there is no conversation “{name}”: {typed('rgmlx sessions')} lists those there are"
    return ChatError(text, quotes=(name,))


def of_number(store: Store, number: str) -> list[Conversation]:
    """The conversation of this number that is not deleted, if there is one."""
    return [one for one in store.conversations.listed(archived=None) if str(one.id) == number]


def find(store: Store, name: str) -> Conversation | None:
    """What `only` finds. Raises ChatError: as there, or another program has it open."""
    row = only(store, name)
    if row is None:
        return None
    lock = store.lock(row.id)
    if lock is None:
        raise _refusal(row)
    lock.release()
    return row


def _refusal(row: Conversation) -> ChatError:
    return ChatError(f"“{row.title}” is open in another program: close it there, or choose another name")


def take(
    session: ReplySession, store: Store, name: str, *, system: str | None, sampling: Mapping[str, Any]
) -> dict[str, Any]:
    """Goes on with the conversation of this name in a session; a new one begins where there is none.

    Returns:
        Its settings, with `sampling` in their place.

    Raises:
        ChatError: several have this name, another program has it open, or it has another system text.  StoreError.
    """
    made = only(store, name) or store.conversations.find_or_create(
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
