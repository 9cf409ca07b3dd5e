"""What was said in this sitting and is not in the terminal's scrollback yet, for a chat that runs under the shell's prompt.

Knows pieces of messages: parts that stay as they are, in the order in which they came on the screen. What is noted once
is not noted again, also when its message is shown anew, goes on, or belongs to another branch. Of a conversation that was
there before, only what comes on the screen with it is noted; how much was before is a line. Knows nothing of how a piece
is drawn, and nothing of terminals.
"""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from rgmlx.store import USER

from .parts import continues
from .reply import NOTICE, Entry, lines

MAX_WAITING = 40
"""Pieces that may wait, however near to the view they are."""
_MAX_KNOWN = 10_000  # messages of which it is known how much was noted
_FEW = 60  # characters of a message by which one knows it


class Sitting(Protocol):
    """What has to be known of the chat."""

    @property
    def running(self) -> int | None:
        """The message that a reply is written to."""

    @property
    def open(self) -> int | None:
        """The conversation that is open."""

    def title(self, conversation: int | None) -> str:
        """What a conversation is called."""

    def words(self, message: int) -> str:
        """How a message begins; "" where that is not known."""


@dataclass(frozen=True)
class Piece:
    """A part of a message; a notice has no title.

    Attributes:
        entry: the message on the screen; None for a line that is not there.
        number: the part's.
        first: whether its message's name is above it.
        last: whether its message ends with it.
        went_on, goes_on: whether the block at its beginning, or at its end, is cut there.
    """

    role: str
    text: str
    entry: Entry | None = None
    number: int = -1
    first: bool = True
    last: bool = True
    went_on: bool = False
    goes_on: bool = False

    @property
    def title(self) -> str:
        """The name, as it is known by now."""
        return "" if self.entry is None or self.role == NOTICE else self.entry.title

    @property
    def plain(self) -> str:
        """As it was written, for a terminal that can't be drawn to any more."""
        return "\n".join(["", self.title, self.text] if self.title and self.first else ["", self.text]).rstrip("\n")


class Said:
    """Notes pieces, and gives them away in their order."""

    def __init__(self, sitting: Sitting) -> None:
        self._sitting = sitting
        self._waiting: deque[Piece] = deque()
        self._taken: OrderedDict[int, tuple[int, int]] = OrderedDict()  # message: whole parts, characters of the next
        self._conversation: int | None = None
        self._last: int | None = None  # message
        self._named: int | None = None  # message, with a name above
        self._continued: int | None = None
        self._others = itertools.count(-1, -1)
        self._begun = time.time()

    # --- notes ----------------------------------------------------------------------------

    def note(self, entry: Entry) -> None:
        """Notes what of a message will not change any more, and was not noted."""
        if entry.role == NOTICE:
            self._waiting.extend(
                Piece(NOTICE, text, entry=entry, number=number) for number, text in enumerate(entry.parts, entry.first)
            )
            return
        key = self._key(entry)
        whole, characters = self._taken.get(key, (0, 0))
        end = entry.parts.closed if entry.live else entry.parts.end
        for number in range(max(whole, entry.first), end):
            text = entry.parts[number]
            before = characters if number == whole else 0
            if len(text) <= before:
                continue
            if key != self._last:
                self._place(entry, key)
            self._add(entry, key, number, before)
        if end <= whole:
            return
        ends = not entry.live and entry.parts.end > entry.parts.closed  # its last part may grow when the reply goes on
        self._taken[key] = (end - 1, len(entry.parts[end - 1])) if ends else (end, 0)
        self._taken.move_to_end(key)
        while len(self._taken) > _MAX_KNOWN:
            self._taken.popitem(last=False)

    def opened(self, entries: Sequence[Entry], rows: int) -> None:
        """Another place is on the screen: what was said there meanwhile is noted; of another conversation, what fits there.

        Args:
            entries: what can be seen is at the end of them.
            rows: of the screen.
        """
        stored = [entry.stored for entry in entries if entry.stored is not None]
        if not stored:
            return
        if stored[-1].conversation != self._conversation:
            fitting = self._fitting(entries, rows)
        else:
            fitting = [entry for entry in entries if entry.stored and entry.stored.created >= self._begun]
        for entry in fitting:
            self.note(entry)

    def _fitting(self, entries: Sequence[Entry], rows: int) -> list[Entry]:
        """Those of which something fits on the screen; what is above is noted as being there."""
        fitting: list[Entry] = []
        number = 0
        for entry in reversed(entries):
            if rows <= 0:
                break
            fitting.insert(0, entry)
            number = entry.end
            while rows > 0 and number > entry.first:
                number -= 1
                rows -= 1 + lines(entry.parts[number])
        top = fitting[0]
        key = self._key(top)
        if key not in self._taken and top.stored is not None:
            self._place(top, key)
            self._earlier(top.stored.depth, inside=number > top.first)
            self._taken[key] = (number, 0)
        return fitting

    def going_on(self, message: int) -> None:
        """The next reply is this one, or a copy of it, which goes on."""
        self._continued = message

    def _key(self, entry: Entry) -> int:
        """What a message is known by: its number in the store, which it may not have yet."""
        if entry.key is None:
            entry.key = entry.stored.id if entry.stored is not None else self._sitting.running
            entry.key = next(self._others) if entry.key is None else entry.key
            if entry.live and self._continued is not None:
                if entry.key != self._continued and self._continued in self._taken:
                    self._taken.setdefault(entry.key, self._taken[self._continued])
                self._continued = None
        if entry.stored is not None and entry.key != entry.stored.id:
            self._taken[entry.stored.id] = self._taken.pop(entry.key, (0, 0))
            entry.key = entry.stored.id
        return entry.key

    def _add(self, entry: Entry, key: int, number: int, before: int) -> None:
        """Notes a part, without so many of its characters that were noted before."""
        whole, named = entry.parts[number], self._named != key
        last = not entry.live and number == entry.end - 1
        text = whole[before:]
        if before and (old := self._waiting[-1] if self._waiting else None) is not None and whole == old.text + text:
            self._waiting.pop()  # it has not left yet
            text, named = whole, old.first
        self._named = key
        self._waiting.append(
            Piece(
                entry.role,
                text,
                entry,
                number,
                first=named,
                last=last,
                went_on=number > entry.first and continues(entry.parts[number - 1]),
                goes_on=not last and continues(whole),
            )
        )

    def _place(self, entry: Entry, key: int) -> None:
        """Notes where a message is that is not below the last one."""
        stored = entry.stored
        conversation = self._sitting.open if stored is None else stored.conversation
        if conversation != self._conversation:
            if self._conversation is not None:
                self._say(f"In “{_short(self._sitting.title(conversation))}”:")
            self._conversation, self._last = conversation, None
        if stored is not None and stored.role == USER and self._last is not None and stored.parent != self._last:
            if stored.parent is None:
                self._say("From the beginning:")
            else:
                words = _short(self._sitting.words(stored.parent))
                self._say(f"Back to “{words}”:" if words else "Further back:")
        self._last = key

    def _earlier(self, messages: int, inside: bool) -> None:
        what = [f"{messages:,} earlier message{'s' * (messages != 1)}"] * bool(messages)
        what += ["the beginning of this one"] * inside
        if what:
            plural = messages > 1 or len(what) > 1
            self._say(f"{' and '.join(what).capitalize()} {'are' if plural else 'is'} in the conversation.")

    def _say(self, text: str) -> None:
        self._waiting.append(Piece(NOTICE, text))

    # --- gives away -----------------------------------------------------------------------

    def due(self, has_left: Callable[[Entry, int], bool], most: int) -> list[Piece]:
        """The first pieces that are not on the screen any more, or too many.

        Args:
            has_left: whether a part of a message is above all that can come into view.
        """
        found: list[Piece] = []
        for number, piece in enumerate(self._waiting):
            crowded = len(self._waiting) - number > MAX_WAITING
            if len(found) == most or not (crowded or piece.entry is None or has_left(piece.entry, piece.number)):
                break
            found.append(piece)
        while found and found[-1].entry is None:  # with what comes below it
            found.pop()
        return found

    def all(self, most: int) -> list[Piece]:
        """The first pieces, whatever is on the screen."""
        return [piece for piece, _ in zip(self._waiting, range(most), strict=False)]

    def gone(self, pieces: int) -> None:
        """So many of the first are in the terminal."""
        for _ in range(pieces):
            self._waiting.popleft()


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _FEW else f"{line[: _FEW - 1].rstrip()}…"
