"""Full-text search over messages and titles: words, and parts of words.

Knows the two indexes of each, which triggers keep in step with their tables: that of words, which passes over marks on letters
and knows which text is the best, and that of parts of words (`part_index`). Words come first, and then what has them as parts.
What is in no index, as it has one or two characters, is looked for in the texts. What a user types is never read as query
syntax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import part_index
from .database.database import Database
from .text import as_text

_OPEN, _CLOSE = "\ue000", "\ue001"  # private characters around a match, taken out again below
_WORDS = 16  # different words of a search that count; more would make it slow, and no better
_CHARS = 10_000  # the same for a text pasted by mistake
_GROUPS = 64  # groups of three characters that are looked for; what has these is read anyhow
_READ = 10_000  # the newest texts that are read, as all groups of the words are in them
_READ_CHARS = 100_000_000  # and of no more characters
_SCANNED = 200_000  # the newest texts that are looked through for what no index has
_BEFORE, _AROUND = 40, 120  # characters of a snippet before the first match, and of all of it


@dataclass(frozen=True)
class Hit:
    """A place where all words were found.

    Attributes:
        message: the message, or None for a title.
        snippet: the text around, in parts; true for the parts that matched.
    """

    conversation: int
    message: int | None
    title: str
    snippet: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class _Kind:
    """What is searched: a table, its column, its indexes of words and of parts of words, and how its conversation is had."""

    table: str
    column: str
    words: str
    parts: str
    join: str


_MESSAGES = _Kind(
    "messages", "text", "message_index", "message_parts", "JOIN conversations c ON c.id = messages.conversation"
)
_TITLES = _Kind(
    "conversations", "title", "title_index", "title_parts", "JOIN conversations c ON c.id = conversations.id"
)
_Found = tuple[int, int, str, str]
"""A row's number, its conversation and its title, and the text around a match, which has marks around it."""


class Search:
    """Search over all conversations that are not deleted, archived ones included."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, text: str, limit: int = 50) -> list[Hit]:
        """Titles, then messages with all of these words, the best first, and then those that have them as parts of words,
        the newest first.

        A reply that is still being written is found once it has ended.
        """
        words, where = _words(text), "c.deleted IS NULL"
        titles = self._find(_TITLES, words, where, (), "rank", limit)
        messages = self._find(_MESSAGES, words, where, (), "rank", limit - len(titles))
        return [Hit(c, None, title, _parts(around)) for _, c, title, around in titles] + [
            Hit(c, number, title, _parts(around)) for number, c, title, around in messages
        ]

    def find_in(self, conversation: int, text: str, limit: int = 1_000) -> list[Hit]:
        """Messages of one conversation with all of these words or parts of words, on all its branches, the newest first."""
        order = "messages.id DESC"
        found = self._find(_MESSAGES, _words(text), "messages.conversation = ?", (conversation,), order, limit)
        found.sort(reverse=True)
        return [Hit(conversation, number, title, _parts(around)) for number, _, title, around in found]

    def _find(
        self, kind: _Kind, words: Sequence[str], where: str, values: Sequence[Any], order: str, limit: int
    ) -> list[_Found]:
        """Rows with all of these words in this order, and then those that have them as parts of words."""
        if not words or limit <= 0:
            return []
        table, index = kind.table, kind.words
        rows = self._database.rows(
            f"SELECT {table}.id, c.id, c.title, snippet({index}, 0, ?, ?, '…', 16) FROM {index} "
            f"JOIN {table} ON {table}.id = {index}.rowid {kind.join} "
            f"WHERE {index} MATCH ? AND {where} ORDER BY {order} LIMIT ?",
            (_OPEN, _CLOSE, _query(words), *values, limit),
        )
        found = [(number, c, as_text(title), as_text(around)) for number, c, title, around in rows]
        known = {number for number, *_ in found}
        wanted, read = [_folded(word) for word in words], 0
        for number, c, title in self._candidates(kind, words, where, values, limit) if len(found) < limit else ():
            if len(found) >= limit or read > _READ_CHARS:
                break
            if number in known:
                continue
            row = self._database.row(f"SELECT {kind.column} FROM {table} WHERE id = ?", (number,))
            text = "" if row is None else as_text(row[0])  # one at a time: texts may be long
            read += len(text)
            folded = _folded(text)
            if all(word in folded for word in wanted):
                found.append((number, c, as_text(title), _around(text, folded, wanted)))
        return found

    def _candidates(
        self, kind: _Kind, words: Sequence[str], where: str, values: Sequence[Any], limit: int
    ) -> list[tuple[int, int, Any]]:
        """Rows that may have all of these words as parts of words, the newest first."""
        table, groups = kind.table, _groups(words)
        if groups and part_index.available() and part_index.is_whole(self._database.row(*part_index.QUESTION)):
            return self._database.rows(
                f"SELECT {table}.id, c.id, c.title FROM {kind.parts} JOIN {table} ON {table}.id = {kind.parts}.rowid "
                f"{kind.join} WHERE {kind.parts} MATCH ? AND {where} ORDER BY {kind.parts}.rowid DESC LIMIT ?",
                (groups, *values, _READ),
            )
        likes, patterns = _likes(f"{table}.{kind.column}", words)
        return self._database.rows(
            f"SELECT {table}.id, c.id, c.title FROM {table} {kind.join} "
            f"WHERE {table}.id > (SELECT max(id) FROM {table}) - ? AND {where} AND {likes} "
            f"ORDER BY {table}.id DESC LIMIT ?",
            (_SCANNED, *values, *patterns, 2 * limit),  # as many again may be known
        )


def _words(text: str) -> list[str]:
    """The words of a search; marks alone find nothing and are left out."""
    words = [w for w in text[:_CHARS].replace("\0", " ").split() if any(c.isalnum() for c in w)]
    words = list(dict.fromkeys(reversed(words)))[:_WORDS][::-1]  # the last ones: that being typed is among them
    return [word.encode(errors="replace").decode() for word in words]


def _query(words: Sequence[str]) -> str:
    """Each word a quoted phrase, the last one a prefix."""
    return " ".join(_quoted(word) for word in words) + "*"


def _groups(words: Sequence[str]) -> str:
    """All groups of three characters of these words; "" where there is none."""
    size = part_index.GROUP
    groups = dict.fromkeys(word[at : at + size] for word in words for at in range(len(word) - size + 1))
    return " AND ".join(_quoted(group) for group in list(groups)[:_GROUPS])


def _quoted(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'


def _likes(column: str, words: Sequence[str]) -> tuple[str, list[str]]:
    """A condition that has each word in a column, and its values. LIKE knows capitals of ASCII: others are said."""
    conditions, patterns = [], list[str]()
    for word in words:
        forms = dict.fromkeys((word, word.lower(), word.upper(), word.title()))
        escaped = ["".join("\\" + c if c in "\\%_" else c for c in form) for form in forms]
        conditions.append("(" + " OR ".join(f"{column} LIKE ? ESCAPE '\\'" for _ in escaped) + ")")
        patterns += [f"%{form}%" for form in escaped]
    return " AND ".join(conditions), patterns


def _folded(text: str) -> str:
    """A text without capitals, each character in its place."""
    folded = text.casefold()
    return folded if len(folded) == len(text) else "".join(map(_small, text))


def _small(char: str) -> str:
    return next((one for one in (char.casefold(), char.lower()) if len(one) == 1), char)


def _around(text: str, folded: str, words: Sequence[str]) -> str:
    """The text around the first of these words, with marks around all of them."""
    first = min(folded.find(word) for word in words)
    start = max(0, first - _BEFORE)
    if start:
        start = min(first, text.find(" ", start, first) + 1 or start)
    end = start + _AROUND
    shown, small = text[start:end], folded[start:end]
    inside = bytearray(len(shown))
    for word in words:
        at = small.find(word)
        while at >= 0:
            inside[at : at + len(word)] = b"\1" * len(word)
            at = small.find(word, at + 1)
    marked, was = ["…" * bool(start)], 0
    for char, now in zip(shown.replace(_OPEN, " ").replace(_CLOSE, " "), inside, strict=True):
        marked.append((_CLOSE, "", _OPEN)[now - was + 1] + char)
        was = now
    return "".join(marked) + _CLOSE * was + "…" * (end < len(text))


def _parts(snippet: str) -> tuple[tuple[str, bool], ...]:
    parts: list[tuple[str, bool]] = []
    for number, piece in enumerate(snippet.split(_OPEN)):
        inside, found, outside = piece.partition(_CLOSE) if number else ("", "", piece)
        if number and not found:  # the character was in the text itself
            inside, outside = "", inside
        parts += [(text, hit) for text, hit in ((inside, True), (outside, False)) if text]
    return tuple(parts)
