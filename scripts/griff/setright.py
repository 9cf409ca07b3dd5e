"""What was told is set right: in the same breath, in the next message or much later. Also what only is no longer so.

"My dog is Rex, no wait, Max." The last word counts. `recalls.correction` has the plain ones; here are more ways to say it,
sentences in which one part was wrong, and what was taken back without another in its place.
"""

from __future__ import annotations

import re
from dataclasses import replace

from . import asked, clauses, recalls, told, unknown
from .asked import Ask, Piece
from .cases import Case, Kind, Turn, Unmet
from .clause_parts import somebody
from .clauses import Sentence
from .lexicon import Lexicon
from .orders import asking
from .recalls import again, ask, draw, draw_some, marked, tell_all, typed
from .sentences import GROUP, gap, guards, judged
from .told import Fact
from .wording import Source, capital

_SAID = asking("told_right")
_ANEW = sorted(name.removeprefix("anew ") for name in _SAID if name.startswith("anew "))
_USED = sorted(name.removeprefix("used ") for name in _SAID if name.startswith("used "))
_OFTEN = (
    ("color",) * 6
    + ("pet",) * 4
    + ("favorite",) * 4
    + ("number", "word", "food", "drink", "song", "hobby", "lucky", "name")
)
"""What is now and then another one, so that both may stand in one sentence."""
_USUAL = ("name", "name", "pet", "pet", "person", "color", "number", "word", "favorite", "town", "age")


def _short(text: str) -> bool:
    """Whether it is the name of something, so that "it's" stands before it."""
    return "it's" not in text and "it is" not in text and "It's" not in text


def _say(source: Source, name: str, fields: dict[str, str], loose: bool = False, far: bool = False) -> str:
    """What the user says. `loose`: "it's" would be wrong; `far`: "it" would be, so much has been said between."""
    wordings = _SAID[name]
    for _ in range(100):
        template = source.of(wordings.templates)
        if not (loose and not _short(template)) and not (far and _UNSAID.search(template)):
            break
    return capital(wordings.fill(source, template, **fields))


_UNSAID = re.compile(r"\b(sold|gave|finished) it\b|that up|^(?!.*[{](o|s2|S2)[}])[^{]*[{]n[}]")
"""Does not say what it is about."""


def _fields(source: Source, old: Fact, new: Fact) -> dict[str, str]:
    first, second = told.statement(source, old), told.statement(source, new)
    return {
        "S": capital(first),
        "s2": second,
        "o": old.told,
        "v": new.told,
        "V": capital(new.told),
        "pet": dict(old.fields).get("pet", ""),
    }


def _keep(*facts: Fact) -> list[str]:
    return [text for one in facts for text in one.keep]


def _fixed(source: Source, old: Fact, new: Fact) -> str:
    return told.put(source, "fixed", new, o=old.value.text)


def _drawn(source: Source, lexicon: Lexicon) -> tuple[Fact, Fact, list[Fact]]:
    """A fact, the same set right, and others beside it."""
    old = draw(source, lexicon, source.pick(*_USUAL) if source.maybe(0.75) else source.pick(*sorted(told.forms())))
    others = draw_some(source, lexicon, source.pick(1, 1, 1, 2, 3), [old])[1:]
    return old, again(source, lexicon, [old], others), others


def breath(source: Source, lexicon: Lexicon) -> Case:
    """ "My dog is Rex, no wait, Max." """
    old, new, others = _drawn(source, lexicon)
    text = _say(source, "breath", _fields(source, old, new), old.form.loose)
    model = told.reaction(source, new) if source.maybe(0.4) else _fixed(source, old, new)
    first = marked(typed(source, text, _keep(old, new)), model, new)
    turns = [*tell_all(source, lexicon, others), first]
    source.chance.shuffle(turns)
    return _asked(source, lexicon, turns, old, new, others)


def later(source: Source, lexicon: Lexicon) -> Case:
    """ "Actually it's Max, not Rex." """
    old, new, others = _drawn(source, lexicon)
    if source.maybe(0.5):
        turns = [*tell_all(source, lexicon, others), recalls.tell(source, lexicon, old)]
        between = source.maybe(0.3)
    else:
        turns, between = tell_all(source, lexicon, [old, *others]), True
    if between:
        turns += gap(source, lexicon, [old, new, *others], turns)
    if between:
        # What "it" is must be said when something else was said last.
        text = told.frames()["update"].say(source, **_whole(source, old, new))
    else:
        text = _say(source, "later", _fields(source, old, new), old.form.loose)
    turns.append(marked(typed(source, text, _keep(old, new)), _fixed(source, old, new), new))
    return _asked(source, lexicon, turns, old, new, others)


def _whole(source: Source, old: Fact, new: Fact) -> dict[str, str]:
    clause = told.statement(source, new)
    return {"s": clause, "S": capital(clause), "o": old.told, "v": new.told}


def anew(source: Source, lexicon: Lexicon) -> Case:
    """Things have changed: a new boat, a new job, a new name. Now and then what was before is asked for."""
    name = source.pick(*_ANEW)
    old = draw(source, lexicon, name)
    others = draw_some(source, lexicon, source.pick(1, 1, 2, 3), [old])[1:]
    new = again(source, lexicon, [old], others)
    turns = tell_all(source, lexicon, [*others, old])
    middle = gap(source, lexicon, [old, new, *others], turns) if source.maybe(0.5) else []
    turns += middle
    fields = _fields(source, old, new)
    turns.append(
        marked(
            typed(source, _say(source, f"anew {name}", fields, far=bool(middle)), _keep(old, new)),
            _fixed(source, old, new),
            new,
        )
    )
    if source.maybe(0.15):
        turns += gap(source, lexicon, [old, new, *others], turns)
        return _before(source, turns, old, _noun(source, old))
    return _asked(source, lexicon, turns, old, new, others)


def _before(source: Source, turns: list[Turn], old: Fact, noun: str) -> Case:
    """What it was at first is asked for."""
    user = typed(source, _say(source, "before", {"n": noun}), old.named)
    says = source.pick(
        "Before, it was {v}.", "{V}.", "At first you told me: {v}.", "It was {v} before.", "First you said {v}."
    )
    last = marked(user, told.fill(says, v=old.value.text, V=capital(old.value.text)), old)
    return Case((*turns, last), ((old.value.core,),))


def used(source: Source, lexicon: Lexicon) -> Case:
    """ "My favorite color used to be red, but now it's green": what holds is what is so now."""
    name = source.pick(*_OFTEN) if source.maybe(0.6) else source.pick(*_USED)
    old = draw(source, lexicon, name)
    others = draw_some(source, lexicon, source.pick(1, 1, 1, 2, 3), [old])[1:]
    new = again(source, lexicon, [old], others)
    noun = _noun(source, old)
    fields = _fields(source, old, new) | {"n": noun}
    kind = f"used {name}" if name in _USED and source.maybe(0.5) else "used"
    if kind == "used" and (name in ("job", "town") or old.form.loose):
        kind = f"used {name}"
    text = typed(source, _say(source, kind, fields), _keep(old, new))
    first = marked(text, told.reaction(source, new) if source.maybe(0.4) else _fixed(source, old, new), new)
    turns = [*tell_all(source, lexicon, others), first]
    source.chance.shuffle(turns)
    chance = source.chance.random()
    if chance < 0.5:
        return _asked(source, lexicon, turns, old, new, others)
    turns += gap(source, lexicon, [old, new, *others], turns)
    if chance < 0.65:
        return _before(source, turns, old, noun)
    fields = {"n": noun, "o": old.value.text, "v": new.value.text, "V": capital(new.value.text)}
    if chance < 0.85:
        user = typed(source, _say(source, "now", fields), old.named)
        return recalls.expected(new, [*turns, marked(user, told.answer(source, new), new)], [old.value.core])
    user = typed(source, _say(source, "still", fields), _keep(old))
    model = told.fill(source.pick(*_SAID["still_not"].templates.all), **fields | {"y": told.swapped(noun)})
    return Case((*turns, marked(user, model, new)), (("no", "not"), (new.value.core,)), ("yes",), about="no longer")


def _asked(source: Source, lexicon: Lexicon, turns: list[Turn], old: Fact, new: Fact, others: list[Fact]) -> Case:
    asking_ = [ask(source, other) for other in source.some(others, 0, 1)]
    turns += gap(source, lexicon, [old, new, *others], turns)
    return recalls.expected(new, [*turns, *asking_, ask(source, new)], [old.value.core])


_NO_NOUN = re.compile(r"\b(you|your|again|said|told)\b|^as ")


def _noun(source: Source, one: Fact) -> str:
    """What is asked for, as a noun ("my name").

    Raises:
        Unmet: this source may show none.
    """
    pool = one.form.mine.held if source.held else one.form.mine.kept
    nouns = [text for text in pool if not told.is_clause(text) and not _NO_NOUN.search(text)]
    if not nouns:
        raise Unmet("no noun for it")
    return one.worded(source.pick(*nouns))


def taken_back(source: Source, lexicon: Lexicon) -> Case:
    """ "My name is not Bob": what it is nobody knows, until it is told."""
    old = draw(source, lexicon, source.pick("name", "name", "pet", "person", "color", "number", "word"))
    others = draw_some(source, lexicon, source.pick(1, 1, 2), [old])[1:]
    new = again(source, lexicon, [old], others)
    noun = _noun(source, old)
    turns = tell_all(source, lexicon, [*others, *([old] if source.maybe(0.75) else [])])
    turns += gap(source, lexicon, [old, new, *others], turns) if source.maybe(0.3) else []
    user = typed(source, _say(source, "not", {"n": noun, "o": old.told}), _keep(old))
    fields = {"y": told.swapped(noun), "o": old.value.text}
    turns.append(marked(user, told.fill(source.pick(*_SAID["not_ack"].templates.all), **fields), old))
    if source.maybe(0.5):
        short = told.frames()["shortloose" if new.form.loose else "short"].say(source, v=new.told, V=capital(new.told))
        turns.append(marked(typed(source, short, new.keep), told.reaction(source, new), new))
        return _asked(source, lexicon, turns, old, new, others)
    turns += gap(source, lexicon, [old, new, *others], turns) if source.maybe(0.5) else []
    model = told.fill(source.pick(*_SAID["not_known"].templates.all), **fields)
    ends = marked(typed(source, told.asked(source, old), old.named), model, old)
    return Case((*turns, ends), (unknown.ACCEPT, ("not",)), about="taken back")


# --- sentences --------------------------------------------------------------------------------


def _wrong_part(source: Source, lexicon: Lexicon) -> tuple[Sentence, Sentence, str, str, str]:
    """A sentence, the same set right, which part was wrong, and that part as it was said before and after."""
    for _ in range(100):
        one = clauses.sentence(source, lexicon)
        if one.who.third and one.verb.object != "none" and source.maybe(0.25):
            who = somebody(source, lexicon)
            other = replace(one, who=who)
            if not any(told.overlap(a, b) for a in (who.accept, who.user) for b in _texts(one)):
                return one, other, "who", one.who.user, who.user
        elif one.parts:
            other, old, new = clauses.changed(source, lexicon, one)
            if not any(told.overlap(a, b) for a in old.values for b in new.values):
                return one, other, old.name, old.text, new.text
    raise Unmet("nothing that could be wrong")


def _texts(one: Sentence) -> list[str]:
    return [one.who.accept, one.who.user, *(value for part in one.parts.values() for value in part.values)]


def part(source: Source, lexicon: Lexicon) -> Case:
    """One part of a sentence was wrong: in the same breath, or in a message behind it."""
    one, other, name, old, new = _wrong_part(source, lexicon)
    first, second = one.piece(source, lexicon), other.piece(source, lexicon)
    values = (*second.values, *first.values)
    fields = {
        "S": capital(first.said),
        "s2": second.said,
        "S2": capital(second.said),
        "o": old,
        "n": new,
    }
    griff = {"g": second.griff, "n": told.swapped(new), "o": told.swapped(old)}
    model = asked.put(source.pick(*_SAID["part_fixed"].templates.all), **griff)
    keep = [text for value in values for text in (value, capital(value))]
    if source.maybe(0.5):
        turns = [asked.answered(typed(source, _say(source, "part_breath", fields), keep), model, values)]
    else:
        turns = [asked.tell(source, first)]
        between = gap(source, lexicon, guards([first, second]), turns) if source.maybe(0.2) else []
        said = typed(source, _say(source, "part_later", fields, far=bool(between)), keep)
        turns += [*between, asked.answered(said, model, values)]
    middle = gap(source, lexicon, guards([first, second]), turns)
    wanted = source.pick(*(each for each in second.known if each.part == name or source.maybe(0.25)))
    reject = [each.accept[0] for each in first.known if each.part == name] if wanted.part == name else []
    asking_ = [_other(source, second, wanted)] if source.maybe(0.3) and len(second.known) > 1 else []
    return judged(
        [*turns, *middle, *asking_, asked.ask(source, second, wanted)], wanted, [text for text in reject if text]
    )


def _other(source: Source, piece: Piece, but: Ask) -> Turn:
    return asked.ask(source, piece, source.pick(*(each for each in piece.known if each is not but)))


KINDS: list[Kind] = [
    Kind("right breath", GROUP, breath, 1.6, filler=False),
    Kind("right later", GROUP, later, 1.2, filler=False),
    Kind("right anew", GROUP, anew, 0.7, filler=False),
    Kind("right used", GROUP, used, 1.2, filler=False),
    Kind("right taken back", GROUP, taken_back, 0.5, filler=False),
    Kind("right part", GROUP, part, 1.6, filler=False),
]
