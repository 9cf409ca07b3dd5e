"""Where answers go: a terminal, a pipe or a file; as text as it comes, or as JSON, an object a line.

Knows streams, files and forms; nothing of models. What a terminal is shown cannot command it (`system.printable`); a pipe and
a file get the text as it is.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping
from typing import Any

from ..errors import RgmlxError
from ..system.output_file import OutputFile
from ..system.printable import Cleaner


class Results:
    """Answers on their way out. As a context: a file is in its place only after `commit`."""

    def __init__(self, file: str | None, *, as_json: bool) -> None:
        """
        Args:
            file: where they go; None or `-` for standard output.
            as_json: `end` writes an object, and `piece` nothing.

        Raises:
            RgmlxError: the file can't be written.
        """
        self._file = None if file in (None, "-") else OutputFile(file or "")
        self._as_json, self._within = as_json, False
        self._cleaner = Cleaner() if self._file is None and sys.stdout.isatty() else None

    def piece(self, text: str) -> None:
        """Adds to the answer that is being written."""
        if not self._as_json:
            self._within = True
            self._write(text if self._cleaner is None else self._cleaner.feed(text))

    def end(self, answer: Mapping[str, Any]) -> None:
        """Ends it, with a line end. On a terminal an empty line follows all but the last: see `between`."""
        if self._as_json:  # without a character that a terminal obeys, or that an encoding lacks
            self._write(json.dumps(dict(answer)) + "\n")
            return
        self._within = False
        self._write((self._cleaner.finish() if self._cleaner else "") + "\n")

    def between(self) -> None:
        """Sets two answers apart, where people look at them: a program counts lines."""
        if self._cleaner is not None and not self._as_json:
            self._write("\n")

    def commit(self) -> None:
        """All is there: a file takes its place. Raises RgmlxError: it can't."""
        if self._file is not None:
            self._file.commit()

    def _write(self, text: str) -> None:
        if self._file is not None:
            self._file.write(text)
        else:
            print(text, end="", flush=True)

    def __enter__(self) -> Results:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._within and self._cleaner is not None and kind is not None and issubclass(kind, RgmlxError):
            with contextlib.suppress(OSError):
                self._write("\n")  # what is said of it is a line of its own
        if self._file is not None:
            self._file.close()
