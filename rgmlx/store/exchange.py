"""One conversation out and in: Markdown to read, JSON to keep or to move.

Knows conversations and messages; snapshots stay behind, since they belong to one model's weights.
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

from .conversations import Conversation, Conversations
from .database import Database
from .errors import StoreError
from .messages import MODEL, USER, Messages

FORMAT, VERSION = "rgmlx-conversation", 1


class Exchange:
    """Export and import of conversations."""

    def __init__(self, database: Database, conversations: Conversations, messages: Messages) -> None:
        self._database, self._conversations, self._messages = database, conversations, messages

    def markdown(self, conversation: int, message: int | None = None) -> str:
        """The path to a message (None: where the conversation stands) as Markdown.

        Raises:
            StoreError: there is no such conversation.
        """
        one = self._conversations.get(conversation)
        parts = [f"# {' '.join(one.title.split()) or 'Conversation'}"]
        parts.append(f"*{one.model}, {time.strftime('%Y-%m-%d %H:%M', time.localtime(one.created))}*")
        if one.system:
            parts += ["## System", one.system]
        for m in self._messages.path(one.head if message is None else message):
            parts += ["## You" if m.role == USER else "## Model", m.text.rstrip("\n")]
            if not m.closed:
                parts.append("*(cut short)*")
        return "\n\n".join(parts) + "\n"

    def to_json(self, conversation: int) -> str:
        """The whole conversation, all branches, as JSON. Raises StoreError: there is no such conversation."""
        one = self._conversations.get(conversation)
        tree = self._messages.tree(conversation)
        place = {m.id: i for i, m in enumerate(tree)}
        return json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "title": one.title,
                "model": one.model,
                "system": one.system,
                "settings": one.settings,
                "created": one.created,
                "updated": one.updated,
                "archived": one.archived,
                "head": None if one.head is None else place[one.head],
                "messages": [
                    {
                        "parent": None if m.parent is None else place[m.parent],
                        "role": m.role,
                        "text": m.text,
                        "closed": m.closed,
                        "created": m.created,
                    }
                    for m in tree
                ],
            },
            ensure_ascii=False,
            indent=1,
        )

    def from_json(self, text: str) -> Conversation:
        """Adds a conversation written by `to_json`, as a new one. All of it or nothing.

        Raises:
            StoreError: this is not such a text, or the disk is full.
        """
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise ValueError
            version = int(data["version"])
        except (ValueError, LookupError, TypeError, RecursionError):
            raise StoreError("this is not an exported conversation: choose a .json file that rgmlx exported") from None
        if version > VERSION:
            raise StoreError("this conversation was exported by a newer rgmlx: update rgmlx to import it")
        try:
            with self._database.transaction() as c:
                new = self._conversations.create(
                    _is(data["model"], str),
                    _is(data["title"], str),
                    None if data["system"] is None else _is(data["system"], str),
                    _is(data["settings"], dict),
                ).id
                ids: list[int] = []
                for m in data["messages"]:
                    parent = None if m["parent"] is None else ids[_index(m["parent"], len(ids))]
                    if m["role"] not in (USER, MODEL):
                        raise ValueError
                    closed, created = _is(m["closed"], bool), _time(m["created"])
                    text = _is(m["text"], str)
                    ids.append(
                        self._messages.add_finished(new, parent, m["role"], text, closed=closed, created=created)
                    )
                head = None if data["head"] is None else ids[_index(data["head"], len(ids))]
                c.execute(
                    "UPDATE conversations SET head = ?, created = ?, updated = ?, archived = ? WHERE id = ?",
                    (head, _time(data["created"]), _time(data["updated"]), _is(data["archived"], bool), new),
                )
        except (ValueError, LookupError, TypeError, AttributeError) as e:
            if isinstance(e, StoreError):
                raise
            raise StoreError("this exported conversation is damaged: export it again") from None
        return self._conversations.get(new)


def _is(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError
    return value


def _index(value: Any, count: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
        raise ValueError
    return value


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError
    return float(value)
