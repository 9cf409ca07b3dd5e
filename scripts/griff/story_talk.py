"""What people say after a story: questions about it, and wishes for the next telling."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace

from .asks import Wanted, kinds, lexicon_animals, name_for, places, thing
from .cases import Case, Kind, Turn, Unmet
from .lexicon import Lexicon, table
from .scenes import Story, fill, morals, plural, scenes, tell
from .stories import copies, has, request, shape, story_of, straight, told
from .story_close import CLOSE
from .story_details import DETAILS, Answer, Ask, fields
from .story_premises import request as premise_request
from .story_questions import (
    ABOUT_WHAT,
    AGAIN,
    ANOTHER,
    COLOR,
    END,
    FAVORITE,
    FOUND,
    HELPED,
    HERO,
    KIND,
    MORAL,
    NAME,
    NEXT,
    OTHER,
    PLACE_OR,
    PRAISE,
    RENAME,
    SHORTER,
    SWAP,
    THING,
    TITLE,
    TRUE,
    UNSAID,
    WAS_THERE,
    WENT,
    WHERE,
    WHO,
)
from .wording import Source, Wordings, a, capital, roughen

_BARE = re.compile("^(that |to |the |an? )+")


def _say(source: Source, story: Story, pool: str) -> str:
    return fill(source, source.pick(*scenes()[pool]), fields(story))


def _name(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    role = source.pick(story.cast.hero, story.cast.friend)
    n, k = role.name, role.kind
    answer = source.pick(
        f"The {k} was called {n}.",
        f"{n}.",
        f"{n}, that was the {k}.",
        f"It was {n}.",
        f"The {k}'s name was {n}.",
        f"{n} was the name of the {k}.",
        f"I called the {k} {n}.",
        f"{n}! A fine name for {a(k)}.",
    )
    return NAME.say(source, k=k), answer, ((n,),), ()


def _kind(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    role = source.pick(story.cast.hero, story.cast.friend)
    n, k = role.name, role.kind
    other = source.pick(*(kind for kind, _ in kinds().all if kind != k))
    answer = source.pick(
        f"{n} was {a(k)}.",
        f"{a(k).capitalize()}.",
        f"{n} is {a(k)}.",
        f"{n}? That was the {k}.",
        f"{n} was {a(k)}, one of the two in the story.",
    )
    return KIND.say(source, h=n, ak=a(k), ao=a(other)), answer, ((k,),), ()


def _who(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    h, f = story.cast.hero, story.cast.friend
    answer = source.pick(
        f"{h.name} the {h.kind} and {f.name} the {f.kind}.",
        f"It was about {h.name}, {a(h.kind)}, and {f.name}, {a(f.kind)}.",
        f"There were two: {h.name} the {h.kind} and {f.name} the {f.kind}.",
        f"{h.name} and {f.name}.",
        f"The {h.kind} was called {h.name}, and the {f.kind} was called {f.name}.",
    )
    return WHO.say(source), answer, ((h.name,), (f.name,)), ()


def _where(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    at, h = " ".join(story.cast.place), story.cast.hero.name
    if not has(story.text, [at]):
        return None
    answer = source.pick(
        f"{h} lived {at}.",
        f"It was {at}.",
        f"{at.capitalize()}.",
        f"The story takes place {at}.",
        f"It all happened {at}.",
    )
    return WHERE.say(source, h=h, f=story.cast.friend.name), answer, ((story.cast.place[1],),), ()


def _hero(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    h = story.cast.hero
    answer = source.pick(
        f"{h.name}.",
        f"{h.name} the {h.kind}.",
        f"It was {h.name}.",
        f"{h.name}, {a(h.kind)}.",
        f"The hero was {h.name}.",
    )
    return HERO.say(source), answer, ((h.name,),), ()


def _other(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    h, f = story.cast.hero, story.cast.friend
    answer = source.pick(
        f"{f.name}.",
        f"{f.name} the {f.kind}.",
        f"It was {f.name}, {a(f.kind)}.",
        f"There was {f.name}, too, {a(f.kind)}.",
        f"{f.name} was in it as well.",
    )
    return OTHER.say(source, h=h.name), answer, ((f.name,),), ()


def _was_there(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    """Whether a thing is in the story: one that is, or one that is not."""
    yes = source.maybe(0.5)
    item = story.cast.thing if yes else thing(source, lexicon)
    if has(story.text, [item]) != yes:
        return None
    if yes:
        answer = source.pick("Yes, there was {x}.", "Yes, {x} was in it.", "Yes. There was {x} in it.", "Yes, {x}.")
    else:
        answer = source.pick(
            "No, there was no {t} in it.", "No, there was no {t}.", "No. The story had no {t} in it.", "No, no {t}."
        )
    accept, reject = (("yes",), (item,)) if yes else (("no",),), ("no",) if yes else ("yes",)
    return WAS_THERE.say(source, at=a(item), t=item), answer.format(x=a(item), t=item), accept, reject


def _place_or(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    """One place or another."""
    at, other = " ".join(story.cast.place), " ".join(source.pick(*places().all))
    if not has(story.text, [at]) or has(at, [other]) or has(other, [at]):
        return None
    first, second = (at, other) if source.maybe(0.5) else (other, at)
    answer = source.pick(f"It was {at}.", f"{capital(at)}.", f"That was {at}.", f"{story.cast.hero.name} lived {at}.")
    user = PLACE_OR.say(source, at=first, other=second, h=story.cast.hero.name)
    return user, answer, ((story.cast.place[1],),), (other,)


def _fact(key: str, wordings: Wordings, *answers: str) -> Ask:
    def made(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
        if key not in story.facts:
            return None
        fact, c = story.facts[key], story.cast
        answer = fill(source, source.pick(*answers), fields(story) | {"fact": fact})
        must = [word for word in (c.hero.name, c.friend.name, c.thing) if has(fact, [word])]
        groups = ((must[0],),) if must else ((fact, fact.split(". ")[-1].split(": ")[-1]),)
        if not any(has(story.text, [_BARE.sub("", one)]) for one in groups[0]):
            return None  # told of, but in other words
        user = wordings.say(source, h=c.hero.name, f=c.friend.name)
        if key == "helped" and fact.startswith(c.hero.name) and has(user, [c.hero.name]):
            return None  # nobody helps themselves
        return user, answer, groups, ()

    return made


def _color(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    c, t = story.cast.color, story.cast.thing
    if not has(story.text, [f"{c} {t}"]):
        return None
    other = source.pick(*(row[0] for row in table("colors") if row[0] != c))
    if source.maybe(0.25):
        answer = source.pick(f"The {t}.", f"It was the {t}.", f"The {t} was {c}.", f"{a(f'{c} {t}').capitalize()}.")
        return THING.say(source, c=c), answer, ((t,),), ()
    answer = source.pick(
        f"The {t} was {c}.", f"It was {c}.", f"{c.capitalize()}.", f"{a(f'{c} {t}').capitalize()}, it was."
    )
    return COLOR.say(source, t=t, c=c, o=other), answer, ((c,),), ()


def _plain(pool: str, wordings: Wordings) -> Ask:
    def made(source: Source, lexicon: Lexicon, story: Story) -> Answer:
        answer = _say(source, story, pool)
        names = story.cast.hero.name, story.cast.friend.name
        must = tuple(name for name in names if has(answer, [name]))
        facts = (story.facts["end"], story.facts.get("problem", ""), story.cast.thing, story.cast.subject)
        groups = (must or tuple(filter(None, (one.rstrip(".!?") for one in facts))),)
        return wordings.say(source, h=names[0], f=names[1]), answer, groups, ()

    return made


def _unsaid(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    names = story.cast.hero.name, story.cast.friend.name
    answer = _say(source, story, "unsaid")
    must = ("not say", "not in the story", "not tell", "never mentioned", "not know", "nobody knows")
    return UNSAID.say(source, h=names[0], f=names[1]), answer, (must,), ()


def _next(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    names = story.cast.hero.name, story.cast.friend.name
    answer = " ".join(_say(source, story, f"next_{part}") for part in ("begin", "middle", "end"))
    return NEXT.say(source, h=names[0], f=names[1]), answer, ((names[0],), (names[1],)), ()


def _moral(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    moral = morals()[story.plot.name]
    answer = source.pick("", "", "I think it is this: ", "Perhaps this: ", "I would say: ") + moral
    # What the story says of it keeps the answer to this story.
    if source.maybe(0.4):
        answer += source.pick(" That is what {h} learned.", " {h} and {f} found that out.").format_map(fields(story))
    first = moral.rstrip(".").split(". ")[0]
    return MORAL.say(source, h=story.cast.hero.name), answer, ((first,),), ()


def _title(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    answer = source.pick("{0}.", "I would call it: {0}.", "How about: {0}?", "It is called {0}.", '"{0}."')
    titles = [one.rstrip("?") for one in story.titles()]
    names = [
        name for name in (story.cast.hero.name, story.cast.hero.kind, story.cast.thing, story.cast.friend.name) if name
    ]
    telling = [one for one in titles if has(one, names)]
    # One that names somebody or something of the story shows which it is.
    chosen = source.pick(*telling) if telling and source.maybe(0.7) else story.title.rstrip("?")
    return TITLE.say(source), answer.format(chosen), (tuple(titles),), ()


def _true(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    answer = source.pick(
        "No, I made it up.",
        "I made it up, from beak to tail.",
        "It is only a story. I made it up.",
        "It never happened. I invented it just now.",
        "No, it is made up. But it could be true somewhere.",
    )
    return TRUE.say(source, h=story.cast.hero.name), answer, (("made it up", "made up", "invented"),), ()


def _another(source: Source, lexicon: Lexicon, story: Story) -> Answer:
    old = {story.cast.hero.name, story.cast.friend.name}
    while True:
        length, mood, _ = shape(source)
        new = story_of(source, lexicon, Wanted(), length, mood, unlike=story.plot)
        if not has(new.text, sorted(old)):
            return ANOTHER.say(source), told(source, new), (), tuple(sorted(old))


def _again(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    """The same choices with another kind, name or thing; long ones are too much to tell twice."""
    c, change = story.cast, source.number(0, 3)
    groups: tuple[tuple[str, ...], ...]
    reject: tuple[str, ...]
    if story.text.count(" ") > 130 or c.hero.sex == "t":
        return None
    if change == 0:
        name = name_for(source, lexicon, c.hero.sex)
        if name == c.friend.name:
            return None
        cast = replace(c, hero=replace(c.hero, name=name))
        user = RENAME.say(source, k=c.hero.kind, h=c.hero.name, n=name)
        groups, reject = ((name,),), (c.hero.name,)
    elif change == 1 and story.plot.about == "thing":
        item = thing(source, lexicon)
        cast = replace(c, thing=item)
        user = SWAP.say(source, at=a(item), t0=c.thing, at0=a(c.thing))
        groups, reject = ((item, plural(item)), (c.hero.name,)), ()
        if item == c.thing:
            return None
    else:
        kind = (
            source.of(lexicon_animals()) if source.maybe(0.5) else source.pick(*(k for k, s in kinds().all if s == "h"))
        )
        if kind in (c.hero.kind, c.friend.kind):
            return None
        cast = replace(c, hero=replace(c.hero, kind=kind))
        user = AGAIN.say(source, ak=a(kind), k0=c.hero.kind, ak0=a(c.hero.kind), h=c.hero.name)
        groups, reject = ((kind,), (c.hero.name,)), ()
    new = tell(story.plot, cast, story.seed, story.length, story.mood)
    answer = source.pick("", "", "Here you go. ", "Again, then. ", "With pleasure. ") + new.text
    return user, answer, groups, reject


QUESTIONS: tuple[tuple[str, float, Ask], ...] = (
    ("name", 4, _name),
    ("kind", 2, _kind),
    ("who", 2, _who),
    ("hero", 2, _hero),
    ("other", 2, _other),
    ("where", 3, _where),
    ("place", 1, _place_or),
    ("was there", 1.5, _was_there),
    ("found", 2, _fact("found", FOUND, "They found {fact}.", "It was {fact}.", "This is what was found: {fact}.")),
    ("helped", 3, _fact("helped", HELPED, "{fact}.", "It was {fact}.", "That was {fact}.", "{fact}, of course.")),
    ("went", 1, _fact("went", WENT, "They went {fact}.", "{fact}.", "The two of them went {fact}.")),
    ("color", 3, _color),
    ("end", 3, _plain("ends", END)),
    ("problem", 2, _plain("problems", ABOUT_WHAT)),
    ("shorter", 2, _plain("short", SHORTER)),
    ("next", 3, _next),
    ("favorite", 1, _plain("favorite", FAVORITE)),
    ("another", 2, _another),
    ("again", 3, _again),
    ("moral", 3, _moral),
    ("title", 3, _title),
    ("unsaid", 2, _unsaid),
    ("true", 0.5, _true),
    *DETAILS,
)


_TRIES = 60


def _question(
    source: Source, lexicon: Lexicon, story: Story, past: list[str], some: Sequence[tuple[str, float, Ask]]
) -> tuple[Turn, Case]:
    """One of some questions that was not asked before. Raises Unmet: the story answers none of them."""
    names, shares, makers = zip(*some, strict=True)
    for _ in range(_TRIES):
        at = source.chance.choices(range(len(names)), shares)[0]
        made = None if names[at] in past else makers[at](source, lexicon, story)
        if made is None:
            continue
        user, answer, accept, reject = made
        c = story.cast
        facts = [c.hero.name, c.friend.name, c.hero.kind, c.friend.kind, c.thing, c.color, c.place[1], c.subject]
        keep = [word for word in (*facts[:2], *(group[0] for group in accept)) if word in user]
        keep += re.findall(r'"([^"]+)"', user)
        # In a second telling only the change is new, and it stands in the question.
        words = [*facts, *(one for group in accept for one in group if one in user)]
        # A sentence that is said again is copied as a whole.
        words += [group[0] for group in accept if names[at] in ("came in", "line", "what said", "goes on")]
        turn = Turn(roughen(source, user, keep=keep), answer, () if names[at] == "another" else copies(answer, words))
        past.append(names[at])
        return turn, Case((turn,), accept, reject, about=names[at])
    raise Unmet("nothing to be asked")


def talk(source: Source, lexicon: Lexicon) -> Case:
    """A story about some things, and questions about it."""
    while True:
        first, story, _ = request(source, lexicon, source.pick(1, 2, 2))
        if straight(story):
            return _talk(source, lexicon, first, story)


def premise_talk(source: Source, lexicon: Lexicon) -> Case:
    """A story in which something had to happen, and questions about it."""
    first, story, _ = premise_request(source, lexicon)
    return _talk(source, lexicon, first, story)


def close(source: Source, lexicon: Lexicon) -> Case:
    """A story, and last a question that its own words answer: who did what, and who was what."""
    first, story, _ = request(source, lexicon, source.pick(1, 2, 2))
    if not straight(story):
        raise Unmet
    return _talk(source, lexicon, first, story, CLOSE)


_FEW, _MANY = (1, 2, 2, 3, 4), (2, 3, 3, 4, 5, 6, 7)
"""How many questions; training asks more of a story once it is read."""


def _talk(
    source: Source, lexicon: Lexicon, first: Turn, story: Story, ends: Sequence[tuple[str, float, Ask]] = QUESTIONS
) -> Case:
    """Some questions behind a story, sometimes after a kind word. `ends`: of which the last one is."""
    turns, past = [first], list[str]()
    if source.maybe(0.25):
        words = PRAISE.say(source, h=story.cast.hero.name)
        thanks = fill(source, source.pick(*scenes()["thanks"]), {})
        turns.append(Turn(roughen(source, words, keep=[story.cast.hero.name]), thanks))
    for _ in range(source.pick(*(_FEW if source.held else _MANY)) - 1):
        some = CLOSE if source.maybe(0.35) else [one for one in QUESTIONS if one[0] not in ("another", "again")]
        with contextlib.suppress(Unmet):
            turns.append(_question(source, lexicon, story, past, some)[0])
    turn, case = _question(source, lexicon, story, past, ends)
    return replace(case, turns=(*turns, turn))


KINDS = [
    Kind("story talk", "stories", talk, 16, filler=False),
    Kind("premise talk", "stories", premise_talk, 6, filler=False),
    Kind("story close", "stories", close, 7, filler=False),
]
