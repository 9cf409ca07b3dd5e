"""A store in memory: conversations of one program, of which nothing is left when it ends. No file is touched.

Knows text only: what a model remembers of it is kept by `context`, within its budget. What an interrupt leaves half done,
`discard` removes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..store import MODEL, USER, Conversation, Message, StoreError

if TYPE_CHECKING:
    from ..griffin.state import Owner, State
    from ..store.snapshots import Near, Snapshot

MAX_REPLY_CHARS = 1_000_000
"""Of one reply, this much of its end is kept as text; the model's memory is the state, not the text."""


class MemoryStore:
    """Keeps conversations in memory.

    Attributes:
        conversations, messages, snapshots: what can be done, by subject, as in `rgmlx.store.Store`.
        notices: always empty.
    """

    read_only = False

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.conversations = MemoryConversations()
        self.messages = MemoryMessages(self.conversations)
        self.snapshots = NoStates()

    def lock(self, conversation: int) -> FreeLock:
        """Nobody else can have it open."""
        return FreeLock()


class FreeLock:
    """The lock of what nobody else can reach."""

    def release(self) -> None:
        """Does nothing."""


class NoStates:
    """Keeps no states: those that `context` has in memory are all."""

    def put(self, message: int, state: State, unread: Sequence[int] = ()) -> int:
        """Keeps nothing; 0 bytes."""
        return 0

    def nearest(self, message: int, identity: Mapping[str, str]) -> Near | None:
        """None: there is none."""
        return None

    def restore(self, message: int, owner: Owner) -> tuple[Near, Snapshot] | None:
        """None: there is none."""
        return None


class MemoryConversations:
    """The rows of conversations."""

    def __init__(self) -> None:
        self._rows: dict[int, Conversation] = {}

    def create(
        self, model: str, title: str = "", system: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> Conversation:
        """A new, empty conversation."""
        number, now = len(self._rows) + 1, time.time()
        self._rows[number] = Conversation(
            number, title, model, system, dict(settings or {}), now, now, archived=False, deleted=None, head=None
        )
        return self._rows[number]

    def get(self, conversation: int) -> Conversation:
        """One conversation. Raises StoreError: there is none."""
        if conversation not in self._rows:
            raise StoreError(f"there is no conversation {conversation}: choose one from the list")
        return self._rows[conversation]

    def listed(self, *, archived: bool | None = False, limit: int = -1, after: int = 0) -> list[Conversation]:
        """Conversations that are not deleted, the newest first."""
        rows = sorted((row for row in self._rows.values() if row.deleted is None), key=lambda r: (-r.updated, -r.id))
        found = [row for row in rows if archived is None or row.archived == archived][after:]
        return found if limit < 0 else found[:limit]

    def delete(self, conversation: int) -> None:
        """Hides it."""
        self._set(conversation, deleted=time.time())

    def set_settings(self, conversation: int, settings: Mapping[str, Any]) -> None:
        """Replaces the settings."""
        self._set(conversation, settings=dict(settings))

    def set_model(self, conversation: int, model: str) -> None:
        """Notes that another model goes on with it."""
        self._set(conversation, model=model)

    def set_system(self, conversation: int, system: str | None) -> None:
        """Changes the system text."""
        self._set(conversation, system=system)

    def set_head(self, conversation: int, message: int | None) -> None:
        """Stands at another message, or (None) before the first."""
        self._set(conversation, head=message)

    def touch(self, conversation: int) -> None:
        """Notes that something was written in it."""
        self._set(conversation, updated=time.time())

    def _set(self, conversation: int, **changes: Any) -> None:
        self._rows[conversation] = replace(self.get(conversation), **changes)


@dataclass(frozen=True)
class _Row:
    """A message, and how often it was appended to: one value, so that an interrupt finds both as they were, or neither."""

    message: Message
    pieces: int = 0


class MemoryMessages:
    """The messages, a tree in each conversation."""

    def __init__(self, conversations: MemoryConversations) -> None:
        self._conversations = conversations
        self._rows: dict[int, _Row] = {}
        self._children: dict[tuple[int, int | None], tuple[int, ...]] = {}
        self._last = 0

    # --- reading --------------------------------------------------------------------------

    def get(self, message: int) -> Message:
        """One message. Raises StoreError: there is none."""
        if message not in self._rows:
            raise StoreError(f"there is no message {message}: choose one of the conversation")
        row = self._rows[message].message
        beside = self._following(row.conversation, row.parent)
        return replace(row, number=beside.index(message) + 1 if message in beside else 1, siblings=len(beside))

    def path(self, message: int | None) -> list[Message]:
        """All messages from the first to this one; none for None."""
        return self.window(message, -1)

    def window(self, message: int | None, count: int, *, chars: int | None = None) -> list[Message]:
        """The last `count` messages of the path to this one (-1: all)."""
        return [self.get(number) for number in reversed(self._up(message, count))]

    def path_sizes(self, message: int | None, count: int = -1) -> list[tuple[int, int]]:
        """(id, characters) of the last `count` messages of the path to this one, this one first."""
        return [(number, len(self._rows[number].message.text)) for number in self._up(message, count)]

    def children(self, message: int) -> list[int]:
        """The messages that follow this one, in order."""
        return list(self._following(self._rows[message].message.conversation, message))

    def has_children(self, message: int) -> bool:
        """Whether something follows this one."""
        return bool(self.children(message))

    def siblings(self, message: int) -> list[int]:
        """The messages with the same parent, this one included, in order."""
        row = self._rows[message].message
        return list(self._following(row.conversation, row.parent))

    def tip(self, message: int) -> int:
        """Where one gets by always taking the newest child."""
        while following := self.children(message):
            message = following[-1]
        return message

    def newest_beginning(self, conversation: int) -> int | None:
        """The newest first message; None where there is none."""
        return max(self._following(conversation, None), default=None)

    def newest(self, conversation: int) -> int:
        """The greatest number of a message; 0 where there is none."""
        return self._last

    def since(self, conversation: int, message: int) -> list[int]:
        """The messages with a greater number, the greatest first."""
        return [n for n in range(self._last, message, -1) if n in self._rows]

    def newest_piece(self, message: int) -> int:
        """A number that grows with each `append`."""
        return self._rows[message].pieces

    # --- writing --------------------------------------------------------------------------

    def add_user(self, conversation: int, parent: int | None, text: str) -> Message:
        """A message of the user's after `parent`. The conversation stands there now."""
        return self._add(conversation, parent, USER, text, closed=True, head=True)

    def add_finished(
        self, conversation: int, parent: int | None, role: str, text: str, *, closed: bool, created: float
    ) -> int:
        """A finished message from elsewhere."""
        return self._add(conversation, parent, role, text, closed=closed).id

    def start_reply(self, conversation: int, parent: int | None, text: str = "") -> Message:
        """An open reply, to `append` to and to `finish`. The conversation stands there now."""
        return self._add(conversation, parent, MODEL, text, streaming=True, head=True)

    def append(self, message: int, text: str, ids: Sequence[int] | None = None) -> None:
        """Adds to an open reply. Raises StoreError: it has ended."""
        row = self.get(message)
        if not row.streaming:
            raise StoreError(f"message {message} is not being written: start a new reply")
        grown = replace(row, text=(row.text + text)[-MAX_REPLY_CHARS:])
        self._rows[message] = _Row(grown, self.newest_piece(message) + 1)

    def defer(self, message: Message, text: str, ids: Sequence[int]) -> None:
        """As `append`: memory is never full."""
        self.append(message.id, text)

    def write_pending(self) -> None:
        """Nothing is owed."""

    def finish(self, message: int, *, closed: bool) -> Message:
        """Ends a reply. Twice is fine."""
        row = self.get(message)
        if row.streaming:
            self._rows[message] = _Row(replace(row, closed=closed, streaming=False))
            self._conversations.touch(row.conversation)
        return self.get(message)

    def reopen(self, message: int, identity: Mapping[str, str] | None = None) -> Message:
        """Opens a reply that was cut short. Raises StoreError: the model has ended it, or something follows it."""
        row = self.get(message)
        if row.role != MODEL or row.closed or self.has_children(message):
            raise StoreError(f"message {message} can't go on: only a last reply that was cut short can")
        self._rows[message] = _Row(replace(row, streaming=True))
        self._conversations.set_head(row.conversation, message)
        return self.get(message)

    def discard(self, message: int) -> None:
        """Removes a message that nothing follows. Raises StoreError: something does."""
        row = self.get(message)
        if self.has_children(message):
            raise StoreError(f"message {message} has others after it: go back to before it instead")
        if self._conversations.get(row.conversation).head == message:
            self._conversations.set_head(row.conversation, row.parent)
        place = row.conversation, row.parent
        self._children[place] = tuple(n for n in self._following(*place) if n != message)
        del self._rows[message]

    # --- inside ---------------------------------------------------------------------------

    def _following(self, conversation: int, parent: int | None) -> tuple[int, ...]:
        return self._children.get((conversation, parent), ())

    def _up(self, message: int | None, count: int) -> list[int]:
        found = list[int]()
        while message is not None and message in self._rows and (count < 0 or len(found) < count):
            found.append(message)
            message = self._rows[message].message.parent
        return found

    def _add(
        self,
        conversation: int,
        parent: int | None,
        role: str,
        text: str,
        *,
        closed: bool = False,
        streaming: bool = False,
        head: bool = False,
    ) -> Message:
        self._conversations.get(conversation)
        depth = 0
        if parent is not None:
            above = self.get(parent)
            if above.conversation != conversation:
                raise StoreError(f"message {parent} is not in conversation {conversation}: choose one that is")
            if above.streaming:
                self.finish(parent, closed=False)
            depth = above.depth + 1
        number = self._last = self._last + 1
        made = (number, conversation, parent, depth, role, text, closed, streaming, b"", time.time(), 1, 1)
        self._rows[number] = _Row(Message(*made))
        self._children[conversation, parent] = (*self._following(conversation, parent), number)
        if head:
            self._conversations.set_head(conversation, number)
            self._conversations.touch(conversation)
        return self.get(number)
