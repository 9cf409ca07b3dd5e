"""Allergies and diets that people tell, of themselves or of somebody else, and whether they may eat a thing.

What has it in its name they may not; of anything else nobody here knows what is in it, and where nothing was told that is
said too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from . import asked, told, unknown
from .between import some_between
from .cases import Case, Kind, Turn, Unmet
from .clause_parts import ME, Who, somebody
from .lexicon import Lexicon
from .occasions import diet
from .orders import asking
from .recalls import draw_some, tell_all, typed
from .sentences import GROUP, gap
from .told import Fact, Form, overlap
from .values import Value
from .wording import Source, a, capital

_SAID = asking("told_diet_says")
_INSIDE: dict[str, str] = dict(text.split("=") for text in diet()["inside"].all)
_UNCOUNTED = frozenset(diet()["uncounted"].all)
_OTHERS: tuple[str, ...] = (
    *("cats", "dogs", "pollen", "dust", "horses", "bee stings", "latex", "feathers", "grass", "penicillin", "wool"),
    *("nickel", "mold", "rabbits", "perfume", "birch pollen", "wasp stings", "hamsters", "ragweed", "sunscreen"),
)
"""What one does not eat."""
_UNCOUNTED_DISHES = "hummus|porridge|ratatouille|jam|bread|pudding|lasagna|pasta|cream|rice|chutney|ramen|goulash|toast|mousse|sorbet|vegetables"
_OF_FOOD = r"\beat\b|rash|have|ill,|\bno\b|recipe|food|\{x\}"
_TO_EAT = "eat|food|plate|cook|waiter|menu|must not have|leave out"
"""Wordings that speak of what one eats."""


@dataclass(frozen=True)
class Eater:
    """The one who may not eat a thing."""

    who: Who

    def fields(self, source: Source, ref: str = "") -> dict[str, str]:
        """What stands for them in all texts. `ref`: how both call them, without one in any way."""
        if self.who is ME:
            found = {"s": "I", "w": "I am", "h": "I have", "m": "me", "p": "my", "is": "am", "do": "do", "es": ""}
            return found | {"g": "you are", "gs": "you", "me": "you"}
        griff = told.swapped(ref or source.pick(*self.who.refs))
        ref = ref or source.pick(*self.who.refs)
        found = {
            "s": ref,
            "w": f"{ref} is",
            "h": f"{ref} has",
            "m": ref,
            "p": f"{ref}'s",
            "is": "is",
            "do": "does",
            "es": "s",
        }
        return found | {"g": f"{griff} is", "gs": griff, "me": griff}


def _eater(source: Source, lexicon: Lexicon) -> Eater:
    return Eater(ME if source.maybe(0.65) else somebody(source, lexicon))


def _put(source: Source, name: str, **fields: str) -> str:
    """One of Griff's sentences."""
    template = source.pick(*_SAID[name].templates.all)
    if fields.get("v") in _UNCOUNTED:
        template = (
            template.replace("there are no {v}", "there is no {v}")
            .replace("there are {v}", "there is {v}")
            .replace("to them", "to it")
        )
    return asked.put(template, **fields)


def _say(source: Source, name: str, fields: dict[str, str], but: str = "") -> str:
    """What the user says. `but`: no template that has this in it.

    Raises:
        Unmet: this source may show none of them.
    """
    wordings = _SAID[name]
    pool = wordings.templates.held if source.held else wordings.templates.kept
    fit = [text for text in pool if not but or not re.search(but, text)]
    if not fit:
        raise Unmet(f"no {name} without {but}")
    template = source.pick(*fit)
    if fields["s"] != "I":
        template = template.replace("{s} get ", "{s} gets ").replace("{s} found", "we found")
    if fields.get("v") in _UNCOUNTED:
        template = template.replace("{V} make ", "{V} makes ").replace("are {v} bad", "is {v} bad")
    if fields.get("this") == "these":
        template = (
            template.replace("is {a_dish}", "are {a_dish}")
            .replace("take it", "take them")
            .replace("eat that", "eat them")
        )
    more = {"V": capital(fields.get("v", "")), "Diet": capital(fields.get("diet", ""))}
    given = {field: "{" + field + "}" for field in (*fields, *more)}
    return told.fill(wordings.fill(source, template, **given), **(fields | more))


def _turn(source: Source, user: str, model: str, values: tuple[str, ...], who: Who) -> Turn:
    keep = [text for value in (*values, *who.values) for text in (value, capital(value))]
    return asked.answered(typed(source, capital(user), keep), model, (*values, *who.values))


def _fact(value: str) -> Fact:
    form = Form("diet", "", True, r"\b(allerg\w*|eat|food|vegan|vegetarian|meat)\b", {})
    return Fact(form, Value.of(value, "allergen"), value)


def _dish(source: Source, inside: str) -> dict[str, str]:
    """The fields of a dish with that in its name."""
    return _dishes(f"{inside} {source.of(diet()['dish'])}")


def _dishes(name: str) -> dict[str, str]:
    """The fields of a dish: itself, "this" or "these" before it, and with its article."""
    uncounted = re.search(rf"({_UNCOUNTED_DISHES})$", name)
    many = name.endswith("s") and not uncounted
    return {"dish": name, "this": "these" if many else "this", "a_dish": name if many or uncounted else a(name)}


def allergic(source: Source, lexicon: Lexicon) -> Case:
    """An allergy is told; then: what was it, may one eat this, and is it that?"""
    one = _eater(source, lexicon)
    who, fields = one.who, one.fields(source, one.who.user)
    other_thing = source.maybe(0.12)
    value = source.pick(*_OTHERS) if other_thing else source.of(diet()["allergen"])
    inside = _INSIDE.get(value, value)
    fields |= {"v": value, "x": inside}
    facts = [f for f in draw_some(source, lexicon, source.pick(0, 0, 1, 2)) if _apart(f, who, value)]
    text = _say(source, "tell", fields, _OF_FOOD if other_thing else "")
    ack = _put(source, "ack", **fields)
    copied = (value,) if value in text else ()
    turns = [*tell_all(source, lexicon, facts), _turn(source, text, ack, copied, who)]
    source.chance.shuffle(turns)
    guard = [_fact(value), *facts]
    turns += gap(source, lexicon, guard, turns)
    fields = one.fields(source) | {"v": value, "x": inside}
    kind = "what" if other_thing else source.pick("what", "what", "no", "no", "no", "careful", "is", "is not")
    if kind == "what":
        ask = _say(source, "what", fields, _TO_EAT if other_thing else "")
        ends = _turn(source, ask, _put(source, "what_says", **fields), (value,), who)
        return Case((*turns, ends), ((value,),), about="what")
    if kind == "no":
        food = _dish(source, inside)
        ask = _say(source, "eat", fields | food)
        ends = _turn(source, ask, _put(source, "no", **fields), (value, inside, food["dish"]), who)
        return Case((*turns, ends), (("no", "not", "don't"), (value,)), ("yes",), about="no")
    wrong = source.of(diet()["allergen"])
    while overlap(_INSIDE[wrong], inside) or ((value in ("nuts", "shellfish", "fish", "wheat")) and wrong in _RELATED):
        wrong = source.of(diet()["allergen"])
    if kind == "careful":
        food = _dish(source, _INSIDE[wrong])
        ask = _say(source, "eat", fields | food)
        ends = _turn(source, ask, _put(source, "careful", **fields), (value, food["dish"]), who)
        return Case((*turns, ends), ((value,),), ("yes",), about="careful")
    shown = value if kind == "is" else wrong
    ask = _say(source, "is", fields | {"u": shown})
    if kind == "is":
        says = _put(source, "eat_no" if ask.lower().startswith("can ") else "is_yes", **fields, u=shown)
        return Case((*turns, _turn(source, ask, says, (value,), who)), ((value,),), about="is")
    says = _put(source, "is_not", **fields, u=shown)
    return Case((*turns, _turn(source, ask, says, (value, shown), who)), (unknown.ACCEPT,), ("yes",), about="is not")


_RELATED = frozenset(diet()["related"].all)
"""Perhaps the same allergy."""


def _apart(fact: Fact, who: Who, value: str) -> bool:
    texts = (value, who.accept or "I am", *who.topics)
    return fact.form.name not in ("food", "breakfast", "drink", "fear", "hobby") and not any(
        overlap(text, other) for text in texts if text for other in (fact.value.core, *fact.named)
    )


_DIETS = (
    ("vegetarian", "a vegetarian"),
    ("vegan", "a vegan"),
    ("a vegetarian", "a vegetarian"),
    ("a vegan", "a vegan"),
)


def vegetarian(source: Source, lexicon: Lexicon) -> Case:
    """No meat: is this all right?"""
    one = _eater(source, lexicon)
    who = one.who
    word, noun = source.pick(*_DIETS)
    fields = one.fields(source, who.user) | {"diet": word, "one": noun}
    turns = [_turn(source, _say(source, "veg", fields), _put(source, "veg_ack", **fields), (word,), who)]
    turns += gap(source, lexicon, [_fact("vegetarian"), _fact("vegan")], turns)
    fields = one.fields(source) | {"diet": word, "one": noun}
    core = word.removeprefix("a ")
    kind = source.pick("meat", "dish", "dish", "good", "what")
    if kind == "what":
        ends = _turn(source, _say(source, "veg_what", fields), _put(source, "veg_says", **fields), (word,), who)
        return Case((*turns, ends), ((core,),), about="what")
    if kind == "meat":
        ends = _turn(source, _say(source, "veg_meat", fields), _put(source, "veg_no", **fields), (word,), who)
        return Case((*turns, ends), (("no", "not"), (core,)), ("yes",), about="no")
    if kind == "good" and core == "vegetarian":
        name = source.of(diet()["meatless"])
        ask = _say(source, "eat", fields | _dishes(name))
        ends = _turn(source, ask, _put(source, "veg_yes", **fields), (word, name), who)
        return Case((*turns, ends), ((core,),), about="yes")
    name = f"{source.of(diet()['meat'])} {source.of(diet()['meaty'])}"
    ask = _say(source, "eat", fields | _dishes(name))
    ends = _turn(source, ask, _put(source, "veg_no", **fields), (word, name), who)
    return Case((*turns, ends), (("no", "not"), (core,)), ("yes",), about="no")


def unheard(source: Source, lexicon: Lexicon) -> Case:
    """Nothing was told of what one may not eat."""
    one = _eater(source, lexicon)
    facts = [f for f in draw_some(source, lexicon, source.pick(0, 1, 1, 2)) if _apart(f, one.who, "allergic")]
    turns = tell_all(source, lexicon, facts)
    turns += some_between(source, lexicon, [_fact("allergic"), *facts], turns) if source.maybe(0.3) else []
    fields = one.fields(source, one.who.user)
    if source.maybe(0.6):
        ask = _say(source, "eat", fields | _dish(source, _INSIDE[source.of(diet()["allergen"])]))
        model = _put(source, "unheard", **fields)
    else:
        ask = _say(source, "what", fields)
        model = source.pick("You did not tell me", "You have not told me", "I don't know: you have not told me")
        model += f" what {fields['g']} allergic to." if source.maybe(0.6) else " of any allergy."
    return Case((*turns, _turn(source, ask, model, (), one.who)), (unknown.ACCEPT,), ("yes",), about="never")


def among(source: Source, lexicon: Lexicon) -> Case:
    """Two or three of them, each with an allergy of their own: whose is which, and may this one eat that?"""
    eaters, values = _eaters(source, lexicon, source.pick(2, 2, 3))
    texts, turns = [], list[Turn]()
    for one, value in zip(eaters, values, strict=True):
        fields = one.fields(source, one.who.user) | {"v": value, "x": _INSIDE[value]}
        texts.append(_say(source, "tell", fields, r"\{x\}"))
        turns.append(_turn(source, texts[-1], _put(source, "ack", **fields), (value,), one.who))
    if source.maybe(0.6):
        text = " ".join(text if text[-1] in ".!?" else f"{text}." for text in map(capital, texts))
        keep = [each for one, value in zip(eaters, values, strict=True) for each in (value, *one.who.values)]
        turns = [Turn(typed(source, text, [form for each in keep for form in (each, capital(each))]), _both(source))]
    turns += gap(source, lexicon, [_fact(value) for value in values], turns)
    one, value = source.pick(*zip(eaters, values, strict=True))
    inside, fields = _INSIDE[value], one.fields(source) | {"v": value, "x": _INSIDE[value]}
    others = tuple(other for other in values if other != value)
    kind = source.pick("what", "what", "whose", "whose", "no", "careful")
    if kind == "what":
        ends = _turn(source, _say(source, "what", fields), _put(source, "what_says", **fields), (value,), one.who)
        return Case((*turns, ends), ((value,),), others, about="what")
    if kind == "whose":
        who = ("you",) if one.who is ME else (one.who.accept, *map(told.swapped, one.who.refs))
        reject = tuple(other.who.accept for other in eaters if other is not one and other.who is not ME)
        ends = _turn(source, _say(source, "whose", fields), _put(source, "whose_says", **fields), (value,), one.who)
        return Case((*turns, ends), (who,), reject, about="whose")
    food = _dish(source, inside if kind == "no" else _INSIDE[source.pick(*others)])
    ask = _say(source, "eat", fields | food)
    ends = _turn(source, ask, _put(source, kind, **fields), (value, inside, food["dish"]), one.who)
    accept = ((value,),) if kind == "careful" else (("no", "not", "don't"), (value,))
    return Case((*turns, ends), accept, ("yes",), about=kind)


def _both(source: Source) -> str:
    return source.pick(
        "I'll keep apart who must not eat what.",
        "Noted, all of it.",
        "That is important. I'll remember who is allergic to what.",
        "Thank you, I'll keep all of that in mind.",
        "I see. I'll remember each of them.",
    )


def _eaters(source: Source, lexicon: Lexicon, count: int) -> tuple[list[Eater], list[str]]:
    """So many, one of them perhaps the one who speaks, and what each of them must not eat."""
    eaters = [Eater(ME)] if source.maybe(0.4) else []
    for _ in range(100):
        who = somebody(source, lexicon)
        if len(eaters) < count and not any(_alike(who, one.who) for one in eaters):
            eaters.append(Eater(who))
    values: list[str] = []
    for _ in range(100):
        value = source.of(diet()["allergen"])
        loose = value in ("nuts", "shellfish", "fish", "wheat") or value in _RELATED
        if len(values) < count and not any(loose or overlap(_INSIDE[value], _INSIDE[other]) for other in values):
            values.append(value)
    if len(eaters) < count or len(values) < count:
        raise Unmet("people or allergies that are alike")
    source.chance.shuffle(eaters)
    return eaters, values


def _alike(one: Who, other: Who) -> bool:
    """Whether one of them is named within the other."""
    return other is not ME and any(
        overlap(a, b) for a in (one.accept, *one.topics) for b in (other.accept, *other.topics)
    )


KINDS: list[Kind] = [
    Kind("diet allergic", GROUP, allergic, 1.2, filler=False),
    Kind("diet vegetarian", GROUP, vegetarian, 0.4, filler=False),
    Kind("diet among", GROUP, among, 0.8, filler=False),
    Kind("diet unheard", GROUP, unheard, 0.3, filler=False),
]
