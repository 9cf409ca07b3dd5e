"""What is copied, and how one asks for it: pieces of an open vocabulary, lists of them, quotation marks."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .cases import Case, Kind, Make, Turn
from .lexicon import Lexicon, table, unlucky
from .wording import Source, Wordings, _digest, a, capital, roughen

_DO = (
    "||||||||please |can you |could you |would you |will you |I want you to |I'd like you to |I need you to |now |kindly |"
    "let's see if you can |I bet you can |your task: |would you please |can you please |try to |go on, |Griff, "
)
_SLOTS = {
    name: options.split("|")
    for name, options in {
        "do": _DO,
        "hey": "|||||||||Hey, |Griff, |Okay, |Hello, |Hi, |Hey Griff, |So, |Well, |Good morning, ",
        "please": "|||||||, please| please| for me|, Griff| if you can|, thanks|, would you|, if you don't mind",
        "stop": "|||||.|.|.|!| .",
        "end": "?|?|?|?|?|??||, please?|, Griff?",
        "kin": "sister|brother|mother|father|friend|aunt|uncle|cousin|grandma|grandpa|neighbor|teacher|"
        "daughter|son|roommate|best friend|classmate|nephew|niece|mom|dad|boss",
    }.items()
}
QUOTES = ('"{}"', '"{}"', '"{}"', "'{}'", "'{}'", "`{}`", "«{}»", "“{}”", "*{}*")
TIMES = {2: ("twice", "two times", "2 times"), 3: ("three times", "3 times"), 4: ("four times", "4 times")}
TIMES |= {5: ("five times", "5 times")}
ORDER = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")
SHORT_ORDER = ("1st", "2nd", "3rd", "4th", "5th", "6th", "7th")


@functools.cache
def _wordings() -> dict[str, Wordings]:
    templates: dict[str, list[str]] = {}
    for name, template in table("copying_asks"):
        templates.setdefault(name, []).append(template)
    return {name: Wordings(rows, **_SLOTS) for name, rows in templates.items()}


def ask(source: Source, name: str, keep: Sequence[str], **fields: object) -> str:
    """A question of this name. `keep`: what will be copied stays as it is, at the start of the question too."""
    text = _wordings()[name].say(source, **fields)
    for value in map(str, fields.values()):
        if text.startswith(capital(value)):
            text = value + text[len(value) :]
    text = roughen(source, text, [part for part in keep if len(part) > 1])
    return re.sub(" {2,}", " ", text).strip()


def exactly(user: str, answer: str, about: str = "", cased: bool = False) -> Case:
    """A case with one right answer, all of it copied or changed letter by letter."""
    return Case((Turn(user, answer, (answer,)),), exact=answer, cased=cased, about=about)


def both(name: str, make: Make, weight: float = 1.0, task: float = 1.0) -> list[Kind]:
    """The kind as a row of copying and as a small task."""
    return [Kind(name, "copying", make, weight), Kind(f"task: {name}", "tasks", make, task)]


# --- pieces -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Piece:
    """What is copied. `kind`: for the table; `noun`: what a question calls it."""

    text: str
    kind: str
    noun: str = "word"


def _name(source: Source, lexicon: Lexicon) -> Piece:
    name, kind = lexicon.name(source)
    return Piece(name, kind, "name")


def _full(source: Source, lexicon: Lexicon) -> Piece:
    return Piece(f"{lexicon.name(source)[0]} {source.of(lexicon.surnames)}", "full name", "name")


def _made(source: Source, lexicon: Lexicon) -> Piece:
    """Letters that are no word: "trick" may come by chance, too."""
    for _ in range(50):
        text = lexicon.made_up(source)
        if text not in lexicon.counts:
            break
    return Piece(text, "made up")


def _phrase(source: Source, lexicon: Lexicon) -> Piece:
    first = source.of(source.pick(lexicon.colors, lexicon.vocabulary))
    text = f"{first} {source.of(source.pick(lexicon.things, lexicon.animals))}"
    return Piece(text, "phrase", "words")


def _several(source: Source, lexicon: Lexicon) -> Piece:
    words = [_WORDS[source.pick("word", "word", "made")](source, lexicon).text for _ in range(source.number(2, 4))]
    return Piece(" ".join(words), "words", "words")


_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def _code(source: Source, lexicon: Lexicon) -> Piece:
    """Letters, digits and signs, as in a code or a file name."""
    while True:
        part = {
            "A": lambda: "".join(source.pick(*_LETTERS.upper()) for _ in range(source.number(1, 3))),
            "a": lambda: "".join(source.pick(*_LETTERS) for _ in range(source.number(2, 4))),
            "9": lambda: str(source.number(0, source.pick(9, 99, 999))),
            "w": lambda: source.of(lexicon.things).replace(" ", "-"),
        }
        shape = source.pick(
            "A9-a", "A9", "9-A", "a9", "9-9-9", "a-a", "w9", "A-w", "a.a", "w_w", "9/9", "A9A9", "w.a", "#9", "@w9"
        )
        code = "".join(part[sign]() if sign in part else sign for sign in shape)
        if not unlucky("".join(filter(str.isalpha, code))) and (_digest(code) % 7 == 0) == source.held:
            return Piece(code, "code", "code")


_DIGITS = "0123456789"


def _string(source: Source, lexicon: Lexicon) -> Piece:
    """Letters and digits by chance, as in a key or a serial number: six to sixteen of them."""
    while True:
        signs = source.pick(_LETTERS, _LETTERS.upper(), _DIGITS, _LETTERS + _DIGITS, _LETTERS.upper() + _DIGITS)
        text = "".join(source.pick(*signs) for _ in range(source.number(6, 16)))
        if len(text) > 8 and source.maybe(0.4):
            text = "-".join(text[i : i + 4] for i in range(0, len(text), 4))
        if not unlucky("".join(filter(str.isalpha, text))) and (_digest(text) % 7 == 0) == source.held:
            return Piece(text, "string", source.pick("code", "string", "key"))


def long_word(source: Source, lexicon: Lexicon) -> str:
    """Ten letters and more: a long word of the language, one put together, or one by chance."""
    for _ in range(100):
        text = source.pick(
            lambda: source.of(lexicon.long_words),
            lambda: source.of(lexicon.nouns) + source.of(lexicon.nouns),
            lambda: lexicon.made_up(source) + lexicon.made_up(source),
        )()
        if 10 <= len(text) <= 16 and text.isalpha() and not unlucky(text):
            return text
    return source.of(lexicon.nouns) * 2


_WORDS: dict[str, Callable[[Source, Lexicon], Piece]] = {
    "word": lambda s, lexicon: Piece(s.of(lexicon.vocabulary), "word"),
    "thing": lambda s, lexicon: Piece(s.of(lexicon.things), "word"),
    "animal": lambda s, lexicon: Piece(s.of(lexicon.animals), "word"),
    "color": lambda s, lexicon: Piece(s.of(lexicon.colors), "word"),
    "made": _made,
    "name": _name,
    "full": _full,
    "town": lambda s, lexicon: Piece(lexicon.town(s), "town", "name"),
    "figure": lambda s, lexicon: Piece(lexicon.figure(s), "number", "number"),
    "code": _code,
    "string": _string,
    "long": lambda s, lexicon: Piece(long_word(s, lexicon), "long word"),
    "phrase": _phrase,
    "words": _several,
}
WORDLIKE = ("word", "word", "word", "thing", "animal", "made", "made", "made", "name", "name", "town")
"""Kinds of a single word, as often as they come."""
ANY = (*WORDLIKE, "full", "figure", "figure", "code", "code", "string", "long", "phrase", "phrase", "words", "words")


def piece(source: Source, lexicon: Lexicon, kinds: Sequence[str] = ANY) -> Piece:
    return _WORDS[source.pick(*kinds)](source, lexicon)


def word(source: Source, lexicon: Lexicon, low: int = 3, high: int = 12, kinds: Sequence[str] = WORDLIKE) -> Piece:
    """A piece of letters alone, that long."""
    while True:
        one = piece(source, lexicon, kinds)
        if one.text.isalpha() and low <= len(one.text) <= high:
            return one


def quoted(source: Source, text: str, probability: float = 0.5) -> str:
    """The text, often in quotation marks of some kind."""
    if not source.maybe(probability) or '"' in text:
        return text
    marks = source.pick(*QUOTES)
    return (QUOTES[0] if "'" in text or "`" in text else marks).format(text)


# --- lists ------------------------------------------------------------------------------------

_LISTS = {
    "word": ("word", "words"),
    "thing": ("thing", "things"),
    "animal": ("animal", "animals"),
    "color": ("color", "colors"),
    "name": ("name", "names"),
    "town": ("town", "towns"),
    "figure": ("number", "numbers"),
    "made": ("word", "words"),
}


@dataclass(frozen=True)
class Listing:
    """Things in a row. `noun` and `nouns`: what a question calls one and several of them."""

    items: tuple[str, ...]
    noun: str
    nouns: str

    @property
    def text(self) -> str:
        return ", ".join(self.items)


def listing(source: Source, lexicon: Lexicon, low: int, high: int, plain: bool = False) -> Listing:
    """Between `low` and `high` different things. `plain`: single words in ASCII, none a number."""
    kinds = ["word", "word", "thing", "thing", "animal", "color", "name", "name", "made", "made", "town", "figure"]
    kinds = kinds[:-1] if plain else kinds
    kind = source.pick(*kinds)
    mixed = source.maybe(0.1)
    count, found, tries = source.number(low, high), dict[str, str](), 0
    while len(found) < count:
        tries += 1
        # Where a pool is too small, letters by chance never run out.
        now = "made" if tries > 40 else source.pick(*kinds) if mixed else kind
        text = _WORDS[now](source, lexicon).text
        if not plain or (text.isascii() and text.isalpha()):
            found.setdefault(text.lower(), text)
    noun, nouns = ("word", "words") if mixed or source.maybe(0.3) else _LISTS[kind]
    if source.maybe(0.15):
        noun, nouns = "item", "items"
    return Listing(tuple(found.values()), noun, nouns)


def spread(source: Source, items: Sequence[str]) -> str:
    """The items as people write a list."""
    style = source.number(0, 19)
    if style < 14 or len(items) < 2:
        return ", ".join(items)
    if style < 17:
        return joined(items)
    if style == 17:
        return "; ".join(items)
    if style == 18:
        return " / ".join(items)
    return " ".join(items) if not any(" " in item for item in items) else ", ".join(items)


def joined(items: Sequence[str], by: str = "and") -> str:
    """With "and" (or `by`) before the last."""
    return f"{', '.join(items[:-1])} {by} {items[-1]}" if len(items) > 1 else items[0]


# --- sentences --------------------------------------------------------------------------------


def sentence(source: Source, lexicon: Lexicon) -> str:
    """A sentence to be copied: one that somebody wrote, or one with words and names of the open vocabulary."""
    while True:
        if source.maybe(0.6):
            text = source.of(lexicon.long_sentences if source.maybe(0.25) else lexicon.sentences)
        else:
            text = source.pick(*frames("noun", "word", "name"))
            kind = source.pick("thing", "animal", "made") if "{a}" in text or "the {x}" in text.lower() else "name"
            text = framed(text, piece(source, lexicon, [kind]).text)
        if '"' not in text and "  " not in text:
            return text.lower() if source.maybe(0.05) else text


@functools.cache
def frames(*names: str) -> tuple[str, ...]:
    """Sentences for given words (`copying_sentences`)."""
    return tuple(text for name, text in table("copying_sentences") if name in names)


def framed(frame: str, x: str, y: str = "") -> str:
    """The frame with its words."""
    text = frame.format(x=x, y=y, a=a(x), b=a(y)) if y else frame.format(x=x, a=a(x))
    return capital(text)
