"""Words that are looked for in the conversation on the screen, all of it, and a way through the places where they stand.

Knows the texts of the store, and the transcript that shows a place; where the conversation stands does not change.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from rgmlx.conversation.session import Session
from rgmlx.system.formatting import cut
from rgmlx.system.printable import printable

from .chatting import Chatting

MAX_HITS = 10_000
"""Places that are noted."""
_PAGE = 100  # messages that are read at once
_MAX_CHARS = 500  # of what is looked for


@dataclass(frozen=True)
class Hit:
    """A place: its message, and which of the places in that message it is, from 0."""

    message: int
    number: int


def pattern(words: str) -> re.Pattern[str] | None:
    """What finds words as they are given, in any case and however the lines break; None for none."""
    parts = printable(words)[:_MAX_CHARS].split()
    return re.compile(r"\s+".join(map(re.escape, parts)), re.IGNORECASE) if parts else None


def hits(session: Session, wanted: re.Pattern[str]) -> list[Hit]:
    """All places on the path to the current message, the first one first; the newest where there are too many."""
    found: list[Hit] = []
    messages, at = session.store.messages, session.head.id if session.head is not None else None
    while at is not None and len(found) < MAX_HITS:
        page = messages.window(at, _PAGE)
        for message in reversed(page):
            count = sum(1 for _ in wanted.finditer(printable(message.text)))
            found += [Hit(message.id, number) for number in reversed(range(count))]
        at = page[0].parent if page else None
    return found[:MAX_HITS][::-1]


class Finding:
    """The command, and its keys."""

    def __init__(self, app: Chatting) -> None:
        self.app = app
        self._hits: list[Hit] = []
        self._at = 0

    async def find(self, words: str) -> None:
        """Marks the last place where these words stand."""
        wanted = pattern(words)
        found = [] if wanted is None else await asyncio.to_thread(hits, self.app.session, wanted)
        transcript = self.app.transcript
        if wanted is None or not found:
            self.app.notify(f"“{cut(printable(words), 40)}” is nowhere in this conversation.", timeout=4, markup=False)
            return
        self._hits, self._at = found, len(found) - 1
        transcript.begin_finding(wanted)
        transcript.focus()
        await self.go(0)

    async def go(self, step: int) -> None:
        """Goes to the next place, or the one before; from the last to the first."""
        if not self._hits:
            return
        self._at = (self._at + step) % len(self._hits)
        hit, transcript = self._hits[self._at], self.app.transcript
        place = f"{self._at + 1:,} of {len(self._hits):,}"
        if not await transcript.show_hit(hit.message, hit.number, place):
            self.app.notify("This place is no longer in the conversation on the screen.", timeout=3)
