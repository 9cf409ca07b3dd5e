"""Short rhymed poems about what is asked for.

A poem is made of pairs of lines that rhyme, written by hand with all their choices (`tables/poem_lines.txt`): the
asked-for thing stands inside a line, so any word fits. For words in `tables/poem_ends.tsv` there are lines that rhyme
with them.
"""

from __future__ import annotations

import functools
import re

from .asks import KIDS, countable, creature, joined, subjects, thing
from .cases import Case, Kind, Turn
from .lexicon import Lexicon, table
from .scenes import pools_of
from .stories import copies
from .wording import Pool, Source, Wordings, a, capital, roughen

POEM = Wordings(
    [
        "[do]write {p} about {x}[please][fin]",
        "[do]write me {p} about {x}[please][fin]",
        "[do]tell me {p} about {x}[please][fin]",
        "[do]make {p} about {x}[please][fin]",
        "[do]make up {p} about {x}[please][fin]",
        "[do]compose {p} about {x}[please][fin]",
        "[do]give me {p} about {x}[please][fin]",
        "[do]recite {p} on {x}[please][fin]",
        "[do]rhyme something about {x}[please][fin]",
        "[do]say something in rhyme about {x}[please][fin]",
        "[hey]do you know {p} about {x}[end]",
        "[hey]have you got {p} about {x}[end]",
        "[hey]can I have {p} about {x}[end]",
        "[hey]could I hear {p} with {x} in it[end]",
        "[hey]I want {p} about {x}[stop]",
        "[hey]I would like {p} about {x}[please][fin]",
        "[hey]I'd love {p} about {x}[stop]",
        "[hey]I need {p} about {x} for my {kid}[stop]",
        "[hey]how about {p} about {x}[end]",
        "[hey]what about some verses on {x}[end]",
        "[hey]{p} about {x}[please][fin]",
        "{x}, as {p}[please][fin]",
        "Poem: {x}",
        "poem about {x}",
        "Let's have {p} about {x}[stop]",
        "Be a poet and sing of {x}[fin]",
        "[do]put {x} into {p}[please][fin]",
        "Surprise me with {p} about {x}[stop]",
        "Can you rhyme? Then write about {x}[fin]",
        "A few lines about {x} that rhyme[please][fin]",
        "[do]turn {x} into {p}[please][fin]",
        "Roses are red... now something like that about {x}[fin]",
        "My {kid} likes {x}. Do you know {p} for that[end]",
        "I have to write {p} about {x}. Help me[please][fin]",
        "Four lines about {x}, with rhymes[please][fin]",
        "What would {p} about {x} sound like[end]",
        "can u do {p} about {x}",
        "Is there {p} about {x}[end]",
    ],
    fin=["", ".", ".", ".", "!", "?", "..."],
)
ANY_POEM = Wordings(
    [
        "[do]write {p}[please][fin]",
        "[do]tell me {p}[please][fin]",
        "[do]make up {p}[please][fin]",
        "[do]recite {p}[please][fin]",
        "[hey]do you know {p}[end]",
        "[hey]do you know any poems[end]",
        "[hey]can you write {p}[end]",
        "[hey]I want {p}[stop]",
        "[hey]I'd like to hear {p}[please][fin]",
        "[hey]{p}[please][fin]",
        "Some poetry[please][fin]",
        "[hey]are you a poet[end] Show me[fin]",
        "Rhyme something[please][fin]",
        "[do]say something that rhymes[please][fin]",
        "I need {p}[please][fin]",
        "Surprise me with {p}[stop]",
        "Any poem you like[fin]",
        "Let's have {p}[stop]",
        "Cheer me up with {p}[please][fin]",
        "Poem?",
    ],
    fin=["", ".", ".", ".", "!", "?", "..."],
)
HAIKU = Wordings(
    [
        "[do]write a haiku[please][fin]",
        "[do]tell me a haiku[please][fin]",
        "[do]make a haiku[please][fin]",
        "[hey]do you know a haiku[end]",
        "[hey]can you do a haiku[end]",
        "[hey]I'd like a haiku[please][fin]",
        "Haiku[please][fin]",
        "[hey]could I have a haiku[end]",
        "A haiku for me[please][fin]",
        "Five, seven, five[please][fin]",
        "Give me three lines, a haiku[please][fin]",
        "Let's hear a haiku[stop]",
    ],
    fin=["", ".", ".", ".", "!", "?", "..."],
)
NAMES = ("poem", "poem", "short poem", "little poem", "rhyme", "verse", "nice poem", "few rhymed lines", "small poem")


@functools.cache
def ends() -> dict[str, tuple[str, ...]]:
    """Words, and lines that rhyme with them."""
    return {row[0]: row[1:] for row in table("poem_ends")}


@functools.cache
def _rhymed() -> Pool[str]:
    return Pool(sorted(ends()))


def couplet(source: Source, pool: str, x: str, used: set[str]) -> list[str]:
    """Two lines that rhyme: choices of both are made alike."""
    lines = [one for one in pools_of("poem_lines.txt")[pool] if one not in used]
    chosen = source.pick(*lines)
    used.add(chosen)
    parts = re.findall(r"<[^<>]*>", chosen)
    # Where the last choice of a line has as many ways as the last of the other, they rhyme in order.
    first, second = (re.findall(r"<[^<>]*>", half) for half in chosen.split(" / "))
    way = source.number(0, 1)
    out = chosen
    for part in parts:
        options = part[1:-1].split("|")
        at_end = bool(first) and part == first[-1] and re.search(re.escape(part) + r"[.,!?]* /", chosen)
        tied = at_end or (part in second and len(options) == 2)
        option = options[way % len(options)] if tied else source.pick(*options)
        out = out.replace(part, option, 1)
    the = x if x.startswith("the ") or not re.match("(a|an) ", x) else "the " + x.split(" ", 1)[1]
    return [capital(line.replace("{x}", x).replace("{tx}", the)) for line in out.split(" / ")]


def poem(source: Source, x: str) -> str:
    """Four to eight lines about it."""
    used: set[str] = set()
    core = re.sub("^(a|an|the) ", "", x)
    if core in ends() and source.maybe(0.7):
        line, other = source.chance.sample(ends()[core], 2)
        first = source.pick(
            "Hello, hello, you little {},", "I wrote a rhyme for you, dear {},", "My friend, my {}, my lovely {},"
        )
        second = source.pick(
            "I like you very much, my {},", "Good night to you, my dear old {},", "Sing on, sing on, you happy {},"
        )
        lines = [capital(first.format(core, core)), capital(line) + ".", capital(second.format(core, core))]
        lines.append(capital(other) + ".")
        if source.maybe(0.4):
            lines += couplet(source, "middle", x, used)
        return "\n".join(lines)
    lines = couplet(source, "open", x, used)
    for _ in range(source.pick(0, 1, 1, 2)):
        lines += couplet(source, "middle", x, used)
    return "\n".join(lines + couplet(source, "close", x, used))


def about(source: Source, lexicon: Lexicon) -> Case:
    """A poem about something."""
    sort = source.number(0, 9)
    if sort < 3:
        kind = creature(source, lexicon)[0]
        x, core = a(kind), kind
    elif sort < 5:
        core = thing(source, lexicon)
        x = a(core)
    elif sort < 7:
        core = source.of(_rhymed())
        x = source.pick("the ", "a ") + core if core not in ("snow", "rain", "bread", "tea", "spring") else core
        x = "the " + core if core in ("moon", "sun", "sea", "wind", "night") else x if x[:2] != "a " else a(core)
    elif sort < 8:
        core = source.of(countable(lexicon))
        x = a(core)
    elif sort < 9:
        x = source.of(subjects())
        core = re.sub("^(a|an|the) ", "", x)
    else:
        x, core = (name := lexicon.name(source)[0]), name
    said = x if x == core or source.maybe(0.75) else core
    user = POEM.say(source, p=a(source.pick(*NAMES)), x=joined(source, [said]), kid=source.pick(*KIDS))
    text = poem(source, x)
    keep = [core] if core[:1].isupper() else []
    return Case((Turn(roughen(source, user, keep), text, copies(text, [core])),), ((core,),), about="poem")


def anything(source: Source, lexicon: Lexicon) -> Case:
    """A poem about whatever Griff likes, or a haiku."""
    if source.maybe(0.3):
        row = source.pick(*table("poem_haiku"))
        text = "\n".join(row) + "."
        return Case((Turn(roughen(source, HAIKU.say(source)), text),), about="haiku")
    x = source.pick(a(creature(source, lexicon)[0]), source.of(subjects()), source.of(subjects()))
    user = ANY_POEM.say(source, p=a(source.pick(*NAMES)))
    return Case((Turn(roughen(source, user), poem(source, x)),), about="poem")


KINDS = [Kind("poem", "stories", about, 3), Kind("poem any", "stories", anything, 1)]
