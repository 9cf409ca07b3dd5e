"""Letters: to spell a word, to name one of its letters, to count them, to put them together.

Which letters a piece of the tokenizer has is knowledge, as a fact is: it stands nowhere in the conversation. So no word is
held out of spelling, only wordings and what chance puts together are; and frequent words, and the tokenizer's own pieces
where they are known, are spelled often.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from dataclasses import replace

from .cases import Case, Kind, Turn
from .copying_parts import ORDER, SHORT_ORDER, Piece, ask, both, exactly, long_word, quoted
from .lexicon import Lexicon, unlucky
from .wording import Source, capital

_ALL = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_FREQUENT, _ANY, _PIECE, _NAME, _MADE, _LONG = "frequent", "any", "piece", "name", "made", "long"
_SORTS = {_FREQUENT: 0.3, _ANY: 0.22, _PIECE: 0.15, _NAME: 0.15, _MADE: 0.13, _LONG: 0.05}


@functools.lru_cache(maxsize=20)
def _frequent(lexicon: Lexicon) -> tuple[list[str], list[float]]:
    """Words with what they weigh together with those before them: the root of how often they are written."""
    rows = [(word, count**0.5) for word, count in lexicon.counts.items() if _fits(lexicon, word) and count >= 3]
    return [word for word, _ in rows], list(itertools.accumulate(weight for _, weight in rows))


@functools.lru_cache(maxsize=20)
def _all(lexicon: Lexicon) -> tuple[str, ...]:
    """Every word of the stock."""
    pools = (lexicon.vocabulary, lexicon.words, lexicon.nouns, lexicon.things, lexicon.animals, lexicon.colors)
    words = {word for pool in pools for text in pool.all for word in re.findall("[a-z]+", text)}
    return tuple(sorted(word for word in words if _fits(lexicon, word)))


@functools.lru_cache(maxsize=20)
def _names(lexicon: Lexicon) -> tuple[str, ...]:
    pools = (lexicon.common, lexicon.rare, lexicon.foreign, lexicon.surnames, lexicon.towns)
    return tuple(name for pool in pools for name in pool.all if name.isalpha() and len(name) > 2)


def _fits(lexicon: Lexicon, word: str) -> bool:
    return len(word) > 2 and word not in lexicon.coarse


def spellable(source: Source, lexicon: Lexicon, low: int = 3, high: int = 16) -> Piece:
    """A word to be taken apart, now and then with a capital: to a model "Garden" is another word than "garden"."""
    while True:
        sort = source.chance.choices([*_SORTS], [*_SORTS.values()])[0]
        if sort == _PIECE and not lexicon.pieces:
            sort = _FREQUENT
        if sort == _FREQUENT:
            words, weights = _frequent(lexicon)
            text = source.chance.choices(words, cum_weights=weights)[0]
        elif sort == _NAME:
            text = source.chance.choice(_names(lexicon))
        elif sort == _MADE:
            text = lexicon.invented(source)
        elif sort == _LONG:
            text = long_word(source, lexicon)
        else:
            text = source.chance.choice(lexicon.pieces if sort == _PIECE else _all(lexicon))
        if not low <= len(text) == len(text.upper()) <= high or text.lower() in lexicon.coarse:
            continue
        if sort != _NAME:
            text = source.pick(*[text.lower()] * 8, capital(text), capital(text), text.upper())
        return Piece(text, sort)


def spelled(text: str) -> str:
    """The form of all spelling: G-A-R-D-E-N."""
    return "-".join(text.upper())


def _answered(user: str, answer: str, accept: Sequence[str], about: str) -> Case:
    """A case whose answer is worked out letter by letter, and ends with what was asked for."""
    return Case((Turn(user, answer, (answer,)),), accept=(tuple(accept),), about=about)


def spell(source: Source, lexicon: Lexicon) -> Case:
    one = spellable(source, lexicon)
    return exactly(ask(source, "spell", [one.text], x=quoted(source, one.text, 0.3)), spelled(one.text), one.kind)


def backspell(source: Source, lexicon: Lexicon) -> Case:
    one = spellable(source, lexicon, high=9)
    user = ask(source, "backspell", [one.text], x=quoted(source, one.text, 0.3))
    back = spelled(one.text[::-1])
    return _answered(user, f"{spelled(one.text)}, and backwards: {back}", [back], one.kind)


def backword(source: Source, lexicon: Lexicon) -> Case:
    """The same, and then the word that comes out in one piece."""
    while True:
        one = spellable(source, lexicon, high=9)
        back = one.text[::-1].lower()
        if back not in lexicon.coarse and not unlucky(back):
            break
    user = ask(source, "backword", [one.text], x=quoted(source, one.text, 0.3))
    answer = f"{spelled(one.text)}, and backwards: {spelled(back)}, {back}"
    return _answered(user, answer, [back, spelled(back)], one.kind)


_AN = "AEFHILMNORSX"
"""Letters that are spoken with a vowel first."""


def _some_letter(source: Source, text: str, there: bool) -> str:
    """A letter that a word has, or one that it has not."""
    found = sorted(set(text.upper()))
    return source.pick(*(found if there else [one for one in _ALL if one not in found]))


def has_letter(source: Source, lexicon: Lexicon) -> Case:
    """Whether a word has a letter: spelled first, then looked at."""
    one, there = spellable(source, lexicon, high=9), source.maybe(0.5)
    letter = _some_letter(source, one.text, there)
    shown = source.pick(letter, letter.lower(), quoted(source, letter, 1), quoted(source, letter.lower(), 1))
    named = f"{'an' if letter in _AN else 'a'} {shown}" if source.maybe(0.7) else f"the letter {shown}"
    user = ask(source, "hasletter", [one.text, shown], x=quoted(source, one.text, 0.4), l=named, b=shown)
    article = f"{'an' if letter in _AN else 'a'} {letter}"
    answer = (
        f"{spelled(one.text)}: yes, it has {article}." if there else f"{spelled(one.text)}: no, it has no {letter}."
    )
    case = _answered(user, answer, ["yes" if there else "no"], one.kind)
    return replace(case, reject=("no" if there else "yes",))


_TIMES = ("no", "once", "twice")


def count_letter(source: Source, lexicon: Lexicon) -> Case:
    """How often a letter comes in a word."""
    one = spellable(source, lexicon, high=10)
    letter = _some_letter(source, one.text, source.maybe(0.88))
    if source.maybe(0.5):  # those that come more than once
        many = sorted({sign for sign in one.text.upper() if one.text.upper().count(sign) > 1})
        letter = source.pick(*many) if many else letter
    count = one.text.upper().count(letter)
    shown = source.pick(letter, letter.lower())
    user = ask(source, "countletter", [one.text], x=quoted(source, one.text, 0.4), b=shown)
    said = f"has no {letter}" if not count else f"has {letter} {_TIMES[count] if count < 3 else f'{count} times'}"
    accept = {0: ["no", "0", "zero"], 1: ["once", "1", "one"], 2: ["twice", "2", "two"]}
    answer = f"{spelled(one.text)} {said}."
    return _answered(user, answer, accept.get(count, [f"{count} times", str(count)]), one.kind)


def vowels(source: Source, lexicon: Lexicon) -> Case:
    """How many vowels a word has: they are named first."""
    while True:
        one = spellable(source, lexicon, high=9)
        found = [sign for sign in one.text.upper() if sign in "AEIOU"]
        if found and "y" not in one.text.lower():
            break
    user = ask(source, "vowels", [one.text], x=quoted(source, one.text, 0.4))
    answer = f"{spelled(one.text)}: the vowels are {', '.join(found)}, so {len(found)}."
    if len(found) == 1:
        answer = f"{spelled(one.text)}: the only vowel is {found[0]}, so 1."
    return _answered(user, answer, [f"so {len(found)}", f"{len(found)}"], one.kind)


def first_last(source: Source, lexicon: Lexicon) -> Case:
    one = spellable(source, lexicon)
    user = ask(source, "firstlast", [one.text], x=quoted(source, one.text, 0.4))
    return exactly(user, f"{one.text[0].upper()} and {one.text[-1].upper()}", one.kind)


def initial(source: Source, lexicon: Lexicon) -> Case:
    one = spellable(source, lexicon)
    return exactly(ask(source, "initial", [one.text], x=quoted(source, one.text)), one.text[0].upper(), one.kind)


def final(source: Source, lexicon: Lexicon) -> Case:
    one = spellable(source, lexicon)
    return exactly(ask(source, "final", [one.text], x=quoted(source, one.text)), one.text[-1].upper(), one.kind)


def letter(source: Source, lexicon: Lexicon) -> Case:
    one = spellable(source, lexicon, high=12)
    at = source.number(0, min(len(one.text), len(ORDER)) - 1)
    order = source.pick(ORDER[at], ORDER[at], SHORT_ORDER[at])
    user = ask(source, "letter", [one.text], x=quoted(source, one.text), o=order, d=at + 1)
    found = one.text[at].upper()
    answer = f"{spelled(one.text[: at + 1])}: the {ORDER[at]} letter is {found}."
    return _answered(user, answer, [f"letter is {found}", f"It is {found}"], one.kind)


def letters(source: Source, lexicon: Lexicon) -> Case:
    """How many: spelled first, since that is how one counts."""
    one = spellable(source, lexicon, high=10)
    user = ask(source, "letters", [one.text], x=quoted(source, one.text))
    count = len(one.text)
    answer = f"{spelled(one.text)} has {count} letters."
    return _answered(user, answer, [f"{count} letters"], one.kind)


def unspell(source: Source, lexicon: Lexicon) -> Case:
    one = spellable(source, lexicon, high=12)
    by = source.pick("-", "-", "-", " ", " ", ", ", ". ")
    loud = source.maybe(0.5)
    parts = by.join(one.text.upper() if loud else one.text.lower())
    user = ask(source, "unspell", [parts], x=quoted(source, parts, 0.2))
    return exactly(user, one.text.lower(), one.kind)


MORE: list[Kind] = [
    *both("write backwards", backword, 0.8, 0.5),
    *both("has a letter", has_letter, 0.8, 0.4),
    *both("how often a letter", count_letter, 0.6, 0.3),
    *both("vowels", vowels, 0.4, 0.2),
    *both("first and last letter", first_last, 0.4, 0.2),
]
KINDS: list[Kind] = [
    *both("spell", spell, 7, 3),
    *both("spell backwards", backspell, 1, 0.4),
    *both("first letter", initial, 1.2, 0.5),
    *both("last letter", final, 1.2, 0.5),
    *both("a letter of a word", letter, 1, 0.4),
    *both("count letters", letters, 1, 0.4),
    *both("put letters together", unspell, 1.5, 0.7),
    *MORE,
]
