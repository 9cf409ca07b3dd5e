"""Stories with a wish of their own: a thing that stays a thing beside its hero, a thing that is the hero because it was asked
for so, two heroes by name, a story in so many sentences, and several stories, after which it is over.
"""

from __future__ import annotations

import re

from .asks import KIDS, Wanted, countable, creature, sex, sex_of, thing, want
from .cases import Case, Kind, Turn, Unmet
from .lexicon import Lexicon
from .scenes import Role, Story, plural
from .stories import copies, has, shape, story_of, told
from .story_premises import DAYS
from .story_questions import ask
from .wording import Source, a, capital, roughen

LIVING, LIVING_NAMED, TINY, TWO = ask("living"), ask("living_named"), ask("tiny"), ask("two_heroes")
SEVERAL, THING_THERE = ask("several"), ask("thing_there")
ALIVE = (
    "talking",
    "brave little",
    "living",
    "lonely",
    "funny little",
    "proud",
    "curious",
    "walking",
    "shy little",
    "magic",
)
"""What only somebody can be."""
NUMBERS = {2: "two", 3: "three"}
_TRIES = 60


def _fields(source: Source, what: str) -> dict[str, str]:
    return {"s": what, "S": capital(what), "kid": source.pick(*KIDS)}


def thing_there(source: Source, lexicon: Lexicon) -> Case:
    """Somebody and a thing: whatever the thing is, even a word that nobody knows, it has no name and no voice."""
    kind, known = creature(source, lexicon)
    item = lexicon.made_up(source) if source.maybe(0.35) else thing(source, lexicon)
    if item in kind or kind in item:
        raise Unmet
    length, mood, what = shape(source)
    wanted = Wanted(roles=[Role("", kind, sex(source, known))], things=[item])
    if source.maybe(0.08):
        # A day is no thing, and nobody either: the story happens on it.
        item = source.of(DAYS)
        wanted = Wanted(roles=wanted.roles, frame="day", lets=(("D", item),))
    accept = ((kind, plural(kind)), (item, plural(item)))
    wanted.accept = list(accept)
    for _ in range(_TRIES):
        story = story_of(source, lexicon, wanted, length, mood)
        if not has(story.text, as_somebody(item)):
            break
    else:
        raise Unmet
    c, t = a(kind), source.pick(a(item), a(item), f"the {item}")
    text = THING_THERE.say(source, c=c, t=t, C=capital(c), T=capital(t), **_fields(source, what))
    answer = told(source, story, source.pick(f"{t} and {c}", f"{c} and {t}"))
    turn = Turn(capital(roughen(source, text, keep=[item, kind])), answer, copies(answer, [item, kind]))
    return Case((turn,), accept, as_somebody(item), about="thing")


def as_somebody(item: str) -> tuple[str, ...]:
    """Words by which a story makes somebody of a thing."""
    before = ("said the", "asked the", "met a", "met an", "lived a", "lived an")
    behind = ("called", "named", "who", "said", "asked", "by the name of")
    return (*(f"{words} {item}" for words in before), *(f"{item} {words}" for words in behind))


def living(source: Source, lexicon: Lexicon) -> Case:
    """A thing as the hero, as the request says."""
    item = thing(source, lexicon) if source.maybe(0.8) else source.of(countable(lexicon))
    length, mood, what = shape(source)
    aa, ak = a(source.pick(*ALIVE)), a(item)
    accept: tuple[tuple[str, ...], ...]
    if source.maybe(0.3):
        name = lexicon.name(source)[0]
        role, accept = Role(name, item, sex_of(source, lexicon, name, "h")), ((name,), (item,))
        text = LIVING_NAMED.say(source, n=name, k=item, ak=ak, aa=aa, **_fields(source, what))
    else:
        role, accept = Role("", item, sex(source)), ((item,),)
        text = LIVING.say(source, k=item, ak=ak, aa=aa, A=capital(aa), **_fields(source, what))
    story = story_of(source, lexicon, Wanted(roles=[role], accept=list(accept)), length, mood)
    answer = told(source, story)
    words = [word for group in accept for word in group]
    turn = Turn(capital(roughen(source, text, keep=words)), answer, copies(answer, words))
    return Case((turn,), accept, about="living thing")


def two_heroes(source: Source, lexicon: Lexicon) -> Case:
    """Two who are called by their names, children mostly: both are in the story."""
    names = [lexicon.name(source)[0] for _ in range(2)]
    if names[0] == names[1]:
        raise Unmet
    kinds = {"m": "boy", "f": "girl"}
    roles = [Role(name, kinds[sexes], sexes) for name in names for sexes in [sex_of(source, lexicon, name, "h")]]
    same = roles[0].sex == roles[1].sex
    both = source.pick(
        "kids", "children", "little ones", ("sons" if roles[0].sex == "m" else "daughters") if same else "twins"
    )
    length, mood, what = shape(source)
    text = TWO.say(source, n=names[0], m=names[1], both=both, **_fields(source, what))
    accept = tuple((name,) for name in names)
    story = story_of(source, lexicon, Wanted(roles=roles, accept=list(accept)), length, mood)
    answer = told(source, story, f"{names[0]} and {names[1]}")
    return Case((Turn(roughen(source, text, keep=names), answer, copies(answer, names)),), accept, about="two heroes")


def tiny(source: Source, lexicon: Lexicon) -> Case:
    """A story in so many sentences, and no more."""
    count = source.pick(2, 2, 2, 3)
    wanted = want(source, lexicon, 1)
    number = source.pick(NUMBERS[count], NUMBERS[count], str(count))
    text = TINY.say(source, n=number, N=capital(number), x=wanted.said[0], kid=source.pick(*KIDS))
    asked = wanted.said[0] in text
    for _ in range(_TRIES):
        short = in_sentences(source, story_of(source, lexicon, wanted if asked else Wanted()), count)
        if short and (not asked or has(short, wanted.accept[0])):
            break
    else:
        raise Unmet
    accept = (wanted.accept[0],) if asked else ()
    words = list(wanted.accept[0]) if asked else []
    keep = [number, capital(number), *(word for word in words if word in text)]
    return Case((Turn(roughen(source, text, keep=keep), short, copies(short, words)),), accept, about="tiny")


def in_sentences(source: Source, story: Story, count: int) -> str:
    """The story in two sentences or three; nothing, if it can't be told so."""
    c = story.cast
    facts = f"{story.facts['problem']} {story.facts['end']}"
    # Nobody has said who the friend is.
    facts = re.sub(rf"\b{re.escape(c.friend.name)}\b", f"{c.friend.name} the {c.friend.kind}", facts, count=1)
    begin = source.pick(
        "There was once {k} called {h}.", "Once there lived {k} named {h}.", "{h} was {k}, and lived {at}."
    )
    first = begin.format(k=a(c.hero.kind), h=c.hero.name, at=" ".join(c.place))
    text = facts if count == 2 else f"{first} {facts}"
    marks = len(re.findall(r"[.!?:]", text))
    who = [c.hero.name] if count == 3 else [c.hero.kind]
    return text if marks == count and has(text, who) else ""


def several(source: Source, lexicon: Lexicon) -> Case:
    """So many short stories, and then it is over."""
    count = source.pick(2, 2, 2, 3)
    number = source.pick(NUMBERS[count], NUMBERS[count], str(count))
    text = SEVERAL.say(source, n=number, N=capital(number), kid=source.pick(*KIDS))
    found: list[Story] = []
    while len(found) < count:
        story = story_of(source, lexicon, Wanted(), "short")
        names = {name for one in found for name in (one.cast.hero.name, one.cast.friend.name, one.plot.name)}
        if not names & {story.cast.hero.name, story.cast.friend.name, story.plot.name}:
            found.append(story)
    heads = source.pick(
        ("First story", "Second story", "Third story"), ("1.", "2.", "3."), tuple(one.title for one in found)
    )
    whole = "\n\n".join(f"{head}\n\n{one.text}" for head, one in zip(heads, found, strict=False))
    if source.maybe(0.4):
        whole += "\n\n" + source.pick(
            "That was {n}.", "Those were the {n} stories.", "{N} stories, as you wished."
        ).format(n=NUMBERS[count], N=capital(NUMBERS[count]))
    return Case((Turn(roughen(source, text), whole),), about="several")


KINDS = [
    Kind("story thing", "stories", thing_there, 4),
    Kind("story living thing", "stories", living, 1.5),
    Kind("story two heroes", "stories", two_heroes, 1.2),
    Kind("story tiny", "stories", tiny, 1.5),
    Kind("story several", "stories", several, 0.5),
]
