"""The chat below the shell's prompt (`--inline`): as high as what is on it, whole after the terminal's size has changed.

Knows Textual's inline driver and what terminals do to lines that no longer fit; nothing of what is on the screen. A
terminal that breaks such lines may push some of them out at its top, where nobody can erase them; all that can be seen is
drawn over.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, RenderableType
from textual import events
from textual._compositor import InlineUpdate
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_inline_driver import LinuxInlineDriver
from textual.geometry import Offset, Size
from textual.screen import Screen
from textual.strip import Strip

from .transcript.lines import ended, sequence
from .transcript.press import Press
from .transcript.said import Piece, Said
from .transcript.transcript import Transcript

SHARE = 0.85
"""Of the terminal's height that the chat takes at most."""
ERASE = "\x1b7\x1b[2K\x1b[B\x1b[J\x1b8"
"""All from the cursor's line on. Not at once: some terminals keep what such a command erases above the screen."""
_SETTLED = 0.4
"""Seconds after which no other change of size is about to come."""
_AT_ONCE = 4  # pieces that are drawn for the scrollback at once
_LAST = 5.0  # seconds for what is left of them at the end
_FIRST = 8  # lines; what is not needed would push what is above out of the terminal


class InlineApp(App[None]):
    """An app that may be inline."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[int] = []  # how long the lines are that are in the terminal
        self._transcript: Transcript | None = None  # of an app that is inline
        self._press, self._pressing = Press(), asyncio.Lock()
        self._above: list[str] = []  # lines that are to be above what is drawn
        self._any_above = False  # and were there before
        self._is_left = False  # nothing is drawn any more

    def _build_driver(self, headless: bool, inline: bool, mouse: bool, size: tuple[int, int] | None) -> Driver:
        if not inline or headless:
            return super()._build_driver(headless, inline, mouse, size)
        self._driver = InlineDriver(self, mouse=mouse, size=size)
        return self._driver

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        """Draws, unless the terminal has become smaller than what is to be drawn: that would be torn."""
        if not isinstance(renderable, InlineUpdate) or not isinstance(self._driver, InlineDriver):
            super()._display(screen, renderable)
            return
        if self._is_left or self._driver.lent:
            return
        drawn, (columns, rows) = renderable.strips, self._driver.terminal_size
        if len(drawn) > rows or max((strip.cell_length for strip in drawn), default=0) > columns:
            return
        self.drawn = [ended(strip).cell_length for strip in drawn]
        size = Size(columns, len(drawn))
        # Of a widget that is not there yet: the terminal would not go so far, and Textual find no way back.
        wanted, self.cursor_position = self.cursor_position, size.clamp_offset(self.cursor_position)
        super()._display(screen, _Drawing(drawn, renderable.clear, columns, self._take_above))
        self.cursor_position = wanted

    def _take_above(self) -> str:
        """The lines above, which take the place of what is drawn, from its first line on; what is drawn next is below."""
        if not self._above:
            return ""
        lines = "".join(f"{line}\r\n" for line in self._above)
        self._above.clear()
        self.INLINE_PADDING = 0  # type: ignore[misc]  # the line above is one of the conversation's, which stays
        return lines

    async def grow_with(self, transcript: Transcript, said: Said) -> None:
        """From now on the screen is as high as what is on it; the transcript takes what the others leave.

        Args:
            said: what is said there; what can't come into view any more is put above.
        """
        self._transcript, transcript.said, screen = transcript, said, transcript.screen
        screen.styles.height = _FIRST
        await self._get_screen(self._press)[1]
        # Not immediately: what a layout asks for while it is made is forgotten.
        screen.screen_layout_refresh_signal.subscribe(self, lambda _: self._laid_out())

    def _laid_out(self) -> None:
        self._fit()
        if self._due() and not self._pressing.locked():
            self.run_worker(self._press_due(), group="press")

    def _due(self) -> list[Piece]:
        transcript = self._transcript
        if transcript is None or transcript.said is None or not transcript.is_attached or self._is_left:
            return []
        rows = self._most_rows
        return transcript.said.due(lambda entry, number: transcript.has_left(entry, number, rows), _AT_ONCE)

    async def _press_due(self) -> None:
        async with self._pressing:
            while pieces := self._due():
                await self._press_these(pieces)
                self.screen.refresh()
                await asyncio.sleep(0)  # keys have their turn

    async def _press_these(self, pieces: list[Piece]) -> None:
        assert self._transcript is not None and self._transcript.said is not None
        lines = await self._press.lines(pieces, self.size.width)
        self._transcript.said.gone(len(pieces))
        if not self._any_above and lines and pieces[0].first:
            del lines[0]  # the line below the shell's prompt is free already
        self._any_above = True
        self._above += lines

    @property
    def _most_rows(self) -> int:
        return max(1, int(SHARE * self.size.height))

    def _fit(self) -> None:
        if self._transcript is None or not self._transcript.is_attached:  # the app ends
            return
        screen = self._transcript.screen
        others = [
            one for one in screen.children if one is not self._transcript and one.display and one.layer == "default"
        ]
        wanted = sum(one.outer_size.height for one in others) + max(1, self._transcript.content_height)
        wanted = min(wanted, self._most_rows)
        if screen.styles.height is None or screen.styles.height.value != wanted:
            screen.styles.height = wanted

    async def leave_inline(self) -> None:
        """Puts what was said in the place of what is drawn, and draws nothing more."""
        if self._transcript is None or self._transcript.said is None or not isinstance(self._driver, InlineDriver):
            return
        try:
            async with asyncio.timeout(_LAST), self._pressing:
                while pieces := self._transcript.said.all(_AT_ONCE):
                    await self._press_these(pieces)
        except TimeoutError:  # a terminal that is about to go has no time
            pass
        self._driver.erase(self._previous_cursor_position.y)
        self._driver.write(self._take_above())
        self._driver.flush()
        self._is_left = True

    def left_unsaid(self) -> str:
        """What was said and is not in the terminal, as it was written: of a chat that could not leave in order."""
        said = self._transcript.said if self._transcript is not None else None
        if said is None or (isinstance(self._driver, InlineDriver) and self._driver.gone):
            return ""
        lines = "".join(f"{line}\n" for line in self._above)
        return lines + "".join(f"{piece.plain}\n" for piece in said.all(sys.maxsize))


class _Drawing(InlineUpdate):
    """Textual's, with lines that end where their text ends."""

    def __init__(self, strips: list[Strip], clear: bool, columns: int, above: Callable[[], str]) -> None:
        """`above` gives what is written before it, when it is drawn indeed."""
        super().__init__(strips, clear)
        self._columns, self._above = columns, above

    def render_segments(self, console: Console) -> str:
        lines = [sequence(strip, console, self._columns) for strip in self.strips]
        back = len(lines) - 1
        if self.clear and back:
            lines.append("")
            back += 1
        return (
            self._above() + "\n".join(lines) + "\x1b[J" * self.clear + (f"\x1b[{back}A\r" if back else "\r") + "\x1b[6n"
        )


class InlineDriver(LinuxInlineDriver):
    """Textual's, which after a change of size draws in the place of what was there."""

    _told = Size(0, 0)  # to the app
    _settling: asyncio.TimerHandle | None = None

    gone = False
    """Whether the terminal is gone, or never was ours."""
    lent = False
    """Whether another program has it."""

    def start_application_mode(self) -> None:
        self._told = self.terminal_size
        super().start_application_mode()
        loop = asyncio.get_running_loop()
        signal.signal(signal.SIGWINCH, lambda *_: loop.call_soon_threadsafe(self._resized))

    def write(self, data: str) -> None:
        self._unless_gone(lambda: self._write_all(data.encode("utf-8", "replace")))

    def _write_all(self, data: bytes) -> None:
        """Not as the stream does it: where that has no buffer (PYTHONUNBUFFERED), a signal has it drop the rest."""
        if self._file is None:
            raise OSError("there is no terminal")
        left, descriptor = memoryview(data), self._file.fileno()
        while left:
            left = left[os.write(descriptor, left) :]

    def flush(self) -> None:
        self._unless_gone(super().flush)

    def _unless_gone(self, act: Callable[[], None]) -> None:
        """Does something with the terminal; once that is gone, nothing: the app is told, and leaves."""
        if self.gone or self.lent:
            return
        try:
            act()
        except (OSError, ValueError):
            self.gone = True
            self._app.call_later(self._app.terminal_gone)  # type: ignore[attr-defined]

    @property
    def terminal_size(self) -> Size:
        """Columns and rows that the terminal has now. COLUMNS, which Textual believes, may be of another time."""
        try:
            return Size(*os.get_terminal_size(self.fileno))
        except OSError:
            return Size(*super()._get_terminal_size())

    def _get_terminal_size(self) -> tuple[int, int]:
        return self.terminal_size

    def _resized(self) -> None:
        """Takes away what was drawn, and has it drawn for the new size."""
        app, size = self._app, self.terminal_size
        assert isinstance(app, InlineApp)
        if size == self._told:
            return
        x, y = app._previous_cursor_position
        if breaks_lines(os.environ):
            y = sum(max(1, -(-length // size.width)) for length in app.drawn[:y]) + x // size.width
        self.erase(y)
        # What was on its way to the terminal, or drawn before another change was known here, may be torn.
        if self._settling is not None:
            self._settling.cancel()
        self._settling = asyncio.get_running_loop().call_later(_SETTLED, self._start_over)
        self._told = size
        app.post_message(events.Resize(size, size))

    def leave_place(self) -> None:
        """Takes away what was drawn: another program has its place."""
        self.erase(self._app._previous_cursor_position.y + self._app.INLINE_PADDING)

    def erase(self, up: int) -> None:
        """Erases from so many lines above the cursor on; there the next drawing begins."""
        self.write(f"\x1b[{up}A\r" if up else "\r")
        self.write(ERASE)
        self.flush()
        self._app._previous_cursor_position = Offset(0, 0)

    def _start_over(self) -> None:
        """Draws at the top of the terminal; what is above, torn or not, goes where all goes that leaves it there."""
        self._settling = None
        self.erase(self._app._previous_cursor_position.y)
        # From where it begins, not from the last row on: no empty line goes up.
        self.write("\n" * (self.terminal_size.height - 1) + "\x1b[H")
        self._app.screen.refresh()


def breaks_lines(environment: Mapping[str, str]) -> bool:
    """Whether the terminal breaks lines that have become too long for it, and does not cut them off."""
    kind = environment.get("TERM", "")
    cuts = kind.startswith(("linux", "vt", "st-", "screen")) and "TMUX" not in environment
    return not cuts and "XTERM_VERSION" not in environment
