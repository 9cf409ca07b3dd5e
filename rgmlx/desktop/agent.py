"""Launch agents: the property list of one (man 5 launchd.plist), and launchctl, which hands it to launchd at once.

An agent's arguments are a list, which no shell reads. launchd starts it when something in a folder changes (WatchPaths), or
at a time of the day (StartCalendarInterval; after a sleep as soon as the Mac wakes), at most every half minute. Its output
goes nowhere, as launchd would let a file of it grow for ever: it keeps a log of its own. Nothing here has run on a Mac.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from ..errors import DesktopError
from ..system.paths import expanded
from .recipes import Recipe
from .tools import ToolFailed, run
from .workflow import plist

THROTTLE = 30
"""Seconds between two starts at least."""
_AGAIN, _PAUSE = 10, 0.5
"""How often launchctl is asked again, and after how many seconds: for a moment after a bootout, bootstrap fails with
"5: Input/output error" (openclaw/openclaw#136453)."""


@dataclass(frozen=True)
class Start:
    """When an agent starts, and with what.

    Attributes:
        arguments: after `rgmlx desktop run NAME`.
        folders: it starts when something changes in one of them.
        hour, minute: it starts then, every day; None for never.
    """

    arguments: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    hour: int | None = None
    minute: int = 0


def files(recipe: Recipe, program: PurePath, start: Start) -> dict[str, bytes]:
    """The file of a recipe, by its path in ~/Library. Raises DesktopError: a path can't be in a property list."""
    return {f"LaunchAgents/{recipe.label}.plist": plist(definition(recipe, program, start))}


def definition(recipe: Recipe, program: PurePath, start: Start) -> dict[str, Any]:
    """The property list."""
    found: dict[str, Any] = {
        "Label": recipe.label,
        "LimitLoadToSessionType": "Aqua",  # it speaks through notifications
        "LowPriorityIO": True,
        "ProcessType": "Background",
        "ProgramArguments": [str(program), "desktop", "run", recipe.name, "--", *start.arguments],
        "ThrottleInterval": THROTTLE,
    }
    if start.folders:
        found["WatchPaths"] = list(start.folders)
    if start.hour is not None:
        found["StartCalendarInterval"] = {"Hour": start.hour, "Minute": start.minute}
    return found


def domain() -> str:
    """launchd's name for the session of this user at the screen."""
    return f"gui/{os.getuid()}"


def load_command(file: Path) -> list[str]:
    """Hands an agent to launchd."""
    return ["launchctl", "bootstrap", domain(), str(file)]


def unload_command(recipe: Recipe) -> list[str]:
    """Ends an agent and takes it from launchd."""
    return ["launchctl", "bootout", f"{domain()}/{recipe.label}"]


def load(recipe: Recipe, file: Path) -> None:
    """Has launchd start an agent from now on, in the place of one of that name.

    Raises:
        DesktopError: launchctl is missing or refuses.
    """
    was_there = unload(recipe)
    command = load_command(file)
    for attempt in range(_AGAIN if was_there else 2):
        try:
            run(*command)
            return
        except ToolFailed as e:
            refusal = e
            if attempt:
                time.sleep(_PAUSE)
    raise DesktopError(
        f"launchd does not take {file.name} ({refusal.said or refusal}): run this in Terminal on the Mac itself, not over SSH"
    )


def unload(recipe: Recipe) -> bool:
    """Ends an agent; whether there was one. Raises DesktopError: launchctl is missing."""
    with contextlib.suppress(ToolFailed):  # it says so where there is none
        run(*unload_command(recipe))
        return True
    return False


def clock(text: str) -> tuple[int, int]:
    """The hour and the minute of a time such as 18:00. Raises DesktopError: it is none."""
    hour, _, minute = text.partition(":")
    if not all(part.isascii() and part.isdigit() and len(part) <= 2 for part in (hour, minute)):
        raise DesktopError(f"--at takes a time of the day such as 18:00, not {text!r}", quotes=(text,))
    if int(hour) > 23 or int(minute) > 59:
        raise DesktopError(f"--at takes a time between 00:00 and 23:59, not {text!r}", quotes=(text,))
    return int(hour), int(minute)


def absolute(paths: Sequence[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Whole paths, as launchd knows no other."""
    return tuple(os.path.abspath(expanded(path)) for path in paths)
