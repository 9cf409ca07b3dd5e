"""What was typed and not sent, in the prompt or in the queue: a file for each conversation, and one for the next new one.

Knows files and numbers of conversations; no widgets and no database. A file is whole at every moment, and the user's
alone. Several programs may run: a new conversation's draft is in one of a few files, each of which one program holds.
What can't be written stays in memory until it can, and at the end goes into a file elsewhere. What was found in the place
of a draft, and was not read as one, is never written over.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rgmlx.store import Conversation, ConversationLock, DiskFullError, StoreError
from rgmlx.store.locks import lock_conversation
from rgmlx.system import debug_log
from rgmlx.system.disk import flush, is_out_of_space
from rgmlx.system.formatting import joined
from rgmlx.system.paths import dated_name
from rgmlx.system.reading import parse_json, read_text
from rgmlx.system.rescue_file import write_rescue_file
from rgmlx.system.textfiles import reason, replace_text

from . import queued
from .queued import Queued

MAX_CHARS = 2_000_000
"""Of a draft; a longer one is not kept before the end."""
_MAX_BYTES = 12 * MAX_CHARS + 10_000  # of its file: JSON writes some characters with twelve
MAX_FILES = 200
"""The oldest go when there are more."""
NEW_FILES = 8
"""Programs that may have a draft of a new conversation each."""
_NEW = [f"new-{number}.json" for number in range(NEW_FILES)]


@dataclass(frozen=True)
class Draft:
    """What was typed.

    Attributes:
        editing: the message that it is to take the place of.
        aside: what comes back into the prompt when that is done.
        queue: what waits until the model is free, in the order in which it is sent.
        held: the queue does not go on by itself.
    """

    text: str
    editing: int | None = None
    aside: str = ""
    queue: tuple[Queued, ...] = ()
    held: bool = False

    @property
    def blank(self) -> bool:
        """Whether there is nothing in it."""
        return not self.text.strip() and not self.queue

    @property
    def texts(self) -> list[str]:
        """All that it has, in the order in which it is sent."""
        return [one for one in (*(item.said for item in self.queue), self.text, self.aside) if one.strip()]


class Drafts:
    """All drafts of a data directory.

    Attributes:
        notices: sentences for the user: a draft that can't be read, or was set aside. Whoever shows one takes it out.
    """

    def __init__(self, directory: Path | None, *, make_room: Callable[[], None] = lambda: None) -> None:
        """Begins with what is there.

        Args:
            directory: made when first needed; None keeps drafts in memory.
            make_room: called when the disk is full, before a draft is given up: something else may give way. Never raises.
        """
        self.notices: list[str] = []
        self._directory, self._make_room = directory, make_room
        self._memory: dict[str, str] = {}
        self._claim: ConversationLock | None = None
        self._new = ""  # the name of the file of new conversations, once it is held
        self._lock = threading.Lock()
        self._tickets = itertools.count(1)
        self._last: dict[int | None, int] = {}  # the ticket of the last draft of a conversation
        self._unkept: dict[int | None, tuple[Conversation | None, Draft]] = {}  # what could not be written
        self._ours: set[str] = set()  # names of files that hold what was read or written here, or nothing

    def read(self, conversation: Conversation | None) -> Draft | None:
        """The draft of a conversation (None: of a new one); None where there is none."""
        with self._lock:
            row, draft = self._unkept.get(_number(conversation), (None, None))
            if draft is not None and _created(row) == _created(conversation):
                return None if draft.blank else draft
            return self._read(conversation)

    def ticket(self) -> int:
        """A number for a draft as it is now: `write` leaves alone what was written with a later one."""
        return next(self._tickets)

    def write(self, conversation: Conversation | None, draft: Draft, ticket: int) -> None:
        """Keeps a draft in place of the one before; one without a word removes it. From any thread.

        Raises:
            OSError: it can't be written; ValueError: it is too long. The one before is as it was, and this one is kept
                in memory: `read` finds it, and the next `write` tries again.
        """
        number = _number(conversation)
        with self._lock:
            if ticket <= self._last.get(number, 0):
                return
            self._last[number] = ticket
            self._unkept[number] = conversation, draft
            self._keep(number)
            for other in list(self._unkept):  # there may be room again
                with contextlib.suppress(OSError, ValueError):
                    self._keep(other)

    def close(self) -> None:
        """Lets another program have the draft of a new conversation."""
        if self._claim is not None:
            self._claim.release()
        self._claim, self._new = None, ""

    def rescue(self) -> str:
        """For the end of the program: what could not be written goes into files elsewhere, if it still can't be.

        Returns:
            A sentence that tells where; "" where all is kept.
        """
        lost, why = [], ""
        with self._lock:
            for number, (_, draft) in list(self._unkept.items()):
                try:
                    self._keep(number)
                except (OSError, ValueError) as e:
                    debug_log.caught(e, "a draft is not kept at the end")
                    if not draft.blank:
                        lost.append(joined(*draft.texts))
                        why = reason(e)
            self._unkept.clear()
            self.close()
        if not lost:
            return ""
        unsent = f"What you typed and did not send can't be kept in {self._directory} ({why})"
        files = [_written_elsewhere(text) for text in lost]
        if None not in files:
            return f"{unsent}: it is in {' and '.join(map(str, files))}"
        return "\n".join((f"{unsent}, nor in a file elsewhere: copy it from here.", *lost))

    # --- files ----------------------------------------------------------------------------

    def _read(self, conversation: Conversation | None) -> Draft | None:
        name = self._name(conversation)
        try:
            if not name and not (name := self._hold(self._left(), reading=True)):
                return None
            found = _parsed(self._text(name), conversation)
        except (OSError, ValueError) as e:
            self._met(name, e)
            return None
        if found is not None:
            self._ours.add(name)
        return found

    def _keep(self, number: int | None) -> None:
        """Writes a draft that is not kept yet. Raises OSError, ValueError."""
        try:
            self._keep_once(number)
        except OSError as e:
            if not is_out_of_space(e):
                raise
            self._make_room()
            self._keep_once(number)

    def _keep_once(self, number: int | None) -> None:
        conversation, draft = self._unkept[number]
        if sum(map(len, draft.texts)) > MAX_CHARS:
            raise ValueError(f"it has more than {MAX_CHARS:,} characters")
        name = self._name(conversation)
        if not name and not draft.blank:
            left = self._left()  # by programs that may have ended, since it was looked: those drafts are others'
            name = self._hold([*(one for one in _NEW if one not in left), *left])
        try:
            if name:
                self._write(name, conversation, draft)
        except (OSError, ValueError):
            if not self._has(name, conversation, draft):  # it may be from before
                raise
        del self._unkept[number]

    def _write(self, name: str, conversation: Conversation | None, draft: Draft) -> None:
        kept: dict[str, Any] = {"text": draft.text, "editing": draft.editing, "aside": draft.aside}
        if draft.queue:
            kept |= {"queue": queued.kept(draft.queue), "held": draft.held}
        text = json.dumps({"created": _created(conversation), **kept})
        if self._directory is None:
            self._memory[name] = "" if draft.blank else text
            return
        path = self._directory / name
        if name not in self._ours:  # a number that another conversation had before, say
            aside = dated_name(path, "rescued")
            if _move(path, aside):
                self.notices.append(f"What you had typed in another conversation was in {path}: it is kept in {aside}.")
            self._ours.add(name)
        if draft.blank:
            path.unlink(missing_ok=True)
        else:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_text(path, text)
            self._forget_oldest(self._directory)

    def _has(self, name: str, conversation: Conversation | None, draft: Draft) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return _parsed(self._text(name), conversation) == draft
        return False

    def _text(self, name: str) -> str:
        """What is in a file; "" where there is none."""
        if self._directory is None:
            return self._memory.get(name, "")
        try:
            return read_text(self._directory / name, _MAX_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def _name(self, conversation: Conversation | None) -> str:
        """The file of a conversation; "" for a new one until a file is held."""
        if conversation is not None:
            return f"{conversation.id}.json"
        return _NEW[0] if self._directory is None else self._new

    def _left(self) -> list[str]:
        """The files of new conversations that are there. Raises OSError: that can't be seen."""
        assert self._directory is not None
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            found = os.listdir(self._directory)
            return [name for name in _NEW if name in found]
        return []

    def _hold(self, names: Sequence[str], *, reading: bool = False) -> str:
        """Holds the first of these files that nobody else does; what is there can be read also where no lock can be made.

        Raises:
            OSError: none can be held; when `reading` the name is "" then.
        """
        assert self._directory is not None
        for name in names:
            try:
                self._claim = lock_conversation(self._directory, _NEW.index(name))
            except StoreError as e:
                if not reading:
                    full = isinstance(e, DiskFullError)
                    raise (OSError(errno.ENOSPC, str(e)) if full else OSError(str(e))) from None
            else:
                if self._claim is None:
                    continue
            self._new = name
            return name
        if reading:
            return ""
        raise OSError("other programs keep the drafts of new conversations")

    def _met(self, name: str, error: Exception) -> None:
        """Says that a draft can't be read, and keeps it from being written over."""
        assert self._directory is not None
        debug_log.caught(error, "a draft can't be read")
        path, why = self._directory / name, reason(error) if isinstance(error, OSError) else "it is damaged"
        said = f"What you had typed is in {path}, which can't be read ({why}): it is left there"
        try:
            if name:
                kept = dated_name(path, "damaged")
                _move(path, kept)
                said = f"What you had typed can't be read ({why}): what is left of it is in {kept}"
        except OSError:
            pass  # `_write` moves it, or leaves it alone
        self.notices.append(f"{said}.")

    def _forget_oldest(self, directory: Path) -> None:
        with contextlib.suppress(OSError):
            files = list(directory.glob("*.json"))
            if len(files) > MAX_FILES:
                files.sort(key=lambda file: file.stat().st_mtime)
                for file in files[: len(files) - MAX_FILES]:
                    file.unlink(missing_ok=True)


def _parsed(text: str, conversation: Conversation | None) -> Draft | None:
    """The draft that a file has; None where it has none, or another conversation's. Raises ValueError: it is damaged."""
    if not text:
        return None
    found = parse_json(text)
    if not isinstance(found, dict) or not isinstance(said := found.get("text"), str):
        raise ValueError("no draft")
    editing, aside = found.get("editing"), found.get("aside")
    editing = editing if isinstance(editing, int) and editing > 0 else None
    queue = queued.found(found.get("queue"))
    draft = Draft(said, editing, aside if isinstance(aside, str) else "", queue, held=found.get("held") is True)
    return None if draft.blank or found.get("created") != _created(conversation) else draft


def _move(path: Path, kept: Path) -> bool:
    """Whether there was something to be moved. Raises OSError."""
    try:
        os.rename(path, kept)
    except FileNotFoundError:
        return False
    return True


def _written_elsewhere(text: str) -> Path | None:
    """A fresh file with this text, which is the user's alone; None where none can be written."""

    def fill(path: Path) -> bool:
        with open(path, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(f"{text}\n")
            file.flush()
            flush(file.fileno())
        return True

    return write_rescue_file("unsent", ".txt", fill)


def _number(conversation: Conversation | None) -> int | None:
    return conversation.id if conversation is not None else None


def _created(conversation: Conversation | None) -> float | None:
    return conversation.created if conversation is not None else None
