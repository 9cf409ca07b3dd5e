"""Words that are looked for in the conversation on the screen, all of it, and a way through the places where they stand.

Knows the texts of the store, and the transcript that shows a place; where the conversation stands does not change.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
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
        if wanted is None or not found:
            self.app.notify(f"“{cut(printable(words), 40)}” is nowhere in this conversation.", timeout=4, markup=False)
            return
        await self._begin(wanted, found, len(found) - 1)

    async def show(self, message: int, words: Sequence[str]) -> None:
        """Marks the first place of a message of the path where one of these stands: of the first of them that does."""
        session = self.app.session
        text = printable((await asyncio.to_thread(session.store.messages.get, message)).text)
        patterns = [one for one in map(pattern, words) if one is not None]
        wanted = next((one for one in patterns if one.search(text)), None)
        if wanted is None:  # a word that the index knows in another form: the message itself is marked
            await self._begin(re.compile(re.escape(words[0])), [Hit(message, 0)], 0)
            return
        found = await asyncio.to_thread(hits, session, wanted)
        at = next((at for at, hit in enumerate(found) if hit.message == message), None)
        await self._begin(wanted, found if at is not None else [Hit(message, 0)], at or 0)

    async def _begin(self, wanted: re.Pattern[str], found: list[Hit], at: int) -> None:
        self._hits, self._at = found, at
        self.app.transcript.begin_finding(wanted)
        self.app.transcript.focus()
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
