"""What nobody in a terminal can know, and what does not exist: answered with "I don't know", and why.

Half of it has the very words of questions that can be answered (`facts`), with a land, an animal, a word, a person or a
book that letters made by chance: only the content tells the two apart.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from . import told
from .asking import Core, core, fill, following, put, question, whether
from .cases import Case, Kind, Turn, one
from .facts import Relation, facts, forward, plural
from .lexicon import Lexicon, table, unlucky
from .wording import PART, Pool, Source, _digest, a, capital, roughen

SAID = ("don't know", "do not know", "can't", "cannot", "have not told", "no idea", "not sure", "never heard")
"""One of these is in every answer."""
ACCEPT = (*SAID, *(words for words in told.NEVER if words not in SAID), "haven't heard", "not heard", "new to me")
"""Any of these will do: also what is said to a question for something that was not told."""


@dataclass
class Unknown:
    """One kind of question, why it can't be answered, and its wordings."""

    name: str
    why: str
    cores: list[Core] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)

    @functools.cached_property
    def asks(self) -> Pool[Core]:
        return Pool(self.cores)

    @functools.cached_property
    def says(self) -> Pool[str]:
        return Pool(self.bare)


@functools.cache
def unknowns() -> dict[str, Unknown]:
    """All kinds, by name."""
    found: dict[str, Unknown] = {}
    for name, why, way, text in table("unknown_questions"):
        made = found.setdefault(name, Unknown(name, why))
        if way == "ask":
            made.cores.append(core(text))
        else:
            made.bare.append(text)
    for relation in facts().relations:
        if relation.name in LIKE:
            made = found[LIKE[relation.name]]
            old, new = _FIELDS[made.name]
            texts = [(c.direct, c.indirect, c.noun) for c in relation.ask.all]
            made.cores += [
                Core(*(text.replace("{ax}", new).replace("{x}", old) for text in c))
                for c in texts
                if "{xs}" not in c[0]
            ]
    real = found["realword"] = Unknown("realword", "realword", bare=found["word"].bare)
    real.cores = [c for c in found["word"].cores if "{aword}" not in " ".join((c.direct, c.indirect, c.noun))]
    real.cores = [Core(*(t.replace("{word}", "{real}") for t in (c.direct, c.indirect, c.noun))) for c in real.cores]
    real.bare = [text.replace("{word}", "{real}") for text in real.bare if "{aword}" not in text]
    return found


LIKE = {"capital": "country", "language": "country", "currency": "country", "country": "town", "author": "book"}
LIKE |= {
    "sound": "animal",
    "young": "animal",
    "eats": "animal",
    "home": "animal",
    "legs": "animal",
    "known_for": "who",
}
LIKE |= {"meaning": "word", "tool": "word", "kind": "word", "opposite": "word"}
LIKE |= {"continent": "country", "people_of": "country", "highest": "country", "artist": "book", "composer": "book"}
LIKE |= {"dwelling": "animal", "group": "animal", "sense": "word"}
"""Of what sort the x of a relation is, when it does not exist."""
_FIELDS = {"country": ("{land}", ""), "town": ("{town}", ""), "book": ("{title}", ""), "animal": ("{word}", "{aword}")}
_FIELDS |= {"who": ("{person}", ""), "word": ("{word}", "{aword}")}


@functools.cache
def _fillers() -> dict[str, Pool[str]]:
    found: dict[str, list[str]] = {}
    for slot, text in table("unknown_fillers"):
        found.setdefault(slot, []).append(text)
    return {slot: Pool(items) for slot, items in found.items()}


@functools.cache
def _answers() -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], list[str]] = {}
    for why, part, text in table("unknown_answers"):
        found.setdefault((why, part), []).append(text)
    return {key: tuple(texts) for key, texts in found.items()}


# --- what does not exist --------------------------------------------------------------------

_HEADS = (
    "brindle|snor|flim|gla|trum|whis|bor|quin|dap|mur|fen|skil|plo|zan|wib|grum|tas|lor|vel|hob|nim|jas|pel|crum|dol"
)
_TAILS = "wick|dort|fle|bet|gram|lop|nack|zle|mer|tron|vy|quet|bick|sel|mond|rin|ble|kin|ster|pod|wen|lam|dle|fin"
_REAL = frozenset({"tassel", "nimble", "hobble", "crumble", "grumble"})
"""Of the nouns that come out, those that do exist."""
_SURNAMES = "sel|man|wood|berg|well|field|ova|escu|ton|by|quist|stein|ley|worth|dale|owski|ini|ez|gaard|more"
_LANDS = "ia|land|onia|avia|istan|ora|mark|and|una|esh|aria|olia"
_TOWNS = "ville|burg|ton|ham|port|haven|stead|mouth|ford|dale|grad|wick|ov|ona|heim"
_KINDS_OF_TITLE = (
    "The Last Train to {0}",
    "The {1} {2} of {0}",
    "{3} and the {1} {2}",
    "Songs of {0}",
    "The Road to {0}",
    "{3} of {0}",
    "A {2} for {3}",
    "The Secret of {0}",
    "Goodbye, {3}",
    "{0} by Night",
    "The {2} of {3}",
    "Return to {0}",
)
_ADJECTIVES = "Silver|Broken|Seventh|Green|Quiet|Golden|Hidden|Burning|Paper|Wandering|Crooked|Blue"
_NOUNS = "Lantern|Harbor|Clock|Garden|Bridge|Compass|Letter|Mirror|Kite|Tower|Window|Bell"


@functools.cache
def _places() -> frozenset[str]:
    """Lands and towns that do exist."""
    found = {"Holland", "Oland", "Jutland", "Zealand", "Lapland", "Rutland", "Bavaria", "Arabia", "India", "Asia"}
    for relation in facts().relations:
        if relation.name in ("capital", "country", "continent"):
            found |= {name for fact in relation.facts for name in (fact.x, *fact.right)}
    return frozenset(found)


def _joined(source: Source, lexicon: Lexicon, ends: str) -> str:
    """An invented name with one of these ends."""
    while True:
        name = lexicon.invented(source).rstrip("aeiouh") + source.pick(*ends.split("|"))
        if len(name) > 4 and not unlucky(name) and name not in _places():
            return name


def word(source: Source, lexicon: Lexicon) -> str:
    """A noun that does not exist."""
    while True:
        if source.maybe(0.4):
            made = lexicon.made_up(source)
        else:
            made = source.pick(*_HEADS.split("|")) + source.pick(*_TAILS.split("|"))
            if (_digest(made) % PART == 0) != source.held:
                continue
        if made not in _REAL and not unlucky(made) and made[-1] not in "sxz" and not made.endswith(("ch", "sh", "y")):
            return made


_WORD_TRIES = 200


@functools.cache
def _explained() -> frozenset[str]:
    """Words that stand in any fact."""
    found = {text.lower() for r in facts().relations for fact in r.facts for text in (fact.x, *fact.right)}
    return frozenset(word for text in found for word in (text, *text.split()))


def real_word(source: Source, lexicon: Lexicon) -> str:
    """A word that does exist, of which nothing was learned; without a corpus, where there is none, an invented one."""
    for _ in range(_WORD_TRIES):
        found = source.of(source.pick(lexicon.words, lexicon.nouns))
        if found.lower() not in _explained() and not unlucky(found):
            return found
    return word(source, lexicon)


def person(source: Source, lexicon: Lexicon) -> str:
    """Somebody who does not exist: an invented surname after a first name."""
    first = lexicon.name(source)[0]
    last = _joined(source, lexicon, _SURNAMES) if source.maybe(0.6) else lexicon.invented(source)
    title = source.pick("", "", "", "", "", "", "Captain ", "Professor ", "Saint ", "Doctor ")
    return f"{title}{first} {last}"


def title(source: Source, lexicon: Lexicon) -> str:
    """A book, a film or a song that does not exist."""
    what = source.pick(*_KINDS_OF_TITLE), source.pick(*_ADJECTIVES.split("|")), source.pick(*_NOUNS.split("|"))
    return what[0].format(_joined(source, lexicon, _TOWNS), what[1], what[2], lexicon.invented(source))


def _uneven(source: Source, low: int) -> int:
    """A number of as many digits, beyond the times table, that does not end in zero."""
    number = source.number(max(low, 13), 10 * low - 1)
    return number if number % 10 else number + 1


_MADE: dict[str, Callable[[Source, Lexicon], str]] = {
    "land": lambda source, lexicon: _joined(source, lexicon, _LANDS),
    "town": lambda source, lexicon: _joined(source, lexicon, _TOWNS),
    "person": person,
    "word": word,
    "real": real_word,
    "title": title,
    "brand": lambda source, lexicon: lexicon.invented(source),
    "name": lambda source, lexicon: lexicon.name(source)[0],
    "surname": lambda source, lexicon: _joined(source, lexicon, _SURNAMES),
    "n": lambda source, lexicon: str(source.number(13, 999)),
    "d": lambda source, lexicon: str(source.number(4, 19)),
    "h": lambda source, lexicon: str(source.number(5, 11)),
    "m": lambda source, lexicon: str(source.pick(5, 10, 15, 20, 30, 45)),
    "m2": lambda source, lexicon: source.pick("two", "three", "four", "six"),
    "year": lambda source, lexicon: str(source.number(1100, 1990)),
    "big": lambda source, lexicon: str(_uneven(source, source.pick(100, 1000, 10_000, 10_000, 100_000, 1_000_000))),
    "few": lambda source, lexicon: str(source.number(2, 99)),
    "digit": lambda source, lexicon: str(source.number(3, 9)),
    "mid": lambda source, lexicon: str(_uneven(source, source.pick(10, 100, 100, 1000))),
}


def fields(source: Source, lexicon: Lexicon, texts: tuple[str, ...]) -> dict[str, str]:
    """What stands for the fields of these texts; `acity` is the article with the city, `city2` another city."""
    named: dict[str, str] = {}
    for slot in sorted({slot for text in texts for slot in re.findall(r"\{(\w+)\}", text)}):
        if slot in _MADE:
            named[slot] = _MADE[slot](source, lexicon)
        elif slot in _fillers():
            named[slot] = source.chance.choice(_fillers()[slot].all)
        elif slot[0] == "a" and slot[1:] not in named:
            named[slot[1:]] = (
                _MADE[slot[1:]](source, lexicon)
                if slot[1:] in _MADE
                else source.chance.choice(_fillers()[slot[1:]].all)
            )
    for slot in sorted({slot for text in texts for slot in re.findall(r"\{(\w+)\}", text)} - set(named)):
        base = slot[:-1] if slot.endswith("2") else slot[1:]
        while slot.endswith("2") and named.get(slot) in (None, named.get(base)):
            named[slot] = _MADE[base](source, lexicon) if base in _MADE else source.chance.choice(_fillers()[base].all)
        if not slot.endswith("2"):
            named[slot] = a(named[base])
    return named


_ABOUT = {
    "place": ("land", "town"),
    "person": ("person",),
    "word": ("word",),
    "realword": ("real",),
    "book": ("title",),
    "thing": ("brand",),
}


def answer(source: Source, why: str) -> str:
    """An honest answer, short, which often says why."""
    given = _answers()
    if (why, "reason") not in given or source.maybe(0.4):
        text = source.pick(*given[why, "whole"])
    else:
        reason = source.pick(*given[why, "reason"]) if source.maybe(0.85) else ""
        text = f"{source.pick(*given['*', 'lead'])} {reason}".strip()
    if source.maybe(0.3):
        text = f"{text} {source.pick(*given[why, 'tail'])}"
    return text


def ask(source: Source, lexicon: Lexicon, unknown: Unknown) -> Case:
    """A question of this kind."""
    bare = not unknown.cores or (unknown.bare and source.maybe(0.45))
    if bare:
        text = source.of(unknown.says)
        named = fields(source, lexicon, (text,))
        user = fill(source, text, **named)
    else:
        named = fields(source, lexicon, tuple(t for c in unknown.cores for t in (c.direct, c.indirect, c.noun)))
        user = question(source, unknown.asks, named)
    slots = (slot for slot in _ABOUT.get(unknown.why, ()) if slot in named and named[slot].lower() in user.lower())
    x = next((named[slot] for slot in slots), "")
    kept = sorted({text for text in named.values() if text in user}, key=len)
    says = answer(source, unknown.why)
    while "x}" in says and not x:
        says = answer(source, unknown.why)
    says = capital(put(says, {"x": x, "ax": a(x)}))
    copied = (x,) if x and x in says else ()
    return replace(one(roughen(source, user, kept), says, ACCEPT, copied=copied), about=unknown.name)


def like(source: Source, lexicon: Lexicon, relation: Relation) -> tuple[dict[str, str], str, str]:
    """What stands for the x of a relation and does not exist: fields, itself, and why nothing is known of it."""
    made = unknowns()[LIKE[relation.name]]
    slot = _FIELDS[made.name][0][1:-1]
    x = _MADE[slot](source, lexicon)
    return {"x": x, "ax": a(x), "xs": plural(x)}, x, made.why


def honest(source: Source, why: str, x: str) -> str:
    """An answer about x."""
    return capital(put(answer(source, why), {"x": x, "ax": a(x)}))


def whether_so(source: Source, lexicon: Lexicon) -> Case:
    """Whether something known belongs to what does not exist: "Is Paris the capital of Xoria?"."""
    relation = source.pick(*(r for r in facts().relations if r.name in LIKE and "state" in r.words))
    named, x, why = like(source, lexicon, relation)
    z = source.pick(*relation.facts).right[0]
    named |= {"z": z, "az": a(z), "zs": plural(z)}
    state = put(source.of(relation.statements), named)
    if relation.direct.all and source.maybe(0.5):
        user = question(source, Pool([Core(put(source.of(relation.direct), named), f"if {state}")]), {})
    else:
        user = whether(source, state)
    says = honest(source, why, x)
    kept = [text for text in (x, z) if text in user]
    copied = (x,) if x in says else ()
    return replace(one(roughen(source, user, kept), says, ACCEPT, copied=copied), about="whether so")


def and_that(source: Source, lexicon: Lexicon) -> Case:
    """Something known is asked for, and then the same about what does not exist."""
    relation = source.pick(*(r for r in facts().relations if r.name in LIKE and "next" in r.words))
    named, x, why = like(source, lexicon, relation)
    first = forward(source, relation, source.pick(*relation.facts))
    thing = put(source.pick(*relation.words["next"]), named)
    says = honest(source, why, x)
    user = roughen(source, following(source, thing), [x] if x in thing else [])
    copied = (x,) if x in says else ()
    return Case((*first.turns, Turn(user, says, copied)), (ACCEPT,), about="and that")


def every(source: Source, lexicon: Lexicon) -> Iterator[Case]:
    """A question of each kind, in a wording of this source."""
    for unknown in unknowns().values():
        yield ask(source, lexicon, unknown)


_WEIGHTS = {
    "country": 6.0,
    "town": 3.0,
    "word": 6.0,
    "realword": 6.0,
    "animal": 3.0,
    "who": 6.0,
    "book": 5.0,
    "big_plus": 3.0,
    "big_times": 3.0,
}
_WEIGHTS |= {"product": 2.0, "science": 2.0, "history": 2.0, "see": 2.0, "ate": 1.5, "translate": 1.5}


def kinds() -> list[Kind]:
    """A kind for each kind of question."""
    made = []
    for unknown in unknowns().values():

        def make(source: Source, lexicon: Lexicon, unknown: Unknown = unknown) -> Case:
            return ask(source, lexicon, unknown)

        # What was told before would answer a question about the user.
        filler = unknown.why not in ("told", "others", "earlier")
        made.append(Kind(f"unknown_{unknown.name}", "unknown", make, _WEIGHTS.get(unknown.name, 1.0), filler))
    made.append(Kind("unknown_whether_so", "unknown", whether_so, 6.0))
    return [*made, Kind("unknown_and_that", "unknown", and_that, 5.0, filler=False)]


KINDS = kinds()
