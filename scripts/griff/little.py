"""Small tasks with letters, numbers, rows and forms: a word with B, count to ten, the days backward, the plural, hello in
French, which is bigger.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from . import copying_lists
from .asks import countable
from .cases import Case, Kind, Turn, Unmet, one
from .copying_parts import joined, quoted, spread
from .facts import plural
from .lexicon import Lexicon, table
from .orders import asking, kept
from .wording import Source, a, capital, roughen

GROUP = "tasks"
ASK = asking("ask_little")
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def _written(source: Source, number: int) -> str:
    """A number in figures or, a small one, as a word."""
    return _NUMBERS[number] if 0 < number < len(_NUMBERS) and source.maybe(0.4) else str(number)


def _exact(user: str, answer: str, about: str) -> Case:
    """A case with one right answer, none of which stands in the question."""
    return Case((Turn(user, answer),), exact=answer, about=about)


def _asked(source: Source, name: str, keep: Sequence[str] = (), **fields: object) -> str:
    return roughen(source, ASK[name].say(source, **fields), keep=kept(*keep))


# --- with a letter ----------------------------------------------------------------------------

_LETTERS = "ABCDEFGHILMNOPRSTW"
_OF = ("words", "words", "words", "words", "animals", "animals", "fruits", "colors", "names", "names", "countries")


@functools.lru_cache(maxsize=200)
def _with(lexicon: Lexicon, many: str, letter: str) -> tuple[str, ...]:
    """What we know of a kind that begins with a letter."""
    if many == "words":
        found = {*lexicon.words.all, *lexicon.vocabulary.all, *lexicon.things.all, *lexicon.animals.all}
    elif many == "names":
        found = {*lexicon.common.all, *lexicon.rare.all}
    else:
        found = set(copying_lists.kinds_of()[many][2])
        found |= {"animals": set(lexicon.animals.all), "colors": set(lexicon.colors.all)}.get(many, set())
    return tuple(sorted(item for item in found if item[0].upper() == letter and " " not in item))


@functools.lru_cache(maxsize=200)
def _said(lexicon: Lexicon, many: str, letter: str) -> tuple[str, ...]:
    """Of these, what is said: words that everybody knows."""
    found = _with(lexicon, many, letter)
    if many == "words":
        known = {*lexicon.things.all, *lexicon.animals.all, *countable(lexicon).all}
        return tuple(word for word in found if word in known)
    return found


def _kind_with(source: Source, lexicon: Lexicon, least: int) -> tuple[str, str]:
    for _ in range(100):
        many, letter = source.pick(*_OF), source.pick(*_LETTERS)
        if len(_said(lexicon, many, letter)) >= least:
            return many, letter
    raise Unmet


def with_letter(source: Source, lexicon: Lexicon) -> Case:
    """A word, an animal or a name that begins with a letter."""
    many, letter = _kind_with(source, lexicon, 1)
    bare = {"countries": "country"}.get(many, many[:-1])
    text = source.pick(*_said(lexicon, many, letter))
    shown = source.pick(letter, letter, letter.lower(), f'"{letter}"')
    user = _asked(source, "letter", [shown], k=a(bare), h=bare, l=shown)
    answer = source.pick(f"{capital(text)}.", f"{capital(text)}.", f"{letter} as in {text}.", f"{capital(text)}!")
    return replace(one(user, answer, _with(lexicon, many, letter)), about=many)


def several_with_letter(source: Source, lexicon: Lexicon) -> Case:
    """Two to four of them."""
    many, letter = _kind_with(source, lexicon, 4)
    n = source.pick(2, 3, 3, 3, 4)
    chosen = source.some(_said(lexicon, many, letter), n, n)
    shown = source.pick(letter, letter, letter.lower(), f'"{letter}"')
    user = _asked(source, "letters", [shown], k=many, l=shown, n=_written(source, n))
    return Case((Turn(user, f"{capital(joined(chosen))}."),), some=(n, _with(lexicon, many, letter)), about=many)


# --- counting ---------------------------------------------------------------------------------

_STEPS = {2: ("twos", 20), 3: ("threes", 30), 5: ("fives", 50), 10: ("tens", 100)}


def _row(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def count(source: Source, lexicon: Lexicon) -> Case:
    """Up, from a number, down, or in steps."""
    way = source.pick("count", "count", "from", "down", "down", "steps")
    if way == "count":
        top = source.pick(5, 10, 10, 10, 12, 15, 20, source.number(3, 20))
        return _exact(_asked(source, way, b=_written(source, top)), _row(range(1, top + 1)), way)
    if way == "from":
        low, size = source.number(2, 40), source.number(3, 9)
        user = _asked(source, way, a=_written(source, low), b=_written(source, low + size))
        return _exact(user, _row(range(low, low + size + 1)), way)
    if way == "down":
        top = source.pick(3, 5, 10, 10, source.number(3, 20))
        return _exact(_asked(source, way, b=_written(source, top)), _row(range(top, 0, -1)), way)
    step = source.pick(*_STEPS)
    name, most = _STEPS[step]
    top = step * source.number(3, most // step)
    user = _asked(source, way, s=source.pick(name, name, f"{step}s"), d=step, b=top)
    return _exact(user, _row(range(step, top + 1, step)), way)


def between(source: Source, lexicon: Lexicon) -> Case:
    """Any number within bounds."""
    low, high = source.pick((1, 10), (1, 10), (1, 6), (1, 20), (10, 20), (5, 15), (20, 30))
    number = source.number(low, high)
    user = _asked(source, "between", a=_written(source, low), b=_written(source, high))
    answer = source.pick(f"{number}.", f"I take {number}.", f"{number}!", f"My number is {number}.")
    return Case((Turn(user, answer),), accept=(tuple(map(str, range(low, high + 1))),), about="between")


# --- numbers and sizes ------------------------------------------------------------------------


_WHICH = ("bigger", "larger", "smaller", "the big one", "the little one")
"""What no slip of a key may touch."""


def _figures(source: Source, count: int) -> list[int]:
    top = source.pick(20, 99, 99, 999)
    return source.chance.sample(range(1, top + 1), count)


def compare(source: Source, lexicon: Lexicon) -> Case:
    """Of two, or of several numbers, the largest or the smallest; of two things."""
    more = source.maybe(0.6)
    if source.maybe(0.45):
        rows = [row[0].split("|") for row in table("little_sizes")]
        low = source.number(0, len(rows) - 3)
        small, large = source.pick(*rows[low]), source.pick(*rows[source.number(low + 2, len(rows) - 1)])
        right, wrong = (large, small) if more else (small, large)
        x, y = source.some([right, wrong], 2, 2)
        user = _asked(source, "bigger" if more else "smaller", _WHICH, x=x, y=y)
        answer = source.pick(f"{capital(right)}.", f"{capital(right)} is {'bigger' if more else 'smaller'}.")
        return Case((Turn(user, answer, (right,) if right in answer else ()),), ((right,),), (wrong,), about="sizes")
    if source.maybe(0.5):
        two = _figures(source, 2)
        user = _asked(source, "bigger" if more else "smaller", _WHICH, x=two[0], y=two[1])
        wrong, right = map(str, sorted(two, reverse=not more))
        answer = source.pick(f"{right}.", f"{right} is {'bigger' if more else 'smaller'}.")
        return Case((Turn(user, answer, (right,)),), ((right,),), (wrong,), about="numbers")
    found = _figures(source, source.number(3, 6))
    right = str(max(found) if more else min(found))
    user = _asked(source, "largest" if more else "smallest", l=spread(source, [*map(str, found)]))
    return _exact(user, right, "numbers")


def sort_numbers(source: Source, lexicon: Lexicon) -> Case:
    found = _figures(source, source.number(3, 6))
    down = source.maybe(0.25)
    user = _asked(source, "descending" if down else "ascending", l=spread(source, [*map(str, found)]))
    return _exact(user, _row(sorted(found, reverse=down)), "sort numbers")


def first_of(source: Source, lexicon: Lexicon) -> Case:
    """Which of two words comes first in the alphabet."""
    for _ in range(100):
        x, y = source.of(lexicon.things), source.of(lexicon.words)
        if x[0] != y[0] and x.isalpha() and y.isalpha():
            break
    else:
        raise Unmet
    right, wrong = sorted([x, y])
    x, y = source.some([right, wrong], 2, 2)
    marks = quoted(source, "{}", 0.3)
    user = _asked(source, "first", [x, y], x=marks.format(x), y=marks.format(y))
    answer = source.pick(f"{capital(right)}.", f"{capital(right)} comes first.")
    return Case((Turn(user, answer),), ((right,),), (wrong,), about="alphabet")


# --- rows -------------------------------------------------------------------------------------


def row(source: Source, lexicon: Lexicon) -> Case:
    """What has an order, in order or backward."""
    names, items = source.pick(*table("little_rows"))
    found = items.split("|")
    back = source.maybe(0.4) and len(found) < 13
    user = _asked(source, "rowback" if back else "row", x=source.pick(*names.split("|")))
    answer = ", ".join(found[::-1] if back else found)
    return _exact(user, capital(answer), names.split("|")[0])


# --- forms ------------------------------------------------------------------------------------


def _noun(source: Source, lexicon: Lexicon) -> str:
    """A noun of which there can be more than one."""
    if source.maybe(0.35):
        return source.pick(*(row[0] for row in table("facts_plurals") if row[0] != row[1]))
    for _ in range(100):
        noun = source.of(source.pick(countable(lexicon), lexicon.things, lexicon.animals))
        if noun.isalpha() and noun.islower() and not noun.endswith(("s", "fe", "lf", "man", "fish")):
            return noun
    raise Unmet


def forms(source: Source, lexicon: Lexicon) -> Case:
    """One thing and many."""
    noun = _noun(source, lexicon)
    many = plural(noun)
    back = source.maybe(0.25)
    x, right = (many, noun) if back else (noun, many)
    user = _asked(source, "singular" if back else "plural", [x], x=quoted(source, x, 0.3))
    answer = source.pick(f"{capital(right)}.", f"One {noun}, two {many}.", f"It is {right}.")
    wrong = (f"two {x}s",) if not back and right != f"{x}s" else ()
    return Case((Turn(user, answer),), ((right,),), wrong, about="plural")


@functools.cache
def foreign_words() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Language, what is said in English, what is right there."""
    cells = ((language, *cell.partition("=")[::2]) for language, *rest in table("little_foreign") for cell in rest)
    return tuple((language, english, tuple(there.split("|"))) for language, english, there in cells)


def foreign(source: Source, lexicon: Lexicon) -> Case:
    """A few words of other languages."""
    language, english, _ = source.pick(*foreign_words())
    return said_in(source, language, english)


def said_in(source: Source, language: str, english: str) -> Case:
    """What that is in this language."""
    right = next(right for name, word, right in foreign_words() if (name, word) == (language, english))
    user = _asked(source, "foreign", [english], w=english, l=language)
    said = right[0]
    answer = source.pick(f"{capital(said)}.", f"In {language} it is {said}.", f"{capital(said)}!", f"One says {said}.")
    return replace(one(user, answer, right), about=language)


KINDS: list[Kind] = [
    Kind("word with a letter", GROUP, with_letter, 3),
    Kind("several with a letter", GROUP, several_with_letter, 1.5),
    Kind("count", GROUP, count, 3),
    Kind("number between", GROUP, between, 1),
    Kind("bigger or smaller", GROUP, compare, 3),
    Kind("sort numbers", GROUP, sort_numbers, 1.5),
    Kind("first in the alphabet", GROUP, first_of, 1),
    Kind("row in order", GROUP, row, 3),
    Kind("plural", GROUP, forms, 2.5),
    Kind("in other languages", GROUP, foreign, 2.5),
]
