"""Notices that the open file was removed, emptied or replaced by another program, and goes on in another one.

Knows which file is open and where another may be; what is copied is in `removed_file`. Where there is no place for another
file the old one goes on in memory: a connection can use a file that has lost its name.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ...system.paths import dated_name
from ..errors import StoreError
from ..files import disk_space
from ..files.connection import checkpoint
from ..files.file_identity import file_identity, has_lost_contents, remove_foreign_wal
from ..states.state_file import StateFile, states_path
from .notices import Notices
from .opening import Opener, OpenFile
from .recent_rows import RecentRows
from .removed_file import RemovedFile, copy_conversations, memory_only_notice, new_file_notice


class FileWatch:
    """Which file the open one is now.

    Attributes:
        in_memory: whether the file is gone, and there is no place for another.
        unsaved: conversations that are in memory only then.
    """

    def __init__(self, opener: Opener, recent: RecentRows, notices: Notices) -> None:
        """`recent` has what is known of a file that has lost its contents; `notices` gets what the user should know."""
        self._opener, self._recent, self._notices = opener, recent, notices
        self.in_memory = False
        self.unsaved: set[int] = set()

    def follow(self, current: OpenFile, open_conversations: Callable[[], Iterable[int]]) -> tuple[OpenFile, bool]:
        """Looks whether the open file is still in its place; where it isn't, takes its conversations to another.

        Args:
            open_conversations: gives those that this process has open, which have to go along.

        Returns:
            The file to go on with, and whether it is another one.

        Raises:
            StoreError: it can't be opened again.
        """
        path, was = current.path, current.identity
        if was == file_identity(path):
            self._saved()  # it may be entered again
            return current, False
        emptied = has_lost_contents(path, was)
        if not emptied:
            with contextlib.suppress(sqlite3.Error):
                checkpoint(current.connection)  # into the file itself, wherever that is now
        if was[0] == file_identity(path)[0]:  # only the log is gone, and what it had is in the file by now
            return self._open_with_new_wal(current), False
        conversations = sorted(self.unsaved.union(open_conversations()))
        found = self._relocated(current, conversations, emptied)
        if found is None:
            self.unsaved.update(conversations)
            if not self.in_memory:
                self.in_memory = True
                self._notices.append(memory_only_notice(path))
            return current, False
        self._saved()
        current.connection.close()
        return found, True

    def _saved(self) -> None:
        self.in_memory = False
        self.unsaved.clear()

    def _open_with_new_wal(self, current: OpenFile) -> OpenFile:
        path = current.path
        current.connection.close()
        try:
            found = self._opener.open(path)
        except (sqlite3.Error, OSError) as e:
            raise StoreError(f"{path} can't be opened again ({e}): start again") from None
        self._notices.append(f"{path}-wal was removed. What it had was in memory and is kept.")
        return found

    def _relocated(self, current: OpenFile, conversations: Sequence[int], emptied: bool) -> OpenFile | None:
        """Opens another file, in the place of the old one or beside it, that has the conversations.

        Returns:
            None where there is no place for one.
        """
        path = target = current.path
        source = None if emptied else RemovedFile(current.connection, lambda: _free_space(target))
        for target in (path, dated_name(path, "rescued")):
            try:
                if not emptied:  # else its log is what there is to be read
                    remove_foreign_wal(path, current.identity)
                found = self._opener.open(target, source)
            except (sqlite3.Error, OSError, StoreError):
                continue
            if source is not None and source.taken:
                extent: str | None = ""
            else:
                same = emptied and target == path
                extent = self._copied(current.connection, found.connection, conversations, same=same)
            if extent is not None:
                told = extent if conversations else None
                self._notices.append(new_file_notice(path, target, emptied, told, source))
                return found
            found.connection.close()
            source = None  # there are others in its place: what is open is what is missed
        return None

    def _copied(
        self, old: sqlite3.Connection, new: sqlite3.Connection, conversations: Sequence[int], *, same: bool
    ) -> str | None:
        """Copies conversations from one file into another.

        Args:
            same: those that are there are the same ones, read from the log.

        Returns:
            How far, to be said; None where it can't be done, or other conversations have these numbers.
        """
        try:
            if copy_conversations(old, new, conversations, same=same):
                return ""
            if not same:
                return None
        except sqlite3.Error:  # the old one can't be read any more
            pass
        with contextlib.suppress(sqlite3.Error):
            if self._recent.write_to(new, conversations, same=same):
                return ", as far as it was in memory"
        return None


def _free_space(path: Path) -> None:
    """Gives all that is a cache back to the disk."""
    disk_space.release(path)
    StateFile(states_path(path)).remove()
