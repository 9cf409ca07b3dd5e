"""Copying out of lists: reversed, sorted, longer, shorter, compared; and short lists of things of a kind."""

from __future__ import annotations

import functools
from collections.abc import Callable

from .cases import Case, Kind, Turn
from .copying_parts import (
    ORDER,
    SHORT_ORDER,
    Listing,
    ask,
    both,
    exactly,
    joined,
    listing,
    piece,
    quoted,
    sentence,
    spread,
)
from .lexicon import Lexicon, table
from .wording import Source, capital

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven")


def _asked(source: Source, name: str, row: Listing, answer: str, **fields: object) -> Case:
    """A question about one list."""
    given = [str(value) for key, value in fields.items() if key in ("x", "y")]
    listed = fields.pop("l", None) or spread(source, row.items)
    user = ask(source, name, [*row.items, *given], l=listed, words=row.nouns, word=row.noun, **fields)
    return exactly(user, answer, "list")


def reverse(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 2, 7)
    return _asked(source, "reverse", row, ", ".join(row.items[::-1]))


def nth(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 3, 7)
    at = source.number(0, len(row.items) - 1)
    orders = [ORDER[at], ORDER[at], SHORT_ORDER[at]] + (["last"] * 3 if at == len(row.items) - 1 else [])
    return _asked(source, "nth", row, row.items[at], o=source.pick(*orders))


def nth_word(source: Source, lexicon: Lexicon) -> Case:
    while True:
        text = sentence(source, lexicon)
        words = text.rstrip(".!?").split()
        if 3 <= len(words) <= 15 and all(part.replace("'", "").isalpha() for part in words):
            break
    at = source.number(0, min(len(words), len(ORDER)) - 1)
    last = source.maybe(0.2)
    order = "last" if last else source.pick(ORDER[at], ORDER[at], SHORT_ORDER[at])
    return exactly(ask(source, "nthword", [text], s=text, o=order), words[-1 if last else at], "sentence")


def sort(source: Source, lexicon: Lexicon) -> Case:
    while True:
        row = listing(source, lexicon, 3, 5, plain=True)
        if len({item[0].lower() for item in row.items}) == len(row.items):
            return _asked(source, "sort", row, ", ".join(sorted(row.items, key=str.lower)))


def _two(source: Source, row: Listing, count: int) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Two lists of so many, and the one thing that is in both."""
    items = list(row.items)
    shared, first, second = items[0], items[1 : count + 1], items[count + 1 :]
    first.insert(source.number(0, len(first)), shared)
    second.insert(source.number(0, len(second)), shared)
    return tuple(first), tuple(second), shared


def in_both(source: Source, lexicon: Lexicon) -> Case:
    count = source.number(1, 3)
    first, second, shared = _two(source, row := listing(source, lexicon, 2 * count + 1, 2 * count + 1), count)
    return _asked(source, "both", row, shared, l=", ".join(first), m=", ".join(second))


def missing(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 3, 7)
    gone = source.pick(*row.items)
    rest = [item for item in row.items if item != gone]
    if source.maybe(0.3):
        source.chance.shuffle(rest)
    return _asked(source, "missing", row, gone, l=row.text, m=", ".join(rest))


def double(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 3, 5)
    items, twice = list(row.items), source.pick(*row.items)
    items.insert(source.number(0, len(items)), twice)
    return _asked(source, "double", row, twice, l=", ".join(items))


def count(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 2, 7)
    user = ask(source, "count", row.items, l=row.text, words=row.nouns)
    n = len(row.items)
    return Case((Turn(user, f"There are {n}."),), accept=((str(n), NUMBERS[n]),), about="list")


def add(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 2, 5)
    *items, new = row.items
    return _asked(source, "add", row, row.text, l=spread(source, items), x=new)


def remove(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 3, 7)
    gone = source.pick(*row.items)
    return _asked(source, "remove", row, ", ".join(item for item in row.items if item != gone), x=gone)


def join(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 2, 5)
    return _asked(source, "join", row, joined(row.items), l=row.text)


def commas(source: Source, lexicon: Lexicon) -> Case:
    while True:
        row = listing(source, lexicon, 3, 5)
        if not any(" " in item for item in row.items):
            return _asked(source, "commas", row, row.text, w=" ".join(row.items))


def swap(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 3, 7)
    i, k = sorted(source.chance.sample(range(len(row.items)), 2))
    items = list(row.items)
    items[i], items[k] = items[k], items[i]
    return _asked(source, "swap", row, ", ".join(items), x=row.items[i], y=row.items[k])


def following(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 3, 7)
    at = source.number(0, len(row.items) - 2)
    return _asked(source, "next", row, row.items[at + 1], x=row.items[at])


def preceding(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 3, 7)
    at = source.number(1, len(row.items) - 1)
    return _asked(source, "before", row, row.items[at - 1], x=row.items[at])


# --- things of a kind -------------------------------------------------------------------------


@functools.cache
def kinds_of() -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Of each kind, by its plural: one with its article, one, all that we know of it."""
    return {many: (one, bare, tuple(items.split("|"))) for many, one, bare, items in table("kinds")}


def several(source: Source, lexicon: Lexicon) -> Case:
    """Two to six of a kind: the number is what must be right."""
    many = source.pick(*kinds_of())
    items = kinds_of()[many][2]
    n = min(source.pick(2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6), len(items))
    chosen = source.some(items, n, n)
    number = source.pick(NUMBERS[n], NUMBERS[n], str(n))
    user = ask(source, "three", (), n=number, k=many)
    return Case((Turn(user, f"{capital(joined(chosen))}."),), some=(n, items), about=many)


def single(source: Source, lexicon: Lexicon) -> Case:
    many = source.pick(*kinds_of())
    one, bare, items = kinds_of()[many]
    user = ask(source, "single", (), k=one, h=bare)
    return Case((Turn(user, f"{capital(source.pick(*items))}."),), some=(1, items), about=many)


_Some = Callable[[Source, Lexicon], str]


def _of(many: str) -> _Some:
    return lambda source, lexicon: source.pick(*kinds_of()[many][2])


_SORTS: dict[str, tuple[str, _Some, str]] = {
    # What is asked for, one of it, and what may stand beside it.
    "animal": ("an animal", lambda s, lexicon: s.of(lexicon.animals), "thing color job number month fruit"),
    "color": ("a color", lambda s, lexicon: s.of(lexicon.colors), "thing animal job number month"),
    "fruit": ("a fruit", _of("fruits"), "animal job number month"),
    "vegetable": ("a vegetable", _of("vegetables"), "animal job number month country"),
    "instrument": ("a musical instrument", _of("musical instruments"), "animal job month fruit"),
    "job": ("a job", _of("jobs"), "animal color fruit month"),
    "month": ("a month", _of("months"), "animal color fruit job"),
    "day": ("a day of the week", _of("days of the week"), "animal thing fruit month"),
    "country": ("a country", _of("countries"), "thing month job color"),
    "number": ("a number", lambda s, lexicon: lexicon.figure(s), "thing animal job color month town"),
    "name": ("a name", lambda s, lexicon: lexicon.name(s)[0], "thing job fruit number"),
    "town": ("a town", lambda s, lexicon: s.of(lexicon.towns), "thing animal job number"),
    "thing": ("a thing", lambda s, lexicon: s.of(lexicon.things), ""),
}
_ALSO = {"animal": "animals", "color": "colors", "fruit": "fruits", "vegetable": "vegetables", "name": "names_foreign"}


@functools.cache
def _members(sort: str) -> frozenset[str]:
    """Whatever may count as of this sort, so that it never stands beside what is looked for."""
    found = {item.lower() for many, (_, _, items) in kinds_of().items() if _ALSO.get(sort) == many for item in items}
    for name in {"animal": ["animals"], "color": ["colors"], "name": ["names_foreign", "names_rare"]}.get(sort, []):
        found |= {row[0].lower() for row in table(name)}
    if sort == "name":
        found |= {"rose", "lily", "daisy", "ruby", "pearl", "ivy", "violet", "cherry", "clementine", "olive", "crystal"}
    return frozenset(found)


def which(source: Source, lexicon: Lexicon) -> Case:
    """Of a list, what is an animal, a color, a name."""
    sort = source.pick(*[name for name, (_, _, beside) in _SORTS.items() if beside])
    article, make, beside = _SORTS[sort]
    answer, others = make(source, lexicon), dict[str, None]()
    other = source.pick(*beside.split())
    while len(others) < source.pick(2, 2, 3):
        text = _SORTS[source.pick(other, source.pick(*beside.split()))][1](source, lexicon)
        if text.lower() not in _members(sort) and text.lower() != answer.lower():
            others[text] = None
    items = [*others]
    items.insert(source.number(0, len(items)), answer)
    user = ask(source, "which", items, k=article, l=spread(source, items), p=joined(items, "or"), word="word")
    return exactly(user, answer, sort)


def quotes(source: Source, lexicon: Lexicon) -> Case:
    one = piece(source, lexicon)
    return exactly(ask(source, "quotes", [one.text], x=quoted(source, one.text, 0.0)), f'"{one.text}"', one.kind)


KINDS: list[Kind] = [
    *both("reverse a list", reverse, 2, 1.5),
    *both("one of a list", nth, 2, 1),
    *both("one word of a sentence", nth_word, 1, 0.5),
    *both("sort", sort, 1, 0.5),
    Kind("in both lists", "copying", in_both),
    Kind("missing in a list", "copying", missing),
    Kind("twice in a list", "copying", double, 0.7),
    *both("count a list", count, 0.8, 0.5),
    *both("add to a list", add, 1, 0.5),
    *both("remove from a list", remove, 1, 0.5),
    *both("join with and", join, 0.7, 0.3),
    Kind("commas", "copying", commas, 0.5),
    Kind("swap in a list", "copying", swap, 0.7),
    Kind("what comes after", "copying", following),
    Kind("what comes before", "copying", preceding, 0.7),
    Kind("put in quotes", "copying", quotes, 0.4),
    *both("which is one", which, 1.5, 1),
    *both("several of a kind", several, 1.5, 4),
    *both("one of a kind", single, 0.6, 1.5),
]
