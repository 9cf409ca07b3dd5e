"""Which messages the transcript knows of: the newest, and those that were scrolled to, out of a store that has all.

Knows messages by their place and their parents, and where to ask for earlier ones; nothing of what is on the screen.
Texts are not kept here: a message's text is read when it is drawn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from rgmlx.store import Message as Stored

from .reply import Entry

PAGE = 20
"""Earlier messages that are asked for at once."""
FAR = 500
"""The same on the way to a place far back."""
MAX_KEPT = 200
"""Messages known of while the newest are being read."""


class MessageWindow:
    """A row of entries, numbered without a gap; what comes before the first is asked for when it is needed."""

    def __init__(
        self,
        earlier: Callable[[int, int], list[Stored]] = lambda message, count: [],
        text: Callable[[int], str] = lambda message: "",
    ) -> None:
        """
        Args:
            earlier: (message, count) -> the last `count` messages of the path to this one, itself included.
            text: (message) -> its text.
        """
        self._earlier, self._text = earlier, text
        self._entries: list[Entry] = []
        self._base = 0  # the number of the first
        self.model = "Assistant"  # its name

    @property
    def end(self) -> int:
        """The number that the next entry gets."""
        return self._base + len(self._entries)

    @property
    def last(self) -> Entry | None:
        return self._entries[-1] if self._entries else None

    def __reversed__(self) -> Iterator[Entry]:
        return reversed(self._entries)

    def entry(self, message: Stored, index: int | None = None) -> Entry:
        """An entry for a message of the store, not in the row yet."""
        return Entry(message.role, "", self.end if index is None else index, message, self._text, self.model)

    def restart(self, messages: Iterable[Stored]) -> None:
        """Knows of these only, and of what comes before them."""
        self._base, self._entries = 0, []
        for message in messages:
            self._entries.append(self.entry(message))

    def append(self, entry: Entry, keep: int) -> None:
        """Adds one at the end; forgets the oldest before number `keep` when there are too many."""
        self._entries.append(entry)
        surplus = min(len(self._entries) - MAX_KEPT, keep - self._base)
        if surplus > 0 and any(e.stored for e in self._entries[surplus:]):  # by which they are found again
            del self._entries[:surplus]
            self._base += surplus

    def settle(self, entry: Entry, message: Stored) -> None:
        """A reply has been written, and is in the store."""
        entry.settle(message, self._text)

    def remove(self, entry: Entry) -> None:
        """Takes one out; those after it move up."""
        del self._entries[entry.index - self._base]
        for index, other in enumerate(self._entries, self._base):
            other.index = index

    def cut(self, index: int) -> None:
        """Takes out all from this number on."""
        del self._entries[max(0, index - self._base) :]

    def find(self, message: int) -> Entry | None:
        """The entry of a message of the store, if it is known."""
        return next((e for e in reversed(self._entries) if e.stored is not None and e.stored.id == message), None)

    def now(self, entry: Entry) -> Entry | None:
        """What is in the row for a message that was in it once; None where that is not in it any more."""
        if entry.stored is not None:
            return self.find(entry.stored.id)
        return entry if any(one is entry for one in self._entries) else None

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def knows(self, entry: Entry) -> bool:
        """Whether it is in the row."""
        at = entry.index - self._base
        return 0 <= at < len(self._entries) and self._entries[at] is entry

    async def reach(self, message: int | None) -> Entry | None:
        """The entry of a message of this path (None: of the first), having asked for all that comes after it; None where
        there is none."""
        while True:
            found = None if message is None else self.find(message)
            first = self._first
            if found is not None or first is None or first.stored is None or first.stored.parent is None:
                return first if message is None else found
            parent = first.stored.parent
            earlier = await asyncio.to_thread(self._earlier, parent, FAR)
            if not earlier:
                return first if message is None else None
            if first is self._first:  # nobody else has asked meanwhile
                self._put_before(earlier)

    @property
    def _first(self) -> Entry | None:
        return next((e for e in self._entries if e.stored is not None), None)

    def before(self, entry: Entry) -> Entry | None:
        """The one before; asks for more where the first is reached."""
        if entry.index <= self._base:
            self._load()
        at = entry.index - self._base - 1
        return self._entries[at] if 0 <= at < len(self._entries) else None  # not in the row: its widget is about to go

    def after(self, entry: Entry) -> Entry | None:
        """The one after."""
        at = entry.index - self._base + 1
        return self._entries[at] if at < len(self._entries) else None

    def _load(self) -> None:
        first = self._first
        if first is not None and first.stored is not None and first.stored.parent is not None:
            self._put_before(self._earlier(first.stored.parent, PAGE))

    def _put_before(self, found: list[Stored]) -> None:
        self._base -= len(found)
        self._entries[:0] = [self.entry(message, index) for index, message in enumerate(found, self._base)]
