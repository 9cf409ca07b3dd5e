"""Where the mark may stand: at a message, and at each block of code of a reply.

Knows entries and their parts, and which of them have code; nothing of what is mounted. A block that is cut between two
parts is one stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rgmlx.store import MODEL
from rgmlx.system.printable import printable

from ..terminal.clipboard import fences
from .message_window import MessageWindow
from .reply import NOTICE, Entry

_SAME = 60  # characters by which a block is known again


@dataclass(frozen=True)
class Stop:
    """A message, or the block of code of it with this number, from 0."""

    entry: Entry
    block: int | None = None


@lru_cache(maxsize=256)  # of parts, none of which is long
def _fences(part: str) -> int:
    may = "```" in part or "~~~" in part or "\n    " in part or "\t" in part or part.startswith("    ")
    return len(fences(part)) if may else 0


def places(entry: Entry) -> list[tuple[int, int]]:
    """Where each block of code of a message begins: its part, and which of that part's blocks it is."""
    found: list[tuple[int, int]] = []
    if entry.role != MODEL:
        return found
    goes_on = False
    for number in range(entry.parts.first, entry.parts.end):
        count = _fences(entry.parts[number])
        found += [(number, which) for which in range(int(goes_on and count > 0), count)]
        goes_on = entry.parts.cuts_code(number)
    return found


def begins(stop: Stop) -> tuple[int, int] | None:
    """The part in which a stop begins, and which of its blocks it is (-1: none); None: there is no such block any more."""
    if stop.block is None:
        return stop.entry.first, -1
    there = places(stop.entry)
    return there[stop.block] if stop.block < len(there) else None


def pieces(stop: Stop) -> list[tuple[int, int]]:
    """All places of a block that is cut between parts."""
    at = begins(stop)
    if at is None or at[1] < 0:
        return []
    found = [at]
    while stop.entry.parts.cuts_code(at[0]) and at[1] == _fences(stop.entry.parts[at[0]]) - 1:
        at = at[0] + 1, 0
        found.append(at)
    return found


def after(entries: MessageWindow, stop: Stop) -> Stop | None:
    """The next stop; None at the last."""
    number = 0 if stop.block is None else stop.block + 1
    if number < len(places(stop.entry)):
        return Stop(stop.entry, number)
    entry = entries.after(stop.entry)
    while entry is not None and entry.role == NOTICE:
        entry = entries.after(entry)
    return None if entry is None else Stop(entry)


def before(entries: MessageWindow, stop: Stop) -> Stop | None:
    """The stop before; None at the first."""
    if stop.block is not None:
        return Stop(stop.entry, stop.block - 1) if stop.block else Stop(stop.entry)
    entry = entries.before(stop.entry)
    while entry is not None and entry.role == NOTICE:
        entry = entries.before(entry)
    if entry is None:
        return None
    count = len(places(entry))
    return Stop(entry, count - 1) if count else Stop(entry)


def code(stop: Stop, text: str) -> str:
    """The code of a block as it was written: out of the message's whole text, else as it is on the screen.

    Args:
        text: the message's text as it is kept.
    """
    shown = [fences(stop.entry.parts[part])[which] for part, which in pieces(stop)]
    if not shown or stop.block is None:
        return ""
    start = _squeezed(shown[0])
    behind = len(places(stop.entry)) - 1 - stop.block
    whole = fences(text)
    likely = whole[-1 - behind :][:1] if behind < len(whole) else []
    for block in (*likely, *whole):
        if _squeezed(printable(block[: 8 * _SAME])).startswith(start):
            return block
    return "\n".join(shown)


def _squeezed(text: str) -> str:
    return "".join(text[: 8 * _SAME].split())[:_SAME]
