"""Questions from a core and a frame: "the capital of Peru" or "what a cow says", within ways to ask for anything.

Frames and cores are held out each for itself: the evaluation asks with a frame that training never shows, or with a core
that it never shows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .wording import Pool, Source, Wordings, capital

_PEOPLE = (
    "man|woman|girl|boy|person|human|one who|people|author|writer|artist|painter|composer|musician|scientist|explorer|"
    "discoverer|inventors?|climbers|winner|king|queen|princess|hero|wizard|president|brothers|children|musicians|puppet"
)
_WHO = re.compile(rf"(?:(?!of|for|that|in)[\w'-]+ ){{1,4}}?(?:{_PEOPLE})\b")
_WH = re.compile(r"(in |on |at |from |of |with |by |after |for |to )?(what|who|whom|where|when|why|how|which|whose)\b")


@dataclass(frozen=True)
class Core:
    """What is asked for: a question ("what does {ax} say", beside "what {ax} says"), or the name of a thing."""

    direct: str
    indirect: str
    noun: str = ""


def core(text: str) -> Core:
    """Of `question`, `question = the same within a sentence`, or a noun phrase (`+` in front: of more than one thing)."""
    direct, _, indirect = (part.strip() for part in text.partition(" = "))
    if indirect or _WH.match(direct):
        return Core(direct, indirect or direct)
    noun, verb = (direct[1:].strip(), "are") if direct.startswith("+") else (direct, "is")
    word = "who" if _WHO.match(noun) else "what"
    return Core(f"{word} {verb} {noun}", f"{word} {noun} {verb}", noun)


def pool(texts: Sequence[str]) -> Pool[Core]:
    """The cores of these texts. "the capital of Peru" and "what is the capital of Peru" are one, the noun."""
    found: dict[str, Core] = {}
    for one in map(core, texts):
        if one.direct not in found or one.noun:
            found[one.direct] = one
    return Pool(list(found.values()))


_KNOW = (
    "tell me|can you tell me|could you tell me|do you know|please tell me|I want to know|I would like to know|"
    "I'd like to know|would you tell me|any idea|can you say|do you happen to know|you know|let me know|I wonder|"
    "I'm wondering|I was wondering|would you know|do you have any idea|could you say|say|I need to know|"
    "remind me|I'd love to know|can you remember|are you able to tell me|what do you think, do you know|"
    "I'm curious|just tell me|guess|please say|mind telling me|I have to know"
)
_KID = (
    "son|daughter|kid|teacher|brother|sister|friend|mom|dad|grandson|niece|nephew|little cousin|granny|neighbor|class"
)
_WORK = "homework|quiz|crossword|test|school|game|puzzle|project|bet|pub quiz|worksheet"
_LEAD = (
    "Question|Quiz question|Here is a question|Next question|My question|A question for you|Quiz time|Test|"
    "I have a question|Riddle me this|Help me out|Quick one|An easy one|Trivia|Next|Okay, next one|Something else|"
    "Another one|One more|One more question|Q|Question of the day"
)
_SLOTS = {
    "know": _KNOW.split("|"),
    "kid": _KID.split("|"),
    "work": _WORK.split("|"),
    "q": _LEAD.split("|"),
    "mark": [": ", ": ", " - ", ". ", ", "],
    "eh": [",", "...", " -", ",", ""],
}
DIRECT = (
    "[hey]{c}[end]",
    "[hey]{c}?",
    "{c}?",
    "{c}[please]?",
    "[q]: {c}[end]",
    "and {c}?",
    "my [kid] asks: {c}?",
    "my [kid] asked me: {c}?",
    "{c}? I forgot.",
    "{c}? I can't remember.",
    "{c}? I really don't know.",
    "Griff[eh] {c}?",
    "{c}, Griff?",
    "this is for my [work]: {c}?",
    "I need help with my [work]. {c}?",
    "let me test you. {c}?",
    "let's see what you know: {c}?",
    "tell me, {c}?",
    "tell me this: {c}?",
    "say, {c}?",
    "I bet you know this: {c}?",
    "help me with this one: {c}?",
    "answer this[mark]{c}?",
    "answer in a word or two: {c}?",
    "hm, {c} again?",
    "sorry if this is a silly question, but {c}?",
    "maybe you know: {c}?",
    "now {c}?",
    "{c} exactly?",
    "ok so {c}",
    "if I may ask, {c}?",
    "please answer: {c}?",
    "[hey]I have a question. {C}?",
    "I need to ask you something. {C}?",
    "can I ask you something? {C}?",
    "random question: {c}?",
    "stupid question maybe, {c}?",
    "what do you say, {c}?",
    "{c}? Just curious.",
    "{c}? It is for my [work].",
    "{c}? My [kid] wants to know.",
    "{c}? Asking for a friend.",
    "{c}? I need it for a [work].",
    "{c}? Help me out[please].",
    "you know a lot, so {c}?",
    "we are having an argument: {c}?",
    "no idea any more, {c}?",
    "I keep asking myself: {c}?",
    "by the way, {c}?",
    "wait, {c}?",
    "{c} then?",
    "{c}, do you know?",
    "{c}? One word is enough.",
    "a child asked me: {c}?",
    "I just read about it. {C}?",
    "one question: {c}?",
    "a question: {c}?",
    "one more thing: {c}?",
    "one last question: {c}?",
    "tell me one thing: {c}?",
    "here is my question: {c}?",
    "my question is this: {c}?",
    "quick question: {c}",
    "so {c}?",
    "so, {c}[end]",
    "okay, {c}?",
    "well, {c}?",
    "again: {c}?",
    "once more, {c}?",
    "please, {c}?",
    "{c}, please?",
    "{c}? Tell me.",
    "{c}? Do you know?",
    "{c}? You know that, don't you?",
    "{c}? Let's see if you know it.",
    "{c}? I want to know.",
    "little quiz: {c}?",
    "test: {c}?",
    "next question: {c}?",
    "back to my question: {c}?",
    "I forgot. {C}?",
    "I'm curious: {c}?",
    "I wonder: {c}?",
    "hey, {c}",
    "say, Griff, {c}?",
    "{c} ?",
    "{c}",
)
INDIRECT = (
    "[know] {i}[end]",
    "[hey][know] {i}[end]",
    "[know] {i}[please]?",
    "I forgot {i}[stop]",
    "I have forgotten {i}. Do you know?",
    "I always forget {i}.",
    "I've always wanted to know {i}.",
    "my [kid] wants to know {i}.",
    "my [kid] asked me {i}. What do I say?",
    "for my [work] I need to know {i}.",
    "I'm not sure {i}. Can you help?",
    "I don't know {i}, do you?",
    "I can't remember {i}.",
    "nobody here knows {i}. Do you?",
    "can you remind me {i}?",
    "we were wondering {i}.",
    "would it be possible to tell me {i}?",
    "do you by any chance know {i}?",
    "I'd be glad to learn {i}.",
    "Griff, [know] {i}?",
    "teach me {i}[stop]",
    "I was asked {i} and had no answer.",
    "in one short sentence, tell me {i}.",
    "help me remember {i}.",
    "you surely know {i}?",
    "I'm trying to remember {i}.",
    "could you help me? I forgot {i}.",
    "let me hear {i}.",
    "I want to find out {i}.",
    "please help me find out {i}.",
    "my [kid] and I wonder {i}.",
    "I asked everybody {i}, but nobody could say.",
    "I never learned {i}.",
    "in school they taught us {i}, but I forgot.",
    "do tell me {i}.",
    "what I need to know is {i}.",
    "I'm asking {i}.",
    "my question is {i}.",
    "show me that you know {i}.",
    "do you remember {i}?",
    "I bet that you know {i}.",
    "can you find out {i}?",
    "I should know {i}, but I don't.",
    "at the [work] they asked {i}.",
    "do you still know {i}?",
    "do you still remember {i}?",
    "you haven't forgotten {i}, have you?",
    "have you forgotten {i}?",
    "let's see if you know {i}.",
    "let's see if you remember {i}.",
    "let me see if you know {i}.",
    "I'd be glad to hear {i}.",
    "I'd be curious to hear {i}.",
    "I'd like to hear {i}.",
    "I hope you know {i}.",
    "I hope you remember {i}.",
    "I wonder if you know {i}.",
    "I wonder whether you can tell me {i}.",
    "you should know {i}.",
    "you know {i}, don't you?",
    "do you have any idea {i}?",
    "any idea {i}?",
    "remind me {i}.",
    "can you say {i}?",
    "would you say {i}?",
    "are you able to say {i}?",
    "can you help me out? I forgot {i}.",
    "I no longer know {i}.",
    "I don't remember {i}.",
    "I keep forgetting {i}.",
    "just say {i}.",
    "please say {i}.",
    "what I want to know is {i}.",
    "the question is {i}.",
    "would you mind telling me {i}?",
    "someone asks me {i}. What do I say?",
    "I asked myself {i}.",
    "did anybody tell you {i}?",
    "could you explain {i}?",
    "you surely can tell me {i}?",
)
NOUN = (
    "{n}[end]",
    "{n}?",
    "[hey]{n}?",
    "and {n}?",
    "name {n}[please][stop]",
    "please name {n}.",
    "can you name {n}?",
    "do you know {n}?",
    "tell me {n}[please][stop]",
    "could you give me {n}?",
    "I need {n}[please].",
    "I'm looking for {n}.",
    "{n}, please",
    "{n} - do you know it?",
    "{n} is what?",
    "{n} is ...",
    "complete the sentence: {n} is ...",
    "I'd like to know {n}.",
    "give me {n}[stop]",
    "my [kid] wants to know {n}.",
    "I can't remember {n}.",
    "I forgot {n}.",
    "crossword clue: {n}",
    "would you say {n} for me?",
    "what would be {n}?",
    "so what was {n} again?",
    "for my [work]: {n}?",
    "[q]: {n}?",
    "just {n}, thanks",
    "{n}, what is it?",
    "{n} again, please?",
    "help me with {n}.",
    "you know {n}, don't you?",
    "my question is about {n}.",
    "I want to know {n}.",
    "what do you say: {n}?",
    "say {n}[please].",
    "we need {n} for a [work].",
    "{n}?? I forgot",
    "let me hear {n}.",
    "would you know {n}?",
    "what was {n}?",
    "so {n}?",
    "so, {n}?",
    "now {n}?",
    "ok, {n}?",
    "well, {n}?",
    "{n}, Griff?",
    "{n} please",
    "{n}, do you know?",
    "{n}, do you remember?",
    "{n} was what?",
    "{n}... what was it?",
    "{n} - any idea?",
    "{n}",
    "give me {n}, please.",
    "please give me {n}.",
    "can you give me {n}?",
    "please tell me {n}.",
    "can you tell me {n}?",
    "could you tell me {n}?",
    "would you tell me {n}?",
    "do you still know {n}?",
    "do you remember {n}?",
    "have you forgotten {n}?",
    "you haven't forgotten {n}, have you?",
    "let's see if you know {n}.",
    "remind me of {n}.",
    "I'm asking for {n}.",
    "I'd like to hear {n}.",
    "I have forgotten {n}.",
    "I don't remember {n}.",
    "I wonder what {n} is.",
    "I need to know {n}.",
    "I want to hear {n}.",
    "quick: {n}?",
    "next: {n}?",
    "test: {n}?",
)
BARE = (
    "{b}?",
    "{b}",
    "{b} please",
    "{b}, please.",
    "{b} again?",
    "[q]: {b}?",
    "quick, {b}?",
    "hey, {b}?",
    "{b}... I forgot",
    "{b} - do you know?",
    "and {b}?",
    "{b}, Griff?",
    "ok, {b}?",
    "so, {b}?",
    "{b}??",
    "need {b}[please]",
    "crossword: {b}",
    "{b}, what is it?",
    "{b}, thanks",
    "looking for {b}",
)
"""Around a noun without its article: "Capital of Peru?"."""
TRUE = (
    "is it true that {s}?",
    "true or false: {s}?",
    "true or false? {s}.",
    "{s}, right?",
    "{s}, isn't that so?",
    "{s}, correct?",
    "I think {s}. Is that right?",
    "I think that {s}. Am I right?",
    "someone told me that {s}. Is that true?",
    "my [kid] says that {s}. Is that correct?",
    "my [kid] told me {s}. True?",
    "would you say that {s}?",
    "is it right that {s}?",
    "is it correct to say that {s}?",
    "am I right that {s}?",
    "do you agree that {s}?",
    "can you confirm that {s}?",
    "{s}. Yes or no?",
    "yes or no: {s}?",
    "I read that {s}. Is it so?",
    "tell me whether {s}.",
    "do you know if {s}?",
    "I wonder if {s}.",
    "so {s}?",
    "{s}, or am I wrong?",
    "check this for me: {s}.",
    "I'd like to know whether {s}.",
    "could it be that {s}?",
    "{s}, no?",
    "{s}, yes?",
    "{S}, right?",
    "I always thought that {s}.",
    "my [kid] believes that {s}.",
    "I learned that {s}. Is it still true?",
    "I heard that {s}. True or false?",
    "I would say that {s}. Do you agree?",
    "surely {s}?",
    "correct me if I am wrong: {s}.",
    "I want to be sure: {s}?",
    "is this a fact: {s}?",
    "is this true: {s}?",
    "so it is true that {s}?",
    "in a [work] it says that {s}. Is that right?",
    "if I say {s}, am I right?",
    "can I write that {s}?",
    "{s}. Right or wrong?",
    "someone bet that {s}. Did they win?",
    "{s}. True?",
    "my old book says {s}. Is that a mistake?",
    "is the following right: {s}?",
)
EITHER = (
    "{c}, {p} or {q}?",
    "{c}? {P} or {q}?",
    "{c}: {p} or {q}?",
    "[hey]{c}? Is it {p} or {q}?",
    "{c}? I think {p} or {q}.",
    "[know] {i}: {p} or {q}?",
    "[know] {i}. {P} or {q}?",
    "is it {p} or {q}: {c}?",
    "choose, {p} or {q}: {c}?",
    "{p} or {q}? {c}?",
    "I'm not sure {i}, {p} or {q}.",
    "my [kid] asks {i}. {P} or {q}?",
    "{c}? Choose between {p} and {q}.",
    "{c} - is it {p}, or rather {q}?",
    "pick one: {p} or {q}. {c}?",
    "{c}? {P}, or is it {q}?",
    "{c}? {P}? {Q}?",
    "help me choose: {p} or {q}. {C}?",
    "one of them is right, {p} or {q}: {c}?",
    "two answers to choose from, {p} and {q}: {c}?",
    "my [kid] says {p}, I say {q}. {C}?",
    "is {p} right, or {q}? {C}?",
    "{c} - {p} / {q}?",
    "a) {p} b) {q}: {c}?",
)
NEXT = (
    "and {t}?",
    "what about {t}?",
    "and what about {t}?",
    "how about {t}?",
    "ok, and {t}?",
    "{t}?",
    "the same for {t}?",
    "now {t}.",
    "good. And {t}?",
    "thanks! And {t}?",
    "do you know it for {t} too?",
    "next: {t}",
    "and for {t}?",
    "then {t}?",
    "okay, now {t}?",
    "thanks. What about {t}?",
    "I see. And {t}?",
    "same question for {t}",
    "and the same for {t}?",
    "what if I ask for {t}?",
    "let us go on: {t}?",
    "and with {t}?",
    "next one: {t}?",
    "{t} too, please",
)

_FILL = Wordings((), **_SLOTS)
_PLAIN, _NAMED = Pool(DIRECT + INDIRECT), Pool(DIRECT[:8] + INDIRECT[:14] + NOUN + BARE)
_TRUE, _EITHER, _NEXT = Pool(TRUE), Pool(EITHER), Pool(NEXT)


def fill(source: Source, text: str, **fields: object) -> str:
    """A template with the slots of this module filled."""
    text = _FILL.fill(source, text, **fields)
    return re.sub(r"(?<=[a-z0-9\"][.?!] )[a-z]", lambda m: m[0].upper(), text)


def put(text: str, fields: dict[str, str]) -> str:
    """A text with its fields filled and nothing else changed."""
    text = re.sub(r"\{(\w+)\}", lambda m: fields.get(m[1], m[0]), text)
    return text.replace("s's ", "s' ")


def choose(source: Source, cores: Pool[Core]) -> tuple[Core, str]:
    """A core and a frame; for the evaluation one of them is new."""
    new = source.held and len(cores.kept) < len(cores.all) and source.maybe(0.5)
    what = source.chance.choice(cores.held if new else cores.all if source.held else cores.kept)
    frames = _NAMED if what.noun else _PLAIN
    return what, source.chance.choice(frames.all if new else frames.held if source.held else frames.kept)


def question(source: Source, cores: Pool[Core], fields: dict[str, str]) -> str:
    """Asks for one of the cores."""
    what, frame = choose(source, cores)
    parts = {"c": what.direct, "C": capital(what.direct), "i": what.indirect, "n": what.noun}
    parts["b"] = re.sub("^(the|a|an) ", "", what.noun)
    return fill(source, frame, **{key: put(text, fields) for key, text in parts.items()})


def whether(source: Source, statement: str) -> str:
    """Asks whether a statement is true."""
    return fill(source, source.of(_TRUE), s=statement, S=capital(statement))


def either(source: Source, cores: Pool[Core], fields: dict[str, str], first: str, second: str) -> str:
    """Asks which of two it is."""
    what = source.of(cores)
    direct, indirect = put(what.direct, fields), put(what.indirect, fields)
    two = {"p": first, "q": second, "P": capital(first), "Q": capital(second)}
    return fill(source, source.of(_EITHER), c=direct, C=capital(direct), i=indirect, **two)


_LEARNED = re.compile(
    r"crossword|complete|sentence|taught|learned|read about|argument|in a word|One word|you know a lot|everybody|"
    r"\[kid\]|\[work\]|a child|Asking for a friend|silly|stupid|show me that|Just curious|exactly|find out|teach me|^name "
    r"|can you name|please name|I was asked"
)
"""What is said around questions for what is learned from books, never for one's own name."""


def own(templates: Sequence[str], but: Collection[str] = ()) -> Pool[str]:
    """Frames for what somebody told, of these. `but`: without those that say the same as one of these, see `plain`."""
    return Pool(templates).part([text for text in templates if not _LEARNED.search(text) and plain(text) not in but])


def plain(frame: str) -> str:
    """A frame without slots and punctuation, what it asks for as "_"."""
    text = re.sub(r"\{\w+\}", "_", re.sub(r"\[\w+\]", "", frame.lower()))
    return " ".join(re.sub(r"[^\w\s']", " ", text).split())


@dataclass(frozen=True)
class Own:
    """Frames for what somebody told: around a question, around a clause, around a noun."""

    direct: Pool[str]
    indirect: Pool[str]
    noun: Pool[str]


def personal(source: Source, frames: Own, phrase: str, clause: bool) -> str:
    """Asks for something that was told ("my name", or `clause`: "what my name is"), in frames that facts have as well."""
    if clause:
        return fill(source, source.of(frames.indirect), i=phrase)
    kind = source.number(0, 2)
    if kind == 0:
        return fill(source, source.of(frames.noun), n=phrase)
    if kind == 1:
        return fill(source, source.of(frames.indirect), i=f"what {phrase} is")
    direct = source.pick("what is", "what's", "what was") + f" {phrase}"
    return fill(source, source.of(frames.direct), c=direct, C=capital(direct))


def following(source: Source, thing: str) -> str:
    """Asks the same about another thing."""
    return fill(source, source.of(_NEXT), t=thing)
