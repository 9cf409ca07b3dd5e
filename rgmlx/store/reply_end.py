"""The end of a reply: pieces become one text with a hash.

Knows the tables of messages and of pieces; what becomes of its snapshots is in `states.reply_snapshots`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

from .errors import no_message
from .hashes import content_hash, hash_before
from .states.reply_snapshots import OpenReply, update_reply_snapshots
from .states.states import StateDatabase
from .text import as_text

FOLD_CHARS = 4_000_000
"""A reply longer than this stays in pieces when it ends: no step may take memory without bound."""


def end_reply(c: sqlite3.Connection, states: StateDatabase, message: int, closed: bool) -> None:
    """Ends a reply that is being written: its pieces become its text, and its hash stands for all of it.

    Its snapshots are brought to the end of it first. Nothing is done where it has ended.

    Raises:
        StoreError: there is no such message. sqlite3.Error: it can't be written.
    """
    row = c.execute(
        "SELECT m.streaming, m.created, m.role, m.text, p.hash, v.system FROM messages m "
        "JOIN conversations v ON v.id = m.conversation LEFT JOIN messages p ON p.id = m.parent WHERE m.id = ?",
        (message,),
    ).fetchone()
    if row is None:
        raise no_message(message)
    streaming, created, role, start, before, system = row
    start = as_text(start)
    if not streaming:
        return
    before = hash_before(before, system)

    def pieces() -> Iterable[str]:
        yield start
        for (piece,) in c.execute("SELECT text FROM pieces WHERE message = ? ORDER BY id", (message,)):
            yield as_text(piece)

    # A reply that was reopened has pieces that are counted already, if it was too long to be one text.
    sql = "SELECT coalesce(sum(chars), 0) FROM pieces WHERE message = ?"
    chars = len(start) + c.execute(sql, (message,)).fetchone()[0]
    size = sum(len(p.encode()) for p in pieces())
    digest = content_hash(before, role, pieces(), closed, size)
    update_reply_snapshots(c, states, OpenReply(message, created, before, role, start), digest, closed)
    if loose := chars > FOLD_CHARS:
        c.execute("UPDATE messages SET chars = ? WHERE id = ?", (chars, message))
    else:
        c.execute("UPDATE messages SET chars = ?, text = ? WHERE id = ?", (chars, "".join(pieces()), message))
        c.execute("DELETE FROM pieces WHERE message = ?", (message,))
    c.execute(
        "UPDATE messages SET streaming = 0, closed = ?, loose = ?, hash = ? WHERE id = ?",
        (closed, loose, digest, message),
    )
    c.execute(
        "UPDATE conversations SET updated = ? WHERE id = (SELECT conversation FROM messages WHERE id = ?)",
        (time.time(), message),
    )
