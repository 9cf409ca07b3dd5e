"""The version of a message: what it says now and when it began, so that a snapshot is used for nothing else.

Knows the tables of messages and pieces; no snapshots and no states. Snapshots are in a file of their own, which may be older
or newer than the conversations, or belong to a copy of them that was continued elsewhere: a message's number alone proves
nothing. Its hash covers all texts up to it; that of a reply that is still being written is the one it would have if it
were cut short now. Its time identifies it also where the texts above it are lost.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..database_protocol import DatabaseProtocol
from ..hashes import content_hash, hash_before
from ..text import as_text

_SOME = 1_000
"""Pieces that are read at once: a reply may be of any length."""


@dataclass(frozen=True)
class MessageVersion:
    """A message as it is now.

    Attributes:
        chars: length of its text so far.
        hash: of it and of all before it; of one that is being written, as if it were cut short.
        created: when it began.
    """

    conversation: Any
    chars: Any
    hash: Any
    created: Any


def message_version(database: DatabaseProtocol, message: int) -> MessageVersion | None:
    """The version of a message; None where there is none. Raises StoreError."""
    row = database.row(
        "SELECT m.conversation, m.chars, m.hash, m.created, m.streaming, m.role, m.text, p.hash, v.system "
        "FROM messages m LEFT JOIN messages p ON p.id = m.parent LEFT JOIN conversations v ON v.id = m.conversation "
        "WHERE m.id = ?",
        (message,),
    )
    if row is None:
        return None
    conversation, chars, digest, created, streaming, role, start, before, system = row
    if streaming:
        start = as_text(start)
        sql = "SELECT coalesce(sum(chars), 0) FROM pieces WHERE message = ?"
        chars = len(start) + database.row(sql, (message,))[0]
        digest = partial_hash(hash_before(before, system), role, lambda: _text(database, message, start))
    return MessageVersion(conversation, chars, digest, created)


def partial_hash(before: bytes, role: str, pieces: Callable[[], Iterable[str]]) -> bytes:
    """The hash of a reply that ends where these pieces end, without the model having ended it."""
    return content_hash(before, as_text(role), pieces(), False, sum(len(piece.encode()) for piece in pieces()))


def first_pieces(c: sqlite3.Connection, message: int, start: str, chars: int) -> Iterator[str]:
    """The pieces of a reply, up to so many characters."""
    yield start
    at = len(start)
    for size, text in c.execute("SELECT chars, text FROM pieces WHERE message = ? ORDER BY id", (message,)):
        if at >= chars:
            return
        yield as_text(text)
        at += size


def _text(database: DatabaseProtocol, message: int, start: str) -> Iterator[str]:
    yield start
    after = 0
    sql = "SELECT id, text FROM pieces WHERE message = ? AND id > ? ORDER BY id LIMIT ?"
    while rows := database.rows(sql, (message, after, _SOME)):
        yield from (as_text(text) for _, text in rows)
        after = rows[-1][0]
