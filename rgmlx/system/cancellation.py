"""Work that may be called off between two of its steps, from another thread. Knows neither models nor event loops."""

from __future__ import annotations

import threading

from .process import stop_at_end


class Cancelled(BaseException):
    """The work was called off. It undoes what Ctrl+C would undo; whoever called it off sees to it."""


class Cancellation:
    """Calls off what a thread does within it, once `stop` is called. The end of the program does so as well."""

    def __init__(self) -> None:
        self.wanted = False
        self._before: Cancellation | None = None
        stop_at_end(self)

    def stop(self) -> None:
        """From any thread, more than once."""
        self.wanted = True

    def __enter__(self) -> Cancellation:
        self._before, _here.current = _here.current, self
        return self

    def __exit__(self, *_: object) -> None:
        _here.current = self._before


class _Here(threading.local):
    current: Cancellation | None = None


_here = _Here()


def checkpoint() -> None:
    """Between two chunks, tokens or steps of a batch. Raises Cancelled within a `Cancellation` that was stopped."""
    if _here.current is not None and _here.current.wanted:
        raise Cancelled
