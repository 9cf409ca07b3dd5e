"""Parts of a code that was told: its last digits, its first, how many; and whether it is this one, and what this one is for."""

from __future__ import annotations

from . import told
from .cases import Case, Kind, Turn
from .codes import ask, code, letters, marked, put, tell
from .lexicon import Lexicon
from .recalls import typed
from .sentences import GROUP, gap
from .wording import Pool, Source, capital

_COUNTS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}
_PARTS: dict[str, Pool[str]] = {
    name: Pool(texts)
    for name, texts in {
        "last": [
            "what were the last {k} digits of {n}?",
            "what are the last {k} digits of {n}?",
            "the last {k} digits of {n}?",
            "tell me the last {k} digits of {n}.",
            "how does {n} end? The last {k} digits, please.",
            "I only need the last {k} digits of {n}.",
            "which {k} digits come last in {n}?",
            "do you remember the last {k} digits of {n}?",
            "give me the last {k} numbers of {n}.",
        ],
        "first": [
            "what were the first {k} digits of {n}?",
            "what are the first {k} digits of {n}?",
            "the first {k} digits of {n}?",
            "tell me the first {k} digits of {n}.",
            "how does {n} begin? The first {k} digits, please.",
            "which {k} digits come first in {n}?",
            "I only need the first {k} digits of {n}.",
            "do you remember the first {k} digits of {n}?",
        ],
        "one last": [
            "what is the last digit of {n}?",
            "what was the last digit of {n}?",
            "which digit comes last in {n}?",
            "with which digit does {n} end?",
            "tell me only the last digit of {n}.",
        ],
        "one first": [
            "what is the first digit of {n}?",
            "what was the first digit of {n}?",
            "which digit comes first in {n}?",
            "with which digit does {n} begin?",
            "tell me only the first digit of {n}.",
        ],
        "many": [
            "how many digits does {n} have?",
            "how many digits are in {n}?",
            "how long is {n}, in digits?",
            "count the digits of {n}.",
        ],
        "each": [
            "say {n} digit by digit.",
            "tell me {n} one digit at a time.",
            "read {n} to me digit by digit.",
            "can you say {n} slowly, digit by digit?",
            "spell out {n}, digit by digit.",
        ],
    }.items()
}
_PART_SAYS = {
    "last": ("{p}.", "The last {k} digits are {p}.", "It ends in {p}.", "{p}. {G} is {v}."),
    "first": ("{p}.", "The first {k} digits are {p}.", "It begins with {p}.", "{p}. {G} is {v}."),
    "one last": ("{p}.", "The last digit is {p}.", "It ends in {p}.", "{p}. {G} is {v}."),
    "one first": ("{p}.", "The first digit is {p}.", "It begins with {p}.", "{p}. {G} is {v}."),
    "many": ("{p}.", "It has {p} digits.", "{G} has {p} digits."),
    "each": ("{p}.", "{p}. That is {v}.", "Here it is: {p}."),
}


def part(source: Source, lexicon: Lexicon) -> Case:
    """The last two digits, the first, how many, one by one."""
    while True:
        one = code(source, lexicon)
        if one.shape in ("pin", "phone") and 3 <= len(one.digits) <= 8 and (one.text.isdigit() or one.shape == "phone"):
            break
    turns = [tell(source, one)]
    turns += gap(source, lexicon, one.facts(), turns)
    if source.maybe(0.4):
        turns.append(ask(source, one))
    kind = source.pick("last", "last", "last", "first", "first", "one last", "one first", "many", "each")
    count = source.pick(*(k for k in (2, 2, 3, 4) if k < len(one.digits)))
    digits = one.digits
    found = {
        "last": digits[-count:],
        "first": digits[:count],
        "one last": digits[-1],
        "one first": digits[0],
        "many": _COUNTS[len(digits)],
        "each": ", ".join(digits),
    }[kind]
    name = (
        source.pick(one.called(source), one.called(source), "it")
        if len(turns) in (1, 2) and turns[-1].copied
        else one.called(source)
    )
    word = source.pick(_COUNTS[count], _COUNTS[count], str(count))
    user = capital(source.of(_PARTS[kind]).replace("{n}", name).replace("{k}", word))
    model = put(source.pick(*_PART_SAYS[kind]), one, one.griff(source), p=found, k=_COUNTS[count])
    turn = Turn(
        typed(source, user), capital(model), tuple(t for t in (one.text, found) if t in model and t in one.text)
    )
    return Case((*turns, turn), ((found, str(len(digits))) if kind == "many" else (found,),), about=kind)


_CHECK = Pool(
    [
        "is {n} {w}?",
        "{n} is {w}, right?",
        "was {n} {w}?",
        "am I right that {n} is {w}?",
        "I think {n} is {w}. Is it?",
        "is {w} right for {n}?",
        "{w}, is that {n}?",
        "I typed {w} for {n}. Was that right?",
    ]
)
_FOR = Pool(
    [
        "what is {v} for?",
        "what was {v}?",
        "what did I say {v} is?",
        "{v} - what is that?",
        "I found a note that says {v}. What is it?",
        "what does {v} open or mean?",
        "where does {v} belong?",
    ]
)


def _slip(source: Source, text: str) -> str:
    """Nearly the same: two characters changed places, or one is another."""
    for _ in range(100):
        at = source.number(0, len(text) - 2)
        if source.maybe(0.5):
            new = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        else:
            new = text[:at] + (str(source.number(0, 9)) if text[at].isdigit() else letters(source, 1)) + text[at + 1 :]
        if new != text:
            return new
    return text + "0"


def checked(source: Source, lexicon: Lexicon) -> Case:
    """Is it this one? And what is this one for?"""
    one = code(source, lexicon)
    beside = [code(source, lexicon, [one])] if source.maybe(0.5) else []
    found = [one, *beside]
    source.chance.shuffle(found)
    turns = [tell(source, each) for each in found]
    turns += gap(source, lexicon, [fact for each in found for fact in each.facts()], turns)
    if source.maybe(0.3):
        user, name = source.of(_FOR).replace("{v}", one.text), one.griff(source)
        model = put(source.pick("It is {g}.", "{v} is {g}.", "You told me that {v} is {g}.", "That is {g}."), one, name)
        return Case(
            (*turns, marked(source, user, model, one)), (tuple(told.swapped(n) for n in one.names),), about="what for"
        )
    yes = source.maybe(0.5)
    shown = one.text if yes else _slip(source, one.text)
    user = capital(source.of(_CHECK).replace("{n}", one.called(source)).replace("{w}", shown))
    says = (
        ("Yes, {g} is {v}.", "Yes, it is {v}.", "Right: {v}.")
        if yes
        else ("No, {g} is {v}.", "No, it is {v}.", "Not quite: it is {v}.")
    )
    model = put(source.pick(*says), one, one.griff(source))
    turn = Turn(typed(source, user, [shown]), model, (one.text,))
    accept: tuple[tuple[str, ...], ...] = (("yes", "right"),) if yes else (("no", "not"), (one.text,))
    return Case((*turns, turn), accept, ("no", "not") if yes else ("yes",), about="yes" if yes else "no")


KINDS: list[Kind] = [
    Kind("codes part", GROUP, part, 0.9, filler=False),
    Kind("codes checked", GROUP, checked, 0.6, filler=False),
]
