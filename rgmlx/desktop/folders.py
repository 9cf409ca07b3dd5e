"""What agents do with a folder: new files get a name after what is in them, or an answer beside them.

A file is looked at once it is new (or, for answers, has none yet), is a file and no link, and keeps its size; at most `MOST`
a run, and none twice for as long as it stays as it is. Nothing is ever overwritten. Knows folders, and a function that asks.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import DesktopError
from ..system import cache
from ..system.textfiles import reason
from . import contents, filenames, places
from .asking import Ask

MOST = 10
"""Files a run; launchd begins another one when these have changed the folder."""
MINUTES = 60
"""For so long a file is new."""
ANSWER = ".answer.txt"
_NAME_CHARS, _NAME_TOKENS = 2_000, 40
_ANSWER_CHARS, _ANSWER_TOKENS = 100_000, 600
_ROUNDS, _PAUSE = 60, 2.0
_REMEMBERED = 500
_PARTIAL = (".crdownload", ".part", ".partial", ".download", ".tmp", ".opdownload", ".icloud", ".aria2", ".filepart")


@dataclass(frozen=True)
class Found:
    """A file as it was seen.

    Attributes:
        print: tells this content from a later one: size and time of change.
    """

    path: Path
    print: str


def look(folder: Path) -> dict[Path, os.stat_result]:
    """The files of a folder that somebody may want something of. Raises DesktopError: it can't be read."""
    found = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith((".", "~$")) or name.lower().endswith(_PARTIAL):
                    continue
                with contextlib.suppress(OSError):  # it is gone
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and status.st_size:
                        found[Path(folder, name)] = status
    except (OSError, ValueError) as e:
        raise DesktopError(f"{folder} can't be read ({reason(e)}): give another folder") from None
    return found


def new_files(folder: Path, *, minutes: float = MINUTES, now: float | None = None) -> list[Path]:
    """Files that came into a folder, or were written, within so many minutes; the newest first."""
    since = (time.time() if now is None else now) - 60 * minutes

    def came(status: os.stat_result) -> float:
        return max(getattr(status, "st_birthtime", status.st_ctime), status.st_mtime)

    found = {path: came(status) for path, status in look(folder).items()}
    return sorted((path for path, at in found.items() if at >= since), key=lambda path: (-found[path], path))


def settled(paths: Iterable[Path], wait: Callable[[float], None] = time.sleep) -> list[Found]:
    """The files once they keep their size; those that grow for two minutes, or vanish, are left for another time."""
    waiting = {path: seen for path in paths if (seen := _print(path))}
    order, done = list(waiting), dict[Path, str]()
    for _ in range(_ROUNDS):
        if not waiting:
            break
        wait(_PAUSE)
        for path, before in list(waiting.items()):
            now = _print(path)
            if now == before or not now:
                del waiting[path]
                if now:
                    done[path] = now
            else:
                waiting[path] = now
    return [Found(path, done[path]) for path in order if path in done]


def _print(path: Path) -> str:
    try:
        status = path.lstat()
    except (OSError, ValueError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns}" if stat.S_ISREG(status.st_mode) else ""


class Seen:
    """Files that were looked at before for some purpose, as they were then: in a file of ours, the last `_REMEMBERED`."""

    def __init__(self, purpose: str) -> None:
        self._path, self._purpose = places.ours() / places.SEEN, purpose
        self._known = cache.read(self._path, str)

    def has(self, found: Found) -> bool:
        return self._known.get(self._key(found)) == found.print

    def add(self, found: Found) -> None:
        self._known.pop(self._key(found), None)
        self._known[self._key(found)] = found.print
        cache.write(self._path, self._known, _REMEMBERED)

    def _key(self, found: Found) -> str:
        return f"{self._purpose} {found.path}"


def name_files(
    folder: Path,
    ask: Ask,
    question: str,
    tell: Callable[[str], None],
    *,
    minutes: float = MINUTES,
    dry_run: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Names the new files of a folder whose names were made by machines. A file that can't be read keeps its name.

    Args:
        tell: called with each sentence on what was done.
        dry_run: nothing is renamed.

    Returns:
        How many were renamed.

    Raises:
        DesktopError: the folder can't be read.
    """
    seen, count = Seen("name"), 0
    new = [path for path in new_files(folder, minutes=minutes) if filenames.is_made_by_machine(path.name)]
    for found in _next(settled(new, wait), seen):
        suffix = filenames.suffix_of(found.path.name)
        if suffix is None:
            continue
        try:
            text = contents.text_of(found.path, _NAME_CHARS)
            name = filenames.made_of(ask(question, text, _NAME_TOKENS, exact=True), suffix)
            if name is None:
                raise DesktopError(f"{found.path} keeps its name, as the model had no better one")
            if dry_run:
                tell(f"would rename {found.path} to {filenames.free_name(folder, name).name}")
            elif _print(found.path) == found.print:
                target = filenames.rename(found.path, name)
                tell(f"renamed {found.path} to {target.name}")
                seen.add(Found(target, found.print))
                count += 1
        except DesktopError as e:
            tell(str(e))
            if not dry_run:
                seen.add(found)
    return count


def answer_files(
    folder: Path,
    ask: Ask,
    question: str,
    tell: Callable[[str], None],
    *,
    dry_run: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> int:
    """Asks about each file of a folder that has no answer beside it, and writes one: NAME.answer.txt.

    Returns:
        How many were answered.

    Raises:
        DesktopError: the folder can't be read.
    """
    seen, count = Seen("answer"), 0
    files = [path for path in sorted(look(folder)) if not path.name.endswith(ANSWER)]
    waiting = [path for path in files if not os.path.lexists(_beside(path))]
    for found in _next(settled(waiting[: 20 * MOST], wait), seen):
        answer = _beside(found.path)
        if dry_run:
            tell(f"would ask about {found.path} and write {answer.name}")
            continue
        try:
            text = ask(question, contents.text_of(found.path, _ANSWER_CHARS), _ANSWER_TOKENS)
            with open(answer, "x", encoding="utf-8", errors="replace") as file:
                file.write(f"{text}\n")
            tell(f"wrote {answer}")
            count += 1
        except FileExistsError:
            tell(f"{answer} is there by now, and stays as it is")
        except (DesktopError, OSError, ValueError) as e:
            tell(str(e) if isinstance(e, DesktopError) else f"{answer} can't be written ({reason(e)})")
            seen.add(found)
    return count


def _beside(path: Path) -> Path:
    return path.with_name(f"{filenames.shortened(path.name, len(ANSWER))}{ANSWER}")


def _next(found: Iterable[Found], seen: Seen) -> list[Found]:
    return [one for one in found if not seen.has(one)][:MOST]
