"""The database file: opening, transactions, and what to say when the disk or the file is at fault.

Knows SQLite; knows nothing of conversations. Write-ahead log with `synchronous=FULL`: a write that has
returned survives a crash of the program and of the machine (on macOS, a power cut where that is asked for: `durable`).
Several processes may have the file open; a write waits for its turn. One connection serves all threads of a process,
one at a time.

What happens when the file is damaged is in `recovery`, when it is gone in `removed_file`, when the disk is full in `disk_space`. The
model's states are in a file of their own: `states`.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ...shell import typed
from ...system.disk import flush_file
from ...system.macos import privacy
from ...system.paths import dated_name
from ...system.private_files import create_private, make_private
from .. import migrations, new_file
from ..errors import DiskFullError, StoreError
from ..files import disk_space, file_checks, read_only, replacement, wal
from ..files.file_identity import file_identity, has_lost_contents, is_emptied, remove_foreign_wal
from ..files.file_lock import exclusive
from ..files.sqlite_errors import DamagedError, error_code, is_damage
from ..recovery.recovery import recover
from ..states.legacy_states import move_states
from ..states.states import StateDatabase
from ..text import decoded
from . import consistency, removed_file, rescue
from .notices import Notices
from .pending_text import PendingText
from .recent_rows import RecentRows

NAME = "chats.db"
PATIENCE = 15.0  # seconds to wait for another process's write
_TEXT_TABLES = ("conversations", "messages", "pieces")
_FREE_PAGES = 4096  # free pages in the file, above which it is made smaller
_Result = TypeVar("_Result")
_log = logging.getLogger(__name__)


class Database:
    """An open database.

    Attributes:
        path: its file.
        states: the file of states that goes with it.
        notices: what the user should know: a file set aside, an upgrade, a file that is gone.
        open_conversations: gives the conversations that this process has open, which go along when the file is gone.
        after_relocation: called once they are in another file.
        read_only: whether the file can be read and not be written.
        in_memory: whether the file is gone, and there is no place for another.
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
        self.path = Path(directory) / NAME
        self._linked = os.path.islink(self.path)
        if self._linked:  # the log, the lock and what is set aside belong beside the file itself
            file_checks.check_link(self.path)
            file_checks.check_target(self.path)
            self.path = Path(os.path.realpath(self.path))
        if str(self.path).startswith("file:"):  # SQLite would take it for a URI
            self.path = self.path.absolute()
        self.notices = Notices()
        self.open_conversations: Callable[[], Iterable[int]] = tuple
        self.after_relocation: Callable[[], None] = lambda: None
        self.recent = RecentRows()
        self.pending = PendingText()
        self._lock = threading.RLock()
        self.states = StateDatabase(self, self._lock, _alone)
        self._closed = False
        self._full = False  # opened where there was no room for a log
        self._lost = False  # closed, since it could not be opened again
        self.in_memory = False
        self._unkept: set[int] = set()  # conversations that are in memory only
        self._damaged = False  # damage was met: nothing more is written, and the next start makes the file anew
        self._in_doubt: set[int] = set()  # conversations that were open then, or were opened since
        self.read_only = False
        try:
            self._connection = self._begin()
            self.recent.states = migrations.pairing_id(self._connection)
        except (sqlite3.Error, OSError) as e:
            found = read_only.connect_read_only(self.path) if read_only.is_write_refused(e) else None
            if found is not None:
                self._read_only(found, e)
                return
            if isinstance(e, sqlite3.Error):
                raise self._sentence(e) from None
            if disk_space.may_be_out_of_space(e):
                raise self._no_room() from None
            e = privacy.explained(e)
            if isinstance(e, PermissionError) and os.path.exists(self.path) and not os.access(self.path, os.R_OK):
                raise StoreError(f"{self.path} can't be read: allow reading it, or name another directory") from None
            why, culprit = e.strerror or e, self._culprit(e)
            if culprit != self.path:
                raise StoreError(f"{culprit} can't be opened ({why}): allow that, or name another directory") from None
            raise StoreError(
                f"conversations can't be kept in {self.path.parent} ({why}): name another directory"
            ) from None

    def _read_only(self, connection: sqlite3.Connection, error: Exception) -> None:
        self._connection, self.read_only = connection, True
        connection.text_factory = decoded
        connection.execute("PRAGMA cache_size = -500")
        self._identity = file_identity(self.path)
        culprit = self._culprit(error)
        which = "its conversations" if culprit == self.path else f"the conversations in {self.path}"
        self.notices.append(
            f"{culprit} can't be written: {which} can be read and exported. --data names another directory to write to."
        )

    def _culprit(self, error: Exception) -> Path:
        """Which of the files it is that an error is about."""
        name = getattr(error, "filename", None)
        if name is None or not os.path.exists(name):  # the directory of one that is missing may not be written
            return file_checks.inaccessible_file(self.path)
        return Path(os.fsdecode(name))

    @property
    def lock(self) -> threading.RLock:
        """Held by whoever reads several things that belong together."""
        return self._lock

    @property
    def in_transaction(self) -> bool:
        """Whether this is within a transaction."""
        return not self._lost and self._connection.in_transaction

    @property
    def _suspect(self) -> Path:
        """Is there once damage was met: the file is made anew when it is opened next."""
        return self.path.with_name(f".{self.path.name}.suspect")

    def _begin(self, source: removed_file.RemovedFile | None = None) -> sqlite3.Connection:
        """Opens the file, one process at a time; where nothing is there it is made, with all that is in the source.

        Raises:
            sqlite3.Error, OSError, StoreError: it can't be opened, or made.
        """
        if not self._linked:  # a folder in place of a disk that is not connected would split the conversations
            file_checks.make_directory(self.path.parent)
        lock = self.path.with_name(f".{NAME}.opening")
        file_checks.check_store(self.path, lock)
        make_private(self.path)  # earlier versions left that to the umask
        name = glob.escape(self.path.name if self.path.name != NAME else self.path.stem)
        for old in (*self.path.parent.glob(f"{name}*"), *self.path.parent.glob(f".{name}*")):
            make_private(old)
        with _alone(lock):
            replacement.finish_replacement(self.path)
            if not self.path.exists() and not wal.has_transactions(self.path):
                self._make(source)
            create_private(self.path)  # where all that is left is its log
            culprit = file_checks.inaccessible_file(self.path)
            if not os.access(culprit, os.R_OK | os.W_OK):  # SQLite would open it, and fail with the first write
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(culprit))
            try:
                if self._suspect.exists():
                    raise DamagedError("damage was met while the file was in use")
                if is_emptied(self.path):  # SQLite would begin it anew, and remove its log
                    raise DamagedError("there is nothing in it")
                return self._open()
            except sqlite3.DatabaseError as e:
                if not is_damage(e):
                    raise
                self._recover(source)
                return self._open()
            finally:
                self.notices.load(self.path)

    def _make(self, source: removed_file.RemovedFile | None) -> None:
        if source is not None:
            try:
                new_file.create_file(self.path, source.fill)
                return
            except (sqlite3.Error, OSError) as e:
                _log.info("%s is not written again as a whole: %s", self.path, e)
        new_file.create_file(self.path)

    def _open(self) -> sqlite3.Connection:
        try:
            connection = self._connect()
        except (sqlite3.Error, OSError) as e:
            if not disk_space.may_be_out_of_space(e):
                raise
            connection = self._open_without_room(e)
        if not self._full:
            disk_space.reserve(self.path)
        self._identity = file_identity(self.path)
        return connection

    def _open_without_room(self, error: Exception) -> sqlite3.Connection:
        self.states.remove()
        with contextlib.suppress(sqlite3.Error):  # the log may have to be read into the file first, which may grow
            disk_space.checkpoint_in_place(self.path)
        for release in (False, True):
            if release:
                disk_space.release(self.path)
            try:
                connection = self._connect()
                if release:
                    with contextlib.suppress(sqlite3.Error):
                        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return connection
            except (sqlite3.Error, OSError) as e:
                if not disk_space.may_be_out_of_space(e):
                    raise
        try:
            connection = disk_space.connect_without_wal(self.path)
        except sqlite3.Error:
            raise error from None
        if connection.execute("PRAGMA user_version").fetchone()[0] != migrations.VERSION:  # there are no tables to read
            connection.close()
            raise error
        connection.text_factory = decoded
        self._full = True
        self.notices.append(
            f"The disk is full: conversations can be read, exported to another disk and deleted, and nothing can be "
            f"written until there is room for {self.path}."
        )
        return connection

    def _connect(self) -> sqlite3.Connection:
        if wal.is_damaged(self.path):
            raise DamagedError("the log is damaged")
        connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            connection.text_factory = decoded  # one bad byte must not hide all the others
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            # macOS: what goes from the log into the file is on the disk before the log is written anew, and not merely in
            # the memory of the disk. Elsewhere fsync alone does that.
            connection.execute("PRAGMA checkpoint_fullfsync = ON")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = FAST")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            connection.execute("PRAGMA cache_size = -500")  # kB in memory; the system has the rest of the file
            notice = migrations.migrate(connection, self.path)
            self._move_states(connection)
            try:
                for table in _TEXT_TABLES:
                    found = connection.execute(f"PRAGMA quick_check({table})").fetchone()[0]
                    if found != "ok":
                        raise DamagedError(found)
                if found := consistency.find_inconsistency(connection):
                    raise DamagedError(found)
            except sqlite3.OperationalError as e:
                if error_code(e) == sqlite3.SQLITE_ERROR:  # no fault of these lines: what the tables are is damaged
                    raise DamagedError(str(e)) from None
                raise
        except UnicodeDecodeError:  # of SQLite's own sentence, which quotes the file
            connection.close()
            raise DamagedError("what the tables are can't be read") from None
        except BaseException:
            connection.close()
            raise
        if notice:
            self.notices.append(notice)
        return connection

    def _move_states(self, connection: sqlite3.Connection) -> None:
        """Takes the states that an earlier version kept among the conversations to the file that they are in now."""
        sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'snapshots'"
        if connection.execute(sql).fetchone():
            move_states(connection, self.states)

    def _recover(self, source: removed_file.RemovedFile | None) -> None:
        """Makes the file anew from what can be read of it. What to say about that is kept before anything is replaced.

        Where that is nothing it is made from the source.
        """
        emptied, part = is_emptied(self.path), replacement.part_path(self.path)
        try:
            report = recover(self.path, part)
            if source is not None and source.taken:  # it is the source that is damaged
                source.taken, source.failed, source = False, True, None
            if report.empty and source is not None:
                self._fill(part, source)
            kept = dated_name(self.path, "damaged")
            how, what = ("empty or missing", "What there was") if emptied else ("damaged", "The damaged file")
            sentence = f"The file of conversations was {how}. {report.sentence()} {what} is kept as {kept}."
            self.notices.keep(kept, sentence)
            replacement.replace_damaged(self.path, part, kept)
        finally:
            part.unlink(missing_ok=True)
        self._suspect.unlink(missing_ok=True)
        self.notices.append(sentence)

    def _fill(self, part: Path, source: removed_file.RemovedFile) -> None:
        """Has a new file without a row be one with all of the source. Raises OSError, sqlite3.Error: there is none then."""
        replacement.part_path(self.path)
        try:
            source.fill(part)
        except (sqlite3.Error, OSError) as e:
            _log.info("%s is not written again as a whole: %s", self.path, e)
            new_file.open_with_tables(replacement.part_path(self.path)).close()
        flush_file(part)

    def close(self) -> None:
        """Closes the file. Doing so twice is fine."""
        self.states.close()
        self._closed = True
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._connection.close()

    # --- reading and writing --------------------------------------------------------------

    @property
    def connection(self) -> sqlite3.Connection:
        """What the file of states looks into, with the lock that they share."""
        return self._connection

    def follow(self) -> None:
        """Notices a file that is gone, as a transaction does. Raises StoreError."""
        with self._lock:
            if not self._connection.in_transaction and not self.read_only:
                self._follow()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query. Raises StoreError."""
        return self._read(lambda c: c.execute(sql, values).fetchall())

    def row(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row of a query, or None. Raises StoreError."""
        return self._read(lambda c: c.execute(sql, values).fetchone())

    def _read(self, query: Callable[[sqlite3.Connection], _Result]) -> _Result:
        with self._lock:
            try:
                self._come_back()
                if is_emptied(self.path):  # SQLite may take what it has in memory for the file, or zeros
                    self.follow_quietly()
                return query(self._connection)
            except sqlite3.Error as e:
                raise self._sentence(e) from e
            except UnicodeDecodeError as e:  # of SQLite's own sentence, which quotes the file
                raise self._met_damage() from e

    @contextlib.contextmanager
    def transaction(self, *, only_deletes: bool = False, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All that is written inside is kept, or none of it. Inside another one, a part of that.

        Args:
            only_deletes: it only deletes, which a full disk is no obstacle to.
            durable: on macOS as well it is on the disk itself when this returns (F_FULLFSYNC, some 10 ms), and not merely
                with the disk, where a power cut may find it.

        Raises:
            DiskFullError: the disk is full; nothing was changed.
            StoreError: the file can't be written or is damaged; nothing was changed.
        """
        with self._lock:
            try:
                self._come_back()
            except sqlite3.Error as e:
                raise self._sentence(e) from e
            if self._connection.in_transaction:
                yield self._connection
                return
            if self.read_only:
                raise StoreError(f"{self.path} can't be written: allow writing there, or name another directory")
            self._follow()
            if self._full and not only_deletes:
                self._leave_full()
            connection = self._connection
            try:
                connection.execute(f"PRAGMA fullfsync = {int(durable)}")
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as e:
                self._undo()
                if error_code(e) == sqlite3.SQLITE_ERROR:  # no fault of what is written: what the tables are is damaged
                    raise self._met_damage() from e
                raise self._sentence(e) from e
            except UnicodeDecodeError as e:  # of SQLite's own sentence, which quotes the file
                self._undo()
                raise self._met_damage() from e
            except BaseException:
                self._undo()
                raise

    def write(self, action: Callable[[sqlite3.Connection], _Result], *, durable: bool = False) -> _Result:
        """Does something in a transaction; where the disk is full, log and snapshots give way and it is done once more.

        Raises:
            StoreError: as `transaction`.
        """
        with self._lock:
            nested = self.in_transaction
            try:
                with self.transaction(durable=durable) as connection:
                    return action(connection)
            except DiskFullError:
                if nested or self._full:
                    raise
                self._free_space()
            with self.transaction(durable=durable) as connection:
                return action(connection)

    def _undo(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # a failed write may have rolled back by itself
                self._connection.execute("ROLLBACK")

    def shrink(self) -> None:
        """Gives space of deleted rows back to the disk, if it is worth while. Never raises."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
            if (free > _FREE_PAGES or self._full) and not self._connection.in_transaction:
                # A page a step and no columns: `execute` would do the first step only.
                self._connection.executescript("PRAGMA incremental_vacuum;")

    # --- a full disk ----------------------------------------------------------------------

    def _free_space(self) -> None:
        """Takes the log into the file, and drops the snapshots, which can be had again."""
        disk_space.release(self.path)
        try:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.states.free_space()
        finally:
            disk_space.reserve(self.path)

    def free_disk_space(self) -> None:
        """Does that for another file on the disk of this one. Never raises."""
        with self._lock, contextlib.suppress(OSError, StoreError, sqlite3.Error):
            if not (self._closed or self._lost or self._full or self.read_only or self.in_transaction):
                self._free_space()

    def _leave_full(self) -> None:
        """Opens the file as usual, if there is room again. Raises DiskFullError: there is none."""
        self._connection.close()
        self._open_again()
        if self._full:
            raise self._no_room()

    def _open_again(self) -> None:
        """Opens the file as usual or, where there is no room for that, without a log. Raises sqlite3.Error."""
        self._lost = True
        try:
            self._connection, self._full = self._connect(), False
        except (sqlite3.Error, OSError):
            self._connection, self._full = disk_space.connect_without_wal(self.path), True
            self._connection.text_factory = decoded
        self._lost = False
        self._identity = file_identity(self.path)

    def _come_back(self) -> None:
        """Opens the file where the disk let it be opened in no way the last time. Raises sqlite3.Error."""
        if self._lost:
            self._open_again()

    # --- a file that is gone --------------------------------------------------------------

    def follow_quietly(self) -> None:
        """Where the file is not the one that was opened any more: takes what this process has open to another."""
        with self._lock, contextlib.suppress(StoreError):  # it can't be opened again: whoever writes next is told so
            if self._damaged:
                self._in_doubt.update(self.open_conversations())
            if not (self._closed or self.read_only or self.in_transaction):
                self._follow()

    def _follow(self) -> None:
        """The same. Raises StoreError: it can't be opened again."""
        if self._identity == file_identity(self.path):
            self.in_memory = False  # it may be entered again
            self._unkept.clear()
            return
        old, path, full, was = self._connection, self.path, self._full, self._identity
        emptied = has_lost_contents(path, was)
        if not emptied:
            with contextlib.suppress(sqlite3.Error):
                old.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # into the file itself, wherever that is now
        if was[0] == file_identity(path)[0]:  # only the log is gone, and what it had is in the file by now
            old.close()
            try:
                self._connection = self._begin()
            except (sqlite3.Error, OSError) as e:
                raise StoreError(f"{path} can't be opened again ({e}): start again") from None
            self.notices.append(f"{path}-wal was removed. What it had was in memory and is kept.")
            return
        held = sorted(self._unkept.union(self.open_conversations()))
        source = None if emptied else removed_file.RemovedFile(old, self._free_all_space)
        for self.path in (path, dated_name(path, "rescued")):
            try:
                if not emptied:  # else its log is what there is to be read
                    remove_foreign_wal(path, was)
                self._full = False
                self._connection = new = self._begin(source)
            except (sqlite3.Error, OSError, StoreError):
                continue
            if source is not None and source.taken:
                how: str | None = ""
            else:
                how = self._take_along(old, new, held, beside=emptied and self.path == path)
            if how is not None:
                break
            new.close()
            source = None  # there are others in its place: what is open is what is missed
        else:
            self.path, self._connection, self._full = path, old, full
            self._unkept.update(held)
            if not self.in_memory:
                self.in_memory = True
                self.notices.append(removed_file.memory_only_notice(path))
            return
        self.in_memory = self._damaged = False
        self._unkept.clear()
        self._in_doubt.clear()
        self.recent.states = migrations.pairing_id(new)
        old.close()
        self.notices.append(removed_file.new_file_notice(path, self.path, emptied, how if held else None, source))
        self.after_relocation()

    def _free_all_space(self) -> None:
        disk_space.release(self.path)
        self.states.remove()

    def _take_along(
        self, old: sqlite3.Connection, new: sqlite3.Connection, held: Sequence[int], *, beside: bool
    ) -> str | None:
        """Brings conversations from one file into another.

        Args:
            beside: those that are there are the same ones, read from the log.

        Returns:
            How far, to be said; None where it can't be done, or other conversations have these numbers.
        """
        try:
            if removed_file.copy_conversations(old, new, held, same=beside):
                return ""
            if not beside:
                return None
        except sqlite3.Error:  # the old one can't be read any more
            pass
        with contextlib.suppress(sqlite3.Error):
            if self.recent.write_to(new, held, same=beside):
                return ", as far as it was in memory"
        return None

    def rescue(self, finish: Callable[[sqlite3.Connection], None], conversations: Iterable[int] = ()) -> str:
        """Writes what is in memory only into a file elsewhere, before the end; what to say about that, or "".

        Where there is a place for the file by now it goes there. Of a file that turned out to be damaged nobody knows what
        can be read of it later: what is in memory of the open conversations is written elsewhere, too.

        Args:
            finish: adds what is in no file to these conversations.
        """
        with self._lock:
            unkept = set(conversations)
            if self.in_memory:
                self._unkept.update(self.open_conversations())
            self.follow_quietly()
            if self.in_memory:
                unkept |= self._unkept
            spoilt = self._damaged and not self.read_only
            if spoilt:
                unkept |= {
                    number for number in self._in_doubt.union(self.open_conversations()) if self.recent.knows(number)
                }
            if not unkept:
                return ""
            found = rescue.write_rescue(None if spoilt else self._connection, sorted(unkept), self.recent, finish)
        if spoilt:
            if found is None:
                return f"{self.path} is damaged, and no file can be written elsewhere: start again for what can be read of it"
            return (
                f"{self.path} is damaged. What was open, as far as it was in memory, is in {found}: "
                f"{typed('rgchat --recover')} with that name adds what the others lack of it later"
            )
        if found is None:
            return f"{self.path} can't be written, nor can a file elsewhere: what was in memory only is lost"
        return (
            f"{self.path} can't be written. What was in memory only is in {found}: {typed('rgchat --recover')} with that "
            "name adds it to the others later"
        )

    def _met_damage(self) -> StoreError:
        self._damaged = True
        self._in_doubt.update(self.open_conversations())
        with contextlib.suppress(OSError):
            create_private(self._suspect)
        return StoreError(f"{self.path} is damaged: start again, and what can be read goes into a new file")

    def _no_room(self) -> DiskFullError:
        return DiskFullError(f"the disk is full: make room for {self.path}; nothing was changed")

    def _sentence(self, error: sqlite3.Error) -> StoreError:
        code = error_code(error)
        if code == sqlite3.SQLITE_FULL or (
            disk_space.may_be_out_of_space(error) and disk_space.is_disk_full(self.path)
        ):
            return self._no_room()
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            culprit = file_checks.inaccessible_file(self.path)
            return StoreError(f"{culprit} can't be written: allow writing there, or name another directory")
        if code == sqlite3.SQLITE_IOERR:
            return DiskFullError(
                f"{self.path} can't be read or written ({error}): see whether the disk is full or failing"
            )
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreError(f"{self.path} is kept busy by another program: close that one and try again")
        if is_damage(error):
            return self._met_damage()
        return StoreError(f"{self.path} can't be used ({error}): start again, or name another directory")


def _alone(path: Path) -> contextlib.AbstractContextManager[None]:
    """One process at a time opens: making tables, upgrades and setting aside are not for two."""
    return exclusive(path, 2 * PATIENCE)
