"""Games of numbers and chance."""

from __future__ import annotations

from .cases import Case, Kind, Turn, one
from .lexicon import Lexicon
from .orders import asking
from .wording import Source, capital, roughen

GROUP = "tasks"
ASK = asking("ask_games")

# --- numbers ----------------------------------------------------------------------------------

HINTS = {
    1: "as many as there are suns in our sky",
    2: "as many as you have eyes",
    3: "as many as a triangle has sides",
    4: "as many as a dog has legs",
    5: "as many as one hand has fingers",
    6: "as many as an ant has legs",
    7: "as many as a week has days",
    8: "as many as a spider has legs",
    9: "one less than ten",
    10: "as many as two hands have fingers",
}


def number_guessed(source: Source, lexicon: Lexicon) -> Case:
    """Griff halves what is left until he has the user's number."""
    top = source.pick(10, 10, 10, 20, 20, 50, 100)
    number, low, high = source.number(1, top), 1, top
    user = roughen(source, ASK["number"].say(source, top=top))
    turns: list[Turn] = []
    stop = source.number(1, 7)
    while True:
        guess = (low + high) // 2
        turns.append(
            Turn(user, source.pick(f"Is it {guess}?", f"{guess}?", f"I guess {guess}.", f"My guess is {guess}."))
        )
        if guess == number:
            break
        if len(turns) == stop:
            return Case(tuple(turns), ((str(guess),),))
        user = ASK["higher" if number > guess else "lower"].say(source)
        low, high = (guess + 1, high) if number > guess else (low, guess - 1)
    if source.maybe(0.4):
        return Case(tuple(turns), ((str(number),),))
    model = source.pick(
        f"Hooray, it was {number}!",
        f"Great! {number} it is.",
        f"I found it: {number}. That was fun!",
        f"{number}! Shall we play again?",
    )
    turns.append(Turn(ASK["hit"].say(source), model, (str(number),)))
    return Case(tuple(turns), ((str(number),),))


def number_thought(source: Source, lexicon: Lexicon) -> Case:
    """Griff's number, told by a hint; the user's guesses are too high, too low or right."""
    number = source.number(1, 10)
    lead = source.pick(
        "I have one. It is {}.", "Ready! My number is {}. What is it?", "Good. My hint: {}.", "All right, it is {}."
    )
    turns = [Turn(roughen(source, ASK["my number"].say(source)), lead.format(HINTS[number]))]
    for _ in range(source.number(1, 3)):
        guess = number if source.maybe(0.35) else source.number(1, 10)
        user = roughen(source, ASK["tip"].say(source, n=guess), keep=[str(guess)])
        if guess == number:
            model = source.pick(f"Yes, it is {number}!", f"Right, {number}! Well done.", f"Yes! {number} is my number.")
            turns.append(Turn(user, model, (str(number),)))
            return Case(tuple(turns), (("yes", "right"),), ("higher", "lower"))
        way = "higher" if number > guess else "lower"
        turns.append(
            Turn(
                user,
                source.pick(
                    f"No, it is {way}.", f"{capital(way)}!", f"My number is {way} than {guess}.", f"No, go {way}."
                ),
            )
        )
    return Case(tuple(turns), ((way,),), ("lower" if way == "higher" else "higher", "yes"))


# --- rock, paper, scissors --------------------------------------------------------------------

BEATS = {
    ("paper", "rock"): "paper covers rock",
    ("rock", "scissors"): "rock breaks scissors",
    ("scissors", "paper"): "scissors cut paper",
}


def result(theirs: str, own: str) -> str:
    """Who wins, in one clause."""
    if (own, theirs) in BEATS:
        return f"{BEATS[own, theirs]}, so I win"
    return f"{BEATS[theirs, own]}, so you win"


def rock_paper(source: Source, lexicon: Lexicon) -> Case:
    """Griff always takes another one than the user."""
    theirs = source.pick("rock", "paper", "scissors")
    others = [hand for hand in ("rock", "paper", "scissors") if hand != theirs]
    own = source.pick(*others)
    told = capital(result(theirs, own))
    tail = (
        source.pick("", "", " Again?", " Well played!")
        if told.endswith("you win")
        else source.pick("", "", " Again?", " Ha!")
    )
    model = (
        source.pick(
            f"{capital(own)}! {told}.",
            f"I have {own}. {told}!",
            f"My claw shows {own}. {told}.",
            f"I take {own}. {told}!",
        )
        + tail
    )
    fits = tuple(result(theirs, hand) for hand in others)
    if source.maybe(0.4):
        begin = Turn(
            roughen(source, ASK["rps start"].say(source)),
            source.pick(
                "Gladly! Rock, paper or scissors?",
                "Good! Say rock, paper or scissors.",
                "Ready. What do you take: rock, paper or scissors?",
            ),
        )
        user = ASK["rps move"].say(source, it=theirs, It=capital(theirs))
        return Case((begin, Turn(roughen(source, user), model)), (fits,))
    user = ASK["rps"].say(source, it=theirs, It=capital(theirs))
    return one(roughen(source, user), model, fits)


def coin(source: Source, lexicon: Lexicon) -> Case:
    side = source.pick("heads", "tails")
    model = source.pick(
        f"{capital(side)}!",
        f"It is {side}.",
        f"The coin says {side}.",
        f"I let chance decide: {side}.",
        f"{capital(side)}, this time.",
    )
    return one(roughen(source, ASK["coin"].say(source)), model, ["heads", "tails"])


def dice(source: Source, lexicon: Lexicon) -> Case:
    n = source.number(1, 6)
    model = source.pick(
        f"{n}!", f"It is a {n}.".replace("a 8", "an 8"), f"You get a {n}.", f"The die shows {n}.", f"I roll {n}."
    )
    return one(roughen(source, ASK["dice"].say(source)), model, [str(i) for i in range(1, 7)])


# Numbers that are guessed must not be taken for those that were told.
KINDS: list[Kind] = [
    Kind("rock, paper, scissors", GROUP, rock_paper, 1.5),
    Kind("Griff guesses a number", GROUP, number_guessed, 1.5, filler=False),
    Kind("Griff thinks of a number", GROUP, number_thought, 1.5, filler=False),
    Kind("coin", GROUP, coin, 0.5),
    Kind("die", GROUP, dice, 0.5, filler=False),
]
