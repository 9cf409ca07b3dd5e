"""The open file of states: a cache beside the conversations, in a directory of its own, which backups leave out.

Knows SQLite and when the file has to be another one; how it is opened is in `state_file`, what a snapshot holds and fits in
`snapshots`. Nothing here costs a text: what can't be read is not there.

No transaction spans both files. SQLite would commit them one after the other, and with the disk full in between say that
nothing was changed. So either may be ahead of the other wherever a process ends, which does no harm as long as a snapshot is
of use for what its message says and for nothing else (`message_version`).
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..database_protocol import DatabaseProtocol
from ..errors import DiskFullError, StoreError, not_writable
from ..files import connection as sqlite_connection
from ..files import disk_space
from ..files.connection import checkpoint, rollback
from ..files.file_identity import FileIdentity, file_identity
from ..files.sqlite_errors import error_code, is_unusable
from ..pairing import pairing_id
from .state_file import SCHEMA, StateFile, states_path

_RETRY_SECONDS = 30.0  # seconds until a file that could not be had is asked for again
_SMALL = 2**18  # bytes: more than a file that has nothing in it, with its log
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class _Recreated(StoreError):
    """The file was damaged, and an empty one is in its place."""


class StateDatabase:
    """The file of states, opened when it is first asked for. One connection, and the lock of the conversations'."""

    def __init__(
        self,
        database: DatabaseProtocol,
        lock: contextlib.AbstractContextManager[Any],
    ) -> None:
        self._database, self._lock = database, lock
        self._connection: sqlite3.Connection | None = None
        self._where: tuple[Path, FileIdentity] | None = None  # None: in memory, as no file can be had
        self._retry_at = 0.0

    @property
    def path(self) -> Path:
        """The file."""
        return states_path(self._database.path)

    @property
    def exists(self) -> bool:
        """Whether there may be rows. Makes no file to find out."""
        return self._connection is not None or self._file.exists

    @property
    def _file(self) -> StateFile:
        return StateFile(self.path)

    @property
    def writable(self) -> bool:
        """Whether something can be kept."""
        with self._lock:
            if self._database.read_only:
                return False
            self._database.follow()
            self._follow()
            return self._where is not None

    def close(self) -> None:
        """Closes the file. Doing so twice is fine."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                self._connection.close()

    # --- reading and writing --------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query; none where they can't be read."""
        with self._lock:
            for last in (False, True):
                try:
                    return self._current().execute(sql, values).fetchall()
                except (sqlite3.Error, UnicodeDecodeError) as e:
                    if last or not is_unusable(e) or not self._recreate(e):
                        _log.info("%s can't be read: %s", self.path, e)
                        break
        return []

    def row(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row of a query, or None."""
        return next(iter(self.rows(sql, values)), None)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside is kept, or none of it. Inside another one, a part of that.

        Raises:
            DiskFullError: the disk is full; nothing was changed.
            StoreError: the file can't be written, or was made anew.
        """
        with self._lock:
            if self._database.read_only:
                raise not_writable(self.path)
            self._database.follow()
            connection = self._follow()
            if connection.in_transaction:
                yield connection
                return
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except (sqlite3.Error, UnicodeDecodeError) as e:
                rollback(connection)
                if disk_space.may_be_out_of_space(e):
                    self._truncate_wal(connection)
                if is_unusable(e) and self._recreate(e):
                    raise _Recreated(f"{self.path} was damaged, and was made anew: try again") from e
                raise self._sentence(e) from e
            except BaseException:
                rollback(connection)
                raise

    def write(self, action: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Does something in a transaction; in a file that turns out to be damaged, once more in a new one.

        Raises:
            StoreError: as `transaction`.
        """
        with contextlib.suppress(_Recreated), self.transaction() as connection:
            return action(connection)
        with self.transaction() as connection:
            return action(connection)

    def write_quietly(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Follows a change of the conversations. Never raises: a failure costs space, and makes no state fit."""
        if not self.exists or self._database.read_only:
            return
        try:
            self.write(lambda c: c.execute(sql, values))
        except (StoreError, sqlite3.Error) as e:  # the latter where it was closed meanwhile
            _log.info("%s is not told of a change: %s", self.path, e)

    def shrink(self) -> None:
        """Gives space of deleted rows back to the disk, if it is worth while. Never raises."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            if self._connection is not None:
                sqlite_connection.shrink(self._connection)

    def _truncate_wal(self, connection: sqlite3.Connection) -> None:
        """Makes the log smaller: what could not be written has taken the rest of the disk."""
        try:
            checkpoint(connection)
        except sqlite3.Error:  # not even what there was before can go into the file
            self.free_space()

    def free_space(self) -> None:
        """Drops all rows, and the log with what could not be written, for a full disk. Never raises."""
        with self._lock, contextlib.suppress(OSError):
            if not self.exists or self._database.read_only:
                return
            connection = self._current()
            if self._where is None:  # there is no room to open it, or nothing of use in it
                self._file.remove()
                return
            with contextlib.suppress(sqlite3.Error):  # other processes give the space back as well then
                _drop_snapshots(connection)
            if self._file.size > _SMALL or self.rows("SELECT 1 FROM snapshots LIMIT 1"):  # the log had no room
                self._recreate("there is no room")

    # --- which file it is -----------------------------------------------------------------

    def _current(self) -> sqlite3.Connection:
        """The file that is open, or is opened now."""
        if self._connection is None:
            self._set(self._open())
        assert self._connection is not None
        return self._connection

    def _follow(self) -> sqlite3.Connection:
        """The file that is in its place now, which may be another one than before."""
        before = self._current()
        if before.in_transaction or self._where == (self.path, file_identity(self.path)):
            return before
        if self._where is None and time.monotonic() < self._retry_at:
            return before
        with contextlib.suppress(sqlite3.Error):
            checkpoint(before)
        now = self._open()
        if now is None:  # the old one goes on as long as it can
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            return before
        self._copy_open(before, now)
        self._set(now)
        before.close()
        return now

    def _set(self, connection: sqlite3.Connection | None) -> None:
        self._where = None if connection is None else (self.path, file_identity(self.path))
        if connection is None:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            connection.executescript(SCHEMA)
            self._retry_at = time.monotonic() + _RETRY_SECONDS
        self._connection = connection

    def _copy_open(self, before: sqlite3.Connection, now: sqlite3.Connection) -> None:
        """Copies states of the conversations that are open here from a removed file to the new one."""
        try:
            if pairing_id(before) != pairing_id(now):  # what was said may have been lost meanwhile
                return
            now.execute("BEGIN IMMEDIATE")
            for conversation in self._database.open_conversations():
                sql = "SELECT * FROM snapshots WHERE conversation = ? ORDER BY id"
                for row in before.execute(sql, (conversation,)):
                    now.execute(f"INSERT OR IGNORE INTO snapshots VALUES ({', '.join('?' * len(row))})", row)
            now.execute("COMMIT")
        except (sqlite3.Error, UnicodeDecodeError) as e:
            _log.info("states are not taken to %s: %s", self.path, e)
            rollback(now)

    def _recreate(self, why: object) -> bool:
        """Puts an empty file in the place of a damaged one; whether that was done."""
        if self._database.read_only or self._connection is None or self._connection.in_transaction:
            return False
        _log.info("%s is made anew: %s", self.path, why)
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._set(self._open(damaged=None if self._where is None else self._where[1]))
        return True

    def _open(self, damaged: FileIdentity | None = None) -> sqlite3.Connection | None:
        return self._file.open_for(self._database.connection, read_only=self._database.read_only, damaged=damaged)

    def _sentence(self, error: Exception) -> StoreError:
        if error_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return DiskFullError(f"{self.path} can't be written ({error}): see whether the disk is full or failing")
        return StoreError(f"{self.path} can't be written ({error}): allow writing there, or remove it")


def _drop_snapshots(connection: sqlite3.Connection) -> None:
    """Drops all rows through the log, and makes log and file smaller. Raises sqlite3.Error: also for want of space."""
    with contextlib.suppress(sqlite3.Error):
        checkpoint(connection)
    connection.execute("DELETE FROM snapshots")
    connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")
