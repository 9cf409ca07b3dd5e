"""One reply being written: from the model to the reader and, twice a second, to the disk.

Knows the token loop, the store and where the model stands; nothing of conversations or widgets. Whatever ends it, a
stop, an error or kill -9, what was delivered up to the last half second is kept, and so is a state to go on from.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from array import array
from collections.abc import Iterator

from ..generation.constrained.matcher import Matcher
from ..generation.engine import Generation, Progress
from ..settings import Sampling
from ..store import Message, StoreError
from ..store.reply_end import FOLD_CHARS
from ..system import debug_log
from ..system.atomic import Undo
from ..tokenizer import Detokenizer
from .context import Context
from .metrics import Metrics
from .storage import Storage
from .turns import CachedState

FLUSH_SECONDS = 0.5
"""How often a running reply goes to the disk."""
OWED = "The end of this reply is in memory only. It is written once that can be done, and elsewhere when rgchat ends."
MAX_IDS = 1_000_000
"""Of the token ids of one reply, at least so many of the last are kept in memory."""
SAVE_SHARE = 50
"""Saving the state of a running reply takes at most one part in so many of the time."""


class Writer:
    """Writes one reply: `pieces` is iterated, and `end` called whatever ended that.

    Attributes:
        message: the reply; once it has ended, as it is then.
        kept: false once it has ended without a word, and left no trace.
        notices: sentences that the user should see.
        tokens: how many this writer has delivered.
        ids: the last of them, `MAX_IDS` at least.
    """

    def __init__(
        self,
        store: Storage,
        context: Context,
        message: Message,
        sampling: Sampling,
        metrics: Metrics,
        *,
        min_tokens: float = 0,
        max_tokens: int | None = None,
        progress: Progress | None = None,
        matcher: Matcher | None = None,
    ) -> None:
        """`context` is where the reply goes on: after the user's message, or inside the reply.

        Args:
            message: an open reply.
            min_tokens: it does not end before so many tokens; `math.inf` goes on until it is stopped.
            max_tokens: it is cut short after so many; None for no limit.
            progress: told (tokens, tokens in all) while a message is read.
            matcher: says what it may be; not with `min_tokens`.

        Raises:
            RgmlxError: there is nothing to go on from.
        """
        self.message, self.kept, self.notices = message, True, list[str]()
        self._store, self._context, self._metrics = store, context, metrics
        self._fresh = context.head == message.parent
        self._unread = context.cached.unread
        self._parent_saved = message.parent is None
        self._left: tuple[int, ...] = ()  # of it, after a stop while reading
        self._lock = threading.RLock()  # between what is on the disk and what is not yet
        self._delivered = 0  # characters
        self.tokens, self.ids = 0, array("i")
        self._text: list[str] = []  # delivered, and not on the disk yet
        self._ids: list[int] = []
        self._piece: int | None = None  # the newest in the store; None: to be looked at
        self._intact = False  # whether the state is that of what was delivered, though the run broke off
        stop_ids = context.model.stop_ids
        self._run = Generation(
            context.model,
            context.cached.state,
            self._unread,
            sampling=sampling,
            min_tokens=min_tokens,
            max_tokens=max_tokens,
            stop_ids=stop_ids | context.tokenizer.special if min_tokens else stop_ids,  # none of those either, then
            between=(stop_ids, context.tokenizer.encode("\n\n")) if min_tokens == math.inf else ((), ()),
            matcher=matcher,
            progress=progress,
        )

    def stop(self) -> None:
        """Ends the reply after the token in flight, from any thread."""
        self._run.stop()

    def so_far(self, chars: int) -> tuple[str, int]:
        """The reply as far as it was delivered, from any thread.

        Returns:
            About so many of its last characters at least, and how many of all were delivered by this writer.
        """
        with self._lock:
            found = self._store.messages.window(self.message.id, 1, chars=chars)
            return (found[0].text if found else "") + "".join(self._text), self._delivered

    @property
    def finish_reason(self) -> str | None:
        """None while it runs, then "stop", "length" or "cancelled"; None for ever where it broke off."""
        return self._run.finish_reason

    @property
    def delivered(self) -> int:
        """Characters that this writer has delivered."""
        return self._delivered

    def mark(self) -> Undo:
        """What goes back to now, from wherever the reply is then; it has only to be ended then."""
        if self._piece is None:
            self._piece = self._store.messages.newest_piece(self.message.id)
        here, text, ids, run = vars(self).copy(), self._text.copy(), self._ids.copy(), self._run.undo()
        count = len(self.ids)

        def undo() -> None:
            vars(self).update(here)
            self._text, self._ids, self._intact = text, ids, True
            del self.ids[count:]
            run()

        return undo

    def pieces(self) -> Iterator[str]:
        """The reply, piece by piece. Raises StoreError: the disk is full."""
        begun = time.monotonic()
        self._context.invalidate(self.message.id)  # until it is known again
        if self._read():
            yield from self._pieces(begun)

    def _read(self) -> bool:
        """Reads what is unread; false if it was stopped, and the rest is to be read with what comes next."""
        start = self._run.position
        self._run.read_prompt()
        self._left = self._unread[self._run.position - start :]
        self._context.prefilled += self._run.position - start
        if self._fresh:
            self._context.set(self.message.parent, CachedState(self._run.state, self._left))
        return not self._left

    def _pieces(self, begun: float) -> Iterator[str]:
        detokenizer = Detokenizer(self._context.tokenizer)
        first = flushed = 0.0
        saved, before = -math.inf, begun  # the first text that is on the disk has a state beside it at once
        wait, tokens = 2 * FLUSH_SECONDS, 0
        for tokens, token in enumerate(self._run, 1):
            now = time.monotonic()
            if not first:
                self._context.invalidate()
                first = flushed = now
                self._metrics.first_token = now - begun
            self._metrics.position = self._run.position
            self._ids.append(token)
            self._note(token)
            if piece := detokenizer.add(token):
                self._deliver(piece)
                yield piece
            # What a slow model writes does not wait for its next token, which may take longer than that.
            soon, before = now + (now - before), now
            if soon - flushed < FLUSH_SECONDS or detokenizer.pending:
                continue
            self._flush()
            flushed = now
            self._metrics.rate = (tokens - 1) / max(now - first, 1e-9)
            if now - saved > wait and not self._ids:
                wait = max(2 * FLUSH_SECONDS, SAVE_SHARE * self._snapshot())
                saved = time.monotonic()
        if tokens or self._run.finish_reason == "stop":  # else it leaves no trace, nor here
            self._metrics.rate = (tokens - 1) / max(time.monotonic() - first, 1e-9) if tokens > 1 else 0.0
            self._metrics.first_token = self._metrics.first_token if tokens else 0.0
        if rest := detokenizer.finish():
            self._deliver(rest)
            yield rest

    def _note(self, token: int) -> None:
        if len(self.ids) >= 2 * MAX_IDS:
            self.ids = self.ids[-MAX_IDS:]  # a new one: `mark` keeps the old one
        self.ids.append(token)
        self.tokens += 1

    def _deliver(self, piece: str) -> None:
        with self._lock:
            self._text.append(piece)
            self._delivered += len(piece)

    def _flush(self) -> None:
        with self._lock:
            if self._text:
                self._piece = None
                self._store.messages.append(self.message.id, "".join(self._text), self._ids)
                self._text, self._ids = [], []

    def _snapshot(self) -> float:
        """Keeps the state of the running reply on the disk; the seconds it took."""
        begun = time.monotonic()
        parent = self.message.parent
        if parent is not None and self._fresh and not self._parent_saved:  # another reply to it, after a crash
            self._parent_saved = not self._context.save(parent)
        with contextlib.suppress(StoreError):  # the text is what counts, and was written
            self._store.snapshots.put(self.message.id, self._run.state)
        return time.monotonic() - begun

    def end(self) -> None:
        """Ends the reply, in the store and in what the model remembers. May be called again where it was interrupted.

        Raises:
            StoreError: the disk is full; the end of the text is owed.
        """
        self._run.close()
        if self._intact:
            self._settle()
        reason, number = self._run.finish_reason, self.message.id
        if self._intact and reason is None:
            reason = "cancelled"
        whole = False
        try:
            self._flush()
            whole = reason == "stop"
        except Exception as e:  # a full disk, mostly; it is on the screen all the same
            debug_log.caught(e, "the end of a reply is not written")
            with self._lock:
                self._store.messages.defer(self.message, "".join(self._text), self._ids)
                self._text = []
            self.message = self._store.messages.window(number, 1, chars=FOLD_CHARS)[0]
            self.notices.append(OWED)
            raise
        else:
            found = self._store.messages.window(number, 1, chars=FOLD_CHARS)
            self.message = found[0] if found else self.message
            empty = not found or (not self.message.text and not whole)
            if empty:
                self.kept = False
                if found:
                    self._store.messages.discard(number)
            else:
                self.message = self._store.messages.finish(number, closed=whole)
        if reason is None:  # broke off: what state that is in nobody knows
            self._context.invalidate()
        elif empty and self._fresh and self._left and self.message.parent is not None:
            if sentence := self._context.save(self.message.parent):  # a long message: what was read of it
                self.notices.append(sentence)
        elif not empty:
            left = self._left
            end = self._context.tokenizer.end_of_turn
            if self.message.closed and not whole and end is not None:  # it had ended before `mark` went back
                left = (*left, end)
            self._context.set(number, CachedState(self._run.state, left))
            for message in (number,) if self._parent_saved else (self.message.parent, number):
                if message is not None and (sentence := self._context.save(message)):
                    self.notices.append(sentence)

    def _settle(self) -> None:
        """After `mark` has gone back: what reached the disk all the same is not written again."""
        messages, number = self._store.messages, self.message.id
        with self._lock:
            found = messages.window(number, 1, chars=1)
            if not found or not found[0].streaming or messages.newest_piece(number) != self._piece:
                self._text, self._ids = [], []
