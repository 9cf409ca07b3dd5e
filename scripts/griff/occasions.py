"""What people tell of their days, in sentences that were written as wholes: visitors, appointments, journeys, pets, lists.

The sentences are in `tables/told_occasions.tsv`. What such a sentence may hold and does not was not told.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import clause_parts, told, values, values_day
from .asked import Ask, Piece
from .asking import core
from .cases import Unmet
from .clause_parts import part_of
from .lexicon import Lexicon
from .phrases import chosen
from .told import fill, overlap
from .values import Value, drawn, plural
from .wording import Pool, Source

_TAGS = re.compile(r"<(\w+)> ")
_FIELD = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Line:
    """A line of the table, and the sentences that it is for: letters, none for all."""

    text: str
    tags: str = ""

    @classmethod
    def of(cls, text: str) -> Line:
        match = _TAGS.match(text)
        return cls(text[match.end() :], match[1]) if match else cls(text)

    def fits(self, said: Line, known: Sequence[str]) -> bool:
        """Whether it may be asked or answered after that was said, with these fields."""
        return set(_FIELD.findall(self.text)) <= set(known) and (not self.tags or bool(set(self.tags) & set(said.tags)))


@dataclass(frozen=True, eq=False)
class Occasion:
    """What belongs to one kind of sentence."""

    name: str
    grave: bool
    parts: dict[str, Pool[Line]]

    @property
    def asked(self) -> list[str]:
        """The fields that are asked for, some of them together ("who+who2"); in another way behind a colon ("who:name")."""
        return [name.removeprefix("ask ") for name in self.parts if name.startswith("ask ")]

    def some(self, name: str, said: Line, known: Sequence[str]) -> list[Line]:
        """The lines of a part that fit."""
        return [line for line in self.parts[name].all if line.fits(said, known)] if name in self.parts else []

    def one(self, source: Source, name: str, said: Line, known: Sequence[str]) -> Line | None:
        """A line of a part that fits and that this source may show."""
        found = self.some(name, said, known)
        pool = self.parts[name] if name in self.parts else Pool[Line]([])
        shown = [line for line in found if line in (pool.held if source.held else pool.kept)]
        return source.pick(*(shown or found)) if shown or (found and source.held) else None


@functools.cache
def occasions() -> dict[str, Occasion]:
    """All of them."""
    return {
        name: Occasion(
            name, form.type == "grave", {part: Pool([Line.of(t) for t in texts]) for part, texts in form.parts.items()}
        )
        for name, form in told.forms_of("told_occasions").items()
    }


@functools.cache
def diet() -> dict[str, Pool[str]]:
    """The lists of `told_diet.tsv`."""
    return {name: Pool(items) for name, items in values.sections("told_diet").items()}


# --- what stands in the fields ----------------------------------------------------------------


def _some_of(*items: str) -> Callable[[Source, Lexicon], Value]:
    return lambda source, lexicon: Value.of(source.pick(*items), "")


def _part(name: str) -> Callable[[Source, Lexicon], Value]:
    def make(source: Source, lexicon: Lexicon) -> Value:
        text = part_of(source, name)
        return Value.of(text, name, re.sub("^(an?|the) ", "", text))

    return make


def _text(make: Callable[[Source, Lexicon], str]) -> Callable[[Source, Lexicon], Value]:
    def made(source: Source, lexicon: Lexicon) -> Value:
        text = make(source, lexicon)
        return Value.of(text, "", clause_parts.core_of(text))

    return made


def _kind(name: str) -> Callable[[Source, Lexicon], Value]:
    return lambda source, lexicon: values_day.MAKERS[name](source, lexicon, "")


def _number(low: int, high: int) -> Callable[[Source, Lexicon], Value]:
    return lambda source, lexicon: Value.of(str(source.number(low, high)), "number")


def _color(source: Source, lexicon: Lexicon) -> Value:
    return values.color(source, lexicon, source.pick("plain", "compound"))


def _country(source: Source, lexicon: Lexicon) -> str:
    """A land, every third one invented."""
    if source.maybe(0.65):
        return drawn(source, "country").removeprefix("the ")
    return values.fresh(source, lambda: lexicon.invented(source) + source.pick("land", "ia", "stan", "ova"))


def _item(source: Source) -> str:
    """A thing of one's own, a single one."""
    while re.search("[^s]s$", item := part_of(source, "mine")):
        pass
    return item


def _dated(source: Source, lexicon: Lexicon) -> str:
    """A time to come that is more than an hour of the day."""
    while (text := clause_parts.future(source, lexicon)).startswith("at "):
        pass
    return text


FIELDS: dict[str, Callable[[Source, Lexicon], Value]] = {
    **{name: _text(lambda s, lexicon: lexicon.name(s)[0]) for name in ("who", "who2", "who3")},
    "rel": _text(lambda s, lexicon: clause_parts.relation(s)[0]),
    "future": _text(lambda s, lexicon: _dated(s, lexicon)),
    "country": _text(lambda s, lexicon: _country(s, lexicon)),
    "years": _text(lambda s, lexicon: f"{s.number(2, 30)} {s.pick('years', 'years', 'months', 'weeks')}"),
    "days": _text(
        lambda s, lexicon: s.pick(
            "at weekends",
            "in winter",
            "during the week",
            "in summer",
            f"on {drawn(s, 'weekday')}s",
            f"every {drawn(s, 'weekday')}",
        )
    ),
    "past": _text(clause_parts.past),
    "habit": _text(clause_parts.habit),
    "where": _text(clause_parts.where),
    "price": _text(lambda s, lexicon: clause_parts.price(s)),
    "duration": _text(lambda s, lexicon: part_of(s, "duration").replace("all ", "a whole ")),
    "clock": _kind("time"),
    "clock2": _kind("time"),
    "day": _kind("weekday"),
    "year": _number(1955, 2025),
    "age": _number(5, 99),
    "age2": _number(2, 19),
    "number": _number(2, 99),
    "height": _number(121, 199),
    "height2": _number(120, 200),
    "weight": _number(25, 118),
    "small": _some_of("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    "small2": _some_of("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    "nth": _some_of("second", "third", "fourth", "fifth", "sixth", "seventh", "ninth", "tenth", "top", "ground"),
    "food": _kind("food"),
    "food2": _kind("food"),
    "drink": _kind("drink"),
    "drink2": _kind("drink"),
    "town": _kind("town"),
    "town2": _kind("town"),
    "street": _kind("street"),
    "job": _kind("job"),
    "hobby": _kind("hobby"),
    "title": _kind("title"),
    "team": _kind("team"),
    "team2": _kind("team"),
    "boat": _kind("craft"),
    "nick": _kind("nick"),
    "last": _kind("surname"),
    "petname": _kind("pet"),
    "spot": _kind("place"),
    "color": _color,
    **{name: _kind(name) for name in ("sport", "game", "instrument", "language", "subject", "flower", "season")},
    "fear": _text(lambda s, lexicon: drawn(s, "fear")),
    "pet": _text(lambda s, lexicon: drawn(s, "pet")),
    **{name: _text(lambda s, lexicon: s.of(lexicon.things)) for name in ("thing", "thing2", "thing3")},
    "thingplural": _text(lambda s, lexicon: plural(s.of(lexicon.things))),
    "many": _part("collect"),
    "collect": _part("collect"),
    "cake": _part("cake"),
    "course": _part("course"),
    "item": _text(lambda s, lexicon: _item(s)),
    "fruits": _text(lambda s, lexicon: plural(drawn(s, "fruit"))),
    "treeplural": _text(
        lambda s, lexicon: plural(s.pick("pear tree", "rose bush", "birch", "oak", "plum tree", "fir"))
    ),
    "brand": _text(lambda s, lexicon: lexicon.invented(s)),
    "brand2": _text(lambda s, lexicon: lexicon.invented(s)),
    "enemy": _some_of("enemy", "worst enemy", "rival", "greatest rival", "nemesis"),
    "doctor": _some_of(
        "dentist",
        "doctor",
        "eye doctor",
        "vet",
        "hairdresser",
        "physiotherapist",
        "optician",
        "lawyer",
        "heart doctor",
        "barber",
    ),
    "work": _some_of(
        "hospital",
        "library",
        "town hall",
        "post office",
        "bakery",
        "airport",
        "zoo",
        "museum",
        "brewery",
        "university",
        "hotel",
    ),
    "event": _part("event"),
    "name": _text(lambda s, lexicon: lexicon.name(s)[0]),
    "shade": _color,
    "wear": _part("wear"),
    "eating": _some_of(
        "vegetarian", "vegan", "gluten-free", "dairy-free", "kosher", "halal", "low-salt", "sugar-free", "low-fat"
    ),
    "allergen": _text(lambda s, lexicon: s.of(diet()["allergen"])),
    **{name: _kind(name) for name in ("animal", "date", "shoe", "bus", "phone")},
}
_HIS = {"she": ("she", "her", "her"), "he": ("he", "his", "him")}
_SAME = (
    "future day year past",
    "town town2 country where street",
    "who who2 who3 who2+who3 who+who2 last",
    "food food2 cake food+fruits",
    "drink drink2",
    "small small2 number",
    "thing+thing2+thing3 thing+thing2 fruits+many+thing thing2",
)
"""Of these one may answer what asks for another: where one was told, the others are not said to be untold."""
_NAMES = {"who", "who2", "who3", "petname", "town", "town2", "nick", "last"}
_UNKEPT = {"rel", "she", "her", "he", "his", "them", "him", "mr"}


def _drawn(source: Source, lexicon: Lexicon, needed: Sequence[str]) -> tuple[dict[str, Value], str]:
    """Values for these fields, none of them within another; and whether the one who is meant is "she" or "he"."""
    for _ in range(200):
        they = "they"
        found: dict[str, Value] = {}
        for name in sorted(set(needed)):  # the sister before her name
            if name == "rel":
                word, they = clause_parts.relation(source)
                found[name] = Value.of(word, "")
            elif name == "who":
                found[name] = Value.of(clause_parts.named(source, lexicon, they), "")
            elif name in FIELDS:
                found[name] = FIELDS[name](source, lexicon)
        texts = [value.core for value in found.values()]
        if not any(overlap(one, other) for i, one in enumerate(texts) for other in texts[:i]):
            break
    else:
        raise Unmet("values within one another")
    if they == "they":
        they = clause_parts.pronoun(source, lexicon, found["who"].text if "who" in found else "")
    she, her, them = _HIS[they]
    title = source.pick("Mrs", "Ms", "Miss", "Dr") if they == "she" else source.pick("Mr", "Dr", "Mr")
    more = {"she": she, "he": she, "her": her, "his": her, "them": them, "mr": title}
    return found | {name: Value.of(text, "") for name, text in more.items() if name in needed}, they


_UNSAID = re.compile("^(remember|please|don't|hello|guess|write)|^[^,]* here, ")
"""What Griff had better not say after the user."""


# --- pieces -----------------------------------------------------------------------------------


def occasion(source: Source, lexicon: Lexicon, name: str = "") -> Piece:
    """Something told, with all that may be asked about it."""
    form = occasions()[name or source.pick(*occasions())]
    said = source.of(form.parts["say"])
    text = chosen(source, said.text)
    known = list(dict.fromkeys(_FIELD.findall(text)))
    found, they = _drawn(source, lexicon, known)
    words = {field: value.text for field, value in found.items()}

    def put(line: Line) -> str:
        return fill(chosen(source, line.text), **words)

    asks: list[Ask] = []
    for fields in form.asked:
        wanted = fields.split(":")[0].split("+")
        line = form.one(source, f"ask {fields}", said, [*known, "she", "her", "he", "his"])
        if line is None or any("{" + field + "}" in line.text for field in wanted):
            continue
        made = core(put(line))
        if all(field in known for field in wanted):
            short, whole = (
                tuple(put(other) for other in form.some(f"{part} {fields}", said, known)) for part in ("short", "whole")
            )
            if short or whole:
                asks.append(Ask(made, short, whole, tuple(found[field].core for field in wanted), fields))
        elif not any(fields.split(":")[0] in same.split() and set(same.split()) & set(known) for same in _SAME):
            asks.append(Ask(made, part=fields))
    line = form.one(source, "never", said, known)
    if line is not None:
        asks.append(Ask(core(put(line)), part="never"))
    kept = {field: value for field, value in found.items() if field not in _UNKEPT}
    texts = tuple(dict.fromkeys(t for value in kept.values() for t in (value.text, value.core)))
    topics = frozenset({form.name} | ({f"my {words['rel']}"} if "rel" in words else set()))
    people = ([(f"my {words['rel']}", they)] if "rel" in words else []) + (
        [(words["who"], they)] if "who" in words else []
    )
    clause = fill(text, **words)
    return Piece(
        clause,
        "" if form.grave or _UNSAID.search(clause) else told.swapped(clause),
        tuple(asks),
        texts,
        topics,
        tuple(put(line) for line in form.some("ack", said, known)),
        plain=not form.grave,
        names=tuple(value.text for field, value in kept.items() if field in _NAMES),
        people=tuple(people) if len({"who", "who2", "who3", "last"} & set(words)) < 2 else (),
    )
