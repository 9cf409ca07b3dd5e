"""Numbers in words and digits, and what is asked about them beside sums: which is bigger, what comes next, even or odd."""

from __future__ import annotations

from dataclasses import replace

from .asking import Core, core, fill, question
from .cases import Case, one
from .facts import NO, YES
from .lexicon import Lexicon, table
from .wording import Pool, Source, capital, roughen

_SMALL = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|"
    "eighteen|nineteen"
)
_LARGE = "||twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ONES, _TENS = _SMALL.split("|"), _LARGE.split("|")


def spelled(n: int) -> str:
    """A number below a thousand in words."""
    if n < 20:
        return _ONES[n]
    if n < 100:
        return _TENS[n // 10] + (f"-{_ONES[n % 10]}" if n % 10 else "")
    return f"{_ONES[n // 100]} hundred" + (f" and {spelled(n % 100)}" if n % 100 else "")


def right(n: int) -> tuple[str, ...]:
    """What is accepted for a number."""
    return (str(n), spelled(n), *(("a hundred",) if n == 100 else ())) if n < 1000 else (str(n), f"{n:,}")


def number(n: int, words: bool) -> str:
    """In words or digits."""
    return spelled(n) if words and n < 1000 else str(n)


_ASK: dict[str, Pool[Core]] = {}
for _name, _way, _text in table("sums_wordings"):
    if _way == "ask":
        _ASK[_name] = Pool([*(_ASK[_name].all if _name in _ASK else ()), core(_text)])


def bigger(source: Source, lexicon: Lexicon) -> Case:
    """Which of two numbers is bigger, or smaller."""
    first, second = source.chance.sample(range(101), 2)
    name = source.pick("bigger", "smaller")
    result = max(first, second) if name == "bigger" else min(first, second)
    other = first + second - result
    user = question(source, _ASK[name], {"a": str(first), "b": str(second)})
    says = source.pick("{c}.", "{c} is {n}.", "{c} is {n} than {o}.", "It is {c}.", "{c} is the {n} one.")
    answer = says.format(c=result, o=other, n=name)
    return replace(one(roughen(source, user, [str(first), str(second)]), answer, right(result)), about=name)


def beside(source: Source, lexicon: Lexicon) -> Case:
    """The number before or after one."""
    name, step = source.pick(("after", 1), ("before", -1))
    n = source.number(1, 20) if source.maybe(0.4) else source.number(1, 100)
    words = source.maybe(0.2)
    user = question(source, _ASK[name], {"a": number(n, words)})
    says = source.pick("{c}.", "{n} {a} comes {c}.", "{c} comes {n} {a}.", "It is {c}.", "That is {c}.")
    answer = capital(says.format(c=number(n + step, words), a=number(n, words), n=name))
    return replace(one(roughen(source, user, [number(n, words)]), answer, right(n + step)), about=name)


def even(source: Source, lexicon: Lexicon) -> Case:
    """Whether a number is even or odd."""
    n = source.number(0, 100)
    is_, other = ("odd", "even") if n % 2 else ("even", "odd")
    if source.maybe(0.5):
        user = question(source, _ASK["parity"], {"a": str(n)})
        answer = source.pick(f"{n} is {is_}.", f"{capital(is_)}.", f"It is {is_}.", f"{n} is an {is_} number.")
        return replace(one(roughen(source, user, [str(n)]), answer, is_), reject=(other,), about="even or odd")
    said = source.pick(is_, other)
    direct = Pool(
        [Core(f"is {n} {said}", f"if {n} is {said}"), Core(f"is {n} an {said} number", f"whether {n} is {said}")]
    )
    user = question(source, direct, {})
    answer = (
        source.pick("Yes, {n} is {i}.", "Yes. {n} is {i}.")
        if said == is_
        else source.pick("No, {n} is {i}.", "No: {n} is {i}.")
    )
    accept = YES if said == is_ else NO
    return replace(one(roughen(source, user, [str(n)]), answer.format(n=n, i=is_), accept, is_), about="even or odd")


def in_words(source: Source, lexicon: Lexicon) -> Case:
    """A number in words, or words in digits."""
    n = (
        source.number(0, 20)
        if source.maybe(0.3)
        else source.number(21, 100)
        if source.maybe(0.8)
        else source.number(101, 999)
    )
    to_words = source.maybe(0.5)
    given, result = (str(n), spelled(n)) if to_words else (spelled(n), str(n))
    user = question(source, _ASK["to words" if to_words else "to digits"], {"a": given})
    says = source.pick("{c}.", "{c}.", "It is {c}.", "{a} is {c}.", "You write {c}.")
    answer = capital(says.format(a=given, c=result))
    return replace(one(roughen(source, user, [given]), answer, result), about="words and digits")


def count(source: Source, lexicon: Lexicon) -> Case:
    """Counting from one number to another, forward, backward or in steps."""
    way = source.pick("count", "count", "count back", "count by")
    step = source.pick(2, 5, 10) if way == "count by" else 1
    low = source.number(1, 40) if way == "count" and source.maybe(0.4) else step if way == "count by" else 1
    high = low + step * source.number(3, 9)
    numbers = [str(n) for n in range(low, high + 1, step)]
    if way == "count back":
        numbers.reverse()
    user = fill(source, source.of(_COUNT[way]), a=low, b=high, s=step)
    case = one(roughen(source, user, [str(low), str(high), str(step)]), ", ".join(numbers) + ".", ", ".join(numbers))
    return replace(case, about="counting")


_COUNT = {
    way: Pool([row[2] for row in table("sums_wordings") if row[:2] == (way, "bare")])
    for way in ("count", "count back", "count by")
}
