"""The tree of a conversation in lines: what follows what, and the start of each text. Reads no whole texts.

Knows the tables of messages and of pieces.
"""

from __future__ import annotations

from dataclasses import dataclass

from .ancestors import ancestors
from .database.database import Database
from .message_reader import NUMBER_OF
from .rows import role_of
from .text import as_number, as_text


@dataclass(frozen=True)
class Outline:
    """One message as a line of the tree: the start of its text, and its place in the tree.

    Attributes:
        children: how many messages follow it, whether they are in the outline or not.
        on_path: whether it is on the path to the head that was asked for.
    """

    id: int
    parent: int | None
    depth: int
    role: str
    start: str
    closed: bool
    streaming: bool
    created: float
    number: int
    siblings: int
    children: int
    on_path: bool


class Outlines:
    """The outlines of all conversations of a store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(
        self, conversation: int, head: int | None, around: int | None, limit: int, chars: int = 200
    ) -> tuple[list[Outline], int]:
        """The tree of a conversation without its texts, parents before children: all of it, or a part.

        Where there are more than `limit` messages, the part is a line through `around` (None: the head, or the
        start), a quarter of the limit before it and a quarter after, with the siblings of its messages. Past
        `around` the line follows the path to the head, and else the newest.

        Returns:
            At most `limit` lines, each with the first `chars` characters; and how many messages there are.
        """
        total = int(self._database.row("SELECT count(*) FROM messages WHERE conversation = ?", (conversation,))[0])
        around = head if around is None else around
        if around is None:
            sql = "SELECT max(id) FROM messages WHERE conversation = ? AND parent IS NULL"
            around = self._database.row(sql, (conversation,))[0]
        if total <= limit:
            chosen = "SELECT id FROM messages WHERE conversation = ?1"
        else:
            chosen = (
                "SELECT n.id FROM messages n WHERE n.conversation = ?1 AND (n.id IN line OR n.parent IN "
                "(SELECT l.parent FROM messages l WHERE l.id IN line) OR n.parent IS NULL AND EXISTS "
                "(SELECT 1 FROM messages l WHERE l.id IN line AND l.parent IS NULL)) "
                "ORDER BY n.id IN line DESC, n.id DESC LIMIT ?5"
            )
        rows = self._database.rows(
            f"WITH RECURSIVE {ancestors('path', '?2')}, {ancestors('above', '?3', '?4')}, "
            "below (id, n) AS (SELECT ?3, 1 UNION ALL SELECT coalesce("
            "(SELECT c.id FROM messages c WHERE c.parent = below.id AND c.id IN (SELECT id FROM path)), "
            "(SELECT max(c.id) FROM messages c WHERE c.parent = below.id)), n + 1 FROM below "
            "WHERE below.id IS NOT NULL AND n < ?4), "
            "line (id) AS (SELECT id FROM above UNION SELECT id FROM below WHERE id IS NOT NULL) "
            "SELECT m.id, m.parent, m.depth, m.role, substr(CASE WHEN m.loose THEN m.text || coalesce((SELECT "
            # As many pieces as characters are enough: none is empty.
            "group_concat(piece, '') FROM (SELECT substr(p.text, 1, ?6) AS piece FROM pieces p "
            "WHERE p.message = m.id ORDER BY p.id LIMIT ?6)), '') ELSE m.text END, 1, ?6), "
            "m.closed, m.streaming, m.created, "
            f"{NUMBER_OF}, "
            "(SELECT count(*) FROM messages c WHERE c.parent = m.id), m.id IN (SELECT id FROM path) "
            f"FROM messages m WHERE m.id IN ({chosen}) ORDER BY m.id",
            (conversation, head, around, max(1, limit // 4), limit, chars),
        )
        return [
            Outline(
                n,
                parent,
                depth,
                role_of(role, depth),
                as_text(start),
                bool(closed),
                bool(streaming),
                as_number(created),
                at,
                of,
                children,
                bool(on_path),
            )
            for n, parent, depth, role, start, closed, streaming, created, at, of, children, on_path in rows
        ], total
