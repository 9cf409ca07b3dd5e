"""Where things are in the user's Library, and the manifest: which files were written there, with their hashes.

The manifest is JSON in ~/Library/Application Support/rgmlx/desktop, beside what recipes keep as they run. What it says is
not trusted: a name in it that no recipe writes is passed over. Knows names and hashes; no property lists.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DesktopError
from ..system import debug_log, macos
from ..system.disk import flush
from ..system.paths import data, expanded
from ..system.reading import TooLarge, read_bytes, read_json
from ..system.textfiles import reason

OURS = "Application Support/rgmlx/desktop"
MANIFEST = "installed.json"
LOG = "desktop.log"
DIGESTS = "digests.txt"
SEEN = "seen.json"
MOST = 1_000_000
"""Bytes of any file of ours."""
_WRITTEN = re.compile(
    r"Services/[^/\0]{1,100}\.workflow/Contents/(?:Info\.plist|document\.wflow)|LaunchAgents/rgmlx\.[a-z-]{1,40}\.plist"
)


def library() -> Path:
    """The user's Library."""
    return expanded("~") / "Library"


def ours() -> Path:
    """The directory of our own in it; on other systems the one that they have for it."""
    return library() / OURS if macos.here() else data().parent / "desktop"


@dataclass
class Installed:
    """What was installed of one recipe.

    Attributes:
        program: the rgmlx that its files name.
        settings: what it was installed with.
        hashes: SHA-256 of each file, by its path in the Library; of several contents while they are being written.
        directories: those that were made for it, in the Library.
    """

    program: str
    settings: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, list[str]] = field(default_factory=dict)
    directories: list[str] = field(default_factory=list)


def read_manifest() -> dict[str, Installed]:
    """What is installed, by recipe. Raises DesktopError: the manifest is damaged."""
    path = ours() / MANIFEST
    try:
        return {name: _installed(one) for name, one in read_json(path, MOST)["recipes"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as e:
        debug_log.caught(e, "the manifest is not read")
        why = reason(e) if isinstance(e, OSError) else "it is damaged"
        raise DesktopError(f"{path} can't be read ({why}): remove it, then remove what it listed by hand") from None


def _installed(entry: Any) -> Installed:
    hashes = {
        str(name): [str(one) for one in found]
        for name, found in entry["files"].items()
        if _WRITTEN.fullmatch(str(name)) and "/../" not in f"/{name}"
    }
    directories = [str(one) for one in entry["directories"] if str(one) in _parents(hashes)]
    settings = {
        str(name): value
        for name, value in entry["settings"].items()
        if isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))
    }
    return Installed(str(entry["program"]), settings, hashes, directories)


def write_manifest(installed: dict[str, Installed]) -> None:
    """Keeps what is installed; where nothing is, the manifest goes. Raises OSError."""
    path = ours() / MANIFEST
    if not installed:
        for file in (path, unfinished(path)):
            file.unlink(missing_ok=True)
        return
    manifest = {
        "version": 1,
        "recipes": {
            name: {
                "program": one.program,
                "settings": one.settings,
                "files": one.hashes,
                "directories": one.directories,
            }
            for name, one in installed.items()
        },
    }
    write(path, json.dumps(manifest, indent=1).encode())


def _parents(names: Iterable[str]) -> set[str]:
    """The directories in the Library that files of these names are in."""
    return {str(parent) for name in [*names, f"{OURS}/{MANIFEST}"] for parent in Path(name).parents} - {"."}


def missing_directories(names: Iterable[str]) -> list[str]:
    """The directories that must be made for files of these names, from above."""
    return sorted(name for name in _parents(names) if not (library() / name).is_dir())


def digest(content: bytes) -> str:
    """The hash of a content."""
    return hashlib.sha256(content).hexdigest()


def hash_of(path: Path) -> str | None:
    """The hash of what is there now; "" of what is none of our files, None of nothing. Raises OSError."""
    if path.is_symlink() or path.is_dir():
        return ""
    try:
        content = read_bytes(path, MOST)
    except TooLarge:
        return ""
    except (FileNotFoundError, NotADirectoryError):
        return None
    return digest(content)


def write(path: Path, content: bytes) -> None:
    """Writes a file: beside it first, flushed, then renamed over it. Raises OSError; what was there is as it was."""
    temporary = unfinished(path)
    try:
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, 0o644), "wb") as file:
            file.write(content)
            file.flush()
            flush(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def unfinished(path: Path) -> Path:
    """What a file is called while it is being written."""
    return path.with_name(f".{path.name}.rgmlx")
