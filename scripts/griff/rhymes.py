"""Rhymes: whether two words rhyme, several at once, the one that does not, and words for which there is none.

What rhymes is a row of a table; of two rows no word rhymes with one of the other.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from .cases import Case, Kind, Turn, one
from .copying_parts import joined
from .facts import NO, YES
from .games import ASK as GAMES
from .lexicon import Lexicon, table
from .orders import kept
from .phrases import asking, rough
from .wording import Source, capital, roughen

GROUP = "tasks"
ASK = asking("ask_words")
_MANY = {2: ("two", "2"), 3: ("three", "3"), 4: ("four", "4")}


@functools.cache
def families() -> tuple[tuple[str, ...], ...]:
    """Words that rhyme with each other."""
    return tuple(tuple(row[0].split("|")) for row in table("rhymes"))


def _others(source: Source, family: Sequence[str], count: int) -> list[str]:
    """Words of another row each."""
    rows = source.some([row for row in families() if row is not family], count, count)
    return [source.pick(*row) for row in rows]


def pair(source: Source, lexicon: Lexicon) -> Case:
    """Whether two words rhyme."""
    family = source.pick(*families())
    x, y = source.some(family, 2, 2)
    yes = source.maybe(0.5)
    if not yes:
        (y,) = _others(source, family, 1)
    user = rough(source, ASK["rhymepair"].say(source, x=x, y=y), kept(x, y))
    if yes:
        answer = source.pick(
            f"Yes, {x} and {y} rhyme.", f"Yes, {x} rhymes with {y}.", f"Yes: {x}, {y}.", "Yes, they rhyme."
        )
        return replace(one(user, answer, YES, copied=_in(answer, x, y)), reject=("no", "not", "don't"), about="pair")
    answer = source.pick(f"No, {x} and {y} don't rhyme.", f"No, {x} does not rhyme with {y}.", "No, they don't rhyme.")
    return replace(one(user, answer, NO, copied=_in(answer, x, y)), reject=("yes",), about="pair")


def _in(answer: str, *words: str) -> tuple[str, ...]:
    return tuple(word for word in words if word in answer)


def several(source: Source, lexicon: Lexicon) -> Case:
    """Two to four rhymes."""
    n = source.pick(2, 3, 3, 3, 4)
    family = source.pick(*(row for row in families() if len(row) > n))
    x, *found = source.some(family, n + 1, n + 1)
    user = rough(source, ASK["rhymeseveral"].say(source, x=x, n=source.pick(*_MANY[n])), kept(x))
    answer = source.pick(f"{joined(found)}.", f"{joined(found)}.", f"I know {joined(found)}.")
    rest = tuple(word for word in family if word != x)
    return Case((Turn(user, capital(answer)),), some=(n, rest), about="several")


def odd(source: Source, lexicon: Lexicon) -> Case:
    """The one of several that does not rhyme with the others."""
    family = source.pick(*(row for row in families() if len(row) > 2))
    same = source.some(family, 2, 3)
    (other,) = _others(source, family, 1)
    row = [*same, other]
    source.chance.shuffle(row)
    user = rough(source, ASK["rhymeodd"].say(source, l=", ".join(row)), kept(*row))
    answer = source.pick(f"{other}.", f"{other}: the others rhyme.", f"{other} does not rhyme with {same[0]}.")
    return replace(one(user, capital(answer), other), about="odd")


def none(source: Source, lexicon: Lexicon) -> Case:
    """A word that has no rhyme."""
    word = source.pick(*table("rhymes_none"))[0]
    user = roughen(source, GAMES["rhyme"].say(source, w=word, W=capital(word)), kept(word))
    answer = source.pick(
        f"I know of no rhyme for {word}.",
        f"Nothing that I know rhymes with {word}.",
        f"As far as I know, nothing rhymes with {word}.",
        f"There is no rhyme for {word}, as far as I know.",
        f"{capital(word)} is hard: I know no rhyme for it.",
    )
    return replace(one(user, answer, ("no rhyme", "nothing"), copied=_in(answer, word)), about="none")


KINDS: list[Kind] = [
    Kind("rhyme: do they", GROUP, pair, 1.2),
    Kind("rhyme: several", GROUP, several, 1.2),
    Kind("rhyme: odd one", GROUP, odd, 0.6),
    Kind("rhyme: none", GROUP, none, 0.6),
]
