"""Everything about remembering what a person told: all kinds of conversation, and the cells of the evaluation's table.

The plain ones are in `recalls.py`; here are those with yes or no, everything at once, other people, Griff's own name.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence

from . import often, recalls, told
from .between import some_between
from .cases import Case, Kind, Turn
from .lexicon import Lexicon
from .recalls import ask, case, draw, draw_some, expected, marked, tell, tell_all, typed
from .told import Fact, Form, frames
from .values import Value, drawn
from .values_day import MAKERS
from .wording import Pool, Source, Wordings, capital


def check(source: Source, lexicon: Lexicon) -> Case:
    """Is it so? Yes, or no with what is right."""
    one = draw(source, lexicon, source.pick(*recalls.IMPORTANT) if source.maybe(0.6) else "")
    facts = draw_some(source, lexicon, source.pick(1, 1, 2, 3), [one])
    same = [other for other in facts[1:] if other.form.type == one.form.type]
    wrong = source.pick(*same) if same and source.maybe(0.5) else recalls.again(source, lexicon, [one], facts[1:])
    yes = source.maybe(0.5)
    shown = one.told if yes else wrong.told
    source.chance.shuffle(facts)
    turns = tell_all(source, lexicon, facts)
    clause = told.statement(source, one, shown)
    noun = told.phrase(source, one)
    if one.form.loose or told.is_clause(noun) or source.maybe(0.5):
        user = frames()["check"].say(source, s=clause, S=capital(clause), v=shown)
        if user.lower().startswith(("is it " + shown.lower(), "was it " + shown.lower())):
            user = f"{told.asked(source, one).rstrip('.!? ')}? {user}"
    else:
        user = frames()["checkshort"].say(source, n=noun, v=shown)
    user = typed(source, user, (shown, capital(shown), *one.named))
    model = told.put(source, "yes" if yes else "no", one, o=wrong.value.text)
    ends = marked(user, model, one)
    middle = some_between(source, lexicon, [*facts, wrong], turns, [ends])
    accept: tuple[tuple[str, ...], ...] = (("yes", "right", "correct", "exactly", "true", "indeed"),)
    if not yes:
        accept = (("no", "not", "wrong"), (one.value.core,))
    return Case((*turns, *middle, ends), accept, ("no", "not") if yes else (), about="yes" if yes else "no")


def choice(source: Source, lexicon: Lexicon) -> Case:
    """Is it this or that?"""
    while True:
        one = draw(source, lexicon, source.pick(*recalls.IMPORTANT) if source.maybe(0.7) else "")
        nouns = [text for text in one.form.mine.all if not told.is_clause(text)]
        if not one.form.loose and nouns:
            break
    facts = draw_some(source, lexicon, source.pick(1, 1, 2, 3), [one])
    wrong = recalls.again(source, lexicon, [one], facts[1:])
    source.chance.shuffle(facts)
    turns = tell_all(source, lexicon, facts)
    noun = one.worded(source.pick(*nouns))
    user = frames()["choice"].say(source, n=noun, v=one.told, u=wrong.told)
    keep = (*one.keep, wrong.told, capital(wrong.told))
    ends = marked(typed(source, user, keep), told.answer(source, one), one)
    middle = some_between(source, lexicon, [*facts, wrong], turns, [ends])
    return expected(one, [*turns, *middle, ends], [wrong.value.core])


def who_is(source: Source, lexicon: Lexicon) -> Case:
    """A name is given, and asked for is whose it is."""
    one = draw(source, lexicon, source.pick("pet", "pet", "person", "person", "person", "name", "toy"))
    facts = draw_some(source, lexicon, source.pick(1, 1, 2, 3, 4), [one])
    source.chance.shuffle(facts)
    turns = tell_all(source, lexicon, facts)
    strangers: list[Fact] = []
    if source.maybe(0.15):
        stranger = draw(source, lexicon, "person", beside=facts)
        strangers.append(stranger)
        user = frames()["whois"].say(source, v=stranger.told)
        model = told.fill(source.pick(*frames()["whonobody"].templates.all), x=stranger.value.text)
        ends = Turn(typed(source, user, stranger.keep), model, (stranger.value.text,))
        accept: tuple[str, ...] = tuple(told.NEVER)
    else:
        user = frames()["whois"].say(source, v=one.told)
        frame = "whoanswer" if one.fields else "whoyou"
        model = told.fill(source.pick(*frames()[frame].templates.all), v=one.value.text, f="".join(one.named))
        found = tuple(part for part in (one.value.text, *one.named) if part in model)
        ends = Turn(typed(source, user, one.keep), model, found)
        accept = one.named or ("you", "your")
    middle = some_between(source, lexicon, [*facts, *strangers], turns, [ends])
    return Case((*turns, *middle, ends), (accept,), about="who is")


def everything(source: Source, lexicon: Lexicon) -> Case:
    """All that was told is asked for."""
    facts = draw_some(source, lexicon, source.pick(0, 1, 1, 2, 2, 3, 3, 4, 5))
    turns = tell_all(source, lexicon, facts)
    user = typed(source, frames()["all"].say(source))
    if facts:
        listed = recalls.recited(source, facts)
        model = told.fill(source.pick(*frames()["alllist"].templates.all), l=listed, L=capital(listed))
    else:
        model = source.pick(*frames()["nothing"].templates.all)
    ends = marked(user, model, *facts)
    middle = some_between(source, lexicon, facts, turns, [ends])
    accept = tuple((one.value.core,) for one in facts) or ((*told.NEVER, "don't know", "nothing"),)
    return Case((*turns, *middle, ends), accept, about=f"{len(facts)} facts")


def mine_and_yours(source: Source, lexicon: Lexicon) -> Case:
    """The user's name beside Griff's own."""
    one = draw(source, lexicon, "name")
    turns: list[Turn] = []
    if source.maybe(0.5):
        clause = told.statement(source, one)
        user = typed(source, frames()["tellask"].say(source, s=clause, S=capital(clause)), one.keep)
        turns.append(marked(user, told.put(source, "tellanswer", one), one))
    elif source.maybe(0.9):
        turns.append(tell(source, lexicon, one))
    known = bool(turns)
    yours = Turn(typed(source, frames()["yours"].say(source)), source.pick(*frames()["griff"].templates.all))
    mine = ask(source, one) if known else Turn(typed(source, told.asked(source, one)), told.never(source, one))
    turns += some_between(source, lexicon, [one], turns, [yours, mine])
    if source.maybe(0.5):
        turns += [mine, yours] if source.maybe(0.6) else [yours]
        return Case(tuple(turns), (("Griff",),), (one.value.core,), about="Griff's name")
    turns += [yours, mine] if source.maybe(0.6) else [mine]
    return expected(one, turns, ["Griff"]) if known else Case(tuple(turns), (tuple(told.NEVER),), about="never")


def by_name(source: Source, lexicon: Lexicon) -> Case:
    """Griff uses the name of the user, or of an animal."""
    request = source.pick("hello", "hello", "hello", "night", "bye", "luck", "birthday", "petgreet")
    one = draw(source, lexicon, "pet" if request == "petgreet" else "name")
    facts = draw_some(source, lexicon, source.pick(1, 1, 2, 3), [one])
    known = source.maybe(0.85)
    told_ones = facts if known else facts[1:]
    source.chance.shuffle(told_ones)
    turns = tell_all(source, lexicon, told_ones)
    fields = dict(one.fields)
    user = typed(source, frames()[request].say(source, **fields), tuple(fields.values()))
    model = told.put(source, request + "answer", one) if known else told.never(source, one)
    ends = marked(user, model, one)
    middle = some_between(source, lexicon, facts, turns, [ends])
    if known:
        return expected(one, [*turns, *middle, ends])
    return Case((*turns, *middle, ends), (tuple(told.NEVER),), about="never")


# --- other people ---------------------------------------------------------------------------


@functools.cache
def others() -> dict[str, Form]:
    """What is told of other people."""
    return told.forms_of("told_people")


@functools.cache
def _asking(name: str) -> Wordings:
    return Wordings(others()[name].parts["ask"])


def people(source: Source, lexicon: Lexicon) -> Case:
    """A little text on two to four people, and a question about one of them."""
    name = source.pick(*sorted(others()))
    form = others()[name]
    shared = {"thing": source.of(lexicon.things), "pet": drawn(source, "pet")}
    facts: list[tuple[str, Value]] = []
    wanted = source.pick(2, 2, 2, 3, 3, 4)
    taken = list(shared.values())
    while len(facts) < wanted:
        who, value = lexicon.name(source)[0], MAKERS[form.type](source, lexicon, "")
        new = [who, value.core]
        if not told.overlap(*new) and not any(told.overlap(x, y) for x in taken for y in new):
            facts.append((who, value))
            taken += new
    clauses = []
    for i, (who, value) in enumerate(facts):
        part = "also" if i and source.maybe(0.4) else "say"
        clauses.append(
            told.fill(source.of(form.say if part == "say" else _also(name)), who=who, v=value.text, **shared)
        )
    text = _joined(source, clauses)
    who, value = source.pick(*facts)
    question = _asking(name).say(source, who="{who}", **{key: "{" + key + "}" for key in shared})
    question = told.fill(question, who=who, **shared)
    keep = [*(text for person, known in facts for text in (person, known.text, capital(known.text))), *shared.values()]
    one = Fact(form, value, value.text)
    model = told.fill(source.pick(*form.parts["answer"]), who=who, v=value.text, **shared)
    model = f"{capital(model)}."
    missing = source.maybe(0.1)
    if missing:
        stranger = lexicon.name(source)[0]
        while any(told.overlap(stranger, text) for text in taken):
            stranger = lexicon.name(source)[0]
        question, model = question.replace(who, stranger), _unknown(source, stranger)
        keep.append(stranger)
    turns: list[Turn] = []
    if source.maybe(0.4):
        user = f"{text} {question}"
        ends = Turn(typed(source, user, keep), model, () if missing else told.copied(one, model))
    else:
        said = source.pick("Thank you, I'll remember that.", "I see. I'll remember who is who.", "All right, got it.")
        listener = source.pick(said, "Good to know!", "I'll keep all of them in mind.", "Thank you for telling me.")
        turns = [Turn(typed(source, text, keep), listener)]
        ends = Turn(typed(source, question, keep), model, () if missing else told.copied(one, model))
        facts_said = [Fact(form, known, known.text) for _, known in facts]
        turns += some_between(source, lexicon, facts_said, turns, [ends])
    if missing:
        return Case((*turns, ends), (tuple(told.NEVER),), about="never")
    reject = tuple(known.core for _, known in facts if known is not value)
    return Case((*turns, ends), ((value.core,),), reject, about=f"{name} of {len(facts)}")


@functools.cache
def _also(name: str) -> Pool[str]:
    return Pool([text for text in others()[name].parts["also"] if not re.match(r"\{who\} (in|the) ", text)])


def _joined(source: Source, clauses: Sequence[str]) -> str:
    """Sentences in a row."""
    text = capital(clauses[0])
    for clause in clauses[1:]:
        glue = source.pick(". ", ". ", ", ", " and ")
        if clause.startswith(("but ", "and ")):
            text += ("," if clause.startswith("but") else "") + " " + clause
        elif glue == ". ":
            text += glue + capital(clause)
        else:
            text += glue + clause
    return text + "."


def _unknown(source: Source, who: str) -> str:
    return source.pick(
        f"You have not told me about {who}.",
        f"I don't know, you haven't told me anything about {who}.",
        f"You did not tell me that about {who}.",
        f"I don't know. You have not said anything about {who}.",
        f"You never mentioned {who}, so I don't know.",
        f"You haven't told me about {who} yet.",
    )


def _of(name: str) -> Callable[[Source, Lexicon], Case]:
    return lambda source, lexicon: recalls.recall(source, lexicon, name)


_OTHER = sorted(set(told.forms()) - set(recalls.IMPORTANT))
_WEIGHTS = {"name": 2.0, "pet": 1.4, "color": 1.4, "number": 1.4, "word": 1.4, "person": 1.2}
__all__ = ["KINDS", "case"]
KINDS: list[Kind] = [
    *(Kind(name, "memory", _of(name), weight, filler=False) for name, weight in _WEIGHTS.items()),
    *(Kind(f"told {name}", "memory", _of(name), 0.12, filler=False) for name in _OTHER),
    Kind("pair", "memory", recalls.pair, 1.3, filler=False),
    Kind("twins", "memory", recalls.twins, 0.4, filler=False),
    Kind("correction", "memory", recalls.correction, 1.5, filler=False),
    Kind("never told", "memory", recalls.in_vain, 1.7, filler=False),
    Kind("told late", "memory", recalls.told_late, 0.7, filler=False),
    Kind("check", "memory", check, 1.0, filler=False),
    Kind("choice", "memory", choice, 0.6, filler=False),
    Kind("who is", "memory", who_is, 0.9, filler=False),
    Kind("everything", "memory", everything, 0.7, filler=False),
    Kind("mine and yours", "memory", mine_and_yours, 0.8, filler=False),
    Kind("by name", "memory", by_name, 0.8, filler=False),
    Kind("people", "memory", people, 1.5, filler=False),
    *often.KINDS,
]
