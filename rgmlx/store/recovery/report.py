"""What became of the rows of a damaged file, and what the user should know of it. Knows numbers only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class RecoveryReport:
    """What became of the rows of a damaged file.

    Attributes:
        conversations, messages: written.
        there: messages that were there already.
        damaged: of all these, messages whose text is not what was written.
        lost_conversations, lost: of which it is known that they were there.
        most: messages that may be lost, those included; None where that is not known.
        exact: every message says what was written, and follows what it followed. Some may be lost all the same.
    """

    conversations: int = 0
    messages: int = 0
    there: int = 0
    damaged: int = 0
    lost_conversations: int = 0
    lost: int = 0
    most: int | None = 0
    exact: bool = True

    @property
    def empty(self) -> bool:
        """Whether nothing could be read."""
        return not (self.conversations or self.messages or self.there)

    def sentence(self) -> str:
        """What the user should know of it."""
        if self.empty:
            return "Nothing in it could be read, and a new one was begun."
        kept = f"{_many(self.conversations, 'conversation')} and {_many(self.messages, 'message')} were kept"
        return f"{kept}{self._losses()}."

    def added(self) -> str:
        """The same, of rows that were added to others."""
        new = f"{_many(self.conversations, 'conversation')} and {_many(self.messages, 'message')} were added"
        there = f", {_many(self.there, 'message')} {_were(self.there)} there already" if self.there else ""
        return f"{new}{there}{self._losses()}."

    def _losses(self) -> str:
        parts = []
        if self.damaged:
            parts.append(f"{_many(self.damaged, 'message')} of these {_were(self.damaged)} damaged")
        if self.lost_conversations:
            n = self.lost_conversations
            parts.append(f"{_many(n, 'conversation')} {_were(n)} lost")
        lost = f"{_many(self.lost, 'message')} {_were(self.lost)} lost"
        if self.most is not None and self.most <= self.lost:
            if self.lost:
                parts.append(lost)
            elif not self.lost_conversations:
                parts.append("no message is known to be lost")
        elif self.most is None:
            more = f"at least {lost}, and nobody can say how many more"
            parts.append(more if self.lost else "nobody can say how many messages were lost")
        elif self.lost:
            parts.append(f"at least {lost}, and at most {self.most:,}")
        else:
            parts.append(f"at most {_many(self.most, 'message')} {_were(self.most)} lost")
        return "; " + ", ".join(parts)


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
