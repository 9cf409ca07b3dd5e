"""Sentences about what somebody did, does or will do, built from a verb and its parts, and the questions for each part.

"My sister Ludmila bought a red lamp at the market on Friday": who, what, where, when. A part that the verb may have and the
sentence has not is asked for as well: it was not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from . import told, values_day
from .asked import Ask, Piece
from .asking import Core
from .clause_parts import (
    HUES,
    ME,
    US,
    WORDS,
    Part,
    Verb,
    Who,
    adjunct,
    color,
    name_of,
    object_of,
    part_of,
    price,
    somebody,
    verbs,
)
from .lexicon import Lexicon
from .told import overlap
from .wording import Source, capital

_ORDER = ("color", "to", "from", "for", "about", "price", "with", "where", "duration", "when")
_PLACED = {"put", "leave"}
"""Say where."""
_BE = {"I": "am", "we": "are"}


@dataclass(frozen=True)
class Sentence:
    """Who does what; `parts` by their names."""

    who: Who
    verb: Verb
    tense: str
    """p past, f "am going to", w "will", i -ing for the future, h habit."""
    parts: Mapping[str, Part]
    front: bool = False
    """Whether it begins with when."""

    def _verb(self, they: str) -> tuple[str, str, str]:
        """Helping verb in a question, what follows there, and both within a clause."""
        be = "are" if they == "you" else _BE.get(they, "is")
        third = they not in ("I", "we", "you")
        verb = self.verb
        return {
            "p": ("did", verb.base, verb.past),
            "f": (be, f"going to {verb.base}", f"{be} going to {verb.base}"),
            "w": ("will", verb.base, f"will {verb.base}"),
            "i": (be, verb.ing, f"{be} {verb.ing}"),
            "h": ("does" if third else "do", verb.base, verb.third if third else verb.base),
        }[self.tense]

    def _object(self, later: str = "") -> str:
        if "object" not in self.parts:
            return ""
        return " ".join(filter(None, (self.verb.prep, later or self.parts["object"].text)))

    def clause(self, griff: bool = False) -> str:
        """The whole sentence."""
        they = "you" if griff and not self.who.third else self.who.they
        found = [self.who.griff if griff else self.who.user, self._verb(they)[2], self._object()]
        found += [
            self.parts[name].text for name in _ORDER if name in self.parts and not (name == "when" and self.front)
        ]
        text = " ".join(filter(None, found))
        text = told.swapped(text) if griff else text
        return f"{self.parts['when'].text} {text}" if self.front else text

    def asks(self, source: Source) -> list[Ask]:
        """A question for each part, also for some that it has not."""
        found = [self._ask(source, name) for name in self.parts]
        if self.who.third:
            found.append(self._ask_who(source))
        if "object" in self.parts and self.verb.object == "many":
            found.append(self._ask_many(source))
        missing = {name_of(one) for one in self.verb.adjuncts} - set(self.parts)
        return found + [self._ask(source, name) for name in sorted(missing)]

    def _rest(self, source: Source, but: str) -> str:
        """What of the other parts is said again in a question."""
        others = [n for n in _ORDER if n in self.parts and n not in (but, "color")]
        extra = self.parts[source.pick(*others)].text if others and source.maybe(0.35) else ""
        if but == "object" or "object" not in self.parts:
            return extra
        return " ".join(filter(None, (self._object(source.pick(*self.parts["object"].later)), extra)))

    def _ask(self, source: Source, name: str) -> Ask:
        part = self.parts.get(name)
        word, tail = source.pick(*(part.words if part else WORDS[name]))
        ref = source.pick(*self.who.refs)
        helping, follows, within = self._verb(self.who.they)
        rest = self._rest(source, name)
        at_end = "" if name == "object" else rest
        if name == "object":
            ends = [tail, rest]
        else:
            # "who am I going to Lisbon with on Friday": the preposition stands behind the object
            object_ = self._object(source.pick(*self.parts["object"].later)) if "object" in self.parts else ""
            ends = [object_, tail] if tail else [at_end]
        direct = " ".join(filter(None, (word, helping, ref, follows, *ends)))
        indirect = " ".join(filter(None, (word, ref, within, *ends)))
        core, brief = Core(direct, indirect), "" if name == "object" else _brief(word, tail)
        if part is None:
            return Ask(core, part=name, brief=brief)
        return Ask(core, *self._answers(source, name, part), (part.core,), name, brief)

    def _answers(self, source: Source, name: str, part: Part) -> tuple[tuple[str, ...], tuple[str, ...]]:
        they = self.who.they if self.who.third else "you"
        refs = {told.swapped(ref) for ref in self.who.refs} | {self.who.griff}
        verb = self._verb(they)[2]
        later = (
            self._object("" if name == "object" else source.pick(*self.parts["object"].later)) if self._object() else ""
        )
        more = "" if name == "object" else part.text
        whole = tuple(told.swapped(" ".join(filter(None, (ref, verb, later, more)))) for ref in sorted(refs))
        short = told.swapped(part.text)
        if name == "object" and self.verb.word == "where" and self.verb.prep:
            return (f"{self.verb.prep} {short}", short), whole
        return (short,), whole

    def _ask_who(self, source: Source) -> Ask:
        within = self._verb("he")[2]
        direct = " ".join(filter(None, ("who", within, self._rest(source, ""))))
        they = self.who.griff
        said = told.swapped(" ".join(filter(None, (they, within, self._object()))))
        short = (they, they, self.who.accept) if self.who.values else (they,)
        return Ask(Core(direct, direct), short, (said,), (self.who.accept,), "who")

    def _ask_many(self, source: Source) -> Ask:
        part, (helping, follows, within) = self.parts["object"], self._verb(self.who.they)
        number, things = part.values
        ref = source.pick(*self.who.refs)
        core = Core(f"how many {things} {helping} {ref} {follows}", f"how many {things} {ref} {within}")
        return Ask(core, (number, f"{number} {things}"), self._answers(source, "object", part)[1], (number,), "many")

    def piece(self, source: Source, lexicon: Lexicon) -> Piece:
        """What it says and what may be asked."""
        found = (*self.who.values, *(value for part in self.parts.values() for value in part.values))
        topics = self.who.topics | frozenset(t for part in self.parts.values() for t in part.topics)
        names = tuple(v for v in found if v[:1].isupper() and " " not in v)
        object_ = self.parts.get("object")
        alone = self.who.third and self.verb.object != "person" and not {"with", "for", "from", "to"} & set(self.parts)
        echoes = {part.name: capital(told.swapped(part.text)) for part in self.parts.values()}
        acks = [f"{text}, I'll remember that." for text in echoes.values()]
        acks += [f"{text}! Thank you for telling me." for name, text in echoes.items() if name != "when"]
        then = (
            (further(source, lexicon, object_.noun, object_.text, "price" in self.parts),)
            if object_ and object_.noun and self.tense == "p"
            else ()
        )
        return Piece(
            self.clause(),
            self.clause(griff=True),
            tuple(self.asks(source)),
            found,
            topics | {self.verb.base} if self.who.they == "I" else topics,
            tuple(acks),
            then=then,
            names=names,
            people=tuple((ref, self.who.they) for ref in dict.fromkeys(self.who.refs)) if alone else (),
        )


def _brief(word: str, tail: str) -> str:
    """ "with whom", "where"."""
    return f"{tail} {'whom' if word == 'who' else word}" if tail else word


def sentence(
    source: Source,
    lexicon: Lexicon,
    verb: Verb | None = None,
    who: Who | None = None,
    like: Sentence | None = None,
) -> Sentence:
    """One with a verb and some of what the verb may have. `like`: the same parts at the same time."""
    verb = verb or source.of(verbs())
    who = who or (
        ME if (chance := source.chance.random()) < 0.45 else US if chance < 0.52 else somebody(source, lexicon)
    )
    if "t" in verb.tenses and not who.third:
        who = somebody(source, lexicon)
    letter = source.pick(*verb.tenses.replace("t", ""))
    tense = source.pick("f", "f", "w") if letter == "f" else letter
    few = source.some(verb.adjuncts, 1, 2) if verb.object != "none" else source.some(verb.adjuncts, 1, 3)
    if letter == "h" and "when" in verb.adjuncts and "when" not in few:
        few = [*few[:1], "when"]
    if verb.adjuncts[0] == "spot" and verb.base in _PLACED and "spot" not in few:
        few.append("spot")
    elif source.maybe(0.15) and verb.object != "none" and who is not ME and who is not US:
        few = []
    if like is not None:
        tense, letter = like.tense, "f" if like.tense == "w" else like.tense
        few = [kind for kind in verb.adjuncts if name_of(kind) in like.parts]
    for _ in range(200):
        made = {} if verb.object == "none" else {"object": object_of(source, lexicon, verb)}
        made |= {part.name: part for part in (adjunct(source, lexicon, one, letter) for one in few)}
        if _apart(who, made):
            break
    front = "when" in made and source.maybe(0.2)
    return Sentence(who, verb, tense, made, front)


def _apart(who: Who, made: Mapping[str, Part]) -> bool:
    """Whether no value is in another, and nobody comes twice."""
    found = [(part.name, value) for part in made.values() for value in part.values] + [("who", v) for v in who.values]
    topics = [topic for part in made.values() for topic in part.topics] + list(who.topics)
    several = any(overlap(v, w) for i, (n, v) in enumerate(found) for m, w in found[:i] if n != m)
    return not several and not any(overlap(s, t) for i, s in enumerate(topics) for t in topics[:i] if "my " in s + t)


def changed(source: Source, lexicon: Lexicon, one: Sentence) -> tuple[Sentence, Part, Part]:
    """The same with another value of one part; that part before and after."""
    name = source.pick(*(n for n in one.parts if n != "price"), *(n for n in one.parts if n != "object"))
    old = one.parts[name]
    kind = next((kind for kind in one.verb.adjuncts if name_of(kind) == name), "")
    letter = "f" if one.tense == "w" else one.tense
    for _ in range(200):
        new = object_of(source, lexicon, one.verb) if name == "object" else adjunct(source, lexicon, kind, letter)
        other = {**one.parts, name: new}
        if not any(overlap(v, w) for v in new.values for w in old.values) and _apart(one.who, other):
            break
    return replace(one, parts=other), old, new


# --- more about a thing -----------------------------------------------------------------------


def further(source: Source, lexicon: Lexicon, noun: str, text: str, priced: bool = False) -> Piece:
    """Something about a thing that was named before: "It is red". `priced`: what it cost is known."""
    kinds = ["color", "cost", "old", "from", "made"]
    if HUES.search(text):
        kinds.remove("color")
    if priced:
        kinds.remove("cost")
    kind = source.pick(*kinds)
    the = f"the {noun}"
    if kind == "color":
        value = color(source, lexicon)
        says, direct, indirect = "{} is {v}", "what color is {}", "what color {} is"
    elif kind == "cost":
        value = price(source)
        says, direct, indirect = "{} cost {v}", "how much did {} cost", "how much {} cost"
    elif kind == "old":
        value = f"{source.number(2, 150)} years"
        says, direct, indirect = "{} is {v} old", "how old is {}", "how old {} is"
    elif kind == "from":
        value = values_day.town(source, lexicon).text
        says, direct, indirect = "{} is from {v}", "where is {} from", "where {} is from"
    else:
        value = part_of(source, "material")
        says, direct, indirect = "{} is made of {v}", "what is {} made of", "what {} is made of"

    def put(template: str, what: str) -> str:
        return template.replace("{}", what).replace("{v}", value)

    one = Ask(Core(put(direct, the), put(indirect, the)), (value,), (put(says, the),), (value,), kind)
    return Piece(put(says, "it"), put(says, the), (one,), (value,), frozenset({noun}), (capital(value) + "! I see.",))
