"""Text without an end: one story after the other, and small texts between them.

Only who asks for it ("tell stories and don't stop") gets it: behind any other answer, and on a page of plain text, that it goes
on is never learned, only what comes when it may not end (`/endless`), and that it could have ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .asks import Wanted, creature, name_for, places, thing
from .cases import Turn
from .lexicon import Lexicon, table
from .poems import poem
from .scenes import Cast, Role, Story, fill, pools_of
from .stories import story_of
from .story_questions import ask
from .wording import Source, a, capital, roughen

WITHOUT_END = ask("without_end")
_BEGIN = (
    "",
    "",
    "",
    "Gladly.\n\n",
    "With pleasure. Stop me when you have enough.\n\n",
    "I go on until you stop me.\n\n",
)
_OTHER = re.compile(r"\A(Another story|And one more|A new story|Story number).*\n\n")
SMALL = 0.3
"""How often a small text stands in place of a story."""


def endless(source: Source, lexicon: Lexicon, characters: int) -> str:
    """Texts of so many characters at most, the first one whole, each behind a blank line, new names in each and none twice."""
    out = ""
    for text in texts(source, lexicon):
        if out and len(out) + len(text) > characters:
            return out
        out += f"\n\n{text}" if out else text
    raise AssertionError("texts never end")


def wished(source: Source, lexicon: Lexicon, characters: int) -> Turn:
    """Somebody asks for stories without an end, and they go on and on."""
    user, text = WITHOUT_END.say(source), endless(source, lexicon, characters)
    text = _OTHER.sub("", text)  # the first is no other
    return Turn(capital(roughen(source, user)), source.pick(*_BEGIN) + text)


def texts(source: Source, lexicon: Lexicon) -> Iterator[str]:
    """Texts, each different from those before it: no plot comes back within twenty stories."""
    seen: set[str] = set()
    recent: list[str] = []
    names: list[str] = []
    while True:
        if source.maybe(SMALL):
            text = source.pick(_place, _thing, _animal, _diary, _diary, _letter, _letter, _place, _talk, _poem)(
                source, lexicon
            )
        else:
            story = _story(source, lexicon)
            new = [story.cast.hero.name, story.cast.friend.name]
            if story.plot.name in recent or set(new) & set(names):
                continue
            recent, names = [*recent, story.plot.name][-20:], [*names, *new][-60:]
            heading = _line(source, "heading", {"title": story.title, "n": str(source.number(2, 99))}, plain=True)
            text = f"{heading}\n\n{story.text}" if source.maybe(0.45) else story.text
        if text not in seen:
            seen.add(text)
            yield text


def _story(source: Source, lexicon: Lexicon) -> Story:
    length, mood = source.pick("", "", "long", "long", "short"), source.pick("", "", "", "bedtime", "funny", "spooky")
    return story_of(source, lexicon, Wanted(), length, mood)


def _fields(source: Source, lexicon: Lexicon) -> dict[str, str]:
    kind, _ = creature(source, lexicon)
    role = Role(name_for(source, lexicon), kind, source.pick("m", "f"))
    color = source.pick(*(row[0] for row in table("colors")))
    cast = Cast(role, role, thing(source, lexicon), color, source.of(places()))
    names = {"N": name_for(source, lexicon), "N2": name_for(source, lexicon)}
    return (
        cast.fields()
        | names
        | {"n": str(source.number(2, 40)), "m": str(source.number(2, 40)), "d": str(source.number(1, 28))}
    )


def _line(source: Source, pool: str, fields: dict[str, str], plain: bool = False) -> str:
    return fill(source, source.pick(*pools_of("endless_bits.txt")[pool]), fields, sentence=not plain)


def _lines(source: Source, pool: str, fields: dict[str, str], low: int, high: int) -> list[str]:
    chosen = source.some(pools_of("endless_bits.txt")[pool], low, high)
    return [fill(source, line, fields) for line in chosen]


def _place(source: Source, lexicon: Lexicon) -> str:
    fields = _fields(source, lexicon)
    pool = pools_of("endless_bits.txt")["about_place"]
    chosen = source.some(range(1, len(pool)), 3, 6)
    # Morning before evening: in the order of the table.
    return " ".join(fill(source, pool[i], fields) for i in [0, *sorted(chosen)])


def _thing(source: Source, lexicon: Lexicon) -> str:
    fields = _fields(source, lexicon)
    pool = pools_of("endless_bits.txt")["about_thing"]
    return " ".join(fill(source, pool[i], fields) for i in [0, *sorted(source.some(range(1, len(pool)), 3, 5))])


def _animal(source: Source, lexicon: Lexicon) -> str:
    fields = _fields(source, lexicon)
    pool = pools_of("endless_bits.txt")["about_animal"]
    return " ".join(fill(source, pool[i], fields) for i in [0, *sorted(source.some(range(1, len(pool)), 3, 6))])


def _diary(source: Source, lexicon: Lexicon) -> str:
    fields = _fields(source, lexicon)
    lines = " ".join(_lines(source, "diary", fields, 3, 6))
    return f"{_line(source, 'diary_open', fields, plain=True)} {lines}"


def _letter(source: Source, lexicon: Lexicon) -> str:
    fields = _fields(source, lexicon)
    opening, close = _line(source, "letter_open", fields, plain=True), _line(source, "letter_close", fields, plain=True)
    return f"{opening}\n{' '.join(_lines(source, 'letter', fields, 3, 6))}\n{close}"


def _talk(source: Source, lexicon: Lexicon) -> str:
    fields = _fields(source, lexicon)
    pools = pools_of("endless_bits.txt")
    pairs = [source.pick(*pools["talk_open"]), *source.some(pools["talk"], 2, 4), source.pick(*pools["talk_close"])]
    return "\n".join(fill(source, half, fields) for pair in pairs for half in re.split(r'(?<=")\|(?=")', pair))


def _poem(source: Source, lexicon: Lexicon) -> str:
    x = source.pick(a(creature(source, lexicon)[0]), a(thing(source, lexicon)))
    return f"{capital('the ' + x.split(' ', 1)[1])}\n{poem(source, x)}" if source.maybe(0.5) else poem(source, x)
