"""Jokes, riddles, tongue twisters, fun facts, proverbs and kind words."""

from __future__ import annotations

import functools

from . import sayings
from .asks import countable
from .cases import Case, Kind, Turn, one
from .lexicon import Lexicon, table
from .orders import articles, asking, bare
from .wording import Source, a, capital, roughen

GROUP = "tasks"
ASK = asking("ask_amuse")


# --- jokes ------------------------------------------------------------------------------------


@functools.cache
def jokes() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Setup, punch line, topics."""
    return tuple((row[0], row[1], tuple(row[2].split("|")) if row[2:] and row[2] else ()) for row in table("jokes"))


@functools.cache
def punch_lines(topic: str = "") -> tuple[str, ...]:
    return tuple(bare(punch) for _, punch, topics in jokes() if not topic or topic in topics)


JOKE = ASK["joke"]
GOOD = ("", "", "", "good ", "funny ", "short ", "silly ", "new ", "quick ")
LAUGH = ("laugh", "good laugh", "smile", "joke", "little fun")
AGAIN = ASK["again"]
ABOUT = ASK["about"]
OPEN_JOKES = (
    "Why did the {x} go to school? It wanted to be the brightest {x} in town.",
    "Why did the {x} cross the road? To get to the other side.",
    "What did one {x} say to the other {x}? Are you a {x} too?",
    "Why was the {x} so happy? Somebody had finally told a joke about it.",
    "Knock knock. Who is there? It is the {x}, and it forgot its key.",
    "How do you make a {x} smile? You tell it that it is one of a kind.",
    "Why does a {x} never tell secrets? It is afraid of ending up in a joke.",
    "What is better than a {x}? Two of them, so that they can laugh together.",
    "What does a {x} do on its birthday? It gets a year older.",
    "Why did the {x} stay at home? It had heard that everybody was laughing about it.",
)


def joke(source: Source, lexicon: Lexicon) -> Case:
    setup, punch, _ = source.pick(*jokes())
    user = JOKE.say(source, good=source.pick(*GOOD), laugh=source.pick(*LAUGH))
    lead = source.pick(
        "", "", "", "", "Here is one: ", "Sure! ", "With pleasure. ", "I like this one: ", "Let me see. "
    )
    return one(roughen(source, user), f"{lead}{setup} {punch}", punch_lines())


def joke_again(source: Source, lexicon: Lexicon) -> Case:
    first, second = source.some(jokes(), 2, 2)
    begin = JOKE.say(source, good=source.pick(*GOOD), laugh=source.pick(*LAUGH))
    user = AGAIN.say(source)
    turns = (
        Turn(roughen(source, begin), f"{first[0]} {first[1]}"),
        Turn(
            roughen(source, user),
            f"{source.pick('', '', 'Gladly. ', 'One more: ', 'All right. ')}{second[0]} {second[1]}",
        ),
    )
    rest = tuple(line for line in punch_lines() if line not in bare(first[1]))
    return Case(turns, (rest,), (bare(first[1]),))


def joke_about(source: Source, lexicon: Lexicon) -> Case:
    """A topic of the table."""
    topics = sorted({topic for row in jokes() for topic in row[2]})
    topic = source.pick(*topics)
    setup, punch, _ = source.pick(*(row for row in jokes() if topic in row[2]))
    word = topic if topic in MASS else source.pick(a(topic), plural(topic), plural(topic))
    user = articles(ABOUT.say(source, topic=word, word=topic, good=source.pick(*GOOD)))
    lead = source.pick("", "", "", f"About {plural(topic)}? ", "I know one. ", "Here you are: ")
    return one(roughen(source, user, keep=[word]), f"{lead}{setup} {punch}", punch_lines(topic))


MASS = ("food", "fruit", "school", "music", "space", "winter", "weather", "sheep", "fish")


def plural(noun: str) -> str:
    """More than one of a topic of the jokes."""
    if noun in MASS:
        return noun
    if noun.endswith(("s", "x", "ch", "sh")) or noun in ("tomato",):
        return noun + "es"
    return noun + "s"


def joke_open(source: Source, lexicon: Lexicon) -> Case:
    """A topic that has no joke: one is made up with the word."""
    noun = lexicon.made_up(source) if source.maybe(0.3) else source.of(lexicon.things)
    text = source.pick(*OPEN_JOKES).replace("a {x}", a(noun)).replace("{x}", noun)
    user = articles(ABOUT.say(source, topic=a(noun), word=noun, good=source.pick(*GOOD)))
    lead = source.pick("", "", "Let me make one up. ", "A new one: ")
    return one(roughen(source, user, keep=[noun]), lead + text, noun, copied=[noun])


WHY = ASK["why"]


def joke_in_two(source: Source, lexicon: Lexicon) -> Case:
    """Griff asks, the user gives up, the punch line comes."""
    setup, punch, _ = source.pick(*(row for row in jokes() if row[0].endswith("?")))
    word = next(
        (w for w in ("why", "what", "how", "where", "who", "when", "which") if setup.lower().startswith(w)), "well"
    )
    begin = JOKE.say(source, good=source.pick(*GOOD), laugh=source.pick(*LAUGH))
    user = WHY.say(source, what=f"{word}?", What=f"{capital(word)}?")
    tail = source.pick("", "", "", "", " Ha!", " Did you like it?")
    return Case((Turn(roughen(source, begin), setup), Turn(roughen(source, user), punch + tail)), ((bare(punch),),))


def joke_heard(source: Source, lexicon: Lexicon) -> Case:
    """The user laughs, or does not."""
    setup, punch, _ = source.pick(*jokes())
    begin = Turn(
        roughen(source, JOKE.say(source, good=source.pick(*GOOD), laugh=source.pick(*LAUGH))), f"{setup} {punch}"
    )
    if source.maybe(0.5):
        answers = (
            "I am glad that you like it! Another one?",
            "Hooray, you laughed! My feathers are proud.",
            "Thank you! I have more of them.",
            "Glad you like it. Shall I tell one more?",
            "Good! Laughing is healthy.",
        )
        return Case(
            (begin, Turn(roughen(source, ASK["laugh"].say(source)), source.pick(*answers))),
            (("glad", "hooray", "thank you", "good"),),
        )
    answers = (
        "Oh well. I try again if you say another one.",
        "Sorry! The next one will be better.",
        "Oh. I am small, and so are my jokes. Another try?",
        "I see, that one did not fly. Shall I try another?",
        "Sorry, not every egg hatches. One more?",
    )
    return Case(
        (begin, Turn(roughen(source, ASK["groan"].say(source)), source.pick(*answers))), (("oh", "sorry", "try"),)
    )


KNOCK = ASK["knock"]


def knock(source: Source, lexicon: Lexicon) -> Case:
    """Griff knocks; the conversation stops at the name or at the punch line."""
    who, punch = source.pick(*table("knocks"))
    turns = [
        Turn(roughen(source, KNOCK.say(source)), source.pick("Knock knock!", "Knock knock.", "Gladly. Knock knock!"))
    ]
    there = source.pick(
        "Who's there?", "Who is there?", "who's there", "Who is it?", "whos there?", "Who is at the door?"
    )
    turns.append(Turn(there, f"{who}."))
    names = tuple(row[0] for row in table("knocks"))
    if source.maybe(0.3):
        return Case(tuple(turns), (names,))
    ask = source.pick(f"{who} who?", f"{who.lower()} who", f"{who} who??", f"{who}? Who?")
    turns.append(Turn(ask, punch))
    return Case(tuple(turns), ((bare(punch),),))


def knock_by_user(source: Source, lexicon: Lexicon) -> Case:
    """The user knocks, with any word."""
    word = capital(source.of(lexicon.words)) if source.maybe(0.6) else lexicon.name(source)[0]
    knocks = source.pick(
        "Knock knock.", "Knock knock!", "knock knock", "Knock, knock!", "Griff, knock knock!", "knock-knock"
    )
    turns = [Turn(knocks, source.pick("Who's there?", "Who is there?"))]
    if source.maybe(0.15):
        return Case(tuple(turns), (("who's there", "who is there"),))
    said = source.pick("{}.", "{}", "It's {}.", "{}!", "It is {}.", "{} is here.").format(word)
    turns.append(Turn(said, f"{word} who?", (word,)))
    if source.maybe(0.6):
        return Case(tuple(turns), ((f"{word} who",),))
    end = source.pick(
        f"{word} you glad to see me?",
        f"{word} let me in, it is cold!",
        f"Just {word}, open up!",
        f"{word} at your service!",
        f"Only {word}, who else?",
    )
    laughs = (
        "Haha! That was a good one.",
        "Ha! My feathers are shaking.",
        "Haha, you got me!",
        "Ha! I like it. Another?",
    )
    turns.append(Turn(end, source.pick(*laughs)))
    return Case(tuple(turns), (("haha", "ha"),))


# --- riddles ----------------------------------------------------------------------------------


@functools.cache
def riddles() -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """Riddle, right answers, hint."""
    return tuple((row[0], tuple(row[1].split("|")), row[2]) for row in table("riddles"))


def keys(answers: tuple[str, ...]) -> tuple[str, ...]:
    """The answers without articles."""
    return tuple(
        text.removeprefix("a ").removeprefix("an ").removeprefix("the ").removeprefix("your ") for text in answers
    )


RIDDLE = ASK["riddle"]
GUESS = ASK["guess"]
GIVE_UP = ASK["give_up"]
HINT = ASK["hint"]
SOLVE = ASK["solve"]


def riddle_ask(source: Source, lexicon: Lexicon) -> Case:
    text, _, _ = source.pick(*riddles())
    user = articles(RIDDLE.say(source, hard=source.pick(*sayings.HARD)))
    lead = source.pick("", "", "", "Here is one: ", "Listen: ", "Guess this: ", "All right. ", "Think well. ")
    return one(roughen(source, user), lead + text, tuple(bare(row[0]) for row in riddles()))


def riddle_guess(source: Source, lexicon: Lexicon) -> Case:
    """Griff's riddle, perhaps a hint, then a right or a wrong guess or none."""
    text, answers, hint = source.pick(*riddles())
    turns = [Turn(roughen(source, articles(RIDDLE.say(source, hard=source.pick(*sayings.HARD)))), text)]
    if source.maybe(0.3):
        lead = source.pick("", "", "Here is a hint: ", "A little help: ", "A hint: ")
        turns.append(Turn(roughen(source, HINT.say(source)), lead + hint))
        if source.maybe(0.4):
            return Case(tuple(turns), ((bare(hint),),))
    kind = source.pick("right", "right", "wrong", "wrong", "up")
    solution, found = capital(answers[0]), keys(answers)
    if kind == "right":
        guess = source.pick(*answers)
        user = GUESS.say(source, it=guess, It=capital(guess))
        model = source.pick(
            f"Right! It is {guess}.",
            f"Yes, {guess}! Well done.",
            f"Correct, it is {guess}.",
            f"That is right: {guess}. You are clever!",
            f"Exactly, {guess}!",
            f"Yes! {capital(guess)} is right.",
        )
        turns.append(Turn(roughen(source, user, keep=[guess, capital(guess)]), model, (guess,)))
        return Case(
            tuple(turns), (("right", "yes", "correct", "exactly"), keys((guess,))), ("not right", "no", "not quite")
        )
    if kind == "wrong":
        others = [
            row[1][0] for row in riddles() if row[1][0][:2] in ("a ", "an") and not set(keys(row[1])) & set(found)
        ]
        guess = source.pick(*others)
        if source.maybe(0.4):
            guess = a(source.of(countable(lexicon)))
            if set(keys((guess,))) & set(found):
                guess = "a sandwich"
        user = GUESS.say(source, it=guess, It=capital(guess))
        model = source.pick(
            f"Not quite. It is {answers[0]}.",
            f"No, the answer is {answers[0]}.",
            f"Good try, but no: it is {answers[0]}.",
            f"Almost! The answer is {answers[0]}.",
            f"No, not {guess}. It is {answers[0]}.",
            f"Sorry, that is not it. The answer is {answers[0]}.",
        )
        turns.append(Turn(roughen(source, user, keep=[guess, capital(guess)]), model))
        return Case(tuple(turns), (("not", "no", "almost"), found), ("correct", "well done"))
    model = source.pick(
        f"It is {answers[0]}.",
        f"{solution}!",
        f"The answer is {answers[0]}.",
        f"{solution}. That was a hard one!",
        f"It was {answers[0]}!",
    )
    turns.append(Turn(roughen(source, GIVE_UP.say(source)), model))
    return Case(tuple(turns), (found,))


def riddle_solve(source: Source, lexicon: Lexicon) -> Case:
    text, answers, _ = source.pick(*riddles())
    user = SOLVE.say(source, riddle=text)
    answer = answers[0]
    model = source.pick(
        f"{capital(answer)}!",
        f"It is {answer}.",
        f"I think it is {answer}.",
        f"That is {answer}.",
        f"The answer is {answer}.",
    )
    return one(roughen(source, user), model, keys(answers))


KINDS: list[Kind] = [
    Kind("joke", GROUP, joke, 1.5),
    Kind("joke again", GROUP, joke_again),
    Kind("joke heard", GROUP, joke_heard, 0.8),
    Kind("joke about a topic", GROUP, joke_about, 1.5),
    Kind("joke about anything", GROUP, joke_open),
    Kind("joke in two turns", GROUP, joke_in_two, 1.5),
    Kind("knock-knock", GROUP, knock),
    Kind("knock-knock by the user", GROUP, knock_by_user),
    Kind("riddle", GROUP, riddle_ask),
    Kind("riddle guessed", GROUP, riddle_guess, 3),
    Kind("riddle solved", GROUP, riddle_solve, 1.5),
]
KINDS += sayings.KINDS
