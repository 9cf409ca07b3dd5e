"""A bounded copy in memory of what was read and written last, for a file that is emptied while it is open.

Knows rows of conversations and messages. A file that loses its name can still be read, one that loses its contents can't.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from ..hashes import NO_HASH, content_hash, root_hash
from ..pairing import set_pairing_id
from ..rows import LOST, UNTITLED, Conversation, Message
from ..table_rows import ConversationRow, MessageRow, insert_conversation, insert_message
from ..text import as_text

MAX_CHARS = 1_000_000
"""Characters of all messages; the least recently used go first."""
_CONVERSATIONS = 16


@dataclass
class _Kept:
    message: Message
    pieces: list[str]
    whole: bool

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def chars(self) -> int:
        return sum(map(len, self.pieces))


class RecentRows:
    """The messages that were read or written last. From any thread.

    Attributes:
        states: the id of their file of states (`pairing.pairing_id`).
    """

    def __init__(self) -> None:
        self.states: bytes | None = None
        self._conversations: OrderedDict[int, Conversation] = OrderedDict()
        self._messages: OrderedDict[int, _Kept] = OrderedDict()
        self._chars = 0
        self._lock = threading.RLock()

    # --- noting ---------------------------------------------------------------------------

    def note_conversation(self, one: Conversation) -> None:
        """Notes what is known of a conversation."""
        with self._lock:
            self._conversations[one.id] = one
            self._conversations.move_to_end(one.id)
            if len(self._conversations) > _CONVERSATIONS:
                self._conversations.popitem(last=False)

    def note_message(self, message: Message, *, whole: bool) -> None:
        """Notes a message; `whole`: its text is all of it, and not its end only."""
        with self._lock:
            kept = self._messages.get(message.id)
            better = kept is not None and kept.whole and not kept.message.damaged
            if kept is not None and (not whole or (message.damaged and better)):
                self._messages.move_to_end(message.id)
                return
            self.forget(message.id)
            self._messages[message.id] = _Kept(message, [message.text], whole)
            self._chars += len(message.text)
            self._trim()

    def note_text(self, message: int, text: str) -> None:
        """Notes that a text was added to a message."""
        with self._lock:
            if (kept := self._messages.get(message)) is not None:
                self._messages.move_to_end(message)
                kept.pieces.append(text)
                self._chars += len(text)
                self._trim()

    def forget(self, message: int) -> None:
        """Drops a message."""
        with self._lock:
            if (kept := self._messages.pop(message, None)) is not None:
                self._chars -= kept.chars

    def _trim(self) -> None:
        while self._chars > MAX_CHARS and len(self._messages) > 1:
            self.forget(next(iter(self._messages)))
        if self._chars > MAX_CHARS:  # of one reply
            last = next(iter(self._messages.values()))
            last.pieces, last.whole = [last.text[-MAX_CHARS // 2 :]], False
            self._chars = last.chars

    def knows(self, conversation: int) -> bool:
        """Whether a message of a conversation is here."""
        with self._lock:
            return any(one.message.conversation == conversation for one in self._messages.values())

    # --- writing --------------------------------------------------------------------------

    def write_to(self, c: sqlite3.Connection, conversations: Iterable[int], *, same: bool = False) -> bool:
        """Adds what is known of conversations to a store. In an empty one their states fit.

        Args:
            same: the states fit what the store has, too.

        Returns:
            False where it has other conversations of these numbers; nothing was written.

        Raises:
            sqlite3.Error: it can't be done; nothing was written.
        """
        c.execute("BEGIN IMMEDIATE")
        try:
            set_pairing_id(c, self.states, same=same)
            for number in conversations:
                if not self._write_conversation(c, number):
                    c.execute("ROLLBACK")
                    return False
            c.execute("COMMIT")
        except sqlite3.IntegrityError:
            c.execute("ROLLBACK")
            return False
        except BaseException:
            if c.in_transaction:
                c.execute("ROLLBACK")
            raise
        return True

    def _write_conversation(self, c: sqlite3.Connection, number: int) -> bool:
        with self._lock:
            kept = [one for _, one in sorted(self._messages.items()) if one.message.conversation == number]
            known = self._conversations.get(number)
        there = c.execute("SELECT created FROM conversations WHERE id = ?", (number,)).fetchone()
        if there is not None and (known is None or there[0] != known.created):
            return False
        if there is None and (known or kept):
            self._add_conversation(c, number, known, kept)
        for one in kept:
            self._write_message(c, one)
        if kept:
            sql = "UPDATE conversations SET head = (SELECT max(id) FROM messages WHERE conversation = ?1) WHERE id = ?1"
            c.execute(sql, (number,))
        return True

    @staticmethod
    def _add_conversation(c: sqlite3.Connection, number: int, known: Conversation | None, kept: list[_Kept]) -> None:
        if known is not None:
            settings = json.dumps(known.settings)
            row = ConversationRow(
                *(known.title, known.model, known.system, settings, known.created, known.updated), pinned=known.pinned
            )
        else:
            begun = min(one.message.created for one in kept)
            row = ConversationRow(UNTITLED, "demo", None, "{}", begun, begun)
        insert_conversation(c, row, number)

    @staticmethod
    def _write_message(c: sqlite3.Connection, one: _Kept) -> None:
        message, text = one.message, one.text
        sql = "SELECT text FROM messages WHERE id = ? AND conversation = ?"
        there = c.execute(sql, (message.id, message.conversation)).fetchone()
        if there is not None and as_text(there[0]) != LOST:
            return
        parent, depth, before = message.parent, 0, NO_HASH
        if parent is None:
            system = c.execute("SELECT system FROM conversations WHERE id = ?", (message.conversation,)).fetchone()[0]
            before = root_hash(system)
        else:
            above = c.execute("SELECT depth, hash FROM messages WHERE id = ?", (parent,)).fetchone()
            if above is None:  # a note stands in its place
                role = "user" if message.role == "model" else "model"
                note = MessageRow(
                    *(message.conversation, None, 0, role, LOST, len(LOST)),
                    *(True, False, False, NO_HASH, message.created),
                )
                insert_message(c, note, parent)
                above = 0, NO_HASH
            depth, before = above[0] + 1, above[1]
        whole = one.whole and not message.damaged
        digest = content_hash(before, message.role, [text], message.closed) if whole else NO_HASH
        if there is not None:
            sql = "UPDATE messages SET role = ?, text = ?, chars = ?, closed = ?, hash = ?, created = ? WHERE id = ?"
            c.execute(sql, (message.role, text, len(text), message.closed, digest, message.created, message.id))
            return
        row = MessageRow(
            *(message.conversation, parent, depth, message.role, text, len(text)),
            *(message.closed, message.streaming, message.streaming, digest, message.created),
        )
        insert_message(c, row, message.id)
