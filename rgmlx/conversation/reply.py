"""A reply that is being written, as a program sees it. Knows a run of it, and who writes and ends that."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec

from ..errors import IncompleteError
from ..system.atomic import Steps
from ..system.awaited import AsyncSteps, Threads, bound, done_in, named_twin
from .runs import ReplyRun

if TYPE_CHECKING:
    from ..generation.constrained.output import OutputFormat

P = ParamSpec("P")
_SHOWN_CHARS = 60


class Reply:
    """A reply being written: iterate it for pieces of text, `stop` it from any thread. `result` is what it comes to.

    Iterating raises NotFiniteError where the model's weights are damaged, and ChatError while another thread does it.
    After an exception the reply is over, and what was delivered stays.

    Attributes:
        text: what has been delivered so far.
        run: the reply in its conversation.
        awaited: a coroutine waits for its `result`.
    """

    def __init__(
        self,
        run: ReplyRun,
        pieces: Callable[[Reply], Steps[str]],
        stop: Callable[[], None],
        end: Callable[[ReplyRun], None],
        form: OutputFormat | None = None,
    ) -> None:
        self.run, self.text, self._form = run, "", form
        self.awaited, self._result = False, threading.Lock()
        self._pieces, self._stop, self._end = pieces(self), stop, end

    @property
    def finish_reason(self) -> str | None:
        """None while it runs, then "stop" (the model ended it), "length" (the budget is spent) or "cancelled"."""
        return self.run.writer.finish_reason if self.run.writer is not None else None

    @property
    def ids(self) -> list[int]:
        """The token ids of what has been delivered so far; of a reply of millions, the last of them."""
        return self.run.writer.ids.tolist() if self.run.writer is not None else []

    @property
    def tokens(self) -> int:
        """How many tokens have been delivered so far."""
        return self.run.writer.tokens if self.run.writer is not None else 0

    @property
    def held(self) -> bool:
        """Whether somebody waits for its `result`, so that nothing else may end it but `stop` and the end of the chat."""
        return self.awaited or self._result.locked()

    @property
    def whole_text(self) -> str:
        """The same, behind what was there before where it goes on with a reply."""
        begun = self.run.message.text if self.run.message is not None else ""
        return begun + self.text

    def result(self) -> Any:
        """What the reply comes to, written to its end: its text; with `schema` the object that it is JSON of.

        Raises:
            IncompleteError: max_tokens or a stop has cut what was asked for; what was written stays in the conversation.
            ConstraintError: a class given as `schema` refuses its values.  NotFiniteError, ChatError as iterating.
        """
        with self._result:  # of the standard library: no Ctrl+C comes between, and leaves it held for ever
            for _ in self:
                pass
        if self._form is None or self.run.matcher is None:
            return self.text
        if not self.run.matcher.done:
            raise IncompleteError(
                "the reply was cut before it was whole: give more max_tokens, or bound what may be long", self.text
            )
        return self._form.result(self.text)

    def stop(self) -> None:
        """Ends the reply after the token in flight; what was delivered stays."""
        self._stop()

    def close(self) -> None:
        """Ends the reply where it is. Raises ChatError: another thread is writing it."""
        self._pieces.close()
        self._end(self.run)

    def __iter__(self) -> Steps[str]:
        return self._pieces

    def __repr__(self) -> str:
        return f"<Reply of {self.tokens} tokens, {self.finish_reason or 'being written'}: {self.text[:_SHOWN_CHARS]!r}>"


class AsyncReply:
    """A reply for coroutines: `async for` gives its pieces, `await` what it comes to, as `Reply.result` has it.

    It is asked for with its first piece, and raises there what `Chat.send` and `Reply` raise. Cancelled while a piece is
    being written, the reply is over, and what was delivered stays.
    """

    def __init__(self, threads: Threads, begin: Callable[[], Reply]) -> None:
        self._threads, self._begin = threads, begin
        self._reply: Reply | None = None
        self._stopped = self._awaited = False
        self._pieces = AsyncSteps(threads.steps, self._start)

    @property
    def text(self) -> str:
        """What has been delivered so far."""
        return self._reply.text if self._reply is not None else ""

    @property
    def finish_reason(self) -> str | None:
        """As `Reply.finish_reason`."""
        return self._reply.finish_reason if self._reply is not None else None

    async def result(self) -> Any:
        """As `Reply.result`: its text, or with `schema` the object; also when some of it was iterated before."""
        self._wait(True)
        try:
            async for _ in self:
                pass
        finally:
            self._wait(False)
        if self._reply is None:  # ended before it was begun
            return ""
        return await done_in(self._threads.steps, self._reply.result)

    def stop(self) -> None:
        """Ends the reply after the token in flight, from any thread or task; what was delivered stays."""
        self._stopped = True
        if self._reply is not None:
            self._reply.stop()

    async def aclose(self) -> None:
        """Ends the reply where it is."""
        await self._pieces.aclose()
        if self._reply is not None:
            await done_in(self._threads.steps, self._reply.close)

    def __aiter__(self) -> AsyncSteps[str]:
        return self._pieces

    def __await__(self) -> Generator[object, None, Any]:
        return self.result().__await__()

    def _start(self) -> Steps[str]:
        self._reply = self._begin()
        self._reply.awaited = self._awaited
        if self._stopped:
            self._reply.stop()
        return iter(self._reply)

    def _wait(self, awaited: bool) -> None:
        self._awaited = awaited
        if self._reply is not None:
            self._reply.awaited = awaited


def replied(method: Callable[P, Reply]) -> Callable[P, AsyncReply]:
    """The async twin of a method that begins a reply: `asend = replied(send)`."""

    @wraps(method)
    def twin(*args: P.args, **options: P.kwargs) -> AsyncReply:
        owner, call = bound(method, *args, **options)
        return AsyncReply(owner.threads, call)

    return named_twin(twin, method, "for `async for`, or `await` for its `result`; it begins with the first piece")
