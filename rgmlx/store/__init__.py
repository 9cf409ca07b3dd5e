"""Conversations on disk: a tree of messages each, snapshots of the model's state, search, export and import.

Knows no widgets and no model; states come and go as `rgmlx.State`. One SQLite file in a directory of
the caller's, safe to have open in several processes and to lose power over, and one of states beside it
that may be lost at any time (`names` has all files):

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

import contextlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ..system.paths import expanded
from .conversations import ConversationStore
from .database.database import Database
from .errors import DiskFullError, StoreError
from .import_export import ImportExport
from .locks import ConversationLock, lock_conversation, lock_without_file
from .messages import MessageStore
from .outline import Outline, Outlines
from .rows import MODEL, USER, Conversation, Message
from .search import Hit, Search

if TYPE_CHECKING:
    from .recovery.report import RecoveryReport
    from .snapshots import SnapshotStore

__all__ = [
    "MODEL",
    "SNAPSHOT_DISK_BYTES",
    "USER",
    "Conversation",
    "ConversationLock",
    "DiskFullError",
    "Hit",
    "Message",
    "Outline",
    "Store",
    "StoreError",
]

SNAPSHOT_DISK_BYTES = 2 * 10**9
"""Disk space for snapshots, where nothing else is set."""


class Store:
    """An open store.

    Attributes:
        conversations, messages, outlines, search, import_export, snapshots: what can be done, by subject.
        read_only: whether nothing can be written, as the file or its directory may not be.
        notices: sentences for the user: a damaged file made anew, an upgrade, a file that is gone. Whoever shows
            one takes it out.
    """

    def __init__(self, directory: str | Path, *, snapshot_bytes: int = SNAPSHOT_DISK_BYTES) -> None:
        """Opens the store in a directory, or begins one.

        Args:
            snapshot_bytes: disk space for snapshots.

        Raises:
            StoreError: the directory can't be written, or the file is of a newer rgmlx.
        """
        self.directory = expanded(directory)
        self._snapshot_bytes = snapshot_bytes
        self._database = Database(self.directory)
        self._locks: list[ConversationLock] = []
        self._database.open_conversations = lambda: [lock.conversation for lock in self._locks if lock.held]
        self._database.after_relocation = self._renew_locks
        self.notices = self._database.notices
        self.read_only = self._database.read_only
        self.conversations = ConversationStore(self._database)
        self.messages = MessageStore(self._database)
        self.outlines = Outlines(self._database)
        self.search = Search(self._database)
        self.import_export = ImportExport(self._database, self.conversations, self.messages)

    @cached_property
    def snapshots(self) -> SnapshotStore:
        """Made when first used: it brings MLX in, which a list of conversations does without."""
        from .snapshots import SnapshotStore

        return SnapshotStore(self._database, self._snapshot_bytes)

    def lock(self, conversation: int) -> ConversationLock | None:
        """Locks a conversation for this process and ends replies that a dead one left open.

        Where the disk is full they stay open.

        Returns:
            None when another process (or another store of this one) has it open.

        Raises:
            StoreError: the lock can't be made.
        """
        if self._database.read_only:  # nobody changes it
            return lock_without_file(self.directory, conversation)
        try:
            taken = lock_conversation(self.directory, conversation)
        except StoreError as e:
            if not (self._database.in_memory or isinstance(e, DiskFullError)):
                raise
            taken = lock_without_file(self.directory, conversation)
        if taken is not None:
            try:
                with contextlib.suppress(DiskFullError):
                    self.messages.end_open_replies(conversation)
            except BaseException:
                taken.release()
                raise
            self._locks = [lock for lock in self._locks if lock.held]
            self._locks.append(taken)
            taken.before_release = self._database.follow_quietly  # while it still counts as open
        return taken

    def recover(self, file: str | Path) -> RecoveryReport:
        """Adds what can be read of another file of conversations, damaged or not, and is not here yet.

        Returns:
            How much that is.

        Raises:
            StoreError: it can't be read, or is this store's own; the disk is full. Nothing was changed.
        """
        from .recovery.recover import merge

        return merge(Path(file), self._database)

    def _renew_locks(self) -> None:
        for lock in self._locks:
            lock.renew()

    @property
    def all_saved(self) -> bool:
        """Whether nothing is in memory only, as far as is known."""
        return not (self._database.in_memory or self.messages.has_pending)

    def free_disk_space(self) -> None:
        """Drops caches, for another file in the directory that a full disk has no space for. Never raises."""
        self._database.free_disk_space()

    def rescue(self) -> str:
        """For the end of a program: what is in memory only, as the file is gone or the disk full, is written elsewhere.

        Returns:
            A sentence that tells where; "" where all is in the file.
        """
        return self._database.rescue(self.messages.write_pending_to, self.messages.pending_conversations())

    def close(self) -> None:
        """Closes the file. Doing so twice is fine."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
