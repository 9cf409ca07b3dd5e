"""The conversations of rgchat, for commands: opened, and what the store has to say said; found by name or number."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..system.decoding import argument
from .common import say

if TYPE_CHECKING:
    from ..store import Conversation, Store


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[Store]:
    """The store in a directory. What is in memory only in the end is written elsewhere, and the exit code is 1 then."""
    from ..store import Store

    with Store(directory) as store:
        lost = ""
        try:
            yield store
        finally:
            lost = store.rescue()
            for sentence in (*store.notices, *filter(None, [lost])):
                say(sentence)
    if lost:
        sys.exit(1)


def found(store: Store, name: str) -> Conversation:
    """The conversation of a name, or of a number (3, or :3) where none has that name.

    Raises:
        RgmlxError: there is none, or there are several of this name.
    """
    from ..conversation import named

    name = argument(name, "the name").strip()
    row = named.only(store, name)
    rows = [row] if row is not None else named.of_number(store, name)
    if not rows:
        raise named.unknown(name)
    return rows[0]
