"""Facts asked for in few words, as in a search box: "capital of peru?", "peru capital", "and of Chile?", "and its currency?".

In lower case as often as not, and with slips of the keys in the names too: `roughen` keeps those as they are. The words are
rows of the tables of facts:

    brief   text ...    {x} and {k}, which is x without its article, {ax} {xs}
    its     noun ...    what x has of this relation: "and its ..."
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace

from . import unknown
from .asking import fill, put
from .cases import Case, Kind, Turn, one
from .facts import Fact, Relation, facts, fields, forward, say
from .lexicon import Lexicon
from .wording import Pool, Source, roughen, slip

FRAMES = Pool(
    (
        "{t}",
        "{t}?",
        "{t} ?",
        "{t}??",
        "{t} please",
        "{t}, please",
        "{t} pls",
        "{t}, thanks",
        "{t} thx",
        "quick: {t}",
        "quickly, {t}?",
        "hey {t}?",
        "hi, {t}?",
        "griff, {t}?",
        "{t} griff",
        "{t}.",
        "{t}!",
        "{t}...",
        "ok {t}?",
        "so {t}?",
        "now {t}?",
        "just {t}",
        "and {t}?",
        "{t} again?",
        "need {t}",
        "again: {t}?",
        "question: {t}",
        "quiz: {t}",
        "{t} is?",
        "{t} = ?",
    )
)
OF = Pool(
    (
        "and of {x}?",
        "of {x}?",
        "and that of {x}?",
        "and the one of {x}?",
        "what about that of {x}?",
        "ok, and of {x}?",
        "and now of {x}?",
        "then of {x}?",
        "and what of {x}?",
        "thanks, and of {x}?",
        "and of {x}",
        "or of {x}?",
        "I see, and of {x}?",
        "good, and that of {x}?",
    )
)
ITS = Pool(
    (
        "and its {t}?",
        "and the {t}?",
        "its {t}?",
        "and the {t} there?",
        "what is its {t}?",
        "what's its {t}?",
        "what about its {t}?",
        "and what is its {t}?",
        "and its {t}, please?",
        "ok, and its {t}?",
        "now its {t}?",
        "the {t} too, please",
        "do you know its {t} too?",
        "and what is the {t}?",
        "and {t}?",
        "tell me its {t} too",
        "its {t} too?",
        "thanks, and its {t}?",
        "good. And its {t}?",
        "what would be its {t}?",
    )
)


@functools.cache
def names() -> frozenset[str]:
    """What facts are about, in lower case: no slip may make one of another."""
    return frozenset(_bare(fact.x).lower() for relation in facts().relations for fact in relation.facts)


def _bare(x: str) -> str:
    return re.sub("^(the|a|an) ", "", x)


def typed(source: Source, text: str, x: str) -> str:
    """As one types in a hurry: in lower case as often as not, and now and then with a slip in the very name."""
    keep = bare = _bare(x)
    if len(bare) > 5 and source.maybe(0.1):
        keep = slip(source, bare)
        if keep.lower() in names():
            keep = bare
        text = text.replace(bare, keep)
    text = roughen(source, text, [keep] if keep in text else [])
    return text.lower() if source.maybe(0.45) else text


def brief(source: Source, relation: Relation, fact: Fact) -> Case:
    """Asks for a fact in few words."""
    text = put(source.of(relation.brief), fields(fact, fact.right[0]) | {"k": _bare(fact.x)})
    text = fill(source, source.of(FRAMES), t=text)
    if source.maybe(0.6) and not text[1:2].isupper():
        text = text[:1].lower() + text[1:]
    user = typed(source, text, fact.x)
    y = source.pick(*fact.right) if "many" in relation.flags else fact.right[0]
    answer = say(source, relation, fields(fact, y))
    return replace(one(user, answer, fact.right), about=f"{relation.name}: in few words")


def _of(relation: Relation) -> bool:
    """Whether one can ask "and of ...?"."""
    return any(core.noun.endswith(" of {x}") for core in relation.ask.all)


def and_of(source: Source, relation: Relation) -> Case:
    """Asks, in few words or more, and then the same of another: "and of Chile?"."""
    first, second = source.chance.sample(relation.facts, 2)
    before = brief(source, relation, first) if source.maybe(0.5) else forward(source, relation, first)
    text = fill(source, source.of(OF), x=second.x)
    user = typed(source, text, second.x)
    answer = say(source, relation, fields(second, second.right[0]))
    return Case((*before.turns, Turn(user, answer)), (second.right,), about=f"{relation.name}: and of")


@functools.cache
def _shared() -> tuple[tuple[Relation, Fact, Relation, Fact], ...]:
    """Two facts of one: its capital and its currency."""
    found = [relation for relation in facts().relations if "its" in relation.words]
    pairs = [(one, other) for one in found for other in found if one is not other]
    return tuple(
        (one, first, other, second)
        for one, other in pairs
        for first in one.facts
        for second in other.facts
        if first.x == second.x
    )


def and_its(source: Source, lexicon: Lexicon) -> Case:
    """Asks for one thing, and then for another of the same: "and its currency?"."""
    relation, first, other, second = source.pick(*_shared())
    before = brief(source, relation, first) if source.maybe(0.5) else forward(source, relation, first)
    text = fill(source, source.of(ITS), t=source.pick(*other.words["its"]))
    user = roughen(source, text)
    answer = say(source, other, fields(second, second.right[0]))
    return Case((*before.turns, Turn(user, answer)), (second.right,), about=f"{other.name}: of the same")


def in_vain(source: Source, lexicon: Lexicon) -> Case:
    """Asks in few words for a fact about what does not exist."""
    relation = source.pick(*(r for r in facts().relations if r.name in unknown.LIKE and r.brief.all))
    named, x, why = unknown.like(source, lexicon, relation)
    text = put(source.of(relation.brief), named | {"k": x, "y": ""})
    user = roughen(source, fill(source, source.of(FRAMES), t=text), [x])
    says = unknown.honest(source, why, x)
    if source.maybe(0.45):
        user = user.lower()
        while x in says:  # of a name in lower case it can't be told how it is written
            says = unknown.honest(source, why, x)
    return replace(one(user, says, unknown.ACCEPT, copied=(x,) if x in says else ()), about="in few words")


def kinds() -> list[Kind]:
    """A kind for each relation that has such words."""
    made = []
    for relation in facts().relations:
        if not relation.brief.all:
            continue

        def make(source: Source, lexicon: Lexicon, relation: Relation = relation) -> Case:
            return brief(source, relation, source.pick(*relation.facts))

        def go_on(source: Source, lexicon: Lexicon, relation: Relation = relation) -> Case:
            return and_of(source, relation)

        made.append(Kind(f"brief_{relation.name}", "facts", make, 0.4 * len(relation.facts) ** 0.7))
        if _of(relation):
            weight = 0.1 * len(relation.facts) ** 0.7
            made.append(Kind(f"brief_next_{relation.name}", "facts", go_on, weight, filler=False))
    made.append(Kind("brief_its", "facts", and_its, 6.0, filler=False))
    return [*made, Kind("unknown_brief", "unknown", in_vain, 6.0)]


KINDS = kinds()
