"""Codes and numbers that people keep: of doors, bookings, phones, seats. Told, and asked for whole; `codes_part.py` asks for parts.

They are called in several ways ("the code for the garage", "the garage code"), may change, and are never guessed.
"""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

from . import asking, told, unknown
from .cases import Case, Kind, Turn
from .lexicon import Lexicon, table, unlucky
from .recalls import typed
from .sentences import GROUP, gap
from .told import Fact, Form
from .values import Value
from .wording import PART, Pool, Source, Wordings, _digest, capital

# --- what they look like ----------------------------------------------------------------------


def letters(source: Source, count: int) -> str:
    """Capitals, none that looks like a digit."""
    return "".join(source.pick(*"ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(count))


def _like(source: Source, pattern: str) -> str:
    """A code of this pattern: "A" is a capital, "a" a letter, "0" a digit; all else stays."""
    made = {
        "A": lambda: letters(source, 1),
        "a": lambda: letters(source, 1).lower(),
        "0": lambda: str(source.number(0, 9)),
    }
    return "".join(made[c]() if c in made else c for c in pattern)


_MIXED = (
    *("AA0000", "A0A0A0", "AAA-000", "000-AA", "A-0000", "AA00 AAA", "00-AA-00", "AA 00 00", "A0000A", "0000-0000"),
    *("AAAA0000", "0A0A0", "AAA0A0", "#00000", "A000-00", "aa00aa", "00000A", "AA-000-AA", "A00.0", "000 000"),
)
_PHONE = (
    "555-0000",
    "555 0000",
    "9000 555 00",
    "600-555-0000",
    "5550000",
    "930 555 000",
    "+40 555 0000",
    "555 00 00",
    "700-555-0000",
)
_SEAT = ("10A", "20B", "A0", "B00", "300", "200", "40C", "7D", "C10", "500")
_FLIGHT = ("AA000", "AA 0000", "AA-000", "AA 00", "AA0000")
_POST = ("00000", "AA0 0AA", "A0A 0A0", "0000 AA", "A0 0AA", "1000", "AA-0000")
_PATTERNS = {"mixed": _MIXED, "phone": _PHONE, "seat": _SEAT, "flight": _FLIGHT, "post": _POST}
_PINS = ("000", "0000", "0000", "0000", "00000", "000000")


def _word(source: Source, lexicon: Lexicon) -> str:
    first, second = source.of(lexicon.nouns), source.of(lexicon.things).replace(" ", "")
    number = str(source.number(2, 999))
    return source.pick(
        f"{first}{number}",
        f"{first}{second}",
        f"{first}-{second}-{number}",
        f"{first.capitalize()}{second.capitalize()}{number}",
        f"{number}{first}",
        f"{first}_{number}",
        f"{first.upper()}{number}",
        f"{first}{second}{source.pick('!', '#', '*', '?')}",
        lexicon.made_up(source) + number,
    )


def _made(source: Source, lexicon: Lexicon, shape: str) -> str:
    """One that this source may show: a seventh is held out."""
    while True:
        made = _word(source, lexicon) if shape == "word" else _like(source, source.pick(*_PATTERNS.get(shape, _PINS)))
        if (_digest(made) % PART == 0) == source.held and not (
            shape == "word" and unlucky(re.sub("[^a-z]", "", made.lower()))
        ):
            return made


@dataclass(frozen=True)
class Code:
    """One of them: what it is of, in all ways to call it, and itself."""

    shape: str
    names: tuple[str, ...]
    text: str

    @property
    def digits(self) -> str:
        return "".join(c for c in self.text if c in string.digits)

    def called(self, source: Source) -> str:
        """One of its names, any."""
        return source.pick(*self.names)

    def griff(self, source: Source) -> str:
        """The same, as Griff says it."""
        return told.swapped(self.called(source))

    def facts(self) -> list[Fact]:
        """What may not stand in turns between."""
        form = Form("code", "", True, r"\b(code|PIN|password|number|numbers)\b", {})
        return [Fact(form, Value.of(self.text, "code"), self.text)]


@functools.cache
def _rows() -> Pool[tuple[str, ...]]:
    return Pool(table("told_codes"))


def code(source: Source, lexicon: Lexicon, beside: Sequence[Code] = (), like: Code | None = None) -> Code:
    """One that can't be mixed up with the others. `like`: of the same thing, another code."""

    while True:
        shape, *names = (like.shape, *like.names) if like else source.of(_rows())
        text = _made(source, lexicon, shape)
        known = {name for other in beside for name in other.names}
        if like is None and (known & set(names) or any(_alike(names, other.names) for other in beside)):
            continue
        if not any(told.overlap(text, other.text) for other in (*beside, *([like] if like else []))):
            return Code(shape, tuple(names), text)


def _alike(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether one could be called by a name of the other."""
    return names[0].split()[-1] == others[0].split()[-1] == "password" or any(
        n in o or o in n for n in names for o in others
    )


# --- telling ----------------------------------------------------------------------------------

_SAY = Wordings(
    [
        "{n} is {v}[stop]",
        "{n} is {v}[stop]",
        "{n}: {v}",
        "{v} is {n}[stop]",
        "please remember {n}: {v}[stop]",
        "remember that {n} is {v}[stop]",
        "note that {n} is {v}[stop]",
        "don't forget, {n} is {v}[stop]",
        "{n} is {v}, don't forget it[stop]",
        "{n} is {v}. Please keep it for me[stop]",
        "I got {n} today, it is {v}[stop]",
        "can you remember {n}? It is {v}[stop]",
        "save this for me: {n} is {v}[stop]",
        "keep in mind that {n} is {v}[stop]",
        "by the way, {n} is {v}[stop]",
        "they gave me {n}: {v}[stop]",
        "I always forget {n}. It's {v}[stop]",
        "for later: {n} is {v}[stop]",
        "I'll need {n} later, it is {v}[stop]",
        "write down {n}: {v}[stop]",
        "{n} = {v}",
        "hold on to {n} for me, it is {v}[stop]",
        "this is {n}: {v}[stop]",
    ]
)
_ACKS = (
    "{v}, I'll remember it.",
    "Noted: {g} is {v}.",
    "{G} is {v}. I have it under my wing.",
    "{v}. I'll keep it for you.",
    "Got it: {v}.",
    "All right, {g}: {v}.",
    "I'll remember {v} exactly.",
    "I'll keep {g} in mind: {v}.",
    "{v}, noted.",
    "Good, {g} is {v}. I'll remember that.",
)
_CHANGE = Wordings(
    [
        "{n} has changed, it is {v} now[stop]",
        "they changed {n} to {v}[stop]",
        "{n} is {v} now[stop]",
        "{n} is no longer {o}, it's {v}[stop]",
        "news: {n} is now {v}[stop]",
        "from today on {n} is {v}[stop]",
        "{n} is not {o} any more but {v}[stop]",
        "we have a new one: {n} is {v} now[stop]",
    ]
)
_WRONG = Wordings(
    [
        "sorry, I meant {v}[stop]",
        "no, wait, {v}[stop]",
        "oops, it's {v}, not {o}[stop]",
        "I mistyped, it is {v}[stop]",
        "correction: {n} is {v}[stop]",
        "not {o}, {v}[stop]",
        "actually it's {v}[stop]",
        "that was wrong. {n} is {v}[stop]",
        "I mean {v}, not {o}[stop]",
        "hm no, {n} is {v}[stop]",
        "I mixed up the digits: {v}[stop]",
    ]
)
_FIXED = (
    "All right, {v} then.",
    "Thanks, {g} is {v}. I'll forget {o}.",
    "Okay, not {o} but {v}.",
    "{v} it is.",
    "I've changed it: {g} is {v}.",
    "Got it, {v} instead of {o}.",
)


def put(template: str, one: Code, name: str, **more: str) -> str:
    """A sentence of Griff's: only "{G}" has its first letter in upper case, a code stays as it is."""
    found = {"v": one.text, "g": name, "G": capital(name)} | more
    return told.fill(template, **found)


def marked(source: Source, user: str, model: str, *codes: Code) -> Turn:
    keep = [one.text for one in codes]
    text = typed(source, user, keep)
    return Turn(text, model, tuple(t for t in dict.fromkeys(keep) if t in model))


def tell(source: Source, one: Code) -> Turn:
    """It is told."""
    return marked(
        source,
        _SAY.say(source, n=one.called(source), v=one.text),
        put(source.pick(*_ACKS), one, one.griff(source)),
        one,
    )


def corrected(source: Source, old: Code, new: Code, near: bool = True) -> Turn:
    """Another one is right, or it has changed. `near`: it was told last, so that "no, 4472" says which is meant."""
    wordings = source.pick(_CHANGE, _WRONG)
    while not re.search("[{][no][}]", template := source.of(wordings.templates)) and not near:
        wordings = _CHANGE
    user = wordings.fill(source, template, n=new.called(source), v=new.text, o=old.text)
    return marked(source, user, put(source.pick(*_FIXED), new, new.griff(source), o=old.text), new, old)


# --- asking -----------------------------------------------------------------------------------

_ASK = Wordings(
    [
        "[hey]what is {n}[end]",
        "[hey]what's {n}[end]",
        "[hey]what was {n}[end]",
        "[hey]what was {n} again[end]",
        "{n}[end]",
        "{n} please[stop]",
        "I need {n}[stop]",
        "I forgot {n}[stop]",
        "tell me {n}[please][stop]",
        "do you still have {n}[end]",
        "do you remember {n}[end]",
        "I'm standing here and need {n}[stop]",
        "quick, {n}[end]",
        "can you give me {n}[end]",
        "how was {n} again[end]",
        "say {n} again[please][stop]",
        "could you repeat {n}[end]",
    ]
)
_SAYS = (
    "{v}.",
    "{v}.",
    "{v}",
    "{G} is {v}.",
    "{G} is {v}.",
    "It is {v}.",
    "You told me: {v}.",
    "I remember: {g} is {v}.",
    "You told me that {g} is {v}.",
    "Here it is: {v}.",
)


def _question(source: Source, name: str) -> str:
    if source.maybe(0.6):
        return _ASK.say(source, n=name)
    if source.maybe(0.4):
        return asking.personal(source, told.shared(), name, clause=False)
    return told.frames()[source.pick("both", "noun")].say(source, m=name, n=name)


def ask(source: Source, one: Code) -> Turn:
    """It is asked for."""
    return marked(source, _question(source, one.called(source)), put(source.pick(*_SAYS), one, one.griff(source)), one)


_NEVER = (
    "You did not tell me {y}.",
    "You have not told me {y}.",
    "I don't know {y}: you have not told me.",
    "You haven't told me {y}, and I can't guess it.",
    "You never told me {y}.",
    "I don't have {y}. You did not tell me.",
)
_ONLY = (
    "You have not told me {y}, only {g}.",
    "You told me {g}, but not {y}: you did not tell me that one.",
    "I know {g}, but you have not told me {y}.",
)


def codes(source: Source, lexicon: Lexicon) -> Case:
    """One code or several; after a while one of them, or one that was not told."""
    found: list[Code] = []
    for _ in range(source.pick(1, 1, 1, 2, 2, 3)):
        found.append(code(source, lexicon, found))
    turns = [tell(source, one) for one in found]
    guard = [fact for one in found for fact in one.facts()]
    if source.maybe(0.15):
        missing = code(source, lexicon, found)
        turns += gap(source, lexicon, guard, turns)
        model = source.pick(*(_ONLY if source.maybe(0.3) else _NEVER))
        model = told.fill(model, y=missing.griff(source), g=found[0].griff(source))
        user = typed(source, _question(source, missing.called(source)))
        return Case((*turns, Turn(user, model)), (unknown.ACCEPT,), tuple(one.text for one in found), about="never")
    one = source.pick(*found)
    others = [other for other in found if other is not one]
    asking_ = [ask(source, other) for other in source.some(others, 0, 1)]
    turns += gap(source, lexicon, guard, turns, asking_)
    reject = tuple(other.text for other in others)
    return Case((*turns, *asking_, ask(source, one)), ((one.text,),), reject, about=one.shape)


def changed(source: Source, lexicon: Lexicon) -> Case:
    """A code is set right, or changes; now and then the old one is asked for."""
    old = code(source, lexicon)
    beside = [code(source, lexicon, [old])] if source.maybe(0.35) else []
    new = code(source, lexicon, beside, like=old)
    guard = [fact for one in (old, new, *beside) for fact in one.facts()]
    turns = [tell(source, one) for one in (old, *beside)]
    middle = gap(source, lexicon, guard, turns) if source.maybe(0.5) else []
    turns += [*middle, corrected(source, old, new, near=not middle and not beside)]
    turns += gap(source, lexicon, guard, turns)
    if source.maybe(0.15):
        name = old.called(source)
        user = source.of(_OLD).replace("{n}", name)
        model = put(
            source.pick("It was {v}.", "{v}.", "Before, {g} was {v}.", "It was {v} before."), old, old.griff(source)
        )
        return Case((*turns, marked(source, capital(user), model, old)), ((old.text,),), (new.text,), about="old")
    return Case((*turns, ask(source, new)), ((new.text,),), (old.text,), about="changed")


_OLD = Pool(
    [
        "what was {n} before?",
        "what was {n} at first?",
        "what did I say {n} was before that?",
        "what was {n} before it changed?",
        "and before, what was {n}?",
        "which one was {n} first?",
        "what did I tell you first about {n}?",
    ]
)


KINDS: list[Kind] = [
    Kind("codes", GROUP, codes, 2.2, filler=False),
    Kind("codes changed", GROUP, changed, 0.9, filler=False),
]
