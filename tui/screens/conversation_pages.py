"""Reads what the list of conversations shows: a page of them, or what a search finds.

Knows the store and what was asked for, and no widgets. All of it reads the disk: call it from a worker thread.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from rgmlx.errors import RgmlxError
from rgmlx.store import Conversation, Hit, Store

PAGE = 200
"""Conversations read at once."""


@dataclass(frozen=True)
class View:
    """What the list is to show. `goto` is a conversation to look for, wherever it is; `change` counts changes."""

    query: str = ""
    archived: bool = False
    page: int = 0
    goto: int | None = None
    change: int = 0


@dataclass(frozen=True)
class Page:
    """What was read for a view: conversations, each with what was found in it, and whether there are more."""

    number: int = 0
    found: list[tuple[Conversation, Hit | None]] = field(default_factory=list)
    more: bool = False
    failed: bool = False

    @property
    def span(self) -> str:
        """Which of all conversations these are."""
        return f"{self.number * PAGE + 1:,} to {self.number * PAGE + len(self.found):,}"


def read_page(store: Store, view: View) -> Page:
    """What there is to show. Raises StoreError."""
    return _find(store, view.query) if view.query else _list(store, view)


def _find(store: Store, query: str) -> Page:
    hits = store.search.find(query, PAGE + 1)
    known: dict[int, Conversation] = {}
    for hit in hits[:PAGE]:
        with contextlib.suppress(RgmlxError):  # another process has just purged it
            known[hit.conversation] = known.get(hit.conversation) or store.conversations.get(hit.conversation)
    return Page(0, [(known[h.conversation], h) for h in hits[:PAGE] if h.conversation in known], len(hits) > PAGE)


def _list(store: Store, view: View) -> Page:
    archived = None if view.archived else False
    number = view.page if view.goto is None else 0
    while True:
        found = store.conversations.listed(archived=archived, limit=PAGE + 1, after=number * PAGE, pinned_first=True)
        more = len(found) > PAGE
        if not found and number:
            number -= 1  # what was on the last page is gone
        elif view.goto is not None and more and all(one.id != view.goto for one in found[:PAGE]):
            number += 1
        else:
            return Page(number, [(one, None) for one in found[:PAGE]], more)
