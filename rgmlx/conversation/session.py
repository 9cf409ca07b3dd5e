"""The open conversation with a model that goes on with it.

Knows where the model stands (`Memory`), and nothing of widgets. What changes the conversation (`ask`, `go`, `edit`; see
`opened`) may be called from the screen; what needs the model (`load`, `stand`, `reply`, `go_on`) takes its time and
belongs into a worker thread, one at a time. A reply stays in the conversation that it began in, whatever is opened
while it is written.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import ChatError, ConfigError, ModelNotFoundError, RgmlxError
from ..store import MODEL, USER, Message, Store, StoreError
from ..system.device import named
from ..system.formatting import sentence
from ..system.paths import is_utf8
from . import sampling_settings
from .metrics import resident_bytes
from .opened import ConversationSession, ReplyRun

if TYPE_CHECKING:
    from ..settings import Sampling
    from .context import Horizon, Memory

_GO_ON_TOKENS = 8  # a reply that had ended, and is to go on, says at least this much more
_FEW = 16  # tokens between two turns


class Session(ConversationSession):
    """The open conversation with one model.

    Attributes:
        memory: None until the model is loaded.
        reading: (done, in all) while a long text is being read, else None. In tokens; while `reading_again` in about
            characters.
        reading_again: it is text that was there before, on the way to where the conversation stands.
        origins: by a model's name the file that says it, of names that nobody has typed.
    """

    def __init__(
        self,
        store: Store,
        name: str = "demo",
        *,
        system: str | None = None,
        sampling: Mapping[str, Any] | None = None,
    ) -> None:
        """`system`, `sampling`: of new conversations; the second also of one that is opened, where it says nothing."""
        super().__init__(store, name, system=system, sampling=sampling)
        self.memory: Memory | None = None
        self.reading: tuple[int, int] | None = None
        self.reading_again = False
        self.origins: dict[str, str] = {}
        self._cancel, self._expected = threading.Event(), False
        self._wired = contextlib.ExitStack()  # keeps the model's weights in memory between replies, too

    def close(self) -> None:
        super().close()
        self._wired.close()

    @property
    def ready(self) -> bool:
        """Whether a model is loaded."""
        return self.memory is not None

    @property
    def stands(self) -> bool:
        """Whether the model stands where the conversation does."""
        return self.memory is not None and self.memory.at == self._opened.at

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raises RgmlxError: one of these settings is out of range."""
        self.sampling(settings)
        sampling_settings.max_tokens(settings)

    # --- with the model: in a worker ------------------------------------------------------

    def load(self, name: str | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """Loads a model, downloading it first where it is not there.

        Args:
            progress: told (bytes, bytes in all) of a download.

        Raises:
            RgmlxError: there is no such model, or it can't chat; the one so far stays.
        """
        import rgmlx

        from ..errors import warnings_told
        from ..weights.download import fetch

        name, opened = name or self.name, self._opened
        if not is_utf8(name):
            raise RgmlxError(f"the name {name} is not UTF-8, which a conversation can't keep: rename the directory")
        self._begin_work()
        try:
            fetch(name, progress or (lambda done, total: None), self._cancel.is_set)
            with (
                named(),  # the first import of the network may compute
                warnings_told(lambda text: self._notice(sentence(text))),  # at once: one is that it will be slow
            ):
                from ..generation.wired import wired
                from .context import Memory

                memory = Memory(rgmlx.load(name), self.store)
        except (ModelNotFoundError, ConfigError) as e:  # whoever did not type the name has to know where it is from
            if opened.row is not None and opened.row.model == name:
                raise type(e)(f"this conversation's model can't be loaded: {e}") from None
            if name in self.origins:
                raise type(e)(f"{self.origins[name]}: {e}") from None
            raise
        self._wired.close()
        self._wired.enter_context(wired(memory.model))
        self.memory, self.name = memory, name
        if opened.row is not None and opened.row.model != name and not self.store.read_only:
            self.store.conversations.set_model(opened.row.id, name)
        self.measure()

    def stand(self) -> int:
        """Brings the model to where the conversation stands.

        Returns:
            How many tokens were read again; 0 as long as there is a state.

        Raises:
            ChatError: it was stopped.  StoreError.
        """
        memory = self.needs()
        self._begin_work()
        return self._come(memory, self._opened.head, self._opened.system)

    def reply(self, *, endless: bool = False) -> Iterator[str]:
        """Writes a reply to the user's message that one stands at; yields it piece by piece.

        Args:
            endless: goes on until it is stopped.

        Raises:
            RgmlxError: a setting out of range, a full disk; what was written so far is kept.
        """
        self._begin_work()  # now, not when the first piece is asked for: what comes after is a stop
        return self._reply(self._start_run(), endless)

    def _reply(self, run: ReplyRun, endless: bool) -> Iterator[str]:
        try:
            memory, asked = self.needs(), run.asked
            if asked is None or asked.role != USER:
                raise ChatError("there is no message to reply to: send one first")
            self.check(run.opened.settings)  # before anything is changed
            self._come(memory, asked, run.opened.system)
            message = self._start_message(run, asked.id)
            yield from self._write(memory, run, message, min_tokens=math.inf if endless else 0)
        finally:
            self._end_run(run)

    def go_on(self, *, endless: bool = False) -> Iterator[str]:
        """Goes on with the reply that one stands at; yields what is added.

        One that was cut short grows; of one that had ended, or that others follow, a longer sibling is made.

        Raises:
            ChatError: one does not stand at a reply.  RgmlxError: as `reply`.
        """
        self._begin_work()
        return self._go_on(self._start_run(), endless)

    def _go_on(self, run: ReplyRun, endless: bool) -> Iterator[str]:
        try:
            memory, old = self.needs(), run.asked
            if old is None or old.role != MODEL:
                raise ChatError("there is no reply to go on with: send a message first")
            self.check(run.opened.settings)  # before anything is changed
            message = self._longer(memory, run, old)
            least, longer = math.inf if endless else _GO_ON_TOKENS if old.closed else 0, False
            try:
                for piece in self._write(memory, run, message, min_tokens=least):
                    longer = True
                    yield piece
            finally:
                if not longer and message.id != old.id:  # stopped before its first word: no copy stays
                    self.store.messages.discard(message.id)
                    self._follow(run, old)
        finally:
            self._end_run(run)

    def _longer(self, memory: Memory, run: ReplyRun, old: Message) -> Message:
        """The open reply that goes on with this one, which the model stands at then."""
        if old.closed:
            # The token that ended it is in the state: its text is read again, without that.
            text = self.store.messages.get(old.id).text  # the head's may be its end only
            message = self._start_message(run, old.parent, text)
            try:
                self._come(memory, message, run.opened.system)
            except BaseException:
                self.store.messages.discard(message.id)
                self._follow(run, old)
                raise
            return message
        self._come(memory, old, run.opened.system)
        if self.store.messages.followed(old.id):
            return self._start_message(run, old.parent, self.store.messages.get(old.id).text)
        with self._lock:
            message = self.store.messages.reopen(old.id, memory.model.identity)
            self._follow(run, message)
            run.message = message
        return message

    def expect(self) -> None:
        """Says that something will soon be asked of the model: a stop from now on is one of that."""
        self._cancel.clear()
        self._expected = True

    def stop(self) -> None:
        """Stops what the model is doing, or is expected to do, from any thread. All that was delivered stays."""
        self._cancel.set()
        if (run := self._run) is not None and run.writer is not None:
            run.writer.stop()

    def horizon(self) -> Horizon | None:
        """Where exact memory begins; None while it reaches to the first word, or no model is loaded."""
        if self.memory is None or not self.stands:
            return None
        point = self.memory.point
        if len(point.unread) > _FEW:  # reading was stopped: what was not read yet is not remembered at all
            return None
        return self.memory.horizon(self.head.id if self.head else None, point.state.position + len(point.unread))

    def horizon_while_writing(self) -> Horizon | None:
        """The same during a reply, as far as it is on the disk. From any thread."""
        run = self._run
        if self.memory is None or run is None or (writer := run.writer) is None:
            return None
        return self.memory.horizon(writer.message.id, self.gauges.position)

    def so_far(self, chars: int) -> tuple[str, int] | None:
        """The running reply, as far as it was delivered; None once it has ended. From any thread.

        Returns:
            About so many of its last characters at least; and how many it was delivered since it began, or went on.
        """
        run = self._run
        if run is None:
            return None
        if run.writer is not None:
            return run.writer.so_far(chars)
        return (run.message.text if run.message is not None else ""), 0

    # --- inside ---------------------------------------------------------------------------

    def _begin_work(self) -> None:
        if not self._expected:
            self._cancel.clear()
        self._expected = False

    def _come(self, memory: Memory, head: Message | None, system: str | None) -> int:
        stopped = self._cancel.is_set
        with contextlib.suppress(StoreError):  # the end of a reply takes its state along
            self.store.messages.pay()
        self.reading_again = True
        try:
            if head is not None and head.role == USER:
                return memory.stand_before_reply(head, system, progress=self._progress, cancelled=stopped)
            return memory.stand(head.id if head else None, system, progress=self._progress, cancelled=stopped)
        finally:
            self.reading, self.reading_again = None, False
            self.measure()

    def _write(self, memory: Memory, run: ReplyRun, message: Message, *, min_tokens: float) -> Iterator[str]:
        from .writer import Writer

        try:
            sampling = self._sampling(message, run.opened.settings)
            writer = Writer(
                self.store,
                memory,
                message,
                sampling,
                self.gauges,
                min_tokens=min_tokens,
                max_tokens=None if min_tokens == math.inf else sampling_settings.max_tokens(run.opened.settings),
                progress=self._progress,
            )
        except RgmlxError:
            if message.text:
                self._follow(run, self.store.messages.finish(message.id, closed=False))
            else:
                self._discard(run, message)
            raise
        run.writer = writer
        try:
            if self._cancel.is_set():  # stopped before there was a writer
                writer.stop()
            for piece in writer:
                self.reading = None
                yield piece
        finally:
            self.reading = None
            if writer.kept:
                self._follow(run, writer.message)
            else:
                self._follow(run, None if message.parent is None else self._message(message.parent))
            for sentence in writer.notices:
                self._notice(sentence)
            self.measure()

    def _discard(self, run: ReplyRun, message: Message) -> None:
        self.store.messages.discard(message.id)
        self._follow(run, None if message.parent is None else self._message(message.parent))

    def sampling(self, settings: Mapping[str, Any]) -> Sampling:
        """The model's settings with these in their place. Raises RgmlxError: one is out of range."""
        return sampling_settings.sampling(settings, self.memory.model.sampling if self.memory else None)

    def own_settings(self) -> dict[str, Any]:
        """What holds where the conversation says nothing, by setting; empty while no model is loaded."""
        return sampling_settings.own(self.memory.model.sampling) if self.memory else {}

    def _sampling(self, message: Message, settings: Mapping[str, Any]) -> Sampling:
        return sampling_settings.seeded(self.sampling(settings), settings, message)

    def needs(self) -> Memory:
        """The loaded model's memory. Raises ChatError: none is loaded."""
        if self.memory is None:
            raise ChatError(f"the model {self.name} is not loaded: choose a model with /model")
        return self.memory

    def _progress(self, done: int, total: int) -> None:
        self.reading = (done, total) if done < total else None

    def measure(self) -> None:
        """Brings the gauges up to date."""
        if self.memory is not None:
            state = self.memory.point.state
            self.gauges.state_bytes, self.gauges.position = state.nbytes, state.position
            self.gauges.window, self.gauges.read_again = self.memory.window, self.memory.read
        self.gauges.resident = resident_bytes()
