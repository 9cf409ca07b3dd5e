"""In and out by the clipboard: a text copied, the code that is in a text, and long texts that were pasted.

Knows the programs that own a clipboard and the terminal's own way (OSC 52), and no widgets. Nothing here raises: what
could be done is told in a sentence.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from textual.app import App

from rgmlx.system import clipboard as system_clipboard
from rgmlx.system import debug_log, macos

MAX_TERMINAL = 74_994
"""Bytes that a terminal is sure to take by OSC 52: 100,000 characters of base64."""
MAX_SHOWN = 200_000
MAX_LINE = 20_000
"""Characters of a text, and of one line, that are edited on the screen; beyond, a key takes too long."""
MAX_LINES = 100
"""Lines of a paste that are shown; more are folded, and can be unfolded."""
MAX_KEPT = 64_000_000
"""Characters of all texts that are kept aside."""
_SECONDS = 3.0
_TAKERS = ("kitty", "ghostty", "wezterm", "foot", "alacritty")
"""By what their makers say of them as they are delivered: kitty.conf(5), clipboard_control ("write-clipboard ..."); Ghostty's
src/config/Config.zig, clipboard-write (allow); wezterm.org/escape-sequences.html, OSC 52 ("Allows setting or clearing the
clipboard"); foot.ini(5), [security] osc52 (enabled); alacritty(5), terminal.osc52 ("OnlyCopy"). macOS Terminal ignores it
(charmbracelet/crush#2642)."""


def copy(app: App[Any], text: str) -> str:
    """Puts the text on the clipboard, exactly as it is. May take seconds: call it from a worker thread.

    Returns:
        A sentence for the user.
    """
    if not text:
        return "There is nothing to copy."
    data = text.encode("utf-8", "replace")  # half a surrogate pair has no bytes
    size = "1 character" if len(text) == 1 else f"{len(text):,} characters"
    if any(_run(command, data) for command in _commands()):
        return f"Copied {size}."
    try:
        app.copy_to_clipboard(data.decode())
    except Exception as e:  # a driver that is just closing, say
        debug_log.caught(e, "nothing is copied")
        return "The terminal could not be reached: nothing was copied."
    if len(data) > MAX_TERMINAL:
        return f"Sent {size} to the terminal: many terminals take no more than 75 KB, so look at what arrives."
    if os.environ.get("TMUX"):
        return f"Sent {size} to tmux, which passes them on only with: set -g set-clipboard on"
    if os.environ.get("TERM_PROGRAM") == "Apple_Terminal":
        return (
            f"Sent {size} to the terminal (Terminal.app does not take it): hold Fn while you select, then press Cmd+C."
        )
    if _takes_it():
        return f"Copied {size}."
    return f"Sent {size} to the terminal, which puts them on the clipboard if it can."


def _takes_it() -> bool:
    """Whether the terminal is one of those that are known to take a text as they are delivered; others ask, or drop it."""
    kind = os.environ.get("TERM", "").removesuffix("-256color").removeprefix("xterm-")
    return kind in _TAKERS or os.environ.get("TERM_PROGRAM", "").lower() in _TAKERS


def _commands() -> list[list[str]]:
    """Programs that own the clipboard of the screen before the user, which none does at the far end of an SSH line."""
    return [] if macos.is_remote() else system_clipboard.writers()


def _run(command: list[str], data: bytes) -> bool:
    try:
        result = subprocess.run(
            command,
            input=data,
            stdout=subprocess.DEVNULL,  # xclip stays to serve the text: a pipe would be waited for
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            env=system_clipboard.environment(),
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as e:
        debug_log.caught(e, f"{command[0]} does not take what is copied")
        return False
    return result.returncode == 0


def code_blocks(markdown: str) -> list[str]:
    """What is in the fenced and indented blocks of a text, without the line break at the end of each."""
    return [block for block in fences(markdown) if block]


def fences(markdown: str) -> list[str]:
    """The same, of those in which nothing is as well."""
    try:
        tokens = _parser().parse(markdown)
    except Exception as e:  # no text is worth a chat
        debug_log.caught(e, "a text has no blocks of code")
        return []
    return [token.content.removesuffix("\n") for token in tokens if token.type in ("fence", "code_block")]


@cache
def _parser() -> MarkdownIt:
    """As `tui.transcript.markdown.parser` sees blocks, but with their text untouched, and without looking into paragraphs."""
    return MarkdownIt("gfm-like", {"html": False, "linkify": False}).disable("inline")


def fits(text: str) -> bool:
    """Whether a text can be edited on the screen."""
    return len(text) <= MAX_SHOWN and max(map(len, text.split("\n"))) <= MAX_LINE


class Pasted:
    """Texts that are kept aside: too long to edit, or folded. Each is shown as a marker: [pasted text 1: 500 lines]."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}  # by marker
        self._count = 0

    def __len__(self) -> int:
        return len(self._texts)

    def take(self, text: str, *, fold: bool = False) -> str:
        """What is shown for the text: itself, or a marker.

        Args:
            fold: a marker also for a text of many lines, which can be edited.
        """
        lines = text.count("\n") + (not text.endswith("\n"))
        if (short := fits(text)) and not (fold and lines > MAX_LINES):
            return text
        self._count += 1
        size = f"{lines:,} lines" if short else f"{len(text):,} characters"
        marker = f"[pasted text {self._count}: {size}]"
        self._texts[marker] = text
        return marker

    def at(self, line: str, column: int) -> tuple[int, int, str] | None:
        """Where the marker that ends at a column, or that the column is inside of, begins and ends, and its text."""
        for match in self._pattern.finditer(line) if self._texts else ():
            if match.start() < column <= match.end():
                return match.start(), match.end(), self._texts[match[0]]
        return None

    def restore(self, shown: str) -> str:
        """What is shown, with each text in the place of its marker."""
        return self._pattern.sub(lambda match: self._texts[match[0]], shown) if self._texts else shown

    def span(self, line: str, column: int) -> tuple[int, int]:
        """Where the marker that the column is inside of begins and ends; the column twice when there is none."""
        if self._texts:
            for match in self._pattern.finditer(line):
                if match.start() < column < match.end():
                    return match.span()
        return column, column

    def has_room(self, length: int, shown: Iterable[str]) -> bool:
        """Whether a text of this length can be taken, if need be by forgetting those whose marker is nowhere shown."""
        if self._size + length > MAX_KEPT:  # until then, undo can bring a marker back
            everything = "\n".join(shown)
            self._texts = {marker: text for marker, text in self._texts.items() if marker in everything}
        return self._size + length <= MAX_KEPT

    def clear(self) -> None:
        """Forgets all."""
        self._texts.clear()
        self._count = 0

    @property
    def _size(self) -> int:
        return sum(map(len, self._texts.values()))

    @property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, self._texts)))
