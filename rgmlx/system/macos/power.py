"""Keeps a Mac from going to sleep while something long runs, and tells what it draws its power from.

macOS lets a computer sleep that nobody touches, however busy its processors are. `caffeinate -i` (man 8 caffeinate: "create
an assertion to prevent the system from idle sleeping") holds that off; the screen may go dark, and a lid that is closed
sends it to sleep all the same. With `-w PID` it ends with our process, whatever ends that. Low-power mode and the battery
are the user's business: they are shown, and nothing here depends on them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .. import macos

if TYPE_CHECKING:
    import subprocess

AFTER = 2.0
"""Seconds that something takes before it counts as long: no Mac goes to sleep within them, and most things are done."""


class _Keeper:
    """One `caffeinate` for all that runs at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._paused = False
        self._timer: threading.Timer | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def take(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._timer = threading.Timer(AFTER, self._begin)
                self._timer.daemon = True
                self._timer.start()

    def give_back(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._end()

    def pause(self, paused: bool) -> None:
        """Ends the process while nothing goes on, and begins another one after that."""
        with self._lock:
            self._paused = paused
            if paused:
                self._kill()
            elif self._users and self._timer is None:
                self._process = _caffeinate()

    def _begin(self) -> None:
        with self._lock:
            if self._timer is threading.current_thread():  # else all is done by now
                self._timer = None
                if not self._paused:
                    self._process = _caffeinate()

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._kill()

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()  # one that Ctrl+Z has stopped too
            process.wait()


_keeper = _Keeper()


def _caffeinate() -> subprocess.Popen[bytes] | None:
    import subprocess  # elsewhere than on a Mac nothing is begun

    path = shutil.which("caffeinate")
    if path is None:
        return None
    with contextlib.suppress(OSError):
        return subprocess.Popen(
            [path, "-i", "-w", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            close_fds=False,  # then Python spawns it: a fork would copy the tables of a process of many gigabytes
        )
    return None


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Around something that may take long: a Mac that nobody touches stays awake for it. Within another one, a part of it."""
    if not macos.here():
        yield
        return
    _keeper.take()
    try:
        yield
    finally:
        _keeper.give_back()


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Around a time in which this process is stopped: a Mac may sleep then."""
    _keeper.pause(True)
    try:
        yield
    finally:
        _keeper.pause(False)


def described() -> dict[str, str]:
    """What there is to tell of the power: where it comes from, and whether it is saved. Without what `pmset` does not say."""
    told = {}
    source = macos.run("pmset", "-g", "batt") or ""
    if found := re.search(r"drawing from '([^']+)'", source):
        charge = re.search(r"\t(\d+%); ([^;]+)", source)  # a desktop has no battery
        told["power"] = found[1] + (f", battery at {charge[1]}, {charge[2].strip()}" if charge else "")
    # "powermode" on Macs with a high-power mode as well: 1 is low there too, 2 is high.
    if found := re.search(r"^\s*(?:low)?powermode\s+(\d)", macos.run("pmset", "-g") or "", re.MULTILINE):
        told["low-power mode"] = "on" if found[1] == "1" else "off"
    return told
