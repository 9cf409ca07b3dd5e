"""A reply that is being written, as a program sees it. Knows a run of it, and who writes and ends that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import IncompleteError
from ..system.atomic import Steps
from .runs import ReplyRun

if TYPE_CHECKING:
    from ..generation.constrained.output import OutputFormat


class Reply:
    """A reply being written: iterate it for pieces of text, `stop` it from any thread. `result` is what it comes to.

    Iterating raises NotFiniteError where the model's weights are damaged, and ChatError while another thread does it.
    After an exception the reply is over, and what was delivered stays.

    Attributes:
        text: what has been delivered so far.
        run: the reply in its conversation.
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
        self._pieces, self._stop, self._end = pieces(self), stop, end

    @property
    def finish_reason(self) -> str | None:
        """None while it runs, then "stop" (the model ended it), "length" (the budget is spent) or "cancelled"."""
        return self.run.writer.finish_reason if self.run.writer is not None else None

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

    def __iter__(self) -> Iterator[str]:
        return self._pieces
