"""Costs, totals, change and what money is enough for. Prices and numbers stay within what `sums` teaches."""

from __future__ import annotations

from dataclasses import replace

from .cases import Case, Kind
from .facts import NO, YES
from .lexicon import Lexicon
from .sums_parts import (
    GROUP,
    Money,
    answered,
    ask,
    fits,
    fresh,
    goods,
    money,
    person,
    tale,
    thing_fields,
    written,
)
from .wording import Source, a

_NOTES = (5, 10, 10, 10, 20, 20, 20, 50, 100)


def cost(source: Source, lexicon: Lexicon) -> Case:
    """What several cost at a price each."""
    thing, coins = source.of(goods()), money(source)
    while True:
        n, price = source.number(2, 10 if source.maybe(0.8) else 12), source.number(1, 10 if source.maybe(0.8) else 12)
        if fresh(source, n * price, n, price):
            break
    many, each = written(source, n, price)
    m, _ = person(source, lexicon)
    user = ask(source, "cost", [m, many, each], p=coins.of(price, each), n=many, m=m, **thing_fields(thing))
    says = (
        "{n} times {p} is {r}, so {n} {xs} cost {t}.",
        "{n} times {p} is {r}: {n} {xs} cost {t}.",
        "{n} times {p} is {r}, so that makes {t}.",
    )
    answer = answered(source, says, n=n, p=price, r=n * price, t=coins.of(n * price), **thing_fields(thing))
    return tale(user, answer, n * price, "cost", [thing.many])


def total(source: Source, lexicon: Lexicon) -> Case:
    """What two things cost together."""
    coins = money(source)
    while True:
        thing, other = source.of(goods()), source.of(goods())
        first, second = source.number(1, 20), source.number(1, 20)
        if thing != other and fits(source, "+", first, second) and fresh(source, first + second, first, second):
            break
    p, q = written(source, first, second)
    m, _ = person(source, lexicon)
    fields = thing_fields(thing) | {"y": other.one, "by": a(other.one), "m": m}
    user = ask(source, "total", [m, p, q], p=coins.of(first, p), q=coins.of(second, q), **fields)
    says: tuple[str, ...] = (
        "{p} plus {q} is {r}, so together that is {t}.",
        "{p} plus {q} is {r}: the two cost {t}.",
        "{p} plus {q} is {r}: {t} in all.",
    )
    if thing.one not in user or other.one not in user:  # "I spent 4 and then 5"
        says = tuple(text for text in says if "{x}" not in text and "the two" not in text)
    answer = answered(source, says, p=first, q=second, r=first + second, t=coins.of(first + second), **fields)
    return tale(user, answer, first + second, "total", [thing.one, other.one])


def change(source: Source, lexicon: Lexicon) -> Case:
    """What comes back, or is left, of an amount."""
    thing, coins = source.of(goods()), money(source)
    name = source.pick("change", "change", "left")
    while True:
        paid = source.pick(*_NOTES) if name == "change" or source.maybe(0.5) else source.number(4, 20)
        price = source.number(1, paid - 1)
        if fits(source, "-", paid, price) and fresh(source, paid - price, paid, price):
            break
    p, c = written(source, paid, price)
    m, answer_m = person(source, lexicon)
    fields = thing_fields(thing) | {"m": m}
    user = ask(source, name, [m, p, c], p=coins.of(paid, p), c=coins.of(price, c), **fields)
    back = (
        "{p} minus {c} is {r}, so the change is {t}.",
        "{p} minus {c} is {r}: {t} of change.",
    )
    yours = ("{p} minus {c} is {r}, so you get {t} back.",)
    left = (
        "{p} minus {c} is {r}, so that leaves {t}.",
        "{p} minus {c} is {r}: {t} left.",
    )
    says = left if name == "left" else back if m.lower() in user.lower() else yours + back
    answer = answered(source, says, p=paid, c=price, r=paid - price, t=coins.of(paid - price), m=answer_m)
    return tale(user, answer, paid - price, name)


def change_of(source: Source, lexicon: Lexicon) -> Case:
    """The change from what several cost: first a product, then a difference."""
    thing, coins = source.of(goods()), money(source)
    while True:
        n, price, paid = source.number(2, 9), source.number(1, 9), source.pick(10, 10, 20, 20, 50, 100)
        if n * price >= paid or not fits(source, "-", paid, n * price):
            continue
        if fresh(source, paid - n * price, n, price, paid):
            break
    many, each, p = written(source, n, price, paid)
    m, _ = person(source, lexicon)
    fields = thing_fields(thing) | {"m": m, "n": many}
    user = ask(source, "change_of", [m, many, each, p], q=coins.of(price, each), p=coins.of(paid, p), **fields)
    says = (
        "{n} times {q} is {b}, and {p} minus {b} is {r}: {t} left over.",
        "{n} times {q} is {b}. {p} minus {b} is {r}, so the change is {t}.",
        "{n} {xs} cost {b}. {p} minus {b} is {r}, so the change is {t}.",
        "{n} times {q} is {b}, and {p} minus {b} is {r}. That leaves {t}.",
    )
    numbers = {"n": n, "q": price, "p": paid, "b": n * price, "r": paid - n * price, "t": coins.of(paid - n * price)}
    return tale(user, answered(source, says, **(fields | numbers)), paid - n * price, "change of several", [thing.many])


def afford(source: Source, lexicon: Lexicon) -> Case:
    """Whether an amount is enough, and what is left or missing."""
    thing, coins = source.of(goods()), money(source)
    while True:
        have, price = source.number(1, 20), source.number(1, 20)
        if source.maybe(0.1):
            have = price
        if have >= price - 9 and price >= have - 9:
            break
    h, c = written(source, have, price)
    m, answer_m = person(source, lexicon)
    fields = thing_fields(thing) | {"m": m}
    user = ask(source, "afford", [m, h, c], h=coins.of(have, h), c=coins.of(price, c), **fields)
    rest = abs(have - price)
    d = coins.of(rest)
    missing = _missing(coins, rest)
    if have == price:
        says: tuple[str, ...] = (
            "Yes, it is just enough.",
            "Yes, just enough: nothing is left.",
            "Yes, exactly enough.",
        )
    elif have > price:
        says = ("Yes: {h} minus {c} is {r}, so that leaves {d}.", "Yes, {h} minus {c} is {r}: {d} left over.")
    else:
        says = ("No: {c} minus {h} is {r}, so {e} missing.", "No, {c} minus {h} is {r}: {d} too little.")
    answer = answered(source, says, h=have, c=price, r=rest, d=d, e=missing, m=answer_m)
    case = replace(tale(user, answer, rest, "enough money"), reject=("no",) if have >= price else ("yes",))
    yes_or_no = YES if have >= price else NO
    return replace(case, accept=(yes_or_no, *(case.accept if rest else ())))


def _missing(coins: Money, n: int) -> str:
    """ "2 euros are", "1 euro is"."""
    return f"{coins.of(n)} {'is' if n == 1 or coins.one == '$' else 'are'}"


KINDS: list[Kind] = [
    Kind("sum_cost", GROUP, cost, 2.0),
    Kind("sum_total", GROUP, total, 1.0),
    Kind("sum_change", GROUP, change, 2.0),
    Kind("sum_change_of", GROUP, change_of, 0.8),
    Kind("sum_afford", GROUP, afford, 0.8),
]
