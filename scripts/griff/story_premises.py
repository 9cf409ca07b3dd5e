"""Stories that are asked for by what happens in them ("where a fox loses her shoe"), or by what is so all the time in them
("where nobody is sad", "that ends well", "on a rainy day"): the story keeps it.

What happens is a plot (`tables/story_premises.tsv` has the ways to ask for each); what is so all the time is a frame
(`tables/story_frames.tsv`, with its sentences in `story_frames.txt`).
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from .asks import KIDS, Wanted, creature, joined, places, sex, sex_of, subjects, thing, want
from .cases import Case, Kind, Turn, Unmet
from .lexicon import Lexicon, table
from .scenes import Role, Story, fill, plots, plural
from .stories import copies, has, shape, story_of
from .story_questions import ask
from .wording import Pool, Source, a, capital, roughen

TAILED = ask("tailed")
CLAUSE = ask("clause")
WITHOUT = Pool(
    [
        "without {xs}",
        "without any {xs}",
        "with no {x} in it",
        "that has no {x} in it",
        "where there is no {x}",
        "in which there are no {xs}",
    ]
)
PLACED = Pool(
    [
        "set {at}",
        "that takes place {at}",
        "that happens {at}",
        "in which everything happens {at}",
        "which plays {at}",
        "where they live {at}",
        "that begins {at}",
        "where all of it is {at}",
    ]
)
NAMING = ("A story {t}: let me see.", "Here is one {t}.", "One {t}, gladly.", "One {t}? I know one.", "A story {t}.")
DAYS = Pool(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"])
MEALS = Pool(
    [
        "pancakes",
        "plum cake",
        "pea soup",
        "waffles",
        "apple pie",
        "noodles",
        "cheese rolls",
        "gingerbread",
        "a big pizza",
        "blueberry muffins",
        "rice pudding",
        "cherry tart",
        "mashed potatoes",
        "dumplings",
        "banana bread",
        "hot chocolate",
        "a honey cake",
        "popcorn",
        "ice cream",
        "carrot soup",
    ]
)
_MILD = ("happy", "kind", "gentle", "well")
"""Frames of which no story is spooky."""
_TRIES = 40


@dataclass(frozen=True)
class Frame:
    """What is so all the time. `avoid`: what contradicts it."""

    name: str
    accept: tuple[str, ...]
    avoid: str
    tails: Pool[str]


@dataclass
class Premise:
    """What was asked for. `tail`: as it stands behind "a story"; `clause`: as a sentence, if it can be said so."""

    tail: str
    wanted: Wanted
    clause: str = ""
    avoid: str = ""
    """What may not be in the story, a pattern."""
    reject: tuple[str, ...] = ()
    """The same as words, where the request names them."""


@functools.cache
def frames() -> tuple[Frame, ...]:
    return tuple(
        Frame(name, tuple(accept.split("|")), avoid, Pool(tails.split("|")))
        for name, accept, avoid, tails in table("story_frames")
    )


@functools.cache
def premises() -> dict[str, Pool[str]]:
    """Of each plot the ways to say what happens in it."""
    found: dict[str, list[str]] = {}
    for plot, clause in table("story_premises"):
        found.setdefault(plot, []).append(clause)
    return {plot: Pool(clauses) for plot, clauses in found.items()}


# --- what happens ---------------------------------------------------------------------------


def _somebody(source: Source, lexicon: Lexicon, wanted: Wanted, plain: bool) -> str:
    """One of the two, as the request says it. `plain`: what "'s" can stand behind, and "the" not."""
    kind, known = creature(source, lexicon)
    while kind in [role.kind for role in wanted.roles]:
        kind, known = creature(source, lexicon)
    form = source.number(0, 11)
    if plain or form < 6:
        wanted.roles.append(Role("", kind, sex(source, known)))
        wanted.accept.append((kind,))
        return a(kind)
    if form < 8:
        name = lexicon.name(source)[0]
        wanted.roles.append(Role(name, kind, sex_of(source, lexicon, name, known)))
        wanted.accept.append((name,))
        return f"{a(kind)} {source.pick('called', 'named')} {name}"
    wanted.roles.append(Role("", kind, sex(source, known)))
    if form == 11:
        return source.pick("somebody", "someone")
    wanted.accept.append((kind,))
    adjective = source.pick("little", "young", "brave", "clever", "shy", "small")
    return f"the {kind}" if form < 10 else a(f"{adjective} {kind}")


def _fields(source: Source, lexicon: Lexicon, clause: str, wanted: Wanted) -> dict[str, str]:
    """What stands in a clause, and what the story must have for it."""
    fields: dict[str, str] = {}
    for name in ("who", "other"):
        if f"{{{name}}}" in clause:
            plain = name == "other" or bool(re.search(r"\{who\}'s|(of|that|how|what|find) \{who\}", clause))
            fields[name] = _somebody(source, lexicon, wanted, plain)
    known = wanted.roles[0].sex if wanted.roles else "t"
    fields["his"] = {"m": "his", "f": "her"}.get(known, "their")
    if fields.get("who") in ("somebody", "someone"):
        fields["his"] = "their"
    if re.search(r"\{a?T\}", clause):
        item = lexicon.made_up(source) if source.maybe(0.12) else thing(source, lexicon)
        wanted.things.append(item)
        wanted.accept.append((item, plural(item)))
        fields |= {"T": item, "aT": a(item)}
    if "{X}" in clause:
        fields["X"] = source.of(subjects())
        wanted.subjects.append(fields["X"])
        wanted.accept.append((re.sub("^(a|an|the) ", "", fields["X"]),))
    for key in sorted(set(re.findall(r"\{([A-Z])\}", clause)) - {"T", "X"}):
        chosen = source.pick(*plots()[wanted.plot].lets[key]).replace("{his}", fields["his"])
        fields[key] = chosen
        wanted.lets += ((key, chosen),)
        wanted.accept.append((chosen,))
    return fields


def _of_plot(source: Source, lexicon: Lexicon) -> Premise:
    """What happens."""
    plot = source.pick(*premises())
    wanted = Wanted(plot=plot, sorts=["plot"])
    clause = source.of(premises()[plot])
    fields = _fields(source, lexicon, clause, wanted)
    text = fill(source, clause, fields, sentence=False)
    who = fields.get("who", "")
    if clause.startswith("{who} ") and re.match("an? ", who) and " and {other}" not in clause and source.maybe(0.4):
        return Premise(f"about {who} who{text.removeprefix(who)}", wanted, text)
    return Premise(f"{source.pick('where', 'in which', 'where')} {text}", wanted, text)


# --- what is so all the time ----------------------------------------------------------------


def _of_frame(source: Source, lexicon: Lexicon) -> Premise:
    """What is so all the time."""
    frame = source.pick(*frames())
    wanted = want(source, lexicon, 1) if source.maybe(0.4) else Wanted()
    wanted.sorts, wanted.frame = ["frame"], frame.name
    wanted.lets = (("D", source.of(DAYS)), ("E", source.of(MEALS)))
    fields = dict(wanted.lets)
    wanted.accept.append(tuple(fill(source, one, fields, sentence=False) for one in frame.accept))
    tail = fill(source, source.of(frame.tails), fields, sentence=False)
    tail = f"about {joined(source, wanted.said)} {tail}" if wanted.said else tail
    return Premise(tail, wanted, avoid=frame.avoid)


def _of_place(source: Source, lexicon: Lexicon) -> Premise:
    """Where it happens."""
    wanted = want(source, lexicon, 1) if source.maybe(0.5) else Wanted()
    wanted.place = wanted.place or source.of(places())
    at = " ".join(wanted.place)
    wanted.sorts = ["place"]
    wanted.accept.append((wanted.place[1],))
    tail = source.of(PLACED).format(at=at)
    about = joined(source, wanted.said) if wanted.said else ""
    return Premise(
        f"about {about}" if at in about else f"about {about} {source.pick(at, tail)}" if about else tail, wanted
    )


def _without(source: Source, lexicon: Lexicon) -> Premise:
    """What is ruled out."""
    often = source.pick("hat", "owl", "goose", "cake", "snail", "river", "bread", "hen")
    x = source.pick(creature(source, lexicon)[0], thing(source, lexicon), often)
    words = (x, plural(x))
    tail = source.of(WITHOUT).format(x=x, xs=plural(x))
    return Premise(tail, Wanted(sorts=["without"]), avoid=rf"\b({'|'.join(map(re.escape, words))})\b", reject=words)


def _told(source: Source, lexicon: Lexicon, premise: Premise, length: str, mood: str) -> Story:
    for _ in range(_TRIES):
        story = story_of(source, lexicon, premise.wanted, length, mood)
        if not premise.avoid or not re.search(premise.avoid, story.text, re.I):
            return story
    raise Unmet


def request(source: Source, lexicon: Lexicon) -> tuple[Turn, Story, Premise]:
    """Somebody asks for a story of this sort, and gets it."""
    make = source.pick(*[_of_plot] * 12, *[_of_frame] * 7, *[_of_place] * 3, _without)
    premise = make(source, lexicon)
    length, mood, what = shape(source)
    while mood == "spooky" and premise.wanted.frame in _MILD:
        length, mood, what = shape(source)
    story = _told(source, lexicon, premise, length, mood)
    fields = {"s": what, "S": capital(what), "kid": source.pick(*KIDS)}
    if premise.clause and source.maybe(0.35):
        text = CLAUSE.say(source, c=premise.clause, C=capital(premise.clause), **fields)
    else:
        text = TAILED.say(source, tail=premise.tail, **fields)
    accept = premise.wanted.accept
    asked = [one for group in accept for one in group if has(text, [one]) and one in text]
    names = [role.name for role in premise.wanted.roles if role.name]
    answer = story.text
    if not premise.reject and source.maybe(0.5):
        answer = source.pick(*NAMING).format(t=premise.tail) + "\n\n" + answer
    elif source.maybe(0.15):
        answer = f"{story.title}\n\n{answer}"
    turn = Turn(capital(roughen(source, text, keep=[*names, *asked])), answer, copies(answer, asked))
    return turn, story, premise


def about(source: Source, lexicon: Lexicon) -> Case:
    """A story with a premise."""
    while True:
        turn, _, premise = request(source, lexicon)
        if not has(turn.model, premise.reject):
            return Case(
                (turn,), tuple(premise.wanted.accept), premise.reject, about=f"premise {premise.wanted.sorts[0]}"
            )


KINDS = [Kind("story premise", "stories", about, 7)]
