"""What is open, and what is being written: a conversation that this process holds, and a reply in one. Values only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..store import Conversation, Message
from .storage import Lock

if TYPE_CHECKING:
    from ..generation.constrained.matcher import Matcher
    from ..generation.engine import Progress
    from ..settings import Sampling
    from .writer import Writer


@dataclass(eq=False)
class OpenConversation:
    """A conversation that this process has open.

    Attributes:
        row: what the store knows of it; None until its first message.
        head: the message one stands at; None before the first.
        peeking: `head` is only looked at: on the disk the conversation stands elsewhere.
        first_words: its title as long as that is what its first message begins with, and nobody has made another; None for
            one that was there before.
    """

    system: str | None
    settings: dict[str, Any]
    row: Conversation | None = None
    head: Message | None = None
    lock: Lock | None = None
    peeking: bool = False
    first_words: str | None = None

    @property
    def at(self) -> int | None:
        """The number of the head."""
        return self.head.id if self.head is not None else None

    def release(self) -> None:
        """Lets another process have it. Doing so twice is fine."""
        if self.lock is not None:
            self.lock.release()
            self.lock = None


@dataclass(eq=False)
class ReplyRun:
    """A reply that is being written, in its own conversation, whatever is open by now.

    Attributes:
        opened: the conversation.
        asked: the message that it began from: the user's, or the reply that is gone on with.
        at: where the reply has moved the head to.
        message: the reply, as it began; None before it is in the store.
        head: the message at that place: in the end the reply, or what it began from where it has no word.
        writer: what writes it; None before its first token is asked for.
        continues: it is the reply `asked` that goes on.
        min_tokens: it does not end before so many tokens; `math.inf` goes on until it is stopped.
        sampling, max_tokens: how it is drawn; None as the conversation's settings have it.
        progress: told (tokens, tokens in all) while a message is read.
        matcher: says what it may be; None for anything.
        ended: all is done that its end asks for.
    """

    opened: OpenConversation
    asked: Message | None
    continues: bool = False
    min_tokens: float = 0
    sampling: Sampling | None = None
    max_tokens: int | None = None
    progress: Progress | None = None
    matcher: Matcher | None = None
    ended: bool = False
    at: int | None = field(init=False)
    head: Message | None = field(init=False)
    message: Message | None = None
    writer: Writer | None = None

    def __post_init__(self) -> None:
        self.at, self.head = self.opened.at, self.opened.head
