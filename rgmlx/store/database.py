"""The database file: opening, transactions, and what to say when the disk or the file is at fault.

Knows SQLite; knows nothing of conversations. Write-ahead log with `synchronous=FULL`: a write that has
returned survives a crash of the program and of the machine. Several processes may have the file open;
a write waits for its turn. One connection serves all threads of a process, one at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import migrations
from .errors import StoreError

NAME = "chats.db"
PATIENCE = 15.0  # seconds to wait for another process's write
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_TEXT_TABLES = ("conversations", "messages", "pieces")  # snapshots carry checksums of their own, and are large
_FREE_PAGES = 4096  # free pages in the file, above which it is made smaller


class Database:
    """An open database.

    Attributes:
        path: its file.
        notices: what the user should know after opening: a file set aside, an upgrade.
    """

    def __init__(self, directory: str | Path) -> None:
        """Opens `chats.db` in the directory, making both where they are missing.

        A damaged file is set aside under another name and a fresh one begins; `notices` says so.

        Raises:
            StoreError: the directory can't be written, or the file is of a newer rgmlx.
        """
        self.path = Path(directory) / NAME
        self.notices: list[str] = []
        self._suspect = self.path.with_name(f".{NAME}.suspect")  # damage was met: look at all of it when opening
        self._lock = threading.RLock()
        try:
            self.path.parent.mkdir(0o700, parents=True, exist_ok=True)  # a new one: chats are private
            with _alone(self.path.with_name(f".{NAME}.opening")):
                try:
                    self._connection = self._open()
                except sqlite3.DatabaseError as e:
                    if not damaged(e):
                        raise
                    self.notices.append(self._set_aside())
                    self._connection = self._open()
        except sqlite3.Error as e:
            raise self._sentence(e) from None
        except OSError as e:
            raise StoreError(
                f"conversations can't be kept in {self.path.parent} ({e.strerror or e}): name another directory"
            ) from None

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has an effect in a new file only
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = FAST")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            connection.execute("PRAGMA cache_size = -500")  # kB in memory; the system has the rest of the file
            notice = migrations.bring_up_to_date(connection, self.path)
            suspect = self._suspect.exists()
            for check in ["quick_check"] if suspect else [f"quick_check({table})" for table in _TEXT_TABLES]:
                found = connection.execute(f"PRAGMA {check}").fetchone()[0]
                if found != "ok":
                    raise _Damaged(found)
            if suspect:
                self._suspect.unlink(missing_ok=True)
        except BaseException:
            connection.close()
            raise
        if notice:
            self.notices.append(notice)
        return connection

    def _set_aside(self) -> str:
        stem = f"{self.path.stem}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
        for number in range(1, 1000):
            kept = self.path.with_name(f"{stem}{f'-{number}' if number > 1 else ''}{self.path.suffix}")
            if not kept.exists():
                break
        for end in ("-wal", "-shm", ""):  # the log goes with its file: a new file must not meet an old log
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self.path}{end}", f"{kept}{end}")
        self._suspect.unlink(missing_ok=True)
        return f"The file of conversations was damaged. It is kept as {kept}; a new one was begun."

    def close(self) -> None:
        """Closes the file. Doing so twice is fine."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._connection.close()

    # --- reading and writing --------------------------------------------------------------

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a query. Raises StoreError."""
        with self._lock:
            try:
                return self._connection.execute(sql, values).fetchall()
            except sqlite3.Error as e:
                raise self._sentence(e) from e

    def row(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first row of a query, or None. Raises StoreError."""
        with self._lock:
            try:
                return self._connection.execute(sql, values).fetchone()
            except sqlite3.Error as e:
                raise self._sentence(e) from e

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside is kept, or none of it. Inside another one, a part of that.

        Raises:
            StoreError: the disk is full, the file can't be written or is damaged; nothing was changed.
        """
        with self._lock:
            connection = self._connection
            if connection.in_transaction:
                yield connection
                return
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as e:
                self._undo()
                raise self._sentence(e) from e
            except BaseException:
                self._undo()
                raise

    def _undo(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # a failed write may have rolled back by itself
                self._connection.execute("ROLLBACK")

    def shrink(self) -> None:
        """Gives space of deleted rows back to the disk, if it is worth while. Never raises."""
        with self._lock, contextlib.suppress(sqlite3.Error):
            free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
            if free > _FREE_PAGES and not self._connection.in_transaction:
                # A page a step and no columns: `execute` would do the first step only.
                self._connection.executescript("PRAGMA incremental_vacuum;")

    def _sentence(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", None)
        kind = None if code is None else code & 0xFF
        if kind == sqlite3.SQLITE_FULL:
            return StoreError(f"the disk is full: make room for {self.path}; nothing was changed")
        if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            return StoreError(f"{self.path} can't be written: allow writing there, or name another directory")
        if kind == sqlite3.SQLITE_IOERR:
            return StoreError(
                f"{self.path} can't be read or written ({error}): see whether the disk is full or failing"
            )
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreError(f"{self.path} is kept busy by another program: close that one and try again")
        if damaged(error):
            with contextlib.suppress(OSError):
                self._suspect.touch()
            return StoreError(f"{self.path} is damaged: start again, and it is set aside for a new one")
        return StoreError(f"{self.path} can't be used ({error}): start again, or name another directory")


class _Damaged(sqlite3.DatabaseError):
    """What `quick_check` finds."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def damaged(error: BaseException | None) -> bool:
    """Whether this is SQLite's word for a file that is not what was written."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _DAMAGED


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time opens: making tables, upgrades and setting aside are not for two."""
    with path.open("ab") as lock:
        end = time.monotonic() + 2 * PATIENCE
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        yield
