"""Keys on a Mac, where Alt is Option: asked by somebody who says that it is one, and answered with what works there.

Which key that is the chat knows itself (`program.on_mac`): Option with an arrow where the terminal passes it on, and what
works in every terminal. Of keys that no command has a table says here what a Mac has instead; `docs/keys.md` has them all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from . import program
from .cases import Case, Kind, Turn, one
from .itself_frames import HOW, KEY_DOES, KEY_OF, MAC, MAC_TERMINAL
from .itself_keys import ROWS, Row, asked_how, used
from .lexicon import Lexicon
from .phrases import rough, told, wordings
from .wording import Source, capital

INSTEAD = {
    "newline": "Ctrl+J",
    "newline_alt": "Ctrl+J",
    "pageup": "fn+Up",
    "pagedown": "fn+Down",
    "end": "Ctrl+E",
    "home": "Ctrl+A",
    "alt_d": "Ctrl+]",
    "select_all": "Ctrl+X",
    "list_delete": "Ctrl+D",
}
"""What is pressed on a Mac for these rows of the table, in whatever terminal; see `docs/keys.md`."""
OTHER = tuple(
    row for row in ROWS if row.command.lstrip("/") in ("back", "forward", "previous", "next", "help", "settings")
)
"""Rows whose key is another one on a Mac."""
_INSTEAD = tuple(row for row in ROWS if row.block.name in INSTEAD and row.block.said)
_ARROWS = ("/back", "/forward", "/previous", "/next")
_PASTE = ("paste", "ctrl_c")
"""What a Mac's terminals have keys of their own for."""
_SAME = tuple(
    row
    for row in ROWS
    if row.keys and row.block.said and not row.place and re.fullmatch(r"Ctrl\+[A-Z]|Esc", row.keys[0])
    if row.block.name not in (*_PASTE, *INSTEAD)
)
_PASSED = {"Terminal": "Apple_Terminal", "iTerm2": "iTerm.app", "Ghostty": "ghostty", "WezTerm": "WezTerm"}
_NAMES = {
    "Terminal": ("Terminal", "Apple's Terminal", "the Terminal app", "Terminal.app"),
    "iTerm2": ("iTerm2", "iTerm"),
}


def _says(source: Source, question: str, terminal: str) -> str:
    """The question, with the word that it is a Mac."""
    small = question if re.match("I( |')", question) else question[:1].lower() + question[1:]
    ended = small if small.endswith((".", "?", "!")) else f"{small}?"
    fields = {"question": small, "Question": capital(question), "ended": ended}
    if not terminal:
        return MAC.say(source, **fields)
    return MAC_TERMINAL.say(source, terminal=source.pick(*_NAMES.get(terminal, (terminal,))), **fields)


def _key(source: Source, row: Row, terminal: str) -> tuple[str, str, tuple[str, ...]]:
    """What to press, where else it is something else, and what is accepted."""
    usual, sure = program.on_mac(row.command.lstrip("/"), _PASSED.get(terminal, ""))
    if terminal:
        return sure, "", (sure, *row.names)
    return usual, sure if sure != usual else "", (usual, sure, *row.names)


_ELSE = (
    "In Terminal, press {sure}.",
    "Where that does not arrive, {sure} does it.",
    "In Apple's Terminal it is {sure}.",
    "{sure} does it in every terminal.",
)


def mac_how(source: Source, lexicon: Lexicon) -> Case:
    """How to do something, on a Mac."""
    kind = source.pick("other", "other", "other", "instead", "same")
    terminal = source.pick(*_PASSED) if kind == "other" and source.maybe(0.3) else ""
    row = source.pick(*{"other": OTHER, "instead": _INSTEAD, "same": _SAME}[kind])
    user = rough(source, _says(source, asked_how(source, row, HOW), terminal))
    if kind == "same":
        text, accept, reject = used(source, row)
        return replace(one(user, text, accept), reject=reject, about=f"mac {row.block.name}")
    if kind == "instead":
        key, sure, accept = INSTEAD[row.block.name], "", (INSTEAD[row.block.name], *row.names)
    else:
        key, sure, accept = _key(source, row, terminal)
    empty = _empty(key)
    does = source.pick(*(text for text in row.block.answers if "Alt" not in text and not (empty and "prompt" in text)))
    texts: tuple[str, ...] = (
        "Press {key}{empty}: it {does}.",
        "{key} does that{empty}: it {does}.",
        "With {key}{empty}: it {does}.",
    )
    texts += ("On a Mac it is {key}{empty}: it {does}.",)
    answer = told(source, source.pick(*texts), {"key": key, "empty": empty, "does": does})
    if sure:
        answer += " " + told(source, source.pick(*_ELSE), {"sure": sure})
    return replace(one(user, answer, accept), reject=_alt(key), about=f"mac {row.block.name}")


def _empty(key: str) -> str:
    """Where a key that types or moves is a command."""
    return " in an empty prompt" if key in ("?", "Option+Left", "Option+Right") else ""


def _alt(key: str) -> tuple[str, ...]:
    """What a Mac's keyboard does not have."""
    return (key.replace("Option", "Alt"),) if "Option" in key else ()


def mac_of(source: Source, lexicon: Lexicon) -> Case:
    """The key for a command, on a Mac."""
    row = source.pick(*OTHER)
    terminal = source.pick(*_PASSED) if source.maybe(0.3) else ""
    user = rough(source, _says(source, KEY_OF.say(source, command=row.command), terminal), [row.command])
    key, sure, accept = _key(source, row, terminal)
    empty = _empty(key)
    answer = source.pick(
        f"{key}{empty}.", f"It is {key}{empty}.", f"Press {key}{empty}.", f"On a Mac it is {key}{empty}."
    )
    if sure:
        answer += " " + told(source, source.pick(*_ELSE), {"sure": sure})
    accept = tuple(one for one in accept if not one.startswith("/"))
    return replace(one(user, answer, accept), reject=_alt(key), about=f"mac {row.block.name}")


def mac_does(source: Source, lexicon: Lexicon) -> Case:
    """What Option with an arrow does."""
    row = source.pick(*(row for row in OTHER if row.command in _ARROWS))
    key = program.on_mac(row.command.lstrip("/"))[0]
    arrow = key.rpartition("+")[2]
    shown = source.pick(
        key, key, key.replace("+", " "), f"Option and {arrow}", f"Option with the {arrow.lower()} arrow", f"⌥{arrow}"
    )
    question = KEY_DOES.say(source, key=shown)
    user = rough(source, _says(source, question, "") if source.maybe(0.6) else question, [shown])
    does = source.pick(*row.block.answers)
    where = f",{_empty(key)}" if _empty(key) else ""
    texts: Sequence[str] = (
        "{key} {does}{where}.",
        "It {does}{where}.",
        "That {does}{where}.",
        "On a Mac, {key} {does}{where}.",
    )
    answer = told(
        source, source.pick(*texts), {"key": key, "does": does, "where": where if "prompt" not in does else ""}
    )
    return replace(one(user, answer, row.block.choice("essence")), about=f"mac {row.block.name}")


_AND = wordings(
    [
        "and on a Mac[end]",
        "and on (my|a) (Mac|MacBook)[end]",
        "and with a Mac[end]",
        "what about a Mac[end]",
        "what about (macOS|my Mac)[end]",
        "and what is it on a Mac[end]",
        "and what do I press on a Mac[end]",
        "is it the same on a Mac[end]",
        "is that so on (a Mac|macOS), too[end]",
        "I have a Mac[stop]",
        "but I'm on a Mac[stop]",
        "this is a Mac, though[stop]",
        "on a Mac, I mean[stop]",
        "my keyboard has no Alt, it is a Mac[stop]",
        "sorry, I should have said that I have a MacBook[stop]",
        "how is it on a Mac[end]",
        "and if I have a Mac[end]",
        "which key is it on a Mac[end]",
        "(okay|thanks), and on a Mac[end]",
        "the same for a Mac[please][end]",
    ]
)


def mac_and(source: Source, lexicon: Lexicon) -> Case:
    """How to do something, and then the same on a Mac, whose key is another one."""
    row = source.pick(*OTHER)
    text, _, _ = used(source, row)
    first = Turn(rough(source, asked_how(source, row, HOW)), text)
    key, sure, accept = _key(source, row, "")
    empty = _empty(key)
    answer = source.pick(
        f"On a Mac it is {key}{empty}.", f"There it is {key}{empty}.", f"On a Mac, press {key}{empty}."
    )
    if sure:
        answer += " " + told(source, source.pick(*_ELSE), {"sure": sure})
    last = Turn(rough(source, _AND.say(source)), answer)
    accept = tuple(one for one in accept if not one.startswith("/"))
    return Case((first, last), (accept,), _alt(key), about=f"mac {row.block.name}")


KINDS: list[Kind] = [
    Kind("key_mac_how", "itself", mac_how, 2.0),
    Kind("key_mac_of", "itself", mac_of, 0.6),
    Kind("key_mac_does", "itself", mac_does, 0.7),
    Kind("mac_and", "itself", mac_and, 0.6),
]
