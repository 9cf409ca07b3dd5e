"""Matches conversations of another file with those of a store: by time and model, then by their messages.

Conversations that were made in the same moment, as an import makes them, differ in what was said. Hashes don't tell: after a
lost message those of all that follow are others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Set
from typing import Any

from ..text import as_number, as_text

_CHARS = 200
_ENOUGH = 2  # messages: the first alone may be the same in many
MessageKey = tuple[str, float, str]


def message_key(role: Any, created: Any, text: Any) -> MessageKey:
    """What tells a message from others: who wrote it, when, and how it begins."""
    return as_text(role), as_number(created), as_text(text)[:_CHARS]


def matching_conversation(
    target: sqlite3.Connection,
    said: Set[MessageKey],
    title: str,
    model: str,
    created: float | None,
    taken: Set[int],
) -> int | None:
    """The number of the conversation in a store that is the given one of another file; None where it has none.

    Args:
        said: the messages of this one.
        created: None where its row is lost; the model is not known then, and the messages say it all.
        taken: numbers of those that another conversation of the file is.

    Raises:
        sqlite3.Error: the store can't be read.
    """
    if created is None:
        sql = (
            "SELECT id, title FROM conversations v WHERE EXISTS (SELECT 1 FROM messages m WHERE m.conversation = v.id)"
        )
        candidates = target.execute(sql).fetchall() if said else []
    else:
        sql = "SELECT id, title FROM conversations WHERE created = ? AND model = ?"
        candidates = target.execute(sql, (created, model)).fetchall()
    best: tuple[int, bool, int] | None = None
    for number, known in candidates:
        if number in taken:
            continue
        sql = "SELECT role, created, substr(text, 1, ?) FROM messages WHERE conversation = ?"
        here = {message_key(*row) for row in target.execute(sql, (_CHARS, number))}
        shared, titled = len(said & here), as_text(known) == title
        # A title may have been changed since, and what was said by a few words only.
        fits = shared >= min(_ENOUGH, len(said), len(here)) if said and here else titled
        if fits and (best is None or (shared, titled) > best[:2]):
            best = shared, titled, number
    return None if best is None else best[2]
