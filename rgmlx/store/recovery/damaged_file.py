"""Finds rows of conversations in a damaged file: where each is, and which ones are lost as an index knows.

Knows the shapes of the rows of our tables, and pages; writes nothing. A row is recognized by its columns, so that it is
found in pages that can't be reached any more, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files.sqlite_pages import INDEX, TABLE, Row, SqlitePages

Location = tuple[int, int]
"""A page, and where a row is in it."""
_MOST = 2**48  # a number above is no number of ours


@dataclass(frozen=True)
class FoundMessage:
    """A message: its parent, where its row is (None for one that only an index or a child knows of), its depth."""

    conversation: int
    parent: int | None
    location: Location | None
    depth: int = 0


@dataclass
class FoundRows:
    """All that was found, by the rows' numbers.

    Attributes:
        pieces: of each message, in order.
        lost: messages that an index has, and no page.
        lost_conversations: the same of conversations.
        indexed: whether the index was read from end to end, and has all messages that were found: it has the lost ones, too.
        largest_id: the largest number that a message ever had; None where that is lost.
        states: ids of the file of states that goes with it; more than one where it is not known which.
    """

    conversations: dict[int, Location] = field(default_factory=dict)
    messages: dict[int, FoundMessage] = field(default_factory=dict)
    pieces: dict[int, dict[int, Location]] = field(default_factory=dict)
    lost: dict[int, FoundMessage] = field(default_factory=dict)
    lost_conversations: set[int] = field(default_factory=set)
    indexed: bool = False
    largest_id: int | None = None
    states: set[bytes] = field(default_factory=set)


class DamagedFile:
    """A damaged file, open to be read."""

    def __init__(self, path: Path) -> None:
        """Raises OSError: the file can't be opened."""
        self._pages = SqlitePages(path)

    def close(self) -> None:
        """Closes the file."""
        self._pages.close()

    def __enter__(self) -> DamagedFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def find(self) -> FoundRows:
        """Looks through the whole file: first what can be reached from the tables' roots, then the rest."""
        found, seen = FoundRows(), set[int]()
        roots = self._roots()
        for table in ("conversations", "messages", "pieces"):
            for page in self._pages.walk(roots.get(table, 0), TABLE):
                seen.add(page)
                self._note(page, found)
        seen |= self._pages.free()
        for page in self._pages.leaves():
            if page not in seen:
                self._note(page, found)
        broken, known = list[int](), set[int]()
        for row in self._index(roots.get("messages_by_conversation", 0), 3, broken):
            conversation, parent, number = row.columns
            known.add(number)
            if _is_number(conversation) and _is_number(number) and number not in found.messages:
                found.lost[number] = FoundMessage(conversation, parent if _is_number(parent) else None, None)
        if found.largest_id is not None:
            found.largest_id = max(found.largest_id, *found.messages, 0)
        found.indexed = not broken and found.messages.keys() <= known
        for row in self._index(roots.get("conversations_by_time", 0), 2, []):
            if _is_number(row.columns[1]) and row.columns[1] not in found.conversations:
                found.lost_conversations.add(row.columns[1])
        return found

    def row(self, location: Location) -> Row:
        """A row that was found, whole."""
        return self._pages.row(*location)

    def _roots(self) -> dict[str, int]:
        """The roots of tables and indexes, by their names."""
        roots: dict[str, int] = {}
        for pages in (self._pages.walk(1, TABLE), self._pages.leaves()):
            for page in pages:
                for _, row in self._pages.rows(page):
                    what = row.columns
                    ours = len(what) == 5 and what[0] in (b"table", b"index") and isinstance(what[1], bytes)
                    if ours and _is_number(what[3]):
                        roots.setdefault(what[1].decode(errors="replace"), what[3])
            if "messages" in roots:
                break
        return roots

    def _index(self, root: int, width: int, broken: list[int]) -> Iterator[Row]:
        for page in self._pages.walk(root, INDEX, broken):
            for _, row in self._pages.rows(page):
                if len(row.columns) == width:
                    yield row

    def _note(self, page: int, found: FoundRows) -> None:
        for at, row in self._pages.rows(page):
            columns, location = row.columns, (page, at)
            if len(columns) == 2 and columns[0] == b"messages" and _is_number(columns[1]):  # of sqlite_sequence
                found.largest_id = max(columns[1], found.largest_id or 0)
            if len(columns) == 2 and columns[0] == b"states" and isinstance(columns[1], bytes):
                found.states.add(columns[1])
            if not _is_number(row.id) or columns[0] is not None:  # the column that is the row's number
                continue
            if _is_message(columns):
                parent = columns[2] if _is_number(columns[2]) else None
                found.messages.setdefault(row.id, FoundMessage(columns[1], parent, location, columns[3]))
            elif _is_conversation(columns):
                found.conversations.setdefault(row.id, location)
            elif _is_piece(columns):
                found.pieces.setdefault(columns[1], {}).setdefault(row.id, location)


# What a later version adds comes after these columns.


def _is_message(columns: tuple[Any, ...]) -> bool:
    return (
        len(columns) >= 12
        and _is_number(columns[1])
        and isinstance(columns[3], int)
        and isinstance(columns[4], bytes)
        and len(columns[4]) in (4, 5)  # user, model
        and isinstance(columns[5], bytes | None)
    )


def _is_conversation(columns: tuple[Any, ...]) -> bool:
    return len(columns) >= 10 and all(
        isinstance(column, kind)
        for column, kind in zip(columns[1:5], (bytes, bytes | None, bytes | None, bytes | None), strict=True)
    )


def _is_piece(columns: tuple[Any, ...]) -> bool:
    return (
        5 <= len(columns) < 10  # states that an earlier version kept in the file have more
        and _is_number(columns[1])
        and isinstance(columns[2], int)
        and isinstance(columns[3], bytes | None)
        and isinstance(columns[4], bytes | None)
    )


def _is_number(value: Any) -> bool:
    """Whether it may be the number of a row of ours."""
    return isinstance(value, int) and 0 < value < _MOST
