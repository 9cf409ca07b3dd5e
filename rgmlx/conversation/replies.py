"""Replies of a model in the open conversation: written, gone on with, stopped; over any store.

Knows where the model stands (`Context`); nothing of files and widgets. What needs the model (`sync`, `generate_reply`, `continue_reply`) takes
its time and belongs into a worker thread of a screen, one at a time. A reply stays in the conversation that it began in,
whatever is opened while it is written.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ChatError
from ..store import MODEL, USER, Message, StoreError
from . import sampling_settings
from .metrics import resident_bytes
from .opened import ConversationSession
from .runs import ReplyRun
from .storage import Storage

if TYPE_CHECKING:
    from ..generation.constrained.matcher import Matcher
    from ..generation.engine import Progress
    from ..settings import Sampling
    from ..system.atomic import Undo
    from .context import Context, Horizon
    from .writer import Writer

_GO_ON_TOKENS = 8  # a reply that had ended, and is to go on, says at least this much more
_FEW = 16  # tokens between two turns


class ReplySession(ConversationSession):
    """The open conversation with one model.

    Attributes:
        context: None until the model is loaded.
        reading: (done, in all) while a long text is being read, else None. In tokens; while `reading_again` in about
            characters.
        reading_again: it is text that was there before, on the way to where the conversation stands.
    """

    def __init__(
        self,
        store: Storage,
        name: str = "demo",
        *,
        system: str | None = None,
        sampling: Mapping[str, Any] | None = None,
    ) -> None:
        """`system`, `sampling`: of new conversations; the second also of one that is opened, where it says nothing."""
        super().__init__(store, name, system=system, sampling=sampling)
        self.context: Context | None = None
        self.reading: tuple[int, int] | None = None
        self.reading_again = False
        self._cancel, self._expected = threading.Event(), False

    @property
    def in_sync(self) -> bool:
        """Whether the model stands where the conversation does."""
        return self.context is not None and self.context.head == self._opened.at

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raises RgmlxError: one of these settings is out of range."""
        self.sampling(settings)
        sampling_settings.max_tokens(settings)

    def sync(self) -> int:
        """Brings the model to where the conversation stands.

        Returns:
            How many tokens were read again; 0 as long as there is a state.

        Raises:
            ChatError: it was stopped.  StoreError.
        """
        context = self.require_context()
        self._begin_work()
        return self._come(context, self._opened.head, self._opened.system)

    def generate_reply(self, *, endless: bool = False) -> Iterator[str]:
        """Writes a reply to the user's message that one stands at; yields it piece by piece.

        Args:
            endless: goes on until it is stopped.

        Raises:
            ChatError: one does not stand at a message of the user's.
            RgmlxError: a setting out of range, a full disk; what was written so far is kept.
        """
        return self._delivered(self.start_reply(endless=endless))

    def continue_reply(self, *, endless: bool = False) -> Iterator[str]:
        """Goes on with the reply that one stands at; yields what is added.

        One that was cut short grows; of one that had ended, or that others follow, a longer sibling is made.

        Raises:
            ChatError: one does not stand at a reply.  RgmlxError: as `generate_reply`.
        """
        return self._delivered(self.start_reply(continues=True, endless=endless))

    def _delivered(self, run: ReplyRun) -> Iterator[str]:
        try:
            yield from self.reply_pieces(run)
        finally:
            self.end_reply(run)

    # --- a reply, step by step ------------------------------------------------------------

    def start_reply(
        self,
        *,
        continues: bool = False,
        endless: bool = False,
        sampling: Sampling | None = None,
        max_tokens: int | None = None,
        progress: Progress | None = None,
        matcher: Matcher | None = None,
    ) -> ReplyRun:
        """Begins a reply, or what is added to one, where one stands; `reply_pieces` writes it, `end_reply` ends it.

        Args:
            sampling: how it is drawn, with `max_tokens`; None as the conversation's settings have both.
            progress: told (tokens, tokens in all) while a message is read.
            matcher: says what it may be; not of one that goes on.
        """
        self._begin_work()  # now, not when the first piece is asked for: what comes after is a stop
        run = self._start_run()
        run.continues, run.min_tokens = continues, math.inf if endless else 0
        run.sampling, run.max_tokens, run.progress, run.matcher = sampling, max_tokens, progress, matcher
        return run

    def reply_pieces(self, run: ReplyRun) -> Iterator[str]:
        """The pieces of a reply. Whatever ends this, `end_reply` has to be called. Raises as `generate_reply`, `continue_reply`."""
        context, asked = self.require_context(), run.asked
        if run.continues and (asked is None or asked.role != MODEL):
            raise ChatError("there is no reply to go on with: send a message first")
        if asked is None or (not run.continues and asked.role != USER):
            raise ChatError("there is no message to reply to: send one first")
        # 1. before anything is changed
        self.check(run.opened.settings)
        # 2. where it is written
        if run.continues:
            message = self._longer(context, run, asked)
        else:
            self._come(context, asked, run.opened.system)
            message = self._start_message(run, asked.id)
        # 3. written
        run.writer = writer = self._writer(context, run, message)
        if self._cancel.is_set():  # stopped before there was a writer
            writer.stop()
        for piece in writer.pieces():
            self.reading = None
            yield piece

    def end_reply(self, run: ReplyRun) -> None:
        """Ends a reply, in the store and for the model. May be called again where it was interrupted.

        Raises:
            StoreError: the disk is full; in memory it is done, and the end of the text is owed.
        """
        if run.ended:
            return
        try:
            self.reading = None
            writer, message, asked = run.writer, run.message, run.asked
            if message is None:
                return
            parent = None if message.parent is None else self._message(message.parent)
            is_copy = run.continues and asked is not None and message.id != asked.id
            try:
                if writer is not None:
                    writer.end()
            finally:
                if is_copy and (writer is None or not writer.delivered):  # stopped before its first word: no copy stays
                    self._discard(run, message, asked)
                elif writer is None:
                    if message.text:
                        self._follow(run, self.store.messages.finish(message.id, closed=False))
                    else:
                        self._discard(run, message, parent)
                else:
                    self._follow(run, writer.message if writer.kept else parent)
                if writer is not None:
                    while writer.notices:
                        self._notice(writer.notices.pop(0))
                    self.measure()
        finally:
            self._end_run(run)
            run.ended = True

    def mark(self, run: ReplyRun | None) -> Undo:
        """What goes back to now, from wherever a change, or the reply, is then; a reply has only to be ended then."""
        context, opened = self.require_context(), self._opened
        here, kept, row, head = vars(opened).copy(), context.mark(), opened.row, opened.head
        values = vars(run).copy() if run is not None else {}
        writer = run.writer.mark() if run is not None and run.writer is not None else None
        newest = -1
        if writer is None and row is not None:  # nothing is added to the tree while a reply is written
            newest = self.store.messages.newest(row.id)

        def undo() -> None:
            # 1. the text
            if newest >= 0 and row is not None:
                for number in self.store.messages.since(row.id, newest):
                    self.store.messages.discard(number)
                if head is not None and run is not None and run.continues:
                    self.store.messages.finish(head.id, closed=False)
                self.store.conversations.set_head(row.id, head.id if head is not None else None)
            # 2. what is known of it
            vars(opened).update(here)
            if run is not None:
                vars(run).update(values)
            # 3. the model
            kept()
            if writer is not None:
                writer()

        return undo

    def _longer(self, context: Context, run: ReplyRun, old: Message) -> Message:
        """The open reply that goes on with this one, which the model stands at then."""
        if old.closed:
            if not run.min_tokens:
                run.min_tokens = _GO_ON_TOKENS
            # The token that ended it is in the state: its text is read again, without that.
            text = self.store.messages.get(old.id).text  # the head's may be its end only
            message = self._start_message(run, old.parent, text)
            self._come(context, message, run.opened.system)
            return message
        self._come(context, old, run.opened.system)
        if self.store.messages.has_children(old.id):
            return self._start_message(run, old.parent, self.store.messages.get(old.id).text)
        with self._lock:
            message = self.store.messages.reopen(old.id, context.model.identity)
            self._follow(run, message)
            run.message = message
        return message

    def _writer(self, context: Context, run: ReplyRun, message: Message) -> Writer:
        from .writer import Writer

        settings, limit = run.opened.settings, run.max_tokens
        if run.sampling is None and run.min_tokens != math.inf:
            limit = sampling_settings.max_tokens(settings)
        return Writer(
            self.store,
            context,
            message,
            run.sampling or self._sampling(message, settings),
            self.metrics,
            min_tokens=run.min_tokens,
            max_tokens=limit,
            progress=run.progress or self._progress,
            matcher=run.matcher,
        )

    def _discard(self, run: ReplyRun, message: Message, head: Message | None) -> None:
        """Removes a reply without a word."""
        if self.store.messages.window(message.id, 1, chars=1):
            self.store.messages.discard(message.id)
        self._follow(run, head)

    def expect(self, *, more: bool = False) -> None:
        """Says that something will soon be asked of the model: a stop from now on is one of that.

        Args:
            more: it goes on with what the model has been doing: a stop of that is one of this, too.
        """
        if not more:
            self._cancel.clear()
        self._expected = True

    def stop(self) -> None:
        """Stops what the model is doing, or is expected to do, from any thread. All that was delivered stays."""
        self._cancel.set()
        if (run := self._run) is not None and run.writer is not None:
            run.writer.stop()

    def horizon(self) -> Horizon | None:
        """Where exact memory begins; None while it reaches to the first word, or no model is loaded."""
        if self.context is None or not self.in_sync:
            return None
        cached = self.context.cached
        if len(cached.unread) > _FEW:  # reading was stopped: what was not read yet is not remembered at all
            return None
        return self.context.horizon(self.head.id if self.head else None, cached.state.position + len(cached.unread))

    def _begin_work(self) -> None:
        if not self._expected:
            self._cancel.clear()
        self._expected = False

    def _come(self, context: Context, head: Message | None, system: str | None) -> int:
        stopped = self._cancel.is_set
        with contextlib.suppress(StoreError):  # the end of a reply takes its state along
            self.store.messages.write_pending()
        self.reading_again = True
        try:
            if head is not None and head.role == USER:
                return context.seek_for_reply(head, system, progress=self._progress, cancelled=stopped)
            return context.seek(head.id if head else None, system, progress=self._progress, cancelled=stopped)
        finally:
            self.reading, self.reading_again = None, False
            self.measure()

    def sampling(self, settings: Mapping[str, Any]) -> Sampling:
        """The model's settings with these in their place. Raises RgmlxError: one is out of range."""
        return sampling_settings.sampling(settings, self.context.model.sampling if self.context else None)

    def own_settings(self) -> dict[str, Any]:
        """What holds where the conversation says nothing, by setting; empty while no model is loaded."""
        return sampling_settings.own(self.context.model.sampling) if self.context else {}

    def _sampling(self, message: Message, settings: Mapping[str, Any]) -> Sampling:
        return sampling_settings.seeded(self.sampling(settings), settings, message)

    def require_context(self) -> Context:
        """The loaded model's context. Raises ChatError: none is loaded."""
        if self.context is None:
            raise ChatError(f"the model {self.name} is not loaded: choose a model with /model")
        return self.context

    def _progress(self, done: int, total: int) -> None:
        self.reading = (done, total) if done < total else None

    def measure(self) -> None:
        """Brings the metrics up to date."""
        if self.context is not None:
            state = self.context.cached.state
            self.metrics.state_bytes, self.metrics.position = state.nbytes, state.position
            self.metrics.window, self.metrics.read_again = self.context.window, self.context.read
        self.metrics.resident = resident_bytes()
