"""Told or not: the same question behind what answers it, and behind what only looks like it.

What is asked for was told of this one, of another one ("my sister is 12", and how old is my brother?), or something else was
told of it. Of each thing in `tables/told_or_not.tsv` a question never says by itself whether it can be answered: only what
was said before does.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import told, unknown, untold
from .between import some_between
from .cases import Case, Kind, Turn, Unmet
from .lexicon import Lexicon, table
from .occasions import FIELDS
from .recalls import ask, draw, expected, tell_all, typed
from .told import Fact, Form
from .values import Value, drawn, lists
from .values_day import MAKERS
from .wording import Pool, Source, capital

_SUBJECTS = {"pet": 4, "who": 5, "thing": 2, "me": 5, "trip": 1, "house": 0.7, "car": 0.7, "party": 0.7, "work": 0.7}
_SUBJECTS |= {"school": 0.5, "book": 0.5, "team": 0.6, "doctor": 0.5, "cake": 0.5, "garden": 0.5}
"""What is spoken of, and how often."""
_MANY = ("pet", "who", "thing")
"""Of these there may be two, each with something of its own."""
_NAMED = {"pet": "pet", "who": "person"}
"""Kinds of fact that say how they are called."""
_NEAR = (
    "age birthday built since",
    "born from lives street where house last_summer",
    "toy friend",
    "eats ate breakfast fridge food hates allergy cake kind theme",
    "surname named married nick middle name",
    "plays sport hobby studied teaches speaks likes game collects",
    "job work boss",
    "keys lost",
    "since year bought met",
    "from town bought lives born where hotel",
    "cost owes owe rent earn price",
    "eyes hair color collar door",
    "doctor landlord name",
    "team fan",
    "wakes gets_up begins ends time when meeting test visit",
    "wears wearing dressed",
    "phone",
    "number house lucky seat pin floor",
    "brothers sisters siblings",
)
"""What could answer a question for one of the others."""
_ACKS = (
    "Thank you, I'll remember that.",
    "I see, I'll keep that in mind.",
    "Good to know, thank you.",
    "All right, I'll remember it.",
    "Noted, thank you for telling me.",
    "Okay, that stays under my wing.",
)
_SMALL = (
    "what which who whom whose how when where why is are was were do does did will can my i am it the a an of in on at to from "
    "for with by have has had me many much long one that there be you pet thing go get"
)
_TRIES = 60


@dataclass(frozen=True, eq=False)
class Attribute:
    """Something that may be told of a subject. `asks`: questions, and the same within a sentence."""

    name: str
    form: Form
    asks: tuple[tuple[str, str], ...]

    @functools.cached_property
    def each(self) -> list[Form]:
        """The form with one of the questions only, so that an answer takes up its words."""
        parts = self.form.parts
        return [
            replace(self.form, parts=parts | {"ask": [ask], "mine": [mine]})
            for ask, mine in zip(parts["ask"], parts["mine"], strict=True)
        ]

    @property
    def subject(self) -> str:
        return self.name.partition(".")[0]

    def near(self, other: Attribute) -> bool:
        """Whether the one might answer a question for the other."""
        one, two = self.name.partition(".")[2], other.name.partition(".")[2]
        return one == two or any(one in group.split() and two in group.split() for group in _NEAR)


def _attribute(name: str, kind: str, says: str, questions: str) -> Attribute:
    pairs = ((part.partition(" = ")[0], part.partition(" = ")[2]) for part in questions.split("|"))
    # What training never shows as a question for a fact is none here.
    asks = tuple(pair for pair in pairs if not set(map(told.bare, pair)) & told.never_asked())
    statements = says.split("|")
    words = {word for text, _ in asks for word in re.findall(r"[a-z]+", text)} - set(_SMALL.split())
    parts = {
        "say": statements,
        "tell": [f"[hi]{text}[stop]" for text in statements],
        "ask": [f"[hey]{direct}[end]" for direct, _ in asks],
        "mine": [indirect for _, indirect in asks],
        "answer": [capital(told.swapped(text)) for text in statements],
        "ack": list(_ACKS),
    }
    # What stands between may not speak of it.
    form = Form(name, kind, True, rf"(?i:\b({'|'.join(sorted(words)) or name})\b)", parts)
    return Attribute(name, form, asks)


@functools.cache
def _asked_elsewhere() -> tuple[frozenset[str], frozenset[str]]:
    """Questions that training shows in other parts, and those that it never shows."""
    pairs = list(untold.questions().values())
    kept = {text for pool in pairs for text, _ in pool.kept}
    held = {text for pool in pairs for text, _ in pool.held}
    for one in unknown.unknowns().values():
        kept |= {core.direct for core in one.asks.kept}
        held |= {core.direct for core in one.asks.held}
    return frozenset(kept), frozenset(held)


@functools.cache
def attributes() -> Pool[Attribute]:
    """All of them. What other parts hold out, or show, is held out or shown here too."""
    found = [_attribute(*row) for row in table("told_or_not")]
    kept, held = _asked_elsewhere()
    by_name = Pool([one.name for one in found])
    pool = Pool(found)
    out = []
    for one in found:
        asks = {direct for direct, _ in one.asks}
        if asks & held or (one.name in by_name.held and not asks & kept):
            out.append(one)
    pool.held = tuple(out)
    pool.kept = tuple(one for one in found if one not in out)
    return pool


@dataclass(frozen=True)
class Subject:
    """Something of which more than one thing may be told."""

    kind: str
    fields: tuple[tuple[str, str], ...] = ()


def _subjects(source: Source, lexicon: Lexicon, kind: str) -> list[Subject]:
    """One, or two of a kind that can't be taken for each other."""
    if kind not in _MANY:
        return [Subject(kind)]
    found: list[Subject] = []
    while len(found) < 2:
        text = source.of(lexicon.things) if kind == "thing" else source.pick(*lists()[kind].all)
        if not any(told.overlap(text.split()[-1], old) for one in found for _, old in one.fields):
            found.append(Subject(kind, ((kind, text),)))
    return found if source.maybe(0.55) else found[:1]


def _fact(source: Source, lexicon: Lexicon, one: Attribute, of: Subject, beside: Sequence[Fact]) -> Fact:
    """It is told of this one, with a value that none beside has."""
    taken = [text for other in beside for text in (other.value.core, *other.named)]
    for _ in range(_TRIES):
        value = _value(source, lexicon, one.form.type)
        if not any(told.overlap(value.core, text) for text in (*taken, *(text for _, text in of.fields))):
            return Fact(source.pick(*one.each), value, value.text, of.fields)
    raise Unmet(f"no value for {one.name}")


def _value(source: Source, lexicon: Lexicon, kind: str) -> Value:
    if kind == "hue":
        return Value.of(drawn(source, kind), kind)
    return FIELDS[kind](source, lexicon) if kind in FIELDS else MAKERS[kind](source, lexicon, "")


# --- conversations ----------------------------------------------------------------------------


def _never(source: Source, one: Fact, beside: Fact | None) -> Turn:
    """Asked for in vain. `beside`: what was told and is named in the answer."""
    user = typed(source, told.asked(source, one), one.named)
    asked = told.swapped(one.worded(source.pick(*one.form.mine.all)))
    if beside is None or source.maybe(0.5):
        return Turn(user, told.put(source, "never", one, y=asked))
    inside, first = told.as_griff_says(source, beside, plain=True)
    said = source.pick(*(text for text in untold.SAYS if "{s}" in text or "{a}" in text))
    model = told.fill(said, y=asked, s=f"that {inside}", a=first)
    return Turn(user, model, told.copied(beside, model))


def _asked(source: Source, some: Sequence[Attribute]) -> Attribute:
    """One that this source may ask for."""
    pool = attributes()
    shown = [one for one in some if one in (pool.held if source.held else pool.kept)]
    if not shown:
        raise Unmet("nothing to ask for")
    return source.pick(*shown)


def case(source: Source, lexicon: Lexicon) -> Case:
    """Some things are told of one or two; one thing is asked for, which was told of this one, of the other, or of neither."""
    kinds, shares = zip(*_SUBJECTS.items(), strict=True)
    subjects = _subjects(source, lexicon, source.chance.choices(kinds, shares)[0])
    pool = attributes()
    some = [one for one in (pool.all if source.held else pool.kept) if one.subject == subjects[0].kind]
    wanted, of = _asked(source, some), source.pick(*subjects)
    other = next((one for one in subjects if one is not of), None)
    known = source.maybe(0.42)
    facts = [_fact(source, lexicon, wanted, of, [])]  # whether or not it is told
    right = facts[0]
    if other is not None and source.maybe(0.6):
        facts.append(_fact(source, lexicon, wanted, other, facts))
    beside = [one for one in some if not one.near(wanted)]
    for one in source.some(beside, 0 if other is not None or known else 1, 2):
        facts.append(_fact(source, lexicon, one, source.pick(*subjects), facts))
    if of.kind in _NAMED and source.maybe(0.3):
        name = draw(source, lexicon, _NAMED[of.kind], beside=facts)
        facts.append(told.fact(source, lexicon, name.form.name, **dict(of.fields)))
    if not (said := [one for one in facts if known or one is not right]):
        raise Unmet("nothing was told")
    if any(told.overlap(one.value.core, two.value.core) for i, one in enumerate(facts) for two in facts[:i]):
        raise Unmet("values that are alike")
    source.chance.shuffle(said)
    turns = tell_all(source, lexicon, said)
    asking = _before(source, some, [one for one in said if one is not right], right)
    near = [
        one for one in said if one is not right and (one.form.name == right.form.name or one.fields == right.fields)
    ]
    late = not known and source.maybe(0.15)
    ends = ask(source, right) if known else _never(source, right, source.pick(*near) if near else None)
    middle = some_between(source, lexicon, [right, *said], turns, asking, [ends])
    turns = [*turns, *middle, *asking, ends]
    if late:
        turns += [*tell_all(source, lexicon, [right]), ask(source, right)]
    if known or late:
        return expected(
            right, turns, [one.value.core for one in said if one.form.name == right.form.name and one is not right]
        )
    return Case(tuple(turns), (unknown.ACCEPT,), about="never")


def _before(source: Source, some: Sequence[Attribute], said: Sequence[Fact], last: Fact) -> list[Turn]:
    """What is asked before: things that were told, and things that were not."""
    turns = [ask(source, one) for one in source.some(said, 0, 2)] if source.maybe(0.5) else []
    if source.maybe(0.3):
        forms = {one.form.name for one in (*said, last)}
        new = [one for one in some if not any(one.name == name or one.near(two) for name in forms for two in _of(name))]
        if new:
            form = source.pick(*source.pick(*new).each)
            turns.append(_never(source, Fact(form, Value.of("", ""), "", last.fields), None))
    source.chance.shuffle(turns)
    return turns


def _of(name: str) -> list[Attribute]:
    return [one for one in attributes().all if one.name == name]


KINDS = [Kind("told or not", "sentences", case, 9.0, filler=False)]
