"""Locks of conversations: one process has a conversation open. A file each, whose lock ends with its process.

Knows files and numbers of conversations; does not know the database.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from .errors import DiskFullError, StoreError
from .files import disk_space
from .files.file_checks import make_directory
from .files.file_lock import open_lock_file


class ConversationLock:
    """The lock of a conversation, until `release` or the end of the process.

    Attributes:
        before_release: called while it is still held, for what is to be seen to by its holder.
    """

    def __init__(self, conversation: int, path: Path, lock: IO[bytes]) -> None:
        self.conversation = conversation
        self.before_release: Callable[[], None] = lambda: None
        self._path, self._lock = path, lock

    @property
    def held(self) -> bool:
        """Whether it was not released yet."""
        return not self._lock.closed

    def renew(self) -> None:
        """Makes the lock file again where it was removed, so that nobody else takes the conversation."""
        if self.held and (again := lock_conversation(self._path.parent.parent, self.conversation)) is not None:
            self._lock.close()
            self._lock = again._lock

    def release(self) -> None:
        """Lets another process take it. Doing so twice is fine."""
        if self.held:
            self.before_release()
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)  # before the lock goes, so that nobody's file is removed
            self._lock.close()

    def __enter__(self) -> ConversationLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def lock_without_file(directory: Path, conversation: int) -> ConversationLock:
    """A lock in name only, where no file can be made for it; `renew` takes it once that can be done."""
    return ConversationLock(conversation, _path(directory, conversation), open(os.devnull, "ab"))


def _path(directory: Path, conversation: int) -> Path:
    return directory / "open" / f"{conversation}.lock"


def lock_conversation(directory: Path, conversation: int) -> ConversationLock | None:
    """Locks a conversation for this process.

    Returns:
        None when another holder has it.

    Raises:
        StoreError: the lock file can't be made. DiskFullError: as there is no room for it.
    """
    path = _path(directory, conversation)
    try:
        make_directory(path.parent, private=True)
        while True:
            lock = open_lock_file(path)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                    return ConversationLock(conversation, path, lock)
            except BlockingIOError:
                lock.close()
                return None
            except FileNotFoundError:  # released between the two looks
                pass
            except BaseException:
                lock.close()
                raise
            lock.close()  # its holder removed this file while we waited to look: the next one counts
    except OSError as e:
        if disk_space.may_be_out_of_space(e):
            raise DiskFullError(f"the disk is full: make room for {path}") from None
        what = e.filename or directory
        raise StoreError(f"{what} can't be opened ({e.strerror or e}): allow that, or name another directory") from None
