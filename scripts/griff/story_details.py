"""Questions about the details of a story that was told, answered from that very story: what one plot alone has
(`tables/story_asked.tsv`), the sentence in which something comes up, its first and last line, its animals.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from .asks import lexicon_animals
from .lexicon import Lexicon, table
from .scenes import Story, fill, scenes
from .stories import has
from .story_questions import ask
from .wording import Pool, Source, a, capital

Answer = tuple[str, str, tuple[tuple[str, ...], ...], tuple[str, ...]]
"""A question, its answer, and what this must and must not have."""
Ask = Callable[[Source, Lexicon, Story], Answer | None]

ASKED, HAPPY, NICE, ANIMALS = ask("asked"), ask("happy"), ask("nice"), ask("animals")
DID, INSIDE, CAME_IN = ask("did"), ask("inside"), ask("came_in")
FIRST_LINE, LAST_LINE = ask("first_line"), ask("last_line")
_LONGEST = 160  # characters of a sentence that is said again


@dataclass(frozen=True)
class Asked:
    """What may be asked of one plot. `must`: what the story and the answer have, a field or a word."""

    must: str
    answers: tuple[str, ...]
    questions: Pool[str]


@functools.cache
def asked() -> dict[str, list[Asked]]:
    found: dict[str, list[Asked]] = {}
    for plot, must, answers, questions in table("story_asked"):
        found.setdefault(plot, []).append(Asked(must, tuple(answers.split("|")), Pool(questions.split("|"))))
    return found


def fields(story: Story) -> dict[str, str]:
    """What stands for its fields in a sentence about it."""
    names = story.cast.fields() | story.facts
    names |= {f"{key}_": capital(text) for key, text in story.facts.items()}
    names["core"] = re.sub("^(a|an|the) ", "", story.cast.subject)
    return names | {"h": story.cast.hero.name, "f": story.cast.friend.name, "k": story.cast.hero.kind}


def sentences(story: Story) -> list[str]:
    """Its sentences; one that has something said in it ends where that ends."""
    found: list[str] = []
    for part in re.split(r'(?<=[.!?])\s+|(?<=[.!?]")\s+', story.text):
        if found and (
            found[-1].count('"') % 2 or part[:1].islower() or (_GOES_ON.match(part) and found[-1][-1] == '"')
        ):
            found[-1] += " " + part
        else:
            found.append(part)
    return found


_GOES_ON = re.compile(r"(asked|said|called|cried|whispered|shouted)\b")


def _plot(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    if story.plot.name not in asked():
        return None
    one, names = source.pick(*asked()[story.plot.name]), fields(story)
    must = names.get(one.must[1:-1], "") if one.must[0] == "{" else one.must
    if not must or not has(story.text, [must]):
        return None
    question = source.of(one.questions).format_map(names)
    answer = fill(source, source.pick(*one.answers), names)
    return ASKED.say(source, q=question, Q=capital(question)), answer, ((must.rstrip("?"),),), ()


def _came_in(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    """The sentence in which something stands that was asked for."""
    items = [re.sub("^(a|an|the) ", "", one) for one in story.cast.mentions]
    items += [story.cast.thing] if story.plot.about == "thing" else []
    if not items:
        return None
    item = source.pick(*items)
    fitting = [one for one in sentences(story) if has(one, [item]) and len(one) <= _LONGEST]
    if not fitting:
        return None
    lead = source.pick("", "", "", "This: ", "Here it comes in: ", "It stands in this sentence: ", "Of it I said: ")
    return CAME_IN.say(source, u=item), lead + fitting[0], ((fitting[0].rstrip('.!?"'),),), ()


def _line(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    first = source.maybe(0.5)
    line = sentences(story)[0 if first else -1]
    if len(line) > _LONGEST or line.count('"') % 2:
        return None
    lead = source.pick("", "", "This: ", "It begins like this: " if first else "It ends like this: ")
    return (FIRST_LINE if first else LAST_LINE).say(source), lead + line, ((line.rstrip('.!?"'),),), ()


def _happy(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    names = fields(story)
    answer = fill(
        source, source.pick("Yes. {end}", "Yes: {end}", "I think so: {end}", "Yes, all was well. {end}"), names
    )
    user = HAPPY.say(source, h=names["h"], f=names["f"], k=names["k"])
    return user, answer, (("yes", "I think so"), tuple(name for name in _names(story) if has(answer, [name]))), ()


def _names(story: Story) -> tuple[str, ...]:
    """What makes clear that it is this story."""
    c = story.cast
    return tuple(filter(None, (c.hero.name, c.friend.name, c.thing, c.subject, *story.facts.values())))


def _nice(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    h, k = story.cast.hero.name, story.cast.hero.kind
    answer = source.pick(
        f"Yes, I think {h} was a good {k}.",
        f"I think so. {h} was a kind {k}.",
        f"Yes, {h} was nice. I like stories about somebody like that.",
        f"Yes. I would like to meet {h}.",
        f"Yes, {h} the {k} had a good heart.",
    )
    return NICE.say(source, h=h, H=capital(h), k=k), answer, (("yes", "I think so"), (h,)), ()


def _animals(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    both = [role for role in (story.cast.hero, story.cast.friend) if role.kind in lexicon_animals().all]
    if not both:
        return None
    kinds = " and ".join(a(role.kind) for role in both)
    named = " and ".join(f"{role.name} the {role.kind}" for role in both)
    listed = " and ".join(f"{a(role.kind)} called {role.name}" for role in both)
    answer = source.pick(f"{capital(kinds)}.", f"There was {kinds} in it.", f"{named}.", f"{capital(listed)}.")
    return ANIMALS.say(source), answer, tuple((role.kind,) for role in both), ()


def _did(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    answer = fill(source, source.pick(*scenes()["did"]), fields(story))
    must = tuple(name for name in _names(story) if has(answer, [name]))
    names = {"h": story.cast.hero.name, "k": story.cast.hero.kind}
    return DID.say(source, **names, H=capital(names["h"])), answer, (must,), ()


def _inside(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    c = story.cast
    more = f" and {a(c.thing)}" if story.plot.about == "thing" else ""
    both = f"{c.hero.name} the {c.hero.kind}{',' if more else ' and'} {c.friend.name} the {c.friend.kind}{more}"
    answer = source.pick(f"{both}.", f"There were {both} in it.", f"In it were {both}.", f"It had {both}.")
    return INSIDE.say(source), answer, ((c.hero.name,), (c.friend.name,)), ()


DETAILS: tuple[tuple[str, float, Ask], ...] = (
    ("plot", 7, _plot),
    ("came in", 3, _came_in),
    ("line", 1, _line),
    ("happy", 1.5, _happy),
    ("nice", 1, _nice),
    ("animals", 1, _animals),
    ("did", 2, _did),
    ("inside", 1, _inside),
)
