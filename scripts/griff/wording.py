"""Chance, and the ways to say one thing.

What training may never see is decided here, once for all: of every `Pool` (of templates, names, words) the seventh whose
digests end a certain way is held out, and only the evaluation draws from it.
"""

from __future__ import annotations

import functools
import hashlib
import random
import re
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
PART = 7
"""One of so many is held out."""


def _digest(item: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(item).encode()).digest()[:6])


class Pool(Generic[T]):
    """Things of one kind to choose from, a seventh of them held out."""

    def __init__(self, items: Sequence[T]) -> None:
        self.all = tuple(dict.fromkeys(items))
        held = {item for item in self.all if _digest(item) % PART == 0}
        if len(held) > max(1, len(self.all) // 4):
            held = set(sorted(held, key=_digest)[: max(1, len(self.all) // 4)])
        if not held and len(self.all) >= PART // 2:
            held = {min(self.all, key=_digest)}
        if len(held) == len(self.all):
            held = set()
        self.kept = tuple(item for item in self.all if item not in held)
        self.held = tuple(item for item in self.all if item in held) or self.all

    def part(self, items: Sequence[T]) -> Pool[T]:
        """Some of these, and of them those held out that are held out here."""
        made = Pool(items)
        made.kept = tuple(item for item in made.all if item in self.kept)
        made.held = tuple(item for item in made.all if item in self.held) or made.all
        return made


class Source:
    """Where all chance comes from. `held`: draws what training never sees, for the evaluation."""

    def __init__(self, seed: int | str, held: bool = False) -> None:
        self.chance = random.Random(seed)
        self.held = held

    def of(self, pool: Pool[T]) -> T:
        """One of those that this source may show."""
        return self.chance.choice(pool.held if self.held else pool.kept)

    def pick(self, *items: T) -> T:
        """One of these, whoever asks."""
        return self.chance.choice(items)

    def some(self, items: Sequence[T], low: int, high: int) -> list[T]:
        """Between `low` and `high` different ones, in random order."""
        return self.chance.sample(list(items), min(len(items), self.chance.randint(low, high)))

    def maybe(self, probability: float) -> bool:
        return self.chance.random() < probability

    def number(self, low: int, high: int) -> int:
        return self.chance.randint(low, high)


SLOTS: dict[str, str] = {
    "hey": "|||||||Hey, |Hi, |Griff, |So, |Okay, |Well, |Now, |Hm, |Oh, |Hello, |Quick question: |One question: |"
    "Just asking: |Let me ask you: |Sorry, |Hey Griff, |By the way, ",
    "please": "||||| please|, please| for me| if you can|, Griff| now| again",
    "tell": "Tell me|Can you tell me|Could you tell me|Do you know|Please tell me|I want to know|I would like to know|"
    "I'd like to know|Would you tell me|Any idea|Can you say|Do you happen to know|You know|Let me know|I wonder|"
    "I'm wondering|I was wondering|Would you know|Have you any idea|Could you say|Say|I need to know|Help me out:|"
    "Remind me|Explain to me|Mind telling me",
    "do": "||||Please |Can you |Could you |Would you |I want you to |I'd like you to |Now |Go on, |Let's see: |Try to |"
    "Kindly |Will you |I need you to |Be so kind and |Hey, can you ",
    "end": "?|?|?|?|?||.|??|?!| ?",
    "stop": ".|.|.|.||!|..|!!",
}
"""Slots that every wording may name, beside its own: what may stand there, the usual more than once."""
_SLOT = re.compile(r"\[(\w+)\]")
_OPENER = re.compile("(Quick question|One question|Just asking|Let me ask you): (?=.)")
_ASKS = re.compile(
    "(what|who|whom|whose|where|when|why|how|which|is|are|am|was|were|do|does|did|can|could|will|would|should|shall|may|"
    "might|have|has|had|any|on|in|at|from|under|by|with|for|to)(n't)?('s|'re)?\\b(?! me\\b)",
    re.I,
)


class Wordings:
    """Ways to say one thing: templates whose slots, `[slot]`, are filled by chance and whose fields, `{field}`, are given."""

    def __init__(self, templates: Sequence[str], **slots: Sequence[str]) -> None:
        """`slots`: what may stand in each; what stands there twice comes twice as often."""
        self.templates = Pool(templates)
        self._slots = {name: options.split("|") for name, options in SLOTS.items()} | slots

    def say(self, source: Source, **fields: object) -> str:
        """One of them; templates are held out, what fills their slots is not."""
        return self.fill(source, source.of(self.templates), **fields)

    def fill(self, source: Source, text: str, **fields: object) -> str:
        """A template, chosen elsewhere, with its slots and fields filled."""
        while match := _SLOT.search(text):
            option = source.chance.choice(self._slots[match[1]])
            if match[1] == "please" and _said_already(option, text):
                option = ""
            text = text[: match.start()] + option + text[match.end() :]
        # What stands in place of a field is never read as a slot or a field.
        text = re.sub(r"\{(\w+)\}", lambda m: str(fields[m[1]]), text)
        if (opener := _OPENER.match(text)) and not _ASKS.match(text, opener.end()):
            text = text[opener.end() :]  # "Just asking: tell me."
        return text[:1].upper() + text[1:] if text[:1].islower() else text


def _said_already(option: str, text: str) -> bool:
    """Whether a polite word would come twice: "Please tell me, please", "Tell me for me", "Can you, if you can"."""
    said = {
        "me": r"\b(me|us|my|I)\b",
        "please": r"\bplease\b",
        "again": r"\bagain\b",
        "can": r"\b(can|could|would|will) you\b",
    }
    return any(re.search(rf"\b{word}\b", option) and re.search(found, text, re.I) for word, found in said.items())


_KEYS = {"a": "s", "e": "w", "i": "o", "o": "p", "t": "r", "n": "m", "s": "d", "r": "e", "l": "k", "h": "j", "d": "f"}
_SHORT: tuple[tuple[str, str], ...] = (
    ("What is", "What's"),
    ("what is", "what's"),
    ("do not", "don't"),
    ("I am ", "I'm "),
    ("can not", "can't"),
)
_SHORT += (("you are", "you're"), ("I would", "I'd"), ("Who is", "Who's"), ("Where is", "Where's"))
_IT_IS = re.compile(r"(?:^|(?<=[.!?,;:] )|(?<=that )|(?<=if ))([Ii])t is(?= [a-z])")
"""Where it begins a clause; never in "how far it is to Paris"."""
_LAZY = (
    (" you ", " u "),
    (" please", " pls"),
    ("you are", "ur"),
    ("what's", "whats"),
    ("don't", "dont"),
    ("I'm ", "im "),
)


def roughen(source: Source, text: str, keep: Sequence[str] = ()) -> str:
    """A user's text as people type: contractions, lower case, no full stop, a slip of a key.

    Args:
        keep: what must stay as it is, letter by letter (a name that will be asked for).
    """
    parts = [text]
    for one in sorted(filter(None, keep), key=len, reverse=True):
        parts = [p for part in parts for p in ([part] if part in keep else _around(part, one))]
    contract, lower, lazy = source.maybe(0.4), source.maybe(0.2), source.maybe(0.03)
    bare, slips, loud = source.maybe(0.15), source.maybe(0.06), source.maybe(0.01)
    longer = source.pick("anymore", "anymore", "any more", "any more", "any longer")

    def rough(part: str) -> str:
        for long, short in (_SHORT if contract else ()) + (_LAZY if lazy else ()):
            part = _ended(long).sub(short, part)
        part = _IT_IS.sub(r"\1t's", part) if contract else part
        part = part.replace("anymore", longer)
        return part.upper() if loud and not keep else part.lower() if lower else part

    parts = [part if part in keep else rough(part) for part in parts]
    if bare and parts[-1] not in keep:
        parts[-1] = parts[-1].rstrip(" .?!")
    if slips and (at := [i for i, part in enumerate(parts) if part not in keep and len(part) > 6]):
        i = source.chance.choice(at)
        parts[i] = slip(source, parts[i])
    return "".join(parts)


@functools.cache
def _ended(text: str) -> re.Pattern[str]:
    """Finds it where no word goes on behind it: not "I would" in "I wouldn't"."""
    return re.compile(re.escape(text) + (r"(?![\w'])" if text[-1].isalpha() else ""))


def _around(text: str, one: str) -> list[str]:
    """The text cut before and behind each place where that stands."""
    first, *rest = text.split(one)
    return [first, *(part for other in rest for part in (one, other))]


RUDE = re.compile("cunt|shit|fuck|dick|cock|bitch|puss|whore|slut|rape|porn|nigg|penis|pubic|thong|tits")
"""What a slip may not make of a word ("count", "shirt")."""


def slip(source: Source, text: str) -> str:
    """With one slip of a key inside a long word."""
    words = list(re.finditer(r"[a-z]{5,}", text))
    if not words:
        return text
    word = source.chance.choice(words)
    at = source.number(word.start() + 1, word.end() - 2)
    kind, letter = source.number(0, 3), text[at]
    new = ("", letter * 2, text[at + 1] + letter, _KEYS.get(letter, letter))[kind]
    slipped = text[:at] + new + text[at + (2 if kind == 2 else 1) :]
    return text if RUDE.search(slipped.lower()) else slipped


def capital(text: str) -> str:
    """With its first letter in upper case."""
    return text[:1].upper() + text[1:]


_SPOKEN_YOU = re.compile(
    "uni(?!m|n|den)|unanim|us[aeiu]|ut(?:e|il|op)|ur(?:an|in)|ubiq|u-|eu|ewe|one(?!r)|once|ukulele|oui", re.I
)
"""Begins with a vowel for the eye alone."""
_SILENT_H = re.compile("hour|honest|heir|honor|herb(?!iv)|x-ray", re.I)
"""Begins with a vowel for the ear alone."""


def an(noun: str) -> bool:
    """Whether "an" stands before it."""
    return bool(_SILENT_H.match(noun)) or (noun[:1].lower() in "aeiou" and not _SPOKEN_YOU.match(noun))


def a(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if an(noun) else 'a'} {noun}"
