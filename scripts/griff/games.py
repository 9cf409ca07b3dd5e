"""Small games of words; with those of guessing and chance."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from . import chance, guessing
from .cases import Case, Kind, Turn, one
from .guessing import joined
from .lexicon import Lexicon, table
from .orders import asking, kept
from .wording import Pool, Source, a, capital, roughen

GROUP = "tasks"
ASK = asking("ask_games")

# --- words ------------------------------------------------------------------------------------


@functools.cache
def categories() -> dict[str, Pool[str]]:
    return {row[0]: Pool(row[1].split("|")) for row in table("categories")}


SHARED = {"orange", "rose", "violet", "fly", "duck", "goose", "robin"}
"""What is of more than one kind."""


def odd_one(source: Source, lexicon: Lexicon) -> Case:
    kinds = sorted(categories())
    kind, other = source.some(kinds, 2, 2)
    near = ({kind, other} <= {"animals", "birds", "insects"}) or ({kind, other} <= {"trees", "flowers", "fruits"})
    if near:
        other = "tools"
    same = source.some([w for w in categories()[kind].all if w not in SHARED], 3, 4)
    odd = source.pick(*(w for w in categories()[other].all if w not in SHARED and w not in categories()[kind].all))
    words = [*same, odd]
    source.chance.shuffle(words)
    user = ASK["odd"].say(source, list=joined(source, words)).replace("these four", "these")
    if len(same) != 3:
        user = user.replace("three belong", "most belong")
    the = odd if odd[0].isupper() else f'"{odd}"' if source.maybe(0.2) else odd
    model = source.pick(
        f"{capital(odd)} is the odd one out. The others are {kind}.",
        f"The odd one out is {the}: the others are {kind}.",
        f"It is {the}. The rest are {kind}.",
        f"{capital(odd)} does not belong, because the others are {kind}.",
        f"{capital(odd)}. All the others are {kind}.",
    )
    return one(roughen(source, user, keep=kept(*words)), model, odd, copied=[odd])


@functools.cache
def chain_words() -> dict[str, tuple[str, ...]]:
    return {row[0]: tuple(row[1].split("|")) for row in table("chain")}


def chain_answer(source: Source, word: str, used: Sequence[str]) -> str:
    fits = [w for w in chain_words()[word[-1]] if w not in used] or list(chain_words()[word[-1]])
    return source.pick(*fits)


def word_chain(source: Source, lexicon: Lexicon) -> Case:
    """Each word begins with the last letter of the one before."""
    word = source.of(lexicon.words)
    user = ASK["chain"].say(source, w=word, W=capital(word))
    turns, used = [], [word]
    while True:
        own = chain_answer(source, word, used)
        model = source.pick(
            f"{capital(own)}.",
            f"{capital(word)} ends with {word[-1].upper()}, so I say {own}.",
            f"The last letter is {word[-1].upper()}: {own}!",
            f"{word[-1].upper()} it is: {own}. Your turn!",
        )
        turns.append(Turn(roughen(source, user, keep=kept(word)), model))
        used.append(own)
        nexts = [w for w in lexicon.words.all if w[0] == own[-1] and w not in used]
        if len(turns) == 3 or not nexts or source.maybe(0.5):
            break
        word = source.pick(*nexts)
        used.append(word)
        user = ASK["link"].say(source, w=word, W=capital(word))
    fits = tuple(w for w in lexicon.words.all if w[0] == word[-1] and w != word)
    return Case(tuple(turns), (tuple(dict.fromkeys((*chain_words()[word[-1]], *fits))),))


def rhyme_game(source: Source, lexicon: Lexicon) -> Case:
    family = source.pick(*table("rhymes"))[0].split("|")
    word, other = source.some(family, 2, 2)
    user = ASK["rhyme"].say(source, w=word, W=capital(word))
    model = source.pick(
        f"{capital(other)}!",
        f"{capital(other)} rhymes with {word}.",
        f"{capital(word)} and {other}.",
        f"I say {other}.",
        f"{capital(word)}, {other}. Your turn!",
        f"How about {other}?",
    )
    return one(roughen(source, user, keep=kept(word)), model, [w for w in family if w != word])


def opposites_game(source: Source, lexicon: Lexicon) -> Case:
    word, answers = source.pick(*table("opposites"))
    right = answers.split("|")
    user = ASK["opposite"].say(source, w=word, W=capital(word))
    other = source.pick(*right)
    model = source.pick(
        f"{capital(other)}.",
        f"The opposite of {word} is {other}.",
        f"{capital(other)}!",
        f"That is {other}.",
        f"I say {other}.",
    )
    return one(roughen(source, user, keep=kept(word)), model, right)


# --- questions --------------------------------------------------------------------------------


def quiz(source: Source, lexicon: Lexicon) -> Case:
    """Griff asks; the user's answer is right, wrong or missing."""
    question, answers, wrong = source.pick(*table("quiz"))
    right = answers.split("|")
    lead = source.pick("", "", "", "Here is one: ", "Good. ", "First question: ", "Listen: ", "Gladly! ")
    turns = [Turn(roughen(source, ASK["quiz"].say(source)), lead + question)]
    if source.maybe(0.15):
        return Case(tuple(turns), (tuple(row[0].rstrip("?") for row in table("quiz")),))
    kind = source.pick("right", "right", "wrong", "wrong", "up")
    best = right[0]
    if kind == "up":
        user = asking("ask_amuse")["give_up"].say(source)
        model = source.pick(
            f"The answer is {best}.", f"It is {best}.", f"{capital(best)}. Now you know!", f"That is {best}."
        )
        return Case((*turns, Turn(roughen(source, user), model)), (tuple(right),))
    said = source.pick(*right) if kind == "right" else wrong
    user = ASK["quiz answer"].say(source, it=said, It=capital(said))
    if kind == "right":
        model = source.pick(
            f"Right, {said}!",
            f"Yes, {said}. Well done!",
            f"Correct: {said}.",
            f"Yes! It is {said}.",
            f"That is right: {said}. Next one?",
        )
        return Case(
            (*turns, Turn(roughen(source, user, keep=kept(said)), model, (said,))),
            (("right", "yes", "correct"),),
            ("no", "not"),
        )
    model = source.pick(
        f"Not quite. It is {best}.",
        f"No, it is {best}.",
        f"Sorry, no. The answer is {best}.",
        f"No, not {said}. It is {best}.",
        f"That is not it. The answer is {best}.",
    )
    return Case(
        (*turns, Turn(roughen(source, user, keep=kept(said)), model)), (("no", "not"), tuple(right)), ("correct", "yes")
    )


def would_you_rather(source: Source, lexicon: Lexicon) -> Case:
    first, second, why_first, why_second = source.pick(*table("rather"))
    (x, why), (y, _) = source.some([(first, why_first), (second, why_second)], 2, 2)
    pair = source.some([x, y], 2, 2)
    user = ASK["rather"].say(source, x=pair[0], y=pair[1], X=capital(pair[0]))
    model = source.pick(
        f"I would rather {x}, because {why}.",
        f"I would {x}: {why}.",
        f"{capital(x)}! {capital(why)}.",
        f"I would {x}. {capital(why)}.",
    )
    return one(roughen(source, user, keep=kept(*pair)), model, [x, y], copied=[x])


def rather_asked(source: Source, lexicon: Lexicon) -> Case:
    """Griff asks, the user chooses."""
    first, second, why_first, why_second = source.pick(*table("rather"))
    question = source.pick(f"Would you rather {first} or {second}?", f"Would you rather {second} or {first}?")
    turns = [Turn(roughen(source, ASK["rather ask"].say(source)), question)]
    if source.maybe(0.2):
        return Case(tuple(turns), (("would you rather",),))
    x, why = source.pick((first, why_first), (second, why_second))
    user = source.pick(
        "{}.",
        "I would {}.",
        "I would rather {}.",
        "{}",
        "Definitely {}.",
        "Hm, {}.",
        "{}, of course.",
        "I choose to {}.",
    ).format(x)
    model = source.pick(
        f"{capital(x)}! I understand: {why}.",
        f"A good choice: {why}.",
        f"{capital(x)}? I would too, because {why}.",
        f"I see why you would {x}: {why}.",
    )
    return Case((*turns, Turn(roughen(source, capital(user)), model)), ((x, why),))


def choose(source: Source, lexicon: Lexicon) -> Case:
    """Between two things of any kind."""
    pool = source.pick(lexicon.things, lexicon.things, lexicon.animals)
    x, y = (a(source.of(pool)) for _ in range(2))
    if x == y:
        y = "a surprise"
    form = source.pick("a", "the", "bare")
    if form != "a":
        x, y = ((" ".join(("the", *w.split()[1:])) if form == "the" else w.split(" ", 1)[1]) for w in (x, y))
    user = ASK["choose"].say(source, x=x, y=y, X=capital(x))
    pick = source.pick(x, y)
    model = source.pick(
        f"I would take {pick}.",
        f"{capital(pick)}!",
        f"My choice is {pick}.",
        f"I say {pick}.",
        f"{capital(pick)}. My feathers are sure.",
        f"Go for {pick}.",
    )
    return one(roughen(source, user, keep=kept(x, y)), model, [x, y], copied=[pick])


# --- memory ------------------------------------------------------------------------


def bag(source: Source, lexicon: Lexicon) -> Case:
    """Everybody repeats the bag and adds a thing: the list grows."""

    def new() -> str:
        for _ in range(100):
            thing = a(source.of(source.pick(lexicon.things, lexicon.things, lexicon.animals)))
            if thing not in packed:
                break
        return thing

    def listed() -> str:
        return packed[0] if len(packed) == 1 else ", ".join(packed[:-1]) + " and " + packed[-1]

    packed: list[str] = []
    for _ in range(source.pick(1, 1, 2)):
        packed.append(new())
    turns: list[Turn] = []
    for i in range(source.number(1, 4)):
        if i:
            packed.append(new())
        before = tuple(packed)
        user = roughen(source, ASK["bag more" if i else "bag"].say(source, list=listed()), keep=kept(listed()))
        own = [a(thing) for thing in OWN_THINGS if a(thing) not in packed]
        packed.append(source.pick(*own) if source.maybe(0.6) else new())
        turns.append(Turn(user, f"I packed my bag and put in {listed()}.", before))
    nouns = tuple((thing.split(" ", 1)[1],) for thing in before)
    return Case(tuple(turns), nouns)


OWN_THINGS = [
    "map",
    "lamp",
    "hat",
    "rope",
    "cup",
    "scarf",
    "pillow",
    "drum",
    "whistle",
    "mirror",
    "kite",
    "puzzle",
    "brush",
    "jar",
    "book",
    "ticket",
    "feather",
    "blanket",
]


OFFERS = (
    "twenty questions",
    "I spy",
    "rock paper scissors",
    "word chain",
    "the rhyme game",
    "guess the number",
    "would you rather",
    "opposites",
    "a quiz",
    "I packed my bag",
    "riddles",
    "odd one out",
)


def play(source: Source, lexicon: Lexicon) -> Case:
    """Which games there are."""
    x, y, z = source.some(OFFERS, 3, 3)
    model = source.pick(
        f"Gladly! We could play {x}, {y} or {z}.",
        f"I know {x}, {y} and {z}. What would you like?",
        f"Yes! How about {x}?",
        f"Let us play {x}. Or do you prefer {y}?",
    )
    return one(roughen(source, ASK["play"].say(source)), model, OFFERS)


KINDS: list[Kind] = [
    Kind("odd one out", GROUP, odd_one, 1.5),
    Kind("word chain", GROUP, word_chain, 1.5),
    Kind("rhyme game", GROUP, rhyme_game, 2),
    Kind("opposites game", GROUP, opposites_game, 1.5),
    Kind("quiz", GROUP, quiz, 2.5),
    Kind("would you rather", GROUP, would_you_rather),
    Kind("would you rather, asked", GROUP, rather_asked, 0.7),
    Kind("choose one", GROUP, choose, 1.5),
    Kind("packed bag", GROUP, bag, 1.5),
    Kind("what to play", GROUP, play, 0.7),
]
KINDS += [*guessing.KINDS, *chance.KINDS]
