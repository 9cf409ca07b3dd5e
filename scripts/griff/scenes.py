"""Stories from plots: who is in one, what happens, and which of many sentences says it.

A plot (`tables/plots_*.txt`) is a row of slots; each holds several sentences of which one is drawn, or names a pool of
sentences that stories share (`tables/story_scenes.txt`). In a sentence, `<a|b>` is a choice and `{field}` is filled:

    {H} {K} {aK}    the hero's name, kind, and kind with its article; {he} {him} {his} {himself} his or her pronouns
    {F} {G} {aG}    the same of the friend; {fhe} {fhim} {fhis} {fhimself}
    {T} {cT} {acT}  the thing, with its color, with article and color; {X} what the story is about, with its article
    {U} {W}         a thing and a word that were asked for and have no part in the plot; {V} {Y} others of them
    {at} {to} {P}   the place
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from .lexicon import TABLES, table
from .wording import Source, a, capital

_PRONOUNS = {
    "m": ("he", "him", "his", "himself"),
    "f": ("she", "her", "her", "herself"),
    "t": ("they", "them", "their", "themselves"),
}
_PLURALS = {"mouse": "mice", "goose": "geese", "sheep": "sheep", "deer": "deer", "moose": "moose", "child": "children"}
_PLURALS |= {"ox": "oxen", "fish": "fish", "person": "people", "foot": "feet", "tooth": "teeth", "potato": "potatoes"}
_PLURALS |= {"tomato": "tomatoes", "hero": "heroes", "scarf": "scarves", "roof": "roofs", "piano": "pianos"}
_ENDS = (
    ("man", "men"),
    ("wolf", "wolves"),
    ("elf", "elves"),
    ("knife", "knives"),
    ("leaf", "leaves"),
    ("loaf", "loaves"),
)
_STOPS = (
    (r'([.?!])[.,?!](?=")', r"\1"),  # a choice that brings its own stop
    (r'(\w)"\.', r'\1."'),
    (r'([.?!])"[.,]', r'\1"'),
    (r'(\w)"(?= [A-Z"]|$)', r'\1."'),
    (r'(\w)"(?= (?:said|asked|called|cried|he|she|they)\b)', r'\1,"'),
    (r"([?!])\.", r"\1"),
)
ENDINGS = ("end_quiet", "end_quiet", "end_funny", "end_open", "end_old", "")


@dataclass(frozen=True)
class Role:
    """Somebody in a story. `sex`: m, f, or t for a person who is called "they"."""

    name: str
    kind: str
    sex: str


@dataclass(frozen=True)
class Cast:
    """Who and what a story is about."""

    hero: Role
    friend: Role
    thing: str
    color: str
    place: tuple[str, str]
    subject: str = ""
    """What a plot that takes anything is about, with its article."""
    mentions: tuple[str, ...] = ()
    """What was asked for beside, with its article."""
    words: tuple[str, ...] = ()
    """Words that were asked for as words."""
    lets: tuple[tuple[str, str], ...] = ()
    """What was asked for of that which the plot chooses."""
    frame: str = ""
    """What is so all the time: its first and last line stand in `story_frames.txt`, and what it puts in place of pools."""

    def fields(self) -> dict[str, str]:
        names: dict[str, str] = {}
        for role, name, kind, begin in ((self.hero, "H", "K", ""), (self.friend, "F", "G", "f")):
            names |= {name: role.name, kind: role.kind, "a" + kind: a(role.kind)}
            for key, word in zip(_PRONOUNS["m"], _PRONOUNS[role.sex], strict=True):
                names |= {begin + key: word, capital(begin + key): capital(word)}
        names |= {"T": self.thing, "Ts": plural(self.thing), "aT": a(self.thing), "C": self.color}
        names |= {"X": self.subject, "X_": capital(self.subject)}
        names |= {"cT": f"{self.color} {self.thing}", "acT": a(f"{self.color} {self.thing}")}
        at, place = self.place
        return names | {"at": f"{at} {place}", "At": capital(f"{at} {place}"), "P": place, "to": f"to {place}"}


@dataclass
class Plot:
    """What happens. `slots`: (mark, sentences): `*` always, `+` sometimes, `@` and `?` a pool, always or sometimes."""

    name: str
    about: str
    """What it needs: `thing`, `subject`, or nothing."""
    parts: dict[str, list[str]] = field(default_factory=dict)
    lets: dict[str, list[str]] = field(default_factory=dict)
    slots: list[tuple[str, list[str]]] = field(default_factory=list)


@dataclass(frozen=True)
class Story:
    """A story told, and what may be asked about it."""

    text: str
    plot: Plot
    cast: Cast
    seed: int
    length: str
    mood: str
    title: str
    facts: dict[str, str]
    """`problem` and `end` (sentences), what the plot says of `helped`, `found`, `went`, and what it chose."""

    def titles(self) -> list[str]:
        """All that the story could be called."""
        fields = self.cast.fields()
        found = [_every(text, fields) for text in self.plot.parts["title"]]
        return list(dict.fromkeys([self.title, *(_title(text) for texts in found for text in texts)]))


def scenes() -> dict[str, list[str]]:
    """The pools of shared sentences."""
    return pools_of("story_scenes.txt", "story_talk.txt", "story_frames.txt")


@functools.cache
def pools_of(*files: str) -> dict[str, list[str]]:
    """Pools in files of `tables/`."""
    pools: dict[str, list[str]] = {}
    for line in (line for file in files for line in _lines(file)):
        if line.startswith("["):
            pools[line[1:-1]] = []
        else:
            pools[list(pools)[-1]].append(line)
    return pools


@functools.cache
def plots() -> dict[str, Plot]:
    """All plots, by name."""
    found: dict[str, Plot] = {}
    variants: list[str] = []
    plot = Plot("", "")
    for file in sorted(path.name for path in TABLES.glob("plots_*.txt")):
        for line in _lines(file):
            if line.startswith("## "):
                name, _, about = line[3:].partition(" |")
                plot = found[name] = Plot(name, about.strip())
            elif line in ("*", "+"):
                variants = []
                plot.slots.append((line, variants))
            elif line.startswith("@"):
                plot.slots.append(("?" if line[1] == "?" else "@", [line.lstrip("@?")]))
            elif line.startswith("let "):
                key, _, values = line[4:].partition(" = ")
                plot.lets[key] = values.split("|")
            elif re.fullmatch("[a-z]+:", line):
                variants = plot.parts.setdefault(line[:-1], [])
            else:
                variants.append(line)
    return found


@functools.cache
def morals() -> dict[str, str]:
    """What one may learn from each plot."""
    return {row[0]: row[1] for row in table("story_morals")}


def _lines(file: str) -> list[str]:
    lines = (TABLES / file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not re.match("#( |$)", line)]


def plural(noun: str) -> str:
    """More than one of it."""
    if noun in _PLURALS:
        return _PLURALS[noun]
    for end, new in _ENDS:
        if noun.endswith(end):
            return noun[: len(noun) - len(end)] + new
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "ch", "sh")) else "s")


def fill(source: Source, text: str, fields: dict[str, str], sentence: bool = True) -> str:
    """A text with its choices made and its fields filled; a sentence gets its capitals and stops, too."""
    while match := re.search(r"<([^<>]*)>", text):
        text = text[: match.start()] + source.chance.choice(match[1].split("|")) + text[match.end() :]
    while "{" in text:
        text = re.sub(r"\{(\w+)\}", lambda m: fields[m[1]], text)
    if not sentence:
        return text
    for wrong, right in _STOPS:
        text = re.sub(wrong, right, text)
    text = re.sub(r"\bthey was\b", "they were", re.sub(r"\bThey was\b", "They were", text))
    # After `?"` and `!"` the sentence may go on ("Where?" he asked), after `."` it never does.
    return re.sub(r'(^"?|[.!?] "?|\." "?|(?<=[!?]" )"|: ")([a-z])', lambda m: m[1] + m[2].upper(), text)


def _every(text: str, fields: dict[str, str]) -> list[str]:
    """A text with each of its choices and its fields filled; without those that the telling alone fills."""
    if match := re.search(r"<([^<>]*)>", text):
        options = match[1].split("|")
        return [
            one for option in options for one in _every(text[: match.start()] + option + text[match.end() :], fields)
        ]
    if any(name not in fields for name in re.findall(r"\{(\w+)\}", text)):
        return []
    return [re.sub(r"\{(\w+)\}", lambda m: fields[m[1]], text)]


class _Teller:
    """Draws the sentences of one story, none twice."""

    def __init__(self, source: Source, fields: dict[str, str], frame: str = "") -> None:
        self.source, self.fields, self.frame = source, fields, frame
        self.used: set[str] = set()

    def draw(self, variants: Sequence[str], sentence: bool = True) -> str:
        fresh = [one for one in variants if one not in self.used] or variants
        chosen = self.source.chance.choice(fresh)
        self.used.add(chosen)
        return fill(self.source, chosen, self.fields, sentence)

    def pool(self, name: str, alone: bool = False) -> str:
        """`alone`: the friend is not there yet."""
        variants = scenes().get(f"{self.frame} {name}", scenes()[name])
        if alone:
            variants = [one for one in variants if not re.search(r"\{[fF]|[tT]hey", one)]
        return self.draw(variants) if variants else ""


def tell(
    plot: Plot, cast: Cast, seed: int, length: str = "", mood: str = "", begun: bool = False, named: bool = False
) -> Story:
    """A story. The same seed makes the same choices, whoever is in it.

    Args:
        length: `short`, `long`, or neither.
        mood: `bedtime`, `funny`, `spooky`, or none.
        begun: the user has begun it with "... there was a fox who": goes on from there.
        named: and has said what the fox is called.
    """
    source = Source(seed)
    fields = cast.fields()
    for key, values in (*plot.lets.items(), *((key, [value]) for key, value in cast.lets)):
        fields[key] = fill(source, source.chance.choice(values), fields, sentence=False)
        fields[key + "_"] = capital(fields[key])
    fields["moral"] = morals().get(plot.name, "")
    teller = _Teller(source, fields, cast.frame)
    sentences = _begin(source, teller, plot, begun, named)
    introduced = len(sentences)
    chance = {"short": 0.1, "long": 0.95}.get(length, 0.5)
    for mark, variants in plot.slots:
        if mark in "+?" and not source.maybe(chance):
            continue
        alone = variants[0] not in ("friend", "meet") and not any(cast.friend.name in text for text in sentences)
        sentences.append(teller.pool(variants[0], alone) if mark in "@?" else teller.draw(variants))
    sentences = [text for text in sentences if text]
    _add(source, teller, sentences, cast, length, mood, introduced)
    if lines := scenes().get(f"{cast.frame} first"):
        # Nothing may part a sentence from one that goes on from it.
        sentences.insert(0 if _GOES_ON.match(sentences[introduced]) else introduced, teller.draw(lines))
    if lines := scenes().get(f"{cast.frame} last"):
        sentences.insert(len(sentences) - (mood == "bedtime"), teller.draw(lines))
    title = _title(teller.draw(plot.parts["title"]))
    facts = {"problem": teller.draw(plot.parts["problem"]), "end": teller.draw(plot.parts["end"])}
    facts |= {
        key: teller.draw(plot.parts[key], sentence=False) for key in ("helped", "found", "went") if key in plot.parts
    }
    facts |= {key: fields[key] for key in plot.lets}
    return Story(_paragraphs(source, sentences), plot, cast, seed, length, mood, title, facts)


def _begin(source: Source, teller: _Teller, plot: Plot, begun: bool, named: bool) -> list[str]:
    teller.fields["who"] = teller.draw(plot.parts["who"], sentence=False)
    if begun:
        names = "{His} name was {H}.|The {K} was called {H}.|{H} was {his} name.|{H}, everybody called {him}."
        return [teller.fields["who"] + ".", *([] if named else [teller.draw(names.split("|"))])]
    sentences = [teller.pool(name) for name in source.pick(("intro_who",), ("intro", "then_who"))]
    if source.maybe(0.3):
        sentences.insert(source.pick(0, 1), teller.pool(source.pick("place", "weather")))
    return sentences


_STEADY = 0.95
"""Of what was asked for beside the plot: so much comes behind the first sentences, or when the friend has come."""
_GOES_ON = re.compile(r'"?(It|He|She|They|That|This|These|There|And|But|So|Then|Too|One|Nobody|Everybody|His|Her)\b')
"""Begins a sentence that nothing may part from the one before."""
_TOGETHER = re.compile(r"\{[fF]|[tT]hey|[bB]oth|[tT]hem|[wW]hile|time")
"""In a line that needs the friend, or something that goes on."""


def _add(
    source: Source, teller: _Teller, sentences: list[str], cast: Cast, length: str, mood: str, introduced: int
) -> None:
    """What was asked for beside the plot: other things, words, a mood, length; and a last line.

    Args:
        introduced: so many sentences say who the hero is, and belong together.
    """
    friend = cast.friend.name
    met = next((i for i, text in enumerate(sentences) if friend in text), len(sentences) - 1) + 1
    met = max(met, introduced)

    def insert(text: str) -> None:
        sentences.insert(source.number(min(met, len(sentences) - 1), max(met, len(sentences) - 3)), text)

    def place(lines: Sequence[str], first: bool) -> None:
        """Mostly at one of two places: where anything may come at any time, it is easily forgotten."""
        nonlocal met
        early = first and not _GOES_ON.match(sentences[introduced])
        if not source.maybe(_STEADY):
            insert(teller.draw(lines))
        elif early and (alone := [one for one in lines if not _TOGETHER.search(one)]):
            sentences.insert(introduced, teller.draw(alone))
            met += 1
        else:
            sentences.insert(min(met, len(sentences) - 1), teller.draw(lines))
            met += 1

    last: list[str] = []
    for i, some in enumerate(_together(source, cast.mentions)):
        teller.fields |= {"U": some[0], "U_": capital(some[0]), "V": some[-1]}
        # What has no article may be nothing that can be seen.
        seen = all(re.match("(a|an|the) ", one) for one in some)
        lines = scenes()["mention_both" if len(some) > 1 else "mention"]
        place([one for one in lines if seen or not re.search("picture|painted|cloud|stamp", one)], not i)
        if source.maybe(0.6):
            last.append(teller.pool("mention_end"))
    for i, some in enumerate(_together(source, cast.words)):
        teller.fields |= {"W": some[0], "W_": capital(some[0]), "Y": some[-1]}
        place(scenes()["word_both" if len(some) > 1 else "word"], not i and not cast.mentions)
    if mood in ("funny", "spooky"):
        for _ in range(source.pick(1, 2)):
            insert(teller.pool(mood))
    # What lengthens a story: talk on the way, joy near the end, for a long one another day.
    words = sum(text.count(" ") for text in sentences)
    want = {"short": 0, "long": 150}.get(length, source.number(60, 100))
    for name in source.some(("talk", "walk", "meal", "talk"), 4, 4):
        if words < want:
            insert(extra := teller.pool(name))
            words += extra.count(" ")
    if words < want:
        sentences.insert(len(sentences) - 1, teller.pool("glad"))
    if length == "long" and source.maybe(0.6):
        sentences += [teller.pool(f"next_{part}") for part in ("begin", "middle", "end")]
    sentences += last[:1]
    ending = {"bedtime": "end_sleep", "funny": "end_funny"}.get(mood) or source.pick(*ENDINGS)
    if ending and (mood == "bedtime" or length != "short" or source.maybe(0.3)):
        sentences.append(teller.pool(ending))


_BOTH = 0.8
"""Of two things or words that were asked for beside the plot come in one sentence: so the second is not forgotten."""


def _together(source: Source, items: Sequence[str]) -> list[tuple[str, ...]]:
    """The first two in one, mostly; each other by itself."""
    if len(items) > 1 and source.maybe(_BOTH):
        return [(items[0], items[1]), *((one,) for one in items[2:])]
    return [(one,) for one in items]


def _title(text: str) -> str:
    small = {"a", "an", "the", "of", "and", "in", "on", "at", "to", "for", "by", "with", "about", "from"}
    words = text.split(" ")
    return " ".join(word if i and word in small else capital(word) for i, word in enumerate(words))


def _paragraphs(source: Source, sentences: list[str]) -> str:
    if len(sentences) < 6 or source.maybe(0.4):
        return " ".join(sentences)
    first = source.number(2, len(sentences) - 3)
    cuts = sorted({first, source.number(first, len(sentences) - 1)})
    parts = [sentences[i:j] for i, j in zip([0, *cuts], [*cuts, len(sentences)], strict=True)]
    return "\n\n".join(" ".join(part) for part in parts if part)
