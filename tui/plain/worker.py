"""Slow things in the model's thread: what they tell is shown as it comes, Ctrl+C stops them, and now and then is said how
far they are.

Knows threads, signals and the clock; nothing of models and conversations.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import wait
from dataclasses import dataclass
from types import FrameType

from rgmlx.errors import RgmlxError
from rgmlx.system.macos import power
from rgmlx.system.model_thread import ModelThread
from rgmlx.system.printable import first_line

PATIENCE, PAUSE = 1.0, 2.0
"""Seconds before it is said what takes so long, and between two such lines."""
_AHEAD = 1_000  # pieces that the model may be ahead of a slow terminal


@dataclass(frozen=True)
class _End:
    """The end of one thing, and why if it failed."""

    problem: RgmlxError | None = None


class Worker:
    """Slow things, one at a time and all in one thread, that Ctrl+C stops.

    Attributes:
        stopped: whether Ctrl+C was pressed during the last one.
        asking: whether somebody is asked for a line: there Ctrl+C is a KeyboardInterrupt.
    """

    def __init__(self, stop: Callable[[], None], say: Callable[[str], None]) -> None:
        """`stop` has what is running come to its end; `say` is told how far it is."""
        self.stopped = self.asking = False
        self._stop, self._say = stop, say
        self._thread, self._left = ModelThread(), False
        self._events: queue.SimpleQueue[str | _End | None] | None = None

    def interrupt(self, signum: int, frame: FrameType | None) -> None:
        """Handles SIGINT: stops what is running, or leaves the prompt. All else is short, and should end."""
        if self._events is not None:
            self._events.put(None)  # a SimpleQueue allows that inside of its own get()
        elif self.asking:
            raise KeyboardInterrupt

    def run(
        self,
        action: Callable[[], Iterable[str] | None],
        doing: Callable[[], str],
        show: Callable[[str], None] = lambda piece: None,
        *,
        leave: bool = False,
    ) -> None:
        """Does something until it is done or was stopped.

        Args:
            action: what to do; its pieces of text are shown.
            doing: what is being done just now, in a sentence; "" where there is nothing to say.
            leave: after Ctrl+C raise KeyboardInterrupt at once, and leave the thread to itself; nothing comes after that.

        Raises:
            RgmlxError: what the action raised.
        """
        events: queue.SimpleQueue[str | _End | None] = queue.SimpleQueue()
        gone = threading.Event()

        def work() -> None:
            end = _End()
            try:
                for piece in action() or ():
                    events.put(piece)
                    while events.qsize() > _AHEAD and not gone.is_set():
                        time.sleep(0.05)
            except RgmlxError as e:
                end = _End(e)
            except Exception as e:  # a failing engine must not take the conversation with it
                end = _End(RgmlxError(f"it broke off ({type(e).__name__}: {first_line(e)}): try again"))
            events.put(end)

        self._events, self.stopped = events, False
        done = self._thread.submit(work)
        left = leave  # a download may hang; of all else everything is on the disk when this returns
        try:
            with power.awake():
                self._watch(events, doing, show, leave)
            left = False
        except RgmlxError:
            left = False
            raise
        finally:
            gone.set()
            if not left:
                if not done.done():
                    self._stop()
                wait([done])
            self._left, self._events = left, None

    def end(self) -> None:
        """Ends the thread. Nothing is running then, but for what was left."""
        if self._left:
            self._thread.leave()
        else:
            self._thread.end()

    def _watch(
        self,
        events: queue.SimpleQueue[str | _End | None],
        doing: Callable[[], str],
        show: Callable[[str], None],
        leave: bool,
    ) -> None:
        next_time, said = time.monotonic() + PATIENCE, ""
        while True:
            try:
                event = events.get(timeout=0.1)
            except queue.Empty:
                event = ""
            if isinstance(event, _End):
                if event.problem is not None:
                    raise event.problem
                return
            if event:
                show(event)
            elif event is None:
                self.stopped = True
            if self.stopped:
                self._stop()  # each time: what has only just begun may have forgotten it
                if leave:
                    raise KeyboardInterrupt
            if time.monotonic() > next_time and (sentence := doing()) not in (said, ""):
                self._say(sentence)
                next_time, said = time.monotonic() + PAUSE, sentence
