"""Guessing games: an animal, a thing, a number.

A model has no memory beside the conversation. Where Griff has a secret, his first words hold a hint that fits it alone,
and every later answer follows from that hint.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from .asks import countable
from .cases import Case, Kind, Turn
from .lexicon import Lexicon, table
from .orders import asking, bare
from .wording import Source, Wordings, a, capital, roughen

GROUP = "tasks"
ASK = asking("ask_games")
GIVE_UP = asking("ask_amuse")["give_up"]
YES = ("Yes", "Yes", "Yes", "Right", "Oh yes")
NO = ("No", "No", "No", "Oh no")


@dataclass(frozen=True)
class Animal:
    """An animal, the hint that names it, what is true of it and what may be or not."""

    name: str
    hint: str
    true: frozenset[str]
    unsure: frozenset[str]


@dataclass(frozen=True)
class Attribute:
    """What can be asked of an animal, and both answers."""

    questions: tuple[str, ...]
    yes: str
    no: str


@functools.cache
def animals() -> dict[str, Animal]:
    rows = ((*row, *[""] * (4 - len(row))) for row in table("twenty"))
    return {row[0]: Animal(row[0], row[1], frozenset(row[2].split()), frozenset(row[3].split())) for row in rows}


@functools.cache
def attributes() -> dict[str, Attribute]:
    return {row[0]: Attribute(tuple(row[1].split("|")), row[2], row[3]) for row in table("attributes")}


# --- an animal that Griff thinks of -----------------------------------------------------------


def answer(source: Source, animal: Animal, name: str) -> tuple[str, str, bool]:
    """A question about an attribute, Griff's answer and whether it is yes."""
    attribute = attributes()[name]
    true = name in animal.true
    question = source.pick(*attribute.questions)
    user = ASK["question"].say(source, q=question, Q=capital(question))
    word = source.pick(*(YES if true else NO))
    told = attribute.yes if true else attribute.no
    model = source.pick(
        f"{word}, {told}.", f"{word}, {told}.", f"{word}, {told}.", f"{word}! {capital(told)}.", f"{word}."
    )
    return roughen(source, user), model, true


def says(true: bool) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """What an answer of yes or no must have, and must not."""
    return ((("yes", "right"),), ("no",)) if true else ((("no",),), ("yes", "right"))


OPEN = (
    "What color is it?",
    "Where does it live?",
    "What does it eat?",
    "How big is it?",
    "How old does it get?",
    "What is it called?",
)
ONLY = (
    "Ask me something that I can answer with yes or no.",
    "I only say yes or no. Try again!",
    "Yes or no questions, please!",
    "I can only say yes or no in this game.",
)


def thinks(source: Source, lexicon: Lexicon) -> Case:
    """Griff thinks of an animal; the user asks, guesses or gives up."""
    animal = source.pick(*animals().values())
    lead = source.pick(
        "I have one! A hint: {}",
        "All right, I think of an animal. {} Ask me!",
        "Good, I have an animal in mind. {}",
        "Ready. My hint is: {}",
        "I chose one. {} Now you may ask.",
        "Gladly! Here is my hint: {}",
    )
    turns = [Turn(roughen(source, ASK["think"].say(source)), lead.format(animal.hint))]
    open_to = [name for name in attributes() if name not in animal.unsure]
    asked = source.some(open_to, 0, 5)
    for i, name in enumerate(asked):
        if source.maybe(0.06):
            # What cannot be answered by yes or no stays open.
            turns.append(Turn(roughen(source, source.pick(*OPEN)), source.pick(*ONLY)))
        user, model, true = answer(source, animal, name)
        turns.append(Turn(user, model))
        if i == len(asked) - 1 and source.maybe(0.5):
            return Case(tuple(turns), *says(true))
    kind = source.pick("right", "right", "wrong", "wrong", "up")
    called = a(animal.name)
    if kind == "up":
        model = source.pick(
            f"It is {called}.", f"It was {called}!", f"I was thinking of {called}.", f"{capital(called)}!"
        )
        turns.append(Turn(roughen(source, GIVE_UP.say(source)), model))
        return Case(tuple(turns), ((animal.name,),))
    if kind == "right":
        user = ASK["animal"].say(source, it=called, It=capital(called))
        model = source.pick(
            f"Yes! It is {called}.",
            f"Right, it is {called}!",
            f"Yes, {called}. Well done!",
            f"You found it: {called}, yes!",
        )
        turns.append(Turn(roughen(source, user, keep=[called, capital(called)]), model, (animal.name,)))
        return Case(tuple(turns), (("yes", "right"), (animal.name,)), ("no", "not"))
    other = source.pick(*(name for name in animals() if name != animal.name))
    wrong = a(other)
    user = ASK["animal"].say(source, it=wrong, It=capital(wrong))
    model = source.pick(
        f"No, it is not {wrong}.",
        f"No, not {wrong}.",
        f"No. Think of my hint: {animal.hint}",
        f"No, {wrong} is not what I mean.",
    )
    copied = () if "hint" in model else (other,)
    turns.append(Turn(roughen(source, user, keep=[wrong, capital(wrong)]), model, copied))
    return Case(tuple(turns), (("no", "not"),), ("yes", "right", animal.name))


# --- an animal that the user thinks of --------------------------------------------------------

GUESSED = [
    "dog",
    "cat",
    "cow",
    "horse",
    "pig",
    "sheep",
    "duck",
    "owl",
    "eagle",
    "penguin",
    "parrot",
    "elephant",
    "giraffe",
    "lion",
    "tiger",
    "zebra",
    "rabbit",
    "snake",
    "frog",
    "turtle",
    "crocodile",
    "shark",
    "whale",
    "octopus",
    "bee",
    "butterfly",
    "kangaroo",
    "monkey",
    "bat",
    "squirrel",
]


@functools.cache
def best(names: frozenset[str], asked: frozenset[str]) -> str:
    """The question that parts these animals best: always the same, so that a game is a path in one tree."""

    def parts(name: str) -> tuple[int, int, int]:
        true = sum(name in animals()[n].true for n in names)
        unsure = sum(name in animals()[n].unsure for n in names)
        return max(true + unsure, len(names) - true), unsure, list(attributes()).index(name)

    fits = [name for name in attributes() if name not in asked and parts(name)[0] < len(names)]
    return min(fits, key=parts) if fits else ""


def path(name: str) -> list[tuple[str, bool]]:
    """The questions that lead to an animal, with the answers."""
    left, asked, steps = frozenset(GUESSED), frozenset[str](), []
    while len(left) > 1 and (question := best(left, asked)):
        true = question in animals()[name].true
        steps.append((question, true))
        asked |= {question}
        left = frozenset(n for n in left if question in animals()[n].unsure or (question in animals()[n].true) == true)
    return steps


def guesses(source: Source, lexicon: Lexicon) -> Case:
    """Griff asks until one animal is left; the conversation stops at any of his questions, or after the end."""
    name = source.pick(*GUESSED)
    steps = path(name)
    stop = source.number(0, len(steps) + 1)
    user = roughen(source, ASK["guess"].say(source))
    lead = source.pick("", "", "Gladly! ", "Good. ", "All right. ", "I like that game. ")
    turns: list[Turn] = []
    for i, (question, true) in enumerate(steps):
        asked = attributes()[question].questions[0]
        turns.append(Turn(user, lead + capital(asked) + "?"))
        if i == stop:
            return Case(tuple(turns), ((asked,),))
        user, lead = ASK["yes" if true else "no"].say(source), ""
    called = a(name)
    turns.append(
        Turn(
            user,
            source.pick(
                f"Is it {called}?", f"I think it is {called}!", f"Then it is {called}.", f"Is it {called}? I hope so."
            ),
        )
    )
    if source.maybe(0.5):
        return Case(tuple(turns), ((name,),))
    if source.maybe(0.6):
        cheer = source.pick(
            "Hooray! That was fun.",
            "I knew it! Another round?",
            "Hooray! My wings are flapping.",
            "Yes! Shall we play again?",
        )
        turns.append(Turn(ASK["hit"].say(source), cheer))
        return Case(tuple(turns))
    turns.append(
        Turn(ASK["no"].say(source), source.pick("Then you win! What was it?", "Oh! You beat me. Which animal was it?"))
    )
    other = source.of(countable(lexicon))
    told = source.pick("It was {}.", "{}!", "I thought of {}.", "{}").format(a(other))
    model = source.pick(
        f"{capital(a(other))}! I will remember that.",
        f"Ah, {a(other)}! I did not think of that.",
        f"{capital(a(other))}! Well played.",
    )
    turns.append(Turn(told, model, (other,)))
    return Case(tuple(turns), ((other,),))


# --- I spy ------------------------------------------------------------------------------------

SPY_GUESS: Wordings = ASK["animal"]


def spies(source: Source, lexicon: Lexicon) -> Case:
    """Griff spies a thing of his terminal: one for each letter."""
    rows = table("spy")
    letter, thing, hint = source.pick(*rows)
    begin = source.pick("I spy with my little eye something beginning with {}.", "I spy something beginning with {}.")
    turns = [
        Turn(roughen(source, ASK["spy"].say(source)), source.pick("", "", "Good! ", "I begin: ") + begin.format(letter))
    ]
    if source.maybe(0.3):
        hints = asking("ask_amuse")["hint"]
        turns.append(Turn(roughen(source, hints.say(source)), hint))
        if source.maybe(0.4):
            return Case(tuple(turns), ((bare(hint),),))
    kind = source.pick("right", "wrong", "up")
    if kind == "up":
        model = source.pick(
            f"It is the {thing}.", f"The {thing}!", f"It was the {thing}.", f"I was looking at the {thing}."
        )
        turns.append(Turn(roughen(source, GIVE_UP.say(source)), model))
        return Case(tuple(turns), ((thing,),))
    if kind == "right":
        the = f"the {thing}"
        user = SPY_GUESS.say(source, it=the, It=capital(the)).replace("animal", "thing")
        model = source.pick(f"Yes, the {thing}!", f"Right, it is the {thing}.", f"Yes! It is the {thing}.")
        turns.append(Turn(roughen(source, user, keep=[the, capital(the)]), model, (thing,)))
        return Case(tuple(turns), (("yes", "right"), (thing,)), ("no", "not"))
    other = source.of(countable(lexicon)) if source.maybe(0.6) else source.pick(*rows)[1]
    if other == thing:
        other = "sandwich"
    the = f"the {other}"
    user = SPY_GUESS.say(source, it=the, It=capital(the)).replace("animal", "thing")
    begins = f"No, the {other} begins with {other[0].upper()}. Mine begins with {letter}."
    model = source.pick(
        f"No, not the {other}.",
        f"No, it is not the {other}.",
        begins if other[0].upper() != letter else "No, but the letter is right.",
    )
    turns.append(
        Turn(roughen(source, user, keep=[the, capital(the)]), model, (other,) if f"the {other}" in model else ())
    )
    return Case(tuple(turns), (("no",),), ("yes", "right, it"))


def joined(source: Source, words: Sequence[str]) -> str:
    """Words in a row, the last after "and" or a comma."""
    return ", ".join(words[:-1]) + source.pick(" and ", " and ", ", ", ", and ") + words[-1]


def spied(source: Source, lexicon: Lexicon) -> Case:
    """The user spies one of the things of a list."""
    words: list[str] = []
    wanted = source.number(3, 6)
    for _ in range(200):
        word = source.of(source.pick(lexicon.animals, lexicon.things, lexicon.things))
        if word[0] not in {w[0] for w in words} and word.isalpha() and word not in ("spy", "eye"):
            words.append(word)
        if len(words) == wanted:
            break
    thing = source.pick(*words)
    letter = source.pick(thing[0], thing[0].upper())
    user = ASK["spying"].say(source, list=joined(source, [a(w) for w in words]), l=letter)
    model = source.pick(
        f"Is it the {thing}?",
        f"It is the {thing}!",
        f"The {thing}!",
        f"I think it is the {thing}.",
        f"You spy the {thing}.",
    )
    return Case(
        (Turn(roughen(source, user, keep=[*words, letter]), model, (thing,)),),
        ((thing,),),
        tuple(w for w in words if w != thing),
    )


KINDS: list[Kind] = [
    Kind("Griff thinks of an animal", GROUP, thinks, 3),
    Kind("Griff guesses an animal", GROUP, guesses, 3),
    Kind("I spy", GROUP, spies),
    Kind("I spy, by the user", GROUP, spied, 1.5),
]
