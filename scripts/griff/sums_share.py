"""Sharing, legs, "five fives", dozens, pairs, so many times as many, and parts of a number."""

from __future__ import annotations

import functools

from .cases import Case, Kind
from .counting import number, spelled
from .lexicon import Lexicon, table
from .sums_parts import (
    GROUP,
    Thing,
    answered,
    ask,
    fits,
    foods,
    fresh,
    goods,
    person,
    tale,
    thing_fields,
    written,
)
from .wording import Source, a

_WHO = (
    "child|children",
    "child|children",
    "kid|kids",
    "kid|kids",
    "friend|friends",
    "friend|friends",
    "guest|guests",
    "boy|boys",
    "girl|girls",
    "cousin|cousins",
    "pupil|pupils",
    "player|players",
)


def share(source: Source, lexicon: Lexicon) -> Case:
    """What each gets, and now and then what is left over."""
    thing = source.of(foods() if source.maybe(0.6) else goods())
    w, ws = source.pick(*_WHO).split("|")
    over = source.maybe(0.2)
    while True:
        b, q = source.number(2, 10), source.number(1, 10)
        r = source.number(1, b - 1) if over else 0
        if fresh(source, q, b, b * q + r) and b * q + r <= 60:
            break
    shown, by = written(source, b * q + r, b)
    m, _ = person(source, lexicon)
    fields = thing_fields(thing) | {"w": w, "ws": ws, "m": m}
    user = ask(source, "share", [m, shown, by], a=shown, b=by, **fields)
    says: tuple[str, ...] = (
        "{a} divided by {b} is {q}, so each {w} gets {g}.",
        "{a} divided by {b} is {q}: {g} for each {w}.",
    )
    if r:
        says = (
            "{b} times {q} is {c}, so each {w} gets {g}, and {left} left over.",
            "{b} times {q} is {c}: {g} for each {w}, and {left} left over.",
        )
    left = f"{r} {'is' if r == 1 else 'are'}"
    numbers = {"a": b * q + r, "b": b, "q": q, "c": b * q, "g": thing.of(q), "left": left}
    case = tale(user, answered(source, says, **(fields | numbers)), q, "share", [w, thing.many])
    return case if not r else _also(case, r)


def _also(case: Case, n: int) -> Case:
    """The same, and the answer must have this number too."""
    return Case(case.turns, (*case.accept, (str(n), spelled(n))), about=f"{case.about}, with a rest")


# --- legs -------------------------------------------------------------------------------------


@functools.cache
def bodies() -> dict[str, dict[str, Thing]]:
    """Of each part those that have it."""
    found: dict[str, dict[str, Thing]] = {}
    for one, many, *parts in table("sums_bodies"):
        for part in parts:
            found.setdefault(part.partition("=")[0], {})[one] = Thing(one, many)
    return found


@functools.cache
def has(one: str, part: str) -> int:
    """How many of a part one has."""
    return next(
        int(cell.partition("=")[2])
        for row in table("sums_bodies")
        if row[0] == one
        for cell in row[2:]
        if cell.startswith(f"{part}=")
    )


def _part(source: Source) -> str:
    parts = [part for part in bodies() if part != "legs"]
    return "legs" if source.maybe(0.6) else source.pick("ears", "eyes", "wings", "wheels", "fingers", *parts)


def _name(source: Source, name: str, *things: Thing) -> str:
    """Wordings with a sight ("I have 2 dogs") for animals only: nobody owns 3 children or sees 2 feet walk."""
    alive = all(thing.one in bodies()["legs"] and thing.one not in bodies()["noses"] for thing in things)
    return source.pick(name, f"{name}_seen") if alive else name


def legs(source: Source, lexicon: Lexicon) -> Case:
    """Of several of a kind."""
    while True:
        part = _part(source)
        thing = source.pick(*bodies()[part].values())
        each, n = has(thing.one, part), source.number(2, 10)
        if fresh(source, n * each, n, each):
            break
    (shown,) = written(source, n)
    m, _ = person(source, lexicon)
    fields = {"g": part, "x": thing.one, "xs": thing.many, "m": m}
    user = ask(source, _name(source, "legs", thing), [m, shown], n=shown, ax=a(thing.one), **fields)
    if not each:
        says: tuple[str, ...] = (
            "None: {ax} has no {g}.",
            "None at all, {xs} have no {g}.",
            "No {g} at all: {xs} have none.",
        )
        answer = answered(source, says, ax=a(thing.one), **fields)
        return Case(tale(user, answer, 0, part).turns, (("none", "no", "0", "zero"),), about=part)
    says = (
        "{n} times {e} is {r}, so {n} {xs} have {r} {g}.",
        "{n} times {e} is {r}: {n} {xs} have {r} {g}.",
        "{Ax} has {e}, and {n} times {e} is {r} {g}.",
    )
    answer = answered(source, says, n=n, e=each, r=n * each, ax=a(thing.one), **fields)
    return tale(user, answer, n * each, part, [thing.many])


def both_legs(source: Source, lexicon: Lexicon) -> Case:
    """Of two kinds together."""
    while True:
        part = _part(source)
        kinds = [thing for one, thing in bodies()[part].items() if has(one, part)]
        if len(kinds) < 2:
            continue
        thing, other = source.some(kinds, 2, 2)
        n, k = source.number(1, 4), source.number(1, 4)
        first, second = n * has(thing.one, part), k * has(other.one, part)
        if fits(source, "+", first, second) and fresh(source, first + second, n, k):
            break
    words = source.maybe(0.6)
    x, y = _some(n, thing, words), _some(k, other, words)
    m, _ = person(source, lexicon)
    # In the table the number and the noun stand apart: one that is alone has an article.
    said = {"n": x[0], "xs": x[1], "l": y[0], "ys": y[1]}
    name = _name(source, "both_legs", thing, other)
    user = ask(source, name, [m, x[0], y[0]], g=part, m=m, **said)
    says = (
        "{X} {has_x} {p} and {y} {has_y} {q}. {p} plus {q} is {r}: {r} {g}.",
        "{X}: {pg}. {Y}: {q}. {p} plus {q} is {r}.",
    )
    fields = {"x": " ".join(x), "y": " ".join(y), "p": first, "q": second, "r": first + second, "g": part}
    fields |= {"pg": f"{first} {part[:-1] if first == 1 else part}"}
    fields |= {"has_x": "has" if n == 1 else "have", "has_y": "has" if k == 1 else "have"}
    return tale(
        user, answered(source, says, **fields), first + second, f"{part} of two kinds", [thing.many, other.many]
    )


def _some(n: int, thing: Thing, words: bool) -> tuple[str, str]:
    """ "two", "dogs"; "a", "hen"."""
    if n == 1:
        return a(thing.one).split(" ", 1)[0], thing.one
    return number(n, words), thing.many


# --- words for numbers ------------------------------------------------------------------------

_MANY = ["", "", "twos", "threes", "fours", "fives", "sixes", "sevens", "eights", "nines", "tens", "elevens", "twelves"]


def fives(source: Source, lexicon: Lexicon) -> Case:
    """ "Five fives"."""
    while True:
        n, k = source.number(2, 12), source.number(2, 12)
        if source.maybe(0.3):
            k = n
        if fresh(source, n * k, n, k):
            break
    shown = number(n, source.maybe(0.7))
    user = ask(source, "fives", [shown, _MANY[k]], n=shown, ks=_MANY[k])
    says = (
        "{n} times {k} is {r}.",
        "{n} times {k} is {r}, so {n} {ks} are {r}.",
    )
    answer = answered(source, says, n=n, N=spelled(n), k=k, ks=_MANY[k], r=n * k)
    return tale(user, answer, n * k, "fives")


_DOZENS: tuple[tuple[str, int], ...] = (
    ("a dozen", 12),
    ("a dozen", 12),
    ("half a dozen", 6),
    ("half a dozen", 6),
    ("two dozen", 24),
    ("three dozen", 36),
)
_DOZENS += (("four dozen", 48), ("one dozen", 12), ("five dozen", 60))


def dozen(source: Source, lexicon: Lexicon) -> Case:
    """How many a dozen, half of one or several are, and more or less than that."""
    thing = source.of(foods() if source.maybe(0.7) else goods())
    name = source.pick("dozen", "dozen_more", "dozen_more", "dozen_less", "dozen_less")
    m, _ = person(source, lexicon)
    while True:
        d, n = source.pick(*_DOZENS[: 9 if name == "dozen" else 4])
        b = source.number(1, 12) if name == "dozen_more" else source.number(1, n - 1)
        r = {"dozen": n, "dozen_more": n + b, "dozen_less": n - b}[name]
        if name == "dozen" or (n + b <= 24 and fresh(source, r, b, n)):
            break
    (shown,) = written(source, b)
    user = ask(source, name, [m, shown], d=d, b=shown, m=m, **thing_fields(thing))
    says: tuple[str, ...] = ("{D} is {n}.", "{D} is {n}.", "That is {n}.", "{n}.")
    if name == "dozen_more":
        says = ("{D} is {n}, and {n} plus {b} is {r}.", "{n} plus {b} is {r}.", "{D} is {n}. {n} plus {b} is {r}.")
    elif name == "dozen_less":
        says = ("{D} is {n}, and {n} minus {b} is {r}.", "{n} minus {b} is {r}.", "{D} is {n}. {n} minus {b} is {r}.")
    elif thing.many in user:
        says = ("{D} {xs} are {n}.", "That is {n} {xs}.", "{D} is {n}, so {n} {xs}.")
    answer = answered(source, says, d=d, n=n, b=b, r=r, **thing_fields(thing))
    return tale(user, answer, r, name.replace("_", ", "))


_PAIRED = ("shoes", "socks", "gloves", "mittens", "boots", "earrings", "slippers", "skates", "skis", "sandals")


def pairs(source: Source, lexicon: Lexicon) -> Case:
    """How many single ones pairs are."""
    n = source.number(2, 12)
    (shown,) = written(source, n)
    m, _ = person(source, lexicon)
    xs = source.pick(*_PAIRED)
    user = ask(source, "pairs", [m, shown], n=shown, xs=xs, m=m)
    says = (
        "{n} times 2 is {r}, so that is {r} {xs}.",
        "{n} times 2 is {r}: {r} {xs}.",
    )
    return tale(user, answered(source, says, n=n, r=2 * n, xs=xs), 2 * n, "pairs", [xs])


_TIMES = {"twice": 2, "three times": 3, "four times": 4, "five times": 5, "ten times": 10}


def many(source: Source, lexicon: Lexicon) -> Case:
    """Twice, half or three times as many."""
    thing = source.of(goods())
    while True:
        t = source.pick("twice", "twice", "twice", "half", "half", *_TIMES)
        first = source.number(2, 12) * (2 if t == "half" else 1)
        r = first // 2 if t == "half" else first * _TIMES[t]
        if fresh(source, r, first):
            break
    (shown,) = written(source, first)
    m, _ = person(source, lexicon)
    o, answer_o = person(source, lexicon, (m,))
    user = ask(source, "many", [m, o, shown], a=shown, t=t, m=m, o=o, **thing_fields(thing))
    what = "pages" if "pages" in user else thing.many
    named = what if thing.many in user or what == "pages" else ""
    worked = "Half of {a} is {r}" if t == "half" else "{n} times {a} is {r}"
    says: tuple[str, ...] = (f"{worked}.",)
    if o in user and named:
        says += (_who_has(user, worked + ", so {o} has {r}{what}."),)
    answer = answered(
        source, says, t=t, a=first, n=_TIMES.get(t, 0), r=r, o=answer_o, what=f" {named}" if named and r != 1 else ""
    )
    return tale(user, answer, r, "as many", [o, named])


def _who_has(user: str, text: str) -> str:
    """With the verb of the question."""
    for asked, said in (
        ("found", "found"),
        ("eat", "ate"),
        ("made", "made"),
        ("counted", "counted"),
        ("reads", "reads"),
    ):
        if asked in user:
            return text.replace(" has ", f" {said} ")
    return text


_PARTS = {
    "a quarter": 4,
    "a third": 3,
    "a fifth": 5,
    "a tenth": 10,
    "one quarter": 4,
    "one third": 3,
    "a half": 2,
    "half": 2,
}


def part(source: Source, lexicon: Lexicon) -> Case:
    """A quarter or a third of a number."""
    thing = source.of(foods() if source.maybe(0.7) else goods())
    while True:
        f = source.pick("a quarter", "a quarter", "a third", *_PARTS)
        k, r = _PARTS[f], source.number(1, 10)
        if fresh(source, r, k * r):
            break
    (shown,) = written(source, k * r)
    m, _ = person(source, lexicon)
    user = ask(source, "part", [m, shown], f=f, a=shown, m=m, **thing_fields(thing))
    says: tuple[str, ...] = ("{a} divided by {k} is {r}, so {f} of {a} is {r}.", "{a} divided by {k} is {r}.")
    if thing.many in user:
        says = ("{a} divided by {k} is {r}, so that is {g}.", "{a} divided by {k} is {r}: {g}.")
    answer = answered(source, says, f=f, a=k * r, k=k, r=r, g=thing.of(r))
    return tale(user, answer, r, "part", [thing.many])


KINDS: list[Kind] = [
    Kind("sum_share", GROUP, share, 2.0),
    Kind("sum_legs", GROUP, legs, 1.5),
    Kind("sum_both_legs", GROUP, both_legs, 1.0),
    Kind("sum_fives", GROUP, fives, 1.2),
    Kind("sum_dozen", GROUP, dozen, 1.2),
    Kind("sum_pairs", GROUP, pairs, 0.5),
    Kind("sum_many", GROUP, many, 1.0),
    Kind("sum_part", GROUP, part, 1.0),
]
