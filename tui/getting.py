"""A real model that is got behind the screen: what it says, how far it is, what it asks, and how it ended.

Runs `rgmlx.convert.obtain` in a thread of its own, so that the chat goes on meanwhile. Knows no widgets: whoever listens is
called in that thread after each change, and looks.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rgmlx.errors import RgmlxError
from rgmlx.system import debug_log
from rgmlx.system.macos import power
from rgmlx.system.model_thread import ModelThread
from rgmlx.weights.parts import Cancelled

if TYPE_CHECKING:
    from rgmlx.convert.obtain import Access

_REPORTS = 0.2  # seconds between two reports of how far it is
_LINES = 20  # that are kept of what it says


@dataclass(frozen=True)
class Deletion:
    """Whether the 16-bit files of a repository, so many bytes, are to be deleted: the new model does not need them."""

    repository: str
    size: int


class Getting:
    """A model on its way.

    Attributes:
        name: 2b, 9b, or owner/name.
        lines: the last that it said.
        what, done, total: what is being done and how far it is: bytes where `total` is large.
        question: what it waits for, or None.
        model: what `rgmlx.load` takes, once it is there; "".
        problem: the sentence that it ended with instead; "".
        stopped: whether the user had it stop.
        over: whether it has ended.
        seconds: that it took.
    """

    def __init__(self, name: str, changed: Callable[[], None]) -> None:
        """`changed` is called in the thread that gets it."""
        self.name = name
        self.lines: deque[str] = deque(maxlen=_LINES)
        self.what, self.done, self.total = "asking Hugging Face", 0, 0
        self.question: Access | Deletion | None = None
        self.model = self.problem = ""
        self.stopped = self.over = False
        self.seconds = 0.0
        self._changed = changed
        self._told = 0.0
        self._stop, self._answered = threading.Event(), threading.Event()
        self._answer: object = None

    # --- for whoever has it got -------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether it ends soon: what is here by then is kept."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Has it end; the same name goes on from there."""
        self._stop.set()
        self._answered.set()

    def answer(self, given: object) -> None:
        """Answers the question: a token, "" or None (see `obtain.Talk.access`); true or false for a deletion."""
        self._answer, self.question = given, None
        self._answered.set()

    # --- in its thread ------------------------------------------------------------------------

    def run(self) -> None:
        """Gets it. Never raises."""
        from rgmlx.convert.obtain import obtain  # a conversion is rare, and takes its time to be imported

        begun = time.monotonic()
        try:
            with power.awake():
                self.model = obtain(self.name, self, cancelled=self._stop.is_set)
        except Cancelled as e:
            self.problem, self.stopped = str(e), True
        except RgmlxError as e:
            self.problem = str(e)
        except Exception as e:  # never a traceback over the screen
            debug_log.caught(e, f"{self.name} could not be got")
            self.problem = f"{self.name} could not be got ({type(e).__name__}: {e})"
        self.seconds = time.monotonic() - begun
        self.question, self.over = None, True
        self._changed()

    def say(self, line: str) -> None:
        """Keeps a line."""
        self.lines.append(line)
        self._changed()

    def progress(self, what: str, done: int, total: int) -> None:
        """Keeps how far it is."""
        another, self.what, self.done, self.total = what != self.what, what, done, total
        if another or done >= total or time.monotonic() - self._told >= _REPORTS:
            self._told = time.monotonic()
            self._changed()

    def access(self, missing: Access) -> str | None:
        """Asks for a token. Raises Cancelled: it was stopped instead."""
        given = self._ask(missing)
        if self.stopping:
            raise Cancelled(f"{missing.repository} was stopped: what is here is kept")
        return given if isinstance(given, str) else None

    def delete(self, repository: str, size: int) -> bool:
        """Asks whether the 16-bit files are to be deleted; one who stops it keeps them."""
        return self._ask(Deletion(repository, size)) is True and not self.stopping

    def _ask(self, question: Access | Deletion) -> object:
        self._answer = None
        self._answered.clear()
        if self.stopping:
            return None
        self.question = question
        self._changed()
        self._answered.wait()
        self.question = None
        return self._answer


class Getter:
    """Gets one model at a time.

    Attributes:
        current: the one that is on its way, or the last that was; None: there was none.
    """

    def __init__(self) -> None:
        self.current: Getting | None = None
        self._listeners: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether one is on its way."""
        return self.current is not None and not self.current.over

    def begin(self, name: str) -> Getting:
        """Has a model got, or the rest of it. Raises RuntimeError: another one is on its way."""
        if self.busy:
            raise RuntimeError("a model is on its way")
        self.current = Getting(name, self._tell)
        thread = ModelThread()
        thread.submit(self.current.run)
        self._thread = thread.leave()  # which ends when the model is here
        return self.current

    def listen(self, listener: Callable[[], None]) -> None:
        """Has `listener` called after each change, in another thread."""
        self._listeners.append(listener)

    def leave(self, listener: Callable[[], None]) -> None:
        """Has it called no more."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def end(self) -> None:
        """Stops what is on its way, and waits for it: what is here is kept."""
        if self.current is not None:
            self.current.stop()
        if self._thread is not None:
            self._thread.join()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()
