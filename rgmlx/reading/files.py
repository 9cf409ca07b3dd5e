"""Readings on the disk, by name: a directory each, in which one program reads and any may look.

| name | what it is |
| --- | --- |
| `state.rgstate` | the model's state after a whole chunk, and the place that it belongs to |
| `waiting.json` | a later place with the same state: what came since, and is less than a chunk |
| `notes.jsonl` | the model's own notes |
| `open/0.lock` | lock of the program that reads |

Each file is replaced as a whole; `waiting.json` counts only beside the state that it names. Knows JSON values and states;
nothing of what they mean.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ..errors import RgmlxError, StateError
from ..griffin.state import Owner, State, load_states, save_states
from ..shell import typed
from ..store.locks import ConversationLock, lock_conversation
from ..system import paths
from ..system.files import read_header
from ..system.private_files import make_private_directory
from ..system.reading import MAX_SETTINGS, parse_json, read_json
from ..system.textfiles import reason, replace_text

FOLDER = "reading"
"""Of readings, in the user's data directory or the one that is named instead."""
STATE, WAITING, NOTES = "state.rgstate", "waiting.json", "notes.jsonl"
MAX_NAME_BYTES = 200
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
_FORMAT, _VERSION = "rgmlx-reading", 1


def directory() -> Path:
    """Where readings are, unless another directory is named."""
    return paths.data() / FOLDER


def _folder(name: str) -> str:
    """The name as that of a directory: of plain characters, and another one for each name wherever case does not count."""
    data = unicodedata.normalize("NFC", name.strip()).encode("utf-8", "replace")
    return "".join(chr(b) if b in _PLAIN else f"%{b:02x}" for b in data)


def check_name(name: str) -> None:
    """Raises RgmlxError: this can't be the name of a reading."""
    if not name.strip() or not name.isprintable() or len(_folder(name)) > MAX_NAME_BYTES:
        raise RgmlxError("a reading's name has one to some sixty characters on one line: choose another")


@dataclass(frozen=True)
class Summary:
    """What there is to tell of a reading without its model.

    Attributes:
        tokens: as far as it was saved, but for the end of the text that is no whole line yet.
        saved: seconds since 1970.
        size: bytes of all its files.
    """

    name: str
    model: str
    tokens: int
    bytes: int
    saved: float
    size: int


class ReadingFiles:
    """The files of one reading. `take` it to write."""

    def __init__(self, name: str, where: str | Path | None = None) -> None:
        """Raises RgmlxError: this can't be the name of a reading."""
        check_name(name)
        self.name = name.strip()
        self.path = (directory() if where is None else paths.expanded(where)) / _folder(name)
        self._lock: ConversationLock | None = None
        self._of = ""  # the state's mark, which `waiting.json` names

    @property
    def exist(self) -> bool:
        """Whether something was saved."""
        return os.path.lexists(self.path / STATE)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        size = 0
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.path):
                size += entry.stat(follow_symlinks=False).st_size if entry.is_file(follow_symlinks=False) else 0
        return size

    def take(self) -> None:
        """Keeps other programs from reading under this name, until `release` or the end of this one.

        Raises:
            RgmlxError: another one does. StoreError: the directory can't be made.
        """
        try:
            if not self.path.parent.exists():
                make_private_directory(self.path.parent)
            make_private_directory(self.path)
        except OSError as e:
            raise RgmlxError(
                f"{self.path} can't be made ({reason(e)}): allow that, or name another directory"
            ) from None
        self._lock = lock_conversation(self.path, 0)
        if self._lock is None:
            raise RgmlxError(
                f"“{self.name}” is being read by another program: end that one, or choose another name "
                "(a question alone may be asked beside it)",
                quotes=(self.name,),
            )
        for left in self.path.glob(".rg*-*"):  # of a program that was killed while it wrote
            with contextlib.suppress(OSError):
                left.unlink()

    def release(self) -> None:
        """Lets other programs read under this name. Twice is fine."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # --- what is in them ------------------------------------------------------------------

    def save(self, state: State, record: Mapping[str, Any]) -> None:
        """Writes a state, and what belongs to it. Raises StateError: it can't be written; what was there before stays."""
        self._renew()
        of = secrets.token_hex(8)
        save_states(self.path / STATE, {"": state}, {"reading": {**self._head(of), **record}})
        self._of = of
        with contextlib.suppress(OSError):
            (self.path / WAITING).unlink(missing_ok=True)

    def save_waiting(self, record: Mapping[str, Any]) -> None:
        """Writes what belongs to the state that was saved last, by now. Raises StateError as `save`."""
        self._renew()
        path = self.path / WAITING
        try:
            replace_text(path, json.dumps({**self._head(self._of), **record}))
        except (OSError, ValueError) as e:
            raise StateError(f"{path} can't be written ({reason(e)}); nothing was changed") from None

    def load(self, model: Owner) -> tuple[State, list[Mapping[str, Any]]] | None:
        """The state that was saved last, and what belongs to it, the latest first; None where nothing was saved.

        Raises:
            StateError: a file is damaged, or another model's.
        """
        if not self.exist:
            return None
        states, extra = load_states(self.path / STATE, model)
        records = [_record(extra, self.path / STATE)]
        if "" not in states:
            raise damaged(self.path / STATE, self.name)
        self._of = str(records[0].get("of", ""))
        return states[""], [*self._later(self._of), *records]

    def summary(self) -> Summary:
        """What there is to tell of it. Raises StateError: the file is damaged."""
        path = self.path / STATE
        _, metadata = read_header(path, StateError)
        try:
            record = _record(parse_json(metadata["extra"]), path)
            record = next(iter(self._later(str(record["of"]))), record)
            tokens = parse_json(metadata["states"])[""]["positions"][0] + len(record["unread"])
            name, model, saved = record["name"], record["model"], record["saved"]
            return Summary(str(name), str(model), int(tokens), int(record["bytes"]), float(saved), self.size)
        except (ValueError, KeyError, TypeError, LookupError):
            raise damaged(path, self.name) from None

    def _later(self, of: str) -> list[Mapping[str, Any]]:
        """What was saved after a state, if anything was; damaged, it is lost, and no more."""
        with contextlib.suppress(OSError, ValueError):
            later = read_json(self.path / WAITING, MAX_SETTINGS)
            if isinstance(later, dict) and of and later.get("of") == of:
                return [later]
        return []

    def delete(self) -> None:
        """Removes all files. Raises RgmlxError: another program reads, or a file can't be removed."""
        self.take()
        try:
            for name in (WAITING, STATE, NOTES):  # in an order that leaves no later place without its state
                (self.path / name).unlink(missing_ok=True)
        except OSError as e:
            raise RgmlxError(f"{self.path} can't be removed ({reason(e)}): allow that, and try again") from None
        finally:
            self.release()
        shutil.rmtree(self.path, ignore_errors=True)

    def _head(self, of: str) -> dict[str, Any]:
        return {"format": _FORMAT, "version": _VERSION, "of": of, "name": self.name, "saved": time.time()}

    def _renew(self) -> None:
        if self._lock is not None:
            self._lock.renew()


def _record(extra: Any, path: Path) -> Mapping[str, Any]:
    """What belongs to a state. Raises StateError."""
    record = extra.get("reading") if isinstance(extra, dict) else None
    if not isinstance(record, dict) or record.get("format") != _FORMAT:
        raise StateError(f"{path} is not the state of a reading")
    if record.get("version") != _VERSION:
        raise StateError(f"{path} was written by a newer rgmlx: update rgmlx to read on")
    return record


def damaged(path: Path, name: str) -> StateError:
    """The error for a file in which something else stands than was written."""
    return StateError(
        f"{path} is damaged: {typed('rgmlx read')} --delete NAME removes the reading “{name}”", quotes=(name,)
    )


def listed(where: str | Path | None = None) -> list[Summary]:
    """All readings that can be told of, the latest first."""
    root, found = directory() if where is None else paths.expanded(where), list[Summary]()
    with contextlib.suppress(OSError):
        for folder in sorted(os.listdir(root)):
            with contextlib.suppress(RgmlxError):
                found.append(ReadingFiles(unquote(folder), root).summary())
    return sorted(found, key=lambda one: -one.saved)
