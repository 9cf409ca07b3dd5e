"""What waits until the model is free: one message, or one command. Shown above the prompt.

Knows what waits, and how that is shown; when its time has come, and where it is sent, is the app's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content
from textual.widgets import Static

from rgmlx.conversation.runs import ReplyRun
from rgmlx.store import Message
from rgmlx.system.formatting import one_line
from rgmlx.system.printable import printable

from ..question import Question

_SHOWN = 500  # characters of a message


@dataclass(frozen=True)
class Waiting:
    """What waits.

    Attributes:
        text: the message, as it was typed; or "".
        editing: the message that it takes the place of.
        command: the name of a command; or "".
        after: the number of the message that it comes after; None is the beginning.
        run: the reply, which is being written, that it comes after instead.
        question: what the text is, where it is not what was typed.
    """

    text: str = ""
    editing: Message | None = None
    command: str = ""
    after: int | None = None
    run: ReplyRun | None = None
    question: Question | None = None

    @property
    def parent(self) -> int | None:
        """The number of the message that it comes after, as far as that is known by now."""
        if self.run is None:
            return self.after
        return self.run.head.id if self.run.head is not None else None


class Outbox(Static):
    """A line that is there while something waits."""

    DEFAULT_CSS = """
    Outbox { height: 1; padding: 0 2; color: $text-accent; display: none; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__(id="outbox", markup=False)
        self.item: Waiting | None = None

    def put(self, item: Waiting) -> None:
        """Keeps something until `take`."""
        assert self.item is None, "one waits already"
        self.item = item

    def take(self) -> Waiting | None:
        """What waits, which is not here any longer."""
        item, self.item = self.item, None
        self.display = False
        return item

    def show(self, when: str) -> None:
        """Brings the line up to date; `when` says what is waited for."""
        self.display = self.item is not None
        if self.item is None:
            return
        if self.item.command:
            text = f"/{self.item.command} is done {when}  ·  Esc calls it off"
        else:
            words = self.item.question.words if self.item.question is not None else self.item.text
            text = f"Sent {when}, ↑ takes it back: {one_line(words.strip(), _SHOWN)}"
        self.update(Content(printable(text)))
