"""A progress bar on a terminal, a plain line now and then elsewhere; always on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType
from typing import Any

from ..system.printable import printable
from .signals import handled
from .streams import tell

_SECONDS = 10.0  # between plain lines


class Bar:
    """Call it with (what is being done, done, in all); bytes where `total` is large. Use it in a `with` statement."""

    def __init__(self) -> None:
        self._live: Any = None
        self._task: Any = None
        self._total = -1
        self._last = time.monotonic()
        self._handled = contextlib.ExitStack()

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():  # a bar hides the cursor: a signal must not end the program before it is back
            self._handled.enter_context(handled())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._handled:
            if self._live is not None:
                self._live.stop()

    def pause(self) -> None:
        """Takes the bar away, until there is more to show."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def print(self, line: str) -> None:
        """A line of output, above the bar if there is one."""
        self.pause()
        print(printable(line), flush=True)

    def __call__(self, what: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            if what and time.monotonic() - self._last >= _SECONDS:
                self._last = time.monotonic()
                tell(f"{done / max(total, 1):4.0%}  {printable(what)}")
            return
        if self._live is None or total != self._total:
            self._start(total)
        self._live.update(self._task, description=printable(what), completed=done)
        if done >= total:
            self._live.stop()
            self._live = None

    def _start(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        if self._live is not None:
            self._live.stop()
        amount = DownloadColumn() if total > 100_000 else MofNCompleteColumn()
        self._live = Progress(
            BarColumn(20),
            amount,
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._live.start()
        self._task = self._live.add_task("", total=total)
        self._total = total
