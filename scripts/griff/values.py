"""What people tell: a value of every kind (a name, a color, a time), out of an open vocabulary.

Closed lists are learned by heart, not copied: whatever can be composed is composed, and a seventh of what comes out is
held out.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from .lexicon import TABLES, Lexicon, table, unlucky
from .wording import PART, Pool, Source, _digest


@dataclass(frozen=True)
class Value:
    """As it is told, the part of it that an answer must hold, and what kind of word it is."""

    text: str
    core: str
    about: str

    @classmethod
    def of(cls, text: str, about: str, core: str = "") -> Value:
        return cls(text, core or text, about)


def sections(name: str) -> dict[str, list[str]]:
    """A table whose rows `* name` begin lists, all fields of the rows below each."""
    found: dict[str, list[str]] = {}
    key = ""
    for row in table(name):
        if row[0].startswith("* "):
            key = row[0][2:]
            found[key] = []
        else:
            found[key] += [field for field in row if field]
    return found


@functools.cache
def lists() -> dict[str, Pool[str]]:
    """The lists of `told_values.tsv`, and the other tables of words that values are made of."""
    found = {name: Pool(items) for name, items in sections("told_values").items()}
    for name in ("animals", "colors", "towns", "names_last"):
        if (TABLES / f"{name}.tsv").is_file():
            found[name] = Pool([row[0] for row in table(name)])
    return found


def fresh(source: Source, make: Callable[[], str]) -> str:
    """One that this source may show, of a vocabulary too large for a pool."""
    for _ in range(300):
        made = make()
        if (_digest(made.lower()) % PART == 0) == source.held and not unlucky(made.replace(" ", "-")):
            return made
    return make()


def drawn(source: Source, name: str) -> str:
    """One of a list."""
    return source.of(lists()[name])


def plural(noun: str) -> str:
    if noun.endswith(("s", "x", "sh", "ch")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    odd = {"mouse": "mice", "goose": "geese", "fish": "fish", "sheep": "sheep", "goldfish": "goldfish"}
    odd |= {"wolf": "wolves", "calf": "calves", "deer": "deer", "ox": "oxen", "knife": "knives", "scarf": "scarves"}
    odd |= {"leaf": "leaves", "shelf": "shelves", "loaf": "loaves", "moose": "moose", "squid": "squid", "elf": "elves"}
    return odd.get(noun, noun + "s")


@functools.cache
def _ours() -> frozenset[str]:
    """Words that Griff's own sentences have: as a value they would be found in any answer."""
    tables = ("told", "told_more", "told_days", "told_frames", "told_talk")
    return frozenset(re.findall(r"[a-z]+", " ".join(row[0].lower() for name in tables for row in table(name))))


def plain_word(source: Source, pool: Pool[str]) -> str:
    """A word; in the evaluation one that stands in no answer by itself."""
    while (one := source.of(pool)) in _ours() and source.held:
        pass
    return one


def _word(source: Source, lexicon: Lexicon) -> str:
    return plain_word(source, source.pick(lexicon.words, lexicon.words, lexicon.nouns, lexicon.things))


def cap_noun(source: Source, lexicon: Lexicon) -> str:
    return plain_word(source, lexicon.nouns).capitalize()


def person(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    if kind == "double" or (not kind and source.maybe(0.08)):
        return Value.of(lexicon.double(source), "double")
    name, about = lexicon.name(source, kind)
    return Value.of(name, about)


def pet(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    """Names of people, of pets, and words that became names."""
    if kind in ("common", "rare", "foreign", "invented", "double") or (not kind and source.maybe(0.55)):
        return person(source, lexicon, kind)
    if source.maybe(0.4):
        return Value.of(drawn(source, "petname"), "pet name")
    return Value.of(cap_noun(source, lexicon), "noun")


def color(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    """A color word, two words, or any word at all: whatever is called a color is one."""
    kind = kind or source.pick("plain", "plain", "compound", "compound", "noun", "noun", "invented")
    if kind == "plain":
        return Value.of(source.of(lists().get("colors", lists()["hue"])), kind)
    if kind == "compound":

        def two() -> str:
            first = drawn(source, "shade") if source.maybe(0.6) else source.of(lexicon.nouns)
            return f"{first} {source.pick(*lists()['hue'].all)}"

        return Value.of(fresh(source, two), kind)
    if kind == "noun":
        return Value.of(plain_word(source, lexicon.nouns), kind)
    return Value.of(lexicon.made_up(source), "invented")


def figure(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    if kind != "number" and source.maybe(0.06):
        tens = source.pick("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
        ones = source.pick("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
        return Value.of(
            fresh(source, lambda: source.pick(f"{tens}-{ones}", source.pick(*lists()["small"].all))), "number word"
        )
    return Value.of(lexicon.figure(source), "number")


def digits(source: Source, low: int, high: int) -> str:
    return "".join(str(source.number(0, 9)) for _ in range(source.number(low, high)))


def word(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    """A word to be remembered."""
    kind = kind or source.pick("word", "word", "word", "invented", "invented", "two words", "glued", "name", "capitals")
    if kind == "word":
        return Value.of(_word(source, lexicon), kind)
    if kind == "two words":
        return Value.of(f"{_word(source, lexicon)} {_word(source, lexicon)}", kind)
    if kind == "glued":
        first, second, number = _word(source, lexicon), _word(source, lexicon), source.number(2, 99)
        made = source.pick(f"{first}{second}", f"{first}-{second}", f"{first}{number}", f"{first.capitalize()}{number}")
        return Value.of(made.replace(" ", ""), kind)
    if kind == "name":
        return Value.of(lexicon.name(source)[0], kind)
    if kind == "capitals":
        return Value.of(_word(source, lexicon).capitalize(), kind)
    return Value.of(lexicon.made_up(source), kind)


def place_name(source: Source, lexicon: Lexicon, list_name: str) -> str:
    """A name with an ending such as "Street"."""
    stem = source.pick(
        cap_noun(source, lexicon),
        lexicon.name(source)[0],
        lexicon.invented(source),
        drawn(source, "tree").title(),
        drawn(source, "craft"),
    )
    return f"{stem} {source.pick(*lists()[list_name].all)}"


def surname(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    if "names_last" in lists() and source.maybe(0.6):
        return Value.of(drawn(source, "names_last"), "surname")
    return Value.of(lexicon.invented(source), "invented")


def nickname(source: Source, lexicon: Lexicon, kind: str = "") -> Value:
    made = source.pick(
        lexicon.invented(source),
        drawn(source, "petname"),
        cap_noun(source, lexicon),
        f"{source.pick('Big', 'Little', 'Lucky', 'Speedy', 'Sleepy', 'Captain', 'Funny')} {cap_noun(source, lexicon)}",
    )
    return Value.of(made, "nickname")
