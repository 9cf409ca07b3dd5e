"""Moments of a chat to return to: a message, what the model remembers there, and how both get into another chat."""

from __future__ import annotations

from dataclasses import dataclass

from ..store import MODEL, Message
from .context import Context
from .replies import ReplySession
from .storage import Storage
from .turns import CachedState


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a chat to return to. Made by `Chat.checkpoint`; holds its state.

    Attributes:
        store: where the messages are.
        head: the message that it stands at; None before the first.
        cached: the state of the model there, and what it has still to read.
        chars: how long that message was then.
    """

    store: Storage
    head: Message | None
    cached: CachedState
    chars: int

    @classmethod
    def here(cls, session: ReplySession) -> Checkpoint:
        """Where a session, and its model, stand."""
        context, head = session.require_context(), session.head
        chars = 0 if head is None else session.store.messages.path_sizes(head.id, 1)[0][1]
        return cls(session.store, head, context.cached.copy(), chars)

    def add_to(self, session: ReplySession, states: Context | None) -> int | None:
        """Its message in a session: that itself, a copy as long as it was then, or copies of all up to it.

        Args:
            states: whose states on the way there are kept for the copies, too.

        Raises:
            StoreError: the disk is full.
        """
        if self.head is None:
            return None
        messages, row = session.store.messages, session.conversation
        if self.store is session.store and row is not None and row.id == self.head.conversation:
            if messages.path_sizes(self.head.id, 1)[0][1] == self.chars:
                return self.head.id
            text = messages.get(self.head.id).text[: self.chars]
            parent = self.head.parent
            return messages.add_finished(
                row.id, parent, self.head.role, text, closed=self.head.closed, created=self.head.created
            )
        made, last = session.created(), None
        for old in self.store.messages.path(self.head.id):
            text = old.text[: self.chars] if old.id == self.head.id else old.text
            closed = self.head.closed if old.id == self.head.id else old.closed
            last = messages.add_finished(
                made.id, last, old.role, text, closed=closed or old.role != MODEL, created=old.created
            )
            if states is not None and (cached := states.kept(old.id)) is not None:
                session.require_context().remember(last, cached)
        return last
