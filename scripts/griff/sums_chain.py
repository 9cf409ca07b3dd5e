"""Sums that go on: two steps in one question, "and if you add 2 to that?", a row of the times table, a tale of one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable

from .cases import Case, Kind, Turn
from .counting import number
from .lexicon import Lexicon, table
from .orders import kept
from .phrases import chosen, rough
from .sums import MINUS, PLUS, TIMES, Operation, asked
from .sums_parts import GROUP, answered, ask, fits, foods, fresh, goods, person, tale, thing_fields, written
from .wording import Pool, Source, Wordings, capital

_CHAINS = {"chain_ab": ("+", "-"), "chain_mm": ("-", "-"), "chain_tp": ("*", "+"), "chain_tm": ("*", "-")}
_CHAINS |= {"chain_ttt": ("*", "*")}
_SIGNED = re.compile(r"[*+=]| [-x] |\w-\w+-")
"""With signs stand digits."""
_SAID = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}


def _result(sign: str, first: int, second: int) -> int:
    return first + second if sign == "+" else first - second if sign == "-" else first * second


def _step(source: Source, sign: str, first: int, second: int) -> bool:
    """Whether it is taught as one step, and its result more than nothing."""
    if sign == "*":
        return 0 < first <= 12 and second <= 12
    return fits(source, sign, first, second) and _result(sign, first, second) > 0


def _three(source: Source, sign: str, then: str) -> tuple[int, int, int]:
    """Three numbers for these two steps."""
    top = 6 if then == "*" else 12 if sign == "*" else 20
    while True:
        first, second = source.number(2, top), source.number(2, top)
        third = source.number(2, 5 if then == "*" else 12)
        middle = _result(sign, first, second)
        fine = _step(source, sign, first, second) and _step(source, then, middle, third)
        if fine and fresh(source, _result(then, middle, third), first, second, third):
            return first, second, third


def chain(source: Source, lexicon: Lexicon) -> Case:
    """Two steps in one question."""
    name = source.pick(*_CHAINS)
    first, second = _CHAINS[name]
    a, b, c = _three(source, first, second)
    middle = _result(first, a, b)
    result = _result(second, middle, c)
    thing = source.of(foods() if source.maybe(0.7) else goods())
    m, _ = person(source, lexicon)
    while True:
        x, y, z = written(source, a, b, c)
        user = ask(source, name, [m, x, y, z], a=x, b=y, c=z, m=m, **thing_fields(thing))
        if x.isdigit() or not _SIGNED.search(user):
            break
    says: tuple[str, ...] = (
        "{a} {s} {b} is {d}, and {d} {t} {c} is {r}.",
        "{a} {s} {b} is {d}. {d} {t} {c} is {r}.",
        "{a} {s} {b} is {d}, {d} {t} {c} is {r}.",
    )
    if thing.many in user:
        says += ("{a} {s} {b} is {d}, and {d} {t} {c} is {r}: {g}.",)
    fields = {"a": a, "b": b, "c": c, "d": middle, "r": result, "s": _SAID[first], "t": _SAID[second]}
    answer = answered(source, says, g=thing.of(result), **fields)
    return tale(user, answer, result, f"two steps, {first}{second}", [thing.many])


# --- and then ---------------------------------------------------------------------------------

_BEGINS: tuple[tuple[Operation, str, int], ...] = ((PLUS, "+", 20), (PLUS, "+", 12), (MINUS, "-", 20), (TIMES, "*", 10))


def _next(source: Source, value: int) -> tuple[str, int, str, int] | None:
    """What is done to a number: name of the question, the other number, the answer without its end, the result.

    Nothing, where all would lead beyond what is taught.
    """
    for _ in range(100):
        name = source.pick("on_plus", "on_plus", "on_minus", "on_minus", "on_times", "on_double", "on_half")
        b = source.number(2, 10)
        if name in ("on_plus", "on_minus", "on_times"):
            sign = {"on_plus": "+", "on_minus": "-", "on_times": "*"}[name]
            if _step(source, sign, value, b):
                return name, b, f"{value} {_SAID[sign]} {b}", _result(sign, value, b)
        elif name == "on_double" and 0 < value <= 20:
            return name, 2, f"twice {value}", 2 * value
        elif name == "on_half" and value % 2 == 0 and 0 < value <= 40:
            return name, 2, f"half of {value}", value // 2
    return None


def on(source: Source, lexicon: Lexicon) -> Case:
    """A sum, and then something is done to what came out."""
    made, sign, top = source.pick(*_BEGINS)
    while True:
        first, second = source.number(2, top), source.number(2, top)
        if sign != "-" or first > second:
            break
    value = _result(sign, first, second)
    turns = [*asked(source, made, first, second, value).turns]
    for _ in range(source.pick(1, 1, 2, 2, 3)):
        if (step := _next(source, value)) is None:
            break
        name, b, said, result = step
        (shown,) = written(source, b)
        user = ask(source, name, [shown], b=shown)
        user = user.replace(f" {shown}", f" {b}") if user[0] in "+-*Xx" and shown.isalpha() else user
        says = source.pick("{} is {}.", "{} is {}.", "{} makes {}.", "That is {0}: {1}.")
        turns.append(Turn(user, capital(says.format(said, result))))
        value = result
    *before, last = turns
    return tale(last.user, last.model, value, "and then", before=before)


def times_table(source: Source, lexicon: Lexicon) -> Case:
    """A row of the times table."""
    n = source.number(2, 12)
    shown = number(n, source.maybe(0.5))
    user = ask(source, "table", [shown], t=shown)
    row = ", ".join(str(n * i) for i in range(1, 11))
    return Case((Turn(user, f"{row}."),), ((row,),), about="times table")


# --- in one sentence --------------------------------------------------------------------------

_SHORT = Pool([tuple(row) for row in table("sums_short")])
_FILL = Wordings(())
_DRAWN: dict[str, Callable[[Source], tuple[int, int]]] = {
    "+": lambda source: (source.number(2, 20), source.number(2, 20)),
    "-": lambda source: (source.number(4, 20), source.number(2, 19)),
    "*": lambda source: (source.number(2, 10), source.number(2, 10)),
}


def short_tale(source: Source, lexicon: Lexicon) -> Case:
    """A tale that asks for a number in one sentence."""
    sign, text, says = source.of(_SHORT)
    while True:
        a, b = _DRAWN[sign](source)
        result = _result(sign, a, b)
        if result > 1 and fresh(source, result, a, b):
            break
    thing = source.of(foods() if "{fs}" in text or source.maybe(0.3) else goods())
    x, y = written(source, a, b)
    n = lexicon.name(source)[0]
    fields = {"a": x, "b": y, "n": n, "xs": thing.many, "fs": thing.many}
    user = rough(source, _FILL.fill(source, chosen(source, text), **fields), kept(n, x, y))
    shown = {"a": a, "b": b, "s": _SAID[sign], "r": result, "g": thing.of(result), "n": n}
    full = source.pick(*says.split("|"))
    texts = ("{a} {s} {b} is {r}. " + full, "{a} {s} {b} is {r}.")
    return tale(user, answered(source, texts, **shown), result, f"in a sentence {sign}", [n, thing.many])


KINDS: list[Kind] = [
    Kind("sum_chain", GROUP, chain, 2.0),
    Kind("sum_on", GROUP, on, 2.0, filler=False),
    Kind("sum_table", GROUP, times_table, 0.7),
    Kind("sum_short", GROUP, short_tale, 3.0),
]
