"""Finding: what belongs to a word in a list of pairs, what stands in a sentence, what comes next in a pattern."""

from __future__ import annotations

import re

from .cases import Case, Kind, Turn
from .copying_parts import ORDER, ask, both, exactly, framed, frames, piece, quoted, sentence
from .lexicon import Lexicon
from .wording import Source, a, capital


def _different(source: Source, lexicon: Lexicon, count: int, *kinds: str) -> list[str]:
    """So many pieces, none within another."""
    found: list[str] = []
    tries = 0
    while len(found) < count:
        tries += 1
        text = piece(source, lexicon, kinds if tries < 60 else ["made"]).text
        if not any(text.lower() in other.lower() or other.lower() in text.lower() for other in found):
            found.append(text)
    return found


_PAIRS = (
    ("name", "figure"),
    ("name", "thing"),
    ("name", "color"),
    ("name", "town"),
    ("name", "made"),
    ("thing", "figure"),
    ("thing", "color"),
    ("animal", "name"),
    ("town", "figure"),
    ("word", "word"),
    ("made", "figure"),
    ("made", "made"),
    ("code", "name"),
    ("color", "code"),
    ("figure", "name"),
    ("figure", "thing"),
)


def lookup(source: Source, lexicon: Lexicon) -> Case:
    """Pairs: the one that belongs to the other."""
    kinds, count = source.pick(*_PAIRS), source.number(2, 6)
    found = _different(source, lexicon, 2 * count, *kinds) if kinds[0] == kinds[1] else None
    keys = found[:count] if found else _different(source, lexicon, count, kinds[0])
    values = found[count:] if found else _different(source, lexicon, count, kinds[1])
    at = source.number(0, count - 1)
    mark, between = source.pick(
        (": ", ", "), (": ", "; "), (" = ", ", "), (" - ", "; "), (" is ", ", "), (" -> ", ", ")
    )
    rows = between.join(f"{key}{mark}{value}" for key, value in zip(keys, values, strict=True))
    user = ask(source, "lookup", [rows, keys[at]], l=rows, k=quoted(source, keys[at], 0.2))
    return exactly(user, values[at], f"{kinds[0]} to {kinds[1]}")


def meaning(source: Source, lexicon: Lexicon) -> Case:
    """What made-up words mean, told a moment before."""
    count = source.number(1, 4)
    keys = _different(source, lexicon, count, "made")
    values = _different(source, lexicon, count, "thing", "animal", "color", "word")
    at = source.number(0, count - 1)
    form = source.pick("{} means {}", "{} means {}", "{} is {}", "{} stands for {}", "{} = {}", "{} is the word for {}")
    quote = quoted(source, "{}", 0.4)
    rows = [form.format(quote.format(key), value) for key, value in zip(keys, values, strict=True)]
    told = (", ".join(rows[:-1]) + " and " + rows[-1]) if source.maybe(0.5) and count > 1 else ", ".join(rows)
    user = ask(source, "meaning", [*keys, *values], l=told, k=quote.format(keys[at]))
    return exactly(user, values[at], "meaning")


# --- in a sentence ----------------------------------------------------------------------------

_HOLDERS: dict[str, tuple[str, ...]] = {
    "number": (
        "We counted {x} birds by the lake.",
        "My house has the number {x}.",
        "The tower has {x} steps.",
        "I saved {x} coins for the trip.",
        "There are {x} pages in this book.",
        "Bus {x} stops in front of the school.",
        "The shop sold {x} lamps last week.",
        "She ran past {x} trees.",
        "Our team has {x} points.",
        "Please bring {x} chairs to the hall.",
    ),
    "name": (
        "Yesterday {x} came to see the garden.",
        "We went to the lake with {x} and the dog.",
        "The letter was from {x}.",
        "In the morning {x} makes tea for everybody.",
        "I think that {x} is a good cook.",
        "The teacher gave {x} a new book.",
        "There was a boat, and in it sat {x} with a hat.",
        "Nobody sings as well as {x} does.",
        "The red house belongs to {x}.",
        "On the bridge we met {x} again.",
    ),
    "animal": (
        "In the garden I saw {ax} this morning.",
        "She drew {ax} on the wall.",
        "The {x} ran over the road.",
        "My uncle has {ax} at home.",
        "Behind the house there was {ax}.",
        "The {x} slept in the sun.",
        "We heard the {x} at night.",
        "The book is about {ax} and a boy.",
    ),
    "color": (
        "The door of the shop is {x}.",
        "She has {ax} car.",
        "He painted the fence {x} last week.",
        "My new coat is {x}.",
        "We saw {ax} light over the sea.",
        "The sky turned {x} in the evening.",
        "I like {x} best.",
        "The curtains in her room are {x}.",
    ),
    "town": (
        "Last summer we went to {x}.",
        "The train to {x} was late.",
        "My aunt works in {x}.",
        "It is far from here to {x}.",
        "The river flows through {x}.",
        "I have a picture of {x} on my wall.",
        "They built a new bridge in {x}.",
        "He walked all the way to {x}.",
    ),
    "word in quotes": (
        'She wrote "{x}" on the wall.',
        'He said "{x}" and laughed.',
        'The sign says "{x}" in red.',
        'The song begins with "{x}" and a drum.',
        'I found "{x}" in an old book.',
        'The password was "{x}" last week.',
    ),
    "word in brackets": (
        "The answer ({x}) was on the last page.",
        "My friend ({x}) is waiting.",
        "The prize ({x}) is on the table.",
        "We took the first train ({x}) to the sea.",
        "One of the words ({x}) is wrong.",
    ),
    "word in capitals": (
        "I would like the {u} on the left.",
        "Please bring me the {u} today.",
        "They never saw the {u} again.",
        "She put the {u} on the shelf.",
        "We need one {u} more.",
    ),
    "code": (
        "The key is under the stone, and the code is {x}.",
        "Please write {x} on the box.",
        "The file is called {x} now.",
        "Use {x} to open the gate.",
        "On the ticket stands {x} in small letters.",
    ),
}
_FILLED = {"number": "figure", "word in quotes": "word", "word in brackets": "made", "word in capitals": "thing"}


def extract(source: Source, lexicon: Lexicon) -> Case:
    """Of a sentence, only the name or the number."""
    what = source.pick(*_HOLDERS)
    x = piece(source, lexicon, [_FILLED.get(what, what)]).text
    text = capital(source.pick(*_HOLDERS[what]).format(x=x, ax=a(x), u=x.upper()))
    if source.maybe(0.4):
        other = framed(source.pick(*[f for f in frames("noun") if "{a}" not in f]), source.of(lexicon.things))
        text = f"{text} {other}" if source.maybe(0.5) else f"{other} {text}"
    user = ask(source, "saywhere", [text], s=text, w=what)
    return exactly(user, x.upper() if "capitals" in what else x, what)


def nth_sentence(source: Source, lexicon: Lexicon) -> Case:
    count = source.pick(2, 2, 3, 4)
    rows: list[str] = []
    while len(rows) < count:
        text = sentence(source, lexicon)
        if len(text) < 60 and re.fullmatch(r"[^.?!]+[.?!]", text):
            rows.append(text)
    at = source.number(0, count - 1)
    order = "last" if at == count - 1 and source.maybe(0.5) else ORDER[at]
    text = " ".join(rows)
    return exactly(ask(source, "nthsentence", [text], s=text, o=order), rows[at], "sentence")


def pattern(source: Source, lexicon: Lexicon) -> Case:
    """Two or three things again and again: which is next."""
    turn = _different(
        source, lexicon, source.pick(2, 2, 3, 4), source.pick("thing", "animal", "made", "color", "figure")
    )
    shown = source.number(len(turn) + 1, 2 * len(turn) + 2)
    row = [turn[i % len(turn)] for i in range(shown)]
    return exactly(ask(source, "pattern", turn, l=", ".join(row)), turn[shown % len(turn)], "pattern")


def also_asked(source: Source, lexicon: Lexicon) -> Case:
    """Pairs told in one turn, asked for in the next ones."""
    count = source.number(2, 5)
    keys, values = _different(source, lexicon, count, "name"), _different(source, lexicon, count, "figure", "made")
    rows = ", ".join(f"{key}: {value}" for key, value in zip(keys, values, strict=True))
    at = source.chance.sample(range(count), source.number(2, count))
    first = Turn(ask(source, "lookup", [rows, keys[at[0]]], l=rows, k=keys[at[0]]), values[at[0]], (values[at[0]],))
    shape = source.pick("And {}?", "And {}?", "{}?", "Now {}?", "What about {}?", "And what is {}?", "and {}")
    more = [Turn(shape.format(keys[i]), values[i], (values[i],)) for i in at[1:]]
    return Case((first, *more), exact=values[at[-1]], about="pairs")


KINDS: list[Kind] = [
    *both("what belongs to", lookup, 2.5, 1),
    *both("what a word means here", meaning, 1.5, 0.7),
    *both("find in a sentence", extract, 1.5, 0.7),
    Kind("one sentence of a text", "copying", nth_sentence, 0.8),
    Kind("what comes next", "copying", pattern, 0.8),
    Kind("and what belongs to", "copying", also_asked, 0.8, filler=False),
]
