"""Harmless letters, e-mails and messages: to whom and what they say is the user's, in the user's own words.

The letter takes up what the request says ("saying I'm sick today", "to thank them for the cake"), adds a friendly sentence and
closes. Where nothing is said of it, Griff asks what it should say.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

from .asks import name_for
from .cases import Case, Kind, Turn
from .lexicon import Lexicon, table
from .orders import asking
from .wording import Pool, Source, a, capital, roughen

GROUP = "tasks"
ASK = asking("ask_letters")
SIGN = (
    ", signed {n}",
    ". Sign it with {n}",
    ", from {n}",
    ". My name is {n}",
    ". Put {n} at the end",
    ", with {n} below it",
)
MEDIA = (
    "e-mail",
    "email",
    "e-mail",
    "email",
    "mail",
    "letter",
    "letter",
    "note",
    "message",
    "message",
    "text",
    "text message",
)
LOOKS = ("", "", "", "", "", "short ", "nice ", "polite ", "quick ", "friendly ", "little ")
_THEM = {"m": "him", "f": "her", "t": "them"}
_DAYS = Pool(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])
_HOURS = (
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "half past four",
    "noon",
    "6 pm",
    "8:30",
)
_PLACES = (
    "Paris",
    "Rome",
    "Lisbon",
    "Dublin",
    "Vienna",
    "the mountains",
    "the lake",
    "the city",
    "the museum",
    "the zoo",
)
_CLOSES = {
    "work": ("Best regards", "Kind regards", "Best wishes"),
    "school": ("Kind regards", "Best wishes", "Best regards"),
    "home": ("Kind regards", "Best regards"),
    "shop": ("Kind regards", "Best regards"),
    "friend": ("Love", "Warm wishes", "See you soon", "With love", "Yours"),
    "any": ("Best wishes", "Kind regards", "Warm wishes"),
}


@dataclass(frozen=True)
class Topic:
    """What a letter may be about. `whom`: the circle it is for; `how`: which leads fit."""

    whom: str
    how: str
    line: str
    contents: Pool[str]
    more: tuple[str, ...]


@dataclass
class Whom:
    """For whom it is: as the request says it, and as the letter begins."""

    said: str
    greeting: str
    them: str
    circle: str
    keep: list[str] = field(default_factory=list)


@functools.cache
def topics() -> tuple[Topic, ...]:
    rows = table("letters")
    return tuple(Topic(whom, how, line, Pool(x.split("|")), tuple(m.split("|"))) for whom, how, line, x, m in rows)


@functools.cache
def leads() -> dict[str, Pool[str]]:
    """How what is said is put behind "an e-mail to my boss"."""
    found: dict[str, list[str]] = {}
    for how, text in table("letter_leads"):
        found.setdefault(how, []).append(text)
    return {how: Pool(texts) for how, texts in found.items()}


@functools.cache
def people() -> Pool[tuple[str, ...]]:
    return Pool([tuple(row) for row in table("letter_people")])


def whom(source: Source, lexicon: Lexicon, circle: str) -> Whom:
    """Somebody of a circle, with or without a name."""
    shown = people().held if source.held else people().kept
    fitting = [row for row in shown if circle == row[2] or (circle == "any" and row[2] != "shop")]
    said, sex, where = source.pick(*fitting or [row for row in people().all if row[2] == circle])
    role = re.sub("^(my|our|the) |.+'s ", "", said)
    if sex == "t" or source.maybe(0.6):
        them = _THEM[source.pick("m", "f", "t") if sex == "h" else sex]
        return Whom(said, f"{source.pick('Dear', 'Dear', 'Hello')} {_called(said, role)}", them, where)
    sex = source.pick("m", "f") if sex == "h" else sex
    them, name = _THEM[sex], name_for(source, lexicon, sex)
    if where in ("work", "school", "home") and source.maybe(0.6):
        name = source.pick("Ms. ", "Mrs. ", "Dr. ") if sex == "f" else source.pick("Mr. ", "Mr. ", "Dr. ")
        name += lexicon.invented(source)
    said = source.pick(f"{said} {name}", f"{name}, {said}", name, name) if where != "any" else name
    return Whom(said, f"{source.pick('Dear', 'Dear', 'Hi')} {name}", them, where, [name])


def _called(said: str, role: str) -> str:
    """How somebody is greeted who has no name."""
    if said.startswith("the "):
        return f"{role} team"
    if role in ("girlfriend", "boyfriend", "wife", "husband"):
        return "love"
    # Mom and Dad are names as well.
    return capital(role) if re.fullmatch("mom|mum|dad|mother|father|grand(ma|pa|mother|father)", role) else role


def _fields(source: Source, lexicon: Lexicon) -> dict[str, str]:
    return {
        "day": source.of(_DAYS),
        "time": source.pick(*_HOURS),
        "thing": source.of(lexicon.things),
        "place": source.pick(*_PLACES),
        "name": lexicon.name(source)[0],
    }


@dataclass
class Letter:
    """What is to be written: of a topic, with its words."""

    topic: Topic
    to: Whom
    x: str
    values: list[str]


def _letter(source: Source, lexicon: Lexicon, how: str = "") -> Letter:
    """`how`: only of topics that are put so."""
    topic = source.pick(*(one for one in topics() if how in ("", one.how)))
    fields, content = _fields(source, lexicon), source.of(topic.contents)
    values = [fields[name] for name in re.findall(r"\{(\w+)\}", content)]
    circle = topic.whom if topic.whom != "any" else source.pick("any", "friend", "work", "any")
    return Letter(topic, whom(source, lexicon, circle), content.format_map(fields), values)


def _written(source: Source, letter: Letter, medium: str, sender: str) -> str:
    """The letter as it is sent; a message has no close."""
    first = letter.topic.line.format(x=letter.x, X=capital(letter.x))
    body = f"{first} {source.pick(*letter.topic.more)}"
    if re.search("message|text", medium) and source.maybe(0.6):
        return f"{letter.to.greeting},\n{body}" + (f"\n{sender}" if sender else "")
    close = source.pick(*_CLOSES[letter.to.circle])
    return f"{letter.to.greeting},\n{body}\n{close}" + (f",\n{sender}" if sender else "")


def _medium(source: Source) -> str:
    return source.pick(*LOOKS) + source.pick(*MEDIA)


def letter(source: Source, lexicon: Lexicon) -> Case:
    """A letter that says what the request says."""
    made, medium = _letter(source, lexicon), _medium(source)
    sender = lexicon.name(source)[0] if source.maybe(0.3) else ""
    lead = source.of(leads()[made.topic.how]).format(x=made.x, them=made.to.them)
    sign = source.pick(*SIGN).format(n=sender) if sender else ""
    fields = {"m": a(medium), "M": capital(a(medium)), "to": source.pick("to", "to", "to", "for") + f" {made.to.said}"}
    text = ASK["letter"].say(source, c=lead, sign=sign, **fields)
    text = re.sub(r" (?=[.,:] )", "", text).replace("..", ".")
    text = re.sub(r"(?<=\. )[a-z]", lambda m: m[0].upper(), text)
    keep = [*made.to.keep, *made.values, *([sender] if sender else [])]
    answer = _written(source, made, medium, sender)
    accept = tuple((one,) for one in dict.fromkeys([made.x, *keep]))
    return Case((_taken(source, text, answer, made.x, keep),), accept, about="letter")


def _taken(source: Source, text: str, answer: str, x: str, keep: list[str], before: str = "") -> Turn:
    """The turn behind `before`; what it says may be typed badly, and is written well all the same."""
    user = roughen(source, text, keep=[*keep, x] if source.maybe(0.6) else keep)
    given, said = [x if x in answer else capital(x), *keep], f"{before} {user}".lower()
    return Turn(user, answer, tuple(one for one in given if one in answer and one.lower() in said))


BACK = (
    "Gladly! What should it say?",
    "Of course. What do you want to write?",
    "With pleasure. What is it about?",
    "I'd like to help. What should {they} read?",
    "Sure! What would you like to say?",
    "Good. Tell me what it should say, and I write it.",
    "Gladly. In a few words, what is it about?",
)


def asked_back(source: Source, lexicon: Lexicon) -> Case:
    """A letter of which nothing is said: Griff asks, and writes it when it knows."""
    made, medium = _letter(source, lexicon, "say"), _medium(source)
    fields = {"m": a(medium), "M": capital(a(medium)), "to": f"to {made.to.said}"}
    they = {"him": "he", "her": "she"}.get(made.to.them, "they")
    first = Turn(
        roughen(source, ASK["open"].say(source, **fields), keep=made.to.keep), source.pick(*BACK).format(they=they)
    )
    if source.maybe(0.35):
        return Case((first,), (("what",),), about="letter asked back")
    text = ASK["content"].say(source, x=made.x, X=capital(made.x), them=made.to.them)
    answer = _written(source, made, medium, "")
    keep = [*made.to.keep, *made.values]
    turn = _taken(source, text, answer, made.x, keep, first.user)
    return Case((first, turn), tuple((one,) for one in dict.fromkeys([made.x, *keep])), about="letter asked back")


# A letter names people and days, which may not stand where those are asked for.
KINDS: list[Kind] = [
    Kind("letter", GROUP, letter, 4, filler=False),
    Kind("letter asked back", GROUP, asked_back, 1, filler=False),
]
