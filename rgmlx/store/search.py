"""Full-text search over messages and titles.

Knows the two indexes, which triggers keep in step with their tables. What a user types is never read
as query syntax.
"""

from __future__ import annotations

from dataclasses import dataclass

from .database.database import Database
from .text import as_text

_OPEN, _CLOSE = "\ue000", "\ue001"  # private characters around a match, taken out again below
_WORDS = 16  # different words of a search that count; more would make it slow, and no better
_CHARS = 10_000  # the same for a text pasted by mistake


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


class Search:
    """Search over all conversations that are not deleted, archived ones included."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, text: str, limit: int = 50) -> list[Hit]:
        """Titles, then messages with all of these words, the best first; the last word may be unfinished.

        A reply that is still being written is found once it has ended.
        """
        query = _query(text)
        if not query:
            return []
        titles = self._database.rows(
            "SELECT c.id, NULL, c.title, snippet(title_index, 0, ?, ?, '…', 16) FROM title_index "
            "JOIN conversations c ON c.id = title_index.rowid "
            "WHERE title_index MATCH ? AND c.deleted IS NULL ORDER BY rank LIMIT ?",
            (_OPEN, _CLOSE, query, limit),
        )
        messages = self._database.rows(
            "SELECT c.id, m.id, c.title, snippet(message_index, 0, ?, ?, '…', 16) FROM message_index "
            "JOIN messages m ON m.id = message_index.rowid JOIN conversations c ON c.id = m.conversation "
            "WHERE message_index MATCH ? AND c.deleted IS NULL ORDER BY rank LIMIT ?",
            (_OPEN, _CLOSE, query, limit - len(titles)),
        )
        return [Hit(c, m, as_text(title), _parts(as_text(snippet))) for c, m, title, snippet in titles + messages]

    def find_in(self, conversation: int, text: str, limit: int = 1_000) -> list[Hit]:
        """Messages of one conversation with all of these words, on all its branches, the newest first."""
        query = _query(text)
        if not query:
            return []
        rows = self._database.rows(
            "SELECT m.id, c.title, snippet(message_index, 0, ?, ?, '…', 16) FROM message_index "
            "JOIN messages m ON m.id = message_index.rowid JOIN conversations c ON c.id = m.conversation "
            "WHERE message_index MATCH ? AND m.conversation = ? ORDER BY m.id DESC LIMIT ?",
            (_OPEN, _CLOSE, query, conversation, limit),
        )
        return [Hit(conversation, m, as_text(title), _parts(as_text(snippet))) for m, title, snippet in rows]


def _query(text: str) -> str:
    """Each word a quoted phrase, the last one a prefix; marks alone find nothing and are left out."""
    words = [w for w in text[:_CHARS].replace("\0", " ").split() if any(c.isalnum() for c in w)]
    words = list(dict.fromkeys(reversed(words)))[:_WORDS][::-1]  # the last ones: that being typed is among them
    quoted = ['"' + w.encode(errors="replace").decode().replace('"', '""') + '"' for w in words]
    return " ".join(quoted) + "*" if quoted else ""


def _parts(snippet: str) -> tuple[tuple[str, bool], ...]:
    parts: list[tuple[str, bool]] = []
    for number, piece in enumerate(snippet.split(_OPEN)):
        inside, found, outside = piece.partition(_CLOSE) if number else ("", "", piece)
        if number and not found:  # the character was in the text itself
            inside, outside = "", inside
        parts += [(text, hit) for text, hit in ((inside, True), (outside, False)) if text]
    return tuple(parts)
