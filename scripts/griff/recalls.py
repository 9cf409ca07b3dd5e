"""Conversations in which facts are told and asked for: one or several, at once or after many turns, set right, never told.

Turns between telling and asking come from `between`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from . import told
from .between import LONG, size, some_between, turns_between
from .cases import Case, Turn, Unmet
from .lexicon import Lexicon
from .told import Fact, frames
from .values import plural
from .wording import Source, capital, roughen

IMPORTANT = ("name", "pet", "person", "color", "number", "word")
CHANGING: frozenset[str] = frozenset(
    re.findall(
        r"\S+",
        "name color number word town job hobby food drink book song favorite lucky code door age count phone password "
        "nickname plan appointment place keys trip team weekday visitor wish thing-color carry",
    )
)
"""What may be another one later."""


_BRITISH = {"color": "colour", "Color": "Colour", "favorite": "favourite", "Favorite": "Favourite"}


def typed(source: Source, text: str, keep: Sequence[str] = ()) -> str:
    """A user's text as people type it, all over the world."""
    if not re.search("color|favorite|'s", " ".join(keep)):
        if source.maybe(0.2):
            text = re.sub("[Cc]olor|[Ff]avorite", lambda m: _BRITISH[m[0]], text)
        elif source.maybe(0.05):
            text = text.replace("favorite", source.pick("fav", "fave"))
        if source.maybe(0.05):
            text = text.replace("'s ", "s ")
    return roughen(source, text, keep)


# --- turns ----------------------------------------------------------------------------------


def draw(source: Source, lexicon: Lexicon, name: str = "", kind: str = "", beside: Sequence[Fact] = ()) -> Fact:
    """A fact that can be told beside others; without a name any kind, the important ones more often."""
    for _ in range(200):
        which = name or source.pick(*(IMPORTANT if source.maybe(0.4) else sorted(told.forms())))
        one = told.fact(source, lexicon, which, kind)
        if not any(told.clash(one, other) for other in beside):
            return one
    raise Unmet(f"no {name or 'fact'} beside {len(beside)} others")


def draw_some(source: Source, lexicon: Lexicon, count: int, first: Sequence[Fact] = ()) -> list[Fact]:
    facts = list(first)
    while len(facts) < count:
        facts.append(draw(source, lexicon, beside=facts))
    return facts


def marked(user: str, model: str, *facts: Fact) -> Turn:
    """A turn whose answer holds values."""
    return Turn(user, model, tuple(part for one in facts for part in told.copied(one, model)))


def tell(source: Source, lexicon: Lexicon, one: Fact) -> Turn:
    """A fact is told, now and then in one message with something else."""
    if source.maybe(0.1):
        return _tell_beside(source, lexicon, one)
    if one.form.name in IMPORTANT and source.maybe(0.06):
        clause, kind = told.statement(source, one), source.pick("how", "help")
        user = frames()[f"tell{kind}"].say(source, s=clause, S=capital(clause))
        model = told.fill(source.pick(*frames()[f"{kind}answer"].templates.all), K=told.reaction(source, one))
        return marked(typed(source, user, one.keep), model, one)
    if source.maybe(0.08):
        clause = told.statement(source, one)
        user = frames()["saysure"].say(source, s=clause, S=capital(clause))
        return marked(typed(source, user, one.keep), told.put(source, "sure", one), one)
    return marked(typed(source, told.told(source, one), one.keep), told.reaction(source, one), one)


def _tell_beside(source: Source, lexicon: Lexicon, one: Fact) -> Turn:
    """A fact and something else, both of them answered."""
    aside = turns_between(source, lexicon, 1, [one])[0]
    first, second = typed(source, told.told(source, one), one.keep), told.reaction(source, one)
    if len(aside.user) > 120 or len(aside.model) > 200 or "\n" in aside.user + aside.model:
        return marked(first, second, one)
    ended = first if first.endswith((".", "!", "?")) else f"{first}."
    if source.maybe(0.75):
        return marked(f"{ended} {aside.user}", f"{second} {aside.model}", one)
    if not aside.model.endswith((".", "!", "?")):
        aside = Turn(aside.user, f"{aside.model}.")
    before = aside.user if aside.user.endswith((".", "!", "?")) else f"{aside.user}."
    return marked(f"{before} {first}", f"{aside.model} {second}", one)


def tell_together(source: Source, one: Fact, other: Fact) -> Turn:
    """Two facts in one message."""
    s1, s2 = told.statement(source, one), told.statement(source, other)
    user = frames()["joint"].say(source, s1=s1, s2=s2, S1=capital(s1), S2=capital(s2))
    listed = recited(source, [one, other])
    model = source.pick(*frames()["multiack"].templates.all)
    model = told.fill(model, l=listed, L=capital(listed))
    return marked(typed(source, user, one.keep + other.keep), model, one, other)


def tell_all(source: Source, lexicon: Lexicon, facts: Sequence[Fact]) -> list[Turn]:
    """All of them, one a message or two."""
    turns: list[Turn] = []
    rest = list(facts)
    while rest:
        if len(rest) > 1 and source.maybe(0.3):
            turns.append(tell_together(source, rest.pop(0), rest.pop(0)))
        else:
            turns.append(tell(source, lexicon, rest.pop(0)))
    return turns


def ask(source: Source, one: Fact) -> Turn:
    """It is asked for."""
    return marked(typed(source, told.asked(source, one), one.named), told.answer(source, one), one)


def recited(source: Source, facts: Sequence[Fact]) -> str:
    """All of them in one sentence, from inside of it."""
    clauses = [told.as_griff_says(source, one, plain=True)[0] for one in facts]
    if len(clauses) == 1:
        return clauses[0]
    return ", ".join(clauses[:-1]) + (" and " if len(clauses) == 2 else ", and ") + clauses[-1]


def expected(one: Fact, turns: Sequence[Turn], reject: Sequence[str] = ()) -> Case:
    """The case whose last turn asks for it."""
    return Case(tuple(turns), ((one.value.core,),), tuple(reject), about=one.value.about)


# --- conversations --------------------------------------------------------------------------


def case(source: Source, lexicon: Lexicon, what: str, between: int, kind: str = "") -> Case:
    """A recall of what ("name", "pet", "color", "number", "word", any kind of fact) after so many turns.

    Args:
        what: the kind of fact; "colour" is "color".
        between: how many turns stand between telling and asking.
        kind: of the value (common, rare, foreign or invented, of names), any without.
    """
    one = draw(source, lexicon, {"colour": "color"}.get(what, what), kind)
    first, last = tell(source, lexicon, one), ask(source, one)
    middle = turns_between(source, lexicon, between, [one], LONG - size([first, last]))
    while len(middle) < between:
        middle += turns_between(source, lexicon, between - len(middle), [one])
    return expected(one, [first, *middle, last])


def case_beyond(
    source: Source, lexicon: Lexicon, what: str, far: Callable[[Sequence[Turn]], bool], kind: str = ""
) -> Case:
    """The same, with as many turns between as `far` takes for enough."""
    one = draw(source, lexicon, what, kind)
    first, last = tell(source, lexicon, one), ask(source, one)
    middle: list[Turn] = []
    while not far(middle):
        middle += turns_between(source, lexicon, 5, [one])
    return expected(one, [first, *middle, last])


def recall(source: Source, lexicon: Lexicon, name: str = "") -> Case:
    """Some facts are told; after a while some are asked for, the last of them of this kind."""
    one = draw(source, lexicon, name)
    facts = draw_some(source, lexicon, source.pick(1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6), [one])
    others = facts[1:]
    source.chance.shuffle(facts)
    telling: list[Turn] = []
    for turn in tell_all(source, lexicon, facts):
        telling += [turn, *turns_between(source, lexicon, source.pick(0, 0, 0, 0, 1, 2), facts)]
    asking: list[Turn] = []
    for other in source.some(others, 0, len(others)):
        asking += [ask(source, other), *turns_between(source, lexicon, source.pick(0, 0, 0, 0, 1), facts)]
    if source.maybe(0.12):
        asking += [ask(source, one), *turns_between(source, lexicon, source.number(0, 6), facts)]
    if source.maybe(0.12):
        missing = draw(source, lexicon, beside=facts)
        asking.append(_ask_in_vain(source, missing))
    asking.append(ask(source, one))
    middle = some_between(source, lexicon, facts, telling, asking)
    turns = [*telling, *middle, *asking]
    if source.maybe(0.25):
        turns = [*turns_between(source, lexicon, source.number(1, 4), facts), *turns]
    return expected(one, turns)


def _ask_in_vain(source: Source, one: Fact) -> Turn:
    return Turn(typed(source, told.asked(source, one), one.named), told.never(source, one))


_TWO = (
    "person",
    "pet",
    "thing-color",
    "friend-color",
    "favorite",
    "code",
    "count",
    "place",
    "toy",
    "weekday",
    "present",
)


def pair(source: Source, lexicon: Lexicon) -> Case:
    """Two or three facts of one kind, for different people, animals or things."""
    name = source.pick("person", "person", "pet", "pet", *_TWO)
    facts: list[Fact] = []
    for _ in range(source.pick(2, 2, 2, 3)):
        facts.append(draw(source, lexicon, name, beside=facts))
    one = source.pick(*facts)
    others = [other for other in facts if other is not one]
    telling = tell_all(source, lexicon, facts) if source.maybe(0.5) else [tell_together(source, *facts[:2])]
    telling += [] if len(telling) > 1 else [tell(source, lexicon, other) for other in facts[2:]]
    asking = [ask(source, other) for other in source.some(others, 0, len(others))] + [ask(source, one)]
    middle = some_between(source, lexicon, facts, telling, asking)
    return expected(one, [*telling, *middle, *asking], [other.value.core for other in others])


def twins(source: Source, lexicon: Lexicon) -> Case:
    """Two animals of one kind."""
    one = draw(source, lexicon, "pet")
    other = told.fact(source, lexicon, "pet", pet=dict(one.fields)["pet"])
    while other.value.core.lower() in one.value.core.lower() or one.value.core.lower() in other.value.core.lower():
        other = told.fact(source, lexicon, "pet", pet=dict(one.fields)["pet"])
    known = {"pet": dict(one.fields)["pet"], "v": one.value.text, "u": other.value.text, "V": one.value.text}
    known["pets"] = plural(known["pet"])

    def model(name: str) -> str:
        return told.fill(source.pick(*frames()[name].templates.all), **known)

    keep = (one.value.text, other.value.text, known["pet"], known["pets"])
    first = marked(typed(source, frames()["twins"].say(source, **known), keep), model("twinsack"), one, other)
    if source.maybe(0.4):
        ends = marked(
            typed(source, frames()["twinsother"].say(source, **known), keep), model("twinsotheranswer"), other
        )
        accept: tuple[tuple[str, ...], ...] = ((other.value.core,),)
    else:
        ends = marked(typed(source, frames()["twinsask"].say(source, **known), keep), model("twinsanswer"), one, other)
        accept = ((one.value.core,), (other.value.core,))
    middle = some_between(source, lexicon, [one, other], [first, ends])
    return Case((first, *middle, ends), accept, about=one.value.about)


def again(source: Source, lexicon: Lexicon, before: Sequence[Fact], beside: Sequence[Fact] = ()) -> Fact:
    """The same fact with a value that none had before."""
    cores = [one.value.core.lower() for one in before]
    for _ in range(400):
        other = told.fact(source, lexicon, before[-1].form.name, **dict(before[-1].fields))
        new = other.value.core.lower()
        if not any(new in core or core in new for core in cores) and not any(told.clash(other, one) for one in beside):
            return other
    raise Unmet(f"no other value for {before[-1].form.name}")


def correction(source: Source, lexicon: Lexicon) -> Case:
    """A fact is set right, at once or many turns later; the last value is the right one."""
    late = source.maybe(0.5)
    name = source.pick(*IMPORTANT[:2], *IMPORTANT[3:]) if source.maybe(0.6) else source.pick(*sorted(CHANGING))
    old = draw(source, lexicon, name)
    others = draw_some(source, lexicon, source.pick(1, 1, 2, 3), [old])[1:]
    facts = [old, *others]
    source.chance.shuffle(facts)
    turns = (
        tell_all(source, lexicon, facts) if late else [*tell_all(source, lexicon, others), tell(source, lexicon, old)]
    )
    wrong, size = [old], source.pick(1, 1, 1, 1, 2)
    for _ in range(size):
        new = again(source, lexicon, wrong, others)
        if late:
            turns += turns_between(source, lexicon, source.number(0, 8), facts)
        if source.maybe(0.2):
            turns.append(ask(source, wrong[-1]))
        frame = "update" if late and name in CHANGING else "fix"
        clause = told.statement(source, new)
        user = frames()[frame].say(
            source, s=clause, S=capital(clause), v=new.told, V=capital(new.told), o=wrong[-1].told
        )
        model = told.put(source, "fixed", new, o=wrong[-1].value.text)
        turns.append(marked(typed(source, user, (*new.keep, wrong[-1].told, capital(wrong[-1].told))), model, new))
        wrong.append(new)
    asking = [ask(source, new)]
    middle = some_between(source, lexicon, [*wrong, *others], turns, asking)
    return expected(new, [*turns, *middle, *asking], [one.value.core for one in wrong[:-1]])


def in_vain(source: Source, lexicon: Lexicon) -> Case:
    """A fact is asked for that was not told; others were, often of the same kind."""
    one = draw(source, lexicon, "" if source.maybe(0.3) else source.pick(*IMPORTANT))
    facts: list[Fact] = []
    for _ in range(source.pick(0, 0, 1, 1, 1, 2, 2, 3, 4)):
        near = one.fields and source.maybe(0.5)
        facts.append(draw(source, lexicon, one.form.name if near else "", beside=[one, *facts]))
    turns = tell_all(source, lexicon, facts)
    asking = [ask(source, other) for other in source.some(facts, 0, 2)] if source.maybe(0.3) else []
    if source.maybe(0.15):
        clause = told.statement(source, one)
        user = frames()["check"].say(source, s=clause, S=capital(clause), v=one.told)
        asking.append(Turn(typed(source, user, one.keep), told.never(source, one)))
    else:
        asking.append(_ask_in_vain(source, one))
    middle = some_between(source, lexicon, [one, *facts], turns, asking)
    return Case((*turns, *middle, *asking), (tuple(told.NEVER),), about="never")


def told_late(source: Source, lexicon: Lexicon) -> Case:
    """A fact is asked for in vain, then told in two words, then asked for again."""
    one = draw(source, lexicon, source.pick(*IMPORTANT, "") if source.maybe(0.7) else "")
    others = draw_some(source, lexicon, source.pick(0, 0, 1, 2))
    others = [other for other in others if not told.clash(one, other)]
    turns = [
        *tell_all(source, lexicon, others),
        *turns_between(source, lexicon, source.pick(0, 0, 1, 3), [one, *others]),
    ]
    turns.append(_ask_in_vain(source, one))
    short = frames()["shortloose" if one.form.loose else "short"].say(source, v=one.told, V=capital(one.told))
    turns.append(marked(typed(source, short, one.keep), told.reaction(source, one), one))
    asking = [ask(source, one)]
    middle = some_between(source, lexicon, [one, *others], turns, asking)
    return expected(one, [*turns, *middle, *asking])
