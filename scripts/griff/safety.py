"""Distress, danger, requests that get a no, leading questions, and the harmless wordings that look like them.

A situation (the tables in `_TABLES`) stands in a frame (`safety_frames`); its class chooses the answers. Ways to put a
situation, frames and what fills their slots are all held out in part, situations are not: each is met in training.
A passing mood without a reason ("I'm sad today") is small talk's (`talk`): what lasts, what is deep and what is dangerous
stands here, and no wording in both.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .cases import Case, Kind, Turn, after
from .lexicon import table
from .phrases import Block, blocks, chosen
from .safety_judge import REFUSALS, REJECT, innocents, judge
from .wording import Pool, Source, Wordings, capital, roughen

__all__ = ["KINDS", "judge"]

CALLS: dict[str, tuple[str, ...]] = {
    "sos": (
        "Call 112 in Europe, 911 in the US and Canada, 999 in the UK, or the emergency number where you live.",
        "Please call now: 911 in the US and Canada, 112 in Europe, 999 in the UK, or the number where you live.",
        "Call your emergency number right away: 112 in Europe, 911 in the US and Canada, 999 in the UK.",
        "Call for help now: 911 in the US and Canada, 999 in the UK, 112 in Europe, or the number where you live.",
    ),
    "crisis": (
        "You can call 988 in the US and Canada, 116 123 in the UK and many countries of Europe, or the helpline where "
        "you live.",
        "People listen day and night: 988 in the US and Canada, 116 123 in the UK and much of Europe, or the number "
        "where you live.",
        "Please call a helpline: 988 in the US and Canada, 116 123 in the UK and many other countries of Europe, or the "
        "one where you live.",
        "Call 988 in the US and Canada, or 116 123 in the UK and much of Europe; elsewhere, the helpline where you live.",
    ),
    "danger": (
        "If you are in danger right now, call 112 in Europe, 911 in the US and Canada, or 999 in the UK.",
        "If it gets dangerous, call 911 in the US and Canada, 112 in Europe, 999 in the UK, or the number where you live.",
        "If you may not be safe, call 112, 911 or 999 at once, or the emergency number where you live.",
    ),
}
"""Whom to call: numbers stand only here and in the answers, always beside the same places."""

_TABLES = ("distress", "distress_more", "emergency", "advice", "harmful", "leading", "everyday")
_STATEMENT = ["Hey, ", "Hi, ", "Griff, ", "Okay, ", "So, ", "Well, ", "Listen, ", "Hello, ", "Sorry, ", "Hey Griff, "]
"""What may stand before a statement; the openers of all wordings are for questions ("Just asking: ")."""
_QUESTIONS = ("do", "any", "self", "how", "ask", "normal")
_ENDS = [".", ".", ".", ".", "", "", "!", "...", ".."]
_SLOT = re.compile(r"\[(\w+)\]")
_OWN = re.compile(r"\b(I|I'm|my|me|myself)\b")
"""Whose frames may not speak of other people ("My friend wants to hurt myself")."""


_FORMS = {
    "shy": ("me", "shy"),
    "do": ("do", "urge"),
    "any": ("do", "urge", "any"),
    "self": ("do", "self"),
    "how": ("do",),
    "claim": ("claim", "bare"),
    "press": ("claim", "bare", "press"),
    "own": ("claim", "press"),
    "boast": ("plain", "boast"),
    "sneer": ("plain", "sneer"),
}
"""Forms that take the frames of several: harmless ones take those alone that their answers fit."""


@dataclass(frozen=True)
class Class:
    """Situations that get the same answers."""

    name: str
    kind: str
    accept: tuple[tuple[str, ...], ...]
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Situation:
    """One thing that happens or is wanted, and the ways to put it, each with the form of its frames."""

    about: Class
    name: str
    ways: Pool[tuple[str, str]]


def _words(field: str) -> tuple[str, ...]:
    """The parts of a field; a bar inside parentheses parts alternatives, not these."""
    return tuple(re.split(r"\|(?![^()]*\))", field))


def _groups(field: str) -> tuple[tuple[str, ...], ...]:
    named = {f"@{name}": words for name, words in table("safety_words")}

    def group(text: str) -> tuple[str, ...]:
        return tuple(word for part in _words(text) for word in _words(named.get(part, part)))

    return tuple(group(text) for text in field.split(";") if text)


@functools.cache
def classes() -> dict[str, Class]:
    """All classes by name."""
    answers: dict[str, list[str]] = {}
    for name, answer in table("safety_answers"):
        answers.setdefault(name, []).append(answer)
    return {
        name: Class(name, kind, _groups(accept), tuple(answers[name])) for name, kind, accept in table("safety_classes")
    }


@functools.cache
def _situations() -> tuple[Situation, ...]:
    ways: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for part in _TABLES:
        key = form = None
        for row in table(f"safety_{part}"):
            if row[0]:
                about, name, form = row
                key = about, name
            elif key is None or form is None:
                raise ValueError(f"safety_{part} has a line before the first situation: {row}")
            else:
                ways.setdefault(key, []).append((form, row[1]))
    return tuple(Situation(classes()[about], name, Pool(texts)) for (about, name), texts in ways.items())


@functools.cache
def situations(kind: str) -> tuple[Situation, ...]:
    """All of a kind."""
    return tuple(one for one in _situations() if one.about.kind == kind)


@functools.cache
def frames(form: str) -> Wordings:
    """What may stand around a situation of this form."""
    forms = _FORMS.get(form, (form,))
    hey = {} if form in _QUESTIONS else {"hey": _STATEMENT}
    templates = [text for name, text in table("safety_frames") if name in forms]
    return Wordings(templates, s=_ENDS, um=["Um, ", "Hm, ", "Well... ", "Uh, ", "... "], **hey)


@functools.cache
def _slots() -> dict[str, Pool[str]]:
    return {name: Pool(_words(options)) for name, options in table("safety_slots")}


def _filled(source: Source, text: str) -> str:
    """With its alternatives chosen and its slots filled, twice the same never."""
    text = chosen(source, text)
    used: set[str] = set()
    while match := _SLOT.search(text):
        pool = _slots()[match[1]]
        option = source.of(pool)
        while option in used and len(pool.held if source.held else pool.kept) > len(used):
            option = source.of(pool)
        used.add(option)
        text = text[: match.start()] + option + text[match.end() :]
    return text


_HE = re.compile(r"\b(brother|boyfriend|son|grandson|husband|dad|Tom|Ali|boy|guy|friend)\b")
_SHE = re.compile(r"\b(sister|girlfriend|daughter|niece|wife|mom|Lena|Mia|Zoe|girl|friend)\b")


def _himself(source: Source, text: str) -> str:
    """With himself or herself where a text knows who it is; the way people mostly put it."""
    words = ["himself"] * bool(_HE.search(text)) + ["herself"] * bool(_SHE.search(text))
    return text.replace("themselves", source.pick(*words)) if words and source.maybe(0.8) else text


def framed(source: Source, form: str, text: str) -> str:
    """A user's message: the situation in a frame, as people type."""
    text = _himself(source, _filled(source, text))
    end = text[-1] if text[-1] in "?!." else ""
    text = text.rstrip("?!.")
    if form == "do" and not _OWN.search(text):
        form = "any"
    if form == "normal" and end != "?":
        form = "plain"
    fields = {"x": text, "X": capital(text), "e": end or "."}
    other = {"plain": "me", "tell": "me", "me": "plain"}.get(form, "")
    if other and not source.held and source.maybe(_FROM_OTHERS):
        # What stands around it does not say whether it is grave.
        said = frames(other).fill(source, source.of(_neutral(other)), **fields)
    else:
        said = frames(form).say(source, **fields)
    return roughen(source, said).strip()


_FROM_OTHERS = 0.25
"""Of harmless statements and small troubles stand in a frame of grave ones, and the other way around."""
_MOOD = re.compile(
    "sorry|bad|terrible|sad|cry|lost|hurt|help|okay|night|tired|sleep|laugh|judge|end\\?|else|nobody|no one|any|well|haha|funny|"
    "guess|morning|news|hard|easy|minute|stop|shy|why|true|where|chest",
    re.IGNORECASE,
)
"""In a frame that only goes with one of the two."""


@functools.cache
def _neutral(form: str) -> Pool[str]:
    pool = frames(form).templates
    return pool.part([text for text in pool.all if not _MOOD.search(text)])


def answer(source: Source, answers: Sequence[str]) -> str:
    """One of these, with whom to call."""
    return _SLOT.sub(lambda match: source.pick(*CALLS[match[1]]), source.pick(*answers))


def _asked(source: Source, one: Situation, but: str = "") -> Case:
    """A message about a situation and its answer, another than `but`."""
    user = framed(source, *source.of(one.ways))
    kind, about = one.about.kind, f"{one.about.kind} {one.about.name} {one.name}"
    model = answer(source, [text for text in one.about.answers if text != but])
    return Case((Turn(user, model),), one.about.accept, REJECT.get(kind, ()), about=about)


def situation(source: Source, kind: str, only: str = "") -> Case:
    """One message of a kind and its answer. `only`: of this class."""
    found = [one for one in situations(kind) if only in ("", one.about.name)]
    return _asked(source, source.pick(*found))


@functools.cache
def _innocents() -> list[tuple[str, str, tuple[str, ...], Pool[str], tuple[str, ...]]]:
    return [
        (name, form, _words(accept), Pool(_words(ways)), _words(answers))
        for name, form, accept, ways, answers in innocents()
    ]


def innocent(source: Source) -> Case:
    """A harmless message that looks dangerous; the answer is an ordinary one."""
    name, form, accept, ways, answers = source.pick(*_innocents())
    user = framed(source, form, source.of(ways))
    return Case((Turn(user, source.pick(*answers)),), (accept,), REFUSALS, about=f"innocent {name}")


def small_talk(source: Source, low: int, high: int) -> list[Turn]:
    """Turns about nothing in particular."""
    rows = source.some(table("safety_smalltalk"), low, high)
    return [Turn(roughen(source, source.pick(*_words(u))), source.pick(*_words(m))) for u, m in rows]


@functools.cache
def _afters(kind: str) -> tuple[tuple[Block, Pool[str]], ...]:
    return tuple((block, Pool(block.said)) for block in blocks("safety_after") if block.marks["kind"] == kind)


def follow_up(source: Source, kind: str) -> Case:
    """What people say after such an answer: thanks, doubts, jokes, "you are not helping", the same once more."""
    before = situation(source, kind)
    block, ways = source.pick(*_afters(kind))
    case = Case(
        (Turn(framed(source, "follow", source.of(ways)), answer(source, block.answers)),),
        _groups(block.marks["accept"]),
        REJECT[kind] if "reject" in block.marks else (),
        about=f"after {kind} {block.name}",
    )
    return after(before.turns, case)


def pressed(source: Source) -> Case:
    """The same asked again, in other words, after one no or two."""
    one = source.pick(*situations(source.pick("harmful", "harmful", "leading", "advice")))
    turns = _asked(source, one).turns
    if source.maybe(0.3):
        turns += _asked(source, one, turns[-1].model).turns
    return after(turns, _asked(source, one, turns[-1].model))


def late(source: Source, kind: str) -> Case:
    """The same after small talk."""
    return after(small_talk(source, 1, 8), situation(source, kind))


def twice(source: Source) -> Case:
    """Two cries one after the other, often of the same class, with or without a follow-up between them."""
    first = follow_up(source, "distress") if source.maybe(0.4) else situation(source, "distress")
    same = first.about.split()[1]
    only = same if same in classes() and source.maybe(0.5) else ""
    return after(first.turns, situation(source, "distress", only))


def told(source: Source) -> Case:
    """A cry for help, and when asked what it is."""
    kind = source.pick("distress", "distress", "emergency", "everyday")
    return after(situation(source, "cry").turns, situation(source, kind))


def back(source: Source) -> Case:
    """Ordinary talk after distress, danger or a no."""
    kind = source.pick("distress", "harmful", "emergency", "insult", "leading")
    before = follow_up(source, kind) if source.maybe(0.5) else situation(source, kind)
    between = small_talk(source, 0, 3)
    last = situation(source, "everyday") if source.maybe(0.25) else innocent(source)
    return after((*before.turns, *between), last)


def _kind(name: str, make: Callable[[Source], Case], weight: float) -> Kind:
    # Each brings what it follows on, so it may come up in the middle of any talk (`between` takes none of them).
    return Kind(f"safety: {name}", "safety", lambda source, _lexicon: make(source), weight)


def _of(kind: str) -> Callable[[Source], Case]:
    return lambda source: situation(source, kind)


KINDS: list[Kind] = [
    _kind("distress", _of("distress"), 3.3),
    _kind("emergency", _of("emergency"), 2.3),
    _kind("cry", _of("cry"), 0.5),
    _kind("harmful", _of("harmful"), 2.6),
    _kind("leading", _of("leading"), 1.2),
    _kind("advice", _of("advice"), 1.4),
    _kind("insult", _of("insult"), 0.4),
    _kind("everyday", _of("everyday"), 1.6),
    _kind("innocent", innocent, 2.4),
    _kind("late distress", lambda source: late(source, source.pick("distress", "distress", "emergency", "cry")), 0.8),
    _kind("late harmful", lambda source: late(source, source.pick("harmful", "leading")), 0.5),
    _kind("twice", twice, 0.5),
    _kind("after distress", lambda source: follow_up(source, "distress"), 1.0),
    _kind("after emergency", lambda source: follow_up(source, "emergency"), 0.3),
    _kind("after harmful", lambda source: follow_up(source, "harmful"), 0.6),
    _kind("after leading", lambda source: follow_up(source, "leading"), 0.3),
    _kind("after advice", lambda source: follow_up(source, "advice"), 0.3),
    _kind("after insult", lambda source: follow_up(source, "insult"), 0.2),
    _kind("asked again", pressed, 0.6),
    _kind("told after a cry", told, 0.4),
    _kind("back to normal", back, 0.8),
]
