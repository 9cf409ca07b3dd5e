"""Facts that people tell and ask for: what they are, how they are told, asked for, answered and acknowledged.

The wordings are in `tables/told*.tsv`. What is asked for stands there as a phrase too ("my name", "what my name is"), and
frames around phrases and clauses multiply the wordings of every kind of fact alike.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import asking
from .lexicon import Lexicon, table
from .values import Value, lists
from .values_day import FAVORITES, MAKERS
from .wording import Pool, Source, Wordings, a, capital

_HI = "||||Hi, |Hello, |Hey, |Hi Griff, |Hello Griff, |Good morning, |Good evening, |Hello there, |Hey Griff, |Well, "


@dataclass(frozen=True, eq=False)
class Form:
    """How a kind of fact is worded."""

    name: str
    type: str
    loose: bool
    """Whether "It is {v}" would be no answer."""
    guard: str
    """What a turn between telling and asking may not talk about."""
    parts: dict[str, list[str]]

    @functools.cached_property
    def say(self) -> Pool[str]:
        return Pool(self.parts["say"])

    @functools.cached_property
    def tell(self) -> Wordings:
        return Wordings(self.parts["tell"], hi=_HI.split("|"))

    @functools.cached_property
    def ask(self) -> Wordings:
        return Wordings(self.parts["ask"])

    @functools.cached_property
    def mine(self) -> Pool[str]:
        return Pool(self.parts["mine"])


def forms_of(name: str) -> dict[str, Form]:
    """The forms that a table holds."""
    found: dict[str, Form] = {}
    parts: dict[str, list[str]] = {}
    part: list[str] = []
    for row in table(name):
        if row[0].startswith("* "):
            head = [*row, "", "", ""]
            parts = {}
            found[row[0][2:]] = Form(row[0][2:], head[1], head[2] == "loose", head[3], parts)
        elif row[0].startswith("= "):
            part = parts[row[0][2:]] = []
        else:
            part.append(row[0])
    return found


@functools.cache
def forms() -> dict[str, Form]:
    """All kinds of fact about the one who speaks."""
    return forms_of("told") | forms_of("told_more") | forms_of("told_days")


@functools.cache
def frames() -> dict[str, Wordings]:
    """What stands around facts and questions, and whole conversations about what was told."""
    parts = forms_of("told_frames")["frames"].parts | forms_of("told_talk")["talk"].parts
    return {name: Wordings(texts) for name, texts in parts.items()}


@functools.cache
def never_asked() -> frozenset[str]:
    """Questions for facts, and phrases for them, that training never shows; see `bare`."""
    held: set[str] = set()
    for form in forms().values():
        for pool in (form.ask.templates, form.mine):
            held |= {bare(text) for text in pool.held if text not in pool.kept}
    return frozenset(held)


def bare(text: str) -> str:
    """A wording without its slots and marks, in lower case."""
    return re.sub(r"\[\w+\]", "", text).strip(" ?.").lower()


@dataclass(frozen=True)
class Fact:
    """Something that is told."""

    form: Form
    value: Value
    told: str
    """The value as the user types it: a name may be in lower case."""
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What the fact is about: two of one key contradict each other."""
        return (self.form.name, self.fields)

    @property
    def keep(self) -> tuple[str, ...]:
        """What stays as it is, letter by letter."""
        return (self.told, capital(self.told), *self.named)

    @property
    def named(self) -> tuple[str, ...]:
        """Whose or what it is."""
        return tuple(text for _, text in self.fields)

    def worded(self, template: str, **more: str) -> str:
        """A template with its fields filled, articles and all."""
        known = dict(self.fields) | {"v": self.value.text, "V": capital(self.value.text)} | more
        return fill(template, **known)


_ARTICLE = re.compile(r"\b([Aa]) \{(\w+)\}")


def fill(template: str, **known: str) -> str:
    """With the fields that are known; "a" before one becomes its article."""

    def article(match: re.Match[str]) -> str:
        if match[2] not in known:
            return match[0]
        with_article = a(known[match[2]])
        return capital(with_article) if match[1] == "A" else with_article

    text = _ARTICLE.sub(article, template)
    return re.sub(r"\{(\w+)\}", lambda m: known.get(m[1], m[0]), text)


def _fields(source: Source, lexicon: Lexicon, form: Form) -> dict[str, str]:
    """Whose name it is, which thing has the color, and so on."""
    found = {}
    for name in sorted(set(re.findall(r"\{(\w+)\}", "".join(form.parts["say"]))) - {"v"}):
        if name == "fav":
            found[name] = source.pick(*sorted(FAVORITES))
        elif name == "thing":
            found[name] = source.of(lexicon.things)
        elif name == "pet" and source.maybe(0.15):
            found[name] = source.pick(*lists()["animals" if "animals" in lists() else "pet"].all)
        else:
            found[name] = source.pick(*lists()["owner" if form.name == "friend-color" else name].all)
    return found


def fact(source: Source, lexicon: Lexicon, name: str, kind: str = "", **fields: str) -> Fact:
    """A fact of a kind. `kind`: of the value; `fields`: those that are wanted."""
    form = forms()[name]
    known = _fields(source, lexicon, form) | fields
    maker = MAKERS[FAVORITES[known["fav"]] if form.type == "any" else form.type]
    made = maker(source, lexicon, kind)
    while any(overlap(made.core, text) for text in known.values()):
        made = maker(source, lexicon, kind)
    # What has capitals inside ("DeShawn") can't be told from lower case.
    plain = all(part == part.capitalize() for part in re.split("[ '-]", made.text))
    lower = plain and form.type in ("person", "pet", "town", "country", "petlike") and source.maybe(0.12)
    return Fact(form, made, made.text.lower() if lower else made.text, tuple(sorted(known.items())))


# --- what contradicts or resembles what -----------------------------------------------------

_ALIKE = {
    "number": "lucky code door phone shoe bus age count",
    "word": "password",
    "name": "nickname surname",
    "town": "street door trip",
    "street": "door",
    "place": "keys",
    "present": "bought wish",
    "bought": "wish",
    "lost": "found",
    "pet": "toy",
}
"""Kinds of fact that a question may confuse."""
_SAME = (
    "mother mom stepmother mother-in-law grandmother grandma godmother",
    "father dad stepfather grandfather grandpa",
    "dog puppy poodle beagle terrier dachshund sheepdog pet hound",
    "cat kitten tomcat pet",
    "bird parrot canary budgie cockatoo pet",
    "horse pony foal pet",
    "rabbit bunny pet",
    "turtle tortoise pet",
    "fish goldfish pet",
    "chicken hen rooster pet",
    "mouse rat hamster pet",
    "sheep lamb pet",
    "student classmate",
    "teacher tutor",
    "doctor dentist physiotherapist",
    "partner husband wife boyfriend girlfriend",
    "bike bicycle",
)


def _last(text: str) -> str:
    return text.split()[-1]


def clash(one: Fact, other: Fact) -> bool:
    """Whether a question for the one could be meant for the other, or their values could be mixed up."""
    core, second = one.value.core, other.value.core
    if overlap(core, second) or one.key == other.key:
        return True
    if any(overlap(core, text) for text in other.named) or any(overlap(second, text) for text in one.named):
        return True
    ours, theirs = dict(one.fields), dict(other.fields)
    if one.form.name != other.form.name:
        names = (one.form.name, other.form.name)
        return names[1] in _ALIKE.get(names[0], "").split() or names[0] in _ALIKE.get(names[1], "").split()
    return all(_near(ours[name], theirs[name]) for name in ours)


def overlap(one: str, other: str) -> bool:
    """Whether one text is a part of the other."""
    first, second = one.lower(), other.lower()
    return first in second or second in first


def _near(one: str, other: str) -> bool:
    """Whether two words may mean the same one ("dog", "puppy")."""
    first, second = _last(one), _last(other)
    return first == second or any({first, second} <= set(same.split()) for same in _SAME)


# --- wordings -------------------------------------------------------------------------------

_CLAUSE = re.compile(r"(what|who|whom|where|how|which|when|whose|at|in|on|under|for|with|by|to|from|whether) ")


def is_clause(phrase: str) -> bool:
    """Whether it is one ("what my name is") and no noun ("my name")."""
    return bool(_CLAUSE.match(phrase))


_YOU = {"I": "you", "my": "your", "me": "you", "our": "your", "we": "you", "mine": "yours", "us": "you"}
_YOU |= {"myself": "yourself"}


def swapped(phrase: str) -> str:
    """What a user calls "my", as Griff says it."""
    phrase = re.sub(r"\bI (am|was)\b", lambda m: f"you {'are' if m[1] == 'am' else 'were'}", phrase)
    phrase = re.sub(r"\b(am|was) I\b", lambda m: f"{'are' if m[1] == 'am' else 'were'} you", phrase)
    return re.sub(r"\b(I|my|me|our|we|mine|us|myself)\b", lambda m: _YOU[m[1]], phrase)


def statement(source: Source, one: Fact, told: str = "") -> str:
    """The fact as a clause, its first word in lower case unless that is the value."""
    return one.worded(source.of(one.form.say), v=told or one.told)


def told(source: Source, one: Fact) -> str:
    """The fact as a user's message."""
    chance = source.chance.random()
    if chance < 0.35:
        text = one.form.tell.say(source, v="\0", **{name: "{" + name + "}" for name, _ in one.fields})
        return one.worded(text.replace("\0", "{v}"), v=one.told)
    clause = statement(source, one)
    if chance < 0.6:
        return capital(clause) + source.pick(".", ".", ".", "", "!")
    return frames()["say"].say(source, s=clause, S=capital(clause))


def phrase(source: Source, one: Fact) -> str:
    """What is asked for, as a user calls it."""
    return one.worded(source.of(one.form.mine))


@functools.cache
def shared() -> asking.Own:
    """Frames of facts that are around what was told as well, so that they say nothing of the kind of question.

    One that says the same as a frame of this table is left out: the one may be held out, the other not.
    """
    ours = {asking.plain(text) for name in ("both", "noun", "clause") for text in frames()[name].templates.all}
    return asking.Own(*(asking.own(texts, ours) for texts in (asking.DIRECT, asking.INDIRECT, asking.NOUN)))


FRAMES = (
    "do you recall {i}?",
    "is there anything that tells you {i}?",
    "have I ever said {i}?",
    "have I ever told you {i}?",
    "I don't think I told you {i}. Or did I?",
    "did I say at some point {i}?",
    "do you know already {i}?",
    "how about this: {c}?",
    "and do you know {i}, too?",
    "you know me by now, so {c}?",
    "after all I told you, {c}?",
    "from what I said, {c}?",
    "with all that you know of me, {c}?",
    "can you work out {i}?",
    "what did I say, {c}?",
    "what did I tell you, {c}?",
    "it slipped my mind {i}.",
    "my memory is bad: {c}?",
    "I keep forgetting {i}.",
    "help me, {c}?",
    "help me remember {i}.",
    "look back and tell me {i}.",
    "test question: {c}?",
    "let's see how much you know: {c}?",
    "easy one: {c}?",
    "you must know {i}.",
    "surely you can tell me {i}.",
    "tell me quickly {i}.",
    "just say {i}.",
    "make a guess: {c}?",
    "don't make anything up: {c}?",
    "be honest, do you know {i}?",
    "be honest: {c}?",
    "what would you answer if I asked {i}?",
    "somebody asked me {i}. What do I say?",
    "I have to write down {i}.",
    "{c}? I told you, didn't I?",
    "{c}? I'm sure that I told you.",
    "{c}? You should know.",
    "{c}? Take a guess.",
    "{c}? Did I say?",
    "{c}? Any idea?",
    "{c}, if you know?",
    "{c} really?",
    "yes, but {c}?",
    "right, and {c}?",
    "good. And {c}?",
    "thanks. Now {c}?",
    "wait, {c}?",
    "sorry, {c}?",
)
"""Around a question, `{c}`, or a clause, `{i}`: for what was told and for what was not."""
_AROUND = Pool(FRAMES)
_QUESTION = re.compile(
    r"\[hey\]((?:what|where|who|whose|when|which|how|in|on) (?!.*\b(?:again|said|say|told|tell)\b).*)\[end\]"
)


def _around(source: Source, one: Fact) -> str:
    """A question for the fact in one of those frames."""
    frame, pool = source.of(_AROUND), one.form.ask.templates
    plain = [match[1] for text in (pool.held if source.held else pool.kept) if (match := _QUESTION.fullmatch(text))]
    what = phrase(source, one)
    if "{i}" in frame or not plain:
        clause = what if is_clause(what) else f"what {what} is"
        if "{i}" not in frame:
            return capital(f"{clause}?" if is_clause(what) else f"what is {what}?")
        text = frame.replace("{i}", clause)
    else:
        text = frame.replace("{c}", one.worded(source.pick(*plain)))
    return capital(text)


def asked(source: Source, one: Fact) -> str:
    """A question for the fact."""
    if source.maybe(0.12):
        return _around(source, one)
    if source.maybe(0.42):
        text = one.form.ask.say(source, **{name: "{" + name + "}" for name, _ in one.fields})
        return one.worded(text)
    what = phrase(source, one)
    if source.maybe(0.3):
        return asking.personal(source, shared(), what, is_clause(what))
    kind = "both" if source.maybe(0.6) else "clause" if is_clause(what) else "noun"
    return frames()[kind].say(source, m=what, w=what, n=what)


def as_griff_says(source: Source, one: Fact, plain: bool = False) -> tuple[str, str]:
    """The fact as a clause inside of a sentence, and at the beginning of one. `plain`: not as something remembered."""
    said = [
        text
        for text in one.form.parts["answer"]
        if not (plain and re.search(r"\b(told|said|gave|asked|(number|word|password) was)\b", text))
    ]
    template = source.pick(*said)
    text = one.worded(template)
    inside = text if template.startswith(("{v}", "I ")) else text[:1].lower() + text[1:]
    return inside, capital(text)


def sentences(text: str) -> str:
    """With a capital after every full stop."""
    return capital(re.sub(r"(?<=[.!?] )[a-z]", lambda m: m[0].upper(), text))


def put(source: Source, name: str, one: Fact, **more: str) -> str:
    """One of Griff's sentences, any of them."""
    inside, first = as_griff_says(source, one, plain=name not in ("answer", "yes", "no"))
    template = source.pick(*frames()[name].templates.all)
    return sentences(one.worded(template, **({"a": inside, "A": first} | more)))


def answer(source: Source, one: Fact) -> str:
    """What Griff says when asked."""
    if source.maybe(0.35):
        return put(source, "answer_loose" if one.form.loose else "answer_is", one)
    return put(source, "answer", one)


def reaction(source: Source, one: Fact) -> str:
    """What Griff says when told."""
    if source.maybe(0.55):
        return sentences(one.worded(source.pick(*one.form.parts["ack"])))
    return put(source, "ack", one)


def never(source: Source, one: Fact) -> str:
    """What Griff says when asked for what was never told."""
    plain = [text for text in one.form.mine.all if not re.search(r"\b(you|your|here|told|gave|said|again|see)\b", text)]
    return put(source, "never", one, y=swapped(one.worded(source.pick(*plain))))


NEVER: Sequence[str] = (
    "not told",
    "haven't told",
    "never told",
    "did not tell",
    "didn't tell",
    "nobody told",
    "not know",
    "don't know",
    "can't know",
    "not said",
    "haven't said",
    "never said",
    "didn't say",
    "not mentioned",
    "haven't mentioned",
    "never mentioned",
    "no idea",
)
"""One of these is in every answer to a question for what was never told."""


def copied(one: Fact, text: str) -> tuple[str, ...]:
    """The value as it stands in an answer, if it does."""
    return tuple(form for form in (one.value.text, capital(one.value.text)) if form in text)[:1]
