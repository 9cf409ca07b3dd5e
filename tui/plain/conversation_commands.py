"""The commands that list conversations and open them by their numbers.

Knows which number in the last list is which conversation; what is done to one is in `operations`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rgmlx.errors import RgmlxError
from rgmlx.system.formatting import when

from .. import operations
from ..outcomes import Opens
from .output import Output, short, title
from .showing import Showing

ROWS = 30


class ConversationCommands:
    """The conversations, by their numbers in the last list.

    Attributes:
        commands: by their names; each takes what follows the name.
    """

    def __init__(self, output: Output, showing: Showing) -> None:
        self._output, self._showing = output, showing
        self._session, self._store = output.session, output.store
        self._listed: list[tuple[int, int | None]] = []  # conversations and messages by their numbers, from 1
        self.commands: dict[str, Callable[[str], None]] = {"list": self._list, "find": self._find, "open": self._open}

    def _list(self, _: str) -> None:
        found = self._store.conversations.listed(limit=ROWS + 1, pinned_first=True)
        self._listed = [(one.id, None) for one in found[:ROWS]]
        current, now = self._session.conversation, time.time()
        for number, one in enumerate(found[:ROWS], 1):
            here = ", open here" if current is not None and current.id == one.id else ""
            pinned = ", pinned" * one.pinned
            self._output.line(f"{number}. {title(one.title)}, {when(one.updated, now)}{pinned}{here}")
        self._after_list(len(found), f"These are the first {ROWS}: /find TEXT finds the others.")

    def _find(self, text: str) -> None:
        hits = self._store.search.find(text, ROWS + 1)
        self._listed = [(hit.conversation, hit.message) for hit in hits[:ROWS]]
        for number, hit in enumerate(hits[:ROWS], 1):
            said = f": {short(''.join(part for part, _ in hit.snippet), 200)}" if hit.message is not None else ""
            self._output.line(f"{number}. {title(hit.title)}{said}")
        self._after_list(len(hits), f"These are the first {ROWS}: add a word to find fewer.")

    def _after_list(self, count: int, more: str) -> None:
        one = "/open and a number goes on with one."
        self._output.say("There are none." if not count else more if count > ROWS else one)

    def _open(self, what: str) -> None:
        if not (what.isascii() and what.isdecimal()):
            self._showing.show(operations.open_file(self._output, what))
            return
        if not self._listed:
            found = self._store.conversations.listed(limit=ROWS, pinned_first=True)
            self._listed = [(one.id, None) for one in found]
        if len(what) > 4 or not 0 < int(what) <= len(self._listed):
            raise RgmlxError(f"there is no number {what[:20]} in the list: /list shows it", quotes=(what[:20],))
        conversation, message = self._listed[int(what) - 1]
        if self._store.conversations.get(conversation).deleted is not None:
            raise RgmlxError("this conversation was deleted: /undelete brings the last one back")
        self._showing.show(Opens(conversation, message))
