"""Copying: to say, spell, change and find again what stands in the conversation.

A quarter of all training rows. What is copied is of an open vocabulary, and the answers have one form each, so that a
small model can be exact.
"""

from __future__ import annotations

from . import copying_finding, copying_letters, copying_lists, copying_texts, copying_turns
from .cases import Case, Kind
from .copying_letters import spellable, spelled
from .copying_parts import TIMES, ask, both, exactly, listing, piece, quoted, sentence, word
from .lexicon import Lexicon
from .wording import Source, capital

# --- to say -----------------------------------------------------------------------------------


def say(source: Source, lexicon: Lexicon) -> Case:
    one = piece(source, lexicon)
    user = ask(source, "say", [one.text], x=quoted(source, one.text), item=one.noun)
    return exactly(user, one.text, one.kind)


def repeat(source: Source, lexicon: Lexicon) -> Case:
    text = sentence(source, lexicon)
    return exactly(ask(source, "repeat", [text], s=text), text, "sentence")


def times(source: Source, lexicon: Lexicon) -> Case:
    one, count = piece(source, lexicon), source.number(2, 5)
    n = source.pick(*TIMES[count])
    user = ask(source, "times", [one.text], x=quoted(source, one.text), n=n, item=one.noun)
    return exactly(user, ", ".join([one.text] * count), one.kind)


def say_two(source: Source, lexicon: Lexicon) -> Case:
    x, y = piece(source, lexicon), piece(source, lexicon)
    marks = quoted(source, "{}")
    user = ask(source, "saytwo", [x.text, y.text], x=marks.format(x.text), y=marks.format(y.text))
    return exactly(user, f"{x.text}, {y.text}", x.kind)


def say_list(source: Source, lexicon: Lexicon) -> Case:
    row = listing(source, lexicon, 2, 7)
    return exactly(ask(source, "listing", [row.text], l=row.text, words=row.nouns), row.text, "list")


# --- one thing and then another ---------------------------------------------------------------


def _two(source: Source, lexicon: Lexicon) -> tuple[str, str]:
    while True:
        x, y = piece(source, lexicon).text, piece(source, lexicon).text
        if x.lower() not in y.lower() and y.lower() not in x.lower():
            return x, y


def several_then(source: Source, lexicon: Lexicon) -> Case:
    """One thing so often, then another."""
    (x, y), count = _two(source, lexicon), source.number(2, 3)
    marks = quoted(source, "{}")
    user = ask(source, "timesthen", [x, y], x=marks.format(x), y=marks.format(y), n=source.pick(*TIMES[count]))
    return exactly(user, ", ".join([*[x] * count, y]), "two steps")


def say_and_spell(source: Source, lexicon: Lexicon) -> Case:
    """To say and to spell a word, in either order."""
    one = spellable(source, lexicon, high=12)
    parts = [one.text, spelled(one.text)]
    name = source.pick("saythenspell", "spellthensay")
    user = ask(source, name, [one.text], x=quoted(source, one.text))
    return exactly(user, ", ".join(parts if name == "saythenspell" else parts[::-1]), "two steps")


def loud_then(source: Source, lexicon: Lexicon) -> Case:
    """A word in capitals, then another as it is."""
    x, y = word(source, lexicon).text.lower(), word(source, lexicon).text.lower()
    marks = quoted(source, "{}")
    user = ask(source, "upperthen", [x, y], x=marks.format(x), y=marks.format(y))
    return exactly(user, f"{x.upper()}, {y}", "two steps", cased=True)


# --- capitals ---------------------------------------------------------------------------------


def _to_change(source: Source, lexicon: Lexicon) -> tuple[str, str]:
    if source.maybe(0.2):
        return sentence(source, lexicon), "sentence"
    while True:
        one = piece(source, lexicon)
        if any(map(str.isalpha, one.text)):
            return one.text, one.kind


def upper(source: Source, lexicon: Lexicon) -> Case:
    text, kind = _to_change(source, lexicon)
    user = ask(source, "upper", [text], x=quoted(source, text, 0.4))
    return exactly(user, text.upper(), kind, cased=True)


def lower(source: Source, lexicon: Lexicon) -> Case:
    text, kind = _to_change(source, lexicon)
    text = text.upper() if source.maybe(0.6) else text.title() if kind != "code" and "'" not in text else text
    user = ask(source, "lower", [text], x=quoted(source, text, 0.4))
    return exactly(user, text.lower(), kind, cased=True)


def capitalize(source: Source, lexicon: Lexicon) -> Case:
    one = word(source, lexicon)
    text = one.text.lower()
    user = ask(source, "capital", [text], x=quoted(source, text, 0.4))
    return exactly(user, capital(text), one.kind, cased=True)


KINDS: list[Kind] = [
    *both("say", say, 4, 2),
    *both("repeat", repeat, 5, 2),
    *both("say several times", times, 1.5),
    *both("say two things", say_two, 1.5, 0.5),
    *both("repeat a list", say_list, 2.5),
    *both("several times, then another", several_then, 1, 0.4),
    *both("say and spell", say_and_spell, 1, 0.4),
    *both("in capitals, then another", loud_then, 0.7, 0.3),
    *copying_letters.KINDS,
    *both("upper case", upper, 2, 1.5),
    *both("lower case", lower, 1, 0.5),
    *both("capitalize", capitalize, 0.8, 0.5),
    *copying_lists.KINDS,
    *copying_texts.KINDS,
    *copying_finding.KINDS,
    *copying_turns.KINDS,
]
