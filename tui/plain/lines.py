"""The standard streams: lines and messages that come in, text that goes out, what was sent before.

Knows Python's line editor and where a message ends; nothing of what a message means.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import ModuleType

from rgmlx.errors import RgmlxError
from rgmlx.text import printable

from ..history import History

MAX_CHARS = 8_000_000
"""Of a message: as much as its files may have."""
BLOCK = '"""'
"""What a message of several lines stands between."""


class Lines:
    """The standard streams.

    Attributes:
        terminal: whether somebody types. Else the input is a file or a pipe, and what was read is written out as well.
        history: what was sent before.
    """

    def __init__(self, history: Path) -> None:
        """`history`: the file of it; of a pipe nothing is kept."""
        for stream in (sys.stdin, sys.stdout):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # neither side can be made to fail by a character
        self.terminal = sys.stdin.isatty()
        self.history = History(history if self.terminal else None)
        self._readline = _readline() if self.terminal and sys.stdout.isatty() else None
        for text in self.history.entries:
            self._recall(text)

    def write(self, text: str) -> None:
        """Writes a text as it is, at once."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def message(self) -> tuple[str, bool]:
        """What comes next, and whether it stood between two times three quotes, so that it is no command.

        A line that ends in one backslash goes on in the next one.

        Raises:
            EOFError, KeyboardInterrupt: so that nothing came.  RgmlxError: it is too long.
        """
        line = self.line("You: ")
        block = line.lstrip().startswith(BLOCK)
        line = line.lstrip().removeprefix(BLOCK) if block else line
        kept, size = list[str](), 0
        while True:
            bare = line.rstrip()
            ends = bare.endswith(BLOCK) if block else (len(line) - len(line.rstrip("\\"))) % 2 == 0
            if block == ends:
                line = bare.removesuffix(BLOCK) if block else line[:-1]
            size += len(line) + 1
            if size <= MAX_CHARS:
                kept.append(line)
            if ends:
                break
            try:
                line = self.line("More: ")
            except EOFError:
                break
        if size > MAX_CHARS:
            raise RgmlxError(f"a message may have {MAX_CHARS:,} characters: send a part of this")
        text = "\n".join(kept).strip("\n") if block else "\n".join(kept)
        if not self.terminal and text.strip():
            self.write(f"You: {printable(text)}\n")
        return text, block

    def line(self, prompt: str) -> str:
        """One line. Raises EOFError at the end of the input, KeyboardInterrupt, and RgmlxError for a line too long."""
        if self._readline is not None:
            return input(prompt)
        if self.terminal:
            self.write(prompt)
        text = sys.stdin.readline(MAX_CHARS)
        if not text:
            raise EOFError
        if len(text) == MAX_CHARS and not text.endswith("\n"):
            while (rest := sys.stdin.readline(MAX_CHARS)) and not rest.endswith("\n"):
                pass
            raise RgmlxError(f"a line may have {MAX_CHARS:,} characters: this one was left out")
        return text.removesuffix("\n")

    def remember(self, text: str) -> None:
        """Keeps what was sent, for the next time."""
        self.history.add(text)
        self._recall(text)

    def _recall(self, text: str) -> None:
        if self._readline is not None and "\n" not in text and text == printable(text):
            self._readline.add_history(text)


def _readline() -> ModuleType | None:
    """Python's line editor, told to write no escape sequences; None where Python has none."""
    kind = os.environ.get("TERM")
    os.environ["TERM"] = "dumb"  # it looks once, when it is imported
    try:
        import readline
    except ImportError:
        return None
    finally:
        if kind is None:
            del os.environ["TERM"]
        else:
            os.environ["TERM"] = kind
    libedit = "libedit" in (readline.__doc__ or "")
    for line in ("bind ^I ed-insert",) if libedit else ("set enable-bracketed-paste off", "tab: self-insert"):
        readline.parse_and_bind(line)
    readline.set_auto_history(False)
    return readline
