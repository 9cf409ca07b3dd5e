"""Small talk: greetings, moods, favorites, short replies, what people tell of their day, and short talks of several turns."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from .cases import Case, Kind, Turn, after, one
from .corpus import MissingText
from .lexicon import Lexicon, table
from .phrases import FACTS, GIVE, Block, blocks, rough, told, wordings
from .wording import Pool, Source, Wordings, a, capital

TALK = {block.name: block for block in blocks("talk")}
TOLD = blocks("talk_told")
OFFERS = blocks("talk_offers")
CHATS = blocks("talk_chats")
WORDS: dict[str, Pool[str]] = {row[0]: Pool(row[1].split("|")) for row in table("talk_words")}
_BY_OTHERS = "personality_chat_full"
_MAX_BY_OTHERS = 60  # characters
_UNFIT = re.compile(
    r"editorial|\b(sex\w*|hell|kill\w*|die|dying|dead|death|suicid\w*|shit\w*|fuck\w*|damn|ass|bitch|pot|drug\w*|drunk|naked|"
    r"hot|hotter|football|superbowl|hate|jerk|slave|enslave|moron|retard\w*|fat|beer|overdose|vote|voting|elect\w*|president|trump|biden|"
    r"harris|obama|clinton|poop\w*|pee|vomit|throw up|fart\w*|burp|pissed|wtf|calories|church|vegan)\b",
    re.I,
)
_TRIES = 200
_MARK = re.compile("\ue000(\\w+)\ue001")
"""Stands for a word until the text around it is rough."""


# --- what is said -------------------------------------------------------------------------


@functools.cache
def _asked(name: str) -> Wordings:
    return wordings(TALK[name].said, give=GIVE)


@functools.lru_cache(maxsize=200)
def _by_others(lexicon: Lexicon, group: str) -> Pool[str] | None:
    """Wordings of one group that people wrote; None where that text is missing."""
    try:
        rows = lexicon.corpus.rows(_BY_OTHERS)
    except MissingText:
        return None
    texts = sorted({row["turns"][0].strip() for row in rows if row["intent"] == group})
    fit = [t for t in texts if t.isascii() and 1 < len(t) <= _MAX_BY_OTHERS and not _UNFIT.search(t)]
    return Pool(fit) if len(fit) >= 5 else None


def _say(source: Source, lexicon: Lexicon, name: str) -> str:
    """What a user says in a block of small talk."""
    group = TALK[name].marks.get("corpus", "")
    if group and source.maybe(0.3) and (pool := _by_others(lexicon, group)) is not None:
        return rough(source, source.of(pool))
    return rough(source, _asked(name).say(source))


def _turn(source: Source, lexicon: Lexicon, name: str) -> Turn:
    return Turn(_say(source, lexicon, name), told(source, source.pick(*TALK[name].answers), FACTS))


def _small(source: Source, lexicon: Lexicon, name: str) -> Case:
    turn = _turn(source, lexicon, name)
    accept = tuple(tuple(one.format_map(FACTS) for one in group) for group in TALK[name].accept())
    return Case((turn,), accept)


def small(source: Source, lexicon: Lexicon) -> Case:
    """One thing said, and an answer."""
    return _small(source, lexicon, source.pick(*_SMALL))


def favorite(source: Source, lexicon: Lexicon) -> Case:
    """A favorite of Griff, always the same."""
    return _small(source, lexicon, source.pick(*_FAVORITES))


# --- following up -------------------------------------------------------------------------

_WHY = wordings(
    [
        "why[end]",
        "(why|how) (is that|so)[end]",
        "why (that one|that of all things|exactly that)[end]",
        "(but|and) why[end]",
        "what do you like about (it|that)[end]",
        "(what's|what is) (so good|so special) about (it|that)[end]",
        "(how come|why though|for what reason)[end]",
        "what('s| is) the reason[end]",
        "can you (say|tell me) why[end]",
        "(oh|ah|interesting|nice), why( is that||)[end]",
        "why do you like (it|that)( so much||)[end]",
        "[give] (why|more|more about it)[please][stop]",
        "because[end]",
        "I wonder why[stop]",
        "what makes you (say|choose) that[end]",
    ],
    give=GIVE,
)
_REALLY = wordings(
    [
        "really[end]",
        "(oh |)(really|seriously|is that so|truly|honestly)[end]",
        "are you (sure|serious|kidding)[end]",
        "(no way|you're kidding)[stop]",
        "(what|which) did you say( again||)[end]",
        "say that again[please][stop]",
        "I don't believe (it|you)[stop]",
        "(sorry|pardon), (what was that|once more|what)[end]",
        "is that (true|right)[end]",
    ]
)
_AGAIN = ("Yes, really: ", "I mean it: ", "Yes. ", "So it is: ", "Once more: ")


def followed(source: Source, lexicon: Lexicon) -> Case:
    """Why, or really, after an answer that has a reason."""
    name = source.pick(*_REASONED)
    case = _small(source, lexicon, name)
    if source.maybe(0.7):
        reasons = [told(source, text, FACTS) for text in TALK[name].after]
        new = [reason for reason in reasons if reason not in case.turns[0].model]
        reason = source.pick(*(new or reasons))
        return after(case.turns, one(rough(source, _WHY.say(source)), reason))
    turn = case.turns[0]
    first = re.split(r"(?<=[.!?]) ", turn.model)[0]
    again = source.pick(*_AGAIN) + first
    return after(case.turns, Case((Turn(rough(source, _REALLY.say(source)), again, (first,)),), case.accept))


_YES = wordings(
    [
        "(yes|yeah|yep|sure|okay|ok|of course|gladly|yes please|please|please do|go ahead)[stop]",
        "(yes|sure|okay), (please|why not|go ahead|tell me|do it|I'd like that)[stop]",
        "(I'd love|I would like|I want) (to|that)[stop]",
        "(why not|go on|let's hear it|let me hear it|bring it on)[stop]",
        "(oh yes|yes yes|sure thing|absolutely|definitely|alright then)[stop]",
        "(that would be|sounds) (nice|good|great|lovely)[stop]",
        "(all right|fine), (let's hear|go on)[stop]",
        "if you like[stop]",
        "I'm (listening|all ears|ready|curious)[stop]",
        "(y|ye|yup|k)",
    ]
)
_NO = wordings(
    [
        "(no|nope|nah|no thanks|no thank you|rather not|not now|better not)[stop]",
        "(no|not now), (thanks|maybe later|another time|I'd rather not)[stop]",
        "(I don't want|I'm not in the mood)( to||)[stop]",
        "(maybe|perhaps) (later|tomorrow|another time)[stop]",
        "(please don't|don't|not again|spare me)[stop]",
        "I('d| would) rather (chat|not|talk)[stop]",
        "(not really|not today|never mind|forget it)[stop]",
        "n[stop]",
        "that's (okay|fine), no need[stop]",
    ]
)
_FINE = (
    "(All right|No problem|Fine|As you like)(, then||). (What would you like instead?|What shall we do?|I'm here when you want.)",
    "(Then not|Good to know|Sure). (Shall we talk about something else?|What is on your mind?|Another time, perhaps.)",
)
_MORE = wordings(
    [
        "(another one|one more|again|more|next)[please][stop]",
        "(haha|nice|lovely|good), (another one|one more|more)[please][stop]",
        "(do you have|is there|can I have) (another|one more|more)[end]",
        "[give] another( one||)[please][stop]",
        "encore[stop]",
    ],
    give=GIVE,
)


def offer(source: Source, lexicon: Lexicon) -> Case:
    """Griff offers something; the user takes it, once or twice, or does not."""
    block = source.pick(*OFFERS)
    first = Turn(rough(source, wordings(block.said).say(source)), told(source, source.pick(*block.answers)))
    if source.maybe(0.3):
        return after([first], one(rough(source, _NO.say(source)), told(source, source.pick(*_FINE))))
    gifts = source.some(block.after, 2, 2)
    taken = Turn(rough(source, _YES.say(source)), gifts[0])
    if source.maybe(0.7):
        return Case((first, taken))
    return Case((first, taken, Turn(rough(source, _MORE.say(source)), gifts[1])))


# --- what people tell ---------------------------------------------------------------------


def words(source: Source, lexicon: Lexicon) -> dict[str, str]:
    """A word for every field; `a_x` is that of `x` with its article."""
    found = {name: source.of(pool) for name, pool in WORDS.items()}
    found |= {"name": lexicon.name(source)[0], "made": lexicon.made_up(source)}
    return found | {f"a_{name}": a(word) for name, word in found.items()}


_MARKS = {name: f"\ue000{name}\ue001" for base in (*WORDS, "name", "made") for name in (base, f"a_{base}")}


def _filled(text: str, found: Mapping[str, str]) -> str:
    return _MARK.sub(lambda m: found[m[1]], text)


def _bases(text: str) -> set[str]:
    """The fields that a text with marks names."""
    return {name.removeprefix("a_") for name in _MARK.findall(text)}


def _reacted(source: Source, said: str, answers: Sequence[str], found: Mapping[str, str], known: set[str]) -> Turn:
    """The turn of a text with marks: an answer that names only what was said. Raises ValueError: there is none."""
    known |= _bases(said)
    for _ in range(_TRIES):
        answer = told(source, source.pick(*answers), _MARKS)
        if _bases(answer) <= known:
            return _answered(source, said, answer, found, known)
    raise ValueError(f"no answer of {answers} names only {sorted(known)}")


def _answered(source: Source, said: str, answer: str, found: Mapping[str, str], known: set[str]) -> Turn:
    """The turn of two texts with marks; what the answer takes up is marked as copied."""
    model, user = capital(_filled(answer, found)), _filled(said, found)
    taken = {found[name] for base in _bases(answer) & known for name in (base, f"a_{base}")}
    copied = sorted(v for value in taken for v in {value, capital(value)} if v in model)
    return Turn(capital(user) if source.maybe(0.7) else user, model, tuple(copied))


def _rough(source: Source, text: str) -> str:
    return rough(source, text, list(_MARKS.values()))


@functools.cache
def _telling(name: str) -> Wordings:
    return wordings(next(block for block in TOLD if block.name == name).said)


def statement(source: Source, lexicon: Lexicon) -> Case:
    """Something about the day; the answer takes up a word of it."""
    block = source.pick(*TOLD)
    said = _rough(source, _telling(block.name).say(source, **_MARKS))
    return Case((_reacted(source, said, block.answers, words(source, lexicon), set()),))


def chat(source: Source, lexicon: Lexicon) -> Case:
    """A short talk that was written as a whole."""
    block = source.of(_CHATS)
    found, known, turns = words(source, lexicon), set[str](), list[Turn]()
    for said, answer in zip(_SCRIPTS[block].said, _SCRIPTS[block].answers, strict=True):
        text = _rough(source, wordings([said]).say(source, **_MARKS))
        reply = told(source, answer, _MARKS)
        known |= _bases(text)
        turns.append(_answered(source, text, reply, found, known))
        known |= _bases(reply)
    last = source.number(2, len(turns)) if source.maybe(0.3) else len(turns)
    return Case(tuple(turns[:last]))


_OPENINGS = ("hello", "hello", "good_morning", "good_afternoon", "good_evening", "nice_meet")
_MOODS = ("i_am_fine", "i_am_fine", "happy", "sad", "tired", "hungry", "bored", "worried", "angry")
_MIDDLES = ("weather_talk", "work_talk", "school_talk", "home_talk", "weekend", "compliment", "about_you")


def passing(source: Source, lexicon: Lexicon) -> Case:
    """A greeting, how one is, something about the day, thanks, a good-bye: what there is of it, in this order."""
    steps: list[str | None] = [source.pick(*_OPENINGS)] if source.maybe(0.8) else []
    if source.maybe(0.8):
        steps += ["how_are_you", source.pick(*_MOODS)]
    steps += [None] * source.pick(0, 1, 1, 2)
    if source.maybe(0.4):
        steps.append(source.pick(*_MIDDLES))
    if source.maybe(0.4):
        steps.append(source.pick(*_FAVORITES))
    steps += [step for step in ("thanks", source.pick("bye", "bye", "good_night")) if source.maybe(0.4)]
    steps = steps or ["hello"]
    cases = [statement(source, lexicon) if step is None else _small(source, lexicon, step) for step in steps]
    return after([turn for case in cases[:-1] for turn in case.turns], cases[-1])


_FAVORITES = [name for name in TALK if name.startswith("favorite_") and TALK[name].after]
_SMALL = [name for name in TALK if name not in _FAVORITES]
_REASONED = [name for name, block in TALK.items() if block.after]
_SCRIPTS: dict[str, Block] = {block.name: block for block in CHATS}
_CHATS = Pool(list(_SCRIPTS))
KINDS: list[Kind] = [
    Kind("small", "talk", small, 4.0),
    Kind("favorite", "talk", favorite, 1.2),
    Kind("followed", "talk", followed, 1.0),
    Kind("offer", "talk", offer, 0.8),
    Kind("statement", "talk", statement, 3.0),
    Kind("chat", "talk", chat, 1.2),
    Kind("passing", "talk", passing, 1.2),
]
