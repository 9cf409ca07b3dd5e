"""Async twins: what a coroutine asks for is done in a model's threads, by the synchronous method of the same name.

A coroutine that is cancelled ends when nothing is done for it any more, and what it got no result of is undone: the
state is that of the last piece that was delivered. Nothing is done ahead for that reason: a stream's next step begins
when it is asked for. Knows threads and event loops; nothing of models.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Coroutine, Iterator
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from .atomic import END, Steps
from .cancellation import Cancellation
from .model_thread import ModelThread
from .process import enter

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

P = ParamSpec("P")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Threads:
    """A model's threads, which begin with the first thing that is asked of them.

    Attributes:
        calls: does whole calls that may take long, one after another in the order of asking.
        steps: does the steps of streams and replies, a step of each by turns, and what is short. It does not wait for `calls`.
    """

    def __init__(self) -> None:
        self.calls, self.steps = ModelThread(), ModelThread()
        for thread in (self.calls, self.steps):  # they end with the model
            weakref.finalize(self, thread.leave).atexit = False

    def __reduce__(self) -> tuple[type[Threads], tuple[()]]:
        """A copy of a model has threads of its own."""
        return Threads, ()


def awaited(method: Callable[P, T], *, short: bool = False) -> Callable[P, Coroutine[Any, Any, T]]:
    """The async twin of a method of what has `threads`: `agenerate = awaited(generate)`.

    Args:
        short: it is done among the steps, and waits for no long call.
    """

    @wraps(method)
    async def twin(*args: P.args, **options: P.kwargs) -> T:
        owner, call = bound(method, *args, **options)
        threads: Threads = owner.threads
        return await done_in(threads.steps if short else threads.calls, call)

    return named_twin(twin, method, "awaited; cancelled, all is as after Ctrl+C")


def stepped(method: Callable[P, Iterator[T]]) -> Callable[P, AsyncSteps[T]]:
    """The async twin of a method that returns `Steps`: `astream = stepped(stream)`, for `async for`."""

    @wraps(method)
    def twin(*args: P.args, **options: P.kwargs) -> AsyncSteps[T]:
        owner, call = bound(method, *args, **options)
        return AsyncSteps(owner.threads.steps, call)

    return named_twin(twin, method, "for `async for`; it begins with the first step, and raises there")


def bound(method: Callable[..., Any], owner: Any, /, *args: Any, **options: Any) -> tuple[Any, Callable[[], Any]]:
    """Whose method it is, and a call of it: of a subclass's own, where there is one."""
    return owner, lambda: getattr(owner, method.__name__)(*args, **options)


def named_twin(twin: F, method: Callable[..., object], how: str) -> F:
    """The twin under its own name: that of the method behind an `a`."""
    name = method.__name__
    twin.__name__ = f"a{name}"
    twin.__qualname__ = method.__qualname__.removesuffix(name) + twin.__name__
    twin.__doc__ = f"`{name}`, {how}.\n\n        {method.__doc__}"
    return twin


class AsyncSteps(Generic[T]):
    """`Steps` for `async for`: each step is done in a thread, when it is asked for.

    Cancelled within a step, it ends where the last value was delivered. One that is left at another time stays there, and
    `aclose` ends it, as `contextlib.aclosing` does.
    """

    def __init__(self, thread: ModelThread, begin: Callable[[], Steps[T]]) -> None:
        self._thread, self._begin = thread, begin
        self._steps: Steps[T] | None = None
        self._closed = False

    def __aiter__(self) -> AsyncSteps[T]:
        return self

    async def __anext__(self) -> T:
        value = await done_in(self._thread, self._next, self._take_back)
        if value is END:
            raise StopAsyncIteration
        return value

    async def aclose(self) -> None:
        """Ends it where it is; what was delivered stays."""
        self._closed = True
        if self._steps is not None:
            await done_in(self._thread, self._steps.close)

    def _next(self) -> Any:
        if self._closed:
            return END
        if self._steps is None:
            self._steps = self._begin()
            self._steps.reversible = True
        return next(self._steps, END)

    def _take_back(self, value: Any) -> None:
        self._closed = True
        if self._steps is not None and value is not END:
            self._steps.take_back()


async def done_in(thread: ModelThread, action: Callable[[], T], undo: Callable[[T], object] = lambda value: None) -> T:
    """Has something done in a thread.

    Args:
        undo: called there with what came of it, where that was cancelled before anybody got it.

    Raises:
        RgmlxError: this process was forked after MLX had computed.  What the action raises.
    """
    import asyncio

    enter()  # in a forked child there is no thread to wait for
    cancellation = Cancellation()

    def cancellable() -> T:
        with cancellation:
            return action()

    future = thread.submit(cancellable)
    try:
        return await asyncio.wrap_future(future)  # cancelled before it has begun, it never will
    except asyncio.CancelledError:
        cancellation.stop()
        found = await _settled(future)
        if not found.cancelled() and found.exception() is None:
            value = found.result()
            (await _settled(thread.submit(lambda: undo(value)))).result()
        raise


async def _settled(future: Future[T]) -> asyncio.Future[T]:
    """Waits for its end, however often one is cancelled meanwhile."""
    import asyncio

    found = asyncio.wrap_future(future)
    while not found.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([found])
    return found
