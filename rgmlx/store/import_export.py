"""Export and import of one conversation: Markdown to read, JSON to keep or to move.

Knows conversations and messages; snapshots stay behind, since they belong to one model's weights.
"""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

from ..errors import ChatError, RgmlxError
from ..settings import SETTINGS, checked
from ..system import times
from ..system.reading import parse_json
from ..system.textfiles import write_text
from .conversations import ConversationStore, settings_text
from .database.database import Database
from .errors import StoreError
from .messages import MessageStore
from .rows import MODEL, USER, Conversation
from .table_rows import ConversationRow, insert_conversation
from .text import clean

FORMAT, VERSION = "rgmlx-conversation", 1


class ImportExport:
    """Export and import of conversations."""

    def __init__(self, database: Database, conversations: ConversationStore, messages: MessageStore) -> None:
        self._database, self._conversations, self._messages = database, conversations, messages

    def markdown(self, conversation: int, message: int | None = None) -> str:
        """The path to a message (None: to the head) as Markdown.

        Raises:
            StoreError: there is no such conversation.
        """
        one = self._conversations.get(conversation)
        parts = [f"# {' '.join(one.title.split()) or 'Conversation'}"]
        parts.append(f"*{one.model}, {times.shown(one.created)}*")
        if one.system:
            parts += ["## System", one.system]
        for m in self._messages.path(one.head if message is None else message):
            parts += ["## You" if m.role == USER else "## Model", m.text.rstrip("\n")]
            if m.damaged:
                parts.append("*(damaged: this is not what was written)*")
            if not m.closed:
                parts.append("*(cut short)*")
        return "\n\n".join(parts) + "\n"

    def to_json(self, conversation: int) -> str:
        """The whole conversation, all branches, as JSON. Raises StoreError: there is no such conversation."""
        one = self._conversations.get(conversation)
        tree = self._messages.tree(conversation)
        place: dict[int | None, int] = {m.id: i for i, m in enumerate(tree)}
        return json.dumps(
            {
                "format": FORMAT,
                "version": VERSION,
                "title": one.title,
                "model": one.model,
                "system": one.system,
                "settings": _good(one.settings),
                "created": _known(one.created),
                "updated": _known(one.updated),
                "archived": one.archived,
                "pinned": one.pinned,
                "head": place.get(one.head),
                "messages": [
                    {
                        "parent": place.get(m.parent),
                        "role": m.role,
                        "text": m.text,
                        "closed": m.closed,
                        "created": _known(m.created),
                        **({"damaged": True} if m.damaged else {}),
                    }
                    for m in tree
                ],
            },
            ensure_ascii=False,
            indent=1,
        )

    def write(self, conversation: int, path: Path) -> None:
        """Writes a file that is the user's alone: JSON where its name ends so, else Markdown.

        Raises:
            StoreError: there is no such conversation.  RgmlxError: the file can't be written; what was there is as it was.
        """
        is_json = path.suffix.lower() == ".json"
        write_text(path, self.to_json(conversation) if is_json else self.markdown(conversation))

    def from_json(self, text: str) -> Conversation:
        """Adds a conversation written by `to_json`, as a new one. All of it or nothing.

        Raises:
            StoreError: this is not such a text, it names no model or wrong settings, or the disk is full.
        """
        try:
            data = parse_json(text)
            if data["format"] != FORMAT:
                raise ValueError
            version = data["version"]
            if type(version) is not int or version < 1:
                raise ValueError
        except (ValueError, LookupError, TypeError):
            raise StoreError("this is not an exported conversation: choose a .json file that rgmlx exported") from None
        if version > VERSION:
            raise StoreError("this conversation was exported by a newer rgmlx: update rgmlx to import it")
        try:
            with self._database.transaction() as c:
                row = ConversationRow(
                    clean(_is(data["title"], str)),
                    clean(_model(_is(data["model"], str))),
                    None if data["system"] is None else clean(_is(data["system"], str)),
                    settings_text(_settings(_is(data["settings"], dict))),
                    created=_time(data["created"], "the conversation"),
                    updated=_time(data["updated"], "the conversation's last change"),
                    archived=_is(data["archived"], bool),
                    pinned=_is(data.get("pinned", False), bool),  # earlier exports lack it
                )
                new = insert_conversation(c, row)
                ids: list[int] = []
                for number, m in enumerate(_is(data["messages"], list), 1):
                    parent = None if m["parent"] is None else ids[_index(m["parent"], len(ids))]
                    if m["role"] not in (USER, MODEL):
                        raise ValueError
                    closed, created = _is(m["closed"], bool), _time(m["created"], f"message {number}")
                    text = _is(m["text"], str)
                    ids.append(
                        self._messages.add_finished(
                            new,
                            parent,
                            m["role"],
                            text,
                            closed=closed,
                            created=created,
                            damaged=_is(m.get("damaged", False), bool),
                        )
                    )
                head = None if data["head"] is None else ids[_index(data["head"], len(ids))]
                c.execute("UPDATE conversations SET head = ? WHERE id = ?", (head, new))
        except (ValueError, LookupError, TypeError, AttributeError) as e:
            if isinstance(e, StoreError):
                raise
            raise StoreError("this exported conversation is damaged: export it again") from None
        return self._conversations.get(new)


def check_name(path: Path) -> None:
    """Raises ChatError: this is not the name of a file to export to."""
    if path.suffix.lower() not in (".json", ".md"):
        raise ChatError(f"{path} should end in .md (to read) or .json (to import)")


def _is(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError
    return value


def _model(name: str) -> str:
    if not name.strip():
        raise StoreError('the name of the model is empty: write one after "model", such as demo')
    return name


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    for name, value in settings.items():
        if value is not None and name in SETTINGS:
            try:
                checked(name, value)
            except RgmlxError as e:
                raise StoreError(f"a setting is wrong: {e}") from None
    return settings


def _good(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they are exported: one that is out of range, from an older version's import, would not come in again."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        with contextlib.suppress(StoreError):
            found |= _settings({name: value})
    return found


def _index(value: Any, count: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
        raise ValueError
    return value


def _time(value: Any, whose: str) -> float:
    if type(value) not in (int, float) or not -math.inf < value < math.inf:
        raise ValueError
    if value != 0 and not times.known(value):
        said = f"{value:.3g}" if type(value) is float else f"{value!r:.30}"
        raise StoreError(f"the time of {whose} is {said}: give seconds since 1970, or 0 where it is not known")
    return float(value)


def _known(value: Any) -> float:
    """A stored time as it is exported: one that is none, from an older version's import, would not come in again."""
    return value if times.known(value) else 0
