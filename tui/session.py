"""The conversation behind the screen: kept in the store from the first word on, gone on with by the model.

Knows the store and where the model stands (`Memory`); nothing of widgets. What changes the conversation (`ask`, `go`,
`edit`) is on the disk when it returns and may be called from the screen; what needs the model (`load`, `stand`,
`reply`, `go_on`) takes its time and belongs into a worker thread, one at a time.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rgmlx.errors import ChatError, RgmlxError
from rgmlx.store import MODEL, USER, Claim, Conversation, Message, Store, StoreError

from . import sampled
from .gauges import Gauges, resident_bytes
from .textfiles import read_number, replace_text

if TYPE_CHECKING:
    from rgmlx.sampling import Sampling

    from .memory import Horizon, Memory
    from .writer import Writer

TITLE_CHARS = 60
_GO_ON_TOKENS = 8  # a reply that had ended, and is to go on, says at least this much more
_FEW = 16  # tokens between two turns
_HEAD_CHARS = 1_000_000  # of a message in memory


class Session:
    """One conversation at a time, with one model.

    Attributes:
        name: the model's name.
        conversation: None until the first message.
        head: the message one stands at; None before the first.
        memory: None until the model is loaded.
        gauges: numbers for the status line.
        reading: (done, in all) while a long text is being read, else None.
        notices: sentences that the user should see.
        last: a file that tells which conversation is open, for the next start; None for a pipe, which is nobody's.
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
        self.store, self.name = store, name
        self.defaults = dict(sampling or {})
        self.default_system = system
        self.system = system
        self.settings: dict[str, Any] = self.new_settings()
        self.conversation: Conversation | None = None
        self.head: Message | None = None
        self.memory: Memory | None = None
        self.gauges = Gauges()
        self.reading: tuple[int, int] | None = None
        self.notices: list[str] = list(store.notices)
        self.last: Path | None = None
        self._claim: Claim | None = None
        self._writer: Writer | None = None
        self._cancel = threading.Event()

    @property
    def ready(self) -> bool:
        """Whether a model is loaded."""
        return self.memory is not None

    @property
    def stands(self) -> bool:
        """Whether the model stands where the conversation does."""
        return self.memory is not None and self.memory.at == (self.head.id if self.head else None)

    # --- which conversation ---------------------------------------------------------------

    def begin(self) -> None:
        """A new conversation; it is in the store from its first message on."""
        self._release()
        self.conversation = self.head = None
        self.gauges.rate = self.gauges.first_token = 0.0
        self.system, self.settings = self.default_system, self.new_settings()

    def open(self, conversation: int, message: int | None = None) -> bool:
        """Goes on with a conversation, at a message or where it was left.

        Returns:
            False if another rgchat has it open; this session is as it was then.

        Raises:
            StoreError: there is no such conversation, or it has no such message; this session is as it was then.
        """
        taken = None
        if self.conversation is None or self.conversation.id != conversation:
            self.store.conversations.get(conversation)  # no lock for one that is not there
            taken = self.store.claim(conversation)
            if taken is None:
                return False
        try:
            if message is not None:
                self.store.conversations.set_head(conversation, message)
            found = self.store.conversations.get(conversation)
            head = None if found.head is None else self._message(found.head)
        except BaseException:
            if taken is not None:
                taken.release()
            raise
        if taken is not None:
            self._release()
            self._claim = taken
        self.conversation, self.system = found, found.system
        self.gauges.rate = self.gauges.first_token = 0.0  # of another reply
        self.settings = {**self.new_settings(), **found.settings}
        self.head = head
        self._keep_last()
        return True

    def open_latest(self, model: str | None = None) -> None:
        """Opens the conversation that was open last (with this model), or the newest; a new one where another rgchat
        has that open."""
        last = read_number(self.last)
        for found in sorted(self.store.conversations.listed(limit=50), key=lambda one: one.id != last):
            if model is not None and found.model != model:
                continue
            if self.open(found.id):
                self.name = found.model
            else:
                self.notices.append(
                    f"Another rgchat has “{found.title or 'Untitled'}” open: this is a new conversation."
                )
            return

    def close(self) -> None:
        """Lets another rgchat have the conversation."""
        self._release()

    # --- changes of the conversation, on the disk when they return ------------------------

    def ask(self, text: str) -> Message:
        """Adds a message of the user's after the head and stands there. Raises StoreError."""
        if self.conversation is None:
            title = text.strip().splitlines()[0][:TITLE_CHARS].strip() if text.strip() else ""
            made = self.store.conversations.create(self.name, title, self.system, self.settings)
            self._claim = self.store.claim(made.id)
            self.conversation = made
            self._keep_last()
        message = self.store.messages.add_user(self.conversation.id, self.head.id if self.head else None, text)
        return self._at(message)

    def edit(self, message: int, text: str) -> Message:
        """Puts another text beside a message, and stands there. The first one is kept as its sibling.

        Raises:
            StoreError: the message is not of this conversation, or the disk is full.
        """
        assert self.conversation is not None
        old = self.store.messages.get(message)
        if old.conversation != self.conversation.id:
            raise StoreError(f"message {message} is of another conversation: open that one first")
        if old.role == USER:
            return self._at(self.store.messages.add_user(self.conversation.id, old.parent, text))
        new = self.store.messages.add_finished(
            self.conversation.id, old.parent, MODEL, text, closed=True, created=time.time()
        )
        return self.go(new) or old

    def go(self, message: int | None) -> Message | None:
        """Stands at another message of this conversation (None: before the first). Raises StoreError."""
        if self.conversation is None:
            return None
        self.store.conversations.set_head(self.conversation.id, message)
        self.head = None if message is None else self._message(message)
        self.gauges.rate = self.gauges.first_token = 0.0
        return self.head

    def set_settings(self, changes: Mapping[str, Any]) -> None:
        """Changes settings of this conversation; None leaves one to the model. Raises RgmlxError, StoreError."""
        kept = {**self.settings, **changes}
        self.sampling(kept)
        # Where there is a default, None is kept: opened again, the conversation says something.
        kept = {key: value for key, value in kept.items() if value is not None or key in self.defaults}
        if self.conversation is not None:
            self.store.conversations.set_settings(self.conversation.id, kept)
        self.settings = kept

    def set_system(self, system: str | None) -> None:
        """Changes the system text. Raises StoreError: the conversation has messages."""
        if self.conversation is not None:
            self.store.conversations.set_system(self.conversation.id, system)
        self.system = system

    # --- with the model: in a worker ------------------------------------------------------

    def load(self, name: str | None = None, progress: Callable[[int, int], None] | None = None) -> None:
        """Loads a model, downloading it first where it is not there.

        Args:
            progress: told (bytes, bytes in all) of a download.

        Raises:
            RgmlxError: there is no such model, or it can't chat; the one so far stays.
        """
        import rgmlx
        from rgmlx.download import fetch

        from .memory import Memory

        name = name or self.name
        self._cancel.clear()
        fetch(name, progress or (lambda done, total: None), self._cancel.is_set)
        self.memory = Memory(rgmlx.load(name), self.store)
        self.name = name
        if self.conversation is not None and self.conversation.model != name:
            self.store.conversations.set_model(self.conversation.id, name)
        self.measure()

    def stand(self) -> int:
        """Brings the model to where the conversation stands.

        Returns:
            How many tokens were read again; 0 as long as there is a state.

        Raises:
            ChatError: it was stopped.  StoreError.
        """
        memory = self.needs()
        self._cancel.clear()
        return self._come(memory)

    def reply(self, *, endless: bool = False) -> Iterator[str]:
        """Writes a reply to the user's message that one stands at; yields it piece by piece.

        Args:
            endless: goes on until it is stopped.

        Raises:
            RgmlxError: a setting out of range, a full disk; what was written so far is kept.
        """
        self._cancel.clear()  # now, not when the first piece is asked for: what comes after is a stop
        return self._reply(endless)

    def _reply(self, endless: bool) -> Iterator[str]:
        memory, asked = self.needs(), self.head
        if asked is None or asked.role != USER or self.conversation is None:
            raise ChatError("there is no message to reply to: send one first")
        self.sampling(self.settings)  # before anything is changed
        self._come(memory)
        message = self.store.messages.start_reply(self.conversation.id, asked.id)
        self.head = message
        yield from self._write(memory, message, min_tokens=math.inf if endless else 0)

    def go_on(self, *, endless: bool = False) -> Iterator[str]:
        """Goes on with the reply that one stands at; yields what is added.

        One that was cut short grows; of one that had ended, or that others follow, a longer sibling is made.

        Raises:
            ChatError: one does not stand at a reply.  RgmlxError: as `reply`.
        """
        self._cancel.clear()
        return self._go_on(endless)

    def _go_on(self, endless: bool) -> Iterator[str]:
        memory, old = self.needs(), self.head
        if old is None or old.role != MODEL or self.conversation is None:
            raise ChatError("there is no reply to go on with: send a message first")
        self.sampling(self.settings)  # before anything is changed
        if old.closed:
            # The token that ended it is in the state: its text is read again, without that.
            text = self.store.messages.get(old.id).text  # the head's may be its end only
            message = self.store.messages.start_reply(self.conversation.id, old.parent, text)
            self.head = message
            try:
                self._come(memory)
            except BaseException:
                self.store.messages.discard(message.id)
                self.go(old.id)
                raise
        else:
            self._come(memory)
            if self.store.messages.followed(old.id):
                text = self.store.messages.get(old.id).text
                message = self.store.messages.start_reply(self.conversation.id, old.parent, text)
            else:
                message = self.store.messages.reopen(old.id)
            self.head = message
        least, longer = math.inf if endless else _GO_ON_TOKENS if old.closed else 0, False
        try:
            for piece in self._write(memory, message, min_tokens=least):
                longer = True
                yield piece
        finally:
            if not longer and message.id != old.id:  # stopped before its first word: no copy stays
                self.store.messages.discard(message.id)
                self.go(old.id)

    def stop(self) -> None:
        """Stops what the model is doing, from any thread. All that was delivered stays."""
        self._cancel.set()
        if (writer := self._writer) is not None:
            writer.stop()

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
        writer = self._writer
        if self.memory is None or writer is None:
            return None
        return self.memory.horizon(writer.message.id, self.gauges.position)

    # --- inside ---------------------------------------------------------------------------

    def _come(self, memory: Memory) -> int:
        try:
            return self._stand(memory)
        finally:
            self.reading = None
            self.measure()

    def _stand(self, memory: Memory) -> int:
        head = self.head  # the screen may go on to another one meanwhile
        stopped = self._cancel.is_set
        if head is not None and head.role == USER:
            return memory.stand_before_reply(head, self.system, progress=self._progress, cancelled=stopped)
        return memory.stand(head.id if head else None, self.system, progress=self._progress, cancelled=stopped)

    def _write(self, memory: Memory, message: Message, *, min_tokens: float) -> Iterator[str]:
        from .writer import Writer

        try:
            writer = Writer(
                self.store,
                memory,
                message,
                self._sampling(message),
                self.gauges,
                min_tokens=min_tokens,
                progress=self._progress,
            )
        except RgmlxError:
            if message.text:
                self.head = self.store.messages.finish(message.id, closed=False)
            else:
                self.store.messages.discard(message.id)
                self.go(message.parent)
            raise
        self._writer = writer
        try:
            if self._cancel.is_set():  # stopped before there was a writer
                writer.stop()
            for piece in writer:
                self.reading = None
                yield piece
        finally:
            self._writer = self.reading = None
            if writer.kept:
                self.head = writer.message
            else:
                self.head = None if message.parent is None else self._message(message.parent)
            for sentence in writer.notices:
                self._notice(sentence)
            self.measure()

    def sampling(self, settings: Mapping[str, Any]) -> Sampling:
        """The model's settings with these in their place. Raises RgmlxError: one is out of range."""
        return sampled.checked(settings, self.memory.model.sampling if self.memory else None)

    def _sampling(self, message: Message) -> Sampling:
        return sampled.seeded(self.sampling(self.settings), self.settings, message)

    def new_settings(self) -> dict[str, Any]:
        return sampled.new(self.defaults)

    def _keep_last(self) -> None:
        if self.last is not None and self.conversation is not None:
            with contextlib.suppress(OSError):  # then the next start opens the newest
                replace_text(self.last, str(self.conversation.id))

    def _message(self, message: int) -> Message:
        return self.store.messages.window(message, 1, chars=_HEAD_CHARS)[0]

    def _at(self, message: Message) -> Message:
        self.head = message
        return message

    def needs(self) -> Memory:
        """The loaded model's memory. Raises ChatError: none is loaded."""
        if self.memory is None:
            raise ChatError(f"{self.name} is not loaded: choose a model with /model")
        return self.memory

    def _progress(self, done: int, total: int) -> None:
        self.reading = (done, total) if done < total else None

    def _notice(self, sentence: str) -> None:
        if sentence and sentence not in self.notices:
            self.notices.append(sentence)

    def measure(self) -> None:
        """Brings the gauges up to date."""
        if self.memory is not None:
            state = self.memory.point.state
            self.gauges.state_bytes, self.gauges.position = state.nbytes, state.position
            self.gauges.window, self.gauges.read_again = self.memory.window, self.memory.read
        self.gauges.resident = resident_bytes()

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None
