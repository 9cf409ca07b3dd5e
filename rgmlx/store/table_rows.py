"""The tables of conversations, messages and pieces: the statements that write their rows, once each.

Knows columns (`migrations`); does not know what is right to write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields

from .text import as_text

TABLES = ("conversations", "messages", "pieces")


@dataclass(frozen=True)
class ConversationRow:
    """A row of conversations: its fields are the columns. `settings` is JSON; a head is set once its message is there."""

    title: str
    model: str
    system: str | None
    settings: str
    created: float
    updated: float
    archived: bool = False
    deleted: float | None = None
    pinned: bool = False


@dataclass(frozen=True)
class MessageRow:
    """A row of messages: its fields are the columns.

    Attributes:
        chars: of the whole text once it is finished.
        loose: the text goes on in pieces.
    """

    conversation: int
    parent: int | None
    depth: int
    role: str
    text: str
    chars: int
    closed: bool
    streaming: bool
    loose: bool
    hash: bytes
    created: float


def insert_conversation(c: sqlite3.Connection, row: ConversationRow, number: int | None = None) -> int:
    """Adds a conversation, with a number of its own if it has one. Returns its number."""
    return _insert(c, "conversations", row, number)


def insert_message(c: sqlite3.Connection, row: MessageRow, number: int | None = None) -> int:
    """Adds a message, with a number of its own if it has one. Returns its number."""
    return _insert(c, "messages", row, number)


def append_piece(c: sqlite3.Connection, message: int, text: str, ids: bytes | None) -> bool:
    """Adds a piece to a reply that is being written, and the token ids that wrote it; false where it isn't."""
    added = c.execute(
        "INSERT INTO pieces (message, chars, ids, text) SELECT id, ?, ?, ? FROM messages WHERE id = ? AND streaming",
        (len(text), ids, text, message),
    )
    return added.rowcount > 0


def insert_pieces(c: sqlite3.Connection, message: int, texts: Iterable[str]) -> None:
    """Adds pieces to any message, without the ids that wrote them."""
    sql = "INSERT INTO pieces (message, chars, ids, text) VALUES (?, ?, NULL, ?)"
    c.executemany(sql, ((message, len(text), text) for text in texts))


def reopen_message(c: sqlite3.Connection, message: int, text: str) -> None:
    """Marks a message with this text as being written again. Of one that stayed in pieces these are counted again."""
    sql = "UPDATE messages SET streaming = 1, loose = 1, chars = ? WHERE id = ?"
    c.execute(sql, (len(as_text(text)), message))


def delete_conversation(c: sqlite3.Connection, conversation: int) -> None:
    """Removes a conversation with its messages and pieces."""
    c.execute("UPDATE conversations SET head = NULL WHERE id = ?", (conversation,))
    c.execute("DELETE FROM messages WHERE conversation = ?", (conversation,))
    c.execute("DELETE FROM conversations WHERE id = ?", (conversation,))


def _insert(c: sqlite3.Connection, table: str, row: ConversationRow | MessageRow, number: int | None) -> int:
    columns = ("id", *(field.name for field in fields(row)))
    sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
    new = c.execute(sql, (number, *(getattr(row, name) for name in columns[1:]))).lastrowid
    assert new is not None
    return new
