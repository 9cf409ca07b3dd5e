"""A new word with its meaning, and a few words of other languages: said, asked for again, put into English.

He knows a handful of words of some languages and says so; of the others he says that he knows none.
"""

from __future__ import annotations

import functools
from dataclasses import replace

from . import little
from .cases import Case, Kind, Turn, one
from .facts import Fact, facts
from .lexicon import Lexicon, table
from .orders import kept
from .phrases import asking, rough
from .wording import Source, a, capital

GROUP = "tasks"
ASK = asking("ask_words")

# --- a new word -------------------------------------------------------------------------------


@functools.cache
def words() -> tuple[Fact, ...]:
    """Words that are taught: those whose meaning Griff knows."""
    return tuple(next(relation for relation in facts().relations if relation.name == "sense").facts)


def _taught(source: Source, word: Fact) -> str:
    x, y = word.x, word.right[0]
    lead = source.pick("", "", "", "", "Gladly. ", "Here is one: ", "With pleasure. ", "I like this one: ")
    says = [f"{x}. It means {y}.", f"{x} means {y}.", f"{x}. That means {y}.", f"{x}: {y}."]
    if lead.endswith(": "):
        return lead + source.pick(*says[:3])
    return lead + capital(source.pick(*says))


def teach(source: Source, lexicon: Lexicon) -> Case:
    """A word with its meaning, and perhaps another one."""
    first, second = source.some(words(), 2, 2)
    turns = [Turn(rough(source, ASK["teach"].say(source)), _taught(source, first))]
    about, reject, word = "a word", "", first
    if source.maybe(0.35):
        turns.append(Turn(rough(source, ASK["teachmore"].say(source)), _taught(source, second)))
        about, reject, word = "another word", first.x, second
    others = [known for known in words() if known.x != reject]
    accept = (tuple(known.x for known in others), tuple(known.right[0] for known in others))
    assert word in others
    return Case(tuple(turns), accept, (reject,) if reject and reject not in word.right[0] else (), about=about)


# --- other languages --------------------------------------------------------------------------


@functools.cache
def there() -> dict[str, dict[str, tuple[str, ...]]]:
    """Of each language what its words are for the English ones."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for language, english, right in little.foreign_words():
        found.setdefault(language, {})[english] = right
    return found


_FEW = (
    "",
    "",
    "",
    "",
    " I know only a few words of it.",
    " That is nearly all I know.",
    " More than a few words I don't know.",
)


def say_something(source: Source, lexicon: Lexicon) -> Case:
    """Something in a language, and then what it means."""
    language = source.pick(*there())
    english, right = source.pick(*there()[language].items())
    user = rough(source, ASK["saysome"].say(source, l=language, al=a(language)), [language])
    said = right[0]
    answer = source.pick(
        f"{said}! That means {english}.",
        f"{said}. That is {language} for {english}.",
        f"In {language}, {english} is {said}.",
        f"{said}: that means {english}.",
        f"{english} is {said} in {language}.",
    )
    known = tuple(word for words in there()[language].values() for word in words)
    turn = Turn(
        user, capital(answer) + source.pick(*_FEW), (language,) if language in answer and language in user else ()
    )
    if source.maybe(0.75):
        return Case((turn,), (known,), about=f"something in {language}")
    turn = replace(turn, model=capital(source.pick(f"{said}!", f"{said}.", f"{said}, for example.")), copied=())
    model = source.pick(
        f"It means {english}.", f"{english}.", f"That is {language} for {english}.", f"{said} means {english}."
    )
    asked = rough(source, ASK["foreignthat"].say(source))
    return Case((turn, Turn(asked, capital(model))), ((english,),), about=f"what was said in {language}")


def no_word(source: Source, lexicon: Lexicon) -> Case:
    """Something in a language of which he knows no word."""
    language = source.pick(*table("little_languages"))[0]
    user = rough(source, ASK["saysome"].say(source, l=language, al=a(language)), [language])
    other = source.pick("French", "Spanish", "German", "Italian")
    answer = source.pick(
        f"I don't know any {language}, sorry.",
        f"Sorry, I know no word of {language}. A few of {other} I know.",
        f"I know no {language} at all. Shall I try {other}?",
        f"I don't know any {language}. English is my language.",
        f"No {language} in my small head, sorry: I don't know a word of it.",
    )
    copied = [language] if language in user else []
    return replace(one(user, answer, ("don't know", "know no"), copied=copied), about="no word of it")


_ENGLISH = frozenset(
    [
        "pain",
        "chat",
        "pan",
        "pane",
        "air",
        "vale",
        "no",
        "si",
        "ne",
        "ami",
        "hai",
        "see",
        "ha",
        "bread",
        "water",
        "salve",
        "halo",
        "ya",
    ]
)
"""Words of other languages that are English ones, too."""


def meaning(source: Source, lexicon: Lexicon) -> Case:
    """What a word of another language means in English."""
    language = source.pick(*there())
    english, right = source.pick(*((e, r) for e, r in there()[language].items() if r[0] != e))
    said = source.pick(right[0], right[0], *right)
    while True:
        user = rough(source, ASK["foreignmean"].say(source, w=said, l=language), kept(said, language))
        if said not in _ENGLISH or language in user:
            break
    accept = tuple(e for words in there().values() for e, r in words.items() if said.lower() in map(str.lower, r))
    of = [name for name, words in there().items() if any(said.lower() in map(str.lower, r) for r in words.values())]
    answer = source.pick(f"{english}.", f"{english}.", f"It means {english}.", f"{said} means {english}.")
    if len(of) == 1 or language.lower() in user.lower():
        answer = source.pick(answer, f"That is {language} for {english}.", f"In {language} it means {english}.")
    return replace(one(user, capital(answer), accept), about="from another language")


def and_in(source: Source, lexicon: Lexicon) -> Case:
    """A word in one language, and then in another."""
    while True:
        first, second = source.some(sorted(there()), 2, 2)
        if both := [english for english in there()[first] if english in there()[second]]:
            break
    english = source.pick(*both)
    begin = little.said_in(source, first, english)
    user = rough(source, ASK["foreignnext"].say(source, l=second), [second])
    right = there()[second][english]
    said = right[0]
    answer = source.pick(f"{said}.", f"{said}!", f"In {second} it is {said}.", f"{said}, in {second}.")
    copied = (second,) if second in answer and second in user else ()
    return Case((*begin.turns, Turn(user, capital(answer), copied)), (right,), about=f"and in {second}")


# --- hello world ------------------------------------------------------------------------------


def hello(source: Source, lexicon: Lexicon) -> Case:
    """Hello world, said; or the line of Python that says it."""
    if source.maybe(0.5):
        user = rough(source, ASK["hello"].say(source))
        return Case(
            (Turn(user, source.pick("Hello, world!", "Hello, world!", "Hello world!")),), (("hello",), ("world",))
        )
    user = rough(source, ASK["hellocode"].say(source))
    answer = source.pick(
        'In Python it is one line: print("Hello, world!")',
        'Here it is in Python: print("Hello, world!")',
        'print("Hello, world!") is all of it, in Python.',
        'Gladly, in Python: print("Hello, world!")',
    )
    return one(user, answer, ('print("Hello, world!")', "print('Hello, world!')", "print"), "hello")


KINDS: list[Kind] = [
    Kind("teach a word", GROUP, teach, 2),
    Kind("something in a language", GROUP, say_something, 1.5),
    Kind("no word of a language", GROUP, no_word, 0.7),
    Kind("what a foreign word means", GROUP, meaning, 1),
    Kind("and in another language", GROUP, and_in, 0.7),
    Kind("hello world", GROUP, hello, 0.6),
]
