"""A file that a command writes its output to: whole in the end, or as it was before. Knows paths and text.

What is written goes to a file beside it, which takes its place when all is there. A pipe or a device (`/dev/null`,
`/dev/fd/63`) has no place to take: it is written as the text comes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import TextIO

from ..errors import RgmlxError
from .disk import flush, sync_directory
from .paths import expanded
from .textfiles import reason


class OutputFile:
    """A file that is being written. As a context it is left as it was, unless `commit` was called.

    A new file has the mode that the umask gives one; a file that is replaced hands its own on, and a link stays one.
    """

    def __init__(self, name: str) -> None:
        """Begins it, so that a place where nothing can be written is refused before there is anything to write.

        Raises:
            RgmlxError: it names a folder, or no file can be written there.
        """
        if not name.strip():
            raise RgmlxError("the name of the output file is empty: name one, or - for standard output")
        self.path = expanded(name)
        self._temporary: Path | None = None
        self._file: TextIO | None = None
        try:
            mode = self._mode()
            is_file = mode is None or stat.S_ISREG(mode)
            # What /dev/fd/63 stands for has no name that it could be opened by.
            self._target = Path(os.path.realpath(self.path)) if is_file else self.path
            if name.endswith("/") or (mode is not None and stat.S_ISDIR(mode)):
                raise RgmlxError(f"{self.path} is a folder: add the name of a file to it")
            if mode is not None and not os.access(self._target, os.W_OK):
                raise RgmlxError(f"{self.path} may not be written: change its permissions, or name another file")
            self._file = self._beside(mode) if is_file else self._direct()
        except (OSError, ValueError) as e:
            raise self._refusal(e) from None

    def write(self, text: str) -> None:
        """Adds a text. What UTF-8 can't hold becomes a question mark. Raises RgmlxError: the disk is full, say."""
        assert self._file is not None
        try:
            self._file.write(text)
            if self._temporary is None:
                self._file.flush()
        except BrokenPipeError:
            raise  # as of the standard output: the reader went away
        except (OSError, ValueError) as e:
            raise self._refusal(e) from None

    def commit(self) -> None:
        """Flushes the file to the disk and puts it in its place. Raises RgmlxError; what was there is as it was."""
        assert self._file is not None
        try:
            self._file.flush()
            if self._temporary is not None:
                flush(self._file.fileno())
                os.replace(self._temporary, self._target)
                self._temporary = None
                sync_directory(self._target.parent)
        except BrokenPipeError:
            raise
        except (OSError, ValueError) as e:
            raise self._refusal(e) from None
        self.close()

    def close(self) -> None:
        """Ends it where it is; without `commit` nothing of it stays. Twice is fine."""
        file, self._file = self._file, None
        temporary, self._temporary = self._temporary, None
        if file is not None:
            with contextlib.suppress(OSError, ValueError):
                file.close()
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()

    def __enter__(self) -> OutputFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _mode(self) -> int | None:
        """What is there; None for nothing."""
        try:
            return os.stat(self.path).st_mode
        except FileNotFoundError:
            return None

    def _direct(self) -> TextIO:
        return open(self._target, "w", encoding="utf-8", errors="replace", newline="\n")

    def _beside(self, mode: int | None) -> TextIO:
        self._temporary = self._target.parent / f".rgmlx-{secrets.token_hex(8)}"
        try:
            # 0o666 less the umask, which no call tells without changing it.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._temporary, flags, 0o666)
        except BaseException:
            self._temporary = None
            raise
        if mode is not None:
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, stat.S_IMODE(mode) & 0o777)
        return os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n")

    def _refusal(self, error: Exception) -> RgmlxError:
        self.close()
        return RgmlxError(f"{self.path} can't be written ({reason(error)}): choose another place")
