"""What `transcript.said` asks of a chat: where one is, what is being written, how a message begins. Knows the session."""

from __future__ import annotations

import contextlib

from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError
from rgmlx.system.printable import printable

_CHARS = 400  # of a message's beginning, more than is shown


class ThisSitting:
    """A chat, as long as the program runs."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def running(self) -> int | None:
        """The message that a reply is written to."""
        run = self._session.running
        return run.message.id if run is not None and run.message is not None else None

    @property
    def open(self) -> int | None:
        """The conversation that is open."""
        row = self._session.conversation
        return None if row is None else row.id

    def title(self, conversation: int | None) -> str:
        """What a conversation is called."""
        with contextlib.suppress(RgmlxError):  # it is gone for good, or damaged
            if conversation is not None:
                return printable(self._session.store.conversations.get(conversation).title or "Untitled")
        return "Untitled"

    def words(self, message: int) -> str:
        """How a message begins; "" where that can't be read."""
        with contextlib.suppress(RgmlxError):
            return printable(self._session.store.messages.get(message).text[:_CHARS])
        return ""
