"""The file of states: a cache beside the conversations, in a directory of its own, which backups leave out.

Knows SQLite, the table of snapshots, and whose file it is; does not know what a snapshot holds or fits (`snapshots`). Nothing
here costs a text: what can't be read is not there, and a file that is damaged, missing or of other conversations is made anew,
with a line in the log.

No transaction spans both files. SQLite would commit them one after the other, and with the disk full in between say that
nothing was changed. So either may be ahead of the other wherever a process ends, which does no harm as long as a snapshot is
of use for what its message says and for nothing else (`message_version`). Both files have the same random id. A file of
conversations that was made anew with losses has another one: where what was said above a message is not known any more, its
hash does not tell. Rows of what is not there are dropped when the file is opened.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ...system.macos import time_machine
from ...system.private_files import create_private, make_private, make_private_directory
from ..database_protocol import DatabaseProtocol
from ..errors import DiskFullError, StoreError
from ..files import disk_space, read_only
from ..files.file_identity import FileIdentity, file_identity
from ..files.sqlite_errors import DamagedError, error_code, is_unusable
from ..migrations import pairing_id
from ..text import decoded

DIRECTORY, NAME = "states", "states.db"
VERSION = 1
_OF = "states-of-"  # of a file of conversations with a name of its own
_ENDS = ("", "-wal", "-shm")  # the file before its log: SQLite takes no log for the log of an empty file
_PATIENCE = 15.0  # seconds to wait for another process's write
_AGAIN = 30.0  # seconds until a file that could not be had is asked for again
_FREE_PAGES = 4096  # free pages in the file, above which it is made smaller
_SMALL = 2**18  # bytes: more than a file that has nothing in it, with its log
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE pairing (file TEXT NOT NULL, id BLOB NOT NULL);

-- The large column is the last, so that the others are read without it. A row without a message is
-- one that was replaced while others were based on it. Conversations and messages are in the other file.
CREATE TABLE snapshots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation INTEGER NOT NULL,
    message INTEGER,
    identity TEXT NOT NULL,
    base INTEGER REFERENCES snapshots (id) DEFERRABLE INITIALLY DEFERRED,
    links INTEGER NOT NULL,      -- deltas between this one and a full one
    chars INTEGER NOT NULL,      -- these three: of the message when it was taken
    hash BLOB NOT NULL,
    created REAL NOT NULL,
    digest BLOB NOT NULL,        -- of the whole state
    checksum BLOB NOT NULL,      -- of this row
    size INTEGER NOT NULL,
    used INTEGER NOT NULL,       -- a counter, not a clock: clocks go backwards
    unread BLOB NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (message, identity)
);
CREATE INDEX snapshots_by_base ON snapshots (base);
CREATE INDEX snapshots_by_use ON snapshots (used, id, size);
CREATE INDEX snapshots_by_conversation ON snapshots (conversation, identity);
CREATE INDEX snapshots_replaced ON snapshots (id) WHERE message IS NULL;
"""


class _OfOthers(DamagedError):
    """It is whole, and not of these conversations."""


class _Recreated(StoreError):
    """The file was damaged, and an empty one is in its place."""


def states_path(conversations: Path) -> Path:
    """Where the states of a file of conversations are."""
    name = NAME if conversations.name == "chats.db" else f"{_OF}{conversations.name}"
    return conversations.parent / DIRECTORY / name


class StateDatabase:
    """The file of states, opened when it is first asked for. One connection, and the lock of the conversations'."""

    def __init__(
        self,
        database: DatabaseProtocol,
        lock: contextlib.AbstractContextManager[Any],
        alone: Callable[[Path], contextlib.AbstractContextManager[None]],
    ) -> None:
        """`alone` has one process at a time open a file, by a lock of that name."""
        self._database, self._lock, self._alone = database, lock, alone
        self._connection: sqlite3.Connection | None = None
        self._where: tuple[Path, FileIdentity] | None = None  # None: in memory, as no file can be had
        self._again = 0.0

    @property
    def path(self) -> Path:
        """The file."""
        return states_path(self._database.path)

    @property
    def exists(self) -> bool:
        """Whether there may be rows: nothing is made in order to find out that there are none."""
        return self._connection is not None or os.path.exists(self.path)

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
                    return self._look().execute(sql, values).fetchall()
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
                raise StoreError(f"{self.path} can't be written: allow writing there, or name another directory")
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
                _undo(connection)
                if disk_space.may_be_out_of_space(e):
                    self._give_log_back(connection)
                if is_unusable(e) and self._recreate(e):
                    raise _Recreated(f"{self.path} was damaged, and was made anew: try again") from e
                raise self._sentence(e) from e
            except BaseException:
                _undo(connection)
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
        """Tells rows of a change of the conversations. Never raises: what goes wrong costs room, and makes no state fit."""
        if not self.exists or self._database.read_only:
            return
        try:
            self.write(lambda c: c.execute(sql, values))
        except (StoreError, sqlite3.Error) as e:  # the latter where it was closed meanwhile
            _log.info("%s is not told of a change: %s", self.path, e)

    def shrink(self) -> None:
        """Gives space of deleted rows back to the disk, if it is worth while. Never raises."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            if self._connection is not None and not self._connection.in_transaction:
                free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
                if free > _FREE_PAGES:
                    self._connection.executescript("PRAGMA incremental_vacuum;")

    def _give_log_back(self, connection: sqlite3.Connection) -> None:
        """Makes the log smaller: what could not be written takes all that there was of the disk."""
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:  # not even what there was before can go into the file
            self.free_space()

    def free_space(self) -> None:
        """Drops all rows, and the log with what could not be written, for a full disk. Never raises."""
        with self._lock, contextlib.suppress(OSError):
            if not self.exists or self._database.read_only:
                return
            connection = self._look()
            if self._where is None:  # there is no room to open it, or nothing of use in it
                self.remove()
                return
            with contextlib.suppress(sqlite3.Error):  # other processes give the space back as well then
                disk_space.drop_snapshots(connection)
            if _size(self.path) > _SMALL or self.rows("SELECT 1 FROM snapshots LIMIT 1"):  # the log had no room
                self._recreate("there is no room")

    def remove(self) -> None:
        """Removes the file, for a disk without room for the conversations'. Never raises."""
        with contextlib.suppress(OSError, StoreError), self._alone(self._opening):
            self._unlink()

    def _unlink(self) -> None:
        for end in _ENDS:
            with contextlib.suppress(OSError):
                Path(f"{self.path}{end}").unlink(missing_ok=True)

    @property
    def _opening(self) -> Path:
        """Whoever opens the file, or removes it, has this lock: nobody gets a file and the log of another."""
        return self.path.with_name(f".{self.path.name}.opening")

    # --- which file it is -----------------------------------------------------------------

    def _look(self) -> sqlite3.Connection:
        """The file that is open, or is opened now."""
        if self._connection is None:
            self._set(self.open_for(self._database.connection))
        assert self._connection is not None
        return self._connection

    def _follow(self) -> sqlite3.Connection:
        """The file that is at its place now, where another one was before."""
        before = self._look()
        if before.in_transaction or self._where == (self.path, file_identity(self.path)):
            return before
        if self._where is None and time.monotonic() < self._again:
            return before
        with contextlib.suppress(sqlite3.Error):
            before.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        now = self.open_for(self._database.connection)
        if now is None:  # the old one goes on as long as it can
            self._again = time.monotonic() + _AGAIN
            return before
        self._bring(before, now)
        self._set(now)
        before.close()
        return now

    def _set(self, connection: sqlite3.Connection | None) -> None:
        self._where = None if connection is None else (self.path, file_identity(self.path))
        if connection is None:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            connection.executescript(SCHEMA)
            self._again = time.monotonic() + _AGAIN
        self._connection = connection

    def _bring(self, before: sqlite3.Connection, now: sqlite3.Connection) -> None:
        """Takes states of what this process has open from a file that is gone into the new one."""
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
            _undo(now)

    def _recreate(self, why: object) -> bool:
        """Puts an empty file in the place of a damaged one; whether that was done."""
        if self._database.read_only or self._connection is None or self._connection.in_transaction:
            return False
        _log.info("%s is made anew: %s", self.path, why)
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._set(self.open_for(self._database.connection, self._where))
        return True

    def open_for(
        self, conversations: sqlite3.Connection, damaged: tuple[Path, FileIdentity] | None = None
    ) -> sqlite3.Connection | None:
        """The file for these conversations, made where it is missing or this damaged one; None where none can be had."""
        try:
            of = pairing_id(conversations)
            if of is None:
                return None
            if self._database.read_only:
                found = read_only.connect_read_only(self.path, VERSION)
                if found is not None:
                    found.text_factory = decoded
                return found if found is not None and pairing_id(found) == of else None
            self.path.parent.mkdir(0o700, exist_ok=True)  # but not what it is in
            if _is_ours(self.path.parent):
                make_private_directory(self.path.parent)
                time_machine.leave_out(self.path.parent)
            with self._alone(self._opening):
                # Else another process did it.
                if damaged is not None and damaged[1][0] == file_identity(self.path)[0]:
                    self._unlink()
                try:
                    return self._connect(conversations, of)
                except (sqlite3.Error, UnicodeDecodeError) as e:
                    if not is_unusable(e):
                        raise
                    _log.info("%s is made anew: %s", self.path, e)
                    self._unlink()
                return self._connect(conversations, of)
        except (sqlite3.Error, OSError, StoreError, UnicodeDecodeError) as e:
            _log.info("states are not kept in %s: %s", self.path, e)
            return None

    def _connect(self, conversations: sqlite3.Connection, of: bytes) -> sqlite3.Connection:
        create_private(self.path)
        for end in _ENDS:
            make_private(Path(f"{self.path}{end}"))
        if not self.path.is_file():
            raise StoreError(f"{self.path} is not a file: move it away")
        connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            connection.text_factory = decoded
            if not self.path.stat().st_size:
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut may take the last ones with it, and leaves a whole file.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA checkpoint_fullfsync = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = FAST")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            connection.execute("PRAGMA cache_size = -500")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if not version and not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                paired = f"INSERT INTO pairing VALUES ('states', x'{of.hex()}');"
                connection.executescript(f"BEGIN IMMEDIATE; {SCHEMA} {paired} PRAGMA user_version = {VERSION}; COMMIT;")
            elif version != VERSION or pairing_id(connection) != of:
                raise _OfOthers("it is not of these conversations")
            else:
                _sweep(connection, conversations)
        except BaseException:
            connection.close()
            raise
        return connection

    def _sentence(self, error: Exception) -> StoreError:
        if error_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            return DiskFullError(f"{self.path} can't be written ({error}): see whether the disk is full or failing")
        return StoreError(f"{self.path} can't be written ({error}): allow writing there, or remove it")


def _sweep(states: sqlite3.Connection, conversations: sqlite3.Connection) -> None:
    """Drops rows of conversations that are gone, and of messages that are not yet there: of an older copy put in place.

    Rows are looked at first, since what they are of is written before they are.
    """
    top = states.execute("SELECT coalesce(max(message), 0) FROM snapshots").fetchone()[0]
    found = {number for (number,) in states.execute("SELECT DISTINCT conversation FROM snapshots")}
    sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'messages'"
    last = conversations.execute(sql).fetchone()[0]
    gone = found - {number for (number,) in conversations.execute("SELECT id FROM conversations")}
    if top <= last and not gone:
        return
    states.execute("BEGIN IMMEDIATE")
    states.execute(
        "WITH RECURSIVE gone (id) AS (SELECT id FROM snapshots WHERE message > ? AND message <= ? "
        "UNION SELECT s.id FROM gone JOIN snapshots s ON s.base = gone.id) "
        "DELETE FROM snapshots WHERE id IN (SELECT id FROM gone)",
        (last, top),
    )
    states.executemany("DELETE FROM snapshots WHERE conversation = ?", [(number,) for number in gone])
    states.execute("COMMIT")


def _size(path: Path) -> int:
    """Bytes of a file and its log."""
    size = 0
    for end in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            size += os.stat(f"{path}{end}").st_size
    return size


def _is_ours(directory: Path) -> bool:
    """Whether nobody keeps something else in a directory of that name. Raises OSError."""
    return all(name.startswith((NAME, f".{NAME}", _OF, f".{_OF}")) for name in os.listdir(directory))


def _undo(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with contextlib.suppress(sqlite3.Error):  # a failed write may have rolled back by itself
            connection.execute("ROLLBACK")
