"""Conversations on disk: a tree of messages each, snapshots of the model's state, search, exchange.

Knows no widgets and no model; states come and go as `rgmlx.State`. One SQLite file in a directory of
the caller's, safe to have open in several processes and to lose power over:

    with Store(directory) as store:
        chat = store.conversations.create("2b", "A first chat")
        asked = store.messages.add_user(chat.id, None, "Hello")         # on the disk from here on
        reply = store.messages.start_reply(chat.id, asked.id)
        store.messages.append(reply.id, "Hi, ")                         # about once a second
        store.messages.finish(reply.id, closed=True)
        store.snapshots.put(reply.id, state, unread)
        near = store.snapshots.restore(reply.id, model)                 # later: nothing is read again
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .claims import Claim, claim
from .conversations import Conversation, Conversations
from .database import Database
from .errors import StoreError
from .exchange import Exchange
from .messages import MODEL, USER, Message, Messages
from .outline import Outline, Outlines
from .search import Hit, Search

if TYPE_CHECKING:
    from .snapshots import Snapshots

__all__ = ["MODEL", "USER", "Claim", "Conversation", "Hit", "Message", "Outline", "Store", "StoreError"]


class Store:
    """An open store.

    Attributes:
        conversations, messages, outlines, search, exchange, snapshots: what can be done, by subject.
        notices: sentences for the user about opening: a damaged file set aside, an upgrade.
    """

    def __init__(self, directory: str | Path, *, snapshot_bytes: int | None = None) -> None:
        """Opens the store in a directory, or begins one.

        Args:
            snapshot_bytes: disk space for snapshots; None for 2 GB.

        Raises:
            StoreError: the directory can't be written, or the file is of a newer rgmlx.
        """
        self.directory = Path(directory)
        self._snapshot_bytes = snapshot_bytes
        self._database = Database(self.directory)
        self.notices = self._database.notices
        self.conversations = Conversations(self._database)
        self.messages = Messages(self._database)
        self.outlines = Outlines(self._database)
        self.search = Search(self._database)
        self.exchange = Exchange(self._database, self.conversations, self.messages)

    @cached_property
    def snapshots(self) -> Snapshots:
        """Made when first used: it brings MLX in, which a list of conversations does without."""
        from .snapshots import BUDGET, Snapshots

        return Snapshots(self._database, BUDGET if self._snapshot_bytes is None else self._snapshot_bytes)

    def claim(self, conversation: int) -> Claim | None:
        """Takes a conversation for this process and ends replies that a dead one left open.

        Returns:
            None when another process (or another store of this one) has it open.

        Raises:
            StoreError: the lock can't be made, or the disk is full.
        """
        taken = claim(self.directory, conversation)
        if taken is not None:
            try:
                self.messages.settle(conversation)
            except BaseException:
                taken.release()
                raise
        return taken

    def close(self) -> None:
        """Closes the file. Doing so twice is fine."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
