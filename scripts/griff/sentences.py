"""Conversations in which sentences are told, with several things in each, and one of those things is asked for later.

Names, days, places and prices are told in passing; what a sentence does not hold was not told. `clauses.py` and
`occasions.py` make the sentences, `asked.py` words what is asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import asked, clause_parts, clauses, occasions, recalls, told, unknown
from .asked import Ask, Piece
from .between import some_between, turns_between
from .cases import Case, Kind, Turn, Unmet
from .lexicon import Lexicon
from .told import Fact
from .wording import Pool, Source, capital

GROUP = "sentences"
_CLOSE = re.compile(
    "bought|lost|found|drew|dream|plan|appointment|place|keys|trip|visitor|present|wish|carry|weekday|pet|person|town|origin|"
    "breakfast|friend-color|thing-color|language|instrument|book|age|job|school|street"
)
"""Facts that a sentence might be about."""
_GONE_BY = 0.55
"""How often something else stands between telling and asking."""


def piece(source: Source, lexicon: Lexicon) -> Piece:
    """Any sentence."""
    if source.maybe(0.5):
        return clauses.sentence(source, lexicon).piece(source, lexicon)
    return occasions.occasion(source, lexicon)


def some(source: Source, lexicon: Lexicon, count: int, first: Sequence[Piece] = ()) -> list[Piece]:
    """So many that can't be mixed up."""
    found = list(first)
    for _ in range(300):
        if len(found) >= count:
            return found
        one = piece(source, lexicon)
        if one.known and not any(asked.clash(one, other) for other in found):
            found.append(one)
    raise Unmet(f"no {count} sentences")


def facts_beside(source: Source, lexicon: Lexicon, count: int, pieces: Sequence[Piece]) -> list[Fact]:
    """Facts of other kinds, none of which has to do with the sentences."""
    found: list[Fact] = []
    values = [value for one in pieces for value in (*one.values, *one.topics)]
    for _ in range(60 * count):
        one = recalls.draw(source, lexicon, beside=found)
        texts = (one.value.core, *one.named)
        if not _CLOSE.fullmatch(one.form.name) and not any(
            told.overlap(text, value) for text in texts for value in values
        ):
            found.append(one)
        if len(found) == count:
            break
    return found


def guards(pieces: Sequence[Piece], facts: Sequence[Fact] = ()) -> list[Fact]:
    """What may not stand in turns between."""
    return [*facts, *(fact for one in pieces for all_ in (one, *one.then) for fact in all_.facts())]


def telling(source: Source, lexicon: Lexicon, pieces: Sequence[Piece]) -> list[Turn]:
    """All of them, one a message or two, some with something more about a thing."""
    turns: list[Turn] = []
    rest = list(pieces)
    while rest:
        one = rest.pop(0)
        if one.then and source.maybe(0.6):
            if source.maybe(0.5):
                turns.append(asked.tell_together(source, [one, *one.then]))
            else:
                turns += [asked.tell(source, one), *(asked.tell(source, then) for then in one.then)]
        elif rest and source.maybe(0.3):
            turns.append(asked.tell_together(source, [one, rest.pop(0)]))
        else:
            turns.append(asked.tell(source, one))
    return turns


def gap(source: Source, lexicon: Lexicon, guard: Sequence[Fact], *others: Sequence[Turn]) -> list[Turn]:
    """Turns about other things, often none."""
    return some_between(source, lexicon, guard, *others) if source.maybe(_GONE_BY) else []


def judged(turns: Sequence[Turn], one: Ask, reject: Sequence[str] = ()) -> Case:
    """The case whose last turn asks for that."""
    if not one.known:
        return Case(tuple(turns), (unknown.ACCEPT,), about="never")
    said = " ".join((*one.short, *one.whole))
    wrong = tuple(text for text in reject if not _in(text, said))
    return Case(tuple(turns), tuple((text,) for text in one.accept), wrong, about=one.part)


def _wanted(source: Source, one: Piece) -> Ask:
    """What is asked for, mostly something that was told."""
    return source.pick(*(one.missing if one.missing and (not one.known or source.maybe(0.22)) else one.known))


def recall(source: Source, lexicon: Lexicon) -> Case:
    """One sentence or a few; after a while some of what they hold is asked for."""
    pieces = some(source, lexicon, source.pick(1, 1, 1, 1, 2, 2, 2, 3, 3, 4))
    facts = facts_beside(source, lexicon, source.pick(0, 0, 0, 1, 1, 2), pieces)
    turns = recalls.tell_all(source, lexicon, facts)
    at = source.number(0, len(turns))
    turns[at:at] = telling(source, lexicon, pieces)
    guard = guards(pieces, facts)
    if source.maybe(0.15):
        turns = [*turns_between(source, lexicon, source.number(1, 3), guard), *turns]
    one = source.pick(*pieces)
    wanted = _wanted(source, one)
    asking: list[Turn] = []
    for other in source.some(pieces, 0, 2):
        asking.append(asked.ask(source, other, _wanted(source, other)))
    if facts and source.maybe(0.3):
        asking.append(recalls.ask(source, source.pick(*facts)))
    middle = gap(source, lexicon, guard, turns, asking)
    near = not middle and not asking and one is pieces[-1] and at == len(facts) and not one.then
    ends = asked.ask(source, one, wanted, near)
    return judged([*turns, *middle, *asking, ends], wanted)


def closely(source: Source, lexicon: Lexicon) -> Case:
    """One sentence, and several questions about it right behind: "And when?", "With whom?"."""
    (one,) = some(source, lexicon, 1)
    while len(one.asks) < 3:
        (one,) = some(source, lexicon, 1)
    turns = [asked.tell(source, one)]
    if source.maybe(0.35):
        turns += turns_between(source, lexicon, source.number(1, 3), guards([one]))
    wanted = source.some(one.known, 1, 2) + source.some(one.missing, 0, 1)
    source.chance.shuffle(wanted)
    for i, each in enumerate(wanted):
        turns.append(asked.ask(source, one, each, near=i > 0 or len(turns) == 1))
    return judged(turns, wanted[-1])


_OF_THINGS = clause_parts.verbs().part(
    [
        verb
        for verb in clause_parts.verbs().all
        if verb.object in ("thing", "gift", "made", "sell", "knit") and "p" in verb.tenses
    ]
)


def further(source: Source, lexicon: Lexicon) -> Case:
    """A thing, and then something about it: "It is red"."""
    for _ in range(100):
        one = clauses.sentence(source, lexicon, source.of(_OF_THINGS)).piece(source, lexicon)
        if one.then:
            break
    else:
        raise Unmet("nothing to tell more about")
    (then,) = one.then
    turns = [asked.tell(source, one), asked.tell(source, then)]
    if source.maybe(0.4):
        turns = [asked.tell_together(source, [one, then])]
    middle = gap(source, lexicon, guards([one]), turns)
    asking = [asked.ask(source, one, _wanted(source, one))] if source.maybe(0.4) else []
    (wanted,) = then.asks
    return judged([*turns, *middle, *asking, asked.ask(source, then, wanted)], wanted)


def same(source: Source, lexicon: Lexicon) -> Case:
    """Several people do the same with something else each: whose is asked for?"""
    for _ in range(100):
        verb = source.of(clause_parts.verbs())
        if verb.object != "none" and verb.base not in ("steal", "join", "wait"):
            break
    first = clauses.sentence(source, lexicon, verb, clause_parts.somebody(source, lexicon))
    found, pieces = [first], [first.piece(source, lexicon)]
    wanted = source.pick(2, 2, 2, 3)
    for _ in range(60):
        mine = source.maybe(0.3) and clause_parts.ME not in [one.who for one in found]
        who = clause_parts.ME if mine else clause_parts.somebody(source, lexicon)
        other = clauses.sentence(source, lexicon, verb, who, first)
        piece_ = other.piece(source, lexicon)
        if not any(asked.clash(piece_, one) for one in pieces):
            found.append(other)
            pieces.append(piece_)
        if len(found) == wanted:
            break
    else:
        raise Unmet("nobody does the same")
    turns = [asked.tell_together(source, pieces)] if source.maybe(0.6) else [asked.tell(source, one) for one in pieces]
    middle = gap(source, lexicon, guards(pieces), turns)
    one = source.pick(*pieces)
    ask = source.pick(*one.known)
    reject = [
        text
        for other in pieces
        if other is not one
        for each in other.known
        if each.part == ask.part
        for text in each.accept
    ]
    asking = [asked.ask(source, other, source.pick(*other.known)) for other in source.some(pieces, 0, 1)]
    return judged([*turns, *middle, *asking, asked.ask(source, one, ask)], ask, reject)


# --- all of it --------------------------------------------------------------------------------

_ALL = (
    "what did I tell you about {x}?",
    "what do you know about {x}?",
    "what did I say about {x}?",
    "what about {x}?",
    "tell me what you know about {x}.",
    "do you remember anything about {x}?",
    "say again what I told you about {x}.",
    "what was it with {x}?",
    "is there anything that you remember about {x}?",
    "did I say anything about {x}?",
    "can you sum up what I said about {x}?",
    "repeat what I told you about {x}.",
    "what have I told you about {x} so far?",
    "I said something about {x}. What was it?",
    "remind me what I said about {x}.",
    "what do you still know about {x}?",
    "do you still know what I said about {x}?",
    "I forgot what I told you about {x}.",
    "who was {x} again, and what did I say?",
    "what have you kept in mind about {x}?",
    "everything about {x}, please.",
    "{x}: what do you know?",
    "{x}? What did I say there?",
    "what can you tell me about {x}?",
    "let me hear what you know about {x}.",
    "what was the story with {x}?",
    "when I spoke of {x}, what did I say?",
    "give me all that I said about {x}.",
    "what is it that you know of {x}?",
    "have I told you about {x}? What?",
    "I want to see what you remember of {x}.",
    "does {x} ring a bell? What did I say?",
    "you know {x}, don't you? What did I say?",
    "tell me again about {x}.",
)
ALL_SAID = (
    "You told me that {g}.",
    "You said that {g}.",
    "{G}.",
    "I remember that {g}.",
    "This is what I know: {g}.",
    "You told me: {g}.",
)
_UNHEARD = (
    "You have not told me anything about {x}.",
    "Nothing yet: you did not tell me anything about {x}.",
    "I know nothing about {x}, because you have not told me anything.",
    "You haven't told me about {x} so far.",
    "You did not tell me about {x}. Who or what is it?",
    "I looked back: you have not told me anything about {x}.",
    "About {x} you have not told me a thing.",
)
ALL_OF = Pool(_ALL)


def about(source: Source, lexicon: Lexicon) -> Case:
    """What was told about somebody: the whole sentence again, or nothing was."""
    for _ in range(200):
        pieces = some(source, lexicon, source.pick(1, 2, 2, 3))
        one = pieces[0]
        named = [name for name, _ in one.people]
        if named and one.griff and len(one.griff) < 110:
            break
    else:
        raise Unmet("nobody to be asked about")
    source.chance.shuffle(pieces)
    turns = telling(source, lexicon, pieces)
    middle = gap(source, lexicon, guards(pieces), turns)
    if source.maybe(0.25):
        who = lexicon.name(source)[0]
        while any(told.overlap(who, value) for other in pieces for value in other.values):
            who = lexicon.name(source)[0]
        user, model = source.of(ALL_OF).replace("{x}", who), asked.put(source.pick(*_UNHEARD), x=who)
        ends = Turn(recalls.typed(source, capital(user), [who]), model, (who,))
        return Case((*turns, *middle, ends), ((*unknown.ACCEPT, "nothing"),), about="never")
    user = source.of(ALL_OF).replace("{x}", source.pick(*named))
    ends = asked.answered(
        recalls.typed(source, capital(user), one.keep), asked.put(source.pick(*ALL_SAID), g=one.griff), one.values
    )
    accept = tuple(
        (text,) for text in dict.fromkeys(t for each in one.known for t in each.accept) if _in(text, ends.model)
    )
    return Case((*turns, *middle, ends), accept, about="all of it")


def _in(text: str, whole: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(text.lower())}(?!\w)", whole.lower()))


KINDS: list[Kind] = [
    Kind("sentence", GROUP, recall, 6.0, filler=False),
    Kind("sentence closely", GROUP, closely, 2.5, filler=False),
    Kind("sentence further", GROUP, further, 1.0, filler=False),
    Kind("sentence same", GROUP, same, 1.5, filler=False),
    Kind("sentence about", GROUP, about, 0.8, filler=False),
]
