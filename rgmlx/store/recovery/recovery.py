"""From a damaged file into a whole one: every row that can be read, hung where it was or as near as can be.

Knows our tables and what was found in the damaged file (`damaged_file`). Where a message is lost that others follow, a note
stands in its place, so that all that follows can be reached. A message whose text is not what was written keeps the hash
that says so. In a fresh file rows keep their numbers, and where nothing of them is doubtful the states kept of them; into a
store that is in use what is not there yet is added, and nothing is changed.
"""

from __future__ import annotations

import bisect
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...system.disk import flush_file
from ...system.macos import privacy
from .. import migrations
from ..database_protocol import DatabaseProtocol
from ..errors import StoreError
from ..hashes import NO_HASH, content_hash, root_hash
from ..new_file import open_with_tables
from ..rows import LOST, MODEL, UNTITLED, USER, role_of
from ..text import as_number, as_text, decoded
from .damaged_file import DamagedFile, FoundMessage, FoundRows
from .matching import MessageKey, matching_conversation, message_key


@dataclass
class RecoveryReport:
    """What became of the rows of a damaged file.

    Attributes:
        conversations, messages: written.
        there: messages that were there already.
        damaged: of all these, messages whose text is not what was written.
        lost_conversations, lost: of which it is known that they were there.
        most: messages that may be lost, those included; None where that is not known.
        exact: every message says what was written, and follows what it followed. Some may be lost all the same.
    """

    conversations: int = 0
    messages: int = 0
    there: int = 0
    damaged: int = 0
    lost_conversations: int = 0
    lost: int = 0
    most: int | None = 0
    exact: bool = True

    @property
    def empty(self) -> bool:
        """Whether nothing could be read."""
        return not (self.conversations or self.messages or self.there)

    def sentence(self) -> str:
        """What the user should know of it."""
        if self.empty:
            return "Nothing in it could be read, and a new one was begun."
        kept = f"{_many(self.conversations, 'conversation')} and {_many(self.messages, 'message')} were kept"
        return f"{kept}{self._losses()}."

    def added(self) -> str:
        """The same, of rows that were added to others."""
        new = f"{_many(self.conversations, 'conversation')} and {_many(self.messages, 'message')} were added"
        there = f", {_many(self.there, 'message')} {_were(self.there)} there already" if self.there else ""
        return f"{new}{there}{self._losses()}."

    def _losses(self) -> str:
        parts = []
        if self.damaged:
            parts.append(f"{_many(self.damaged, 'message')} of these {_were(self.damaged)} damaged")
        if self.lost_conversations:
            n = self.lost_conversations
            parts.append(f"{_many(n, 'conversation')} {_were(n)} lost")
        lost = f"{_many(self.lost, 'message')} {_were(self.lost)} lost"
        if self.most is not None and self.most <= self.lost:
            if self.lost:
                parts.append(lost)
            elif not self.lost_conversations:
                parts.append("no message is known to be lost")
        elif self.most is None:
            more = f"at least {lost}, and nobody can say how many more"
            parts.append(more if self.lost else "nobody can say how many messages were lost")
        elif self.lost:
            parts.append(f"at least {lost}, and at most {self.most:,}")
        else:
            parts.append(f"at most {_many(self.most, 'message')} {_were(self.most)} lost")
        return "; " + ", ".join(parts)


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
                migrations.set_pairing_id(connection, *found.states)
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


class RowCopier:
    """Rows of a damaged file on their way into another."""

    def __init__(self, source: DamagedFile, found: FoundRows, target: sqlite3.Connection, *, fresh: bool) -> None:
        self._source, self._found, self._target, self._fresh = source, found, target, fresh
        self._report = RecoveryReport()
        self._conversations: dict[int, int] = {}  # numbers here, by those there
        self._messages: dict[int, int] = {}
        self._made: dict[int, int | None] = {}  # of new conversations: the head there
        self._lost_heads: dict[int, int] = {}  # of conversations there
        self._systems: dict[int, str | None] = {}
        self._was: dict[int, bytes | None] = {}  # hashes of messages that have another one here
        self._by_conversation: dict[int, list[int]] = {}
        for number in sorted(found.messages):
            self._by_conversation.setdefault(found.messages[number].conversation, []).append(number)

    def run(self) -> RecoveryReport:
        for number in sorted(self._found.conversations):
            self._conversation(number)
        missing = self._missing()
        for number in sorted({**self._found.messages, **missing}):
            known = self._found.messages.get(number) or missing[number]
            try:
                self._message(number, known)
            except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError):  # numbers that can't be
                self._found.lost[number] = known
        for number, head in self._made.items():
            self._set_head(number, head)
        self._report.lost_conversations = len(self._found.lost_conversations - set(self._conversations))
        self._count_lost(missing)
        return self._report

    def _count_lost(self, missing: dict[int, FoundMessage]) -> None:
        """Notes how many messages are lost at least, and at most."""
        found = self._found
        lost: dict[int, set[int]] = {}
        for number, known in (*found.lost.items(), *missing.items()):
            lost.setdefault(known.conversation, set()).add(number)
        for conversation, head in self._lost_heads.items():
            lost.setdefault(conversation, set()).add(head)
        deep = {number: self._lost_above(number) for number in self._by_conversation}
        least = {number: max(len(lost.get(number, ())), deep.get(number, 0)) for number in {*lost, *deep}}
        self._report.lost = sum(least.values())
        numbers = set[int]().union(*lost.values())
        if found.indexed and numbers <= found.lost.keys() and self._report.lost == len(numbers):
            self._report.most = self._report.lost
        elif found.given is None:
            self._report.most = None
        else:  # some of these numbers may be of messages that were deleted
            self._report.most = max(self._report.lost, found.given - len(found.messages))

    def _lost_above(self, conversation: int) -> int:
        """How many levels of a conversation have no message any more, though one below them hangs on one that is lost."""
        most, levels = 0, set[int]()
        for at, number in enumerate(self._by_conversation[conversation]):
            known = self._found.messages[number]
            hangs = known.parent is not None and known.parent not in self._found.messages
            if hangs:
                above = known.depth - sum(level < known.depth for level in levels)
                most = max(most, above if above < number - at else 0)  # no more than there were numbers for
            levels.add(known.depth)
        return most

    # --- conversations --------------------------------------------------------------------

    def _conversation(self, number: int) -> int:
        """The number here of a conversation, which is made where it is not there yet."""
        if number in self._conversations:
            return self._conversations[number]
        place, now = self._found.conversations.get(number), time.time()
        columns = (None,) * 10 if place is None else self._source.row(place).columns
        _, title, model, system, settings, created, updated, archived, deleted, head = columns[:10]
        title = UNTITLED if place is None else as_text(title)
        model = as_text(model) or self._usual_model()
        system = None if system is None else as_text(system)
        created, updated = as_number(created) or now, as_number(updated) or now
        here = None
        if not self._fresh:
            when = created if place is not None else None
            here = matching_conversation(
                self._target, self._said(number), title, model, when, set(self._conversations.values())
            )
        if here is None:
            values = (
                number if self._fresh else None,
                title,
                model,
                system,
                as_text(settings) or "{}",
                created,
                updated,
                archived == 1,
                None if deleted is None else as_number(deleted),
            )
            sql = (
                "INSERT INTO conversations (id, title, model, system, settings, created, updated, archived, deleted) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
            )
            made = self._target.execute(sql, values).lastrowid
            assert made is not None
            here = made
            self._report.conversations += 1
            self._made[made] = head if isinstance(head, int) else None
        if place is not None:
            self._systems[number] = system
            if isinstance(head, int) and 0 < head <= (self._found.given or head) and head not in self._found.messages:
                self._lost_heads[number] = head
        self._conversations[number] = here
        return here

    def _said(self, conversation: int) -> set[MessageKey]:
        places = (self._found.messages[number].place for number in self._by_conversation.get(conversation, []))
        rows = (self._source.row(place).columns for place in places if place is not None)
        return {message_key(role_of(as_text(row[4]), row[3]), row[11], row[5]) for row in rows}

    def _usual_model(self) -> str:
        sql = "SELECT model FROM conversations GROUP BY model ORDER BY count(*) DESC LIMIT 1"
        row = self._target.execute(sql).fetchone()
        return row[0] if row else "demo"

    def _set_head(self, conversation: int, head: int | None) -> None:
        here = self._messages.get(head) if head is not None else None
        sql = "SELECT id FROM messages WHERE id = ? AND conversation = ?"
        if here is None or not self._target.execute(sql, (here, conversation)).fetchone():
            sql = "SELECT max(id) FROM messages WHERE conversation = ?"
            here = self._target.execute(sql, (conversation,)).fetchone()[0]
        self._target.execute("UPDATE conversations SET head = ? WHERE id = ?", (here, conversation))

    # --- messages -------------------------------------------------------------------------

    def _missing(self) -> dict[int, FoundMessage]:
        """Messages that are lost and that others follow, or that have pieces."""
        found, missing = self._found, dict[int, FoundMessage]()
        for number, known in sorted(found.messages.items()):
            self._miss(number, known, missing)
        for number in found.pieces:
            if number not in found.messages and number in found.lost and number not in missing:
                missing[number] = found.lost[number]
                self._miss(number, found.lost[number], missing)
        for conversation, head in self._lost_heads.items():
            made = self._conversations[conversation] in self._made
            if made and conversation not in self._by_conversation:  # it would look as if nobody had said a word
                missing.setdefault(head, FoundMessage(conversation, None, None))
        return missing

    def _miss(self, child: int, known: FoundMessage, missing: dict[int, FoundMessage]) -> None:
        while known.parent is not None and known.parent < child:
            lost = known.parent
            if lost in self._found.messages or lost in missing:
                return
            known = self._found.lost.get(lost) or FoundMessage(
                known.conversation, self._before(lost, known.conversation), None
            )
            missing[lost] = known
            child = lost

    def _before(self, number: int, conversation: int) -> int | None:
        """The message of a conversation that was written before this one."""
        line = self._by_conversation.get(conversation, [])
        at = bisect.bisect_left(line, number)
        return line[at - 1] if at else None

    def _message(self, number: int, known: FoundMessage) -> None:
        parent = known.parent
        if parent is not None and parent >= number:  # nothing follows what comes after it
            parent = self._before(number, known.conversation)
        above = None if parent is None else self._messages.get(parent)
        if above is None:
            parent, depth = None, 0
            conversation = self._conversation(known.conversation)
            sql = "SELECT system, created FROM conversations WHERE id = ?"
            system, earlier = self._target.execute(sql, (conversation,)).fetchone()
            before = root_hash(system)
            was = root_hash(self._systems[known.conversation]) if known.conversation in self._systems else None
            was = was if known.parent is None else None
        else:
            sql = "SELECT conversation, depth + 1, hash, created FROM messages WHERE id = ?"
            conversation, depth, before, earlier = self._target.execute(sql, (above,)).fetchone()
            assert parent is not None
            was = self._was.get(parent, before)
            was = was if parent == known.parent else None
        if known.place is None:
            self._note(number, conversation, above, depth)
            return
        found = self._source.row(known.place)
        columns = found.columns
        role, text = role_of(as_text(columns[4]), columns[3]), as_text(columns[5])
        closed, streaming, loose = (column == 1 for column in columns[7:10])
        stored = columns[10] if isinstance(columns[10], bytes) else NO_HASH
        created = as_number(columns[11]) or earlier
        texts = list(self._pieces(number)) if loose else []
        chars = len(text) + (0 if streaming else sum(map(len, texts)))
        size = len(text.encode()) + sum(len(piece.encode()) for piece in texts)

        def digest(parent_hash: bytes) -> bytes:
            return content_hash(parent_hash, role, (text, *texts), closed, size)

        # With no hash to compare with, what no text has tells.
        plain = "\0" not in text and "\ufffd" not in text
        whole = streaming or (not found.cut and (plain if was is None else digest(was) == stored))
        fresh_hash = digest(before) if whole and not streaming else stored
        self._report.exact &= whole and fresh_hash == stored != NO_HASH
        if fresh_hash != stored or stored == NO_HASH:
            self._was[number] = None if stored == NO_HASH else stored
        if not self._fresh and (here := self._there(conversation, above, role, text, chars, created)) is not None:
            self._messages[number] = here
            self._report.there += 1
            return
        row = (conversation, above, depth, role, text, chars, closed, streaming, loose, fresh_hash, created)
        self._insert(number, row, texts)
        self._report.damaged += not whole

    def _note(self, number: int, conversation: int, above: int | None, depth: int) -> None:
        """Puts a note in the place of a lost message, with what is left of a long reply."""
        texts = list(self._pieces(number))
        if above is None:  # the conversation's time, which is the same when this is done once more
            sql = "SELECT 'model', created FROM conversations WHERE id = ?"
            role, created = self._target.execute(sql, (conversation,)).fetchone()
        else:
            sql = "SELECT role, created FROM messages WHERE id = ?"
            role, created = self._target.execute(sql, (above,)).fetchone()
        role = MODEL if texts or role == USER else USER
        chars = len(LOST) + sum(map(len, texts))
        self._was[number] = None
        self._report.exact = False
        if not self._fresh and (here := self._there(conversation, above, role, LOST, chars, created)) is not None:
            self._messages[number] = here
            return
        loose = bool(texts)
        row = (conversation, above, depth, role, LOST, chars, True, False, loose, NO_HASH, created)
        self._insert(number, row, texts)
        self._report.messages -= 1

    def _insert(self, number: int, row: tuple[Any, ...], texts: list[str]) -> None:
        here = self._target.execute(
            "INSERT INTO messages (id, conversation, parent, depth, role, text, chars, closed, streaming, loose, hash, "
            "created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (number if self._fresh else None, *row),
        ).lastrowid
        assert here is not None
        # Without the ids that wrote them: some may be missing in between.
        sql = "INSERT INTO pieces (message, chars, ids, text) VALUES (?, ?, NULL, ?)"
        self._target.executemany(sql, ((here, len(text), text) for text in texts))
        self._messages[number] = here
        self._report.messages += 1

    def _there(
        self, conversation: int, above: int | None, role: str, text: str, chars: int, created: float
    ) -> int | None:
        """The number of this message, if the store has it."""
        sql = (
            "SELECT id, text FROM messages WHERE parent IS ? AND conversation = ? AND role = ? AND created = ? "
            "AND chars = ?"
        )
        for number, known in self._target.execute(sql, (above, conversation, role, created, chars)):
            if as_text(known) == text:
                return int(number)
        return None

    def _pieces(self, message: int) -> Iterator[str]:
        for _, place in sorted(self._found.pieces.get(message, {}).items()):
            if text := as_text(self._source.row(place).columns[4]):
                yield text


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
