"""Reading an input to its end or without one: when to wait, to save and to answer; how a signal ends it.

One thread does all, so that nothing is taken from a pipe that the model has not read: whoever writes into it waits.
Knows the clock, signals and a reader; does not know what is asked.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ..errors import StateError
from ..system.macos import power
from . import signals
from .common import say

if TYPE_CHECKING:  # imported on use, as help needs no model
    from ..reading.reader import Reader
    from ..reading.source import Source

SAVE_SECONDS = 2.0
"""What was taken and is less than a chunk is on the disk after so long."""
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MOST = 366 * 86_400  # seconds; select takes no more than some hundred years


@dataclass(frozen=True)
class Every:
    """How often there is an answer: after so many seconds, or so many tokens that are new."""

    seconds: float = 0.0
    tokens: int = 0


def every(text: str) -> Every:
    """`30s`, `5m`, `1h`, `1d`, or `10k` tokens, for argparse."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhdk])", text)
    number = float(found[1]) if found else 0.0
    if found is None or not number or number * _UNITS.get(found[2], 1) > _MOST:
        raise argparse.ArgumentTypeError(
            f"{text!r:.40} is no interval: write a number and s, m, h or d for time, as in 5m, or k for thousands of tokens"
        )
    return Every(tokens=max(1, round(1_000 * number))) if found[2] == "k" else Every(number * _UNITS[found[2]])


class Watch:
    """One input that is being read.

    Attributes:
        number: of the signal that ended it; None while there was none.
        answered: bytes that had been taken at the last answer; None before the first.
    """

    def __init__(
        self,
        reader: Reader,
        source: Source,
        interval: Every | None,
        answer: Callable[[], None],
        progress: Callable[[], None],
    ) -> None:
        """`answer` is called when it is time for one and something is new, `progress` after each piece."""
        self._reader, self._source, self._answer, self._progress = reader, source, answer, progress
        self._every = Every() if interval is None else interval
        self.number: int | None = None
        self.answered: int | None = None
        self._since, self._tokens = reader.bytes_read, reader.tokens
        self._due = time.monotonic() + self._every.seconds
        self._unsaved: float | None = None

    @property
    def is_new(self) -> bool:
        """Whether something was taken that no answer knows."""
        return self._reader.bytes_read != self._since

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Has a signal stop what goes on, in order; `number` says which it was."""

        def stop(number: int) -> None:
            self.number = number
            self._reader.stop()

        with signals.handled(stop, signal.SIGINT), _woken() as self._wake:
            yield

    def follow(self) -> None:
        """Reads to the end of the input, or to a signal. Raises RgmlxError: the input can't be read, or is not text."""
        with contextlib.ExitStack() as stack:
            awake = False
            while self.number is None:
                if not self._source.ready(0):
                    stack.close()  # a Mac may go to sleep while nothing comes
                    awake = False
                    ready = self._source.ready(self._patience(), self._wake)
                    if self.number is not None:
                        break
                    if not ready:
                        self._look_up()
                        continue
                if not awake:
                    stack.enter_context(power.awake())
                    awake = True
                if not self.is_new:  # what comes after a quiet time is answered with all that comes in its interval
                    self._pass()
                data = self._source.read()
                if not data:
                    break
                self._guarded(partial(self._reader.feed, data, bookmark=self._source.bookmark))
                self._progress()
                self._look_up()

    def answer(self) -> None:
        """Answers now; what was taken is kept with it."""
        self._answer()
        self.answered = self._since = self._reader.bytes_read
        self._tokens = self._reader.tokens
        self._save()

    def _patience(self) -> float | None:
        """Seconds until there is something to do without input."""
        until = []
        if self._unsaved is not None:
            until.append(self._unsaved + SAVE_SECONDS)
        if self._every.seconds and self.is_new:
            until.append(self._due)
        return max(0.0, min(until) - time.monotonic()) if until else None

    def _look_up(self) -> None:
        now = time.monotonic()
        if self._is_due() and self.number is None:
            self.answer()
        if not self._reader.unsaved:
            self._unsaved = None
        elif self._unsaved is None:
            self._unsaved = now
        elif now - self._unsaved >= SAVE_SECONDS:
            self._save()

    def _is_due(self) -> bool:
        if self._every.tokens:
            return self._reader.tokens - self._tokens >= self._every.tokens
        return bool(self._every.seconds) and self._pass() and self.is_new

    def _pass(self) -> bool:
        """Goes to the interval that holds now; whether that is another one."""
        over = time.monotonic() - self._due
        if over < 0 or not self._every.seconds:
            return False
        self._due += self._every.seconds * (over // self._every.seconds + 1)
        return True

    def _save(self) -> None:
        self._unsaved = None
        self._guarded(self._reader.save)

    def _guarded(self, action: Callable[[], object]) -> None:
        """Does something; that it can't be saved now ends nothing, as it is saved with what comes next."""
        try:
            action()
        except StateError as e:
            say(str(e))


@contextlib.contextmanager
def _woken() -> Iterator[int | None]:
    """A descriptor that can be read as soon as a signal has come: no signal is missed between a look and a wait."""
    if threading.current_thread() is not threading.main_thread():
        yield None
        return
    inlet, outlet = os.pipe()
    os.set_blocking(outlet, False)
    before = signal.set_wakeup_fd(outlet, warn_on_full_buffer=False)
    try:
        yield inlet
    finally:
        signal.set_wakeup_fd(before)
        os.close(inlet)
        os.close(outlet)
