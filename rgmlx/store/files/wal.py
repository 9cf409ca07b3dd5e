"""The log that SQLite keeps beside a file: its frames, and whether some of them will be left out in silence.

Knows the format (sqlite.org/walformat.html). A frame is a page with a checksum over all that comes before it. SQLite reads up
to the first that is wrong, as it should after a power cut; of damage further up it says nothing.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

PAGE_SIZES = {512 << n for n in range(8)}
"""Sizes that a page may have."""
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_HEADER, _FRAME = 32, 24


def page_size(log: int) -> int | None:
    """The size of a log's pages; None where its header does not tell."""
    header = os.pread(log, 12, 0)
    magic, _, size = struct.unpack(">III", header) if len(header) == 12 else (0, 0, 0)
    return size if magic in (_LITTLE, _BIG) and size in PAGE_SIZES else None


def frames(log: int, size: int) -> Iterator[tuple[int, int, int]]:
    """Where the page of each frame begins, its number, and whether a transaction ends with it. Reads no checksums.

    Args:
        size: of a page.
    """
    salts, at = os.pread(log, _HEADER, 0)[16:24], _HEADER
    while len(head := os.pread(log, _FRAME, at)) == _FRAME and head[8:16] == salts:  # else it is of an earlier time
        number, committed = struct.unpack_from(">II", head)
        yield at + _FRAME, number, committed
        at += size + _FRAME


def has_transactions(path: Path) -> bool:
    """Whether a file's log has a transaction, so that something can be read where the file itself is gone."""
    try:
        log = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        size = page_size(log)
        return size is not None and any(committed for _, _, committed in frames(log, size))
    finally:
        os.close(log)


def is_damaged(path: Path) -> bool:
    """Whether transactions of a file's log would be left out.

    The last one may be half on the disk where the power was cut: nobody was told that it is there.
    """
    try:
        log = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        header = os.pread(log, _HEADER, 0)
        size = page_size(log) or 4096
        commits = [at for at, _, committed in frames(log, size) if committed]
        if len(commits) < 2:
            return False
        end = _readable(log, header, size)
        # With another header another process has begun it anew meanwhile.
        return sum(at >= end for at in commits) > 1 and os.pread(log, _HEADER, 0) == header
    except OSError:
        return False
    finally:
        os.close(log)


def _readable(log: int, header: bytes, size: int) -> int:
    """Where the first frame with a wrong checksum is."""
    order = ">" if header[:4] == struct.pack(">I", _BIG) else "<"
    sums = _sum(header[:24], order, (0, 0))
    if sums != struct.unpack_from(">II", header, 24):
        return 0
    at = _HEADER
    while len(frame := os.pread(log, _FRAME + size, at)) == _FRAME + size:
        sums = _sum(frame[_FRAME:], order, _sum(frame[:8], order, sums))
        if sums != struct.unpack_from(">II", frame, 16):
            break
        at += _FRAME + size
    return at


def _sum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    one, two = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for a, b in zip(words[::2], words[1::2], strict=True):
        one = (one + a + two) & 0xFFFFFFFF
        two = (two + b + one) & 0xFFFFFFFF
    return one, two
