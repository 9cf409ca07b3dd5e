"""The file of states on the disk: which one goes with a file of conversations; how it is made, opened and removed.

Knows SQLite and the columns of a snapshot; does not know what a snapshot holds. A file that is damaged, missing or of other
conversations is made anew, with a line in the log.

Both files have the same random id (`pairing`). A file of conversations that was made anew with losses has another one: where
what was said above a message is not known any more, its hash does not tell. Rows of what is not there are dropped when the
file is opened.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from pathlib import Path

from ...system.macos import time_machine
from ...system.private_files import create_private, make_private, make_private_directory
from .. import names
from ..errors import StoreError
from ..files.connection import connect_with_wal
from ..files.file_identity import FileIdentity, file_identity
from ..files.file_lock import exclusive
from ..files.read_only import connect_read_only
from ..files.sqlite_errors import DamagedError, is_unusable
from ..pairing import pairing_id
from ..text import decoded

DIRECTORY, NAME = "states", "states.db"
VERSION = 1
_OF = "states-of-"  # of a file of conversations with a name of its own
_ENDS = ("", "-wal", "-shm")  # the file before its log: SQLite takes no log for the log of an empty file
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


def states_path(conversations: Path) -> Path:
    """Where the states of a file of conversations are."""
    name = NAME if conversations.name == names.NAME else f"{_OF}{conversations.name}"
    return conversations.parent / DIRECTORY / name


class StateFile:
    """The place of a file of states. Holds nothing open."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether something is there."""
        return os.path.exists(self.path)

    @property
    def size(self) -> int:
        """Bytes of the file and its log."""
        size = 0
        for end in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                size += os.stat(f"{self.path}{end}").st_size
        return size

    def open_for(
        self, conversations: sqlite3.Connection, *, read_only: bool = False, damaged: FileIdentity | None = None
    ) -> sqlite3.Connection | None:
        """Opens the file for these conversations; makes it where it is missing.

        Args:
            read_only: nothing is made or changed.
            damaged: the file that was opened before and is damaged: it is made anew, unless another process has done so.

        Returns:
            None where no file can be had.
        """
        try:
            of = pairing_id(conversations)
            if of is None:
                return None
            if read_only:
                found = connect_read_only(self.path, VERSION)
                if found is not None:
                    found.text_factory = decoded
                return found if found is not None and pairing_id(found) == of else None
            self.path.parent.mkdir(0o700, exist_ok=True)  # but not what it is in
            if _is_ours(self.path.parent):
                make_private_directory(self.path.parent)
                time_machine.leave_out(self.path.parent)
            with exclusive(self._opening):
                if damaged is not None and damaged[0] == file_identity(self.path)[0]:
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

    def remove(self) -> None:
        """Removes the file, for a disk without room for the conversations'. Never raises."""
        with contextlib.suppress(OSError, StoreError), exclusive(self._opening):
            self._unlink()

    @property
    def _opening(self) -> Path:
        """The lock for opening the file and for removing it: no process gets a file and the log of another."""
        return self.path.with_name(f".{self.path.name}.opening")

    def _unlink(self) -> None:
        for end in _ENDS:
            with contextlib.suppress(OSError):
                Path(f"{self.path}{end}").unlink(missing_ok=True)

    def _connect(self, conversations: sqlite3.Connection, of: bytes) -> sqlite3.Connection:
        create_private(self.path)
        for end in _ENDS:
            make_private(Path(f"{self.path}{end}"))
        if not self.path.is_file():
            raise StoreError(f"{self.path} is not a file: move it away")
        # A power cut may take the last transactions with it, and leaves a whole file.
        connection = connect_with_wal(self.path, "NORMAL", new=not self.path.stat().st_size)
        try:
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


def _is_ours(directory: Path) -> bool:
    """Whether a directory of that name has only files of states in it. Raises OSError."""
    return all(name.startswith((NAME, f".{NAME}", _OF, f".{_OF}")) for name in os.listdir(directory))
