"""Stories on request, and what people say about a story that was just told."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .asks import (
    ADJECTIVES,
    KIDS,
    PETS,
    Wanted,
    cast,
    countable,
    creature,
    joined,
    kinds,
    lexicon_animals,
    person_kind,
    places,
    sex,
    sex_of,
    thing,
    want,
)
from .cases import Case, Kind, Turn, Unmet
from .lexicon import Lexicon
from .scenes import Plot, Role, Story, tell
from .story_requests import ABOUT, ABOUT_ME, ABOUT_PET, ANY, WITH_WORDS
from .wording import Source, Wordings, a, capital, roughen

_TRIES = 500  # one in four or so is good; a robin called Robin never is
_PREFACES = (
    "Gladly.",
    "Of course.",
    "With pleasure.",
    "Here it is.",
    "Let me think. Yes, this one:",
    "Sit down, I know one.",
    "Oh, I like to tell stories.",
    "This one goes like this.",
    "Make yourself comfortable.",
    "I have one under my wing.",
    "Listen.",
)
NAMING = (
    "A story with {s}.",
    "Here is one with {s}.",
    "One with {s}, gladly.",
    "{S}: let me see.",
    "{S}? I know one.",
    "{S}, of course.",
)
"""What says again what the story was asked for: written down once more it is not forgotten on the way."""


def shape(source: Source) -> tuple[str, str, str]:
    """Length and mood, and "a short story" or whatever says so."""
    length = source.pick("", "", "", "", "", "short", "long")
    mood = source.pick("", "", "", "", "", "bedtime", "funny", "spooky")
    what = source.pick("story", "story", "story", "story", "tale")
    words = source.pick(*ADJECTIVES[length]) if length else ""
    words += source.pick(*ADJECTIVES[mood]) if mood else "" if length else source.pick(*ADJECTIVES[""])
    return length, mood, a(words + what)


def has(text: str, options: Sequence[str]) -> bool:
    """Whether one of these stands in it, as whole words."""
    return any(re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text, re.I) for one in options)


def story_of(
    source: Source,
    lexicon: Lexicon,
    wanted: Wanted,
    length: str = "",
    mood: str = "",
    begun: bool = False,
    unlike: Plot | None = None,
) -> Story:
    """A story that has all that is wanted in it. Raises Unmet: none has."""
    for _ in range(_TRIES):
        plot, roles = cast(source, lexicon, wanted)
        if unlike is not None and plot.name == unlike.name:
            continue
        story = tell(plot, roles, source.number(0, 10**9), length, mood, begun)
        if all(has(story.text, group) for group in wanted.accept) and straight(story) and not repeats(story):
            return story
    raise Unmet


def straight(story: Story) -> bool:
    """Whether verbs agree with a hero who is called "they"."""
    return story.cast.hero.sex != "t" or not re.search(r"\b[Tt]hey (is|has|does|lies|needs|tells|says)\b", story.text)


def repeats(story: Story) -> bool:
    """Whether a name is also one of the things, so that the two could be taken for each other."""
    names = {story.cast.hero.name.lower(), story.cast.friend.name.lower()}
    return bool(names & {story.cast.hero.kind, story.cast.friend.kind, story.cast.thing, story.cast.subject})


_NAMED = 0.9
"""Of the stories that were asked for with something say first what that was."""


def told(source: Source, story: Story, said: str = "") -> str:
    """The story as an answer, sometimes with a title or a word before it. `said`: what it was asked for."""
    if said and source.maybe(_NAMED):
        naming = source.pick(*NAMING)
        return naming.format(s=said, S=capital(said)) + "\n\n" + story.text
    first = source.number(0, 9)
    if first < 2:
        return f"{story.title}\n\n{story.text}"
    return f"{source.pick(*_PREFACES)} {story.text}" if first == 2 else story.text


def copies(answer: str, words: Sequence[str]) -> tuple[str, ...]:
    """Those of the words that stand in the answer as they are."""
    forms = (form for word in words if word and has(answer, [word]) for form in (word, capital(word)) if form in answer)
    return tuple(dict.fromkeys(forms))


def request(source: Source, lexicon: Lexicon, number: int) -> tuple[Turn, Story, Wanted]:
    """Somebody asks for a story about so many things, and gets it."""
    length, mood, what = shape(source)
    wanted = want(source, lexicon, number)
    story = story_of(source, lexicon, wanted, length, mood)
    bare = [re.sub("^(a|an|the) ", "", one) for one in wanted.said]
    listed = source.pick(", ", ", ", " and ", " + ", " ").join(bare)
    text = ABOUT.say(source, s=what, S=capital(what), x=joined(source, wanted.said), b=listed, kid=source.pick(*KIDS))
    names = [role.name for role in wanted.roles if role.name]
    asked = [one for group in wanted.accept for one in group if has(text, [one]) and one in text]
    user = capital(roughen(source, text, keep=names + asked))
    answer = told(source, story, joined(source, wanted.said))
    return Turn(user, answer, copies(answer, [one for group in wanted.accept for one in group])), story, wanted


def about(source: Source, lexicon: Lexicon) -> Case:
    """A story about one to three things."""
    turn, _, wanted = request(source, lexicon, source.pick(1, 1, 2, 2, 2, 2, 3))
    return Case((turn,), tuple(wanted.accept), about=" and ".join(sorted(set(wanted.sorts))))


_AS_WORDS = 0.5


def with_words(source: Source, lexicon: Lexicon) -> Case:
    """A story with two words in it, whatever they are."""
    number = source.pick(1, 2, 2, 2, 3)
    words: list[str] = []
    while len(words) < number:
        word = source.pick(
            lambda: source.of(lexicon.nouns),
            lambda: source.of(lexicon.words),
            lambda: thing(source, lexicon),
            lambda: creature(source, lexicon)[0],
            lambda: lexicon.made_up(source),
        )()
        if word not in words:
            words.append(word)
    wanted = Wanted(accept=[(word,) for word in words])
    known = dict(kinds().all)
    # Whatever they are, they may stand there as the words they were asked for as.
    if number > 1 and source.maybe(_AS_WORDS):
        wanted.words += words
    for word in words:
        # Only a creature is somebody.
        if (word in known or word in lexicon_animals().all) and len(wanted.roles) < 2:
            wanted.roles.append(Role("", word, sex(source, known.get(word, "h"))))
        elif word in lexicon.things.all:
            wanted.things.append(word)
        elif word in countable(lexicon).all and source.maybe(0.5):
            wanted.subjects.append(a(word))
        elif word not in wanted.words:
            wanted.words.append(word)
    length, mood, what = shape(source)
    story = story_of(source, lexicon, wanted, length, mood)
    quote = source.pick("", "", '"', "'")
    said = joined(source, [f"{quote}{word}{quote}" for word in words])
    user = WITH_WORDS.say(source, s=what, S=capital(what), x=said, n="s" if number > 1 else "", kid=source.pick(*KIDS))
    answer = told(source, story, joined(source, words))
    keep = [*words, *map(capital, words)]
    turn = Turn(capital(roughen(source, user, keep=keep)), answer, copies(answer, words))
    return Case((turn,), tuple(wanted.accept), about="words")


def anything(source: Source, lexicon: Lexicon) -> Case:
    """A story about whatever Griff likes."""
    length, mood, what = shape(source)
    story = story_of(source, lexicon, Wanted(), length, mood)
    user = ANY.say(source, s=what, S=capital(what), story=source.pick("story", "tale"), kid=source.pick(*KIDS))
    return Case((Turn(roughen(source, user), told(source, story)),))


def about_me(source: Source, lexicon: Lexicon) -> Case:
    """A story about the one who asks, or a pet."""
    name, sort = lexicon.name(source)
    length, mood, what = shape(source)
    if source.maybe(0.5):
        kind, known = person_kind(source)[0], "t"
        user = ABOUT_ME.say(source, n=name, s=what, S=capital(what))
        accept: list[tuple[str, ...]] = [(name,)]
    else:
        kind = source.pick(*PETS)
        known = sex_of(source, lexicon, name, "h")
        user = ABOUT_PET.say(source, n=name, s=what, S=capital(what), k=kind, ak=a(kind), kid=source.pick(*KIDS))
        accept = [(name,), (kind,)]
    wanted = Wanted(accept=accept, roles=[Role(name, kind, known)])
    story = story_of(source, lexicon, wanted, length, mood)
    answer = told(source, story)
    turn = Turn(roughen(source, user, keep=[name]), answer, copies(answer, [name, kind]))
    return Case((turn,), tuple(accept), about=sort)


BEGUN = Wordings(
    [
        "Once upon a time there was {aK} who",
        "Once upon a time, there was {aK} who...",
        "Once there was {aK} who ...",
        "There once was {aK} who",
        "A long time ago, there was {aK} who",
        "Long ago there lived {aK} who",
        "In a far land there lived {aK} who",
        "Once, {at}, there was {aK} who",
        "{At} lived {aK} who",
        "Go on: Once there was {aK} who",
        "Continue this story: Once upon a time there was {aK} who",
        "Finish my story: there was {aK} who...",
        "I begin, you go on. There was once {aK} who",
        "My story starts like this: {aK} lived {at} and",
        "This is a story about {aK} who",
        "Please go on with this. There was {aK} who",
        "You tell the rest: Long, long ago there was {aK} who...",
        "once upon a time a little {K}",
        "Once upon a time there lived a little {K} that",
        "The story of {aK} who",
        "It was a dark night, and {aK} who lived {at}",
        "Not so long ago there was a young {K} who",
    ]
)
BEGUN_NAMED = Wordings(
    [
        "Once upon a time there was {aK} called {H} who",
        "Once there was {aK} named {H}.",
        "{H} was {aK} who",
        "There was once {aK} whose name was {H}",
        "Long ago, {at}, there lived {aK} called {H}...",
        "Go on with this: {H} was a small {K}.",
        "Continue: {aK} called {H} lived {at}.",
        "I start: There was {aK}, {H} by name, who...",
        "{H} the {K} lived {at} and",
        "This is the story of {H}, {aK} who",
        "One day {H}, a young {K},",
        "Finish this for me: In a little house lived {H}, {aK}",
        "My story begins with {H}, {aK}. What happens?",
        "Once {aK} called {H},",
    ]
)


def begun(source: Source, lexicon: Lexicon) -> Case:
    """A story that the user has begun: it goes on from there."""
    kind, known = creature(source, lexicon)
    named = source.maybe(0.5)
    name, place = lexicon.name(source)[0] if named else "", source.of(places())
    wanted = Wanted(roles=[Role(name, kind, sex_of(source, lexicon, name, known))], place=place)
    at = " ".join(place)
    user = (BEGUN_NAMED if named else BEGUN).say(source, H=name, K=kind, aK=a(kind), at=at, At=capital(at))
    ends = re.search(r"\b(who|that|and)[. ]*$", user)
    for _ in range(_TRIES):
        story = story_of(source, lexicon, wanted, begun=True)
        text = story.text
        if named:
            text = tell(story.plot, story.cast, story.seed, begun=True, named=True).text
            text = text if ends or user.rstrip().endswith(",") else f"{name} {text}"
        accept = [(name,)] if named else [(kind, story.cast.hero.name)]
        if has(text, accept[0]) and text.count(name) >= 2 * named:
            break
    else:
        raise Unmet
    turn = Turn(roughen(source, user, keep=[name]), text, copies(text, [name, kind]))
    return Case((turn,), tuple(accept), about="begun")


KINDS = [
    Kind("story", "stories", about, 11),
    Kind("story words", "stories", with_words, 11),
    Kind("story any", "stories", anything, 2),
    Kind("story me", "stories", about_me, 3),
    Kind("story begun", "stories", begun, 2),
]
