"""What sentences about doing are made of: who, and with the verb the thing, the place, the time, the company, the price.

Each part knows how it is told, how it is asked for, and how it is said again. `clauses.py` puts them together.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from . import told, values, values_day
from .asks import suits
from .lexicon import Lexicon, table
from .values import drawn, fresh, lists, plural
from .wording import Pool, Source, a


@functools.cache
def parts() -> dict[str, Pool[str]]:
    """The lists of `told_parts.tsv`."""
    return {name: Pool(items) for name, items in values.sections("told_parts").items()}


def part_of(source: Source, name: str) -> str:
    """One of such a list."""
    return source.of(parts()[name])


# --- who --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Who:
    """The one who does it."""

    user: str
    refs: tuple[str, ...]
    """How the user may call them later."""
    accept: str = ""
    values: tuple[str, ...] = ()
    topics: frozenset[str] = frozenset()
    they: str = "they"
    """he, she, I, we."""

    @property
    def griff(self) -> str:
        return told.swapped(self.user)

    @property
    def third(self) -> bool:
        return self.they not in ("I", "we")


def relation(source: Source) -> tuple[str, str]:
    """A word such as "sister", and "she"; of a friend "they"."""
    which = source.pick("she", "he", "they", "they")
    return part_of(source, which), which


_SEXES = {"she": "f", "he": "m"}


def named(source: Source, lexicon: Lexicon, they: str) -> str:
    """A name for a sister or a brother; of a friend ("they") any."""
    for _ in range(40):
        name = lexicon.name(source)[0]
        if they == "they" or suits(lexicon, name) in (_SEXES[they], "h", "w"):
            break
    return name


def pronoun(source: Source, lexicon: Lexicon, name: str) -> str:
    """ "she" or "he" for somebody of whom only the name is known."""
    suited = suits(lexicon, name) if name else "h"
    return next((they for they, sex in _SEXES.items() if sex == suited), source.pick("she", "he"))


def somebody(source: Source, lexicon: Lexicon, by_name: bool = False) -> Who:
    """A relative or a friend, mostly with a name."""
    word, they = relation(source)
    name = named(source, lexicon, they) if source.maybe(0.95) else lexicon.double(source)
    they = pronoun(source, lexicon, name) if they == "they" else they
    topics = frozenset({f"my {word}"})
    chance = source.chance.random()
    if chance < 0.55 or (by_name and chance < 0.7):
        text = f"my {word} {name}"
        return Who(text, (f"my {word}", f"my {word}", name, text), name, (name,), topics, they)
    if chance < 0.8 and not by_name:
        return Who(f"my {word}", (f"my {word}",), word, (), topics, they)
    return Who(name, (name,), name, (name,), frozenset(), pronoun(source, lexicon, name))


ME = Who("I", ("I",), they="I")
US = Who("we", ("we",), they="we")


# --- parts ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A part of a sentence beside who and the verb."""

    name: str
    text: str
    """As it is told ("on Friday", "a red lamp")."""
    core: str
    words: tuple[tuple[str, str], ...]
    """How it is asked for: the word, and what then stands at the end of the question ("who", "with")."""
    later: tuple[str, ...] = ()
    """How it is said again, when it is known ("the red lamp", "the lamp")."""
    values: tuple[str, ...] = ()
    topics: frozenset[str] = frozenset()
    noun: str = ""
    """The one thing, of which more may be told."""


WORDS: dict[str, tuple[tuple[str, str], ...]] = {
    "when": (("when", ""), ("when", ""), ("when exactly", "")),
    "where": (("where", ""),),
    "with": (("who", "with"), ("with whom", ""), ("who", "with")),
    "for": (("who", "for"), ("for whom", "")),
    "from": (("who", "from"), ("from whom", "")),
    "to": (("who", "to"), ("to whom", "")),
    "price": (("for how much", ""), ("how much", "for")),
    "duration": (("how long", ""), ("for how long", "")),
    "about": (("what", "about"), ("about what", "")),
    "color": (("which color", ""), ("what color", "")),
}


def name_of(kind: str) -> str:
    """The part that an entry of the table names: a spot and a shop are both "where"."""
    return "where" if kind in ("spot", "shop", "drinkspot") else kind


_LEADING = re.compile(r"^((on|in|at|the|for|from|about|with|to|my|our) )+")


def core_of(text: str) -> str:
    """What of it an answer must hold: without "on my" and the like."""
    return _LEADING.sub("", text)


def adjunct(source: Source, lexicon: Lexicon, kind: str, tense: str) -> Part:
    """One of what may follow a verb."""
    name = name_of(kind)
    if name in ("with", "for", "from", "to"):
        other = somebody(source, lexicon)
        return Part(
            name, f"{name} {other.user}", other.accept, WORDS[name], (), other.values or (other.accept,), other.topics
        )
    if name == "when":
        text = _MOMENTS[tense](source, lexicon)
        words = (*WORDS["when"], *((w, "") for w, has in _ASKED_WHEN if re.search(has, text)))
        return Part(name, text, core_of(text), words, (), (text,))
    if kind == "spot":
        text = values_day.place(source, lexicon).text
    elif name == "where":
        text = where(source, lexicon) if kind == "where" else part_of(source, kind)
    elif name == "price":
        text = f"for {price(source)}"
    elif name == "duration":
        text = part_of(source, "duration")
        text = text if text.startswith(("all ", "the whole")) else f"for {text}"
    elif name == "about":
        text = f"about {part_of(source, 'topic')}"
    else:
        text = color(source, lexicon)
    return Part(name, text, core_of(text), WORDS[name], (), (core_of(text),))


def color(source: Source, lexicon: Lexicon) -> str:
    """One that is known as a color."""
    return values.color(source, lexicon, source.pick("plain", "compound")).text


def price(source: Source) -> str:
    """Money."""
    number = fresh(source, lambda: str(source.number(2, 99) if source.maybe(0.6) else source.number(10, 99) * 10))
    return f"{number} {source.pick('euros', 'dollars', 'pounds', 'euros', 'dollars', 'francs', 'crowns')}"


def where(source: Source, lexicon: Lexicon) -> str:
    """A place with its preposition."""
    if source.maybe(0.6):
        return part_of(source, "where")
    return source.pick(
        f"in {values_day.town(source, lexicon).text}",
        f"at {lexicon.name(source)[0]}'s place",
        f"near {values_day.town(source, lexicon).text}",
        f"in {values.place_name(source, lexicon, 'streetend')}",
    )


def _days(source: Source) -> str:
    return source.pick(*lists()["weekday"].all)


def _composed(source: Source, lexicon: Lexicon, begins: str) -> str:
    day, month = _days(source), source.pick(*lists()["month"].all)
    clock = values_day.time(source, lexicon).text
    if begins == "future":
        return source.pick(
            f"on {day}",
            f"on {day}",
            f"on {day}",
            f"next {day}",
            f"on {day} {source.pick('morning', 'afternoon', 'evening', 'night')}",
            f"on {values_day.date(source, lexicon).text}",
            f"on {day} at {clock}",
            f"at {clock}",
            f"at {clock} on {day}",
            f"in {source.number(2, 20)} {source.pick('days', 'weeks')}",
            f"in {month}",
            f"this {day}",
        )
    return source.pick(
        f"on {day}",
        f"on {day}",
        f"last {day}",
        f"on {day} {source.pick('morning', 'afternoon', 'evening', 'night')}",
        f"{source.number(2, 30)} {source.pick('days', 'weeks', 'years', 'months')} ago",
        f"in {source.number(1955, 2026)}",
        f"in {source.number(1955, 2026)}",
        f"in {month}",
        f"last {month}",
        f"on {values_day.date(source, lexicon).text}",
    )


def future(source: Source, lexicon: Lexicon) -> str:
    """When something will be."""
    return part_of(source, "future") if source.maybe(0.4) else _composed(source, lexicon, "future")


def past(source: Source, lexicon: Lexicon) -> str:
    """When something was."""
    return part_of(source, "past") if source.maybe(0.4) else _composed(source, lexicon, "past")


def habit(source: Source, lexicon: Lexicon) -> str:
    """When something is done again and again."""
    if source.maybe(0.45):
        return part_of(source, "habit")
    return source.pick(f"every {_days(source)}", f"on {_days(source)}s", f"at {values_day.time(source, lexicon).text}")


_MOMENTS: dict[str, Callable[[Source, Lexicon], str]] = {"p": past, "f": future, "i": future, "h": habit}
_ASKED_WHEN = (
    ("on which day", "^(on|next|this|last) [A-Z][a-z]+day"),
    ("which day", "^(on|next|this) [A-Z][a-z]+day"),
    ("at what time", r"^at .*(\d|past|to|o'clock)"),
    ("what time", r"^at .*(\d|past|to|o'clock)"),
    ("in which year", r"^in \d{4}"),
    ("which year", r"^in \d{4}"),
    ("in which month", "^in [A-Z]"),
    ("how long ago", "ago$"),
)


# --- verbs --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verb:
    """A row of `told_verbs.tsv`."""

    base: str
    past: str
    ing: str
    prep: str
    object: str
    word: str
    adjuncts: tuple[str, ...]
    tenses: str

    @property
    def third(self) -> str:
        first, *rest = self.base.split(" ")
        odd = {"have": "has", "go": "goes", "do": "does"}
        if first in odd:
            made = odd[first]
        elif first.endswith(("s", "x", "sh", "ch", "z")):
            made = first + "es"
        else:
            made = first[:-1] + "ies" if re.search("[^aeiou]y$", first) else first + "s"
        return " ".join([made, *rest])


@functools.cache
def verbs() -> Pool[Verb]:
    """All of them."""
    rows = []
    for base, past_, ing, prep, object_, word, adjuncts, tenses in table("told_verbs"):
        rows.append(Verb(base, past_, ing, prep.strip("-"), object_, word, tuple(adjuncts.split(",")), tenses))
    return Pool(rows)


# --- objects ----------------------------------------------------------------------------------

_PLAIN_OBJECTS = {
    "title": ("which book",),
    "game": ("which game",),
    "instrument": ("which instrument",),
    "language": ("which language",),
    "subject": ("which subject",),
    "food": (),
    "drink": ("which drink",),
    "team": ("which team",),
}
_LISTED = ("ball", "crop", "cake", "plant", "collect", "feast", "show", "topic", "letter", "course")
_ONES = ("thing", "gift", "made", "knit", "wear", "sell", "animal", "pet")
HUES = re.compile(r"\b(blue|red|green|golden|silver|yellow|purple|white|black|orange|pink|gray)\b")


def _thing(source: Source, lexicon: Lexicon) -> str:
    noun = source.of(lexicon.things)
    if source.maybe(0.55):
        return noun
    return f"{source.pick(*lists()['adjective'].all)} {noun}"


def object_of(source: Source, lexicon: Lexicon, verb: Verb) -> Part:
    """What the verb is about."""
    kind, prep = verb.object, verb.prep
    asked = [(verb.word, "" if verb.word == "where" else prep)]
    if kind in _ONES:
        noun = (
            _thing(source, lexicon)
            if kind == "thing"
            else values_day.animal(source, lexicon).text
            if kind == "animal"
            else drawn(source, "pet")
            if kind == "pet"
            else part_of(source, kind)
        )
        if kind in ("animal", "pet"):
            asked += [("which animal", prep), ("what animal", prep)]
        head = noun.split()[-1] if " of " not in noun else noun
        later = (f"the {noun}", f"the {noun}", f"the {head if kind == 'thing' else noun}")
        dreamed = verb.base == "dream"
        telling = "" if dreamed or " of " in noun or noun.endswith("s") or kind in ("animal", "pet", "wear") else head
        return Part("object", a(noun), noun, tuple(asked), later, (noun,), frozenset({head}), telling)
    if kind in ("part", "sell", "feed"):
        noun = part_of(source, kind)
        return Part("object", f"the {noun}", noun, tuple(asked), (f"the {noun}",), (noun,), frozenset({noun}))
    if kind == "mine":
        noun = part_of(source, "mine")
        return Part("object", f"my {noun}", noun, tuple(asked), (f"my {noun}",), (noun,), frozenset({noun}))
    if kind == "many":
        things, number = plural(source.of(lexicon.things)), source.pick(*lists()["small"].all)
        return Part("object", f"{number} {things}", things, tuple(asked), (f"the {things}",), (number, things))
    if kind == "person":
        other = somebody(source, lexicon, by_name=True)
        topics = other.topics | {other.user}
        return Part("object", other.user, other.accept, tuple(asked), (other.refs[0],), other.values, topics)
    if kind == "town":
        name = values_day.town(source, lexicon).text
        asked += [("which town", prep)] if prep else [("which town", "")]
        return Part("object", name, name, tuple(asked), (name,), (name,))
    if kind == "goal":
        noun = part_of(source, "goal")
        return Part("object", f"the {noun}", noun, tuple(asked), (f"the {noun}",), (noun,))
    if kind in _LISTED:
        text = part_of(source, kind)
        known, core = re.sub("^an? ", "the ", text), re.sub("^(an?|the|my|our) ", "", text)
        return Part("object", text, core, tuple(asked), (known,), (core,))
    made = values_day.MAKERS[kind](source, lexicon, "")
    asked += [(word, prep) for word in _PLAIN_OBJECTS[kind]]
    text = f"the {made.text}" if kind == "instrument" else made.text
    return Part("object", text, made.core, tuple(asked), (text,), (made.text,))
