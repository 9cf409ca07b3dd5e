"""Questions about what was not told, after other things were: each says that it was not told, and no value is at hand.

"What is my cat called?" and "How old is my cat?" look alike; only what was said before tells them apart.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from . import told, unknown
from .asking import personal
from .between import guard, some_between
from .cases import Case, Kind, Turn, Unmet
from .lexicon import Lexicon, table
from .recalls import ask, draw, draw_some, tell_all, typed
from .told import Fact
from .wording import Pool, Source, capital

SAYS = (
    "You have not told me {y}.",
    "You haven't told me {y} yet.",
    "You haven't told me {y}.",
    "I don't know {y}. You have not told me.",
    "I don't know {y}, because you have not told me.",
    "You did not tell me {y}.",
    "You never told me {y}. Will you?",
    "You told me {s}, but you have not told me {y}.",
    "I know {s}, but you have not told me {y}.",
    "{a}, but you have not told me {y}.",
    "I know only {s}. You have not told me {y}.",
    "I looked back: you have not told me {y}.",
    "That you have not told me. I only know {s}.",
    "I would have to make it up: you have not told me {y}.",
    "{a}. That is all: you have not told me {y}.",
    "So far you have not told me {y}.",
)
_ASKS = (
    "{c}?",
    "{c}?",
    "{c}",
    "do you know {i}?",
    "can you tell me {i}?",
    "and {c}?",
    "tell me {i}.",
    "so {c}?",
    "do you remember {i}?",
    "I forgot {i}.",
    "Griff, {c}?",
    "now {c}?",
    "what do you think, {c}?",
    "please tell me {i}.",
    "have I told you {i}?",
    "did I say {i}?",
    "could you say {i}?",
    "guess {i}.",
    "you surely know {i}.",
    "I wonder if you know {i}.",
    "let's see if you know {i}.",
    "by the way, {c}?",
    "okay, {c}?",
    "well, {c}?",
    "hm, {c}?",
    "hey, {c}?",
    "Griff, do you know {i}?",
    "do you still know {i}?",
    "do you still remember {i}?",
    "have you any idea {i}?",
    "have you forgotten {i}?",
    "you haven't forgotten {i}, have you?",
    "you remember {i}, don't you?",
    "you know {i}, right?",
    "you should know {i}.",
    "did I tell you {i}?",
    "did I ever tell you {i}?",
    "did I mention {i}?",
    "could you tell me {i}?",
    "can you say {i}?",
    "can you remember {i}?",
    "can you guess {i}?",
    "do you think you know {i}?",
    "what would you say, {c}?",
    "let's see if you remember {i}.",
    "let me test you: {c}?",
    "quick question: {c}?",
    "one question: {c}?",
    "one more question: {c}?",
    "tell me one thing: {c}?",
    "I wonder {i}.",
    "I wonder if you remember {i}.",
    "I can't remember {i}. Can you?",
    "I'd like to know {i}.",
    "I want to know {i}.",
    "I bet you don't know {i}.",
    "remind me {i}.",
    "my question is {i}.",
    "say {i}.",
    "{c}, do you know?",
    "{c}, Griff?",
    "{c} again?",
)
_PRONOUN = re.compile(r"\b(it|there|that|then|this)\b")


@functools.cache
def questions() -> dict[str, Pool[tuple[str, str]]]:
    """Of each kind of fact; without those that training never shows as questions for what was told."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, direct, indirect in table("untold"):
        if not {told.bare(direct), told.bare(indirect)} & told.never_asked():
            found.setdefault(name, []).append((direct, indirect))
    return {name: Pool(items) for name, items in found.items()}


_FRAMES = Pool((*_ASKS, *told.FRAMES))


def _answered(facts: Sequence[Fact], text: str) -> bool:
    """Whether one of these may answer it, or is named in it."""
    named = [name for one in facts for name in one.named]
    return bool(guard(facts).search(text)) or any(re.search(rf"\b{re.escape(name)}\b", text) for name in named)


def beside(source: Source, lexicon: Lexicon) -> Case:
    """Something about what was told is asked for, but not what was told about it."""
    name = source.pick(*("pet",) * 6, *("person",) * 9, *("name",) * 7, *questions())
    one = draw(source, lexicon, name)
    direct, indirect = (one.worded(text) for text in source.of(questions()[name]))
    others: list[Fact] = []
    for other in draw_some(source, lexicon, source.pick(1, 1, 2, 3), [one])[1:]:
        if not _answered([other], direct):
            others.append(other)
    facts = [one, *others]
    source.chance.shuffle(facts)
    turns = tell_all(source, lexicon, facts)
    asking = [ask(source, one)] if source.maybe(0.4) or _PRONOUN.search(direct) else []
    if source.maybe(0.25):
        user = personal(source, told.shared(), indirect, clause=True)
    else:
        user = source.of(_FRAMES).replace("{c}", direct).replace("{i}", indirect)
    inside, first = told.as_griff_says(source, one, plain=True)
    if inside.startswith("I "):
        raise Unmet
    model = told.fill(source.pick(*SAYS), y=told.swapped(indirect), s=f"that {inside}", a=first)
    ends = Turn(typed(source, capital(user), one.named), model, told.copied(one, model))
    middle = some_between(source, lexicon, facts, turns, asking, [ends])
    return Case((*turns, *middle, *asking, ends), (unknown.ACCEPT,), about="beside what was told")


def after_others(source: Source, lexicon: Lexicon) -> Case:
    """A question about the user that nothing of what was told answers."""
    facts = draw_some(source, lexicon, source.pick(1, 1, 2, 2, 3, 4))
    private = [made for made in unknown.unknowns().values() if made.why in ("told", "others")]
    for _ in range(60):
        case = unknown.ask(source, lexicon, source.pick(*private))
        if not _answered(facts, case.turns[-1].user):
            break
    else:
        raise Unmet
    turns = tell_all(source, lexicon, facts)
    asking = [ask(source, one) for one in source.some(facts, 0, 1)] if source.maybe(0.3) else []
    middle = some_between(source, lexicon, facts, turns, asking, case.turns)
    return Case((*turns, *middle, *asking, *case.turns), case.accept, about="private, after others")


KINDS = [
    Kind("untold_beside", "unknown", beside, 16.0, filler=False),
    Kind("untold_after", "unknown", after_others, 9.0, filler=False),
]
