"""Copies a store that was removed under a running program into another file, and says so.

Knows tables. A connection can read a file that has lost its name, and its log: where nothing is in its place all of it is
copied there. Where another store is in its place the open conversations are added to that, or go into a file beside it. Of
a file that has lost its contents `recent_rows` has what is known. When that happens is decided in `file_watch`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from ...shell import typed
from .. import new_file
from ..files import disk_space
from ..files.file_identity import why_unreachable
from ..pairing import pairing_id, set_pairing_id
from ..table_rows import TABLES, delete_conversation


def memory_only_notice(path: Path) -> str:
    """What to say where the file is gone, and there is no place for another."""
    why = why_unreachable(path)
    what = f"can't be reached any more ({why})" if why else "was removed, emptied or replaced"
    return f"{path} {what}, and no file can be written there: this conversation is in memory only. /export writes it elsewhere."


class RemovedFile:
    """A file that has lost its name and is still open, as the source of a new one.

    Attributes:
        taken: whether all of it is in the new file.
        failed: whether that was tried, and could not be done.
    """

    def __init__(self, old: sqlite3.Connection, free_space: Callable[[], None]) -> None:
        """`free_space` is called where the disk has no room for all of it; it is tried once more then."""
        self._old, self._free_space = old, free_space
        self.taken = self.failed = False

    def fill(self, part: Path) -> None:
        """Makes a file with all of it. Raises OSError, sqlite3.Error: that can't be done."""
        self.taken, self.failed = False, True
        try:
            new_file.copy_pages(self._old, part)
        except (OSError, sqlite3.Error) as e:
            if not disk_space.may_be_out_of_space(e):
                raise
            part.unlink(missing_ok=True)
            self._free_space()
            new_file.copy_pages(self._old, part)
        self.taken, self.failed = True, False


def new_file_notice(path: Path, now: Path, emptied: bool, how: str | None, source: RemovedFile | None = None) -> str:
    """What to say where another file was begun.

    Args:
        now: its name.
        emptied: the old one lost what was in it, and not its name.
        how: how far the open conversation could be written there; None where none was open.
        source: where all of it was to be written there.
    """
    what = "A new file was begun" if how is None else f"This conversation was written there again{how}"
    if source is not None and source.taken:
        what = "All conversations were written there again"
    elif source is not None and source.failed:
        others = "its conversations" if how is None else "the others"
        what += f"; {others} could not be, and are lost unless you have a copy"
    if now != path and source is not None and source.taken:
        what = f"All conversations are in {now} now: {typed('rgchat --recover')} with that name brings them back later"
    elif now != path:
        what = f"This conversation goes on in {now}: {typed('rgchat --recover')} with that name adds it to the others later"
    return f"{path} was {'emptied by another program' if emptied else 'removed or replaced by something else'}. {what}."


def copy_conversations(
    old: sqlite3.Connection, new: sqlite3.Connection, conversations: Sequence[int], *, same: bool = False
) -> bool:
    """Writes conversations into another store under the numbers that they have. In an empty one their states fit.

    One that is there already, as another program has read it from the log, is replaced.

    Args:
        same: all that is in the other store was in this one, so that the states fit that, too.

    Returns:
        False where one of the numbers is taken there; nothing was written.

    Raises:
        sqlite3.Error: it can't be done; nothing was written.
    """
    new.execute("BEGIN IMMEDIATE")
    try:
        new.execute("PRAGMA defer_foreign_keys = ON")
        set_pairing_id(new, pairing_id(old), same=same)
        for number in conversations:
            _delete_copy(old, new, number)
            for table in TABLES:
                _copy_rows(old, new, table, number)
        for name, last in old.execute("SELECT name, seq FROM sqlite_sequence").fetchall():  # never given again
            new.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (last, name))
        new.execute("COMMIT")
    except sqlite3.IntegrityError:
        new.execute("ROLLBACK")
        return False
    except BaseException:
        if new.in_transaction:
            new.execute("ROLLBACK")
        raise
    return True


def _delete_copy(old: sqlite3.Connection, new: sqlite3.Connection, conversation: int) -> None:
    """Takes a conversation out of the new store that is this one, and has nothing that this one has not."""
    which = "SELECT created FROM conversations WHERE id = ?"
    rows = "SELECT id, created FROM messages WHERE conversation = ?"
    there = new.execute(which, (conversation,)).fetchone()
    if there is None or there != old.execute(which, (conversation,)).fetchone():
        return
    if set(new.execute(rows, (conversation,))) <= set(old.execute(rows, (conversation,))):
        delete_conversation(new, conversation)


def _copy_rows(old: sqlite3.Connection, new: sqlite3.Connection, table: str, conversation: int) -> None:
    where = {
        "conversations": "id = ?",
        "pieces": "message IN (SELECT id FROM messages WHERE conversation = ?)",
    }.get(table, "conversation = ?")
    for row in old.execute(f"SELECT * FROM {table} WHERE {where} ORDER BY id", (conversation,)):
        new.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
