"""Turns about other things, which stand between telling and asking: of what kinds, how many, and how long.

A conversation fits into a row of the training, and into what the model's attention sees: of many turns each is short.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

from . import told
from .cases import Case, Kind, Turn, Unmet
from .lexicon import Lexicon, table
from .told import Fact
from .wording import Pool, Source, roughen

CHARACTERS = 3300
"""Of most conversations at most: some 1,000 tokens."""
LONG = 5500
"""The same of those with many turns: some 1,900 tokens, so that telling and asking are in one row of 2,048."""
OVERHEAD = 34
"""Characters' worth of the marks around a turn."""
GAPS = (
    (0, 0),
    (0, 0),
    (0, 2),
    (1, 4),
    (1, 4),
    (2, 6),
    (3, 8),
    (5, 14),
    (8, 24),
    (12, 30),
    (16, 40),
    (30, 60),
    (45, 70),
    (45, 80),
)
"""From how many to how many turns stand between, each as often."""
SHARES = {"talk": 0.23, "facts": 0.19, "copying": 0.14, "sums": 0.08, "tasks": 0.12, "itself": 0.14, "unknown": 0.1}
"""Of the groups among the fillers; of others a twentieth."""


@functools.cache
def _small_talk() -> tuple[Pool[tuple[str, ...]], tuple[str, ...]]:
    rows = [tuple(row) for row in table("told_fillers")]
    return Pool([row for row in rows if row[0] != "*"]), next(row[1:] for row in rows if row[0] == "*")


def _chat(source: Source, lexicon: Lexicon) -> Case:
    user, *answers = source.of(_small_talk()[0])
    return Case((Turn(roughen(source, user), source.pick(*answers)),))


def _statement(source: Source, lexicon: Lexicon) -> Case:
    return Case((Turn(roughen(source, source.of(lexicon.statements)), source.pick(*_small_talk()[1])),))


CHAT = (Kind("chat", "talk", _chat), Kind("statement", "talk", _statement))


class Fillers:
    """Kinds whose turns stand between."""

    def __init__(self, kinds: Sequence[Kind]) -> None:
        self.kinds: list[Kind] = []
        self._sums: list[float] = []
        self.set(kinds)

    def set(self, kinds: Sequence[Kind]) -> None:
        """From now on these, each group in its share, however many kinds it has."""
        total: dict[str, float] = {}
        for kind in kinds:
            total[kind.group] = total.get(kind.group, 0.0) + kind.weight
        self.kinds = [
            replace(kind, weight=kind.weight * SHARES.get(kind.group, 0.05) / total[kind.group]) for kind in kinds
        ]
        self._sums = list(itertools.accumulate(kind.weight for kind in self.kinds))

    def draw(self, source: Source) -> Kind:
        return source.chance.choices(self.kinds, cum_weights=self._sums)[0]


fillers = Fillers(CHAT)
_PRIVATE = re.compile(r"\b(my name|call me|I am called|my favorite|remember|password|secret word)\b", re.IGNORECASE)


def guard(facts: Sequence[Fact]) -> re.Pattern[str]:
    """Finds what might answer a question for one of these facts, or contradict it."""
    guards = [told.fill(one.form.guard, **{n: re.escape(v) for n, v in one.fields}) for one in facts if one.form.guard]
    # A cat may be called Button, whatever their case.
    values = [rf"(?i:\b{re.escape(one.value.core)}\b)" for one in facts]
    return re.compile("|".join([*guards, *values]) or r"\0")


def turns_between(
    source: Source, lexicon: Lexicon, count: int, facts: Sequence[Fact], space: int = 10**9
) -> list[Turn]:
    """So many turns about other things, fewer when `space` characters are full."""
    private = guard(facts)
    turns: list[Turn] = []
    tries, longest = 0, 1.4 * (space / max(1, count) - OVERHEAD)
    while len(turns) < count:
        tries += 1
        case = None
        with contextlib.suppress(Unmet):
            case = fillers.draw(source).make(source, lexicon)
        if case is None:
            if tries > 500 * count:
                raise Unmet
            continue
        text = "\n".join(f"{turn.user}\n{turn.model}" for turn in case.turns)
        if tries < 40 * count and (private.search(text) or _PRIVATE.search(text)):
            continue
        if tries < 20 * count and len(text) > max(40.0, longest) * len(case.turns):
            continue
        turns += case.turns[: count - len(turns)]
        space -= len(text) + OVERHEAD * len(case.turns)
        if space < 0:
            break
    return turns


def size(turns: Sequence[Turn]) -> int:
    """Characters of these turns, with their marks."""
    return sum(len(turn.user) + len(turn.model) + OVERHEAD for turn in turns)


def some_between(source: Source, lexicon: Lexicon, facts: Sequence[Fact], *others: Sequence[Turn]) -> list[Turn]:
    """Turns about other things: mostly few, often up to 30, now and then up to 80. `others`: the rest of the conversation."""
    count = source.number(*source.pick(*GAPS))
    most = LONG if count > 20 or source.maybe(0.25) else CHARACTERS
    return turns_between(source, lexicon, count, facts, most - sum(map(size, others)))
