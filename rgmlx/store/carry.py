"""What becomes of a reply's snapshot when the reply ends after it was taken.

A snapshot of an open reply stands somewhere inside of it. When the reply ends, also because its process died, the
token ids that were written since then are what the snapshot has yet to read: with them it stands at the end, and the
next token is the one that would have come. Knows the tables of pieces and snapshots; no model and no states.
"""

from __future__ import annotations

import array
import sqlite3
import sys
from collections.abc import Iterable
from hashlib import blake2b


def to_bytes(ids: Iterable[int]) -> bytes:
    """Token ids as they are stored: 8 bytes each, little-endian."""
    numbers = array.array("q", ids)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def from_bytes(data: bytes) -> tuple[int, ...]:
    """The ids in what `to_bytes` made. Raises ValueError for what is cut off."""
    numbers = array.array("q")
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return tuple(numbers)


def checksum(digest: bytes, unread: bytes, data: bytes) -> bytes:
    """What tells that a snapshot's row is as it was written."""
    h = blake2b(digest + len(unread).to_bytes(8, "little") + unread, digest_size=16)
    h.update(data)
    return h.digest()


def carry(c: sqlite3.Connection, message: int, in_text: int, content_hash: bytes, closed: bool) -> None:
    """Takes the snapshots of an open reply to its end, before its pieces become one text.

    Args:
        in_text: characters of the reply that are not in pieces.
        content_hash: the reply's, now that it has ended.
        closed: the model ended it, with a token that is in no piece: snapshots from before are of no use then.
    """
    snapshots = c.execute("SELECT id, chars FROM snapshots WHERE message = ? AND hash IS NULL", (message,)).fetchall()
    for snapshot, chars in snapshots:
        since = None if closed else _since(c, message, in_text, chars)
        if since is None:
            c.execute("UPDATE snapshots SET message = NULL WHERE id = ?", (snapshot,))
            continue
        ids, more = since
        digest, unread, data = c.execute(
            "SELECT digest, unread, data FROM snapshots WHERE id = ?", (snapshot,)
        ).fetchone()
        c.execute(
            "UPDATE snapshots SET chars = ?, hash = ?, unread = ?, checksum = ?, size = size + ? WHERE id = ?",
            (chars + more, content_hash, unread + ids, checksum(digest, unread + ids, data), len(ids), snapshot),
        )


def _since(c: sqlite3.Connection, message: int, in_text: int, chars: int) -> tuple[bytes, int] | None:
    """The ids written after so many characters, and how many characters they are; None where that is not known."""
    at, ids, more = in_text, list[bytes](), 0
    for size, known in c.execute("SELECT chars, ids FROM pieces WHERE message = ? ORDER BY id", (message,)):
        if at >= chars:
            if at - more != chars or known is None:
                return None
            ids.append(known)
            more += size
        at += size
    return (b"".join(ids), more) if at - more == chars else None
