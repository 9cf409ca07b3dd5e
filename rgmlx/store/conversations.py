"""Conversations: a title, a model's name, settings, and a head: the message that was shown last.

Knows the table of conversations; of messages only that a head is one of them. Deleting hides a
conversation until it is purged, so that it can be undone.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from .database.database import Database
from .errors import StoreError, no_conversation, not_in_conversation
from .rows import Conversation
from .table_rows import ConversationRow, delete_conversation, insert_conversation
from .text import as_number, as_text, clean

_COLUMNS = "id, title, model, system, settings, created, updated, archived, deleted, head, pinned"

_OF_TITLE = "FROM conversations WHERE title = ?1 AND deleted IS NULL"


class ConversationStore:
    """All conversations of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, model: str, title: str = "", system: str | None = None, settings: Mapping[str, Any] | None = None
    ) -> Conversation:
        """A new, empty conversation. Raises StoreError: settings are not JSON, or the disk is full."""
        now = time.time()
        system = None if system is None else clean(system)
        row = ConversationRow(clean(title), clean(model), system, settings_text(settings), now, now)
        return self.get(self._database.write(lambda c: insert_conversation(c, row)))

    def find_or_create(self, title: str, model: str, system: str | None, settings: Mapping[str, Any]) -> Conversation:
        """The conversation of this title, the newest if there are several; a new one where there is none.

        In one step: two programs that ask for it at once get the same.

        Raises:
            StoreError: settings are not JSON, or the disk is full.
        """
        title, now = clean(title), time.time()
        values = title, clean(model), None if system is None else clean(system), settings_text(settings), now
        sql = (
            "INSERT INTO conversations (title, model, system, settings, created, updated) "
            f"SELECT ?1, ?2, ?3, ?4, ?5, ?5 WHERE NOT EXISTS (SELECT 1 {_OF_TITLE})"
        )
        if not self.of_title(title):
            self._database.write(lambda c: c.execute(sql, values))
        return self.of_title(title)[0]

    def of_title(self, title: str) -> list[Conversation]:
        """The conversations of this title that are not deleted, the newest first."""
        rows = self._database.rows(f"SELECT id {_OF_TITLE} ORDER BY updated DESC, id DESC", (clean(title),))
        return [self.get(int(row[0])) for row in rows]

    def get(self, conversation: int) -> Conversation:
        """One conversation, deleted or not. Raises StoreError: there is none."""
        row = self._database.row(f"SELECT {_COLUMNS} FROM conversations WHERE id = ?", (conversation,))
        if row is None:
            raise no_conversation(conversation)
        found = _conversation(row)
        self._database.recent.note_conversation(found)
        return found

    def listed(
        self, *, archived: bool | None = False, limit: int = -1, after: int = 0, pinned_first: bool = False
    ) -> list[Conversation]:
        """Conversations that are not deleted, the newest first.

        Args:
            archived: only those that are, or are not; None for both.
            limit: at most so many; -1 for all.
            after: leaves out so many of the first.
            pinned_first: pinned ones come before all others.
        """
        order = "pinned = 1 DESC, updated DESC" if pinned_first else "updated DESC"
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM conversations WHERE deleted IS NULL AND (?1 IS NULL OR archived = ?1) "
            f"ORDER BY {order}, id DESC LIMIT ?2 OFFSET ?3",
            (archived, limit, after),
        )
        return [_conversation(row) for row in rows]

    def deleted(self) -> list[Conversation]:
        """Deleted conversations that can still be had back, the last deleted first."""
        sql = f"SELECT {_COLUMNS} FROM conversations WHERE deleted IS NOT NULL ORDER BY deleted DESC, id DESC"
        return [_conversation(row) for row in self._database.rows(sql)]

    # --- changes; each raises StoreError when there is no such conversation ----------------

    def rename(self, conversation: int, title: str) -> None:
        """Gives it another title. Its place in the list stays."""
        self._set(conversation, "title = ?", clean(title))

    def retitle(self, conversation: int, old: str, new: str) -> bool:
        """Gives it another title, if it still has this one. Returns whether it had."""
        sql = "UPDATE conversations SET title = ? WHERE id = ? AND title = ?"
        return self._database.write(lambda c: c.execute(sql, (clean(new), conversation, clean(old))).rowcount > 0)

    def archive(self, conversation: int, archived: bool = True) -> None:
        """Moves it out of the list, or back into it."""
        self._set(conversation, "archived = ?", archived)

    def pin(self, conversation: int, pinned: bool = True) -> None:
        """Puts it before all others in the lists, or back to its place."""
        self._set(conversation, "pinned = ?", pinned)

    def delete(self, conversation: int) -> None:
        """Hides it; `undelete` brings it back until it is purged."""
        with self._database.transaction(only_deletes=True):
            self._set(conversation, "deleted = coalesce(deleted, ?)", time.time())
        # The first to go.
        self._database.states.write_quietly("UPDATE snapshots SET used = 0 WHERE conversation = ?", (conversation,))

    def undelete(self, conversation: int) -> None:
        """Takes a deletion back."""
        self._set(conversation, "deleted = ?", None)

    def set_settings(self, conversation: int, settings: Mapping[str, Any]) -> None:
        """Replaces the settings."""
        self._set(conversation, "settings = ?", settings_text(settings))

    def set_model(self, conversation: int, model: str) -> None:
        """Notes that another model goes on with it."""
        self._set(conversation, "model = ?", clean(model))

    def set_system(self, conversation: int, system: str | None) -> None:
        """Changes the system text of a conversation without messages.

        Raises:
            StoreError: it has messages; what the model made of them depends on the text.
        """
        with self._database.transaction() as c:
            if c.execute("SELECT 1 FROM messages WHERE conversation = ? LIMIT 1", (conversation,)).fetchone():
                raise StoreError("the system text stands before all messages: start a new conversation to change it")
            self._set(conversation, "system = ?", None if system is None else clean(system))

    def set_head(self, conversation: int, message: int | None) -> None:
        """Moves the head to another message, or (None) before the first.

        Raises:
            StoreError: the message is not one of this conversation.
        """
        with self._database.transaction() as c:
            found = c.execute("SELECT conversation FROM messages WHERE id = ?", (message,)).fetchone()
            if message is not None and (found is None or found[0] != conversation):
                raise not_in_conversation(message, conversation)
            self._set(conversation, "head = ?", message)

    def purge(self, older_than: float = 0.0) -> int:
        """Removes for ever what was deleted at least so many seconds ago. Returns how many there were."""
        limit = time.time() - older_than
        rows = self._database.rows("SELECT id FROM conversations WHERE deleted <= ?", (limit,))
        states = self._database.states
        for (conversation,) in rows:
            states.write_quietly("DELETE FROM snapshots WHERE conversation = ?", (conversation,))
            with self._database.transaction(only_deletes=True) as c:  # one each: others wait for a short while only
                delete_conversation(c, conversation)
        if rows:
            self._database.shrink()
            states.shrink()
        return len(rows)

    def _set(self, conversation: int, change: str, value: Any) -> None:
        def change_it(c: sqlite3.Connection) -> None:
            if not c.execute(f"UPDATE conversations SET {change} WHERE id = ?", (value, conversation)).rowcount:
                raise no_conversation(conversation)

        self._database.write(change_it)


def _conversation(row: Any) -> Conversation:
    number, title, model, system, settings, created, updated, archived, deleted, head, pinned = row
    title, model, settings = as_text(title), as_text(model), as_text(settings)
    system = None if system is None else as_text(system)
    created, updated = as_number(created), as_number(updated)
    try:
        options = json.loads(settings)
    except ValueError:  # settings are not worth losing a conversation for
        options = {}
    options = options if isinstance(options, dict) else {}
    archived, pinned = bool(archived), pinned == 1
    return Conversation(number, title, model, system, options, created, updated, archived, deleted, head, pinned)


def settings_text(settings: Mapping[str, Any] | None) -> str:
    """Settings as they are stored. Raises StoreError: they are not JSON."""
    try:
        return json.dumps(dict(settings or {}))
    except (TypeError, ValueError, RecursionError):
        raise StoreError("these settings can't be stored: give numbers, texts and lists only") from None
