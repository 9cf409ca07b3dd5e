"""Sayings: tongue twisters, fun facts, proverbs, kind words, a pick for a mood."""

from __future__ import annotations

from .cases import Case, Kind, Turn, one
from .lexicon import Lexicon, table
from .orders import articles, asking, bare, small
from .wording import Source, Wordings, a, capital, roughen

GROUP = "tasks"
ASK = asking("ask_amuse")
HARD = ("", "", "", "", "little ", "good ", "short ", "new ", "hard ", "easy ")

TWISTER = ASK["twister"]


def twister(source: Source, lexicon: Lexicon) -> Case:
    text = source.pick(*table("twisters"))[0]
    lead = source.pick("", "", "", "Try this: ", "Say it fast: ", "Here is one: ")
    tail = source.pick("", "", "", " Now three times fast!", " Your turn!", " It ties my beak in a knot.")
    return one(
        roughen(source, TWISTER.say(source)), lead + text + tail, tuple(bare(row[0]) for row in table("twisters"))
    )


FACT = ASK["fact"]
FACT_ABOUT = ASK["fact_about"]
_BARE = (
    "honey",
    "rain",
    "snow",
    "lightning",
    "bamboo",
    "popcorn",
    "chocolate",
    "chess",
    "paper",
    "venus",
    "jupiter",
    "saturn",
)


def fact(source: Source, lexicon: Lexicon) -> Case:
    text = source.pick(*table("funfacts"))[1]
    lead = source.pick("", "", "", "Did you know? ", "Here is one: ", "I like this one: ", "Listen: ")
    return one(roughen(source, FACT.say(source)), lead + text, tuple(bare(row[1]) for row in table("funfacts")))


def fact_about(source: Source, lexicon: Lexicon) -> Case:
    topic, text = source.pick(*table("funfacts"))
    alone = {"moon": "the moon", "sun": "the sun", "sea": "the sea", "tower": "the Eiffel Tower"}
    called = alone.get(topic) or (topic if topic in _BARE else source.pick(*forms(topic)))
    called = called.capitalize() if topic in ("venus", "jupiter", "saturn") else called
    user = FACT_ABOUT.say(source, x=called)
    lead = source.pick("", "", "", "", "Sure! ", "Oh, I know one. ", "Did you know? ")
    return one(roughen(source, user, keep=[called]), lead + text, bare(text))


def forms(noun: str) -> tuple[str, ...]:
    """One and many of it."""
    many = {"butterfly": "butterflies", "octopus": "octopuses", "starfish": "starfish", "jellyfish": "jellyfish"}
    return (many.get(noun) or (noun + "es" if noun.endswith("ch") else noun + "s"), a(noun))


PROVERB = ASK["proverb"]
MEANS = ASK["means"]


def proverb(source: Source, lexicon: Lexicon) -> Case:
    text, meaning, _ = source.pick(*table("proverbs"))
    model = source.pick(
        f"{text}.",
        f"{text}. It means: {meaning}.",
        f"I like this one: {small(text)}.",
        f"{text}. In other words: {meaning}.",
    )
    return one(roughen(source, PROVERB.say(source)), model, tuple(row[0] for row in table("proverbs")))


def proverb_meaning(source: Source, lexicon: Lexicon) -> Case:
    text, meaning, must = source.pick(*table("proverbs"))
    user = MEANS.say(source, p=text if source.maybe(0.7) else small(text))
    model = source.pick(
        f"It means: {meaning}.",
        f"It says: {meaning}.",
        f"{capital(meaning)}. That is the idea.",
        f"That means: {meaning}.",
        f"In plain words: {meaning}.",
        f"People say it to tell you: {meaning}.",
    )
    return one(roughen(source, user), model, tuple(must.split("|")))


COMPLIMENT = ASK["compliment"]
COURAGE = ASK["courage"]
THOUGHT = ASK["thought"]


def _kind_words(mark: str, wordings: Wordings) -> Kind:
    def make(source: Source, lexicon: Lexicon) -> Case:
        lines = [row[1] for row in table("compliments") if row[0] == mark]
        return one(roughen(source, wordings.say(source)), source.pick(*lines), tuple(bare(line) for line in lines))

    return Kind({"c": "compliment", "m": "courage", "d": "thought"}[mark], GROUP, make, 0.6)


MOOD = ASK["mood"]


def mood(source: Source, lexicon: Lexicon) -> Case:
    word, text = source.pick(*table("moods"))
    user = articles(MOOD.say(source, mood=word))
    lead = source.pick(
        "", "", "", f"For a {word} day: " if word[0] not in "aeiou" else "", "How about this? ", "An idea: "
    )
    return one(roughen(source, user), lead + text, bare(text))


def one_more(source: Source, lexicon: Lexicon) -> Case:
    """Another fact, riddle, twister, proverb or compliment, never the same."""
    name, column, wordings = source.pick(
        ("funfacts", 1, FACT),
        ("riddles", 0, ASK["riddle"]),
        ("twisters", 0, TWISTER),
        ("proverbs", 0, PROVERB),
        ("compliments", 1, COMPLIMENT),
    )
    texts = [row[column] for row in table(name) if name != "compliments" or row[0] == "c"]
    first, second = (text if text[-1] in ".!?" else text + "." for text in source.some(texts, 2, 2))
    user = articles(wordings.say(source, hard=source.pick(*HARD)))
    lead = source.pick("", "", "", "Gladly. ", "One more: ", "Here you are. ")
    turns = (Turn(roughen(source, user), first), Turn(roughen(source, ASK["next"].say(source)), lead + second))
    return Case(turns, (tuple(bare(text) for text in texts if bare(text) != bare(first)),), (bare(first),))


KINDS: list[Kind] = [
    Kind("one more", GROUP, one_more, 1.2),
    Kind("tongue twister", GROUP, twister, 0.5),
    Kind("fun fact", GROUP, fact),
    Kind("fun fact about", GROUP, fact_about),
    Kind("proverb", GROUP, proverb, 0.6),
    Kind("proverb explained", GROUP, proverb_meaning, 1.2),
    _kind_words("c", COMPLIMENT),
    _kind_words("m", COURAGE),
    _kind_words("d", THOUGHT),
    Kind("pick for a mood", GROUP, mood, 0.8),
]
