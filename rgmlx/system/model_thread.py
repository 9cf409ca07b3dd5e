"""One thread for all that the model does, for as long as a session lasts.

MLX keeps its default stream, what it has compiled and a GPU's command queue for each thread: a thread for each reply
would make all of them anew each time. Knows threads; nothing of models, screens and lines.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
_LOOK = 0.1  # seconds between two calls of `meanwhile`
_LEAVE_SECONDS = 0.5  # at the end of the program, for a thread that may hang in a download


def leave_all() -> None:
    """Ends all of them with the program, those that have nothing to do: MLX's own threads for each end before it."""
    for thread in [left for one in list(_all) if (left := one.leave()) is not None]:
        thread.join(_LEAVE_SECONDS)


class ModelThread:
    """Does what it is given, one thing after the other, always in the same thread; the first thing starts it.

    A daemon, and no executor of the standard library, for which the end of the program would wait: a download may hang.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, action: Callable[[], T]) -> Future[T]:
        """Has something done, in the context of the caller; from any thread."""
        future: Future[T] = Future()
        context = contextvars.copy_context()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = context.run(action)
            except BaseException as e:
                future.set_exception(e)
            else:
                future.set_result(result)

        with self._lock:
            if self._thread is None:
                self._jobs = queue.SimpleQueue()
                self._thread = threading.Thread(target=_work, args=(self._jobs,), name="model", daemon=True)
                self._thread.start()
                _all.add(self)
            self._jobs.put(job)
        return future

    def end(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Ends the thread once all is done that it was given, and waits for that; doing so twice is fine.

        Args:
            meanwhile: called now and then while one waits.
        """
        thread = self.leave()
        while thread is not None and thread.is_alive():
            thread.join(_LOOK)
            if thread.is_alive():
                meanwhile()

    def leave(self) -> threading.Thread | None:
        """The same without waiting; the thread, if there is one."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._jobs.put(None)
        return thread


def _work(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # nothing of it stays in memory while the thread waits


_all: weakref.WeakSet[ModelThread] = weakref.WeakSet()
