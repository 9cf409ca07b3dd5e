"""Tables of questions with their answers, in blocks, and texts with alternatives in them.

A block is a line with its name and its marks (`key=value`), then indented lines: once for what the user says, twice for
what Griff answers, three times for what follows. In each text `(one|other|)` is one of these, whichever.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .lexicon import table
from .program import FIRST, MAC
from .wording import Source, Wordings, an, roughen

_CHOICE = re.compile(r"\(([^()]*\|[^()]*)\)")
_FIELD = re.compile(r"\{(\w+)\}")
_SPACES = re.compile(" {2,}")
_A = re.compile(r"\b([Aa]) (?=([a-z]{3,}))")
_GIVE = (
    "Tell me|Can you tell me|Could you tell me|Please tell me|I want to know|I would like to know|I'd like to know|"
    "Would you tell me|Let me know|I need to know|Remind me|I'd love to know|Could you please tell me|Mind telling me|"
    "Say, can you tell me|Will you tell me|I was hoping to know|Now tell me"
)
GIVE = _GIVE.split("|")
"""What may stand before a clause (what it is) and before a thing (your name)."""


@dataclass
class Block:
    """What belongs to one name in a table.

    Attributes:
        marks: what stands on its first line.
        said: what the user says; answers: what Griff does; after: what follows, in whatever way the table means it.
    """

    name: str
    marks: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def choice(self, mark: str) -> tuple[str, ...]:
        """The alternatives that a mark holds."""
        return tuple(filter(None, self.marks.get(mark, "").split("|")))

    def accept(self) -> list[tuple[str, ...]]:
        """What an answer must have: `accept=a|b;c` is one of a and b, and c."""
        groups = filter(None, self.marks.get("accept", "").split(";"))
        return [tuple(group.split("|")) for group in groups]


def blocks(name: str) -> list[Block]:
    """The blocks of a table. Raises ValueError: two have the same name, or a line belongs to none."""
    found: dict[str, Block] = {}
    block = None
    for row in table(name):
        depth = next(i for i, part in enumerate(row) if part)
        if depth == 0:
            if row[0] in found:
                raise ValueError(f"{name} has {row[0]} twice")
            marks = (mark.partition("=") for mark in row[1:])
            block = found[row[0]] = Block(row[0], {key: value for key, _, value in marks})
        elif block is None:
            raise ValueError(f"{name} has a line before the first block: {row}")
        else:
            (block.said, block.answers, block.after)[depth - 1].append(row[depth])
    return list(found.values())


def wordings(templates: Sequence[str], **slots: Sequence[str]) -> Wordings:
    """Wordings whose templates hold alternatives: these are slots, so that what is held out differs in more than one."""
    found: dict[str, Sequence[str]] = {}

    def slot(match: re.Match[str]) -> str:
        name = "any" + hashlib.sha256(match[1].encode()).hexdigest()[:12]
        found[name] = match[1].split("|")
        return f"[{name}]"

    def slotted(text: str) -> str:
        while (new := _CHOICE.sub(slot, text)) != text:  # the inner ones first
            text = new
        return text

    texts = [slotted(text) for text in templates]
    return Wordings(texts, **slots, **found)


@functools.cache
def asking(name: str) -> dict[str, Wordings]:
    """The wordings in a table whose fields are what is asked for and a template with alternatives."""
    templates: dict[str, list[str]] = {}
    for kind, template in table(name):
        templates.setdefault(kind, []).append(template)
    return {kind: wordings(rows) for kind, rows in templates.items()}


def chosen(source: Source, text: str) -> str:
    """A text with its alternatives chosen."""
    while match := _CHOICE.search(text):
        text = text[: match.start()] + source.chance.choice(match[1].split("|")) + text[match.end() :]
    return _SPACES.sub(" ", text).strip()


def told(source: Source, text: str, fields: Mapping[str, object] | None = None) -> str:
    """An answer with its alternatives chosen and its fields filled."""
    text = _FIELD.sub(lambda m: str((fields or {})[m[1]]), chosen(source, text))
    return text[:1].upper() + text[1:] if text[:1].islower() else text


def rough(source: Source, text: str, keep: Sequence[str] = ()) -> str:
    """A user's text, roughened, without spaces that an empty alternative left, and with the article that one needs."""
    text = _A.sub(lambda m: f"{m[1]}n " if an(m[2]) else m[0], text)
    return _SPACES.sub(" ", roughen(source, text, keep)).strip()


FACTS: dict[str, str] = {row[0]: row[1] for row in table("griff")} | FIRST | MAC
"""What is so about Griff and the chat's keys, for every answer that names it."""
