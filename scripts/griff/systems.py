"""System texts: what rgchat puts before the first message when its settings have one. The answers stay what they are.

`rgmlx.tokenizer.turn_ids` puts it there, with an empty line behind it. Most are such as the answers obey without
being changed: "Be brief." before short ones, "Answer in one sentence." where each is one.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import replace

from .cases import Case, Turn
from .lexicon import table
from .phrases import wordings
from .wording import Source, Wordings

SHARE = 0.06
"""Of all conversations so many have one."""
SHORT = 170
"""Characters of an answer that is brief."""
LONG = 1500
"""The same of a story that has an end."""
LONGER = 0.25
"""How often one that asks for short answers stands before longer ones: a story is as short as Griff's stories are."""
_KINDS = ("role", "griff", "tone", "plain", "true")


@functools.cache
def _said() -> dict[str, Wordings]:
    found: dict[str, list[str]] = {}
    for kind, text in table("systems"):
        found.setdefault(kind, []).append(text)
    return {kind: wordings(texts) for kind, texts in found.items()}


def _is_one(text: str) -> bool:
    """Whether it is one sentence."""
    return len(text) <= SHORT and "\n" not in text and not re.search(r"[.!?] \S", text)


def system(source: Source, answers: Sequence[str]) -> str:
    """One that fits these answers: a sentence, often two or three."""
    kinds = list(_KINDS)
    if all(len(text) <= SHORT for text in answers):
        kinds += ["short"] * 3
    elif source.maybe(LONGER) and all(len(text) <= LONG for text in answers):
        kinds.append("short")
    if all(map(_is_one, answers)):
        kinds += ["one"] * 2
    count = source.pick(1, 1, 1, 2, 2, 3)
    chosen = list(dict.fromkeys(source.pick(*kinds) for _ in range(count)))
    if "one" in chosen and "short" in chosen:
        chosen.remove("short")
    # Who it is stands first, how it is to answer last.
    chosen.sort(key=[*_KINDS, "short", "one"].index)
    text = source.pick(" ", " ", " ", "\n").join(
        re.sub(" {2,}", " ", _said()[kind].say(source)).strip() for kind in chosen
    )
    if source.maybe(0.12):
        text = text.lower()
    return text.rstrip(".") if source.maybe(0.12) else text


def before(source: Source, turns: Sequence[Turn]) -> list[Turn]:
    """The same turns with a system text before the first message."""
    first, *rest = turns
    text = system(source, [turn.model for turn in turns])
    return [replace(first, user=f"{text}\n\n{first.user.strip()}"), *rest]


def sometimes(source: Source, turns: Sequence[Turn]) -> list[Turn]:
    """The same turns, now and then with a system text before them."""
    return before(source, turns) if source.maybe(SHARE) else list(turns)


def case(source: Source, one: Case) -> Case:
    """The same case with a system text."""
    return replace(one, turns=tuple(before(source, one.turns)))
