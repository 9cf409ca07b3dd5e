"""Questions that only the words of a story answer, whatever its plot: who did or said something, which of the two was what,
whether something is so, and how a sentence goes on.

The questions are made from the story's own sentences, so that none of them can be known by heart.
"""

from __future__ import annotations

import re

from .lexicon import Lexicon
from .scenes import Role, Story
from .stories import has
from .story_details import Answer, Ask, sentences
from .story_questions import ask
from .wording import Source, a, capital

_LONGEST = 70
"""Characters of what somebody did or said."""
_SPEAKS = r"said|asked|called|cried|whispered|shouted|panted"
_NOT_DONE = re.compile(
    r"(was|were|is|had|and|the|a|an|or|in|on|at|from|who|could|would|has|of|by|with|to|did not|never)\b"
)
"""What no deed begins with."""
_LOOSE = re.compile(r"\b(they|them|it|this|that|there|these|those|one|too|then|so|again)\b|[\":;]", re.IGNORECASE)
"""What needs the sentence before."""

DID_WHO, SAID_WHO, WHAT_SAID = ask("did_who"), ask("said_who"), ask("what_said")
WHICH_NAME, WHICH_KIND = ask("which_name"), ask("which_kind")
IS_KIND, IS_NAME = ask("is_kind"), ask("is_name")
DID_OR, SAID_OR, IS_DONE, IS_SAID = ask("did_or"), ask("said_or"), ask("is_done"), ask("is_said")
GOES_ON = ask("goes_on")


def _roles(story: Story) -> tuple[Role, Role]:
    return story.cast.hero, story.cast.friend


def _other(story: Story, role: Role) -> Role:
    return story.cast.friend if role is story.cast.hero else story.cast.hero


def deeds(story: Story) -> list[tuple[Role, str]]:
    """What each of the two did, as sentences of the story say it, without the name and the full stop."""
    found: list[tuple[Role, str]] = []
    for text in sentences(story):
        for role in _roles(story):
            match = re.fullmatch(rf"{re.escape(role.name)} ([a-z][^.!?]+)\.", text)
            if match is None or len(match[1]) > _LONGEST or _NOT_DONE.match(match[1]) or _LOOSE.search(match[1]):
                continue
            if not has(match[1], [role.name, _other(story, role).name]):
                found.append((role, match[1]))
    return [(role, deed) for role, deed in found if sum(deed == other for _, other in found) == 1]


def quotes(story: Story) -> list[tuple[Role, str]]:
    """What each of the two said, where the story names who it was."""
    found = [
        (role, match[1])
        for role in _roles(story)
        for match in re.finditer(rf'"([^"]{{6,{_LONGEST}}})" (?:{_SPEAKS}) {re.escape(role.name)}\b', story.text)
    ]
    return [(role, text) for role, text in found if story.text.count(f'"{text}"') == 1]


def _did_who(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    if not (some := deeds(story)):
        return None
    role, deed = source.pick(*some)
    n = role.name
    answer = source.pick(f"{n}.", f"It was {n}.", f"{n} {deed}.", f"{n} did.", f"That was {n}, the {role.kind}.")
    return DID_WHO.say(source, d=deed), answer, ((n,),), (_other(story, role).name,)


def _said_who(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    if not (some := quotes(story)):
        return None
    role, text = source.pick(*some)
    n, shown = role.name, text.rstrip(",.")
    answer = source.pick(f"{n}.", f"It was {n}.", f"{n} said that.", f"That was {n}, the {role.kind}.")
    return SAID_WHO.say(source, q=f'"{shown}"'), answer, ((n,),), (_other(story, role).name,)


def _what_said(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    """What somebody said who speaks once."""
    some = quotes(story)
    once = [(role, text) for role, text in some if sum(role is other for other, _ in some) == 1]
    if not once:
        return None
    role, text = source.pick(*once)
    they = {"m": "he", "f": "she"}.get(role.sex, "they")
    if re.search(rf"\b{they} (?:{_SPEAKS})\b|\b(?:{_SPEAKS}) {they}\b", story.text):
        return None  # and perhaps more
    shown = text.rstrip(",")
    ended = shown if shown.endswith((".", "?", "!")) else f"{shown}."
    answer = source.pick(f'"{ended}"', f'{role.name} said: "{ended}"', f'It was this: "{ended}"')
    return WHAT_SAID.say(source, n=role.name), answer, ((shown.rstrip(".!?"),),), ()


def _which(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    """One of the two names for a kind, or one of the two kinds for a name."""
    if story.cast.hero.kind == story.cast.friend.kind:
        return None
    role = source.pick(*_roles(story))
    other = _other(story, role)
    first, second = (role, other) if source.maybe(0.5) else (other, role)
    if source.maybe(0.5):
        answer = source.pick(f"{role.name}.", f"It was {role.name}.", f"The {role.kind} was {role.name}.")
        user = WHICH_NAME.say(source, k=role.kind, a=first.name, b=second.name)
        return user, answer, ((role.name,),), (other.name,)
    answer = source.pick(f"The {role.kind}.", f"{role.name} was the {role.kind}.", f"{capital(a(role.kind))}.")
    user = WHICH_KIND.say(source, n=role.name, a=first.kind, b=second.kind)
    return user, answer, ((role.kind,),), (other.kind,)


def _is_so(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    """Whether somebody was of a kind, or of a name: of their own, or the other's."""
    if story.cast.hero.kind == story.cast.friend.kind:
        return None
    role, yes = source.pick(*_roles(story)), source.maybe(0.5)
    n, k, other = role.name, role.kind, _other(story, role)
    if source.maybe(0.5):
        user = IS_KIND.say(source, n=n, ak=a(k if yes else other.kind))
        answer = f"Yes, {n} was {a(k)}." if yes else source.pick(f"No, {n} was {a(k)}.", f"No. {n} was {a(k)}.")
        return user, answer, (("yes",) if yes else ("no",), (k,)), ("no",) if yes else ("yes",)
    user = IS_NAME.say(source, k=k, n=n if yes else other.name)
    answer = f"Yes, the {k} was called {n}." if yes else source.pick(f"No, the {k} was called {n}.", f"No. It was {n}.")
    return user, answer, (("yes",) if yes else ("no",), (n,)), ("no",) if yes else ("yes",)


def _either(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    """Which of the two did or said something: both are named."""
    speaks = source.maybe(0.4)
    if not (some := quotes(story) if speaks else deeds(story)):
        return None
    role, text = source.pick(*some)
    first, second = source.some((role.name, _other(story, role).name), 2, 2)
    n, shown = role.name, text.rstrip(",.")
    answer = source.pick(f"{n}.", f"It was {n}.", f"That was {n}.", f"{n}, the {role.kind}.")
    if speaks:
        user = SAID_OR.say(source, q=f'"{shown}"', a=first, b=second)
    else:
        user = DID_OR.say(source, d=text, a=first, b=second)
        answer = source.pick(answer, f"{n} {text}.")
    return user, answer, ((n,),), (_other(story, role).name,)


def _was_it(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    """Whether it was this one who did or said something."""
    speaks = source.maybe(0.4)
    if not (some := quotes(story) if speaks else deeds(story)):
        return None
    (role, text), yes = source.pick(*some), source.maybe(0.5)
    n, shown = role.name, text.rstrip(",.")
    named = n if yes else _other(story, role).name
    user = IS_SAID.say(source, q=f'"{shown}"', n=named) if speaks else IS_DONE.say(source, d=text, n=named)
    if yes:
        answer = source.pick(f"Yes, it was {n}.", f"Yes, {n}.", f"Yes, that was {n}.")
    else:
        answer = source.pick(f"No, it was {n}.", f"No, that was {n}.", f"No. It was {n}.")
    return user, answer, (("yes",) if yes else ("no",), (n,)), ("no",) if yes else ("yes",)


def _goes_on(source: Source, lexicon: Lexicon, story: Story) -> Answer | None:
    """A sentence of which only the beginning is said."""
    some = [(role, deed) for role, deed in deeds(story) if deed.count(" ") > 2]
    if not some:
        return None
    role, deed = source.pick(*some)
    words = deed.split()
    begins = f"{role.name} {' '.join(words[: source.number(1, min(3, len(words) - 2))])}"
    if story.text.count(begins) != 1:
        return None
    return GOES_ON.say(source, b=begins), f"{role.name} {deed}.", ((deed,),), ()


CLOSE: tuple[tuple[str, float, Ask], ...] = (
    ("did who", 4, _did_who),
    ("said who", 3, _said_who),
    ("what said", 1, _what_said),
    ("which", 3, _which),
    ("is so", 2.5, _is_so),
    ("either", 2.5, _either),
    ("was it", 2, _was_it),
    ("goes on", 1, _goes_on),
)
