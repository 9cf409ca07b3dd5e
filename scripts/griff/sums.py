"""Sums, differences, times table, division, halves and doubles, comparing, counting, and sums in words.

Up to twenty every pair is shown; of the larger ones, both of up to two digits, the seventh with certain digests is held
out, so that the evaluation sees whether the model can add and not only remember. Two numbers of two digits are added, or
subtracted, in two steps that the answer shows: tens first, then ones. What goes beyond is in `unknown`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from .asking import Core, core, following, question
from .cases import Case, Kind, Turn, one
from .counting import beside, bigger, count, even, in_words, number, right, spelled
from .facts import plural
from .lexicon import Lexicon, table
from .wording import PART, Pool, Source, Wordings, _digest, a, capital, roughen


@dataclass(frozen=True)
class Operation:
    """One kind of sum: how it is asked for (`spoken`: those of `bare` that have no sign) and how it is answered."""

    name: str
    cores: Pool[Core]
    bare: Wordings
    spoken: Wordings
    says: tuple[str, ...]
    next: str


_SIGN = re.compile(r"[-+*/=_×÷:(]|\bx\b")
"""What stands between digits, never between numbers in words."""


def _operation(name: str, says: tuple[str, ...], following: str = "{a} {o} {b}") -> Operation:
    rows = table("sums_wordings")
    cores = [core(row[2]) for row in rows if row[:2] == (name, "ask")]
    bare = [row[2] for row in rows if row[:2] == (name, "bare")]
    made = Wordings(bare)
    spoken = Wordings(bare)
    spoken.templates = made.templates.part([text for text in made.templates.all if not _SIGN.search(text)])
    return Operation(name, Pool(cores), made, spoken, says, following)


_SHORT = ("{c}.", "{c}.", "{c}.", "That is {c}.", "It is {c}.", "{c}!", "The answer is {c}.", "That makes {c}.")
PLUS = _operation("plus", ("{a} plus {b} is {c}.", "{a} and {b} make {c}.", "{a} + {b} = {c}."), "{a} plus {b}")
MINUS = _operation("minus", ("{a} minus {b} is {c}.", "{b} from {a} leaves {c}.", "{a} - {b} = {c}."), "{a} minus {b}")
TIMES = _operation("times", ("{a} times {b} is {c}.", "{a} times {b} makes {c}.", "{a} x {b} = {c}."), "{a} times {b}")
DIVIDE = _operation("divide", ("{a} divided by {b} is {c}.", "{a} / {b} = {c}.", "{a} divided by {b} makes {c}."))
DOUBLE = _operation("double", ("Double {a} is {c}.", "Twice {a} is {c}.", "{a} and {a} make {c}."), "{a}")
HALF = _operation("half", ("Half of {a} is {c}.", "The half of {a} is {c}.", "{c} and {c} make {a}."), "{a}")
THREE = _operation("three", ("{a} plus {b} plus {d} is {c}.", "Together they make {c}."), "{a}, {b} and {d}")
MISSING = _operation(
    "missing", ("{a} plus {c} is {b}.", "You add {c}, because {a} and {c} make {b}."), "from {a} to {b}"
)
_DIVIDE_NEXT = "{a} divided by {b}"


def _shown(source: Source, key: object) -> bool:
    """Whether this source may ask for these numbers."""
    return (_digest(key) % PART == 0) == source.held


def may_be_asked(source: Source, sign: str, first: int, second: int) -> bool:
    """Whether a tale of this source may have these numbers: training shows none of the larger pairs that are held out."""
    return source.held or max(first, second) <= 20 or _shown(source, (sign, first, second))


def plus(source: Source) -> tuple[int, int, int]:
    """Two numbers and their sum."""
    if source.maybe(0.6):
        first, second = source.number(0, 20), source.number(0, 20)
        return first, second, first + second
    if source.maybe(0.12):
        first, second = 10 * source.number(1, 50), 10 * source.number(1, 40)
        return first, second, first + second
    most = 198 if source.maybe(0.3) else 100
    while True:
        first, second = source.number(2, 99), source.number(2 if source.maybe(0.3) else 11, 99)
        if first + second <= most and max(first, second) > 20 and _shown(source, ("+", first, second)):
            return first, second, first + second


def minus(source: Source) -> tuple[int, int, int]:
    """Two numbers and their difference, which is not below zero."""
    small = source.maybe(0.5)
    while True:
        first = source.number(0, 20) if small else source.number(21, 100)
        second = source.number(0, first)
        if small or _shown(source, ("-", first, second)):
            return first, second, first - second


def times(source: Source) -> tuple[int, int, int]:
    """Two numbers of the times table and their product."""
    first, second = source.number(0 if source.maybe(0.1) else 1, 12), source.number(1, 12)
    return first, second, first * second


def divide(source: Source) -> tuple[int, int, int]:
    """A number of the times table, one that divides it, and the quotient."""
    first, second = source.number(1, 12), source.number(1, 12)
    return first * second, second, first


def double(source: Source) -> tuple[int, int, int]:
    """A number and its double."""
    first = source.number(1, 20) if source.maybe(0.7) else source.pick(25, 30, 35, 40, 45, 50, 60, 75, 100)
    return first, 0, 2 * first


def half(source: Source) -> tuple[int, int, int]:
    """An even number and its half."""
    first = source.number(1, 20) if source.maybe(0.7) else source.pick(25, 30, 35, 40, 45, 50)
    return 2 * first, 0, first


def missing(source: Source) -> tuple[int, int, int]:
    """A number, a larger one, and what is between."""
    first, second = source.number(1, 12), source.number(1, 12)
    return first, first + second, second


def steps(made: Operation, first: int, second: int) -> tuple[str, int] | None:
    """How two numbers of two digits are added or subtracted, and the result; nothing where it needs no step between."""
    tens, ones = second - second % 10, second % 10
    if made not in (PLUS, MINUS) or not tens or not ones or first < 10 or not 20 < max(first, second) <= 100:
        return None
    sign, way = ("+", 1) if made is PLUS else ("-", -1)
    middle = first + way * tens
    return f"{first} {sign} {tens} = {middle}, {middle} {sign} {ones} = {middle + way * ones}.", middle + way * ones


def asked(source: Source, made: Operation, first: int, second: int, result: int, third: int = 0) -> Case:
    """A question for a sum, in digits or in words."""
    words = source.maybe(0.28) and max(first, second) <= 100
    named = {"a": number(first, words), "b": number(second, words), "d": number(third, words)}
    if source.maybe(0.45) and not (words and source.held):  # of those without a sign few are held out
        user = (made.spoken if words else made.bare).say(source, **named)
    else:
        user = question(source, made.cores, named)
    shown = dict(named) if source.maybe(0.9) else {"a": str(first), "b": str(second), "d": str(third)}
    if found := steps(made, first, second):
        answer = _in_steps(source, made, first, second, *found)
    else:
        answer = _answer(source, made, shown, number(result, words and source.maybe(0.6)))
    keep = [named[key] for key in ("a", "b", "d") if named[key] in user]
    about = made.name + (", two digits" if max(first, second) > 20 else "")
    return replace(one(roughen(source, user, keep), answer, right(result)), about=about)


def _in_steps(source: Source, made: Operation, first: int, second: int, working: str, result: int) -> str:
    """The working, always in the same form, and often the sum once more."""
    end = source.pick("", "", *made.says, "The answer is {c}.", "That makes {c}.")
    return f"{working} {end.format(a=first, b=second, c=result)}".strip()


def _answer(source: Source, made: Operation, named: dict[str, str], result: str) -> str:
    says = source.pick(*made.says) if source.maybe(0.6) else source.pick(*_SHORT)
    if named["a"].isalpha() and "=" in says:
        says = made.says[0]
    return capital(says.format(**named, c=result))


def _drawn(source: Source, draw: Draw) -> tuple[int, int, int]:
    """Two numbers and a result. The evaluation asks for none that the question has: 7 + 0, 8 - 4."""
    for _ in range(50):
        first, second, result = draw(source)
        if not source.held or result not in (first, second):
            break
    return first, second, result


Draw = Callable[[Source], tuple[int, int, int]]
DRAWN: tuple[tuple[Operation, Draw, float], ...] = (
    (PLUS, plus, 6.0),
    (MINUS, minus, 5.0),
    (TIMES, times, 4.0),
    (DIVIDE, divide, 2.0),
    (DOUBLE, double, 1.0),
    (HALF, half, 1.0),
    (MISSING, missing, 0.7),
)


def three(source: Source, lexicon: Lexicon) -> Case:
    """The sum of three numbers."""
    first, second, third = (source.number(1, 10) for _ in range(3))
    return asked(source, THREE, first, second, first + second + third, third)


def another(source: Source, lexicon: Lexicon) -> Case:
    """A sum, and then another one: "And 5 plus 6?"."""
    made, draw = source.pick((PLUS, plus), (MINUS, minus), (TIMES, times), (PLUS, plus), (DIVIDE, divide))
    case = asked(source, made, *_drawn(source, draw))
    for _ in range(source.pick(1, 1, 2)):
        first, second, result = _drawn(source, draw)
        words = source.maybe(0.2) and max(first, second) <= 100
        asks = {"a": number(first, words), "b": number(second, words), "o": ""}
        thing = (_DIVIDE_NEXT if made is DIVIDE else made.next).format(**asks)
        user = roughen(source, following(source, thing), [asks["a"], asks["b"]])
        named = {"a": str(first), "b": str(second)}
        found = steps(made, first, second)
        answer = _in_steps(source, made, first, second, *found) if found else _answer(source, made, named, str(result))
        case = Case((*case.turns, Turn(user, answer)), (right(result),), about=f"{made.name}: the next")
    return case


def rest(source: Source, lexicon: Lexicon) -> Case:
    """A division that leaves something over."""
    second, times = source.number(2, 10), source.number(1, 10)
    over = source.number(1, second - 1)
    first = second * times + over
    named = {"a": str(first), "b": str(second)}
    user = DIVIDE.bare.say(source, **named) if source.maybe(0.4) else question(source, DIVIDE.cores, named)
    says = source.pick(
        "{a} divided by {b} is {c}, with {r} left over.",
        "{b} times {c} is {m}, so {a} divided by {b} is {c} with {r} left over.",
        "{c}, and {r} is left over.",
        "It does not go evenly: {c}, with {r} left over.",
    )
    answer = says.format(a=first, b=second, c=times, r=over, m=second * times)
    user = roughen(source, user, [str(first), str(second)])
    return replace(one(user, answer, right(times), right(over)), about="divide, with a rest")


def below_zero(source: Source, lexicon: Lexicon) -> Case:
    """A difference below zero."""
    first = source.number(0, 19)
    second = source.number(first + 1, 20)
    named = {"a": str(first), "b": str(second)}
    bare = Pool([text for text in MINUS.bare.templates.all if " I " not in text and not text.startswith("start")])
    user = MINUS.bare.fill(source, source.of(bare), **named)
    says = source.pick(*MINUS.says[::2], "That is below zero: {c}.", "The answer is {c}.", "{c}.")
    answer = says.format(**named, c=first - second)
    accept = (str(first - second), f"minus {second - first}", f"minus {spelled(second - first)}")
    return replace(one(roughen(source, user, list(named.values())), answer, accept), about="minus, below zero")


# --- sums in words --------------------------------------------------------------------------

_PROBLEMS = Pool([tuple(row) for row in table("sums_problems")])
_THINGS = Pool([tuple(row) for row in table("sums_things")])


def _of(n: int, noun: str, many: str) -> str:
    return f"{n} {noun if n == 1 else many}"


def _for_tale(source: Source, operation: str) -> tuple[int, int, int]:
    """Two numbers and a result that go into a tale."""
    most = source.pick(20, 20, 60)
    while operation in "+-":
        first = source.number(4, most)
        second = source.number(2, most if operation == "+" else first - 1)
        if may_be_asked(source, operation, first, second):
            return first, second, first + second if operation == "+" else first - second
    first, second = source.number(2, 10), source.number(2, 10)
    return (first, second, first * second) if operation == "*" else (first * second, second, first)


def problem(source: Source, lexicon: Lexicon) -> Case:
    """A small tale that asks for a number; names and things are open."""
    operation, text, asks, says = source.of(_PROBLEMS)
    noun, *given = source.of(_THINGS) if source.maybe(0.88) else (lexicon.made_up(source),)
    many = given[0] if given else plural(noun)
    first, second, result = _drawn(source, lambda source: _for_tale(source, operation))
    name, _ = lexicon.name(source)
    other, _ = lexicon.name(source)
    while other == name:
        other, _ = lexicon.name(source)
    named = {
        "n": name,
        "p": other,
        "xs": many,
        "a": str(first),
        "b": str(second),
        "c": _of(result, noun, many),
        "r": str(result),
        "ax": a(noun),
    }
    user = text.format(**named) + " " + capital(source.pick(*asks.split("|")).format(**named))
    sums = {"+": f"{first} plus {second}", "-": f"{first} minus {second}", "*": f"{first} times {second}"}
    sums["/"] = f"{first} divided by {second}"
    full = source.pick(*says.split("|")).format(**named)
    short = f"{sums[operation]} is {result}."
    answer = source.pick(full, full, f"{full} {short}", f"{short} {capital(full)}", short, f"{result}.")
    if found := steps(PLUS if operation == "+" else MINUS, first, second) if operation in "+-" else None:
        answer = f"{found[0]} {capital(full)}"
    kept = [name, other, many, str(first), str(second)]
    case = one(roughen(source, user, [word for word in kept if word in user]), capital(answer), right(result))
    copied = tuple(word for word in (name, other, many) if word in answer and word in case.turns[0].user)
    return replace(case, turns=(replace(case.turns[0], copied=copied),), about=f"in words {operation}")


def every(source: Source) -> Iterator[Case]:
    """All sums to twenty, differences, the times table, its divisions, doubles and halves, each in a wording of this source."""
    for first in range(21):
        for second in range(21):
            yield asked(source, PLUS, first, second, first + second)
            if second <= first:
                yield asked(source, MINUS, first, second, first - second)
            if first in range(1, 13) and second in range(1, 13):
                yield asked(source, TIMES, first, second, first * second)
                yield asked(source, DIVIDE, first * second, second, first)
        if first:
            yield asked(source, DOUBLE, first, 0, 2 * first)
            yield asked(source, HALF, 2 * first, 0, first)


def kinds() -> list[Kind]:
    """A kind for each operation, and what else is asked about numbers."""
    made = []
    for operation, draw, weight in DRAWN:

        def make(source: Source, lexicon: Lexicon, operation: Operation = operation, draw: Draw = draw) -> Case:
            return asked(source, operation, *_drawn(source, draw))

        made.append(Kind(f"sum_{operation.name}", "sums", make, weight))
    others = [("three", three, 1.0), ("bigger", bigger, 1.0), ("beside", beside, 1.0), ("even", even, 1.0)]
    others += [("in_words", in_words, 1.0), ("count", count, 1.0), ("problem", problem, 6.0)]
    others += [("rest", rest, 1.0), ("below_zero", below_zero, 0.4)]
    made += [Kind(f"sum_{name}", "sums", make, weight) for name, make, weight in others]
    return [*made, Kind("sum_next", "sums", another, 1.5, filler=False)]


KINDS = kinds()
