"""A repository on its way: its files are used as they come, while a thread fetches the others.

One thread puts in what is here, another waits for it. Knows names and places of files; neither servers nor weights.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from pathlib import Path

from ..errors import RgmlxError
from .plan import Plan

_LOOK = 0.1  # seconds between two looks of who waits


class Arriving:
    """What of a repository is here.

    Attributes:
        done, total: bytes that are here, and of the whole.
        over: whether all is here.
    """

    def __init__(self, look: Callable[[], None]) -> None:
        """
        Args:
            look: called ten times a second in the thread that waits for something; what it raises ends the wait.
        """
        self.done, self.total, self.over = 0, 0, False
        self._look = look
        self._news = threading.Condition()
        self._plan: Plan | None = None
        self._begun: dict[str, tuple[bytes, int]] = {}
        self._whole: dict[str, Path] = {}
        self._error: RgmlxError | None = None

    # --- for the thread that fetches ------------------------------------------------------

    def count(self, done: int, total: int) -> None:
        """So much is here."""
        self.done, self.total = done, total

    def begin(self, plan: Plan, beginnings: dict[str, tuple[bytes, int]]) -> None:
        """All but the weights is in the model's directory; of these, the headers and the bytes of each file are known."""
        with self._news:
            self._plan, self._begun = plan, beginnings
            self._news.notify_all()

    def put(self, name: str, path: Path) -> None:
        """A file is whole, and its checksum right."""
        with self._news:
            self._whole[name] = path
            self._news.notify_all()

    def end(self, error: RgmlxError | None = None) -> None:
        """All is here, or no more will come."""
        with self._news:
            self.over, self._error = error is None, error
            self._news.notify_all()

    # --- for who uses the files -----------------------------------------------------------

    def plan(self) -> Plan:
        """What is fetched; waits until the model's directory has all but the weights, and these their headers.

        Raises:
            RgmlxError: what the download failed with; so do the others.
        """
        self._wait(lambda: self._plan is not None)
        assert self._plan is not None
        return self._plan

    def names(self) -> Collection[str]:
        """The files with weights."""
        self.plan()
        return self._begun

    def beginning(self, name: str) -> tuple[bytes, int]:
        """The header of a file with weights, and the bytes of the whole file. The header is not compared with anything yet."""
        self.plan()
        return self._begun[name]

    def whole(self, name: str) -> Path:
        """Where a file is; waits until all of it is here."""
        self._wait(lambda: name in self._whole)
        return self._whole[name]

    def finish(self) -> None:
        """Waits for the end of the download."""
        self._wait(lambda: self.over)

    def _wait(self, fact: Callable[[], bool]) -> None:
        while True:
            with self._news:
                if fact():
                    return
                if self._error is not None:
                    raise self._error
                self._news.wait(_LOOK)
            self._look()
