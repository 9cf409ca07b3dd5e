"""Themes of the user's own: tables [themes.NAME] of rgchat.toml.

Knows which colours a theme has; whether they can be read on one another is the user's to see. What is missing is that of the dark
theme or, with `dark = false`, of the light one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any

from rgmlx.system.formatting import cut
from rgmlx.system.printable import printable

from ..themes import COLOURS, NAMES, OwnTheme
from .toml_lines import written

TABLE = "themes"
"""The table of the file that has a table for each."""
SAMPLE = 'themes.mine = {primary = "#5fafff", background = "#101418"}'
MAX_THEMES = 50
_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_SHOWN = 40  # characters of a wrong value in a sentence


def read(table: Any) -> tuple[dict[str, OwnTheme], list[str]]:
    """The themes of the file's table, and what is wrong in it."""
    if not isinstance(table, dict):
        return {}, [f"{TABLE} must be a table for each theme, such as [{TABLE}.mine]"]
    found: dict[str, OwnTheme] = {}
    wrong: list[str] = []
    for name, fields in table.items():
        shown = f"{TABLE}.{name if _NAME.fullmatch(name) else cut(written(name), _SHOWN)}"
        if not _NAME.fullmatch(name):
            wrong.append(f"{shown} can't be a name: one has up to 40 letters, digits, - and _")
        elif name in NAMES:
            wrong.append(f"{shown} is a theme of rgchat: give yours another name")
        elif not isinstance(fields, dict) or not fields:
            wrong.append(f'{shown} must be a table, such as [{TABLE}.mine], with primary = "#5fafff" and others in it')
        elif len(found) == MAX_THEMES:
            wrong.append(f"{shown} is one too many: there may be {MAX_THEMES} themes")
        else:
            good, said = _fields(shown, fields)
            wrong += said
            dark = good.pop("dark", True)
            found[name] = OwnTheme(good, dark)
    return found, wrong


def _fields(shown: str, fields: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    good: dict[str, Any] = {}
    wrong: list[str] = []
    for field, value in fields.items():
        if field == "dark":
            if isinstance(value, bool):
                good[field] = value
            else:
                wrong.append(f"{shown}.dark must be true or false")
        elif field not in COLOURS:
            near = difflib.get_close_matches(field, (*COLOURS, "dark"), 1)
            there = f"the nearest is {shown}.{near[0]}" if near else f"there are {', '.join((*COLOURS, 'dark'))}"
            wrong.append(f"there is no colour {shown}.{cut(printable(field), _SHOWN)}; {there}")
        elif not isinstance(value, str) or not _COLOUR.fullmatch(value):
            is_text = isinstance(value, (str, int, float))
            told = cut(written(value) if is_text else f"a {type(value).__name__}", _SHOWN)
            wrong.append(f'{shown}.{field} must be a colour such as "#5fafff", not {told}')
        else:
            good[field] = value.lower()
    return good, wrong


def unknown(name: str, own: Collection[str]) -> str:
    """What to say of a theme that does not exist."""
    names = (*NAMES, *own)
    near = difflib.get_close_matches(name, names, 1)
    there = f"the nearest is {near[0]}; there are" if near else "there are"
    return f"there is no theme '{cut(printable(name), _SHOWN)}': {there} {', '.join(names)}"
