"""Copying into and out of sentences: blanks, forms, other words, greetings, and questions about a small text."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from .cases import Case, Kind, Turn
from .copying_parts import ask, both, exactly, framed, frames, piece, quoted, sentence
from .lexicon import Lexicon, table
from .wording import Pool, Source, a, capital

# --- other words ------------------------------------------------------------------------------


def replace(source: Source, lexicon: Lexicon) -> Case:
    """A word of a sentence by another: one that fits, or whichever."""
    if source.maybe(0.5):
        frame = source.pick(*[text for text in frames("noun", "name") if "{a}" not in text])
        kinds = ["thing", "animal", "made"] if "the {x}" in frame.lower() else ["name", "made"]
        x, y = piece(source, lexicon, kinds).text, piece(source, lexicon, kinds).text
        before, after = framed(frame, x), framed(frame, y)
        # A name's letter is no sentence's: where the word stands first, the frame made it a capital.
        x, y = (capital(x), capital(y)) if frame.startswith("{x}") else (x, y)
        if x.lower() != y.lower() and before.count(x) == 1:
            return exactly(ask(source, "replace", [before, x, y], s=before, x=x, y=y), after, "frame")
    while True:
        before, y = sentence(source, lexicon), piece(source, lexicon, ["word", "made", "name"]).text
        # Not after an article, which might have to change.
        words = re.findall(r"(?<![\w'])(?<!\ba )(?<!\ban )[a-z]{4,}(?![\w'])", before)
        words = [part for part in words if before.count(part) == 1]
        if words and y not in before:
            x = source.pick(*words)
            after = re.sub(rf"\b{x}\b", y, before)
            return exactly(ask(source, "replace", [before, x, y], s=before, x=x, y=y), after, "sentence")


# --- blanks -----------------------------------------------------------------------------------

_BLANKS = ("___", "___", "___", "____", "_____", "...", "__", "[blank]", "(...)")


@functools.cache
def _texts(kind: str) -> Pool[tuple[str, str]]:
    return Pool([(text, what) for name, text, what in table("copying_blanks") if name == kind])


def _fits(text: str, blank: str, value: str) -> bool:
    """Whether the article before the blank is right."""
    found = re.search(rf"\b(an?) (?={re.escape(blank)})", text)
    return not found or a(value).startswith(found[1] + " ")


def fill(source: Source, lexicon: Lexicon) -> Case:
    while True:
        text, kind = source.of(_texts("fill"))
        # Any sentence with a word in it can have a blank there.
        if not source.held and source.maybe(0.4):
            text = source.pick(*(text for text in frames("noun") if "{a}" not in text)).replace("{x}", "___")
            kind = source.pick("thing", "animal", "made")
        value = piece(source, lexicon, [kind]).text
        if _fits(text, "___", value):
            break
    shown = text.replace("___", source.pick(*_BLANKS))
    return exactly(ask(source, "fill", [value, shown], s=shown, x=value), text.replace("___", value), kind)


DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIELDS = {"friend": "name", "beast": "animal", "age": "figure"}


def form(source: Source, lexicon: Lexicon) -> Case:
    """A text with words in capitals, and what to write in their places."""
    while True:
        text, kinds = source.of(_texts("form"))
        values: dict[str, str] = {}
        for kind in kinds.split():
            field = {"beast": "ANIMAL"}.get(kind, kind.upper())
            value = source.pick(*DAYS) if kind == "day" else piece(source, lexicon, [_FIELDS.get(kind, kind)]).text
            values[field] = str(source.number(2, 99)) if kind == "age" else value
        if all(_fits(text, field, value) for field, value in values.items()):
            break
    equals, between = source.pick((": ", ", "), (" is ", ", "), (" = ", ", "), (": ", "; "), (" = ", "; "))
    given = between.join(field + equals + value for field, value in values.items()) + "."
    answer = re.sub("|".join(values), lambda found: values[found[0]], text)
    user = ask(source, "form", [text, *values, *values.values()], s=text, v=given)
    return exactly(user, answer, "form")


# --- sentences with given words ---------------------------------------------------------------


def with_word(source: Source, lexicon: Lexicon) -> Case:
    kind = source.pick("thing", "thing", "animal", "made", "word", "word", "name")
    x = piece(source, lexicon, [kind]).text
    answer = framed(source.pick(*frames({"word": "word", "name": "name"}.get(kind, "noun"))), x)
    user = ask(source, "sentence", [x], x=quoted(source, x, 0.4))
    return Case((Turn(user, answer, (x if x in answer else capital(x),)),), accept=((x,),), about=kind)


def with_words(source: Source, lexicon: Lexicon) -> Case:
    kinds = ["thing", "thing", "thing", "animal", "made"]
    x = y = piece(source, lexicon, kinds).text
    while y == x or y in x or x in y:
        y = piece(source, lexicon, kinds).text
    answer = framed(source.pick(*frames("two")), x, y)
    marks = quoted(source, "{}", 0.3)
    user = ask(source, "sentences", [x, y], x=marks.format(x), y=marks.format(y))
    return Case((Turn(user, answer, (x, y)),), accept=((x,), (y,)), about="two words")


# --- greetings --------------------------------------------------------------------------------


def _wish(source: Source, lexicon: Lexicon, name: str, answer: str, *accept: tuple[str, ...]) -> Case:
    x, kind = lexicon.name(source)
    y = source.of(lexicon.things)
    user = ask(source, name, [x, y], x=x, y=y, d=source.number(3, 90))
    copied = tuple(part for part, field in ((x, "{x}"), (y, "{y}")) if field in answer)
    said = answer.format(x=x, y=y)
    return Case((Turn(user, said, copied),), accept=((x,), *accept, *((part,) for part in copied[1:])), about=kind)


def greet(source: Source, lexicon: Lexicon) -> Case:
    return _wish(source, lexicon, "greet", "Hello, {x}!", ("hello", "hi", "hey", "welcome"))


def good_night(source: Source, lexicon: Lexicon) -> Case:
    return _wish(source, lexicon, "night", "Good night, {x}!", ("good night",))


def birthday(source: Source, lexicon: Lexicon) -> Case:
    return _wish(source, lexicon, "birthday", "Happy birthday, {x}!", ("happy birthday",))


def thank(source: Source, lexicon: Lexicon) -> Case:
    return _wish(source, lexicon, "thank", "Thank you for the {y}, {x}!", ("thank you", "thanks"))


# --- reading ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reading:
    text: str
    questions: tuple[str, ...]


@functools.cache
def _readings() -> Pool[_Reading]:
    return Pool([_Reading(text, tuple(questions)) for text, *questions in table("copying_reading")])


_ARTICLE = re.compile(r"^(in the|in|to the|to|on the|on|at|from|near the|behind the|under the|for|the|an?) ")
_SAME = ("AB", "xy", "pq", "cd", "nm", "hi", "WX")
"""Fields of one sort, which an answer may mix up."""


def _values(source: Source, lexicon: Lexicon) -> dict[str, str]:
    def two(*kinds: str) -> tuple[str, str]:
        while True:
            one, other = piece(source, lexicon, kinds).text, piece(source, lexicon, kinds).text
            if one.lower() not in other.lower() and other.lower() not in one.lower():
                return one, other

    found: dict[str, str] = {}
    found["A"], found["B"] = two("name")
    found["x"], found["y"] = two("thing", "thing", "thing", "made")
    found["z"], found["y2"] = two("animal")
    found["p"], found["q"] = two("town")
    found["c"], found["d"] = two("color")
    found["n"], found["m"] = map(str, source.chance.sample(range(2, 100), 2))
    found["v"] = piece(source, lexicon, ["word", "made"]).text
    clock = [f"{hour}:{minute}" for hour in range(1, 13) for minute in ("00", "15", "30", "45")]
    found["h"], found["i"] = source.chance.sample(clock, 2)
    found["W"], found["X"] = source.chance.sample(DAYS, 2)
    for field in ("x", "y", "z", "y2"):
        found[f"a{field}"] = a(found[field])
    return found


def reading(source: Source, lexicon: Lexicon) -> Case:
    """A small text with one question, whose answer stands in it."""
    values = _values(source, lexicon)
    while True:
        read = source.of(_readings())
        if all(_fits(read.text, f"{{{field}}}", values[field]) for field in ("c", "d", "x", "z")):
            break
    text = capital(read.text.format(**values))
    if source.maybe(0.3):
        # A text beside it, so that one must look.
        extra = framed(source.pick(*[f for f in frames("noun") if "{a}" not in f]), source.of(lexicon.things))
        text = f"{text} {extra}" if source.maybe(0.5) else f"{extra} {text}"
    question, what = source.pick(*read.questions).rsplit("=", 1)
    question = question.format(**values)
    bare = what in values
    said = (values[f"a{what}"] if f"a{what}" in values else values[what]) if bare else what.format(**values)
    core = values[what] if bare else _ARTICLE.sub("", said)
    keys = {what} if bare else set(re.findall(r"\{(\w+)\}", what)) | ({what[4:]} & set(values))
    if not bare and what.startswith("the ") and what[4:] in values:
        core = values[what[4:]]
        said = f"the {core}"
    wrong = {values[pair[1 - pair.index(key)]] for pair in _SAME for key in keys if key in pair and len(key) == 1}
    # What the question names may be in a whole sentence as an answer.
    inside = [v for v in wrong if v in text and v not in question and v.lower() not in core.lower()]
    keep = [value for value in values.values() if value in text or value in question]
    user = ask(source, "reading", keep, t=text, q=question, Q=question[:1].lower() + question[1:])
    kind = {"A": "who", "B": "who", "p": "where", "q": "where"}.get(next(iter(sorted(keys)), ""), "what")
    answer = f"{capital(said)}."
    copied = core if core in answer else capital(core)
    return Case((Turn(user, answer, (copied,)),), ((core,),), tuple(sorted(inside)), about=kind)


KINDS: list[Kind] = [
    *both("replace a word", replace, 1.5, 0.7),
    *both("fill a blank", fill, 1.5, 1),
    *both("fill a form", form, 1.8, 0.7),
    *both("a sentence with a word", with_word, 1, 1),
    *both("a sentence with two words", with_words, 0.5, 0.5),
    *both("greet somebody", greet, 0.7, 0.4),
    *both("wish a good night", good_night, 0.3, 0.2),
    *both("wish a happy birthday", birthday, 0.3, 0.2),
    *both("thank somebody", thank, 0.5, 0.3),
    *both("questions about a text", reading, 3, 1.5),
]
