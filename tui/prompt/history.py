"""What was sent before, for the prompt: in memory, and in a file of a line each.

Knows files and locks, and no widgets. Several programs may have the file open: each appends under a lock, and the one
that finds it too large writes it anew. History is a convenience: a file that can't be read or written is no error.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from rgmlx.system import debug_log
from rgmlx.system.private_files import make_private

from ..terminal.typed import lines

MAX_ENTRIES = 1_000
MAX_BYTES = 1_000_000
"""Of the file, and so of what is held in memory."""
MAX_ENTRY = 100_000
"""Characters; a longer prompt is in its conversation, and not here."""
_PATIENCE = 0.2  # seconds for another program to finish its line


class History:
    """Sent prompts, the newest last."""

    def __init__(self, path: str | Path | None) -> None:
        """Reads what is there.

        Args:
            path: the file, made when first needed; None keeps nothing beyond this run.
        """
        self._path = Path(path) if path is not None else None
        if self._path is not None:
            make_private(self._path)
        found = _read(self._path) if self._path else []
        self._lines = len(found)  # of the file, as far as we know
        self._entries = _within(found)
        self._size = sum(len(_line(text)) for text in self._entries)

    @property
    def entries(self) -> tuple[str, ...]:
        """All of them, the newest last."""
        return tuple(self._entries)

    def add(self, text: str) -> None:
        """Keeps a prompt, unless it is empty, much too long, or the one before once more."""
        if not text.strip() or len(text) > MAX_ENTRY or self._entries[-1:] == [text]:
            return
        self._entries.append(text)
        self._size += len(_line(text))
        while len(self._entries) > MAX_ENTRIES or self._size > MAX_BYTES:
            self._size -= len(_line(self._entries.pop(0)))
        if self._path is not None:
            self._lines += 1
            if _append(self._path, text, shorten=self._lines > 2 * MAX_ENTRIES):
                self._lines = len(self._entries)

    def search(self, text: str) -> list[str]:
        """The prompts with all words of the text, in any case; the newest first, and each once."""
        words = text.casefold().split()
        return [
            entry
            for entry in dict.fromkeys(reversed(self._entries))
            if all(word in folded for folded in (entry.casefold(),) for word in words)
        ]


class Walk:
    """A way through older prompts and back, on which nothing that was typed is lost: not the draft one came from, and
    not what one changed in an older prompt."""

    def __init__(self, entries: tuple[str, ...], draft: str) -> None:
        self._entries, self._texts = entries, dict(enumerate((*entries, draft)))
        self._at = len(entries)
        self._visited = {self._at}

    def move(self, step: int, current: str) -> str | None:
        """Goes to an older (-1) or newer (1) text.

        Args:
            current: what has become of the text one is at.

        Returns:
            None at the end of the way.
        """
        if self._at + step not in self._texts:
            return None
        self._texts[self._at] = current
        self._at += step
        self._visited.add(self._at)
        return self._texts[self._at]

    @property
    def draft(self) -> str:
        """What one came from; "" where one is at it."""
        return self._texts[len(self._entries)] if self._at < len(self._entries) else ""

    def typed(self, current: str, whole: Callable[[str], str]) -> list[str]:
        """What was typed on the way: the draft, and what has become of older prompts; that at which one is first.

        Args:
            current: what has become of the text one is at.
            whole: what a text stands for.
        """
        texts = {number: self._texts[number] for number in self._visited} | {self._at: current}
        order = sorted(texts, key=lambda number: (number != self._at, -number))
        found = [(number, whole(texts[number])) for number in order]
        return [text for number, text in found if text != lines("".join(self._entries[number : number + 1]))]

    @property
    def texts(self) -> Iterable[str]:
        """All that one can come to."""
        return self._texts.values()


def _line(text: str) -> bytes:
    return json.dumps({"text": text}).encode() + b"\n"  # ASCII: a lone surrogate survives, too


def _within(entries: list[str]) -> list[str]:
    """The newest of them, as many as may be kept."""
    kept: list[str] = []
    size = 0
    for text in reversed(entries[-MAX_ENTRIES:]):
        size += len(_line(text))
        if size > MAX_BYTES:
            break
        kept.append(text)
    return kept[::-1]


def _parse(data: bytes) -> list[str]:
    entries: list[str] = []
    for line in data.splitlines():
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):  # damaged, or of another program
            continue
        text = value.get("text") if isinstance(value, dict) else None
        if isinstance(text, str) and 0 < len(text) <= MAX_ENTRY and entries[-1:] != [text]:
            entries.append(text)
    return entries


def _read(path: Path) -> list[str]:
    try:
        if not path.is_file():
            return []
        with path.open("rb") as file:
            return _parse(_tail(file.fileno()))
    except OSError as e:
        debug_log.caught(e, "there is no history")
        return []


def _tail(descriptor: int) -> bytes:
    """The end of the file, which may be of any size; a first line that is cut is damaged, and left out as such."""
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, 2 * MAX_BYTES, max(0, size - 2 * MAX_BYTES))


def _append(path: Path, text: str, shorten: bool) -> bool:
    """Writes a line; whether the file was written anew, which it is when asked for or when it is large."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            return False  # a pipe would keep us waiting
        descriptor = _open_locked(path)
    except OSError as e:
        debug_log.caught(e, "the history is not kept")
        return False
    if descriptor is None:
        return False
    try:
        size = os.fstat(descriptor).st_size
        whole = size == 0 or os.pread(descriptor, 1, size - 1) == b"\n"
        os.write(descriptor, (b"" if whole else b"\n") + _line(text))  # a line that was cut stays alone with its damage
        if shorten or size > 2 * MAX_BYTES:
            _rewrite(path, descriptor)
            return True
        return False
    except OSError as e:
        debug_log.caught(e, "the history is not kept")
        return False
    finally:
        os.close(descriptor)  # and the lock with it


def _open_locked(path: Path) -> int | None:
    """The file, ours alone; None when another program does not let go of it."""
    end = time.monotonic() + _PATIENCE
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except FileNotFoundError:  # written anew, or removed, between the two: once more
            pass
        except BlockingIOError:
            time.sleep(0.01)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if time.monotonic() > end:
            return None


def _rewrite(path: Path, descriptor: int) -> None:
    """Puts a short file in the place of the long one, whole at every moment."""
    lines = [_line(text) for text in _within(_parse(_tail(descriptor)))]
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with open(fresh, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.writelines(lines)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
