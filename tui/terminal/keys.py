"""How keys are written for people: with the names of this keyboard, and of several that do the same the one that works."""

from __future__ import annotations

from . import terminals

UNDO = "ctrl+underscore,ctrl+shift+underscore,ctrl+shift+minus,ctrl+slash,ctrl+shift+z,super+z"
"""Ctrl+_ as terminals tell it, which on many is Ctrl+/ too, and what else people know. Ctrl+Z suspends."""
END = ("end", "ctrl+e")
"""To the end of the line, and from there to the newest text."""
NEW_LINE = ("ctrl+j", "alt+enter", "shift+enter")

_NAMES = {"escape": "Esc", "up": "↑", "down": "↓", "left": "←", "right": "→", "question_mark": "?", "delete": "Del"}
_NAMES |= {"pageup": "PgUp", "pagedown": "PgDn"}
_OF_A_MAC = {"alt": "Option", "super": "Cmd", "delete": "Delete", "pageup": "↑", "pagedown": "↓"}
_OF_A_MAC |= {"home": "←", "end": "→"}


def name(key: str) -> str:
    """A key of Textual's names as people write it."""
    here = terminals.here()
    names = _NAMES | _OF_A_MAC if here.mac else _NAMES
    parts = [names.get(part, part.capitalize()) for part in key.split("+")]
    if here.needs_fn(key):
        parts.insert(-1, "fn")
    return "+".join(parts) + " twice" * (key == here.prefix)


def shown(*keys: str) -> str:
    """Of keys that do the same the one that reaches a program here, as people write it; "" if there is none at all."""
    return name(terminals.here().best(keys)) if keys else ""


def brief(*keys: str) -> str:
    """The same for a row of keys at the foot of a screen."""
    modifier, _, letter = terminals.here().best(keys).rpartition("+")
    return f"^{letter}" if modifier == "ctrl" else shown(*keys)
