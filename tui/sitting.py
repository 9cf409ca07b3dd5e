"""What `transcript.said` asks of a chat: where one is, what is being written, how a message begins. Knows the session."""

from __future__ import annotations

from rgmlx.conversation.session import Session
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
    def open(self) -> tuple[int | None, str]:
        """The conversation that is open, and its title."""
        row = self._session.conversation
        return (None, "") if row is None else (row.id, printable(row.title or "Untitled"))

    def words(self, message: int) -> str:
        """How a message begins."""
        return printable(self._session.store.messages.get(message).text[:_CHARS])
