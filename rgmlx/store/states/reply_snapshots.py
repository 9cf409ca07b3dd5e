"""Brings the snapshots of a reply to its end when the reply ends after they were taken.

Knows the tables of pieces and snapshots; no model, and not what is in a state. A snapshot of an open reply is of some point
inside of it. When the reply ends, also because its process died, the token ids written since then are added to what the
snapshot has yet to read: with them it is of the end, and the next token is the one that would have come.
"""

from __future__ import annotations

import array
import contextlib
import functools
import sqlite3
import sys
from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import StoreError
from .message_version import first_pieces, partial_hash
from .snapshot_table import row_checksum
from .states import StateDatabase


@dataclass(frozen=True)
class OpenReply:
    """A reply that is being written.

    Attributes:
        created: when it began.
        before: the hash of what it follows.
        start: its text that is not in pieces.
    """

    message: int
    created: float
    before: bytes
    role: str
    start: str

    def hash_at(self, c: sqlite3.Connection, chars: int) -> bytes:
        """The hash that it would have if it ended after so many characters."""
        return partial_hash(self.before, self.role, lambda: first_pieces(c, self.message, self.start, chars))


def ids_to_bytes(ids: Iterable[int]) -> bytes:
    """Token ids as they are stored: 8 bytes each, little-endian."""
    numbers = array.array("q", ids)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def ids_from_bytes(data: bytes) -> tuple[int, ...]:
    """The ids in what `ids_to_bytes` made. Raises ValueError for what is cut off."""
    numbers = array.array("q")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)


def update_reply_snapshots(
    c: sqlite3.Connection, states: StateDatabase, reply: OpenReply, content_hash: bytes, closed: bool
) -> None:
    """Brings the snapshots of an open reply to its end, before its pieces become one text.

    They are written first: if that is all that is done, they still fit the open reply. Whatever goes wrong with them, the
    reply ends.

    Args:
        content_hash: the reply's, now that it has ended.
        closed: the model ended it, with a token that is in no piece: snapshots from before are of no use then.
    """
    if not states.exists:
        return
    sql = "SELECT id, chars, hash, created FROM snapshots WHERE message = ?"
    for snapshot, chars, digest, created in states.rows(sql, (reply.message,)):
        fits = not closed and created == reply.created and isinstance(chars, int) and digest == reply.hash_at(c, chars)
        since = _since(c, reply, chars) if fits else None
        if since is None:
            states.write_quietly("UPDATE snapshots SET message = NULL WHERE id = ?", (snapshot,))
        elif digest != content_hash:
            ids, more = since
            with contextlib.suppress(StoreError, sqlite3.Error):  # it fits nothing then
                states.write(functools.partial(_add_unread, snapshot, chars + more, content_hash, ids))


def _add_unread(snapshot: int, chars: int, content_hash: bytes, ids: bytes, c: sqlite3.Connection) -> None:
    row = c.execute("SELECT digest, unread, data FROM snapshots WHERE id = ?", (snapshot,)).fetchone()
    if row is None:  # evicted meanwhile
        return
    digest, unread, data = row
    c.execute(
        "UPDATE snapshots SET chars = ?, hash = ?, unread = ?, checksum = ?, size = size + ? WHERE id = ?",
        (chars, content_hash, unread + ids, row_checksum(digest, unread + ids, data), len(ids), snapshot),
    )


def _since(c: sqlite3.Connection, reply: OpenReply, chars: int) -> tuple[bytes, int] | None:
    """The ids written after so many characters, and how many characters they are; None where that is not known."""
    at, ids, more = len(reply.start), list[bytes](), 0
    for size, known in c.execute("SELECT chars, ids FROM pieces WHERE message = ? ORDER BY id", (reply.message,)):
        if at >= chars:
            if at - more != chars or known is None:
                return None
            ids.append(known)
            more += size
        at += size
    return (b"".join(ids), more) if at - more == chars else None
