"""The messages above a message, as SQL: paths are walked by the database, so that they may be as long as they like."""

from __future__ import annotations


def ancestors(name: str, message: str, limit: str = "-1") -> str:
    """A recursive table `name (id, parent)` for `WITH RECURSIVE`: a message, its parent, and so on to the root.

    Args:
        message, limit: placeholders of the message's number and of the most rows; -1 for all.
    """
    return (
        f"{name} (id, parent) AS (SELECT id, parent FROM messages WHERE id = {message} UNION ALL "
        f"SELECT p.id, p.parent FROM {name} JOIN messages p ON p.id = {name}.parent AND p.id < {name}.id "  # no circles
        f"LIMIT {limit})"
    )
