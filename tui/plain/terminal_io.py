"""The standard streams: lines and messages that come in, text that goes out, what was sent before.

Knows Python's line editor and where a message ends; nothing of what a message means.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import locale
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from rgmlx.errors import RgmlxError
from rgmlx.system.decoding import LEFT_OUT, LineReader, standard_input
from rgmlx.system.printable import printable

from ..prompt.history import History

if TYPE_CHECKING:
    from .wrapping import Wrapper

MAX_CHARS = 8_000_000
"""Of a message: as much as its files may have."""
BLOCK = '"""'
"""What a message of several lines stands between."""
# What the line editor would write out as it is: controls, and what turns the order of all that follows.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class TerminalIO:
    """The standard streams.

    Attributes:
        terminal: whether somebody types. Else the input is a file or a pipe, and what was read is written out as well.
        history: what was sent before.
    """

    def __init__(self, history: Path) -> None:
        """`history`: the file of it; of a pipe nothing is kept."""
        self.terminal = sys.stdin.isatty()
        if isinstance(sys.stdin, io.TextIOWrapper):  # neither side can be made to fail by a character
            ascii_only = codecs.lookup(sys.stdin.encoding).name == "ascii"  # which no terminal is: UTF-8, as in a pipe
            sys.stdin.reconfigure(encoding="utf-8" if ascii_only else None, errors="surrogateescape")
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        self._piped = None if self.terminal else LineReader(standard_input(), MAX_CHARS)
        self._wrapper = _wrapper() if sys.stdout.isatty() else None
        self.history = History(history if self.terminal else None)
        self._readline = _readline() if self.terminal and sys.stdout.isatty() else None
        for text in self.history.entries:
            self._recall(text)

    def write(self, text: str) -> None:
        """Writes a text at once: as it is, and to a terminal with its lines broken between words (a word whose end has
        not come yet is held back)."""
        sys.stdout.write(self._wrapper.feed(text) if self._wrapper else text)
        sys.stdout.flush()

    def message(self) -> tuple[str, bool]:
        """What comes next, and whether it stood between two times three quotes, so that it is no command.

        A line that ends in one backslash goes on in the next one.

        Raises:
            EOFError, KeyboardInterrupt: so that nothing came.  RgmlxError: it is too long, or a line of it is not text.
        """
        line = self.line("You: ")
        block = line.lstrip().startswith(BLOCK)
        line = line.lstrip().removeprefix(BLOCK) if block else line
        kept, size, problem = list[str](), 0, ""
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
            except RgmlxError as e:  # the message ends where it would have, or its lines would be messages of their own
                line, problem = "", problem or str(e)
        if problem:
            raise RgmlxError(problem)
        if size > MAX_CHARS:
            raise RgmlxError(f"a message may have {MAX_CHARS:,} characters: send a part of this")
        text = "\n".join(kept).strip("\n") if block else "\n".join(kept)
        if not self.terminal and text.strip():
            self.write(f"You: {printable(text)}\n")
        return text, block

    def line(self, prompt: str) -> str:
        """One line. Raises EOFError at the end of the input, KeyboardInterrupt, and RgmlxError for a line that is left out."""
        if self._wrapper:
            sys.stdout.write(self._wrapper.finish())
            self._wrapper.begin()
        if self._piped is not None:
            return self._piped.line()
        text = input(prompt) if self._readline is not None else self._typed(prompt)
        try:
            text.encode()
        except UnicodeEncodeError:  # bytes that are no text
            raise RgmlxError(LEFT_OUT) from None
        return text

    def _typed(self, prompt: str) -> str:
        """A line that the terminal itself lets edit."""
        sys.stdout.write(prompt)
        sys.stdout.flush()
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
        if self._readline is not None and "\n" not in text and not _OBEYED.search(text):
            with contextlib.suppress(UnicodeEncodeError):  # this terminal's encoding does not have it
                self._readline.add_history(text)


def _wrapper() -> Wrapper:
    from .wrapping import Wrapper  # brings Rich in, which a pipe has no use for

    def columns() -> int:
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns
        except OSError:
            return 0

    return Wrapper(columns)


def _readline() -> ModuleType | None:
    """Python's line editor, told to write no escape sequences; None where Python has none."""
    _agree_on_characters()
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


def _agree_on_characters() -> None:
    """Has the line editor take the terminal's bytes for what Python takes them for.

    In the C locale Python reads and writes UTF-8 (PEP 540); the editor goes by the locale, which has no umlaut.
    """
    if codecs.lookup(sys.stdin.encoding).name != "utf-8":
        return
    if codecs.lookup(locale.nl_langinfo(locale.CODESET)).name == "utf-8":
        return
    for name in ("C.UTF-8", "C.utf8", "UTF-8"):
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, name)
            os.environ.pop("LC_ALL", None)
            os.environ["LC_CTYPE"] = name  # it asks the environment again for every line
            return
