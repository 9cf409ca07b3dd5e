"""Installs recipes into the user's Library and takes them out again: all files of a recipe or none, and only what was written.

The manifest comes first, with the hashes of what is going to be written, so that whatever ends the program in between leaves
files that are known. A file with another content than the manifest has is the user's: it is neither replaced nor removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DesktopError
from ..shell import program as program_of
from ..shell import typed
from ..system import debug_log, macos, reading
from ..system.paths import expanded
from ..system.reading import open_regular
from ..system.textfiles import reason
from . import agent, places, workflow
from .places import Installed, library
from .recipes import Kind, Recipe
from .tools import find, run

SYSTEM = "/System/Library/CoreServices"
_RUNTIME = (places.LOG, places.DIGESTS, places.SEEN, places.MANIFEST)


@dataclass
class Plan:
    """What installing a recipe writes and runs.

    Attributes:
        files: contents by path in the Library.
        start: of an agent.
    """

    recipe: Recipe
    program: Path
    settings: dict[str, Any]
    files: dict[str, bytes]
    start: agent.Start = field(default_factory=agent.Start)


def own_program() -> Path:
    """The rgmlx that recipes will run: this installation's. Raises DesktopError: it has no such program."""
    found = program_of("rgmlx")
    if found is None:
        raise DesktopError(
            "there is no program rgmlx beside this Python for a recipe to run: install the package, as with `uv tool install`"
        )
    return found


def plan(recipe: Recipe, settings: Mapping[str, Any], program: Path | None = None) -> Plan:
    """What would be installed of a recipe.

    Args:
        settings: by name; those that the recipe does not take are an error.
        program: an rgmlx; None for this installation's.

    Raises:
        DesktopError: a setting is wrong or missing, or a path can't be in a property list.
    """
    given = {name: value for name, value in settings.items() if value not in (None, [], ())}
    for name in given:
        if name not in recipe.settings:
            takes = ", ".join(f"--{setting}" for setting in recipe.settings) or "no options"
            raise DesktopError(f"--{name} is not of the recipe {recipe.name}, which takes {takes}")
    program = program or own_program()
    if isinstance(model := given.get("model"), str) and os.path.isdir(expanded(model)):
        given["model"] = agent.absolute([model])[0]  # recipes run in another directory
    if recipe.kind is not Kind.AGENT:
        files = workflow.files(recipe, program) if recipe.kind is not Kind.GUIDE else {}
        return Plan(recipe, program, given, files)
    start = _start(recipe, given)
    return Plan(recipe, program, given, agent.files(recipe, program, start), start)


def _start(recipe: Recipe, given: dict[str, Any]) -> agent.Start:
    if recipe.name == "log-digest":
        hour, minute = agent.clock(given.get("at", "18:00"))
        return agent.Start(agent.absolute(given.get("log", ())), hour=hour, minute=minute)
    if recipe.name == "watch-folder" and "folder" not in given:
        raise DesktopError("watch-folder needs a folder: add --folder DIRECTORY")
    for folder in agent.absolute(given.get("folder", ())):
        if not os.path.isdir(folder):
            raise DesktopError(f"{folder} is no folder: name one that exists with --folder")
    folders = agent.absolute(given.get("folder", ("~/Desktop", "~/Downloads")))
    return agent.Start(folders, folders)


def require_mac() -> None:
    """Raises DesktopError: this is no Mac, so that nothing would run what is installed."""
    if not macos.here():
        raise DesktopError(
            "Services and launch agents are macOS's, and this is another system: --dry-run shows what a Mac would get"
        )


def install(planned: Plan, tell: Callable[[str], None]) -> None:
    """Writes the files of a recipe and has macOS know them. Doing it again changes nothing.

    Args:
        tell: called with each path and command, as it is done.

    Raises:
        DesktopError: it can't be done; nothing is left of it.
    """
    require_mac()
    recipe, files = planned.recipe, planned.files
    known = places.read_manifest()
    before = known.get(recipe.name)
    found = current(files, before)
    if before is not None and set(before.hashes) - set(files):
        raise DesktopError(f"{recipe.name} is there from another version: uninstall it first, then install it")
    new = {name: places.digest(data) for name, data in files.items()}
    written = {name for name in files if found[name] != new[name]}
    made = places.missing_directories(files)
    after = Installed(
        str(planned.program),
        planned.settings,
        {name: [hash] for name, hash in new.items()},
        sorted({*(before.directories if before else ()), *made}),
    )
    is_loaded_anew = recipe.kind is Kind.AGENT and (bool(written) or before is None)
    if not written and before == after:
        for name in files:
            tell(f"unchanged {library() / name}")
        return
    while_written = Installed(
        after.program,
        after.settings,
        {name: sorted({new[name], *(before.hashes.get(name, []) if before else [])}) for name in files},
        after.directories,
    )
    with _undone(written, made, dict(known)):
        for name in made:
            (library() / name).mkdir(parents=True, exist_ok=True)
        places.write_manifest({**known, recipe.name: while_written})
        for name, data in files.items():
            if name in written:
                places.write(library() / name, data)
        places.write_manifest({**known, recipe.name: after})
        for name in files if is_loaded_anew else ():
            agent.load(recipe, library() / name)
    for name in files:
        tell(f"{'wrote' if name in written else 'unchanged'} {library() / name}")
        if is_loaded_anew:
            tell(f"ran {' '.join(agent.load_command(library() / name))}")
    tell(f"wrote {places.ours() / places.MANIFEST}")
    if recipe.kind is not Kind.AGENT:
        _refresh(tell)


def current(files: Mapping[str, bytes], before: Installed | None) -> dict[str, str | None]:
    """The hashes of what is in the places of files. Raises DesktopError: something there is not ours."""
    found: dict[str, str | None] = {}
    for name, data in files.items():
        path = library() / name
        try:
            found[name] = places.hash_of(path)
        except OSError as e:
            raise DesktopError(f"{path} can't be read ({reason(e)}): move it away") from None
        accepted = [*(before.hashes.get(name, []) if before else []), places.digest(data)]
        if found[name] is not None and found[name] not in accepted:
            whose = "you have changed" if before and name in before.hashes else "rgmlx did not write"
            raise DesktopError(f"there is a file that {whose}, and it stays: move {path} away first")
        for parent in (path.parent, path.parent.parent):
            if parent != library() and parent.suffix == ".workflow" and parent.is_symlink():
                raise DesktopError(f"{parent} is a link, which rgmlx did not make: move it away first")
    return found


@contextlib.contextmanager
def _undone(written: set[str], made: list[str], known: dict[str, Installed]) -> Iterator[None]:
    """Puts everything back that the block changes, if it ends by an exception."""
    contents: dict[str, bytes | None] = {}
    try:
        for name in written:
            path = library() / name
            contents[name] = reading.read_bytes(path, reading.MAX_SETTINGS) if path.exists() else None
        yield
    except BaseException as e:
        for name, data in contents.items():
            with contextlib.suppress(OSError):
                if data is None:
                    (library() / name).unlink(missing_ok=True)
                else:
                    places.write(library() / name, data)
        with contextlib.suppress(OSError):
            places.write_manifest(known)
        for name in reversed(made):
            with contextlib.suppress(OSError):
                (library() / name).rmdir()
        if isinstance(e, OSError):
            raise DesktopError(
                f"{e.filename or library()} can't be written ({reason(e)}): nothing was installed"
            ) from None
        raise


def uninstall(recipe: Recipe, tell: Callable[[str], None], *, dry_run: bool = False) -> None:
    """Removes what was written of a recipe, and nothing else. What the user has changed stays, and is named.

    Raises:
        DesktopError: it is not installed, or something can't be removed.
    """
    known = places.read_manifest()
    if recipe.name not in known:
        raise DesktopError(f"{recipe.name} is not installed: `{typed('rgmlx desktop')} list` shows what is")
    before = known.pop(recipe.name)
    if recipe.kind is Kind.AGENT and macos.here():
        _unload(recipe, tell, dry_run)
    kept = [name for name, hashes in before.hashes.items() if not _remove(library() / name, hashes, tell, dry_run)]
    if not known:  # what recipes have kept as they ran, and the manifest
        for name in _RUNTIME:
            _remove(places.ours() / name, None, tell, dry_run)
    if dry_run:
        return
    _leave_directories(before, known)
    try:
        places.write_manifest(known)
    except OSError as e:
        raise DesktopError(f"{places.ours() / places.MANIFEST} can't be written ({reason(e)}): try again") from None
    for name in sorted({*before.directories, *([] if known else [places.OURS])}, reverse=True):  # from below
        with contextlib.suppress(OSError):  # something of others is in it
            (library() / name).rmdir()
    for bundle in {(library() / name).parent.parent for name in before.hashes if not kept}:
        if bundle.suffix == ".workflow" and bundle.is_dir():
            tell(f"kept {bundle}: there is something in it that rgmlx did not write")
    if recipe.kind is not Kind.AGENT and macos.here():
        _refresh(tell)


def _unload(recipe: Recipe, tell: Callable[[str], None], dry_run: bool) -> None:
    command = " ".join(agent.unload_command(recipe))
    if dry_run:
        tell(f"would run {command}")
        return
    try:
        agent.unload(recipe)
        tell(f"ran {command}")
    except DesktopError as e:
        tell(f"{e}: it ends when you log out")


def _remove(path: Path, hashes: list[str] | None, tell: Callable[[str], None], dry_run: bool) -> bool:
    """Removes a file, if it is as it was written; whether it is gone. Raises DesktopError: it can't be removed.

    Args:
        hashes: of what was written; None for whatever is in it.
    """
    try:
        if not dry_run:
            places.unfinished(path).unlink(missing_ok=True)
        found = places.hash_of(path) if hashes is not None or os.path.lexists(path) else None
        if found is None:
            return True
        if hashes is not None and found not in hashes:
            tell(f"kept {path}: you have changed it")
            return False
        if not dry_run:
            path.unlink()
    except OSError as e:
        raise DesktopError(f"{path} can't be removed ({reason(e)}): remove it by hand, then try again") from None
    tell(f"{'would remove' if dry_run else 'removed'} {path}")
    return True


def _leave_directories(before: Installed, known: dict[str, Installed]) -> None:
    """Directories that a recipe made and that others are in are removed with the last of those."""
    if known:
        heir = next(iter(known.values()))
        shared = [name for name in before.directories if ".workflow" not in name]
        heir.directories = sorted({*heir.directories, *shared})


def _refresh(tell: Callable[[str], None]) -> None:
    """Has the Services menu read the folder again."""
    try:
        pbs = find("pbs", SYSTEM)
        run(pbs, "-flush")
        run(pbs, "-update")
    except DesktopError as e:
        debug_log.caught(e, "the Services menu is not read again")
        tell("the Services menu could not be told: log out and in to see the change")


def state(recipe: Recipe, known: Mapping[str, Installed]) -> str:
    """What is the matter with a recipe, in a few words: "" where it is not installed."""
    one = known.get(recipe.name)
    if one is None:
        return ""
    if missing := _missing(one.program):
        return f"broken: there is no {missing} any more; install it again"
    try:
        found = {name: places.hash_of(library() / name) for name in one.hashes}
    except OSError as e:
        return f"broken: {reason(e)}"
    if None in found.values() or set(found) != set(_names(recipe)):
        return "broken: files of it are missing; install it again"
    if any(hash not in one.hashes[name] for name, hash in found.items()):
        return "installed, and changed by you"
    return "installed"


def _missing(program: str) -> str:
    """The program or its Python, where that was moved or removed; "" where both are there."""
    if not os.access(program, os.X_OK):
        return program
    try:
        with open_regular(Path(program)) as file:
            first = file.read(512).partition(b"\n")[0]
    except OSError:
        return program
    interpreter = os.fsdecode(first[2:].strip()) if first.startswith(b"#!/") else ""
    return "" if not interpreter or " " in interpreter or os.access(interpreter, os.X_OK) else interpreter


def _names(recipe: Recipe) -> list[str]:
    """The files of a recipe."""
    if recipe.kind is Kind.GUIDE:
        return []
    made = agent.files(recipe, Path("/rgmlx"), agent.Start())
    return list(made if recipe.kind is Kind.AGENT else workflow.files(recipe, Path("/rgmlx")))


def settings_of(name: str) -> dict[str, Any]:
    """What a recipe was installed with; nothing where it is not. Raises DesktopError: the manifest is damaged."""
    one = places.read_manifest().get(name)
    return dict(one.settings) if one is not None else {}
