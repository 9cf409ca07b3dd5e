"""What tells that a message is what was written: a hash of it and of all that comes before; and models from each other.

Knows texts and no tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b

from .text import as_text

_IDENTITY = ("weights", "quantization", "tokenizer", "dtype")
NO_HASH = bytes(32)
"""In the place of a hash: what was written is not known, and this is not it."""


def content_hash(parent: bytes, role: str, pieces: Iterable[str], closed: bool, size: int | None = None) -> bytes:
    """The hash of a message after a parent with the given hash.

    Args:
        size: bytes of all pieces together; None counts them, which needs them twice.
    """
    if size is None:
        pieces = list(pieces)
        size = sum(len(p.encode()) for p in pieces)
    h = blake2b(digest_size=32)
    before = parent if isinstance(parent, bytes) else b""  # of another type once a bit was flipped
    for part in (before, role.encode(), b"closed" if closed else b"open"):
        h.update(len(part).to_bytes(8, "little") + part)
    h.update(size.to_bytes(8, "little"))
    for piece in pieces:
        h.update(piece.encode())
    return h.digest()


def root_hash(system: str | None) -> bytes:
    """Stands for the parent of a first message: what the model makes of it depends on the system text."""
    return blake2b(b"" if system is None else b"system" + as_text(system).encode(), digest_size=32).digest()


def hash_before(parent: bytes | None, system: str | None) -> bytes:
    """The hash of what a message follows: of its parent or, where it has none, of the system text."""
    return root_hash(system) if parent is None else parent


def identity_key(identity: Mapping[str, str]) -> str:
    """One word for a model's identity: its weights, quantization, tokenizer and dtype."""
    text = json.dumps([identity[what] for what in _IDENTITY])
    return blake2b(text.encode(), digest_size=16).hexdigest()
