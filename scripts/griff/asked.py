"""What was told within a sentence: pieces of it, how they are asked for, and what is answered, also when they were not told.

Knows nothing of what sentences are about: `clauses.py`, `occasions.py` and `persons.py` make the pieces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from . import asking, told
from .asking import Core
from .cases import Turn
from .recalls import typed
from .told import Fact, Form
from .values import Value
from .wording import Source, Wordings, capital


@dataclass(frozen=True)
class Ask:
    """A question for one part of a piece. Without `short` and `whole` that part was not told."""

    core: Core
    short: tuple[str, ...] = ()
    """Answers of a few words."""
    whole: tuple[str, ...] = ()
    """Answers that are clauses, as they stand inside of a sentence."""
    accept: tuple[str, ...] = ()
    """What a right answer holds, all of it."""
    part: str = ""
    """What is asked for: "when", "who", "color"."""
    brief: str = ""
    """The same in a word or two, right behind something else about it ("and when")."""

    @property
    def known(self) -> bool:
        return bool(self.short or self.whole)


@dataclass(frozen=True)
class Piece:
    """Something that a user says in a sentence."""

    said: str
    """As it stands inside of a sentence."""
    griff: str
    """The same, as Griff says it; empty where he had better not repeat it."""
    asks: tuple[Ask, ...]
    values: tuple[str, ...]
    """What stays as it is, letter by letter, and is copied into answers."""
    topics: frozenset[str]
    """What it is about: two pieces of one topic could be mixed up."""
    acks: tuple[str, ...] = ()
    """What Griff may answer."""
    plain: bool = True
    """Whether an answer that fits all will do as well."""
    then: tuple[Piece, ...] = ()
    """What may be said right behind it, with "it" or "she"."""
    names: tuple[str, ...] = ()
    """Of the values those that may be typed in lower case."""
    people: tuple[tuple[str, str], ...] = ()
    """How the one person in it is called ("my sister", "Ludmila"), and "she" or "he"."""

    @property
    def known(self) -> list[Ask]:
        return [one for one in self.asks if one.known]

    @property
    def missing(self) -> list[Ask]:
        return [one for one in self.asks if not one.known]

    @property
    def keep(self) -> tuple[str, ...]:
        return (*self.values, *map(capital, self.values))

    def facts(self) -> list[Fact]:
        """Its values, for what may not stand in turns between."""
        form = Form("sentence", "", True, "|".join(rf"\b{re.escape(one)}\b" for one in sorted(self.topics)), {})
        return [Fact(form, Value.of(one, ""), one) for one in self.values]


def clash(one: Piece, other: Piece) -> bool:
    """Whether the one may be mixed up with the other."""
    if one.topics & other.topics:
        return True
    ours, theirs = ([*piece.values, *(v for after in piece.then for v in after.values)] for piece in (one, other))
    return any(told.overlap(first, second) for first in ours for second in theirs)


# --- asking -----------------------------------------------------------------------------------

BARE = Wordings(
    [
        "{c}[end]",
        "[hey]{c}[end]",
        "{c}, please[end]",
        "and {c}[end]",
        "so {c}[end]",
        "{c} again[end]",
        "{c}, do you remember[end]",
        "{c}, do you still know[end]",
        "{c}, Griff[end]",
        "okay, {c}[end]",
        "hm, {c}[end]",
        "now tell me, {c}[end]",
        "I forgot: {c}[end]",
        "wait, {c}[end]",
        "sorry, {c}[end]",
        "let me see if you listened: {c}[end]",
        "one question about what I told you: {c}[end]",
        "from what I told you: {c}[end]",
        "earlier I told you something. {C}[end]",
        "think back: {c}[end]",
        "did I tell you {i}[end]",
        "remind me {i}[stop]",
        "remind me, {c}[end]",
        "I forgot {i}[stop]",
        "I can't think of {i}[stop]",
        "it slipped my mind {i}[stop]",
        "do you still know {i}[end]",
        "do you still remember {i}[end]",
        "do you remember {i}[end]",
        "can you remember {i}[end]",
        "you remember {i}, don't you[end]",
        "what did I say, {c}[end]",
        "what was it that I told you: {c}[end]",
        "what did I say about this: {c}[end]",
        "did I mention {i}[end]",
        "have I said {i}[end]",
        "if I told you, {c}[end]",
        "as far as you know, {c}[end]",
        "{c}? I told you, I think.",
        "{c}? I'm not sure that I told you.",
        "{c}? I must have said it at some point.",
        "{c}? My memory is bad.",
        "{c}? It's gone from my head.",
        "{c}? Say it in one sentence.",
        "{c}? Just a short answer, please.",
        "going by what I said, {c}[end]",
        "look back and tell me {i}[stop]",
        "look back in this chat: {c}[end]",
        "scroll up for me. {C}[end]",
        "now back to what I said before: {c}[end]",
        "about before: {c}[end]",
        "I need it again: {c}[end]",
        "oh dear, {c}[end]",
        "ah, one thing: {c}[end]",
        "tell me again {i}[stop]",
        "say again {i}[stop]",
        "please repeat {i}[stop]",
        "I'd like to hear again {i}[stop]",
        "I want to see if you know {i}[stop]",
        "let's test your memory: {c}[end]",
        "pop quiz: {c}[end]",
        "somebody asks me {i}. What do I say?",
        "I have to write down {i}. Help me[stop]",
        "what would you answer if I asked you {i}[end]",
        "without looking: {c}[end]",
        "{c}, if you know it[end]",
        "{c}, did I say that[end]",
        "{c}, can you tell[end]",
    ]
)


def question(source: Source, core: Core) -> str:
    """Asks for it, in frames that facts and what was told have as well."""
    parts = {"c": core.direct, "C": capital(core.direct), "i": core.indirect}
    chance = source.chance.random()
    if chance < 0.5:
        return BARE.say(source, **parts)
    if chance < 0.68:
        return asking.fill(source, source.of(told.shared().direct), **parts)
    if chance < 0.82:
        return asking.personal(source, told.shared(), core.indirect, clause=True)
    frame = told.frames()["both" if source.maybe(0.6) else "clause"]
    return frame.say(source, m=core.indirect, w=core.indirect)


_HER = {"she": "her", "he": "his"}
_BRIEF = Wordings(
    [
        "{b}[end]",
        "and {b}[end]",
        "{b} again[end]",
        "and {b}, do you remember[end]",
        "okay, and {b}[end]",
        "{b}, Griff[end]",
        "{b} exactly[end]",
        "{b}, do you know[end]",
        "and {b}? I forgot.",
        "hm, {b}[end]",
        "wait, {b}[end]",
        "yes, but {b}[end]",
        "good, and {b}[end]",
        "so {b}[end]",
        "{b}, again, please[end]",
        "thanks, and {b}[end]",
        "right, and {b}[end]",
    ]
)


def _near(piece: Piece, text: str) -> str:
    """A question right behind what it is about: "my sister" is "she"."""
    for name, they in piece.people:
        text = re.sub(rf"\b{re.escape(name)}'s\b", _HER[they], text)
        text = re.sub(rf"^(.*?\b(?:did|does|will|is|was)) {re.escape(name)}\b(?= \w)(?! and\b)", rf"\1 {they}", text)
        text = re.sub(rf"{_WH} {re.escape(name)}\b(?= \w)(?! and\b)", rf"\1 {they}", text)
    return text


_WH = r"^((?:(?:with|to|for|on|at|in|from|about|since) )?(?:whom?|when|where|why|(?:what|which|how)(?: (?!I |we |my )[a-z]+){0,2}?))"
"""How a clause begins before the one who does it."""


def ask(source: Source, piece: Piece, one: Ask, near: bool = False) -> Turn:
    """A question and its answer. `near`: right behind what it is about."""
    asked = one.core
    if near and piece.people and source.maybe(0.6):
        asked = Core(*(_near(piece, text) for text in (asked.direct, asked.indirect)))
    brief = near and one.brief and source.maybe(0.3)
    text = _BRIEF.say(source, b=one.brief) if brief else question(source, asked)
    user = typed(source, text, [text for text in piece.keep if text in asked.direct])
    if not one.known:
        return Turn(user, never(source, one.core, piece.griff))
    return answered(user, answer(source, one), piece.values)


def answered(user: str, model: str, values: Sequence[str]) -> Turn:
    """A turn whose answer copies some of these values."""
    forms = dict.fromkeys(form for value in values if value for form in (value, capital(value)))
    return Turn(user, model, tuple(form for form in forms if re.search(rf"(?<!\w){re.escape(form)}(?!\w)", model)))


# --- answering --------------------------------------------------------------------------------

_SHORT = (
    "{A}.",
    "{A}.",
    "{A}.",
    "{A}!",
    "You told me: {a}.",
    "I remember: {a}.",
    "That's easy: {a}.",
    "You said: {a}.",
    "{A}, you told me.",
    "I kept it under my wing: {a}.",
)
_WHOLE = (
    "{A}.",
    "{A}.",
    "{A}.",
    "{A}!",
    "You told me that {a}.",
    "You said that {a}.",
    "I remember: {a}.",
    "I remember that {a}.",
    "I didn't forget: {a}.",
    "Of course I know: {a}.",
    "That's easy: {a}.",
)


def answer(source: Source, one: Ask) -> str:
    """What Griff says when he was told."""
    short = bool(one.short) and (not one.whole or source.maybe(0.5))
    text = source.pick(*(one.short if short else one.whole))
    return put(source.pick(*(_SHORT if short else _WHOLE)), a=text)


def put(template: str, **fields: str) -> str:
    """A sentence of Griff's; `{A}` is the field `a` at the beginning of a sentence, and `{Diet}` is `diet`."""
    known = fields | {
        first(name): capital(text) for name, text in fields.items() for first in (str.upper, str.capitalize)
    }
    return capital(re.sub(r"\{(\w+)\}", lambda m: known[m[1]], template))


_NEVER = (
    "You did not tell me {y}.",
    "You did not tell me {y}.",
    "You have not told me {y}.",
    "You haven't told me {y}.",
    "You haven't told me {y} yet.",
    "You didn't tell me {y}.",
    "You never told me {y}.",
    "I don't know {y}: you did not tell me.",
    "I don't know {y}, because you have not told me.",
    "I don't know. You have not told me {y}.",
    "You did not say {y}, so I don't know. You have not told me.",
    "I can't know {y}: you haven't told me.",
    "I looked back, but you did not tell me {y}.",
    "You have not told me {y}, and I won't make it up.",
    "You have not told me. I'd like to know {y}, too.",
    "So far you have not told me {y}.",
)
_ONLY = (
    "You told me that {s}, but you did not tell me {y}.",
    "I know that {s}, but you have not told me {y}.",
    "{S}, but you did not tell me {y}.",
    "You said that {s}. You did not tell me {y}.",
)


def never(source: Source, core: Core, known: str = "") -> str:
    """What Griff says when that was not told. `known`: what he was told beside it."""
    what = told.swapped(core.indirect)
    if known and len(known) < 70 and not re.search(" but |, ", known) and source.maybe(0.3):
        return put(source.pick(*_ONLY), y=what, s=known)
    return put(source.pick(*_NEVER), y=what)


# --- telling ----------------------------------------------------------------------------------

_ACKS = (
    "I'll remember that.",
    "Thank you for telling me.",
    "Good to know! I'll remember it.",
    "All right, I'll keep that in mind.",
    "I see. I'll remember that.",
    "Noted.",
    "Okay, I'll remember.",
    "Got it. I'll keep it under my wing.",
    "I see, thank you for telling me.",
    "Good, now I know.",
)
_ECHOES = (
    "So {g}. I'll remember that.",
    "I see: {g}.",
    "Okay: {g}. I'll keep it in mind.",
    "{G}. I'll remember that.",
    "{G}. Thank you for telling me.",
    "Good to know that {g}.",
    "Noted: {g}.",
    "All right, {g}. I have it under my wing.",
    "I'll remember that {g}.",
    "{G}, I see.",
    "Got it: {g}.",
)


def reaction(source: Source, piece: Piece) -> str:
    """What Griff says when he is told."""
    if piece.acks and (not piece.plain or source.maybe(0.45)):
        return capital(source.pick(*piece.acks))
    if piece.griff and piece.plain and source.maybe(0.6):
        return put(source.pick(*_ECHOES), g=piece.griff)
    return source.pick(*_ACKS)


def lowered(source: Source, piece: Piece, text: str) -> tuple[str, list[str]]:
    """A message with its names in lower case, and what of it stays as it is."""
    keep = list(piece.keep)
    for name in piece.names:
        if name == name.capitalize() and name in text:
            text = text.replace(name, name.lower())
            keep.append(name.lower())
    return text, keep


_OF_ONESELF = re.compile(r"about me\b|about myself|My little secret|testing|test you|Let me add")


def _framed(source: Source, said: str) -> str:
    """In a frame of `told`; what begins with somebody else is no fact about oneself."""
    frames = told.frames()["say"]
    while True:
        template = source.of(frames.templates)
        if re.match("(I|my name|we) ", said) or not _OF_ONESELF.search(template):
            return frames.fill(source, template, s=said, S=capital(said))


def tell(source: Source, piece: Piece) -> Turn:
    """It is told in a message of its own."""
    if source.maybe(0.7):
        text = capital(piece.said) + source.pick(".", ".", ".", ".", "!", "")
    else:
        text = _framed(source, piece.said)
    text, keep = lowered(source, piece, text) if source.maybe(0.1) else (text, list(piece.keep))
    return answered(typed(source, text, keep), reaction(source, piece), piece.values)


def tell_together(source: Source, pieces: Sequence[Piece]) -> Turn:
    """Several in one message."""
    text = capital(pieces[0].said)
    for piece in pieces[1:]:
        glue = source.pick(". ", ". ", ". ", " and ", ", and ", "! ")
        text += glue + (capital(piece.said) if glue in (". ", "! ") else piece.said)
    values = [value for piece in pieces for value in piece.values]
    keep = [text for piece in pieces for text in piece.keep]
    griffs = [piece.griff for piece in pieces]
    if all(griffs) and source.maybe(0.5):
        listed = ", ".join(griffs[:-1]) + (" and " if len(griffs) < 3 else ", and ") + griffs[-1]
        model = put(source.pick(*_ECHOES), g=listed)
    else:
        model = source.pick(*_ACKS, "I'll remember all of that.", "That is a lot! I'll keep it all in mind.")
    return answered(typed(source, text + source.pick(".", ".", "!", ""), keep), model, values)
