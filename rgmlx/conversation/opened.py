"""Which conversation is open, and where one stands in it. What changes it is on the disk when it returns.

Knows the store and its locks; neither models nor widgets. A reply that is being written holds the conversation that it
belongs to until it ends, so that another one can be opened meanwhile.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ChatError
from ..store import MODEL, USER, Conversation, Message, StoreError
from ..system.textfiles import read_number, replace_text
from . import sampling_settings
from .metrics import Metrics
from .runs import OpenConversation, ReplyRun
from .storage import Storage

NEW_TITLE_CHARS = 60
"""Of the title that a conversation gets from its first message, or from the name of a file."""
_HEAD_CHARS = 1_000_000  # of a message in memory


class ConversationSession:
    """One open conversation at a time, and one more while a reply is written there.

    Attributes:
        name: the model's name.
        metrics: numbers for the status line.
        notices: sentences that the user should see.
        last: a file that tells which conversation is open, for the next start; None for a pipe, which is nobody's.
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
        self.store, self.name = store, name
        self.defaults = dict(sampling or {})
        self.default_system = system
        self.metrics = Metrics()
        self.notices = store.notices  # the same list: the store has something to say later, too
        self.last: Path | None = None
        self._lock = threading.RLock()  # the screen and the reply both move heads
        self._opened = OpenConversation(system, self.new_settings())
        self._run: ReplyRun | None = None

    # --- what is open ---------------------------------------------------------------------

    @property
    def opened(self) -> OpenConversation:
        """The open conversation: the same object for as long as it is open, or a reply is written in it."""
        return self._opened

    @property
    def conversation(self) -> Conversation | None:
        """What the store knows of it; None until the first message."""
        return self._opened.row

    @conversation.setter
    def conversation(self, row: Conversation | None) -> None:
        self._opened.row = row

    @property
    def head(self) -> Message | None:
        """The message one stands at; None before the first."""
        return self._opened.head

    @head.setter
    def head(self, message: Message | None) -> None:
        self._opened.head = message

    @property
    def system(self) -> str | None:
        """The system text of the open conversation."""
        return self._opened.system

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the open conversation."""
        return self._opened.settings

    @property
    def running(self) -> ReplyRun | None:
        """The reply that is being written; its conversation need not be the open one."""
        return self._run

    @property
    def at_running(self) -> bool:
        """Whether one stands where a reply is being written."""
        with self._lock:
            run = self._run
            return run is not None and run.opened is self._opened and run.at == self._opened.at

    def writes_in(self, conversation: int | None) -> bool:
        """Whether a reply is being written in this conversation."""
        run = self._run
        return run is not None and run.opened.row is not None and run.opened.row.id == conversation

    def begin(self, system: str | None = None, sampling: Mapping[str, Any] | None = None) -> None:
        """A new conversation; it is in the store from its first message on.

        Args:
            system: its system text; "" for none, None for that of new conversations.
            sampling: settings in place of those of new conversations.
        """
        with self._lock:
            self._leave()
            system = self.default_system if system is None else system or None
            self._opened = OpenConversation(system, {**self.new_settings(), **(sampling or {})})
        self.metrics.rate = self.metrics.first_token = 0.0

    def open(self, conversation: int, message: int | None = None, *, peek: bool = False) -> bool:
        """Goes on with a conversation, at a message or where it was left.

        Args:
            peek: looks at the message only: the conversation stands where it stood, until something is sent from here.

        Returns:
            False if another rgchat has it open; this session is as it was then.

        Raises:
            StoreError: there is no such conversation, or it has no such message; this session is as it was then.
        """
        with self._lock:
            held = next((one for one in self._held() if one.row is not None and one.row.id == conversation), None)
            taken = None
            if held is None:
                self.store.conversations.get(conversation)  # no lock for one that is not there
                taken = self.store.lock(conversation)
                if taken is None:
                    return False
            try:
                if message is not None and not peek:
                    self.store.conversations.set_head(conversation, message)
                found = self.store.conversations.get(conversation)
                number = found.head if message is None else message
                head = None if number is None else self._message(number)
                if head is not None and head.conversation != conversation:
                    raise StoreError(f"message {number} is not in conversation {conversation}: choose one that is")
            except BaseException:
                if taken is not None:
                    taken.release()
                raise
            opened = held or OpenConversation(found.system, {}, lock=taken)
            opened.row, opened.head, opened.system = found, head, found.system
            opened.settings = {**self.new_settings(), **found.settings}
            opened.peeking = number != found.head or self.store.read_only
            if opened is not self._opened:
                self._leave()
                self._opened = opened
        self.metrics.rate = self.metrics.first_token = 0.0  # of another reply
        self._keep_last()
        return True

    def open_latest(self, model: str | None = None) -> None:
        """Opens the conversation that was open last (with this model), or the newest; a new one where another rgchat
        has that open."""
        for found in self._latest():
            if model is not None and found.model != model:
                continue
            if self.open(found.id):
                self.name = found.model
            else:
                self.notices.append(
                    f"Another rgchat has “{found.title or 'Untitled'}” open: this is a new conversation."
                )
            return

    def open_last(self) -> bool:
        """Opens the conversation that was open last, or the newest where that is gone; false where there is none.

        Raises:
            ChatError: another program has it open; this session is as it was then.
        """
        for found in self._latest()[:1]:
            title = found.title or "Untitled"
            if not self.open(found.id):
                raise ChatError(f"“{title}” is open in another program: close it there first", quotes=(title,))
            return True
        return False

    def close(self) -> None:
        """Lets another rgchat have the conversation; one that a reply is written in, when that has ended."""
        with self._lock:
            self._leave()

    # --- changes, on the disk when they return --------------------------------------------

    def add_user_message(self, text: str, about: str = "") -> Message:
        """Adds a message of the user's after the head and stands there. Raises StoreError.

        Args:
            about: what a new conversation is called after instead: in the text, something else comes first.
        """
        lines = (about or text).strip().splitlines()
        title = lines[0][:NEW_TITLE_CHARS].strip() if lines else ""
        if self._opened.row is None:
            self._opened.first_words = title
        row = self.created(title)
        return self._at(self.store.messages.add_user(row.id, self._opened.at, text))

    def created(self, title: str = "") -> Conversation:
        """The open conversation in the store; one that is not there yet begins, with this title. Raises StoreError."""
        opened = self._opened
        if opened.row is None:
            made = self.store.conversations.create(self.name, title, opened.system, opened.settings)
            opened.lock = self.store.lock(made.id)
            opened.row = made
            self._keep_last()
        return opened.row

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
        self.branch()
        return self.checkout(new) or old

    def checkout(self, message: int | None) -> Message | None:
        """Stands at another message of this conversation (None: before the first). Raises StoreError.

        While one only looks at a conversation (`open` with `peek`), it still stands where it stood on the disk.
        """
        with self._lock:
            opened = self._opened
            if opened.row is None:
                return None
            head = None if message is None else self._message(message)
            if head is not None and head.conversation != opened.row.id:
                raise StoreError(f"message {message} is not in conversation {opened.row.id}: choose one that is")
            if not opened.peeking:
                self.store.conversations.set_head(opened.row.id, message)
            opened.head = head
        self.metrics.rate = self.metrics.first_token = 0.0
        return head

    def branch(self) -> None:
        """What is written next begins here: one no longer only looks. Raises StoreError."""
        with self._lock:
            opened = self._opened
            if opened.peeking and opened.row is not None:
                self.store.conversations.set_head(opened.row.id, opened.at)
            opened.peeking = False

    def set_settings(self, changes: Mapping[str, Any]) -> None:
        """Changes settings of this conversation; None leaves one to the model. Raises RgmlxError, StoreError.

        Where the store can't be written they hold for as long as it is open.
        """
        kept = {**self.settings, **changes}
        self.check(kept)
        # Where there is a default, None is kept: opened again, the conversation says something.
        kept = {key: value for key, value in kept.items() if value is not None or key in self.defaults}
        if self.conversation is not None and not self.store.read_only:
            self.store.conversations.set_settings(self.conversation.id, kept)
        self._opened.settings = kept

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raises RgmlxError: one of these settings is out of range."""
        sampling_settings.sampling(settings, None)
        sampling_settings.max_tokens(settings)

    def set_system(self, system: str | None) -> None:
        """Changes the system text. Raises StoreError: the conversation has messages."""
        if self.conversation is not None:
            self.store.conversations.set_system(self.conversation.id, system)
        self._opened.system = system

    def new_settings(self) -> dict[str, Any]:
        """The settings of a new conversation."""
        return sampling_settings.new(self.defaults)

    # --- a reply in its own conversation --------------------------------------------------

    def _start_run(self) -> ReplyRun:
        """A reply begins where one stands, and holds its conversation until `_end_run`."""
        self.branch()
        with self._lock:
            if self._run is not None:  # one that nobody began to read
                self._end_run(self._run)
            self._run = ReplyRun(self._opened, self._opened.head)
            return self._run

    def _start_message(self, run: ReplyRun, parent: int | None, text: str = "") -> Message:
        """A reply's message in the store. The head goes along, unless one has gone elsewhere meanwhile."""
        assert run.opened.row is not None
        with self._lock:
            message = self.store.messages.start_reply(run.opened.row.id, parent, text)
            self._follow(run, message)
            run.message = message
        return message

    def _follow(self, run: ReplyRun, head: Message | None) -> None:
        """The head goes where the reply is now, if one was with it; on the disk, one is where one is.

        Raises:
            StoreError: the disk is full; in memory it is done.
        """
        with self._lock:
            opened, was = run.opened, run.at
            run.at, run.head = head.id if head is not None else None, head
            if opened.at == was:
                opened.head = head
                opened.peeking = False
            if opened.row is not None:
                place = run.at if opened.peeking else opened.at
                if self.store.conversations.get(opened.row.id).head != place:
                    self.store.conversations.set_head(opened.row.id, place)

    def _end_run(self, run: ReplyRun) -> None:
        with self._lock:
            if self._run is run:
                self._run = None
            if run.opened is not self._opened:
                run.opened.release()

    # --- inside ---------------------------------------------------------------------------

    def _held(self) -> list[OpenConversation]:
        return [self._opened] + ([self._run.opened] if self._run is not None else [])

    def _leave(self) -> None:
        if self._run is None or self._run.opened is not self._opened:
            self._opened.release()

    def _latest(self) -> list[Conversation]:
        """The newest conversations; the one that was open last comes before them, however old it is."""
        conversations, last = self.store.conversations, read_number(self.last)
        found = conversations.listed(limit=50)
        if last is not None and all(one.id != last for one in found):
            with contextlib.suppress(StoreError):  # purged
                one = conversations.get(last)
                found += [one] * (one.deleted is None and not one.archived)
        return sorted(found, key=lambda one: one.id != last)

    def _keep_last(self) -> None:
        if self.last is not None and self.conversation is not None:
            with contextlib.suppress(OSError):  # then the next start opens the newest
                replace_text(self.last, str(self.conversation.id))

    def _message(self, message: int) -> Message:
        found = self.store.messages.window(message, 1, chars=_HEAD_CHARS)
        if not found:
            raise StoreError(f"there is no message {message}: choose one of the conversation")
        return found[0]

    def _at(self, message: Message) -> Message:
        with self._lock:
            self._opened.head, self._opened.peeking = message, False
        return message

    def _notice(self, sentence: str) -> None:
        if sentence and sentence not in self.notices:
            self.notices.append(sentence)
