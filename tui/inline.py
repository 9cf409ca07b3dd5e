"""The chat below the shell's prompt (`--inline`): as high as what is on it, whole after the terminal's size has changed.

Knows Textual's inline driver and what terminals do to lines that no longer fit; nothing of what is on the screen. A
terminal that breaks such lines may push some of them out at its top, where nobody can erase them; all that can be seen is
drawn over.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import RenderableType
from textual import events
from textual._compositor import InlineUpdate
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_inline_driver import LinuxInlineDriver
from textual.geometry import Offset, Size
from textual.screen import Screen
from textual.widget import Widget

from .transcript.scroll import MessageScroll

SHARE = 0.85
"""Of the terminal's height that the chat takes at most."""
_SETTLED = 0.4
"""Seconds after which no other change of size is about to come."""
_FIRST = 8  # lines; what is not needed would push what is above out of the terminal


class InlineApp(App[None]):
    """An app that may be inline."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn = Size(0, 0)  # what is in the terminal
        self._transcript: MessageScroll | None = None  # of an app that is inline

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
        if self._driver.lent:
            return
        drawn = Size(max((strip.cell_length for strip in renderable.strips), default=0), len(renderable.strips))
        columns, rows = self._driver.terminal_size
        if drawn.width > columns or drawn.height > rows:
            return
        self.drawn = drawn
        # Of a widget that is not there yet: the terminal would not go so far, and Textual find no way back.
        wanted, self.cursor_position = self.cursor_position, self.drawn.clamp_offset(self.cursor_position)
        super()._display(screen, renderable)
        self.cursor_position = wanted

    def grow_with(self, transcript: MessageScroll) -> None:
        """From now on the screen is as high as what is on it; the transcript takes what the others leave."""
        self._transcript, screen = transcript, transcript.screen
        screen.styles.height = _FIRST
        # Not immediately: what a layout asks for while it is made is forgotten.
        screen.screen_layout_refresh_signal.subscribe(self, lambda _: self._fit())

    def _fit(self) -> None:
        if self._transcript is None or not self._transcript.is_attached:  # the app ends
            return
        screen = self._transcript.screen
        others = [
            one for one in screen.children if one is not self._transcript and one.display and one.layer == "default"
        ]
        wanted = sum(one.outer_size.height for one in others) + max(1, self._transcript.content_height)
        wanted = max(1, min(wanted, int(SHARE * self.size.height)))
        if screen.styles.height is None or screen.styles.height.value != wanted:
            screen.styles.height = wanted

    def leave_inline(self, *kept: Widget) -> None:
        """Takes away what can only be used while the app runs: what is on the screen then stays in the terminal.

        Args:
            kept: what stays, beside the transcript.
        """
        if self._transcript is None:
            return
        while len(self.screen_stack) > 1:
            self.pop_screen()
        for one in self.screen.children:
            if one is not self._transcript and one not in kept:
                one.display = False
        self._transcript.styles.scrollbar_visibility = "hidden"
        self._fit()


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
        self._unless_gone(lambda: super(InlineDriver, self).write(data))

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
        rows = -(-app.drawn.width // size.width) if breaks_lines(os.environ) else 1
        self._erase(y * rows + (x // size.width if rows > 1 else 0))
        # What was on its way to the terminal, or drawn before another change was known here, may be torn.
        if self._settling is not None:
            self._settling.cancel()
        self._settling = asyncio.get_running_loop().call_later(_SETTLED, self._start_over)
        self._told = size
        app.post_message(events.Resize(size, size))

    def leave_place(self) -> None:
        """Takes away what was drawn: another program has its place."""
        self._erase(self._app._previous_cursor_position.y + self._app.INLINE_PADDING)

    def _erase(self, up: int) -> None:
        """Erases from so many lines above the cursor on; there the next drawing begins."""
        self.write(f"\x1b[{up}A\r" if up else "\r")
        # Not all at once from the first line on: some terminals keep what such a command erases above the screen.
        self.write("\x1b7\x1b[2K\x1b[B\x1b[J\x1b8")
        self.flush()
        self._app._previous_cursor_position = Offset(0, 0)

    def _start_over(self) -> None:
        """Draws at the top of the terminal; what is above, torn or not, goes where all goes that leaves it there."""
        self._settling = None
        self._erase(self._app._previous_cursor_position.y)
        rows = self.terminal_size.height
        self.write(f"\x1b[{rows};1H" + "\n" * rows + "\x1b[H")
        self._app.screen.refresh()


def breaks_lines(environment: Mapping[str, str]) -> bool:
    """Whether the terminal breaks lines that have become too long for it, and does not cut them off."""
    kind = environment.get("TERM", "")
    cuts = kind.startswith(("linux", "vt", "st-", "screen")) and "TMUX" not in environment
    return not cuts and "XTERM_VERSION" not in environment
