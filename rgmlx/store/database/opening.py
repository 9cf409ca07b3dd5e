"""Opens a file of conversations: makes it where it is missing, upgrades an older one, makes a damaged one anew.

Knows the steps and their order; what each of them does is in `new_file`, `migrations`, `recovery`, `files`. One process at a
time opens: making tables, upgrades and setting aside are not for two.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import logging
import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from ...system.disk import flush_file
from ...system.paths import dated_name
from ...system.private_files import create_private, make_private
from .. import migrations, new_file
from ..files import disk_space, file_checks, replacement, wal
from ..files.connection import CACHE, checkpoint, connect_with_wal, connect_without_wal
from ..files.file_identity import FileIdentity, file_identity, is_emptied
from ..files.file_lock import exclusive
from ..files.read_only import connect_read_only
from ..files.sqlite_errors import DamagedError, error_code, is_damage
from ..names import NAME
from ..recovery.recover import recover
from ..states.legacy_states import drop_states_in_place, has_states, move_states
from ..states.state_file import StateFile, states_path
from ..table_rows import TABLES
from ..text import decoded
from .consistency import find_inconsistency
from .damage import mark_path
from .error_messages import opened_read_only, opened_without_room
from .notices import Notices
from .removed_file import RemovedFile

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenFile:
    """A file of conversations that is open.

    Attributes:
        identity: which file that was when it was opened.
        full: the disk had no room for a log: it can be read and deleted from.
        read_only: it can't be written.
    """

    path: Path
    connection: sqlite3.Connection
    identity: FileIdentity
    full: bool = False
    read_only: bool = False


class Opener:
    """Opens the files of one program.

    Attributes:
        linked: whether the name that the user knows is a link: the directory behind it is not made.
    """

    def __init__(self, notices: Notices) -> None:
        """`notices` gets what the user should know: a damaged file that was made anew, an upgrade, a full disk."""
        self.linked = False
        self._notices = notices

    def resolve(self, directory: str | Path) -> Path:
        """The file in a directory, behind its link if it is one: its log and its lock belong beside it.

        Raises:
            StoreError: the link leads nowhere, or to something else than a file.
        """
        path = Path(directory) / NAME
        self.linked = os.path.islink(path)
        if self.linked:
            file_checks.check_link(path)
            file_checks.check_target(path)
            path = Path(os.path.realpath(path))
        return path.absolute() if str(path).startswith("file:") else path  # SQLite would take that for a URI

    def open(self, path: Path, source: RemovedFile | None = None) -> OpenFile:
        """Opens the file; where nothing is there it is made, with all that is in the source.

        Raises:
            sqlite3.Error, OSError, StoreError: it can't be opened, or made.
        """
        if not self.linked:  # a folder in place of a disk that is not connected would split the conversations
            file_checks.make_directory(path.parent)
        lock = path.with_name(f".{NAME}.opening")
        _check_names(path, lock)
        _make_private(path)
        with exclusive(lock):
            replacement.finish_replacement(path)
            if not path.exists() and not wal.has_transactions(path):
                _make(path, source)
            create_private(path)  # where all that is left is its log
            culprit = file_checks.inaccessible_file(path)
            if not os.access(culprit, os.R_OK | os.W_OK):  # SQLite would open it, and fail with the first write
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(culprit))
            try:
                if mark_path(path).exists():
                    raise DamagedError("damage was met while the file was in use")
                if is_emptied(path):  # SQLite would begin it anew, and remove its log
                    raise DamagedError("there is nothing in it")
                return self._open(path)
            except sqlite3.DatabaseError as e:
                if not is_damage(e):
                    raise
                _log.info("%s is damaged, and made anew of what can be read: %s", path, e)
                self._recover(path, source)
                return self._open(path)
            finally:
                self._notices.load(path)

    def open_again(self, path: Path) -> OpenFile:
        """Opens a file that was open before: as usual or, where there is no room for that, without a log.

        Raises:
            sqlite3.Error: neither can be done.
        """
        try:
            connection, full = self._connect(path), False
        except (sqlite3.Error, OSError):
            connection, full = connect_without_wal(path), True
        return OpenFile(path, connection, file_identity(path), full)

    def open_read_only(self, path: Path, error: Exception) -> OpenFile | None:
        """Opens a file that can't be written, as the error says; None where it can't be read either.

        Raises:
            StoreError: it is of another version.
        """
        connection = connect_read_only(path, migrations.VERSION)
        if connection is None:
            return None
        connection.text_factory = decoded
        connection.execute(CACHE)
        self._notices.append(opened_read_only(path, error))
        return OpenFile(path, connection, file_identity(path), read_only=True)

    def _open(self, path: Path) -> OpenFile:
        try:
            connection, full = self._connect(path), False
        except (sqlite3.Error, OSError) as e:
            if not disk_space.may_be_out_of_space(e):
                raise
            connection, full = self._open_without_room(path, e)
        if not full:
            disk_space.reserve(path)
        return OpenFile(path, connection, file_identity(path), full)

    def _open_without_room(self, path: Path, error: Exception) -> tuple[sqlite3.Connection, bool]:
        """Opens the file once something gave way, or else without a log; whether it is that."""
        StateFile(states_path(path)).remove()
        with contextlib.suppress(sqlite3.Error):  # the log may have to be read into the file first, which may grow
            drop_states_in_place(path)
        for release in (False, True):
            if release:
                disk_space.release(path)
            try:
                connection = self._connect(path)
                if release:
                    with contextlib.suppress(sqlite3.Error):
                        checkpoint(connection)
                return connection, False
            except (sqlite3.Error, OSError) as e:
                if not disk_space.may_be_out_of_space(e):
                    raise
        try:
            connection = connect_without_wal(path)
        except sqlite3.Error:
            raise error from None
        if connection.execute("PRAGMA user_version").fetchone()[0] != migrations.VERSION:  # there are no tables to read
            connection.close()
            raise error
        self._notices.append(opened_without_room(path))
        return connection, True

    def _connect(self, path: Path) -> sqlite3.Connection:
        if wal.is_damaged(path):
            raise DamagedError("the log is damaged")
        try:
            connection = connect_with_wal(path, "FULL")
            try:
                notice = migrations.migrate(connection, path)
                if has_states(connection):
                    move_states(connection, StateFile(states_path(path)))
                _check(connection)
            except BaseException:
                connection.close()
                raise
        except UnicodeDecodeError:  # of SQLite's own sentence, which quotes the file
            raise DamagedError("what the tables are can't be read") from None
        if notice:
            self._notices.append(notice)
        return connection

    def _recover(self, path: Path, source: RemovedFile | None) -> None:
        """Makes the file anew from what can be read of it. What to say about that is kept before anything is replaced.

        Where that is nothing it is made from the source.
        """
        emptied, part = is_emptied(path), replacement.clear_part(path)
        try:
            report = recover(path, part)
            if source is not None and source.taken:  # it is the source that is damaged
                source.taken, source.failed, source = False, True, None
            if report.empty and source is not None:
                _fill(path, part, source)
            kept = dated_name(path, "damaged")
            how, what = ("empty or missing", "What there was") if emptied else ("damaged", "The damaged file")
            sentence = f"The file of conversations was {how}. {report.sentence()} {what} is kept as {kept}."
            self._notices.keep(kept, sentence)
            replacement.replace_damaged(path, part, kept)
        finally:
            part.unlink(missing_ok=True)
        mark_path(path).unlink(missing_ok=True)
        self._notices.append(sentence)


def _check_names(path: Path, lock: Path) -> None:
    """Raises StoreError: something else than a file has the name of one that is opened or made here."""
    beside = (path.with_name(path.name + end) for end in file_checks.ENDS)
    for one in (path, lock, *beside, mark_path(path), replacement.part_path(path)):
        file_checks.check_file(one)


def _make_private(path: Path) -> None:
    """Takes the files from everybody but their owner: earlier versions left that to the umask."""
    make_private(path)
    name = glob.escape(path.name if path.name != NAME else path.stem)
    for old in (*path.parent.glob(f"{name}*"), *path.parent.glob(f".{name}*")):
        make_private(old)


def _make(path: Path, source: RemovedFile | None) -> None:
    if source is not None:
        try:
            new_file.create_file(path, source.fill)
            return
        except (sqlite3.Error, OSError) as e:
            _log.info("%s is not written again as a whole: %s", path, e)
    new_file.create_file(path)


def _fill(path: Path, part: Path, source: RemovedFile) -> None:
    """Has a new file without a row be one with all of the source. Raises OSError, sqlite3.Error: there is none then."""
    replacement.clear_part(path)
    try:
        source.fill(part)
    except (sqlite3.Error, OSError) as e:
        _log.info("%s is not written again as a whole: %s", path, e)
        new_file.open_with_tables(replacement.clear_part(path)).close()
    flush_file(part)


def _check(connection: sqlite3.Connection) -> None:
    """Raises DamagedError: the tables are not what was written."""
    try:
        for table in TABLES:
            found = connection.execute(f"PRAGMA quick_check({table})").fetchone()[0]
            if found != "ok":
                raise DamagedError(found)
        if found := find_inconsistency(connection):
            raise DamagedError(found)
    except sqlite3.OperationalError as e:
        if error_code(e) == sqlite3.SQLITE_ERROR:  # no fault of these lines: what the tables are is damaged
            raise DamagedError(str(e)) from None
        raise
