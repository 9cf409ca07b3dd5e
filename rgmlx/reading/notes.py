"""Running notes: what the model itself wrote down while it read, as text that can be searched when the state has only the gist.

JSON lines in a file of bounded size, from which the oldest go. Knows texts and lines; neither models nor who writes them.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import StateError
from ..system import reading
from ..system.bounded import append
from ..system.decoding import decoded
from ..system.textfiles import reason

MAX_NOTES, MAX_BYTES, MAX_CHARS = 1_000, 1_000_000, 2_000
"""Of a reading: notes in memory, bytes of the file; characters of one note."""


@dataclass(frozen=True)
class Note:
    """One note.

    Attributes:
        time: when it was written, in seconds since 1970.
        tokens: how many the model had read by then.
        first, last: the lines that it is about, from 1.
    """

    time: float
    tokens: int
    first: int
    last: int
    text: str


class Notes:
    """Notes of one reading."""

    def __init__(self, path: Path | None) -> None:
        """`path`: a file to go on with; None keeps them in memory."""
        self._path = path
        self._notes = deque(() if path is None else _read(path), MAX_NOTES)

    def add(self, note: Note) -> None:
        """Keeps a note; one of a place that has one already is dropped. Raises StateError: it can't be written."""
        if self._notes and self._notes[-1].tokens >= note.tokens:
            return
        self._notes.append(note)
        if self._path is None:
            return
        try:
            append(self._path, json.dumps(asdict(note)).encode() + b"\n", MAX_BYTES, MAX_BYTES // 8)
        except OSError as e:
            raise StateError(f"{self._path} can't be written ({reason(e)}): the note is in memory only") from None

    def all(self) -> list[Note]:
        """All that are kept, the oldest first."""
        return list(self._notes)

    def search(self, words: str) -> list[Note]:
        """Those that have all of these words, or beginnings or middles of words, in them; the latest first."""
        wanted = words.casefold().split()
        return [n for n in reversed(self._notes) if all(word in n.text.casefold() for word in wanted)]


def _read(path: Path) -> Iterable[Note]:
    try:
        lines = reading.read_bytes(path, 2 * MAX_BYTES).splitlines()
    except OSError:
        return
    for line in lines:
        try:
            data = reading.parse_json(decoded(line))
            note = Note(**data)
            numbers = (note.tokens, note.first, note.last)
            if isinstance(note.text, str) and all(type(n) is int for n in numbers) and note.time + 0 >= 0:
                yield note
        except (ValueError, TypeError):  # half a line of a program that was killed
            continue
