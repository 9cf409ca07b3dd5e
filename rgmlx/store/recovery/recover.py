"""From a damaged file into a whole one: every row that can be read, where it was or as near as can be.

Knows files; which rows can be read is in `damaged_file`, how they are written in `row_copier`. In a fresh file rows keep
their numbers, and where nothing of them is doubtful the states kept of them; into a store that is in use what is not there
yet is added, and nothing is changed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ...system.disk import flush_file
from ...system.macos import privacy
from ..database_protocol import DatabaseProtocol
from ..errors import StoreError
from ..new_file import open_with_tables
from ..pairing import set_pairing_id
from ..text import decoded
from .damaged_file import DamagedFile
from .report import RecoveryReport
from .row_copier import RowCopier


def recover(path: Path, fresh: Path) -> RecoveryReport:
    """Writes a new file with all that can be read of a damaged one, which stays as it is.

    Raises:
        OSError: a file can't be opened.
        sqlite3.Error: the new file can't be written.
        StoreError: it can't be written.
    """
    connection = open_with_tables(fresh)
    try:
        connection.text_factory = decoded
        with DamagedFile(path) as source:
            found = source.find()
            connection.execute("BEGIN")
            report = RowCopier(source, found, connection, fresh=True).run()
            if report.exact and len(found.states) == 1:  # else states are had again by reading
                set_pairing_id(connection, *found.states)
            connection.execute("COMMIT")
    finally:
        connection.close()
    flush_file(fresh)
    return report


def merge(path: Path, database: DatabaseProtocol) -> RecoveryReport:
    """Adds to a store what can be read of another file and is not there yet. All of it or nothing.

    Raises:
        StoreError: the file can't be read, or is the store's own; the disk is full.
    """
    try:
        if not os.path.lexists(path):
            raise StoreError(f"there is no file {path}: name one such as {database.path.stem}.damaged-DATE.db")
        if not stat.S_ISREG(path.stat().st_mode):
            raise StoreError(f"{path} is not a file: name one such as {database.path.stem}.damaged-DATE.db")
        if database.path.exists() and path.samefile(database.path):
            raise StoreError(f"{path} is in use: a damaged one is recovered when rgchat starts")
        with DamagedFile(path) as source:
            found = source.find()
            with database.transaction() as c:
                return RowCopier(source, found, c, fresh=False).run()
    except OSError as e:
        why = privacy.explained(e).strerror or e
        raise StoreError(f"{path} can't be read ({why}): check its name and who may read it") from None
