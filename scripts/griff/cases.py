"""What the generator makes: conversations, each with what its last answer must say.

The same function makes training rows (from a source that shows what training may see) and the evaluation's questions
(from one that shows what it may not).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from .lexicon import Lexicon
from .wording import Source


@dataclass(frozen=True)
class Turn:
    """A message and its answer. `copied`: parts of the answer that stand in the conversation before it."""

    user: str
    model: str
    copied: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A conversation; the last turn is the question."""

    turns: tuple[Turn, ...]
    accept: tuple[tuple[str, ...], ...] = ()
    """Of each group the answer must have one, as whole words, whatever their case. Without any, people must judge it."""
    reject: tuple[str, ...] = ()
    """What it must not have."""
    exact: str | None = None
    """What it must be, but for case, white space and the full stop."""
    cased: bool = False
    """Whether case counts: the task is about capitals."""
    some: tuple[int, tuple[str, ...]] | None = None
    """Of how many of which things it must speak: so many different ones, no more and no fewer."""
    about: str = ""
    """What kind of name or word was asked for, for the table ("rare", "foreign", "sum")."""


def passes(case: Case, answer: str) -> bool:
    """Whether an answer is what the case asks for. One that only people can judge passes."""

    def plain(text: str) -> str:
        text = " ".join(text.split())
        return text if case.cased else text.lower()

    def has(part: str) -> bool:
        return bool(re.search(rf"(?<!\w){re.escape(plain(part))}(?!\w)", plain(answer)))

    if case.exact is not None and plain(answer).rstrip(".") != plain(case.exact).rstrip("."):
        return False
    if case.some is not None:
        count, things = case.some
        # The longest first: an apple pie is no apple.
        any_of = "|".join(re.escape(thing.lower()) for thing in sorted(things, key=len, reverse=True))
        if len(set(re.findall(rf"(?<!\w)({any_of})(?:s|es)?(?!\w)", answer.lower()))) != count:
            return False
    return all(any(map(has, group)) for group in case.accept) and not any(map(has, case.reject))


class Unmet(Exception):
    """What was drawn does not go together (a robin called Robin): another case is to be drawn."""


Make = Callable[[Source, Lexicon], Case]


@dataclass(frozen=True)
class Kind:
    """One kind of conversation."""

    name: str
    group: str
    """Of which part of the mix: copying, memory, sentences, facts, sums, unknown, unclear, safety, stories, tasks, itself, talk."""
    make: Make
    weight: float = 1.0
    """How often it is drawn, among those of its group."""
    filler: bool = True
    """Whether its turns may stand between other conversations (nothing in them asks about what was said before)."""


def one(user: str, model: str, *accept: str | Sequence[str], copied: Sequence[str] = ()) -> Case:
    """A single question. `accept`: what must be in the answer; a sequence is a choice."""
    groups = tuple((group,) if isinstance(group, str) else tuple(group) for group in accept)
    return Case((Turn(user, model, tuple(copied)),), groups)


def after(before: Sequence[Turn], case: Case) -> Case:
    """The same case with turns in front of it."""
    return replace(case, turns=(*before, *case.turns))


@dataclass
class Registry:
    """All kinds, by group."""

    kinds: dict[str, list[Kind]] = field(default_factory=dict)

    def add(self, kinds: Sequence[Kind]) -> None:
        for kind in kinds:
            self.kinds.setdefault(kind.group, []).append(kind)

    def draw(self, source: Source, shares: dict[str, float]) -> Kind:
        """A kind, groups in these shares."""
        groups = [group for group in shares if group in self.kinds]
        group = source.chance.choices(groups, [shares[g] for g in groups])[0]
        kinds = self.kinds[group]
        return source.chance.choices(kinds, [k.weight for k in kinds])[0]
