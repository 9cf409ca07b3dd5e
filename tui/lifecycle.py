"""How the app ends, pauses and lends its terminal: by a key, a signal, a terminal that is gone, an error that nobody caught.

Knows the terminal's driver and processes; nothing of conversations. What is to be kept is the subclass's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
import time
import tty
from asyncio.subprocess import Process
from collections.abc import Sequence
from pathlib import Path

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.drivers.linux_inline_driver import LinuxInlineDriver
from textual.geometry import Offset
from textual.worker import WorkerFailed

from rgmlx.errors import ChatError
from rgmlx.system.macos import power

from .commands import pressed
from .inline import InlineDriver
from .terminal import crash_log
from .terminal.signals import in_front, stop_in_background

LOOK_SECONDS = 2.0
"""How often is looked whether the terminal is still there: not every end of one comes with a signal."""
MAX_REPORTS = 3
"""Tracebacks that one run writes: an error while it ends brings others."""


class Lifecycle(App[None]):
    """An app that ends in order.

    Attributes:
        failure: a sentence about the error that ended it, or "".
        signalled: the number of the signal that ended it, or 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failure = ""
        self.signalled = 0
        self._reports = 0
        self._pausing = False
        self._borrower: Process | None = None  # a program that has the terminal now

    # --- for subclasses -------------------------------------------------------------------

    @property
    def data(self) -> Path:
        """The directory for the log."""
        raise NotImplementedError

    async def leave(self) -> None:
        """Ends the app when all is kept."""
        raise NotImplementedError

    def keep_draft(self) -> None:
        """Keeps what was typed and not sent."""

    def stop_work(self) -> None:
        """Has running work end soon, without waiting for it."""

    # --- ends -----------------------------------------------------------------------------

    def end_on_signal(self, number: int) -> None:
        """Leaves as by the key, with the exit code of a signal. For a signal handler in the main thread."""
        self.signalled = self.signalled or number
        if (loop := self._loop) is not None and not self._exit:
            if self._is_stopped:
                self._forget_terminal()
            if (borrower := self._borrower) is not None and borrower.returncode is None:
                borrower.terminate()
            loop.call_soon_threadsafe(self._leave_on_signal)

    def _leave_on_signal(self) -> None:
        self.call_later(self.leave)

    def _handle_exception(self, error: Exception) -> None:
        """Ends the app, as Textual does, but without a screen full of traceback with the values of all variables."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        # What comes while the app ends finds no screen, and maybe no terminal: that is no fault.
        late = (self._exit or not self._running) and (
            type(cause).__module__.startswith("textual.") or (isinstance(cause, OSError) and not os.isatty(0))
        )
        if self._exception is None and not late:
            self._exception = error
            self._exception_event.set()
        if self._reports < MAX_REPORTS and not late:
            self._reports += 1
            sentence = crash_log.report(self.data, cause)
            if not self._exit:  # the user has left: what fails then is in the log
                self.failure = self.failure or sentence
                self._return_code = 1
        with contextlib.suppress(Exception):
            self.keep_draft()
        with contextlib.suppress(Exception):
            self.stop_work()
        self._close_messages_no_wait()

    def watch_terminal(self) -> None:
        """Leaves when the terminal is gone; a program whose SIGHUP is ignored would wait for keys for ever."""
        if self._driver is not None and not self.is_headless:
            self.set_interval(LOOK_SECONDS, self._look_for_terminal)
            signal.signal(signal.SIGCONT, lambda *_: self.redraw_on_signal())  # Textual's inline driver has no handler

    async def _look_for_terminal(self) -> None:
        if not os.isatty(0) and not self._is_stopped:
            await self.terminal_gone()

    async def terminal_gone(self) -> None:
        """Leaves: nobody reads or types any more."""
        if not self._exit and not self.signalled:
            self.signalled = signal.SIGHUP
            await self.leave()

    # --- Ctrl+Z ---------------------------------------------------------------------------

    def action_suspend(self) -> None:
        """Stops the process until the shell goes on with it; says so where there is no shell to do that."""
        # The group of the session's leader has nobody above it who could bring it back.
        leave = f"{pressed('quit')} leaves"
        if self.is_inline:
            self.notify(f"Under --inline the chat can't be suspended: {leave}, Ctrl+_ takes back.", timeout=4)
        elif self._driver is None or not self._driver.can_suspend or os.getpgrp() == os.getsid(0):
            self.notify(f"There is no shell here to come back from: {leave}, Ctrl+_ takes back.", timeout=4)
        else:
            # The whole group, as a terminal does it: `make chat` has to stop as well, or its shell would wait for it.
            self._pause(0)

    def pause_on_signal(self) -> None:
        """Stops as SIGTSTP asks. For its handler, in which nothing may be done that takes a lock."""
        if (loop := self._loop) is not None and not self._pausing:
            loop.call_soon_threadsafe(self._pause, os.getpid())

    def redraw_on_signal(self) -> None:
        """Takes the line and draws all of the screen again, after a stop that nobody was told of. For SIGCONT's handler."""
        if (loop := self._loop) is not None and not self._pausing:
            loop.call_soon_threadsafe(self._redraw)

    def _redraw(self) -> None:
        if self._driver is None or self._is_stopped or self._exit or self.signalled:
            return
        if not in_front(0):
            stop_in_background()  # SIGCONT comes again
        else:
            self._take_line()
            if self.is_inline:
                self._previous_cursor_position = Offset(0, 0)  # below what the shell has written meanwhile
            self.call_later(self.refresh, layout=True)

    def _take_line(self) -> None:
        """Has keys come one by one and unseen. A shell sets its own modes when its job stops, and leaves them at fg."""
        driver = self._driver
        if isinstance(driver, LinuxDriver | LinuxInlineDriver):
            with contextlib.suppress(termios.error):
                modes = termios.tcgetattr(driver.fileno)
                modes[tty.IFLAG] = driver._patch_iflag(modes[tty.IFLAG])
                modes[tty.LFLAG] = driver._patch_lflag(modes[tty.LFLAG])
                modes[tty.CC][termios.VMIN] = 1
                termios.tcsetattr(driver.fileno, termios.TCSANOW, modes)

    def _pause(self, whom: int) -> None:
        driver = self._driver
        if driver is None or self._pausing or self._exit or not self._running:
            return
        self._pausing = True
        try:
            self._suspend_signal()
            driver.suspend_application_mode()
            handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            with power.paused():
                os.kill(whom, signal.SIGTSTP)
                time.sleep(0.05)  # in which it stops; what follows is done when the shell goes on with it
            signal.signal(signal.SIGTSTP, handler)
            # In the background the terminal stops it again: once more then.
            while self._is_stopped and not self.signalled and os.isatty(0):
                driver.resume_application_mode()
        finally:
            self._pausing = False
        self._resume_signal()
        self.refresh(layout=True)

    @property
    def _is_stopped(self) -> bool:
        """Whether the terminal belongs to the shell at present, or to a program that it was lent to."""
        if self._borrower is not None:
            return True
        if not isinstance(self._driver, LinuxDriver):
            return False
        writer = self._driver._writer_thread
        return writer is None or not writer.is_alive()  # None: it began in the background

    def _forget_terminal(self) -> None:
        """For an end while the shell has the terminal: leaves the terminal as the shell has it."""
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        if self._driver is not None:
            self._driver.attrs_before = None  # type: ignore[attr-defined]

    # --- another program ------------------------------------------------------------------

    async def lend_terminal(self, command: Sequence[str]) -> int:
        """Runs a program that has the terminal, while all else goes on; draws everything again after it.

        Not in a handler of the app's messages: those would wait for its end.

        Returns:
            Its exit code; less than 0 where a signal ended it.

        Raises:
            ChatError: there is no terminal to lend, or the program can't be run.
        """
        driver = self._driver
        if driver is None or self.is_headless or self._pausing or self._exit or not os.isatty(0):
            raise ChatError("the terminal can't be given to another program now: try again in a moment")
        self._pausing = True
        # What is typed for the program is not for the app; stopped by Ctrl+Z it is with all of its group, as a job is.
        handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGQUIT)}
        handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            self._suspend_signal()
            if isinstance(driver, InlineDriver):
                driver.leave_place()
            driver.suspend_application_mode()
            if isinstance(driver, InlineDriver):
                driver.lent = True
            return await self._run_in_terminal(command)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self._pausing = False
            if isinstance(driver, InlineDriver):
                driver.lent = False
            if not self.signalled and not self._exit:
                driver.resume_application_mode()
                self._resume_signal()
                self.refresh(layout=True)

    async def _run_in_terminal(self, command: Sequence[str]) -> int:
        try:
            self._borrower = await asyncio.create_subprocess_exec(*command, stdin=0, stdout=1 if os.isatty(1) else 2)
        except OSError as e:
            raise ChatError(f"the program {command[0]} can't be run ({e.strerror})", quotes=(command[0],)) from None
        try:
            return await self._borrower.wait()
        finally:
            if self._borrower.returncode is None:  # the app is being left
                self._borrower.terminate()
            self._borrower = None
