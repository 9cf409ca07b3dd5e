"""Signals that ask a program to end: it ends in order, with the exit code 128 + the signal's number.

Knows signals and the clock; what is done about one is the caller's.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

_NAMES = "HUP QUIT TERM ABRT ALRM PIPE PROF SYS USR1 USR2 VTALRM XCPU XFSZ"
_LINUX = "IO PWR STKFLT"  # macOS ignores the first and has no others
_REAL_TIME = range(signal.SIGRTMIN, signal.SIGRTMAX + 1) if sys.platform == "linux" else ()
ENDING: tuple[int, ...] = (
    *(
        getattr(signal, f"SIG{name}")
        for name in f"{_NAMES} {_LINUX if sys.platform == 'linux' else ''}".split()
        if hasattr(signal, f"SIG{name}")
    ),
    *_REAL_TIME,
)
"""All signals that end a program, but for three kinds: KILL; INT, which is Ctrl+C; and those with which a processor stops
faulty code (BUS, FPE, ILL, SEGV, TRAP): a handler in Python would come back to that code for ever.

Python itself ignores PIPE and XFSZ, and so do we: a write that fails is an OSError, which says where.

`abort` in C raises ABRT a second time, without a handler, so it still ends the program where it stands."""
PATIENCE = 5.0
"""Seconds for an orderly end; a signal after that ends the program where it stands."""


class Stopped(BaseException):
    """A signal ended the program. `code` is its exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.code = 128 + number


def stop(number: int) -> None:
    """Raises Stopped, in the main thread."""
    raise Stopped(number)


@contextlib.contextmanager
def handled(action: Callable[[int], None] = stop, *others: signal.Signals) -> Iterator[None]:
    """Has a signal do something once, in the main thread, instead of ending the process at once.

    A terminal that goes sends several signals, so those that follow within `PATIENCE` do nothing; a later one raises
    Stopped. What the caller's parent has ignored (nohup) stays ignored.

    Args:
        action: what to do, with the signal's number; it may raise.
        others: signals besides `ENDING`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first: float | None = None

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        _dealt.add(number)
        now = time.monotonic()
        if first is None:
            first = now
            action(number)
        elif now - first > PATIENCE:
            raise Stopped(number)

    before = {number: signal.getsignal(number) for number in (*ENDING, *others)}
    if faulthandler.is_enabled():  # who has switched it on is to see where an abort comes from
        del before[signal.SIGABRT]
    caught = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for number in caught:
        signal.signal(number, handle)
    try:
        # An event loop looks up by itself; a line editor that begins to wait just then does not.
        with _sent_again(caught) if action is stop else contextlib.nullcontext():
            yield
    finally:
        for number in caught:
            signal.signal(number, before[number])


_dealt: set[int] = set()
"""Signals that a handler has dealt with, be it one inside of another's: those are not sent again."""


@contextlib.contextmanager
def _sent_again(caught: Sequence[int]) -> Iterator[None]:
    """Has a signal reach the main thread that came just before it began to wait in C.

    Python's handlers run between two instructions: what waits in `select` by then waits for a key first. A second signal
    ends that wait.
    """
    main = threading.get_ident()
    _dealt.clear()
    inlet, outlet = os.pipe()
    os.set_blocking(outlet, False)
    before = signal.set_wakeup_fd(outlet, warn_on_full_buffer=False)

    def nudge() -> None:
        while told := os.read(inlet, 1):
            while told[0] in caught and told[0] not in _dealt and not done.wait(0.1):
                signal.pthread_kill(main, told[0])
        os.close(inlet)

    done = threading.Event()
    threading.Thread(target=nudge, daemon=True).start()
    try:
        yield
    finally:
        done.set()
        signal.set_wakeup_fd(before)
        os.close(outlet)
