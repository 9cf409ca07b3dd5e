"""Going about in a conversation: back, forward, to the other answers. The same for the screen and for plain lines.

Knows the session and how far its branch goes; shows nothing, and leaves it to others to bring the model there.
"""

from __future__ import annotations

from ..errors import ChatError
from ..store import Message
from . import places
from .session import Session


class Navigation:
    """Where one stands on a branch.

    Attributes:
        tip: how far the branch goes, while one stands further up; else None.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.tip: int | None = None

    def back(self) -> int | None:
        """Stands at the reply before; None is before the first. Raises ChatError: there is nothing before."""
        head = self._session.head
        if head is None:
            raise ChatError("This is the beginning.")
        self._find_tip(head)
        return self.checkout(places.earlier(self._session.store, head), self.tip)

    def forward(self) -> int | None:
        """Stands at the next reply on the way to the tip. Raises ChatError: one is there."""
        head = self._session.head
        self._find_tip(head)
        number = head.id if head else None
        following = None if self.tip is None else places.later(self._session.store, number, self.tip)
        if following is None:
            raise ChatError("This is the end of this branch.")
        return self.checkout(following, self.tip)

    def sibling(self, by: int) -> int | None:
        """Stands at another answer of the nearest fork, at the end of its branch. Raises ChatError: there is none."""
        at, store = self._session.head, self._session.store
        while at is not None and at.siblings < 2:
            at = None if at.parent is None else store.messages.window(at.parent, 1, chars=1)[0]
        other = None if at is None else places.sibling(store, at, by)
        if other is None:
            raise ChatError("There is no other answer on that side.")
        return self.checkout(other, other)

    def checkout(self, message: int | None, tip: int | None = None) -> int | None:
        """Stands at a message of this conversation.

        Args:
            tip: how far its branch goes; None looks for it.
        """
        self._session.checkout(message)
        self.tip = tip
        if tip is None:
            self.find()
        return message

    def find(self) -> None:
        """Finds out how far the branch goes on, where the conversation stands somewhere on it."""
        messages, row = self._session.store.messages, self._session.conversation
        at = self._session.head.id if self._session.head is not None else None
        if at is None:
            at = messages.newest_beginning(row.id) if row is not None else None
            self.tip = messages.tip(at) if at is not None else None
        else:
            self.tip = messages.tip(at) if messages.has_children(at) else None

    @property
    def begun(self) -> bool:
        """Whether the conversation has a message; one that was begun by name may have none."""
        row, messages = self._session.conversation, self._session.store.messages
        return row is not None and (self._session.head is not None or messages.newest_beginning(row.id) is not None)

    def end(self) -> None:
        """One stands at the end of a branch again, having written there or opened another conversation."""
        self.tip = None

    @property
    def steps(self) -> places.Steps | None:
        """Which reply of how many one stands at; None at the end of a branch."""
        head = self._session.head
        number = head.id if head else None
        if self.tip is None or number == self.tip:
            return None
        return places.steps(self._session.store, number, self.tip)

    def _find_tip(self, head: Message | None) -> None:
        if self.tip is None and head is not None:
            self.tip = self._session.store.messages.tip(head.id)
