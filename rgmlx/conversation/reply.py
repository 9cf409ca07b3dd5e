"""A reply that is being written, as a program sees it. Knows a run of it, and who writes and ends that."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..system.atomic import Steps
from .runs import ReplyRun


class Reply:
    """A reply being written: iterate it for pieces of text, `stop` it from any thread.

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
    ) -> None:
        self.run, self.text = run, ""
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
    def whole_text(self) -> str:
        """The same, behind what was there before where it goes on with a reply."""
        begun = self.run.message.text if self.run.message is not None else ""
        return begun + self.text

    def stop(self) -> None:
        """Ends the reply after the token in flight; what was delivered stays."""
        self._stop()

    def close(self) -> None:
        """Ends the reply where it is. Raises ChatError: another thread is writing it."""
        self._pieces.close()
        self._end(self.run)

    def __iter__(self) -> Iterator[str]:
        return self._pieces
