"""The file of conversations while it is open: rows, transactions, and what is done when the disk is full.

Knows SQLite; knows nothing of conversations. Write-ahead log with `synchronous=FULL`: a write that has
returned survives a crash of the program and of the machine (on macOS, a power cut where that is asked for: `durable`).
Several processes may have the file open; a write waits for its turn. One connection serves all threads of a process,
one at a time.

How the file is opened and mended is in `opening`, what happens when it is removed in `file_watch`, what errors are called
in `error_messages`. The model's states are in a file of their own: `states`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ..errors import DiskFullError, StoreError, not_writable
from ..files import connection as sqlite_connection
from ..files import disk_space, read_only
from ..files.connection import checkpoint, rollback
from ..files.file_identity import is_emptied
from ..files.sqlite_errors import error_code, is_damage
from ..pairing import pairing_id
from ..states.states import StateDatabase
from . import error_messages, rescue
from .damage import Damage
from .file_watch import FileWatch
from .notices import Notices
from .opening import Opener, OpenFile
from .pending_text import PendingText
from .recent_rows import RecentRows

_Result = TypeVar("_Result")


class Database:
    """An open database.

    Attributes:
        states: the file of states that goes with it.
        notices: what the user should know: a file set aside, an upgrade, a file that is gone.
        open_conversations: gives the conversations that this process has open, which go along when the file is gone.
        after_relocation: called once they are in another file.
        recent: what was read and written last, in memory.
        pending: ends of replies that could not be written yet.
    """

    def __init__(self, directory: str | Path) -> None:
        """Opens `chats.db` in the directory, making both where they are missing.

        Of a damaged file all rows that can be read go into a new one, and it is set aside; `notices` says so. Where
        the disk has no room at all, the file is opened to be read and to delete from. Where it is there and can't be
        written, it is opened to be read.

        Raises:
            StoreError: the directory can't be written, or the file is of a newer rgmlx.
        """
        self.notices = Notices()
        self.open_conversations: Callable[[], Iterable[int]] = tuple
        self.after_relocation: Callable[[], None] = lambda: None
        self.recent = RecentRows()
        self.pending = PendingText()
        self._lock = threading.RLock()
        self._closed = False
        self._lost = False  # closed, since it could not be opened again
        self._damage = Damage()
        self._opener = Opener(self.notices)
        self._watch = FileWatch(self._opener, self.recent, self.notices)
        self.states = StateDatabase(self, self._lock)
        self._file = self._opened(self._opener.resolve(directory))

    def _opened(self, path: Path) -> OpenFile:
        try:
            found = self._opener.open(path)
            self.recent.states = pairing_id(found.connection)
            return found
        except (sqlite3.Error, OSError) as e:
            readable = self._opener.open_read_only(path, e) if read_only.is_write_refused(e) else None
            if readable is not None:
                return readable
            if not isinstance(e, sqlite3.Error):
                raise error_messages.not_opened(path, e) from None
            if is_damage(e):
                self._damage.note(path, ())
                raise error_messages.damaged(path) from None
            raise error_messages.not_usable(path, e) from None

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    @property
    def connection(self) -> sqlite3.Connection:
        """What the file of states looks into, with the lock that they share."""
        return self._connection

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._file.connection

    @property
    def read_only(self) -> bool:
        """Whether the file can be read and not be written."""
        return self._file.read_only

    @property
    def in_memory(self) -> bool:
        """Whether the file is gone, and there is no place for another."""
        return self._watch.in_memory

    @property
    def lock(self) -> threading.RLock:
        """Hold it for several reads that belong together."""
        return self._lock

    @property
    def in_transaction(self) -> bool:
        """Whether this is within a transaction."""
        return not self._lost and self._connection.in_transaction

    def close(self) -> None:
        """Closes the file. Doing so twice is fine."""
        self.states.close()
        self._closed = True
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._connection.close()

    # --- reading and writing --------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query. Raises StoreError."""
        return self._read(lambda c: c.execute(sql, values).fetchall())

    def row(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row of a query, or None. Raises StoreError."""
        return self._read(lambda c: c.execute(sql, values).fetchone())

    def _read(self, query: Callable[[sqlite3.Connection], _Result]) -> _Result:
        with self._lock:
            try:
                self._open_lost()
                if is_emptied(self.path):  # SQLite may take what it has in memory for the file, or zeros
                    self.follow_quietly()
                return query(self._connection)
            except sqlite3.Error as e:
                raise self._explained(e) from e
            except UnicodeDecodeError as e:  # of SQLite's own sentence, which quotes the file
                raise self._met_damage() from e

    @contextlib.contextmanager
    def transaction(self, *, only_deletes: bool = False, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All that is written inside is kept, or none of it. Inside another one, a part of that.

        Args:
            only_deletes: a full disk is no obstacle to it.
            durable: on macOS as well it is on the disk itself when this returns (F_FULLFSYNC, some 10 ms), and not merely
                with the disk, where a power cut may find it.

        Raises:
            DiskFullError: the disk is full; nothing was changed.
            StoreError: the file can't be written or is damaged; nothing was changed.
        """
        with self._lock:
            try:
                self._open_lost()
            except sqlite3.Error as e:
                raise self._explained(e) from e
            if self._connection.in_transaction:
                yield self._connection
                return
            if self.read_only:
                raise not_writable(self.path)
            self._follow()
            if self._file.full and not only_deletes:
                self._leave_full()
            connection = self._connection
            try:
                connection.execute(f"PRAGMA fullfsync = {int(durable)}")
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as e:
                rollback(connection)
                if error_code(e) == sqlite3.SQLITE_ERROR:  # no fault of what is written: what the tables are is damaged
                    raise self._met_damage() from e
                raise self._explained(e) from e
            except UnicodeDecodeError as e:  # of SQLite's own sentence, which quotes the file
                rollback(connection)
                raise self._met_damage() from e
            except BaseException:
                rollback(connection)
                raise

    def write(self, action: Callable[[sqlite3.Connection], _Result], *, durable: bool = False) -> _Result:
        """Does something in a transaction; where the disk is full, frees space and tries once more.

        Raises:
            StoreError: as `transaction`.
        """
        with self._lock:
            nested = self.in_transaction
            try:
                with self.transaction(durable=durable) as connection:
                    return action(connection)
            except DiskFullError:
                if nested or self._file.full:
                    raise
                self._free_space()
            with self.transaction(durable=durable) as connection:
                return action(connection)

    def shrink(self) -> None:
        """Gives space of deleted rows back to the disk, if it is worth while. Never raises."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            sqlite_connection.shrink(self._connection, any_size=self._file.full)

    def _explained(self, error: sqlite3.Error) -> StoreError:
        return self._met_damage() if is_damage(error) else error_messages.not_usable(self.path, error)

    def _met_damage(self) -> StoreError:
        self._damage.note(self.path, self.open_conversations())
        return error_messages.damaged(self.path)

    # --- a full disk ----------------------------------------------------------------------

    def free_disk_space(self) -> None:
        """Drops caches for another file on the same disk. Never raises."""
        with self._lock, contextlib.suppress(OSError, StoreError, sqlite3.Error):
            if not (self._closed or self._lost or self._file.full or self.read_only or self.in_transaction):
                self._free_space()

    def _free_space(self) -> None:
        """Takes the log into the file, and drops the snapshots, which are a cache."""
        disk_space.release(self.path)
        try:
            with contextlib.suppress(sqlite3.Error):
                checkpoint(self._connection)
            self.states.free_space()
        finally:
            disk_space.reserve(self.path)

    def _leave_full(self) -> None:
        """Opens the file as usual, if there is room again. Raises DiskFullError: there is none."""
        self._connection.close()
        self._open_again()
        if self._file.full:
            raise error_messages.disk_full(self.path)

    def _open_again(self) -> None:
        self._lost = True
        self._file = self._opener.open_again(self.path)
        self._lost = False

    def _open_lost(self) -> None:
        """Opens the file where the disk let it be opened in no way the last time. Raises sqlite3.Error."""
        if self._lost:
            self._open_again()

    # --- a file that is gone --------------------------------------------------------------

    def follow(self) -> None:
        """Notices a file that is gone, as a transaction does. Raises StoreError."""
        with self._lock:
            if not self._connection.in_transaction and not self.read_only:
                self._follow()

    def follow_quietly(self) -> None:
        """Where the file is not the one that was opened any more: takes what this process has open to another."""
        with self._lock, contextlib.suppress(StoreError):  # it can't be opened again: whoever writes next is told so
            if self._damage.met:
                self._damage.conversations.update(self.open_conversations())
            if not (self._closed or self.read_only or self.in_transaction):
                self._follow()

    def _follow(self) -> None:
        self._file, relocated = self._watch.follow(self._file, self.open_conversations)
        if relocated:
            self._damage.forget()
            self.recent.states = pairing_id(self._connection)
            self.after_relocation()

    def rescue(self, finish: Callable[[sqlite3.Connection], None], conversations: Iterable[int] = ()) -> str:
        """Writes what is in memory only into a file elsewhere, before the end; what to say about that, or "".

        Where there is a place for the file by now it goes there. A file that turned out to be damaged may not be readable
        later: what is in memory of the open conversations is written elsewhere, too.

        Args:
            finish: adds what is in no file to these conversations.
        """
        with self._lock:
            unsaved = set(conversations)
            if self.in_memory:
                self._watch.unsaved.update(self.open_conversations())
            self.follow_quietly()
            if self.in_memory:
                unsaved |= self._watch.unsaved
            damaged = self._damage.met and not self.read_only
            if damaged:
                doubtful = self._damage.conversations.union(self.open_conversations())
                unsaved |= {number for number in doubtful if self.recent.knows(number)}
            if not unsaved:
                return ""
            old = None if damaged else self._connection
            found = rescue.write_rescue(old, sorted(unsaved), self.recent, finish)
        return rescue.told(self.path, found, damaged)
