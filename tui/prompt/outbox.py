"""What waits until the model is free: messages and commands, in the order in which they are sent. Shown above the prompt.

Knows what waits, after which message it comes, and how that is shown; when its time has come, and where it is sent, is
the app's business. What waits for one place is a chain: each comes after the reply to the one before it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from textual.content import Content
from textual.widgets import Static

from rgmlx.conversation.runs import ReplyRun
from rgmlx.store import Message
from rgmlx.system.formatting import one_line
from rgmlx.system.printable import printable

from ..question import Question
from .drafts import MAX_CHARS
from .queued import MOST, Queued

_SHOWN = 500  # characters of a message
_ROWS = 4  # of them on the screen
_numbers = itertools.count(1)


class Held(Enum):
    """Why what waits does not go on by itself."""

    STOPPED = "since you stopped"
    BROKE_OFF = "since the reply broke off"
    NO_MODEL = "since there was no model"
    NOT_SENT = "since one was not sent"
    AWAY = "since you were away"
    CHANGED = "while one is changed"
    BY_HAND = "as you want it"


@dataclass(frozen=True)
class Waiting:
    """What waits.

    Attributes:
        text: the message, as it was typed; or "".
        editing: the message that it takes the place of.
        command: the name of a command; or "".
        after: the number of the message that it comes after; None is the beginning.
        run: the reply that it comes after instead: it is being written, or was when this began to wait.
        reply: it comes after the reply to that message, which has yet to begin.
        question: what the text is, where it is not what was typed.
        number: tells it from all others.
    """

    text: str = ""
    editing: Message | None = None
    command: str = ""
    after: int | None = None
    run: ReplyRun | None = None
    reply: bool = False
    question: Question | None = None
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def parent(self) -> int | None:
        """The number of the message that it comes after, as far as that is known by now."""
        if self.run is None:
            return self.after
        return self.run.head.id if self.run.head is not None else None

    @property
    def line(self) -> str:
        """What it is, in one line that is safe to show."""
        if self.command:
            return f"/{self.command}"
        return one_line((self.question.words if self.question is not None else self.text).strip(), _SHOWN)

    @property
    def kept(self) -> Queued:
        """The same for a file."""
        words = self.question.words if self.question is not None else ""
        editing = self.editing.id if self.editing is not None else None
        return Queued(self.text, words, editing, self.command, self.parent, self.reply or self.run is not None)


class Outbox(Static):
    """Lines that are there while something waits. The first of the items go on by themselves, the others may be held.

    Attributes:
        items: what waits, the next one first.
        held: why what is held is; None where nothing is.
        changing: what was taken out to be changed, and has its place among the others; or None.
        changed: called after each change.
    """

    DEFAULT_CSS = """
    Outbox { height: auto; padding: 0 2; color: $text-accent; display: none; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__(id="outbox", markup=False)
        self.items: list[Waiting] = []
        self.held: Held | None = None
        self.changing: Waiting | None = None
        self.changed: Callable[[], None] = lambda: None
        self._text = ""
        self._free = 0  # so many of them are not held
        self._behind: tuple[int, ...] = ()  # what comes after the one that is being changed

    @property
    def next(self) -> Waiting | None:
        """What is to be sent or done next; None where nothing is, by itself."""
        return self.items[0] if self._free else None

    @property
    def last(self) -> Waiting | None:
        """What is taken back first: the last of those that are not held."""
        return self.items[self._free - 1] if self.items else None

    def problem(self, item: Waiting) -> str:
        """Why one more can't wait; "" where it can."""
        if len(self.items) >= MOST:
            return f"{MOST} wait already: Esc takes the last one back, /queue changes them."
        if sum(len(one.text) for one in self.items) + len(item.text) > MAX_CHARS:
            return "What waits is too long already: send this when the reply has ended."
        return ""

    def fill(self, items: list[Waiting], held: Held | None) -> None:
        """Has these wait instead of all others."""
        self.items, self.held = items, held if items else None
        self._settle(0 if self.held else len(items))

    def put(self, item: Waiting) -> None:
        """Keeps something until `take`: behind what is not held. What was changed has its place again, and is for it."""
        if self.changing is None:
            self.items.insert(self._free, item)
            self._settle(self._free + 1)
            return
        old = self.changing
        item = replace(item, after=old.after, run=old.run, reply=old.reply)
        at = next((at for at, one in enumerate(self.items) if one.number in self._behind), len(self.items))
        self.items.insert(at, item)
        if self.held is Held.CHANGED:
            self.held = None
        self._settle(len(self.items) if self.held is None else self._free + (at < self._free))

    def take(self, number: int) -> Waiting | None:
        """One of them, which does not wait any longer; None where it has gone meanwhile."""
        at = self._at(number)
        if at is None:
            return None
        found = self.items.pop(at)
        self._free -= at < self._free
        if not self.items:
            self.held = self.changing = None
        self.changed()
        return found

    def take_to_change(self, number: int) -> Waiting | None:
        """The same; what is put next has its place, and what comes after it is held until then."""
        at = self._at(number)
        if at is None:
            return None
        found, behind = self.items[at], tuple(one.number for one in self.items[at + 1 :])
        self.take(number)
        if self.items and not found.command:
            self.changing, self._behind = found, behind
            if self._free > at:
                self._free, self.held = at, self.held or Held.CHANGED
        self.changed()
        return found

    def move(self, number: int, by: int) -> None:
        """Moves one of them towards the end (1) or the beginning (-1)."""
        at = self._at(number)
        if at is not None and 0 <= at + by < len(self.items):
            self.items.insert(at + by, self.items.pop(at))
            self.changed()

    def hold(self, why: Held) -> None:
        """What waits does not go on by itself from now on; nothing where nothing waits."""
        if self.items:
            self._free, self.held = 0, why
            self.changed()

    def release(self) -> None:
        """All that waits goes on by itself again."""
        self.held = None
        self._settle(len(self.items))

    def follow(self, place: int | None, after: int | None, run: ReplyRun | None = None, *, reply: bool = False) -> None:
        """Something was sent from a place: what waits for that place comes after another message, or a reply, now."""

        def moved(one: Waiting) -> Waiting:
            return replace(one, after=after, run=run, reply=reply) if one.parent == place else one

        self.items = [moved(one) for one in self.items]
        self.changing = moved(self.changing) if self.changing is not None else None

    def _at(self, number: int) -> int | None:
        return next((at for at, one in enumerate(self.items) if one.number == number), None)

    def _settle(self, free: int) -> None:
        self._free, self.changing, self._behind = free, None, ()
        self.changed()

    # --- how it is shown ------------------------------------------------------------------

    @property
    def about(self) -> str:
        """What becomes of what waits, in a sentence."""
        if not self.items:
            return "Nothing waits: Enter during a reply has a message wait."
        if self.held is None:
            return "Each is sent when the reply to the one before it has ended."
        first = (
            f"The first {self._free} are sent when their time has come; the others are" if self._free else "They are"
        )
        return f"{first} held, {self.held.value}: h has them go on."

    def show(self, when: str, rows: int = _ROWS) -> None:
        """Brings the lines up to date; `when` says what is waited for, and no more than `rows` of them are shown."""
        self.display = bool(self.items)
        text = "\n".join(self._lines(when, max(1, min(rows, _ROWS)))) if self.items else ""
        if text != self._text:  # this is called several times a second
            self._text = text
            self.update(Content(printable(text)))

    def _lines(self, when: str, rows: int) -> list[str]:
        free, held = self.items[: self._free], self.items[self._free :]
        if not free and self.held is not None:
            return _described(held, f"Held, {self.held.value}: Enter alone sends {_them(held)}", rows)
        if len(self.items) == 1 and free[0].command:
            return [f"{free[0].line} is done {when}  ·  Esc calls it off"]
        turn, back = (" in turn", "one") if len(free) > 1 else ("", "it")
        more = [f"{len(held)} held: Enter alone sends {_them(held)}, too"] if held else []
        return [*_described(free, f"Sent{turn} {when}, ↑ takes {back} back", rows), *more]


def _them(items: Sequence[Waiting]) -> str:
    return "them" if len(items) > 1 else "it"


def _described(items: Sequence[Waiting], head: str, rows: int) -> list[str]:
    """A line for each after one that says when they are sent; of more than there is room for the first."""
    many = len(items)
    if many == 1:
        return [f"{head}: {items[0].line}"]
    if rows == 1:
        return [f"{many} wait. {head}"]
    shown = items if many <= rows else items[: rows - 1]
    more = [f"and {many - len(shown)} more: /queue"] if len(shown) < many else []
    return [head, *(f"{number} {one.line}" for number, one in enumerate(shown, 1)), *more]
