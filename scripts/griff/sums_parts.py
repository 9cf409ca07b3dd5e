"""What the sums of daily life have in common: who and what they are about, money, and a case out of a question."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .cases import Case, Turn
from .counting import number, right
from .lexicon import Lexicon, table
from .orders import kept
from .phrases import asking, rough
from .sums import may_be_asked
from .wording import Pool, Source, Wordings, a, capital

GROUP = "sums"
KIN = ("my brother", "my sister", "my friend", "my cousin", "my neighbor")
GROWN = ("my mum", "my mom", "my dad", "my aunt", "my uncle")


def asks() -> dict[str, Wordings]:
    """The wordings of each kind of question."""
    return asking("ask_sums")


def ask(source: Source, name: str, keep: Sequence[str], **fields: object) -> str:
    """A question of this name; each field can be had with a capital."""
    fields |= {capital(key): capital(str(value)) for key, value in fields.items()}
    text = re.sub(r"(?<=[.?!] )[a-z]", lambda m: m[0].upper(), asks()[name].say(source, **fields))
    return rough(source, text, kept(*keep))


def answered(source: Source, says: Sequence[str], **fields: object) -> str:
    """One of these answers."""
    fields |= {capital(key): capital(str(value)) for key, value in fields.items()}
    return capital(source.pick(*says).format_map(fields))


def tale(
    user: str, answer: str, result: int, about: str, copied: Sequence[str] = (), before: Sequence[Turn] = ()
) -> Case:
    """A case whose answer must have a number. `copied`: names, of which those in the answer are copied."""
    turn = Turn(user, answer, tuple(part for part in copied if part and part in answer and part in user))
    return Case((*before, turn), (right(result),), about=about)


def written(source: Source, *numbers: int) -> list[str]:
    """Numbers in digits, or all of them in words."""
    words = source.maybe(0.3) and max(numbers) <= 100
    return [number(n, words) for n in numbers]


def fresh(source: Source, result: int, *numbers: int) -> bool:
    """Whether a question with these numbers may be asked: the evaluation asks for none that stands in it."""
    return not source.held or result not in numbers


def fits(source: Source, sign: str, first: int, second: int) -> bool:
    """Whether a sum or a difference is one step, to twenty, of tens or with a number below ten, and may be shown."""
    low, high = min(first, second), max(first, second)
    tens = first % 10 == second % 10 == 0
    return high <= 100 and (high <= 20 or tens or low < 10) and may_be_asked(source, sign, first, second)


# --- who and what -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Thing:
    """What can be bought or eaten."""

    one: str
    many: str
    food: bool = False

    def of(self, n: int | str) -> str:
        """So many of them."""
        return f"{n} {self.one if n in (1, 'one') else self.many}"


@functools.cache
def goods() -> Pool[Thing]:
    """All that is sold."""
    return Pool([Thing(row[0], row[1], len(row) > 2) for row in table("sums_goods")])


@functools.cache
def foods() -> Pool[Thing]:
    return goods().part([thing for thing in goods().all if thing.food])


def thing_fields(thing: Thing) -> dict[str, str]:
    return {"x": thing.one, "ax": a(thing.one), "xs": thing.many}


def person(
    source: Source, lexicon: Lexicon, but: Sequence[str] = (), kin: Sequence[str] = KIN + GROWN
) -> tuple[str, str]:
    """Somebody as the user names them, and as Griff does."""
    while True:
        if source.maybe(0.35):
            said = source.pick(*kin)
            answer = said.replace("my ", "your ")
        else:
            said = answer = lexicon.name(source)[0]
        if said not in but:
            return said, answer


_UNITS = (*("euro|euros", "dollar|dollars", "|") * 2, "pound|pounds", "cent|cents", "coin|coins", "$|")


@dataclass(frozen=True)
class Money:
    """A currency, or none: "3 euros", "$3", "3"."""

    one: str
    many: str

    def of(self, n: int, shown: str = "") -> str:
        """An amount. `shown`: the number as it is to be written."""
        shown = shown or str(n)
        if self.one == "$":
            return f"${shown}" if shown.isdigit() else f"{shown} dollar{'' if n == 1 else 's'}"
        return f"{shown} {self.one if n == 1 else self.many}".strip()


def money(source: Source) -> Money:
    one, many = source.pick(*_UNITS).split("|")
    return Money(one, many)
