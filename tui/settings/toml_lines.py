"""A TOML file as the lines that people wrote, in which the line of a key can be found and changed.

Knows TOML as far as it takes to leave alone what is not changed: comments, other keys, the order and the blank lines.
Knows no setting. It works line by line, so that not every valid file can be changed (an inline table can't): whoever
changes one reads the outcome again and looks whether it says what it should.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rgmlx.store.text import clean

Key = tuple[str, ...]
"""The names of the tables a value is in, and its own."""


@dataclass(frozen=True)
class Known:
    """What a file says of a key beside its value.

    Attributes:
        about: the comment above it.
        sample: a value that a comment shows while none is set.
    """

    about: str
    sample: Any


class Lines:
    """The lines of a file, and where each key is."""

    def __init__(self, text: str, known: Mapping[Key, Known]) -> None:
        """`known`: the keys that may be changed."""
        self._known = known
        self._lines = text.rstrip("\n").split("\n") if text.strip() else []
        self._statements: dict[Key, tuple[int, int, str]] = {}  # first line, line after, the key as it is written
        self._samples: dict[Key, int] = {}  # lines that show a key in a comment
        self._ends: dict[Key, int] = {(): 0}  # of a table, the line after its last statement
        samples = {sample(key, one.sample): key for key, one in known.items()}
        table: Key = ()
        at = 0
        while at < len(self._lines):
            line, begin = self._lines[at].strip(), at
            at += 1
            if line.startswith("["):
                table = _key(line)
            elif line in samples and samples[line][:-1] == table:
                self._samples[samples[line]] = begin
            elif line and not line.startswith("#"):
                at, key = self._statement(begin)
                self._statements[*table, *key] = begin, at, line.partition("=")[0].strip()
            if line and not line.startswith("#"):
                self._ends[table] = at

    def _statement(self, begin: int) -> tuple[int, Key]:
        """Where a statement that begins here ends, and its key. It may go on for many lines."""
        for end in range(begin + 1, len(self._lines) + 1):
            if end > begin + 1 and not re.search(r"\"\"\"|'''|[\]}]", self._lines[end - 1]):
                continue  # can't be its last line; trying each would take for ever
            with contextlib.suppress(tomllib.TOMLDecodeError):
                return end, _key("\n".join(self._lines[begin:end]))
        return len(self._lines), ("",)  # what this Python's TOML has and this doesn't know: reading it again finds out

    def changed(self, changes: Mapping[Key, Any]) -> str:
        """The text with some keys set, or (None) no longer set."""
        edits: list[tuple[int, int, list[str]]] = []
        for key, value in changes.items():
            new = sample(key, self._known[key].sample) if value is None else f"{key[-1]} = {written(value)}"
            if key in self._statements:
                begin, end, name = self._statements[key]
                if value is not None:
                    new = f"{name} = {written(value)}"
                edits.append((begin, end, [new + _comment(self._lines[begin:end])]))
            elif value is not None and key in self._samples:
                edits.append((self._samples[key], self._samples[key] + 1, [new]))
            elif value is not None:
                table = key[:-1]
                block = [f"# {self._known[key].about}", new]
                if table not in self._ends:
                    self._ends[table] = len(self._lines)
                    block = [""] * bool(self._lines) + [f"[{'.'.join(table)}]", *block]
                edits.append((self._ends[table], self._ends[table], block))
        lines = list(self._lines)
        edits.reverse()  # of those at one place the last goes in first: a new table's header comes before its keys
        for begin, end, new_lines in sorted(edits, key=lambda edit: edit[:2], reverse=True):
            lines[begin:end] = new_lines
        return "\n".join(lines).rstrip("\n") + "\n"


def sample(key: Key, value: Any) -> str:
    """A line that shows a key and does not set it."""
    return f"# {key[-1]} = {written(value)}"


def written(value: str | float) -> str:
    """A value as TOML. What a terminal would obey is escaped: people look at the file with `cat`."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
        return '"' + "".join(short.get(c) or (c if c.isprintable() else _escape(c)) for c in clean(value)) + '"'
    return repr(value)


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _key(line: str) -> Key:
    """The key, dots and all, of a header or a statement. Raises TOMLDecodeError: it is neither."""
    key: Key = ()
    data = tomllib.loads(line)
    while isinstance(data, dict) and len(data) == 1:
        ((name, data),) = data.items()
        key = (*key, name)
    return key


def _comment(lines: list[str]) -> str:
    """The comment at the end of a statement of one line."""
    if len(lines) == 1:
        for match in re.finditer(r"\s*#", lines[0]):
            with contextlib.suppress(tomllib.TOMLDecodeError):
                tomllib.loads(lines[0][: match.start()])
                return lines[0][match.start() :]
    return ""
