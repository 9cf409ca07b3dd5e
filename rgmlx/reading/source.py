"""Where text comes from: a pipe, which goes on, or a file, of which what was read before is passed over.

A file is known again by its first bytes and by those before the place where its reading ended, not by its name, so that one
that was rotated, cut short or is another one altogether is noticed and read from its beginning. Knows descriptors and bytes; no models.
"""

from __future__ import annotations

import codecs
import hashlib
import os
import select
import stat
from typing import Any

from ..errors import RgmlxError

BLOCK = 8_192
"""Bytes that are read at a time: no more is taken from a pipe before these are read by the model."""
_ENDS = 4_096  # bytes at either end by which a file is known again


def nothing_to_read(descriptor: int) -> bool:
    """Whether an input is a terminal or the null device."""
    if os.isatty(descriptor):
        return True
    found = os.fstat(descriptor)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == os.stat(os.devnull).st_rdev


class Source:
    """An open input.

    Attributes:
        skipped: bytes of a file that were read before, and are passed over.
        notice: a sentence where the file is not the one that was read before.
        bookmark: where a file's reading is; None for a pipe.
    """

    def __init__(self, descriptor: int, bookmark: Any = None, name: str = "standard input") -> None:
        """An input under a name for sentences. `bookmark`: of the last file that was read. Raises RgmlxError: it can't be read."""
        self._descriptor, self._first, self._name = descriptor, True, name
        self.skipped, self.notice = 0, ""
        self._offset, self._begin, self._tail = 0, b"", b""
        try:
            found = os.fstat(descriptor)
            # One that does not stand at its beginning was placed there by somebody.
            self._is_file = stat.S_ISREG(found.st_mode) and not os.lseek(descriptor, 0, os.SEEK_CUR)
            if self._is_file and (known := _known(bookmark)) is not None:
                self._resume(*known, found.st_size)
        except OSError as e:
            raise self._unreadable(e) from None

    def _resume(self, offset: int, digest: str, size: int) -> None:
        length = min(offset, _ENDS)
        begin, tail = (os.pread(self._descriptor, length, at) for at in (0, offset - length))
        if offset <= size and _digest(begin, tail) == digest:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            self.skipped = self._offset = offset
            self._begin, self._tail, self._first = begin, tail, False
        else:
            what = "shorter than what was read of it" if offset > size else "not the file that was read last"
            self.notice = f"{self._name} is {what}, or was rotated: it is read from its beginning"

    @property
    def goes_on(self) -> bool:
        """Whether it is the input that was read last, from where that ended."""
        return self.skipped > 0

    @property
    def bookmark(self) -> Any:
        if not self._is_file:
            return None
        return {"offset": self._offset, "digest": _digest(self._begin, self._tail)}

    def ready(self, seconds: float | None, wake: int | None = None) -> bool:
        """Waits so long (None: without end) for something to read; false when there is none, or `wake` can be read first."""
        others = [] if wake is None else [wake]
        found, _, _ = select.select([self._descriptor, *others], [], [], seconds)
        return self._descriptor in found

    def read(self) -> bytes:
        """What is there, `BLOCK` bytes at the most; nothing at the end. Raises RgmlxError: it can't be read, or is not text."""
        try:
            data = os.read(self._descriptor, BLOCK)
        except OSError as e:
            raise self._unreadable(e) from None
        if self._first and data:
            self._first = False
            if b"\0" in data and not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise RgmlxError(f"{self._name} is not text: give one that is UTF-8 text", quotes=(self._name,))
        if self._is_file:
            self._offset += len(data)
            self._begin += data[: _ENDS - len(self._begin)]
            self._tail = (self._tail + data)[-_ENDS:]
        return data

    def _unreadable(self, error: OSError) -> RgmlxError:
        return RgmlxError(f"{self._name} can't be read: {error.strerror or error}", quotes=(self._name,))


def _digest(begin: bytes, tail: bytes) -> str:
    return hashlib.blake2b(begin + tail, digest_size=16).hexdigest()


def _known(bookmark: Any) -> tuple[int, str] | None:
    """What a bookmark of this module says; None of another one."""
    try:
        offset, digest = bookmark["offset"], bookmark["digest"]
        return (offset, str(digest)) if type(offset) is int and 0 < offset < 2**63 else None
    except (TypeError, KeyError):
        return None
