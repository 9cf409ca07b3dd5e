"""Copying out of earlier turns: "once more", "now backwards", "what did I just say?", and games of echo."""

from __future__ import annotations

from collections.abc import Callable

from .cases import Case, Kind, Turn
from .copying_letters import spellable, spelled
from .copying_lists import nth, reverse, sort, which
from .copying_parts import (
    ORDER,
    SHORT_ORDER,
    TIMES,
    Listing,
    ask,
    exactly,
    listing,
    piece,
    quoted,
    sentence,
    word,
)
from .lexicon import Lexicon
from .wording import Source

# --- something to come back to ----------------------------------------------------------------


def _piece_turn(source: Source, lexicon: Lexicon, letters: bool = False) -> tuple[Turn, str]:
    """A turn that says one piece, and the piece."""
    one = spellable(source, lexicon, high=12) if letters else piece(source, lexicon)
    user = ask(source, "say", [one.text], x=quoted(source, one.text), item=one.noun)
    return Turn(user, one.text, (one.text,)), one.text


def _sentence_turn(source: Source, lexicon: Lexicon) -> tuple[Turn, str]:
    text = sentence(source, lexicon)
    return Turn(ask(source, "repeat", [text], s=text), text, (text,)), text


def _list_turn(source: Source, lexicon: Lexicon) -> tuple[Turn, Listing]:
    row = listing(source, lexicon, 3, 7)
    return Turn(ask(source, "listing", [row.text], l=row.text, words=row.nouns), row.text, (row.text,)), row


def _then(before: Turn, user: str, answer: str, about: str, cased: bool = False) -> Case:
    last = exactly(user, answer, about, cased)
    return Case((before, *last.turns), exact=answer, cased=cased, about=about)


def again(source: Source, lexicon: Lexicon) -> Case:
    make: Callable[[Source, Lexicon], Case] = source.pick(nth, reverse, sort, which)
    before = source.pick(
        lambda: _piece_turn(source, lexicon)[0],
        lambda: _sentence_turn(source, lexicon)[0],
        lambda: _list_turn(source, lexicon)[0],
        lambda: make(source, lexicon).turns[-1],
        lambda: _told(source, lexicon),
    )()
    case = _then(before, ask(source, "again", ()), before.model, "again")
    if source.maybe(0.2):
        more = exactly(ask(source, "again", ()), before.model)
        case = Case((*case.turns, *more.turns), exact=before.model, about="again")
    return case


def louder(source: Source, lexicon: Lexicon) -> Case:
    before, text = _sentence_turn(source, lexicon) if source.maybe(0.3) else _piece_turn(source, lexicon)
    if not any(map(str.isalpha, text)):
        before, text = _piece_turn(source, lexicon, letters=True)
    return _then(before, ask(source, "louder", ()), text.upper(), "louder", cased=True)


def softer(source: Source, lexicon: Lexicon) -> Case:
    before, text = _piece_turn(source, lexicon, letters=True)
    loud = exactly(ask(source, "upper", [text], x=quoted(source, text)), text.upper()).turns[-1]
    return _then(loud if source.maybe(0.7) else before, ask(source, "softer", ()), text.lower(), "softer", cased=True)


def backwards(source: Source, lexicon: Lexicon) -> Case:
    before, row = _list_turn(source, lexicon)
    return _then(before, ask(source, "backwards", ()), ", ".join(row.items[::-1]), "backwards")


def pick_one(source: Source, lexicon: Lexicon) -> Case:
    before, row = _list_turn(source, lexicon)
    at = source.number(0, len(row.items) - 1)
    last = at == len(row.items) - 1 and source.maybe(0.7)
    order = "last" if last else source.pick(ORDER[at], ORDER[at], SHORT_ORDER[at])
    case = _then(before, ask(source, "pickone", (), o=order, d=at + 1), row.items[at], "the second one")
    if source.maybe(0.4):
        other = source.number(0, len(row.items) - 1)
        more = exactly(ask(source, "pickone", (), o=ORDER[other], d=other + 1), row.items[other])
        case = Case((*case.turns, *more.turns), exact=row.items[other], about="the second one")
    return case


def spell_it(source: Source, lexicon: Lexicon) -> Case:
    before, text = _piece_turn(source, lexicon, letters=True)
    return _then(before, ask(source, "spellit", ()), spelled(text), "spell it")


def several_times(source: Source, lexicon: Lexicon) -> Case:
    before, text = _piece_turn(source, lexicon)
    n = source.number(2, 4)
    # Half of the wordings say "twice" themselves.
    user = ask(source, "manytimes", (), n=source.pick(*TIMES[n])) if n > 2 else ask(source, "twice", ())
    return _then(before, user, ", ".join([text] * n), "several times")


# --- games ------------------------------------------------------------------------------------

_READY = (
    "All right! Go on.",
    "Gladly. You begin.",
    "Good, I am ready.",
    "Fine, I am listening.",
    "With pleasure. Your turn!",
    "Yes, let's do that. You begin.",
    "Sure, go ahead.",
    "My beak is ready. Go on!",
)


def _game(name: str, make: Callable[[Source, Lexicon], tuple[str, str]], cased: bool = False) -> Callable[..., Case]:
    def play(source: Source, lexicon: Lexicon) -> Case:
        turns = [Turn(ask(source, name, ()), source.pick(*_READY))]
        for _ in range(source.pick(1, 1, 2, 2, 3, 4)):
            user, answer = make(source, lexicon)
            turns.append(Turn(user, answer, (answer,)))
        return Case(tuple(turns), exact=turns[-1].model, cased=cased, about=name)

    return play


def _echo(source: Source, lexicon: Lexicon) -> tuple[str, str]:
    text = sentence(source, lexicon) if source.maybe(0.3) else piece(source, lexicon).text
    return text, text


def _letters(source: Source, lexicon: Lexicon) -> tuple[str, str]:
    text = spellable(source, lexicon, high=12).text
    return text, spelled(text)


def _capitals(source: Source, lexicon: Lexicon) -> tuple[str, str]:
    text = word(source, lexicon).text if source.maybe(0.7) else sentence(source, lexicon)
    return text, text.upper()


def _turned(source: Source, lexicon: Lexicon) -> tuple[str, str]:
    row = listing(source, lexicon, 2, 5)
    return row.text, ", ".join(row.items[::-1])


# --- what was said ----------------------------------------------------------------------------

_ACKNOWLEDGED = (
    "Thank you for telling me.",
    "I see.",
    "All right.",
    "I understand.",
    "Oh, I did not know that.",
    "Thanks for sharing that with me.",
    "Go on, if you like.",
    "I am listening.",
    "My feathers are all ears.",
    "Okay, I take note of that.",
    "Tell me more, if you like.",
    "I hear you.",
    "Well, that is something.",
)
_UNKNOWN = (
    "I don't know that.",
    "I have no idea, sorry.",
    "That is more than I know.",
    "I can't know that, I am afraid.",
    "Sorry, I don't know.",
    "No idea. I am a small griffin.",
    "That one I can't answer.",
)


def _told(source: Source, lexicon: Lexicon) -> Turn:
    """A statement, which is acknowledged; never a question, which is not."""
    while '"' in (text := source.of(lexicon.statements)):
        pass
    return Turn(text, source.pick(*_ACKNOWLEDGED))


def _done(source: Source, lexicon: Lexicon) -> Turn:
    return source.pick(
        lambda: _piece_turn(source, lexicon)[0],
        lambda: _list_turn(source, lexicon)[0],
        lambda: source.pick(nth, reverse, sort, which)(source, lexicon).turns[-1],
    )()


def _questioned(source: Source, lexicon: Lexicon) -> Turn:
    """A question and its answer."""
    while True:
        if source.maybe(0.6):
            text = source.of(lexicon.sentences)
            if not any(own in f" {text.lower()} " for own in (" you", " your", '"')):
                turn = Turn(text, source.pick(*_UNKNOWN))
            else:
                continue
        else:
            turn = source.pick(nth, which)(source, lexicon).turns[-1]
        if turn.user.endswith("?") and '"' not in turn.user:
            return turn


def _talk(source: Source, lexicon: Lexicon, low: int, high: int) -> list[Turn]:
    """Turns before what is asked for."""
    makes = (_told, _told, _done, _questioned)
    return [source.pick(*makes)(source, lexicon) for _ in range(source.number(low, high))]


def _clean(make: Callable[[Source, Lexicon], Turn], source: Source, lexicon: Lexicon) -> Turn:
    while True:
        turn = make(source, lexicon)
        if '"' not in turn.user + turn.model and len(turn.user) < 110 and len(turn.model) < 110:
            return turn


def _quote(turns: list[Turn], user: str, who: str, text: str, about: str) -> Case:
    answer = f'{who}: "{text}"'
    return Case((*turns, Turn(user, answer, (text,))), accept=((text.rstrip(".?!"),),), about=about)


def said(source: Source, lexicon: Lexicon) -> Case:
    turns = [*_talk(source, lexicon, 0, 3), _clean(source.pick(_told, _told, _done), source, lexicon)]
    return _quote(turns, ask(source, "said", ()), "You said", turns[-1].user, "last thing said")


def asked(source: Source, lexicon: Lexicon) -> Case:
    turns = [*_talk(source, lexicon, 0, 3), _clean(_questioned, source, lexicon)]
    return _quote(turns, ask(source, "asked", ()), "You asked", turns[-1].user, "last question")


def answered(source: Source, lexicon: Lexicon) -> Case:
    turns = [*_talk(source, lexicon, 0, 3), _clean(source.pick(_told, _done, _questioned), source, lexicon)]
    return _quote(turns, ask(source, "answered", ()), "I said", turns[-1].model, "last answer")


def first_said(source: Source, lexicon: Lexicon) -> Case:
    turns = [_clean(source.pick(_told, _told, _done, _questioned), source, lexicon), *_talk(source, lexicon, 1, 5)]
    return _quote(turns, ask(source, "firstsaid", ()), "You said", turns[0].user, "first thing said")


def before_last(source: Source, lexicon: Lexicon) -> Case:
    turns = [*_talk(source, lexicon, 0, 2), *(_clean(_told, source, lexicon) for _ in range(2))]
    return _quote(turns, ask(source, "beforelast", ()), "You said", turns[-2].user, "before the last")


def _kind(name: str, make: Callable[[Source, Lexicon], Case], weight: float) -> Kind:
    return Kind(name, "copying", make, weight, filler=False)


KINDS: list[Kind] = [
    _kind("again", again, 1.5),
    _kind("louder", louder, 1),
    _kind("softer", softer, 0.5),
    _kind("backwards", backwards, 1),
    _kind("the second one", pick_one, 1),
    _kind("spell it", spell_it, 1.5),
    _kind("now several times", several_times, 0.7),
    _kind("echo game", _game("echogame", _echo), 1),
    _kind("spelling game", _game("spellgame", _letters), 1),
    _kind("capitals game", _game("capsgame", _capitals, cased=True), 0.5),
    _kind("backwards game", _game("backgame", _turned), 0.5),
    _kind("what I said", said, 1.5),
    _kind("what I asked", asked, 1),
    _kind("what you answered", answered, 1),
    _kind("what I said first", first_said, 0.7),
    _kind("what I said before", before_last, 0.4),
]
