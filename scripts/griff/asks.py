"""Who and what a story that was asked for is about."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .lexicon import Lexicon, table
from .scenes import Cast, Plot, Role, plots, plural
from .wording import Pool, Source, a

ADJECTIVES = {
    "": ("", "", "", "little ", "nice ", "good ", "new ", "made-up ", "cute ", "lovely ", "sweet ", "great "),
    "short": ("short ", "short ", "very short ", "quick ", "tiny "),
    "long": ("long ", "longer ", "really long "),
    "bedtime": ("bedtime ", "bedtime ", "good-night ", "sleepy "),
    "funny": ("funny ", "silly ", "crazy "),
    "spooky": ("scary ", "spooky ", "slightly scary ", "mildly spooky "),
}
KIDS = ("son", "daughter", "kid", "little brother", "little sister", "niece", "nephew", "child", "grandson", "class")
PETS = ("dog", "cat", "puppy", "kitten", "hamster", "rabbit", "parrot", "pony", "horse", "goat", "turtle", "hen")
_NOT_HEROES = {"lamb", "old man", "old woman", "child"}
_WATER = "sea|bay|harbor|shore|beach|island|ship|lighthouse|submarine|houseboat"


@functools.cache
def kinds() -> Pool[tuple[str, str]]:
    """What a hero may be, with a sex where the word has one."""
    return Pool([(row[0], row[1]) for row in table("story_kinds")])


@functools.cache
def places() -> Pool[tuple[str, str]]:
    return Pool([(row[0], row[1]) for row in table("story_places")])


@functools.cache
def subjects() -> Pool[str]:
    return Pool([row[0] for row in table("story_subjects")])


@functools.cache
def countable(lexicon: Lexicon) -> Pool[str]:
    """Nouns that somebody has put an article before, at the end of a phrase."""
    nouns = set(lexicon.nouns.all) - {row[0] for row in table("story_vague")}
    found: Counter[str] = Counter()
    for text in lexicon.sentences.all:
        found.update(m[1] for m in re.finditer(r"\ban? ([a-z]+)[.,?!]", text) if m[1] in nouns)
    return Pool(sorted(noun for noun, times in found.items() if times >= 2) or sorted(nouns))


@dataclass
class Wanted:
    """What was asked for: as it was said, and as it must be found in the story."""

    said: list[str] = field(default_factory=list)
    accept: list[tuple[str, ...]] = field(default_factory=list)
    roles: list[Role] = field(default_factory=list)
    things: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    place: tuple[str, str] | None = None
    sorts: list[str] = field(default_factory=list)
    plot: str = ""
    """What must happen: a plot by its name."""
    lets: tuple[tuple[str, str], ...] = ()
    """What the plot must choose."""
    frame: str = ""
    """What is so all the time: a frame of `story_frames`."""


@functools.cache
def _names() -> dict[str, str]:
    return {row[0]: row[1] for row in table("story_names")}


@functools.cache
def _sexes() -> dict[str, str]:
    return {row[0]: row[1] for row in table("names_sex")}


def suits(lexicon: Lexicon, name: str) -> str:
    """Whose name it is: m, f, h for either, w for one that is a word as well. An invented one says it by its end."""
    if name in lexicon.common.all:
        return _names().get(name, "f")
    if name in lexicon.rare.all or name in lexicon.foreign.all:
        return _sexes().get(name, "f")
    return "f" if name.endswith(("a", "e", "i", "lin")) else "m"


def sex_of(source: Source, lexicon: Lexicon, name: str, known: str) -> str:
    """What fits a name, unless the kind says it already: the same in every story, so that it is kept in each."""
    return sex(source, known if known != "h" else suits(lexicon, name).replace("w", "h"))


@functools.cache
def _no_names(lexicon: Lexicon) -> frozenset[str]:
    """Words that chance may put together, too."""
    small = "the then this that his her she they them there those these with from for but and not you was has had who why how"
    return frozenset(lexicon.words.all) | frozenset(small.split()) | {kind for kind, _ in kinds().all}


def name_for(source: Source, lexicon: Lexicon, sex: str = "") -> str:
    """A name for somebody in a story that fits the sex."""
    while True:
        name = lexicon.name(source)[0]
        known = suits(lexicon, name)
        if name.lower() in _no_names(lexicon):
            continue
        if known != "w" and (not sex or sex == "t" or known in ("h", sex)):
            return name


def sex(source: Source, known: str = "h") -> str:
    return source.pick("m", "f") if known == "h" else known


def person_kind(source: Source) -> tuple[str, str]:
    """What a person may be who is only a name."""
    rows = kinds().all
    at = next(i for i, row in enumerate(rows) if row[0] == "baker")
    return source.pick(*(row for row in rows[at:] if row[1] == "h" and row[0] not in _NOT_HEROES))


def creature(source: Source, lexicon: Lexicon) -> tuple[str, str]:
    """An animal or somebody else that can be in a story."""
    if source.maybe(0.4):
        return source.of(lexicon_animals()), "h"
    return source.of(kinds())


@functools.cache
def lexicon_animals() -> Pool[str]:
    return Pool([row[0] for row in table("animals") if row[0].islower()])


def thing(source: Source, lexicon: Lexicon) -> str:
    """Something to be held, in the singular."""
    while True:
        word = source.of(lexicon.things)
        if not re.search("[^su]s$", word):
            return word


def want(source: Source, lexicon: Lexicon, number: int) -> Wanted:
    """So many different things to tell about."""
    wanted = Wanted()
    while len(wanted.said) < number:
        sort = source.chance.choices(_SORTS, _SHARES)[0]
        if sort in ("creature", "made-up animal", "person") and len(wanted.roles) == 2:
            sort = "thing"
        before = [word for group in wanted.accept for word in group]
        said, accept = _one(source, lexicon, sort, wanted, before)
        if said:
            wanted.said.append(said)
            wanted.accept.append(accept)
            wanted.sorts.append(sort)
    if source.maybe(0.08):
        wanted.place = source.of(places())
        wanted.said[-1] += " " + " ".join(wanted.place)
        wanted.accept.append((wanted.place[1],))
    return wanted


_SORTS = ("creature", "thing", "subject", "noun", "made-up", "made-up animal", "person")
_SHARES = (36, 26, 9, 13, 9, 2, 8)


def _one(source: Source, lexicon: Lexicon, sort: str, wanted: Wanted, before: list[str]) -> tuple[str, tuple[str, ...]]:
    """How it is said and what must be found; nothing, if it is there already."""
    if sort == "made-up animal":
        kind = lexicon.made_up(source)
        wanted.roles.append(Role("", kind, sex(source)))
        what = source.pick("an animal", "a creature", "a small animal", "a strange creature", "somebody")
        return f"{what} {source.pick('that is called', 'called')} {a(kind)}", (kind, plural(kind))
    if sort == "creature":
        kind, known = creature(source, lexicon)
        many = plural(kind)
        if kind in before:
            return "", ()
        role = Role("", kind, sex(source, known))
        said = a(kind)
        accept: tuple[str, ...] = (kind, many)
        form = source.number(0, 11)
        if form == 0:
            said = many
        elif form == 1:
            said = kind
        elif form == 2:
            adjective = source.pick("brave", "small", "lazy", "lonely", "curious", "hungry", "clever", "shy", "tired")
            said = a(f"{adjective} {kind}")
        elif form in (3, 4):
            name = _fresh(source, lexicon, wanted)
            role = Role(name, kind, sex_of(source, lexicon, name, known))
            said = f"{a(kind)} {source.pick('called', 'named', 'called')} {name}"
        wanted.roles.append(role)
        return said, (name,) if form in (3, 4) else accept
    if sort == "person":
        name = _fresh(source, lexicon, wanted)
        if source.maybe(0.5):
            suits = sex_of(source, lexicon, name, "h")
            kind, known = source.pick(("girl", "f"), ("boy", "m"), ("princess", "f"), ("king", "m"), ("queen", "f"))
            while known != suits:
                kind, known = source.pick(
                    ("girl", "f"), ("boy", "m"), ("princess", "f"), ("prince", "m"), ("king", "m")
                )
            wanted.roles.append(Role(name, kind, known))
            return f"a {kind} {source.pick('called', 'named')} {name}", (name,)
        kind, _ = person_kind(source)
        wanted.roles.append(Role(name, kind, "t"))
        return name, (name,)
    if sort in ("thing", "made-up"):
        # A word that nobody knows is a thing as well: it is named, and nothing is said of what it might be.
        word = thing(source, lexicon) if sort == "thing" else lexicon.made_up(source)
        if word in before:
            return "", ()
        wanted.things.append(word)
        return source.pick(a(word), a(word), a(word), f"the {word}", word, plural(word)), (word, plural(word))
    phrase = source.of(subjects()) if sort == "subject" else a(source.of(countable(lexicon)))
    core = re.sub("^(a|an|the) ", "", phrase)
    if core in before or core in lexicon_animals().all:
        return "", ()
    wanted.subjects.append(phrase)
    return source.pick(phrase, phrase, core) if sort == "noun" else phrase, (core,)


def _fresh(source: Source, lexicon: Lexicon, wanted: Wanted) -> str:
    while True:
        name = lexicon.name(source)[0]
        if name.lower() not in _no_names(lexicon) and name not in [role.name for role in wanted.roles]:
            return name


def joined(source: Source, items: Sequence[str]) -> str:
    """a, b and c."""
    if len(items) == 1:
        return items[0]
    last = source.pick(" and ", " and ", " and ", ", and ", " & ", " + ") if len(items) > 2 else " and "
    return ", ".join(items[:-1]) + last + items[-1]


def cast(source: Source, lexicon: Lexicon, wanted: Wanted) -> tuple[Plot, Cast]:
    """A plot that has room for what is wanted, and who plays it."""
    things, left = list(wanted.things), list(wanted.subjects)
    source.chance.shuffle(left)
    need = "thing" if things else "subject" if left and source.maybe(0.7) else ""
    # Without a wish of its own, a plot about nothing or about any thing.
    allowed = {"thing": ("thing",), "subject": ("subject",), "": ("", "", "thing")}[need]
    plot = source.pick(*(plot for plot in plots().values() if plot.about in allowed))
    if wanted.plot:
        plot = plots()[wanted.plot]
        need = plot.about if left else need
    roles = list(wanted.roles[:2])
    if len(roles) < 2 and not roles and source.maybe(0.5):
        roles = []
    while len(roles) < 2:
        kind, known = creature(source, lexicon)
        if kind not in [role.kind for role in roles]:
            roles.append(Role("", kind, sex(source, known)))
    named: list[Role] = []
    for role in roles:
        name = role.name
        while not name or name in [other.name for other in named]:
            name = name_for(source, lexicon, role.sex)
        named.append(Role(name, role.kind, role.sex))
    hero, friend = named
    given = {role.name for role in roles}
    if hero.sex == friend.sex and friend.name not in given and dict(kinds().all).get(friend.kind, "h") == "h":
        other = "f" if hero.sex == "m" else "m"
        friend = Role(name_for(source, lexicon, other), friend.kind, other)
        while friend.name == hero.name:
            friend = Role(name_for(source, lexicon, other), friend.kind, other)
    if friend.sex == "t":
        sexes = sex_of(source, lexicon, friend.name, "h")
        hero, friend = (friend, hero) if hero.sex != "t" else (hero, Role(friend.name, friend.kind, sexes))
    item = things.pop(0) if things else thing(source, lexicon)
    subject = left.pop(0) if need == "subject" else a(item)
    place = wanted.place or source.of(places())
    while plot.name in ("sea", "tower", "boat") and re.search(_WATER, place[1]) and not wanted.place:
        place = source.of(places())
    color = source.pick(*(row[0] for row in table("colors") if row[0] not in item))
    mentions = tuple(left + [a(one) for one in things] + [a(role.kind) for role in wanted.roles[2:]])
    words = tuple(wanted.words)
    return plot, Cast(hero, friend, item, color, place, subject, mentions, words, wanted.lets, wanted.frame)
