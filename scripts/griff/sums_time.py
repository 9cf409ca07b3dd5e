"""Ages, hours and days: how old, what time in 2 hours, which day in 3 days. The clock has twelve hours."""

from __future__ import annotations

import re
from collections.abc import Callable

from .cases import Case, Kind
from .counting import number
from .facts import plural
from .lexicon import Lexicon
from .sums_parts import GROUP, KIN, answered, ask, fits, fresh, person, tale, written
from .wording import Source

DAYS: tuple[str, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: tuple[str, ...] = ("January", "February", "March", "April", "May", "June", "July", "August")
MONTHS += ("September", "October", "November", "December")


def _of(n: int, unit: str, shown: str = "") -> str:
    """ "2 hours", "an hour"."""
    return f"{shown or n} {unit if n == 1 else plural(unit)}"


# --- ages -------------------------------------------------------------------------------------


def _age(source: Source, sign: str) -> tuple[int, int, int]:
    """An age, years, and what they make."""
    while True:
        first, second = source.number(2, 20 if source.maybe(0.7) else 80), source.number(2, 12)
        result = first + second if sign == "+" else first - second
        if result > 1 and fits(source, sign, first, second) and fresh(source, result, first, second):
            return first, second, result


_IS = (
    "{a} {s} {b} is {r}, so {o} {is_} {r}.",
    "{a} {s} {b} is {r}: {o} {is_} {r}.",
)


def older(source: Source, lexicon: Lexicon) -> Case:
    """Somebody is so many years older or younger."""
    name, sign = source.pick(("older", "+"), ("older", "+"), ("younger", "-"))
    first, second, result = _age(source, sign)
    a, b = written(source, first, second)
    m, _ = person(source, lexicon, kin=KIN)
    o, answer_o = person(source, lexicon, (m,), KIN)
    user = ask(source, name, [m, o, a, b], a=a, b=b, m=m, o=o)
    said = "plus" if sign == "+" else "minus"
    answer = answered(source, _IS, a=first, b=second, r=result, s=said, o=answer_o, is_="is")
    return tale(user, answer, result, name, [o])


def then(source: Source, lexicon: Lexicon) -> Case:
    """How old somebody will be, or was."""
    name, sign = source.pick(("will_be", "+"), ("will_be", "+"), ("was", "-"))
    first, second, result = _age(source, sign)
    if first > 2 and source.maybe(0.35):
        second, result = 1, first + 1 if sign == "+" else first - 1
    a, b = written(source, first, second)
    if second == 1:
        when = (
            source.pick("next year", "next year", "in a year")
            if sign == "+"
            else source.pick("last year", "a year ago")
        )
    else:
        when = source.pick(f"in {b} years", f"in {b} years", f"{b} years from now") if sign == "+" else f"{b} years ago"
    m, answer_m = person(source, lexicon, kin=KIN)
    user = ask(source, name, [m, a, b], a=a, m=m, then=when, ago=when)
    o, is_ = (answer_m, "was") if m in user else ("it", "was") if " it " in user else ("you", "were")
    if sign == "+":
        is_ = "will be"
    said = "plus" if sign == "+" else "minus"
    answer = answered(source, _IS, a=first, b=second, r=result, s=said, o=o, is_=is_)
    return tale(user, answer, result, name, [m])


def until(source: Source, lexicon: Lexicon) -> Case:
    """In how many years, or how many years apart."""
    while True:
        second, first = source.number(2, 19), source.number(3, 20 if source.maybe(0.7) else 80)
        if first > second and fits(source, "-", first, second) and fresh(source, first - second, first, second):
            break
    a, b = written(source, first, second)
    result = first - second
    m, answer_m = person(source, lexicon, kin=KIN)
    o, answer_o = person(source, lexicon, (m,), KIN)
    years = _of(result, "year")
    if source.maybe(0.5):
        user = ask(source, "until", [m, a, b], a=b, b=a, m=m)
        says: tuple[str, ...] = (
            "{a} minus {b} is {r}, so it is {y}.",
            "{a} minus {b} is {r}: {y}.",
        )
        if re.search("when|in how many", user.lower()):
            says = ("{a} minus {b} is {r}, so in {y}.", "{a} minus {b} is {r}: in {y}.")
        return tale(user, answered(source, says, a=first, b=second, r=result, y=years), result, "until", [m])
    user = ask(source, "apart", [m, o, a, b], a=a, b=b, m=m, o=o)
    says = ("{a} minus {b} is {r}, so it is {y}.", "{a} minus {b} is {r}: {y}.")
    if "older" in user or "younger" in user:
        who = "{m} is {y} older" if "older" in user else "{o} is {y} younger"
        says += (f"{{a}} minus {{b}} is {{r}}, so {who}.",)
    answer = answered(source, says, a=first, b=second, r=result, y=years, m=answer_m, o=answer_o)
    return tale(user, answer, result, "apart", [m, o])


# --- the clock --------------------------------------------------------------------------------

_FORMS: dict[str, Callable[[int, int], str]] = {
    "o'clock": lambda h, _: f"{h} o'clock",
    "words": lambda h, _: f"{number(h, True)} o'clock",
    "digits": lambda h, m: f"{h}:{m:02}",
    "half": lambda h, _: f"half past {h}",
    "half words": lambda h, _: f"half past {number(h, True)}",
}


def _times(h: int, m: int, form: str = "") -> tuple[str, ...]:
    """A time as people say it, in this form first: all that is right."""
    forms = (
        ["digits"]
        if m not in (0, 30)
        else ["o'clock", "words", "digits"]
        if not m
        else ["half", "half words", "digits"]
    )
    found = [_FORMS[one](h, m) for one in (*([form] if form in forms else []), *forms)]
    return tuple(dict.fromkeys(found))


def _later(h: int, m: int, minutes: int) -> tuple[int, int]:
    """So many minutes later, or earlier, on a clock of twelve hours."""
    at = (h % 12 * 60 + m + minutes) % 720
    return at // 60 or 12, at % 60


def clock(source: Source, lexicon: Lexicon) -> Case:
    """What time it is so much later or earlier."""
    name = source.pick("clock_in", "clock_in", "clock_takes", "clock_ago")
    form = source.pick("o'clock", "o'clock", "o'clock", "words", "half", "digits", "digits")
    h, m = (
        source.number(1, 12),
        30 if "half" in form else source.pick(0, 0, 15, 30, 10, 20, 40) if form == "digits" else 0,
    )
    minutes, long = _duration(source, m)
    there = _later(h, m, -minutes if name == "clock_ago" else minutes)
    t = _times(h, m, form)[0]
    when = source.pick(f"in {long}", f"in {long}", f"{long} from now")
    p, _ = person(source, lexicon)
    user = ask(source, name, [p, t, long], t=t, then=when, d=long, m=p)
    accept = _times(*there, form)
    answer = answered(source, _clock_says(name, user.lower()), c=accept[0])
    if minutes % 60 == 0 and m == 0:
        answer = _counted(h, minutes // 60, name == "clock_ago", accept[0])
    case = tale(user, answer, 0, name.replace("_", ", "), [p])
    return Case(case.turns, (accept,), about=case.about)


def _clock_says(name: str, user: str) -> tuple[str, ...]:
    """Answers that go with the question."""
    for asked, says in (("since when", "Since {c}."), ("until when", "Until {c}."), ("before", "That is {c}.")):
        if asked in user:
            return (says, "{C}.")
    if name == "clock_ago":
        return (
            ("It was {c}.", "{C}.", "At {c}.")
            if "when did" in user or "when was" in user
            else ("It was {c}.", "{C}.", "It was {c} then.")
        )
    at = name == "clock_takes" or re.search("when|at what time", user)
    return (
        ("At {c}.", "{C}.", "At {c}.", "It will be {c} then.")
        if at
        else ("It will be {c}.", "{C}.", "Then it will be {c}.")
    )


def _counted(h: int, hours: int, back: bool, there: str) -> str:
    """Worked out: past twelve one begins at one again."""
    if back:
        left = h - hours
        return (
            f"{h} minus {hours} is {left}: {there}." if left > 0 else f"{_of(hours, 'hour')} before {h} it was {there}."
        )
    sum_ = h + hours
    return (
        f"{h} plus {hours} is {sum_}: {there}."
        if sum_ <= 12
        else f"{h} plus {hours} is {sum_}, and {sum_} minus 12 is {sum_ - 12}: {there}."
    )


def _duration(source: Source, m: int) -> tuple[int, str]:
    """Minutes, and how that is said."""
    if m not in (0, 30) or source.maybe(0.25):
        minutes = source.pick(5, 10, 15, 20, 30, 30, 60)
        named = {15: "a quarter of an hour", 30: "half an hour", 60: "an hour"}.get(minutes, "")
        return minutes, named if named and source.maybe(0.6) else f"{minutes} minutes"
    hours = source.pick(1, 2, 2, 2, 3, 3, 4, 5, 6, 8)
    shown = number(hours, source.maybe(0.4))
    return 60 * hours, source.pick("an hour", "one hour", "1 hour") if hours == 1 else f"{shown} hours"


def how_long(source: Source, lexicon: Lexicon) -> Case:
    """How many hours from one time to another."""
    hours = source.number(2, 8)
    h = source.number(1, 12)
    k, _ = _later(h, 0, 60 * hours)
    form = source.pick("o'clock", "o'clock", "words", "digits")
    t, u = _times(h, 0, form)[0], _times(k, 0, form)[0]
    p, _ = person(source, lexicon)
    user = ask(source, "clock_long", [p, t, u], t=t, u=u, m=p)
    says: tuple[str, ...] = ("{k} minus {h} is {r}: {y}.", "{k} minus {h} is {r}, so it is {y}.")
    if k < h:
        says = ("From {h} to 12 is {b}, {b} plus {k} is {r}: {y}.",)
    if h == 12:
        says = ("{y}.", "That is {y}.", "It is {y}.")
    answer = answered(source, says, h=h, k=k, r=hours, b=12 - h, y=_of(hours, "hour"))
    return tale(user, answer, hours, "how long", [p])


# --- days and months --------------------------------------------------------------------------


def day(source: Source, lexicon: Lexicon) -> Case:
    """Which day or month it is so many later, or was."""
    name = source.pick("day_in", "day_in", "day_in", "day_ago", "month_in")
    row, unit = (MONTHS, "month") if name == "month_in" else (DAYS, "day")
    at, n = source.number(0, len(row) - 1), source.number(1, 6)
    shown = number(n, source.maybe(0.4))
    long = source.pick(f"one {unit}", f"a {unit}") if n == 1 else f"{shown} {plural(unit)}"
    if unit == "day" and source.maybe(0.12):
        n, long = 7, source.pick("a week", "one week")
    step = -n if name == "day_ago" else n
    there = row[(at + step) % len(row)]
    p, _ = person(source, lexicon)
    when = source.pick(f"in {long}", f"in {long}", f"{long} from now")
    user = ask(source, name, [p, long], t=row[at], then=when, d=long, m=p)
    passed = ", ".join(row[(at + (i if step > 0 else -i)) % len(row)] for i in range(1, n + 1))
    says: tuple[str, ...] = (
        ("It will be {c}.", "{c}.", "{c}.", "That is {c}.") if step > 0 else ("It was {c}.", "{c}.", "That was {c}.")
    )
    if 2 <= n <= 6:
        says = (
            ("{l}: it will be {c}.", "{l}. So it will be {c}.")
            if step > 0
            else ("{l}: it was {c}.", "{l}. So it was {c}.")
        )
    if n == 7:
        says += ("A week later it is {c} again.",) if step > 0 else ("A week before it was {c}, too.",)
    case = tale(user, answered(source, says, c=there, l=passed), 0, name.replace("_", ", "), [p])
    return Case(case.turns, ((there,),), about=case.about)


KINDS: list[Kind] = [
    Kind("sum_older", GROUP, older, 1.3),
    Kind("sum_then", GROUP, then, 1.3),
    Kind("sum_until", GROUP, until, 1.0),
    Kind("sum_clock", GROUP, clock, 2.0),
    Kind("sum_how_long", GROUP, how_long, 0.7),
    Kind("sum_day", GROUP, day, 1.5),
]
