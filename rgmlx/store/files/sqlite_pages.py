"""The pages of an SQLite file and of its log, read as far as they can be: for files that SQLite gives up on.

Knows the file format (sqlite.org/fileformat2.html) and no tables. Nothing is written, and no number that is read is
believed: a page may be missing or hold anything. Of a table's rows those are found that can be reached from its root, and
those in pages that can't be reached any more.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .wal import PAGE_SIZES, frames, page_size

TABLE, TABLE_INNER, INDEX, INDEX_INNER = 13, 5, 10, 2
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}
_DEEP = 40  # levels of a tree, more than any has


@dataclass(frozen=True)
class Row:
    """A row of a table or of an index.

    Attributes:
        id: the row's number; 0 in an index.
        columns: None, int, float, or bytes for a text or a blob; None also for what was cut off.
        cut: whether its end could not be read.
    """

    id: int
    columns: tuple[Any, ...]
    cut: bool


class SqlitePages:
    """The pages of a file, those in its log before those in the file itself."""

    def __init__(self, path: Path) -> None:
        """Raises OSError: the file can't be opened."""
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._log: int | None = None
        self._in_log: dict[int, int] = {}
        try:
            self._length = os.fstat(self._file).st_size
            header = os.pread(self._file, 100, 0)
            size = struct.unpack_from(">H", header, 16)[0] if len(header) == 100 else 0
            size = 65536 if size == 1 else size
            self.size = size if size in PAGE_SIZES else 4096
            try:
                self._log = os.open(f"{path}-wal", os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                pass
            else:
                self._read_log(self._log)
        except BaseException:
            self.close()
            raise
        reserved = header[20] if len(header) == 100 and header[20] <= 64 else 0
        self.usable = self.size - reserved
        self.count = max([-(-self._length // self.size), *self._in_log])

    def close(self) -> None:
        """Closes the files."""
        os.close(self._file)
        if self._log is not None:
            os.close(self._log)

    def __enter__(self) -> SqlitePages:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_log(self, log: int) -> None:
        """Notes which pages the log has, up to its last whole transaction. Checksums decide nothing here."""
        size = page_size(log)
        self.size = size or self.size
        pending: dict[int, int] = {}
        for at, number, committed in frames(log, self.size):
            pending[number] = at
            if committed:
                self._in_log.update({n: where for n, where in pending.items() if 0 < n <= 2**31})
                pending.clear()

    def page(self, number: int) -> bytes:
        """A page; what there is of it where the file ends inside; b"" for one that is not there."""
        if self._log is not None and number in self._in_log:
            return os.pread(self._log, self.size, self._in_log[number])
        if not 0 < number <= self.count:
            return b""
        try:
            return os.pread(self._file, self.size, (number - 1) * self.size)
        except OSError:  # a bad sector
            return b""

    def _filled(self, number: int) -> bytes:
        """A page of full size, the missing end of which is zeros."""
        return self.page(number).ljust(self.size, b"\0")

    # --- which pages ----------------------------------------------------------------------

    def free(self) -> set[int]:
        """The pages that are in no use, as far as their list can be followed."""
        found: set[int] = set()
        trunk = _integer(self._filled(1), 32)
        while 0 < trunk <= self.count and trunk not in found:
            found.add(trunk)
            data = self._filled(trunk)
            following, many = struct.unpack_from(">II", data)
            if many > self.usable // 4 - 2:
                break
            found.update(struct.unpack_from(f">{many}I", data, 8))
            trunk = following
        return found

    def walk(self, root: int, leaf: int, broken: list[int] | None = None) -> Iterator[int]:
        """The pages of a tree that can be reached from its root, in order: the leaves; of an index all.

        Args:
            leaf: `TABLE` or `INDEX`.
            broken: gets the numbers of pages that should be of the tree and are not.
        """
        broken = [] if broken is None else broken
        seen: set[int] = set()
        stack = [(root, 0)]
        while stack:
            number, depth = stack.pop()
            data = self._filled(number)
            kind = data[_start(number)]
            inner = TABLE_INNER if leaf == TABLE else INDEX_INNER
            if not 0 < number <= self.count or number in seen or depth > _DEEP or kind not in (inner, leaf):
                broken.append(number)
                continue
            seen.add(number)
            if kind == inner:
                start = _start(number)
                children = [_integer(data, at) for at in self._pointers(data, start, 12)]
                children.append(_integer(data, start + 8))
                stack += [(child, depth + 1) for child in reversed(children)]
            if kind == leaf or (kind == inner and leaf == INDEX):
                yield number

    def leaves(self) -> Iterator[int]:
        """All pages that look like leaves of a table, reachable or not."""
        for number in range(1, self.count + 1):
            if number in self._in_log:
                kind = self.page(number)[_start(number) : _start(number) + 1]
            else:
                try:
                    kind = os.pread(self._file, 1, (number - 1) * self.size + _start(number))
                except OSError:
                    continue
            if kind and kind[0] == TABLE:
                yield number

    # --- what is in a page ----------------------------------------------------------------

    def rows(self, number: int) -> Iterator[tuple[int, Row]]:
        """The rows of a page, each with its place in it, cut where they go on in other pages.

        Those that make no sense are left out.
        """
        data, start = self.page(number), _start(number)
        filled = self._filled(number)
        kind = filled[start]
        for place, at in enumerate(self._pointers(filled, start, 12 if kind in (TABLE_INNER, INDEX_INNER) else 8)):
            row = self._row(data, at + (4 if kind == INDEX_INNER else 0), kind == TABLE, whole=False)
            if row is not None:
                yield place, row

    def row(self, number: int, place: int) -> Row:
        """A row of a table that `rows` has given, all of it."""
        data = self.page(number)
        row = self._row(data, self._pointers(self._filled(number), _start(number), 8)[place], table=True, whole=True)
        assert row is not None
        return row

    def _pointers(self, data: bytes, start: int, head: int) -> list[int]:
        many = struct.unpack_from(">H", data, start + 3)[0]
        many = min(many, (self.usable - start - head) // 2)
        found = struct.unpack_from(f">{many}H", data, start + head)
        return [at for at in found if start + head <= at < self.usable - 4]

    def _row(self, data: bytes, at: int, table: bool, *, whole: bool) -> Row | None:
        try:
            size, at = _varint(data, at)
            number, at = _varint(data, at) if table else (0, at)
        except IndexError:
            return None
        if not 0 < size <= max(self.count, 1) * self.size or number < 0:
            return None
        most = self.usable - 35 if table else (self.usable - 12) * 64 // 255 - 23
        local = size
        if size > most:
            least = (self.usable - 12) * 32 // 255 - 23
            local = least + (size - least) % (self.usable - 4)
            local = local if local <= most else least
        if at + local + (4 if local < size else 0) > min(self.usable, len(data)):
            return None
        types = _types(data[at : at + local], size)
        if types is None:
            return None
        payload = data[at : at + local]
        if local < size and whole:
            payload = self._chain(payload, _integer(data, at + local), size)
        columns, cut = _columns(payload, *types)
        return Row(number, columns, cut)

    def _chain(self, payload: bytes, following: int, size: int) -> bytes:
        """A payload with what follows in pages of its own, as far as they go."""
        parts, length, seen = [payload], len(payload), set[int]()
        while length < size and following not in seen:
            seen.add(following)
            data = self.page(following)
            if not data:
                break
            following = _integer(data, 0)
            parts.append(data[4 : min(self.usable, 4 + size - length)])
            length += len(parts[-1])
            if not following or len(data) < self.usable:
                break
        return b"".join(parts)


def _start(number: int) -> int:
    """Where a page's header is: after the file's own in the first."""
    return 100 if number == 1 else 0


def _integer(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer and where it ends. Raises IndexError."""
    value = 0
    for count in range(9):
        byte = data[at + count]
        if count == 8:
            value = value << 8 | byte
            return (value - 2**64 if value >= 2**63 else value), at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    raise IndexError


def _types(payload: bytes, size: int) -> tuple[list[int], int] | None:
    """The types of a row's columns, and where their values begin; None where they don't add up to the row."""
    try:
        end, at = _varint(payload, 0)
        if not 0 < end <= len(payload):
            return None
        types = []
        while at < end:
            kind, at = _varint(payload, at)
            types.append(kind)
    except IndexError:
        return None
    if at != end or any(kind < 0 or kind in (10, 11) for kind in types):
        return None
    return (types, end) if end + sum(map(_width, types)) == size else None


def _width(kind: int) -> int:
    if kind >= 12:
        return (kind - 12) // 2
    return 8 if kind == 7 else _INTEGERS.get(kind, 0)


def _columns(payload: bytes, types: list[int], at: int) -> tuple[tuple[Any, ...], bool]:
    columns: list[Any] = []
    cut = False
    for kind in types:
        width = _width(kind)
        data = payload[at : at + width]
        at += width
        value: Any = None
        if len(data) < width:
            cut, value = True, data if kind >= 12 and data else None
        elif kind in _INTEGERS:
            value = int.from_bytes(data, "big", signed=True)
        elif kind == 7:
            value = struct.unpack(">d", data)[0]
        elif kind in (8, 9):
            value = kind - 8
        elif kind >= 12:
            value = data
        columns.append(value)
    return tuple(columns), cut
