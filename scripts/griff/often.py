"""Conversations in which one value is needed again and again, and in which many facts are told in one message.

Copying a long name once is one chance to learn it; here are several, also letter by letter.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from . import told
from .between import some_between, turns_between
from .cases import Case, Kind, Turn, Unmet
from .lexicon import Lexicon
from .recalls import ask, draw, draw_some, expected, marked, recited, tell_all, typed
from .told import Fact, frames
from .wording import Source, capital

_TIMES = {"two": 2, "three": 3, "four": 4, "2": 2, "3": 3, "4": 4}
_GREETINGS = ("hello", "night", "bye", "luck", "birthday")
_ABOUT = ("name", "age", "town", "job", "pet", "person", "person", "color", "food", "hobby", "number", "word", "")


def _noun(source: Source, one: Fact) -> str:
    """What is asked for, as a noun ("my name")."""
    nouns = [text for text in one.form.mine.all if not told.is_clause(text)]
    return one.worded(source.pick(*nouns))


def _named(one: Fact) -> bool:
    return one.form.name in ("name", "pet", "person")


def several(source: Source, one: Fact) -> Turn:
    """A name is to be said several times."""
    word = source.pick(*_TIMES)
    user = frames()["times"].say(source, n=_noun(source, one), k=word)
    model = ", ".join([one.value.text] * _TIMES[word])
    return marked(typed(source, user, one.named), f"{model}.", one)


def greeting(source: Source, one: Fact) -> Turn:
    """The user's name is to be used."""
    request = source.pick(*_GREETINGS)
    return marked(typed(source, frames()[request].say(source)), told.put(source, f"{request}answer", one), one)


def _use(source: Source, one: Fact) -> Turn:
    if one.form.name == "name" and source.maybe(0.35):
        return greeting(source, one)
    return several(source, one) if _named(one) and source.maybe(0.3) else ask(source, one)


def often(source: Source, lexicon: Lexicon) -> Case:
    """A fact is told once and needed several times."""
    one = draw(source, lexicon, source.pick("name", "name", "name", "pet", "person", "word", "color", "number", ""))
    facts = draw_some(source, lexicon, source.pick(1, 1, 2, 3), [one])
    source.chance.shuffle(facts)
    turns = tell_all(source, lexicon, facts)
    asking: list[Turn] = []
    for _ in range(source.number(2, 4)):
        asking += [_use(source, one), *turns_between(source, lexicon, source.pick(0, 0, 1, 2, 4), facts)]
    asking.append(ask(source, one))
    return expected(one, [*turns, *some_between(source, lexicon, facts, turns, asking), *asking])


def spelled(source: Source, lexicon: Lexicon) -> Case:
    """A name that was told is to be spelled."""
    one = draw(source, lexicon, source.pick("name", "name", "pet", "person", "word"))
    while not one.value.text.isalpha() or len(one.value.text) != len(one.value.text.upper()):
        one = draw(source, lexicon, source.pick("name", "name", "pet", "person", "word"))
    facts = draw_some(source, lexicon, source.pick(1, 1, 2, 3), [one])
    source.chance.shuffle(facts)
    turns = tell_all(source, lexicon, facts)
    letters = "-".join(one.value.text.upper())
    user = frames()["spell"].say(source, n=_noun(source, one))
    model = told.fill(source.pick(*frames()["spelled"].templates.all), v=capital(one.value.text), S=letters)
    ends = marked(typed(source, user, one.named), model, one)
    middle = some_between(source, lexicon, facts, turns, [ends])
    return Case((*turns, *middle, ends), ((letters,),), about="spelled")


def tell_many(source: Source, facts: Sequence[Fact]) -> Turn:
    """Several facts in one message."""
    clauses = [told.statement(source, one) for one in facts]
    text = clauses[0]
    for clause in clauses[1:]:
        glue = source.pick(". ", ". ", ". ", ", ", " and ")
        text += glue + (capital(clause) if glue == ". " else clause)
    user = frames()["many"].say(source, t=f"{text}.", T=f"{capital(text)}.")
    keep = [text for one in facts for text in one.keep]
    if source.maybe(0.5):
        listed = recited(source, facts)
        model = told.fill(source.pick(*frames()["multiack"].templates.all), l=listed, L=capital(listed))
    else:
        model = source.pick(*frames()["manyack"].templates.all)
    return marked(typed(source, user, keep), model, *facts)


def many(source: Source, lexicon: Lexicon) -> Case:
    """Many facts are told at once; some of them are asked for, in any order."""
    facts: list[Fact] = []
    for name in sorted(source.some(_ABOUT, 3, 7), reverse=True):  # any one comes last
        # A number and an age could be mixed up: one of them stays away.
        with contextlib.suppress(Unmet):
            facts.append(draw(source, lexicon, name, beside=facts))
    facts.sort(key=lambda one: one.form.name != "name" or source.maybe(0.3))
    turns = [tell_many(source, facts)]
    one, *others = source.some(facts, 2, 4)
    asking: list[Turn] = []
    for other in others:
        asking += [ask(source, other), *turns_between(source, lexicon, source.pick(0, 0, 0, 1, 3), facts)]
    asking.append(ask(source, one))
    middle = some_between(source, lexicon, facts, turns, asking)
    return expected(one, [*turns, *middle, *asking])


KINDS = [
    Kind("often", "memory", often, 1.6, filler=False),
    Kind("spelled", "memory", spelled, 0.6, filler=False),
    Kind("many", "memory", many, 1.4, filler=False),
]
