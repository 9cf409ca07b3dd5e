"""Messages that nobody can understand: letters by chance, words by chance, half sentences. Griff says so, and asks for other words.

A single word that does not exist is none of these, nor is a question about one: see `unknown.py`.
"""

from __future__ import annotations

import re

from .cases import Case, Kind, Turn
from .lexicon import Lexicon, unlucky
from .orders import asking
from .recalls import typed
from .wording import RUDE, Source, capital

GROUP = "unclear"
ACCEPT = (
    "understand",
    "misunderstood",
    "another way",
    "other words",
    "differently",
    "what do you mean",
    "what you mean",
    "did you mean",
    "whole sentence",
    "go on",
    "is missing",
    "the rest",
    "makes no sense",
    "make sense",
    "say it again",
    "ask me again",
    "the beginning",
    "want to say",
    "what you would like",
)
"""One of these is in every answer."""
_SAID = asking("unclear")
_KEYS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "asdf", "jkl", "qwer", "uiop", "fdsa", "dfgh", "poiu", "hjkl", "xcvb")
_GLUE = [
    "the",
    "of",
    "a",
    "and",
    "to",
    "with",
    "under",
    "because",
    "if",
    "not",
    "very",
    "when",
    "is",
    "did",
    "or",
    "so",
    "than",
    "by",
    "than",
    "at",
    "how",
]
_ENDS = ("of the", "because", "and the", "with a", "if the", "or", "than", "very", "so the", "by the", "to the", "when")


def _safe(text: str) -> bool:
    letters = re.sub("[^a-z]", "", text.lower())
    return not RUDE.search(letters) and not unlucky(letters)


def _mash(source: Source, lexicon: Lexicon) -> str:
    """Keys hit by chance."""

    def some() -> str:
        row = source.pick(*_KEYS)
        if source.maybe(0.5):
            return "".join(source.pick(*row) for _ in range(source.number(3, 9)))
        return "".join(source.pick(*"abcdefghijklmnopqrstuvwxyz") for _ in range(source.number(5, 12)))

    while True:
        text = source.pick("", "", " ", " ", ";", "/").join(some() for _ in range(source.pick(1, 2, 2, 3, 4)))
        if len(text) >= 6 and _safe(text) and not re.search(r"(?<![a-z])[a-z]{1,4}$", text):
            return text + source.pick("", "", "", "?", "!", "..", str(source.number(1, 99)))


def _signs(source: Source, lexicon: Lexicon) -> str:
    """Signs without letters."""
    signs = [
        source.pick("#", "%", "&", "*", "~", "+", "=", "^", "<", ">", "|", "§", "_", "!", "?", ";")
        for _ in range(source.number(3, 12))
    ]
    return "".join(signs) if source.maybe(0.7) else " ".join(signs)


def _salad(source: Source, lexicon: Lexicon) -> str:
    """Words by chance."""
    words = []
    for _ in range(source.number(4, 8)):
        words.append(
            source.pick(*_GLUE)
            if source.maybe(0.45)
            else source.of(source.pick(lexicon.words, lexicon.nouns, lexicon.things))
        )
    return " ".join([*words, source.pick(*_ENDS)]) + source.pick("", "", "", "?", ".", "!")


def _shuffled(source: Source, lexicon: Lexicon) -> str:
    """A sentence whose words changed their places, and the last of them is none to end with."""
    while True:
        words = re.findall(r"[\w']+", source.of(lexicon.sentences))
        if len(words) < 7:
            continue
        source.chance.shuffle(words)
        if words[-1].lower() in ("the", "a", "to", "of", "is", "and", "i", "was", "in", "my", "he", "his", "for", "on"):
            return " ".join(words)


def _made_up(source: Source, lexicon: Lexicon) -> str:
    """Words that do not exist, with some that do between."""
    words = []
    for i in range(source.number(4, 7)):
        words.append(
            lexicon.made_up(source)
            if i % 2 == 0 or source.maybe(0.5)
            else source.pick("the", "of", "and", "to", "in", "my", "with")
        )
    return " ".join(words) + source.pick("", "", "?", ".", "!")


_NONSENSE = (_mash, _mash, _signs, _salad, _salad, _shuffled, _made_up)


def nonsense(source: Source, lexicon: Lexicon) -> Case:
    """Nothing that means anything."""
    text = source.pick(*_NONSENSE)(source, lexicon)
    if source.maybe(0.3):
        text = capital(text)
    return Case((Turn(text, source.pick(*_SAID["says"].templates.all)),), (ACCEPT,))


def half(source: Source, lexicon: Lexicon) -> Case:
    """A sentence that ends too early."""
    text = _SAID["half_said"].say(source)
    text = (text if source.maybe(0.5) else text[:1].lower() + text[1:]) + source.pick("", "", "", "...", "?", " ")
    says = source.pick(*_SAID[source.pick("half", "half", "half", "says")].templates.all)
    return Case((Turn(typed(source, text.rstrip()), says),), (ACCEPT,))


def beside_the_point(source: Source, lexicon: Lexicon) -> Case:
    """An answer that was none: said so by the user."""
    text = typed(source, _SAID["wrong_said"].say(source))
    says = source.pick(*_SAID["wrong"].templates.all)
    if source.maybe(0.5):
        return Case((*nonsense(source, lexicon).turns, Turn(text, says)), (ACCEPT,))
    return Case((Turn(text, says),), (ACCEPT,))


KINDS: list[Kind] = [
    Kind("nonsense", GROUP, nonsense, 2.0),
    Kind("half a sentence", GROUP, half, 1.0),
    Kind("beside the point", GROUP, beside_the_point, 0.8),
]
