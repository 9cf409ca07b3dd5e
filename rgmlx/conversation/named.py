"""Conversations by name: created or gone on with, in the file that rgchat lists. Knows the store and the chat."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ChatError, RgmlxError
from ..generation.language_model import LanguageModel
from ..generation.sampling import make_sampling
from ..store import Store
from ..system.paths import conversations_directory
from . import sampling_settings
from .replies import ReplySession

if TYPE_CHECKING:
    from .chat import Chat

MAX_NAME_CHARS = 200


def open_named(
    make: type[Chat],
    model: LanguageModel,
    name: str,
    *,
    system: str | None,
    store: Store | str | Path | None,
    snapshot_bytes: int,
    sampling: Mapping[str, Any],
) -> Chat:
    """The body of `Chat.open`, which describes it."""
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise RgmlxError(f"a conversation's name has 1 to {MAX_NAME_CHARS} characters on one line: choose another")
    make_sampling(sampling, model.sampling)  # refused before anything is on the disk
    kept = store if isinstance(store, Store) else Store(conversations_directory() if store is None else store)
    try:
        chat = make(model, system, store=kept, snapshot_bytes=snapshot_bytes, **sampling)
        session = chat._session
        made = kept.conversations.find_or_create(name, model.name or "", system, {**session.new_settings(), **sampling})
        if not session.open(made.id):
            raise ChatError(f"“{name}” is open in another program: close it there, or choose another name")
        try:
            if system is not None and session.system != system:
                if session.head is not None:
                    raise ChatError(f"“{name}” has another system text: leave yours out, or choose another name")
                session.set_system(system)
            if model.name and made.model != model.name and not kept.read_only:
                kept.conversations.set_model(made.id, model.name)
            stored = {**session.settings, **sampling}
            chat.sampling = sampling_settings.sampling(stored, model.sampling)
            chat.max_tokens = sampling_settings.max_tokens(stored)
        except BaseException:
            session.close()
            raise
    except BaseException:
        if kept is not store:
            kept.close()
        raise
    # At the latest when the program ends, or nobody has the chat any more.
    chat._closed = weakref.finalize(chat, _close, session, None if kept is store else kept)
    return chat


def _close(session: ReplySession, store: Store | None) -> None:
    try:
        if session.running is not None:
            session.end(session.running)
    finally:
        session.close()
        if store is not None:
            store.close()
