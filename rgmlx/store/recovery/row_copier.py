"""Writes rows of a damaged file into another one.

Knows our tables. Where a message is lost that others follow, a note stands in its place, so that all that follows can be
reached. A message whose text is not what was written keeps the hash that says so.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator

from ..hashes import NO_HASH, content_hash, root_hash
from ..rows import LOST, MODEL, UNTITLED, USER, role_of
from ..table_rows import ConversationRow, MessageRow, insert_conversation, insert_message, insert_pieces
from ..text import as_number, as_text
from .damaged_file import DamagedFile, FoundMessage, FoundRows
from .losses import Losses
from .matching import MessageKey, matching_conversation, message_key
from .report import RecoveryReport

_CONVERSATION_COLUMNS = 11
"""Of a row of conversations; one from before an upgrade has fewer."""


class RowCopier:
    """Rows of a damaged file on their way into another."""

    def __init__(self, source: DamagedFile, found: FoundRows, target: sqlite3.Connection, *, fresh: bool) -> None:
        self._source, self._found, self._target, self._fresh = source, found, target, fresh
        self._report = RecoveryReport()
        self._conversations: dict[int, int] = {}  # numbers here, by those there
        self._messages: dict[int, int] = {}
        self._made: dict[int, int | None] = {}  # of new conversations: the head there
        self._systems: dict[int, str | None] = {}
        self._was: dict[int, bytes | None] = {}  # hashes of messages that have another one here
        self._losses = Losses(found)

    def run(self) -> RecoveryReport:
        for number in sorted(self._found.conversations):
            self._conversation(number)
        missing = self._losses.missing(lambda conversation: self._conversations[conversation] in self._made)
        for number in sorted({**self._found.messages, **missing}):
            known = self._found.messages.get(number) or missing[number]
            try:
                self._message(number, known)
            except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError):  # numbers that can't be
                self._found.lost[number] = known
        for number, head in self._made.items():
            self._set_head(number, head)
        self._report.lost_conversations = len(self._found.lost_conversations - set(self._conversations))
        self._report.lost, self._report.most = self._losses.count(missing)
        return self._report

    # --- conversations --------------------------------------------------------------------

    def _conversation(self, number: int) -> int:
        """The number here of a conversation, which is made where it is not there yet."""
        if number in self._conversations:
            return self._conversations[number]
        location, now = self._found.conversations.get(number), time.time()
        columns = () if location is None else self._source.row(location).columns
        columns = (*columns, *[None] * _CONVERSATION_COLUMNS)[:_CONVERSATION_COLUMNS]
        _, title, model, system, settings, created, updated, archived, deleted, head, pinned = columns
        title = UNTITLED if location is None else as_text(title)
        model = as_text(model) or self._usual_model()
        system = None if system is None else as_text(system)
        created, updated = as_number(created) or now, as_number(updated) or now
        here = None
        if not self._fresh:
            when = created if location is not None else None
            here = matching_conversation(
                self._target, self._said(number), title, model, when, set(self._conversations.values())
            )
        if here is None:
            settings = as_text(settings) or "{}"
            deleted = None if deleted is None else as_number(deleted)
            row = ConversationRow(title, model, system, settings, created, updated, archived == 1, deleted, pinned == 1)
            here = insert_conversation(self._target, row, number if self._fresh else None)
            self._report.conversations += 1
            self._made[here] = head if isinstance(head, int) else None
        if location is not None:
            self._systems[number] = system
            if (
                isinstance(head, int)
                and 0 < head <= (self._found.largest_id or head)
                and head not in self._found.messages
            ):
                self._losses.heads[number] = head
        self._conversations[number] = here
        return here

    def _said(self, conversation: int) -> set[MessageKey]:
        locations = (
            self._found.messages[number].location for number in self._losses.by_conversation.get(conversation, [])
        )
        rows = (self._source.row(location).columns for location in locations if location is not None)
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

    def _message(self, number: int, known: FoundMessage) -> None:
        parent = known.parent
        if parent is not None and parent >= number:  # nothing follows what comes after it
            parent = self._losses.before(number, known.conversation)
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
        if known.location is None:
            self._note(number, conversation, above, depth)
            return
        found = self._source.row(known.location)
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
        row = MessageRow(conversation, above, depth, role, text, chars, closed, streaming, loose, fresh_hash, created)
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
        row = MessageRow(conversation, above, depth, role, LOST, chars, True, False, loose, NO_HASH, created)
        self._insert(number, row, texts)
        self._report.messages -= 1

    def _insert(self, number: int, row: MessageRow, texts: list[str]) -> None:
        here = insert_message(self._target, row, number if self._fresh else None)
        insert_pieces(self._target, here, texts)  # without ids: some may be missing in between
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
        for _, location in sorted(self._found.pieces.get(message, {}).items()):
            if text := as_text(self._source.row(location).columns[4]):
                yield text
