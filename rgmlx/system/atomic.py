"""Steps that happen as a whole or not at all, one at a time.

Ctrl+C raises between any two instructions. What is changed here in several places is put back when that happens, so
that after any exception all is as it was when the last value was delivered. Knows nothing of models.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

from ..errors import RgmlxError
from .process import work

T = TypeVar("T")
Undo = Callable[[], None]


class _End:
    """In place of a value: there is none any more."""


END = _End()


class Busy:
    """A lock for one step at a time. Who finds it taken is refused, or waits.

    Attributes:
        taken: whether somebody is within a step.
    """

    def __init__(self, error: type[RgmlxError], sentence: str) -> None:
        self.taken = False
        # Of the standard library, for `with`: no instruction comes between its entering and what it protects.
        self._lock = threading.RLock()
        self._error, self._sentence = error, sentence

    def free(self) -> threading.RLock:
        """The lock, for `with`. Raises the error where a step is being done."""
        if self.taken:  # where one begins only now, `with` waits for its end
            raise self.refusal()
        return self._lock

    def awaited(self) -> threading.RLock:
        """The same, but waits for other threads. Raises the error within a step of this one."""
        if self._is_mine():
            raise self.refusal()
        return self._lock

    def let_go(self) -> None:
        """After an exception: leaves what could not be left any more."""
        self.taken = False  # wrong where another thread has begun a step since: who finds that taken then waits for it
        while self._is_mine():
            self._lock.release()

    def refusal(self) -> RgmlxError:
        """The error."""
        return self._error(self._sentence)

    def _is_mine(self) -> bool:
        return bool(self._lock._is_owned())  # type: ignore[attr-defined]


def whole(busy: Busy, undo: Callable[[], Undo], action: Callable[[], T]) -> T:
    """Does something that an exception undoes.

    Args:
        undo: called before the action; returns what puts everything back.

    Raises:
        RgmlxError: somebody is busy with it; nothing was done.
    """
    back: Undo | None = None
    try:
        with busy.free(), work():
            back = undo()
            busy.taken = True
            result = action()
            busy.taken = False
            return result
    except BaseException:
        if back is not None:
            back()
            busy.let_go()
        raise


class Steps(Generic[T]):
    """Iterates a generator, each step whole: after an exception all is as it was when the last value was delivered.

    Args:
        steps: what is iterated; after an exception it is closed.
        busy: taken for the time of a step.
        undo: called before each step; returns what puts everything back.
        waits: for another thread that is busy, where a step is not to be refused for what others do in between.

    Attributes:
        reversible: whether `take_back` may be called; what goes back is kept from step to step then.
    """

    def __init__(self, steps: Generator[T], busy: Busy, undo: Callable[[], Undo], waits: bool = False) -> None:
        self._steps, self._busy, self._undo, self._waits = steps, busy, undo, waits
        self.reversible = False
        self._back: Undo | None = None

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        """Raises RgmlxError: another thread is in a step of it, or of what it moves."""
        back: Undo | None = None
        try:
            if getattr(self._steps, "gi_running", False):
                raise self._busy.refusal()
            with self._busy.awaited() if self._waits else self._busy.free(), work():
                back = self._undo()
                self._busy.taken = True
                value = next(self._steps, END)
                self._back = back if self.reversible else None
                self._busy.taken = False
                if not isinstance(value, _End):
                    return value
        except BaseException:
            if back is not None:
                try:
                    self._steps.close()
                finally:
                    back()
                    self._busy.let_go()
            raise
        raise StopIteration

    def take_back(self) -> None:
        """Ends it where it was before the last value, which nobody got."""
        with self._busy.awaited(), work():
            back, self._back = self._back, None
            self.close()
            if back is not None:
                back()

    def close(self) -> None:
        """Ends it where it is; what was delivered stays. Raises RgmlxError: another thread is in a step of it."""
        try:
            self._steps.close()
        except ValueError as e:
            if "already executing" not in str(e):
                raise
            raise self._busy.refusal() from None
