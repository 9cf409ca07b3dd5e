"""Several people and what is so of each: their cars, animals, jobs, what they eat. One of them is asked for, or one thing.

What was told of the one need not have been told of the other. The wordings are in `tables/told_persons.tsv`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field

from . import asked, clause_parts, told, unknown
from .asked import Ask, Piece
from .asking import core
from .cases import Case, Kind, Turn, Unmet
from .lexicon import Lexicon
from .occasions import FIELDS, Line
from .recalls import typed
from .sentences import ALL_OF, ALL_SAID, GROUP, gap, guards
from .told import fill, overlap
from .values import Value
from .wording import Pool, Source, capital

_HIS = {"she": ("her", "her"), "he": ("his", "his")}
_HIM = {"she": "her", "he": "him"}


@dataclass(frozen=True, eq=False)
class Attribute:
    """Something that may be so of anybody."""

    name: str
    type: str
    parts: dict[str, Pool[Line]]

    @functools.cached_property
    def fields(self) -> list[str]:
        """What all who have it share: the thing whose color differs."""
        return sorted(
            set(re.findall(r"\{(\w+)\}", "".join(line.text for line in self.parts["say"].all))) & {"thing", "pet"}
        )


@functools.cache
def attributes() -> dict[str, Attribute]:
    """All of them."""
    return {
        name: Attribute(
            name, form.type, {part: Pool([Line.of(t) for t in texts]) for part, texts in form.parts.items()}
        )
        for name, form in told.forms_of("told_persons").items()
    }


@dataclass(eq=False)
class Person:
    """Somebody who is told of, and what was told."""

    name: str
    relation: str
    they: str
    known: dict[str, Value] = field(default_factory=dict)
    named: bool = False
    """Whether they were introduced."""

    def intro(self, source: Source) -> str:
        """How they are called: at first with what they are."""
        first = not self.named
        self.named = True
        if first and source.maybe(0.25):
            self.relation = ""  # it is never said
        return f"my {self.relation} {self.name}" if first and self.relation else self.name


@dataclass(eq=False)
class Group:
    """People, and what is told of some of them."""

    people: list[Person]
    attributes: list[Attribute]
    shared: dict[str, str]

    def words(self, person: Person, subject: str, value: str = "") -> dict[str, str]:
        """The fields of a line. `subject`: how the person is called there."""
        his, their = _HIS[person.they]
        return self.shared | {
            "S": subject,
            "P": his if subject == person.they else f"{subject}'s",
            "O": _HIM[person.they] if subject == person.they else subject,
            "their": their,
            "they": person.they,
            "v": value,
        }

    def values(self) -> list[str]:
        found = [text for one in self.people for value in one.known.values() for text in (value.text, value.core)]
        return list(dict.fromkeys([*(one.name for one in self.people), *found, *self.shared.values()]))


def group(source: Source, lexicon: Lexicon, count: int, kinds: int) -> Group:
    """People of whom so many kinds of thing are told, not of everybody all of them."""
    for _ in range(100):
        found = source.some(sorted(attributes()), kinds, kinds)
        some = [attributes()[name] for name in found]
        shared = {name: FIELDS[name](source, lexicon).text for one in some for name in one.fields}
        people = []
        related = source.maybe(0.6)
        for _ in range(count):
            word, they = clause_parts.relation(source)
            known = related and source.maybe(0.7)
            name = clause_parts.named(source, lexicon, they if known else "they")
            they = they if known and they != "they" else clause_parts.pronoun(source, lexicon, name)
            people.append(Person(name, word if known else "", they))
        for one in some:
            having = [p for p in people if source.maybe(0.72)] or [source.pick(*people)]
            for person in having:
                person.known[one.name] = FIELDS[one.type](source, lexicon)
        for person in people:
            if not person.known:
                person.known[some[0].name] = FIELDS[some[0].type](source, lexicon)
        texts = [*(p.name for p in people), *(v.core for p in people for v in p.known.values()), *shared.values()]
        words = [p.relation for p in people if p.relation]
        alike = any(overlap(a, b) for i, a in enumerate(texts) for b in texts[:i])
        if not alike and len(set(words)) == len(words) and not any(overlap(a, b) for a in texts for b in words):
            return Group(people, some, shared)
    raise Unmet("people whose names and things are alike")


# --- telling ----------------------------------------------------------------------------------


def _clauses(source: Source, them: Group) -> list[tuple[Person, str, bool]]:
    """What is told, a clause each, with whom it is about: by people or by things. Last: whether it stands by itself."""
    by_people = source.maybe(0.5)
    pairs = [(p, a) for p in them.people for a in them.attributes if a.name in p.known]
    if not by_people:
        pairs = [(p, a) for a in them.attributes for p in them.people if a.name in p.known]
    found: list[tuple[Person, str, bool]] = []
    before: tuple[Person, Attribute, Line] | None = None
    for person, attribute in pairs:
        value = person.known[attribute.name].text
        line, whole = source.of(attribute.parts["say"]), True
        if before is not None and before[1] is attribute and before[0] is not person and source.maybe(0.6):
            last = before[2]
            pool = attribute.parts["also"]
            shown = pool.held if source.held else pool.kept
            fitting = [one for one in shown if not one.tags or set(one.tags) & set(last.tags)]
            line, whole = (source.pick(*fitting), False) if fitting else (line, True)
            # what follows on this follows on the sentence before
            before = (person, attribute, last)
        else:
            before = (person, attribute, line)
        pronoun = bool(found) and found[-1][0] is person and "of {O}" not in line.text and source.maybe(0.75)
        subject = person.they if pronoun else person.intro(source)
        found.append((person, fill(line.text, **them.words(person, subject, value)), whole))
    return found


_ACKS = (
    "I'll remember who is who.",
    "Thank you, I'll remember that.",
    "All right, I'll keep all of them in mind.",
    "Good to know! I'll remember them.",
    "I see. I'll keep them apart.",
    "Got it, thank you for telling me.",
    "Noted, all of it.",
    "Okay, now I know more about them.",
)
_INTROS = (
    "Let me tell you about some people",
    "I want to tell you about my friends",
    "There are some people that you should know",
    "These are the people I know",
    "Remember this, please",
    "Here is something about the people around me",
    "Listen",
    "Some facts for you",
    "Keep these apart",
    "About my people",
    "Here is who is who",
    "I have to tell you about a few people",
    "Now some things about others, not about me",
    "Let me introduce some people to you",
    "So that you know them",
    "You will hear these names again",
    "A little about my friends",
    "I'll test you on this later",
    "This is important, so listen well",
    "Pay attention, there is more than one person in this",
    "Okay, here are some people",
    "Some gossip",
)

_FRAMES = (
    "I should tell you that {s}",
    "just so you know, {s}",
    "please remember that {s}",
    "I think I never told you that {s}",
    "it may help you to know that {s}",
    "before I forget it, {s}",
    "by the way, {s}",
    "for later: {s}",
    "note this down: {s}",
    "from what I hear, {s}",
    "somebody told me that {s}",
    "you may not know it, but {s}",
    "I found out that {s}",
    "what you should know is that {s}",
    "guess what, {s}",
    "it so happens that {s}",
    "well, {s}",
    "keep in mind that {s}",
    "if I'm not wrong, {s}",
    "I was surprised to hear that {s}",
    "{s}, by the way",
    "{s}, just so you know",
    "{s}, remember that",
    "{s}, as I learned today",
    "{s}, you know",
    "{s}, and I should have told you earlier",
)
"""What may stand around the first thing that is told."""
_GLUES = (
    ", while ",
    " while ",
    ", but ",
    ", whereas ",
    ", and ",
    "; ",
    " - ",
    ". And ",
    ". But ",
    ". Then ",
    ". Oh, and ",
)
"""What may stand before something of another person."""
_FOR_ME = re.compile(r"\b(you|your)\b|^(call|bring|write|don't|to call)\b", re.IGNORECASE)
"""What Griff can't say after the user."""


def telling(source: Source, them: Group) -> list[Turn]:
    """All of it in one message, or a message for each."""
    found = _clauses(source, them)
    keep = [text for value in them.values() for text in (value, capital(value))]
    messages: list[str] = []
    alone: list[bool] = []  # of each, whether Griff may say it after the user
    apart = source.maybe(0.35)
    last: Person | None = None
    for person, text, whole in found:
        if messages and not (apart and person is not last):
            glue = source.pick(". ", ". ", ". ", ", ", " and ", ", and ")
            if person is not last and source.maybe(0.35):
                glue = source.of(_POOLS["glue"])
            messages[-1] += glue + (capital(text) if glue == ". " else text)
        else:
            framed = whole and source.maybe(0.2)
            messages.append(capital(source.of(_POOLS["frame"]).replace("{s}", text) if framed else text))
            alone.append(whole and not framed)
        last = person
    if source.maybe(0.15):
        messages[0] = f"{source.of(_POOLS['intro'])}: {messages[0]}"
    turns = []
    for text, whole in zip(messages, alone, strict=True):
        user = typed(source, text + source.pick(".", ".", ".", "!", ""), keep)
        griff = capital(told.swapped(re.sub("^My ", "my ", text)))
        short = whole and not _FOR_ME.search(text) and len(griff) < 90 and ": " not in griff and ". " not in griff
        model = source.pick(*_ECHOES).replace("{G}", griff) if short and source.maybe(0.4) else source.pick(*_ACKS)
        turns.append(asked.answered(user, model, them.values()))
    return turns


_ECHOES = ("{G}, I'll remember that.", "{G}, I see.", "{G}. Noted.", "{G}. Thank you for telling me.")


# --- asking -----------------------------------------------------------------------------------


def _refs(person: Person) -> list[str]:
    return [person.name, person.name, f"my {person.relation} {person.name}", f"my {person.relation}"][
        : 4 if person.relation else 2
    ]


def _line(source: Source, attribute: Attribute, part: str) -> Line:
    return source.of(attribute.parts[part])


def about(source: Source, them: Group, person: Person, attribute: Attribute) -> Ask:
    """Asks for a thing of somebody, told or not."""
    ref = source.pick(*_refs(person)) if person.named else person.name
    question = core(fill(_line(source, attribute, "ask").text, **them.words(person, ref)))
    value = person.known.get(attribute.name)
    if value is None:
        return Ask(question, part=attribute.name)
    griff = told.swapped(source.pick(person.name, person.name, ref))
    words = them.words(person, griff, value.text)
    short, whole = (
        tuple(fill(line.text, **words) for line in attribute.parts[part].all) for part in ("short", "whole")
    )
    return Ask(question, short, whole, (value.core,), attribute.name)


def who(source: Source, them: Group, person: Person, attribute: Attribute) -> Ask:
    """Asks of whom a thing is so."""
    value = person.known[attribute.name]
    words = them.words(person, person.name, value.text)
    text = fill(_line(source, attribute, "who").text, **words)
    names = tuple(told.swapped(ref) for ref in _refs(person)[:3])
    whole = tuple(fill(line.text, **words) for line in attribute.parts["whole"].all)
    return Ask(core(text), names, whole, (person.name,), "who")


_ALSO = (
    "and {x}?",
    "what about {x}?",
    "and what about {x}?",
    "and {x}'s?",
    "how about {x}?",
    "and for {x}?",
    "okay, and {x}?",
    "and {x}, do you remember?",
    "{x}?",
    "same question for {x}.",
    "and the same of {x}?",
    "and how is it with {x}?",
    "and in the case of {x}?",
    "now {x}, please.",
    "okay. And {x}?",
    "I'd like to know that of {x} too.",
    "tell me the same about {x}.",
    "and that of {x}?",
    "does that go for {x} as well, or what is it there?",
    "but {x}?",
    "now the same for {x}.",
    "thanks. What about {x}?",
    "next one: {x}.",
    "good, and {x} again?",
    "right. {x}, then?",
    "can you say that of {x}, too?",
)
_NOBODY = (
    "You have not told me about {x}.",
    "You did not tell me anything about {x}.",
    "I don't know anybody called {x}: you have not told me about them.",
    "You haven't told me about {x} yet.",
    "You never told me about {x}.",
    "{x}? You have not told me about anybody of that name.",
    "I have not heard of {x}: you have not told me about them.",
    "Of {x} I know nothing, because you have not told me.",
)
_IS_IT = (
    "is it true that {s}?",
    "is it right that {s}?",
    "{S}, right?",
    "{S}, isn't that so?",
    "am I right that {s}?",
    "did I say that {s}?",
    "did I tell you that {s}?",
    "I think {s}. Is that right?",
    "{S}. True or false?",
    "do I remember right that {s}?",
    "was it that {s}?",
    "so {s}?",
    "if I remember right, {s}?",
    "would you say that {s}?",
    "somebody says that {s}. True?",
    "check this for me: {s}.",
    "{S}. Did I get that right?",
    "{S}, or am I mixing them up?",
    "{S}, or was that somebody else?",
    "have I told you that {s}?",
    "do I mix it up, or is it right that {s}?",
    "correct me if I'm wrong, but {s}?",
    "it was like this: {s}. Yes or no?",
    "just to be sure: {s}?",
    "yes or no: {s}?",
    "can it be that {s}?",
    "I'm almost sure that {s}. Am I right?",
)
_YES = ("Yes, {a}.", "Yes, that is right: {a}.", "Right, {a}.", "Yes, you told me that {a}.")
_NO = ("No, {a}.", "No: {a}.", "No, you told me that {a}.", "That is not what you told me: {a}. So no.")
_UNTOLD = (
    "You did not tell me that. I don't know {y}.",
    "I don't know {y}, you have not told me.",
    "You have not told me {y}.",
)
_TEXTS = {"also": _ALSO, "is it": _IS_IT, "intro": _INTROS, "frame": _FRAMES, "glue": _GLUES}
_POOLS = {name: Pool(texts) for name, texts in _TEXTS.items()}


def _piece(them: Group) -> Piece:
    topics = frozenset(f"my {person.relation}" for person in them.people if person.relation)
    return Piece("", "", (), tuple(them.values()), topics)


def _other(source: Source, them: Group, attribute: Attribute, but: Person | None) -> list[str]:
    """What is so of the others."""
    return [p.known[attribute.name].core for p in them.people if p is not but and attribute.name in p.known]


def persons(source: Source, lexicon: Lexicon) -> Case:
    """Two to four people; after a while what is so of one of them, or of whom something is so."""
    them = group(source, lexicon, source.pick(2, 2, 2, 3, 3, 4), source.pick(1, 1, 2, 2, 3))
    turns = telling(source, them)
    piece = _piece(them)
    middle = gap(source, lexicon, guards([piece]), turns)
    turns += middle
    for _ in range(source.pick(0, 0, 1, 2)):
        turns.append(asked.ask(source, piece, _any(source, them)))
    attribute = source.pick(*them.attributes)
    if source.maybe(0.3):
        first, second = source.some(them.people, 2, 2)
        return _and(source, them, piece, turns, attribute, first, second)
    if source.maybe(0.3):
        person = source.pick(*(p for p in them.people if attribute.name in p.known))
        one = who(source, them, person, attribute)
        reject = [p.name for p in them.people if p is not person]
    else:
        person = source.pick(*them.people)
        one = about(source, them, person, attribute)
        reject = _other(source, them, attribute, person)
    turns.append(asked.ask(source, piece, one))
    if not one.known:
        return Case(tuple(turns), (unknown.ACCEPT,), tuple(reject), about="never")
    return Case(tuple(turns), tuple((text,) for text in one.accept), tuple(reject), about=one.part)


def _any(source: Source, them: Group) -> Ask:
    person, attribute = source.pick(*them.people), source.pick(*them.attributes)
    if attribute.name in person.known and source.maybe(0.3):
        return who(source, them, person, attribute)
    return about(source, them, person, attribute)


def _and(
    source: Source, them: Group, piece: Piece, turns: list[Turn], attribute: Attribute, first: Person, second: Person
) -> Case:
    """The same is asked of one and then of another: "And Bo?"."""
    turns.append(asked.ask(source, piece, about(source, them, first, attribute)))
    one = about(source, them, second, attribute)
    user = typed(source, capital(source.of(_POOLS["also"]).replace("{x}", second.name)), [second.name])
    model = asked.answer(source, one) if one.known else asked.never(source, one.core)
    turns.append(asked.answered(user, model, them.values()) if one.known else Turn(user, model))
    if not one.known:
        return Case(tuple(turns), (unknown.ACCEPT,), tuple(_other(source, them, attribute, second)), about="never")
    return Case(tuple(turns), ((one.accept[0],),), tuple(_other(source, them, attribute, second)), about="and")


def stranger(source: Source, lexicon: Lexicon) -> Case:
    """Somebody is asked for of whom nothing was told."""
    them = group(source, lexicon, source.pick(1, 2, 2, 3), source.pick(1, 1, 2))
    name = lexicon.name(source)[0]
    while any(overlap(name, value) for value in them.values()):
        name = lexicon.name(source)[0]
    turns = telling(source, them)
    turns += gap(source, lexicon, guards([_piece(them)]), turns)
    one = about(source, them, Person(name, "", "she"), source.pick(*them.attributes))
    model = asked.put(source.pick(*_NOBODY), x=name) if source.maybe(0.5) else asked.never(source, one.core)
    user = typed(source, asked.question(source, one.core), [name, *them.values()])
    reject = tuple(v.core for p in them.people for v in p.known.values())
    return Case((*turns, Turn(user, model, (name,))), (unknown.ACCEPT,), reject, about="never")


def so(source: Source, lexicon: Lexicon) -> Case:
    """Is it so of this one? Yes; no, something else is; or it was not told."""
    them = group(source, lexicon, source.pick(2, 2, 3), source.pick(1, 2, 2))
    attribute, person = source.pick(*them.attributes), source.pick(*them.people)
    own = person.known.get(attribute.name)
    others = [p.known[attribute.name] for p in them.people if p is not person and attribute.name in p.known]
    turns = telling(source, them)
    turns += gap(source, lexicon, guards([_piece(them)]), turns)
    yes = own is not None and source.maybe(0.5)
    if not yes and not others:
        raise Unmet("nothing else to be asked about")
    shown = own if yes and own is not None else source.pick(*others)
    line = source.pick(*attribute.parts["whole"].all)
    text = fill(line.text, **them.words(person, person.name, shown.text))
    user = typed(
        source,
        capital(asked.put(source.of(_POOLS["is it"]), s=text)),
        [t for v in them.values() for t in (v, capital(v))],
    )
    if own is None:
        question = core(fill(_line(source, attribute, "ask").text, **them.words(person, person.name)))
        model = asked.put(source.pick(*_UNTOLD), y=told.swapped(question.indirect))
        return Case((*turns, asked.answered(user, model, [person.name])), (unknown.ACCEPT,), ("yes",), about="never")
    right = fill(line.text, **them.words(person, person.name, own.text))
    model = asked.put(source.pick(*(_YES if yes else _NO)), a=told.swapped(right))
    accept: tuple[tuple[str, ...], ...] = (("yes", "right"), (own.core,)) if yes else (("no", "not"), (own.core,))
    return Case(
        (*turns, asked.answered(user, model, them.values())),
        accept,
        () if yes else ("yes",),
        about="yes" if yes else "no",
    )


def all_of(source: Source, lexicon: Lexicon) -> Case:
    """All that was told of one of them."""
    them = group(source, lexicon, source.pick(2, 2, 3), source.pick(2, 2, 3))
    turns = telling(source, them)
    turns += gap(source, lexicon, guards([_piece(them)]), turns)
    person = source.pick(*them.people)
    says = []
    for i, attribute in enumerate(a for a in them.attributes if a.name in person.known):
        subject = person.name if i == 0 else person.they
        line = source.pick(*attribute.parts["whole"].all)
        says.append(fill(line.text, **them.words(person, subject, person.known[attribute.name].text)))
    text = ", ".join(says[:-1]) + (" and " if len(says) == 2 else ", and ") + says[-1] if len(says) > 1 else says[0]
    question = source.of(ALL_OF).replace("{x}", source.pick(*_refs(person)))
    model = asked.put(source.pick(*ALL_SAID), g=told.swapped(text))
    ends = asked.answered(typed(source, capital(question), them.values()), model, them.values())
    accept = tuple((value.core,) for value in person.known.values())
    return Case((*turns, ends), accept, about="all of it")


KINDS: list[Kind] = [
    Kind("persons", GROUP, persons, 3.5, filler=False),
    Kind("persons stranger", GROUP, stranger, 0.5, filler=False),
    Kind("persons so", GROUP, so, 0.7, filler=False),
    Kind("persons all", GROUP, all_of, 0.5, filler=False),
]
