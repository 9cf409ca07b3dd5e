"""Questions about rgchat's keys and commands: how to do something, what a key does, which key a command has."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .cases import Case, after, one
from .itself_frames import AND, COMMAND_DOES, COMMAND_OF, HOW, KEY_DOES, KEY_OF
from .lexicon import Lexicon
from .phrases import FACTS, Block, blocks, rough, told, wordings
from .program import USED, keys_of, names_of
from .wording import Source, Wordings

PLACES = {
    "list": "the list of conversations",
    "tree": "the tree",
    "settings": "the settings",
    "models": "the list of models",
    "history": "the search through sent messages",
    "guide": "the guide",
    "plain": "the plain chat",
    "empty": "an empty prompt",
}
"""Where keys have a meaning of their own, and what it is called."""
_SCREENS = ("list", "tree", "settings", "models", "history", "guide")


@dataclass(frozen=True, eq=False)
class Row:
    """What a key and a command do.

    Attributes:
        keys: as people write them, the usual one first; `empty`: those that do it in an empty prompt.
        command: with its slash; `names`: all that it is called.
        where: one of `PLACES`, "chat" or "prompt", or nothing for a command of the chat.
    """

    block: Block
    keys: tuple[str, ...]
    empty: tuple[str, ...]
    command: str
    names: tuple[str, ...]
    where: str

    @property
    def key(self) -> str:
        """The usual one, or ""."""
        return self.keys[0] if self.keys else ""

    @property
    def place(self) -> str:
        """What its place is called, where keys have a meaning of their own."""
        return PLACES.get(self.where, "")

    @property
    def weight(self) -> int:
        """How often it is asked for: what everybody needs most."""
        return 3 if not self.where else 1 if self.where in PLACES else 2


def _row(block: Block) -> Row:
    where, command = block.marks.get("where", ""), block.marks.get("command", "")
    name = command.lstrip("/")
    if where or " " in name:  # a key that is no command's, a command of another program, or a part of one
        keys = tuple(filter(None, block.marks.get("key", "").split("|")))
        return Row(block, keys, (), command, (command,) if command else (), where)
    found = keys_of(name)
    return Row(block, found.usual, found.empty, command, names_of(name), where)


ROWS = [_row(block) for block in blocks("itself_keys")]


def _drawn(source: Source, rows: Sequence[Row]) -> Row:
    return source.chance.choices(rows, [row.weight for row in rows])[0]


# --- the question -----------------------------------------------------------------------------

_WHERE = (
    "In {place}, {question}",
    "In {place}: {question}",
    "When I am in {place}, {question}",
    "{question} (I mean in {place})",
    "I'm in {place}: {question}",
    "{place}: {question}",
)
_SPELT = ("{0}", "{0}", "{0}", "{0}", "the key {0}", "the {0} key")
_PAIRS = {"Ctrl": ("Ctrl", "Control", "ctrl", "CTRL", "the control key and"), "Alt": ("Alt", "alt", "Option")}
_PAIRS |= {"Esc": ("Esc", "Escape", "ESC", "esc"), "Del": ("Del", "Delete"), "PgUp": ("PgUp", "Page Up", "page up")}
_PAIRS |= {"PgDn": ("PgDn", "Page Down"), "Up": ("Up", "the up arrow"), "Down": ("Down", "the down arrow")}
_PAIRS |= {"Left": ("Left", "the left arrow"), "Right": ("Right", "the right arrow")}
_PAIRS |= {"?": ('"?"', "the question mark", "a question mark")}


def spelt(source: Source, key: str) -> str:
    """A key as people write it."""
    if key == "?":
        return source.pick(*_PAIRS[key])
    parts = key.split("+")
    shown = [source.pick(part, part, *_PAIRS.get(part, (part,))) for part in parts]
    joint = source.pick("+", "+", "+", "-", " ", " and " if len(parts) == 2 else "+")
    text = (" " if shown[0].endswith("and") else joint).join(shown)
    if len(parts) == 2 and parts[0] == "Ctrl" and len(parts[1]) == 1 and source.maybe(0.08):
        text = source.pick(f"^{parts[1]}", f"C-{parts[1].lower()}", f"ctrl{parts[1].lower()}")
    simple = len(parts) > 1 or "arrow" in text
    return text if simple else source.pick(*_SPELT).format(text)


def in_place(source: Source, row: Row, question: str) -> str:
    """The question, with the place where the key has its meaning."""
    if not row.place:
        return question
    if re.match("[A-Z][a-z']* ", question) and not question.startswith("I "):
        question = question[0].lower() + question[1:]
    return told(source, source.pick(*_WHERE), {"place": row.place, "question": question})


@functools.cache
def _goals(row: Row) -> tuple[Wordings, Wordings | None]:
    """What one may want to do, to follow "how do I", and whole questions."""
    return parted(row.block)


def parted(block: Block) -> tuple[Wordings, Wordings | None]:
    """The user's lines: what follows a frame, and whole questions (which begin with =)."""
    whole = [text[1:] for text in block.said if text.startswith("=")]
    return wordings([text for text in block.said if text[0] != "="]), wordings(whole) if whole else None


def asked_how(source: Source, row: Row, frames: Wordings = HOW) -> str:
    """A question of which the key or the command is the answer."""
    goals, whole = _goals(row)
    if whole is not None and frames is HOW and source.maybe(0.3):
        return in_place(source, row, whole.say(source))
    text = goals.say(source)
    return in_place(source, row, frames.say(source, goal=text[:1].lower() + text[1:]))


# --- the answer -------------------------------------------------------------------------------

_KEYED = (
    "Press {key}: it {does}.",
    "With {key}: it {does}.",
    "{key} {does}.",
    "Use {key}. It {does}.",
    "Press {key}. It {does}.",
)
_TYPED = (
    "Type {command}: it {does}.",
    "With {command}: it {does}.",
    "{command} {does}.",
    "Use {command}. It {does}.",
)
_BOTH = (
    "Press {key}: it {does}.",
    "Press {key}, or type {command}: it {does}.",
    "{key} {does}. (The command is {command}.|You can type {command}, too.|{command} does the same.)",
    "With {key}, or with {command}: it {does}.",
    "Type {command}, or press {key}. It {does}.",
    "{key} does that: it {does}.",
)
_PLACED = ("In {place}, {key} {does}.", "Press {key} in {place}: it {does}.", "{key} {does}, in {place}.")
_PLACED_COMMAND = ("In {place}, {command} {does}.", "Type {command}: it {does}.", "{command} {does}.")
_HELD_DOWN = ("Ctrl", "Alt", "Shift")


def used(source: Source, row: Row) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """An answer that names the key or the command, of what it must name one, and what it must not name."""
    key = row.key
    if len(row.keys) > 1 and row.where not in _SCREENS and source.maybe(0.35):
        key = f"{key} or {source.pick(*row.keys[1:])}"
    fields = {"key": key, "command": row.command, "does": source.pick(*row.block.answers), "place": row.place}
    texts: tuple[str, ...]
    if row.place and row.place in str(fields["does"]):
        texts = _KEYED if key else _TYPED  # it says the place itself
    elif row.place:
        texts = _PLACED if key else _PLACED_COMMAND
    elif row.empty and source.maybe(0.4):
        fields["empty"] = source.pick(*row.empty)
        texts = ("Press {key}, or {empty} in an empty prompt: it {does}.", "{empty} in an empty prompt {does}.")
        texts = texts if key else texts[1:]
    else:
        texts = _BOTH if key and row.command else _KEYED if key else _TYPED
    text = told(source, source.pick(*texts), fields)
    also = [name for one in row.block.choice("also") for name in _all_of(one)]
    accept = (*row.keys, *row.names, *also, *(f"{one} in an empty prompt" for one in row.empty))
    # Of Ctrl+G no one may think that it is G.
    held = (f"{held}+{key}" for key in row.keys if "+" not in key for held in _HELD_DOWN)
    return text, accept, tuple(one for one in held if one not in text and one not in accept)


def _all_of(way: str) -> tuple[str, ...]:
    """A key, or all names and keys of a command."""
    name = way.lstrip("/")
    return (*names_of(name), *keys_of(name).usual) if way.startswith("/") else (way,)


def how(source: Source, lexicon: Lexicon, row: Row | None = None, frames: Wordings = HOW) -> Case:
    """How to do something in the chat."""
    row = row or _drawn(source, _WITH_GOALS)
    text, accept, reject = used(source, row)
    case = one(rough(source, asked_how(source, row, frames)), text, accept)
    return replace(case, reject=reject, about=row.block.name)


def chain(source: Source, lexicon: Lexicon) -> Case:
    """How to do two or three things, one after the other."""
    cases = [
        how(source, lexicon, row, AND if i else HOW)
        for i, row in enumerate(source.chance.sample(_OFTEN, source.number(2, 3)))
    ]
    return after([turn for case in cases[:-1] for turn in case.turns], cases[-1])


def key_does(source: Source, lexicon: Lexicon) -> Case:
    """What a key does."""
    row = _drawn(source, _WITH_KEY)
    shown = spelt(source, row.key)
    question = in_place(source, row, KEY_DOES.say(source, key=shown))
    key = row.key.replace("Alt", "Option") if "Option" in shown else row.key
    fields = {"key": key, "command": row.command, "does": source.pick(*row.block.answers), "place": row.place}
    texts = ["{key} {does}.", "It {does}.", "That {does}.", "{key} {does}."]
    if row.place:
        texts = ["In {place}, it {does}.", "In {place} {key} {does}.", "There it {does}."]
    elif row.command:
        texts += ["{key} {does}, as {command} does.", "It {does}. {command} does the same."]
    case = one(rough(source, question), told(source, source.pick(*texts), fields), row.block.choice("essence"))
    return replace(case, about=row.block.name)


def command_does(source: Source, lexicon: Lexicon) -> Case:
    """What a command does."""
    row = _drawn(source, _WITH_COMMAND)
    question = in_place(source, row, COMMAND_DOES.say(source, command=row.command))
    fields = {"key": row.key, "command": row.command, "does": source.pick(*row.block.answers)}
    texts = ["{command} {does}.", "It {does}.", "The command {command} {does}."]
    if row.key:
        texts += ["It {does}. The key for it is {key}.", "{command} {does}, and so does {key}."]
    text = told(source, source.pick(*texts), fields)
    copied = [row.command] if row.command in text else []
    case = one(rough(source, question, [row.command]), text, row.block.choice("essence"), copied=copied)
    return replace(case, about=row.block.name)


def key_of(source: Source, lexicon: Lexicon) -> Case:
    """The key for a command, or the command for a key."""
    row = _drawn(source, [row for row in _WITH_COMMAND if not row.where])
    if row.key and source.maybe(0.5):
        answer = source.pick("{command}.", "It is {command}.", "The command is {command}.", "Type {command}.")
        asked = COMMAND_OF.say(source, key=spelt(source, source.pick(*row.keys)))
        case = one(rough(source, asked), told(source, answer, {"command": row.command}), row.names)
        return replace(case, about=row.block.name)
    asked = rough(source, KEY_OF.say(source, command=row.command), [row.command])
    ways = _ways(row)
    fields = {"key": ways[0] if ways else "", "command": row.command}
    if not ways:
        answer = source.pick(
            "{command} has no key: type it.", "There is no key for {command}.", "No, {command} is only typed."
        )
        return replace(one(asked, told(source, answer, fields), ("no key", "only typed")), about="no key")
    answer = source.pick("{key}.", "It is {key}.", "The key for {command} is {key}.", "Press {key}.", "Yes, {key}.")
    return replace(one(asked, told(source, answer, fields), (*ways, *row.empty)), about=row.block.name)


def _ways(row: Row) -> tuple[str, ...]:
    """What can be pressed for a command: its keys, those of its other names, or what is a key in some cases only."""
    keys = row.keys or tuple(key for name in row.names for key in keys_of(name.lstrip("/")).usual)
    return keys or tuple(f"{key} in an empty prompt" for key in row.empty) or row.block.choice("chord")


# --- what there is not ------------------------------------------------------------------------

NO_KEYS = tuple(
    key for key in ("F8", "F9", "F10", "F11", "F12", "Ctrl+L", "Alt+Q", "Alt+X", "Alt+Z") if key not in USED
)
_INVENTED_TEXT = (
    "dance sing picture photo voice speak sound play music weather news google web search translate alarm timer call "
    "email print paste zoom font emoji draw image camera login logout share upload download sleep wake win cheat fly "
    "dog cat party hello whatever run code calculate math remind calendar note summary read listen mute pause"
)
INVENTED = _INVENTED_TEXT.split()


def no_command(source: Source, lexicon: Lexicon) -> Case:
    """A command or a key that does not exist, by an open vocabulary."""
    if source.maybe(0.2):
        key = source.pick(*NO_KEYS)
        answer = source.pick(
            "{key} has no meaning in rgchat. /help shows the keys that have one.",
            "Rgchat has nothing on {key}. {key_help} shows all keys.",
            "Nothing: rgchat does not use {key}.",
        )
        question = KEY_DOES.say(source, key=spelt(source, key))
        return one(rough(source, question), _said(source, answer, key=key), ("no meaning", "nothing"))
    known = {name.lstrip("/") for row in ROWS for name in row.names}
    while (word := source.pick(lexicon.made_up(source), source.pick(*INVENTED))) in known:
        pass
    answer = source.pick(
        "There is no command /{word}. /help lists them.",
        "Rgchat has no command /{word}: /help shows all that it has.",
        "/{word} does not exist. Type / to see the commands.",
        "I know of no command /{word}. /help lists the real ones.",
    )
    question = rough(source, COMMAND_DOES.say(source, command=f"/{word}"), [f"/{word}"])
    return one(question, _said(source, answer, word=word), ("no command", "not exist"), copied=[f"/{word}"])


def _said(source: Source, text: str, **fields: object) -> str:
    return told(source, text, FACTS | fields)


_WITH_GOALS = [row for row in ROWS if any(text[0] != "=" for text in row.block.said)]


def _by_key() -> list[Row]:
    """A row for every key; of one that means several things in one place, the first in the table."""
    found: dict[tuple[str, str], Row] = {}
    for row in ROWS:
        for key in row.keys:
            found.setdefault((key, row.place), replace(row, keys=(key,)))
        for key in row.empty:
            found.setdefault((key, "empty"), replace(row, keys=(key,), where="empty"))
    return list(found.values())


_WITH_KEY = _by_key()
_WITH_COMMAND = [row for row in ROWS if row.command]
_OFTEN = [row for row in _WITH_GOALS if not row.place]
