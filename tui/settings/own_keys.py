"""Keys of the user's own for commands: the table [keys] of rgchat.toml.

Knows how people write keys, how Textual names them, and which of them one types or edits with; what a command's own keys are it is
told. Textual's keymap is not used: it takes a key from all that share it (Esc), and knows no command without a key.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from rgmlx.system.formatting import cut
from rgmlx.system.printable import printable

from ..terminal import terminals
from .toml_lines import written

TABLE = "keys"
"""The table of the file."""
SAMPLE = 'keys.tree = "alt+t"'
MAX_KEYS = 5
"""Of a command."""
_MAX_SAID = 5  # sentences about what is wrong
_SHOWN = 40  # characters of a wrong value in a sentence

_MODIFIERS = {
    "ctrl": "ctrl",
    "control": "ctrl",
    "^": "ctrl",
    "alt": "alt",
    "option": "alt",
    "opt": "alt",
    "meta": "alt",
}
_MODIFIERS |= {"shift": "shift", "super": "super", "cmd": "super", "command": "super"}
_SIGNS = {
    "?": "question_mark",
    "]": "right_square_bracket",
    "[": "left_square_bracket",
    "\\": "backslash",
    "/": "slash",
    "_": "underscore",
    "-": "minus",
    "^": "circumflex_accent",
    ".": "full_stop",
    ",": "comma",
    ";": "semicolon",
    "'": "apostrophe",
    "=": "equals_sign",
    "`": "grave_accent",
    "@": "at",
}
_NAMES = {"esc": "escape", "pgup": "pageup", "pgdn": "pagedown", "del": "delete", "ins": "insert", "return": "enter"}
_FAR = ("up", "down", "left", "right", "home", "end", "pageup", "pagedown", "insert", "delete")
_EDITS = ("space", "enter", "tab", "backspace", "escape")
_CHARACTERS = (*"abcdefghijklmnopqrstuvwxyz0123456789", *_SIGNS.values())
_FUNCTION = tuple(f"f{number}" for number in range(1, 25))
_KEYS = (*_CHARACTERS, *_FUNCTION, *_FAR, *_EDITS)

SAME_BYTE = {"ctrl+i": "Tab", "ctrl+m": "Enter", "ctrl+h": "Backspace", "ctrl+left_square_bracket": "Esc"}
"""What most terminals send as another key."""
OF_THE_PROMPT = frozenset(
    {
        "alt+backspace",
        "alt+d",
        "alt+delete",
        "alt+enter",
        "alt+left",
        "alt+right",
        "backspace",
        "ctrl+a",
        "ctrl+backspace",
        "ctrl+c",
        "ctrl+d",
        "ctrl+delete",
        "ctrl+e",
        "ctrl+end",
        "ctrl+home",
        "ctrl+j",
        "ctrl+k",
        "ctrl+left",
        "ctrl+right",
        "ctrl+right_square_bracket",
        "ctrl+shift+k",
        "ctrl+shift+left",
        "ctrl+shift+minus",
        "ctrl+shift+right",
        "ctrl+shift+underscore",
        "ctrl+shift+z",
        "ctrl+slash",
        "ctrl+u",
        "ctrl+underscore",
        "ctrl+v",
        "ctrl+w",
        "ctrl+x",
        "ctrl+y",
        "ctrl+z",
        "delete",
        "down",
        "end",
        "enter",
        "f7",
        "home",
        "left",
        "pagedown",
        "pageup",
        "right",
        "shift+down",
        "shift+end",
        "shift+enter",
        "shift+home",
        "shift+left",
        "shift+right",
        "shift+up",
        "super+a",
        "super+backspace",
        "super+c",
        "super+down",
        "super+left",
        "super+right",
        "super+up",
        "super+x",
        "super+y",
        "super+z",
        "up",
        "tab",
        "shift+tab",
        "escape",
    }
)
"""What one edits a text with, copies, reads back and leaves; `tests/tui/settings/test_own_keys.py` compares it with the prompt."""

Keys = Mapping[str, tuple[str, ...]]
"""The keys of each command, as Textual names them."""


def read(table: Any, known: Keys) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """The keys of the file's table, and what in it is wrong and ignored or, of the others, worth knowing.

    Args:
        known: all that may have a key, with what it has by itself.
    """
    if not isinstance(table, dict):
        return {}, [f"{TABLE} must be a table, such as [{TABLE}] with {SAMPLE.partition('.')[2]} in it. It is ignored"]
    found: dict[str, tuple[str, ...]] = {}
    wrong: list[str] = []
    wanted: dict[str, list[str]] = {}
    for name, value in table.items():
        values = value if isinstance(value, list) else [value]
        if name not in known:
            wrong.append(_unknown(name, known))
        elif not 0 < len(values) <= MAX_KEYS or not all(isinstance(one, str) for one in values):
            wrong.append(f'{TABLE}.{name} must be a key such as "alt+t", or a list of up to {MAX_KEYS}')
        else:
            wanted[name] = values
    for name, values in wanted.items():
        found[name] = ()
        for value in values:
            key, why = _key(value)
            why = why or ("" if key in known[name] else _needed(key))
            if why:
                wrong.append(_refused(name, value, why))
            elif key not in found[name]:
                found[name] += (key,)
    clashes: list[str] = []
    while True:  # a command that is left without keeps its own, which another may have wanted
        found = {name: keys for name, keys in found.items() if keys}
        taken = {key: name for name, keys in known.items() if name not in found for key in keys}
        free: dict[str, tuple[str, ...]] = {}
        for name, keys in found.items():
            free[name] = tuple(key for key in keys if taken.setdefault(key, name) == name)
            clashes += [_refused(name, key, f"{taken[key]} has this key") for key in keys if key not in free[name]]
        if free == found:
            break
        found = free
    wrong += clashes
    said = [f"{one}. It is ignored" for one in wrong]
    if len(said) > _MAX_SAID:
        said[_MAX_SAID - 1 :] = [f"{len(said) - _MAX_SAID + 1} more {TABLE} are wrong and ignored"]
    return found, said + [sentence for name, keys in found.items() for sentence in _doubts(name, keys)]


def _refused(name: str, value: str, why: str) -> str:
    return f"{TABLE}.{name} can't be {cut(written(value), _SHOWN)}: {why}"


def _key(text: str) -> tuple[str, str]:
    """A key as Textual names it, and "" or why there is no such key."""
    parts = [part.strip().lower() for part in text.replace("++", "+plus").split("+")]
    if len(parts) == 1 and len(text.strip()) == 2 and text.strip()[0] == "^":
        parts = ["ctrl", text.strip()[1].lower()]
    *before, last = parts
    last = _NAMES.get(last, _SIGNS.get(last, last))
    modifiers = {_MODIFIERS.get(part, "") for part in before}
    if "" not in modifiers and last in _KEYS:
        return "+".join([*sorted(modifiers), last]), ""
    near = [_nearest(part, ("ctrl", "control", "alt", "option", "shift", "super")) for part in before]
    end = last if last in _KEYS else _nearest(last, _KEYS)
    if all(near) and end:
        return "", f"there is no such key; the nearest is {'+'.join([*map(str, near), end])}"
    return "", "there is no such key; one is written as alt+t, ctrl+t or f5"


def _nearest(part: str, names: Sequence[str]) -> str:
    return part if part in names else next(iter(difflib.get_close_matches(part, names, 1)), "")


def _needed(key: str) -> str:
    """Why one can't do without this key where one types; or ""."""
    *modifiers, last = key.split("+")
    if key in SAME_BYTE:
        return f"terminals send it as {SAME_BYTE[key]}"
    if last in (*_CHARACTERS, "space") and not set(modifiers) - {"shift"}:
        return "it is typed into the prompt"
    return "the prompt needs it: one edits with it" if key in OF_THE_PROMPT else ""


def _doubts(name: str, keys: Sequence[str]) -> list[str]:
    """What to say of keys that may never come: nothing where there is another that does."""
    here = terminals.here()
    if any(terminals.is_sent(key) and here.reaches(key) for key in keys):
        return []
    lost = ", ".join(keys)
    if any(here.reaches(key) for key in keys):
        return [f"{TABLE}.{name}: few terminals send {lost}"]
    return [f"{TABLE}.{name}: {lost} does not reach a program in this terminal as it is delivered"]


def _unknown(name: str, known: Keys) -> str:
    near = difflib.get_close_matches(name.removeprefix("/").lower(), known, 1)
    there = f"the nearest is {TABLE}.{near[0]}" if near else "/help lists the commands"
    return f"there is no command {cut(printable(name), _SHOWN)} for {TABLE}; {there}"
