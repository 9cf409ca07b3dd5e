"""Short texts to order: messages, verses, slogans, names, descriptions."""

from __future__ import annotations

import re

from . import helping, letters
from .cases import Case, Kind, Turn, one
from .lexicon import Lexicon, table
from .orders import articles, asking
from .wording import Pool, Source, a, capital, roughen

GROUP = "tasks"
ASK = asking("ask_writing")

DAYS = Pool(
    [
        *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
        *("next Monday", "next Tuesday", "next Wednesday", "next Thursday", "next Friday", "next week", "tomorrow"),
        *(
            f"{month} {day}"
            for month in ("January", "March", "April", "May", "June", "July", "August")
            for day in range(1, 29)
        ),
        *(f"{month} {day}" for month in ("September", "October", "November", "December") for day in range(1, 29)),
    ]
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "tomorrow", "next week")
TIMES = Pool(
    [
        *(f"{hour} o'clock" for hour in ("one", "two", "three", "four", "five", "six", "seven", "eight")),
        *(f"{hour}:{minute:02}" for hour in range(12, 21) for minute in (0, 15, 30, 45)),
        *(f"{hour} pm" for hour in range(1, 10)),
        *(f"{hour}:{minute} pm" for hour in range(1, 9) for minute in (15, 30, 45)),
        "noon",
    ]
)
TITLES = ("Ms. ", "Mr. ", "Mrs. ", "Dr. ")
ROLES = {
    **{
        f"my {role}": role
        for role in ("boss", "teacher", "friend", "neighbor", "colleague", "team", "landlord", "cousin")
    },
    **{
        f"my {role}": capital(role)
        for role in ("mom", "dad", "mother", "father", "grandma", "grandpa", "aunt", "uncle")
    },
    "my best friend": "friend",
    "my doctor": "doctor",
    "my sister": "sister",
    "my brother": "brother",
    "the office": "team",
    "my girlfriend": "love",
    "my boyfriend": "love",
    "my coach": "coach",
    "my manager": "manager",
}
"""Who a message is for when no name is said, and how it begins: "Dear Mom"."""


def place(source: Source, lexicon: Lexicon) -> str:
    towns = (
        "Paris",
        "Rome",
        "London",
        "the mountains",
        "the village",
        "the park",
        "the city",
        "Spain",
        "Norway",
        "Lisbon",
    )
    return source.pick(*towns) if source.maybe(0.4) else lexicon.name(source, "invented")[0]


def letter(text: str, fields: dict[str, str], sender: str) -> str:
    """The note as it is sent."""
    lines = text.format(**fields).split("|")
    if sender:
        lines[-1] = f"{lines[-1]},\n{sender}" if len(lines) > 2 else f"{lines[-1]}\n{sender}"
    return "\n".join(lines)


def message(source: Source, lexicon: Lexicon) -> Case:
    """A note whose names, things and days are the user's, letter by letter; one of them may be changed afterward."""
    what, text = source.pick(*table("messages"))
    formal = re.search("teacher|boss|landlord", what) and source.maybe(0.6)

    def values() -> dict[str, str]:
        # A title does not go with a first name that tells more.
        name = source.pick(*TITLES) + lexicon.invented(source) if formal else lexicon.name(source)[0]
        return {
            "to": name,
            "kid": lexicon.name(source)[0],
            "thing": f"the {source.of(lexicon.things)}",
            "day": source.pick(*WEEKDAYS) if source.maybe(0.5) else source.of(DAYS),
            "time": source.of(TIMES),
            "place": place(source, lexicon),
            "n": str(source.number(5, 99)),
        }

    fields = values()
    if "{to}" in what and source.maybe(0.35):
        role = re.search(r"\b(my|the) \w+(?= \{to\})", what)
        who = role[0] if role else source.pick(*ROLES)
        what = what.replace(f"{who} {{to}}" if role else "{to}", who)
        fields["to"] = ROLES.get(who, who.split()[-1])
    used = [field for field in fields if f"{{{field}}}" in what]
    asked = what.format(**fields)
    sender = lexicon.name(source)[0] if source.maybe(0.5) else ""
    sign = ASK["sign"].say(source, **{"from": sender}) if sender else ""
    # Some wordings bring an article along, others leave it to the note.
    wording = ASK["message"].say(source, what="\0", What="\1", sign=sign)
    called = asked if re.search(r"(a short|a good) \0", wording) else a(asked)
    user = articles(wording.replace("\0", called).replace("\1", capital(asked)))
    given = [*(fields[field] for field in used), *([sender] if sender else [])]
    turns = [Turn(roughen(source, user, keep=given), letter(text, fields, sender), tuple(given))]
    if used and source.maybe(0.25):
        field = source.pick(*used)
        old, new = fields[field], values()[field]
        others = [value for value in given if value != old]
        if (
            old not in new
            and new not in old
            and len(others) == len(given) - 1
            and not any(old in other or new in other for other in others)
        ):
            user = ASK["change"].say(source, old=old, new=new)
            given = [new if value == old else value for value in given]
            turns.append(
                Turn(roughen(source, user, keep=[old, new]), letter(text, fields | {field: new}, sender), tuple(given))
            )
            return Case(tuple(turns), tuple((value,) for value in given), (old,))
    return Case(tuple(turns), tuple((value,) for value in given))


# --- verses -----------------------------------------------------------------------------------


def haiku(source: Source, lexicon: Lexicon) -> Case:
    topic, text = source.pick(*table("haiku"))
    lines = text.split("|")
    alone = ("rain", "snow", "spring", "summer", "autumn", "winter", "morning", "night", "tea", "home")
    called = (
        topic if topic in alone else f"the {topic}" if topic in ("sea", "wind", "sun", "moon", "terminal") else a(topic)
    )
    user = ASK["haiku"].say(source, x=called)
    return one(roughen(source, user), "\n".join(lines), (lines[1], lines[2]))


def haiku_any(source: Source, lexicon: Lexicon) -> Case:
    rows = table("haiku")
    text = source.pick(*rows)[1]
    return one(
        roughen(source, ASK["haiku any"].say(source)), text.replace("|", "\n"), [row[1].split("|")[1] for row in rows]
    )


COUPLETS = (
    "{x} went out to catch the sun,\nand said that it was lots of fun.",
    "{x} has a pocket full of light\nand shares a little every night.",
    "When {x} laughs, the whole street hears,\nand even cats prick up their ears.",
    "{x} sat below the apple tree\nand drank a cup of morning tea.",
    "Here comes {x} with a paper hat,\na wooden sword and a sleepy cat.",
    "The rain came down, the wind blew hard,\nbut {x} danced in the back yard.",
    "{x} found a feather, soft and gray,\nand wrote a friendly word today.",
    "If {x} had wings, as griffins do,\nthe sky would be a friend or two.",
    "{x} counts the stars, one, two and three,\nand saves the brightest one for me.",
    "A song for {x}, a song for you,\na song as wide as skies are blue.",
    "{x} built a boat from bread and cheese\nand sailed away across the seas.",
    "Good morning, {x}, the day is new,\nit brings a bit of gold for you.",
    "{x} met an owl on the way to town.\nThe owl said hello, and then sat down.",
    "Whoever knows how {x} can sing\nforgets about each other thing.",
    "No hill too high, no way too long,\nfor {x} goes on with a happy song.",
)


def couplet(source: Source, lexicon: Lexicon) -> Case:
    name = lexicon.name(source)[0]
    user = ASK["couplet"].say(source, x=name)
    return one(roughen(source, user, keep=[name]), source.pick(*COUPLETS).replace("{x}", name), name, copied=[name])


SLOGANS = (
    "A {x} a day makes the whole world okay.",
    "Your {x}. Your day. Your smile.",
    "Think big, think bright, think {x}!",
    "Once you have a {x}, you never look back.",
    "Nothing feels like a {x} of ours.",
    "The {x} that makes your neighbors ask.",
    "Life is better with a {x}.",
    "Good things come with a {x}.",
    "Every home needs a {x}.",
    "The best {x} this side of the moon!",
    "A {x} for you, and one for a friend.",
    "Bring home a {x} and bring home joy.",
    "Made with love: our {x}.",
    "One {x}. A thousand smiles.",
)


def slogan(source: Source, lexicon: Lexicon) -> Case:
    thing = lexicon.made_up(source) if source.maybe(0.3) else source.of(lexicon.things)
    many = thing if thing.endswith("s") else thing + ("es" if thing.endswith(("x", "ch", "sh")) else "s")
    user = articles(ASK["slogan"].say(source, x=thing, xs=many).replace(f"a {thing}", a(thing)))
    model = source.pick(*SLOGANS).replace("A {x}", capital(a(thing))).replace("a {x}", a(thing)).replace("{x}", thing)
    return one(roughen(source, user, keep=[thing]), model, thing, copied=[thing])


# --- names and descriptions -------------------------------------------------------------------


def named(source: Source, lexicon: Lexicon) -> Case:
    """Names for what has a list of them, or made with the word."""
    if source.maybe(0.25):
        noun = source.of(lexicon.things)
        big = capital(noun)
        first, second = source.some(
            [f"Captain {big}", f"{big} the Great", f"Little {big}", f"Sir {big}", f"Lady {big}", f"{big} Star"], 2, 2
        )
        accept, copied = [noun], [noun]
    else:
        noun, text = source.pick(*table("petnames"))
        first, second = source.some(text.split("|"), 2, 2)
        accept, copied = text.split("|"), []
    user = articles(ASK["name"].say(source, x=noun))
    model = source.pick(
        f"How about {first}?",
        f"I like {first}. Or {second}?",
        f"{first} or {second}, I would say.",
        f"You could take {first} or {second}.",
        f"{first}! That would fit.",
        f"What about {first}?",
    )
    return one(roughen(source, user, keep=[noun]), model, accept, copied=copied)


def describe(source: Source, lexicon: Lexicon) -> Case:
    thing, text, must = source.pick(*table("describe"))
    count = (
        source.pick("one sentence", "one sentence", "a sentence")
        if text.count(".") == 1
        else source.pick("two sentences", "a few words")
    )
    user = ASK["describe"].say(source, x=thing, n=count)
    lead = source.pick("", "", "", "", "", "Gladly. ", "Here you are. ")
    return one(roughen(source, user), lead + text, must.split("|"))


# A note names people and days, a new name is none that was told: neither may stand where those are asked for.
KINDS: list[Kind] = [
    Kind("message", GROUP, message, 4, filler=False),
    Kind("haiku", GROUP, haiku),
    Kind("haiku about anything", GROUP, haiku_any, 0.5),
    Kind("rhyme with a name", GROUP, couplet, 1.2),
    Kind("slogan", GROUP, slogan),
    Kind("name for something", GROUP, named, filler=False),
    Kind("description", GROUP, describe, 2.5),
]
KINDS += helping.KINDS + letters.KINDS
