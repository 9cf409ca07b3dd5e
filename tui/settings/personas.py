"""Personas: a system text and settings of replies by a name, for new conversations.

Knows what a persona is, and finds one by its name; the file that they are in, and what a setting may be, are in `settings`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rgmlx.errors import RgmlxError
from rgmlx.system.formatting import cut, one_line
from rgmlx.system.printable import printable

from .toml_lines import written

TABLE = "personas"
"""The table of the file that has a table for each."""
SAMPLE = 'personas.teacher = {system = "Explain it step by step, with an example.", temperature = 0.3}'
MAX_NAME = 40
_SHOWN = 60  # characters of a system text in a list


@dataclass(frozen=True)
class Persona:
    """What a conversation begins with in place of the defaults.

    Attributes:
        system: the text before all messages; "" for none, None for that of the defaults.
        sampling: settings of replies; one that is missing is that of the defaults.
    """

    system: str | None = None
    sampling: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def about(self) -> str:
        """All of it in one line."""
        system = cut(one_line(self.system or "", 2 * _SHOWN).strip(), _SHOWN)
        settings = ", ".join(f"{name} {value}" for name, value in self.sampling.items())
        if self.system is None:
            return settings or "as other conversations"
        return (system or "no system text") + (f" ({settings})" if settings else "")


def read(
    table: Any, known: Collection[str], check: Callable[[str, str, Any], Any]
) -> tuple[dict[str, Persona], list[str]]:
    """The personas of the file's table, and what is wrong in it.

    Args:
        known: the settings that there are beside "system".
        check: the value of a setting, given what it is called in a sentence, its name and what the file has. Raises
            RgmlxError: it is not a good one.
    """
    if not isinstance(table, dict):
        return {}, [f"{TABLE} must be a table for each persona, such as [{TABLE}.teacher]"]
    found: dict[str, Persona] = {}
    wrong: list[str] = []
    for name, settings in table.items():
        shown = f"{TABLE}.{name if re.fullmatch('[A-Za-z0-9_-]{1,40}', name) else cut(written(name), MAX_NAME)}"
        if not _can_be_typed(name):
            wrong.append(f"{shown} can't be typed: a name is a line of up to {MAX_NAME} characters that can be seen")
        elif not isinstance(settings, dict):
            wrong.append(f"{shown} must be a table, such as [{TABLE}.teacher], with system and other settings in it")
        elif not settings:
            wrong.append(f"{shown} is empty: write system or another setting into it")
        else:
            good: dict[str, Any] = {}
            for setting, value in settings.items():
                try:
                    if setting not in ("system", *known):
                        raise RgmlxError(_unknown(shown, setting, ("system", *known)))
                    good[setting] = check(f"{shown}.{setting}", setting, value)
                except RgmlxError as e:
                    wrong.append(str(e))
            found[name] = Persona(good.pop("system", None), good)
    return found, wrong


def _can_be_typed(name: str) -> bool:
    return bool(name) and len(name) <= MAX_NAME and name == name.strip() == printable(name) and name.isprintable()


def _unknown(shown: str, setting: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(setting, known, 1)
    there = f"the nearest is {shown}.{near[0]}" if near else f"there are {', '.join(known)}"
    return f"there is no setting {shown}.{cut(printable(setting), MAX_NAME)}; {there}"


def find(personas: Mapping[str, Persona], name: str, file: Path) -> tuple[str, Persona]:
    """A persona and its name, which may be given in other capitals.

    Args:
        file: where they are, for who has none.

    Raises:
        RgmlxError: there is none of this name.
    """
    name = name.strip()
    same = [one for one in personas if one == name] + [one for one in personas if one.casefold() == name.casefold()]
    if same:
        return same[0], personas[same[0]]
    if not personas:
        raise RgmlxError(none(file))
    near = difflib.get_close_matches(name, personas, 1)
    there = f"there {'is only' if len(personas) == 1 else 'are'} {', '.join(personas)}"
    there = f"the nearest is {near[0]}" if near else there
    raise RgmlxError(f"there is no persona '{cut(name, MAX_NAME)}': {there}", quotes=(name,))


def none(file: Path) -> str:
    """What to say where there are no personas."""
    return f"there are no personas: write one into {file}, such as  {SAMPLE}"
