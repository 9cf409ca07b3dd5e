"""What the model remembers: where in a conversation it stands, and how it comes to stand elsewhere.

A place is a message; what was read up to it is a state. States of places one has been at are in memory within a budget,
those of all replies in the store; only where both fail is text read again, and `Memory.read` counts every such token.
Runs in worker threads, one at a time. Knows nothing of widgets, nor how replies are written.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from rgmlx.engine import Progress, prefill
from rgmlx.errors import ChatError
from rgmlx.model import Model
from rgmlx.store import Message, Store, StoreError
from rgmlx.tokenizer import turn_ids
from rgmlx.turns import Point, ids_of

KEPT_BYTES = 512 * 2**20
"""States kept in memory: 30 places of 2B, hundreds of the embedded model."""
MAX_KEPT = 256
_SAVE_EVERY = 4_096
"""While reading again, tokens between two snapshots: stopped, it goes on there."""
_TOKEN_CHARS = 32
"""No token that matters is longer: so many characters are enough to find one's beginning."""

NOWHERE = -1


@dataclass(frozen=True)
class Horizon:
    """Where exact memory begins: of `message` the last so many characters. What is older is remembered in gist only."""

    message: int
    characters: int


class Memory:
    """A model, and where it stands.

    Attributes:
        at: the message that the model has read and written up to; None before the first, `NOWHERE` after a failure.
        point: its state there.
        read: tokens that were read again, ever.
    """

    def __init__(self, model: Model, store: Store, *, kept_bytes: int = KEPT_BYTES) -> None:
        """Raises TokenizerError for a model that can't chat."""
        self.model, self.tokenizer = model, model.text_tokenizer()
        turn_ids(self.tokenizer, "")
        self._store = store
        self._kept: OrderedDict[int, Point] = OrderedDict()
        self.at: int | None = None
        self.point = Point(model.new_state())
        self.read = 0
        self._most = min(MAX_KEPT, max(2, kept_bytes // self.point.state.nbytes))

    @property
    def window(self) -> int:
        """Tokens that are remembered to the letter."""
        return self.model.config.attention_window_size

    # --- where it stands ------------------------------------------------------------------

    def keep(self, message: int | None, point: Point) -> None:
        """Notes that the model stands after a message now."""
        self.at, self.point = message, point
        if message is not None:
            self._kept[message] = point.copy()
            self._kept.move_to_end(message)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def lost(self) -> None:
        """Notes that the state is of no known place: the next `stand` starts from another."""
        self.at = NOWHERE

    def forget(self) -> None:
        """Lets go of what is kept in memory, and stands at the beginning."""
        self._kept.clear()
        self.at, self.point = None, Point(self.model.new_state())

    def stand(
        self,
        message: int | None,
        system: str | None,
        *,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> int:
        """Stands after a message (None: before the first).

        Args:
            progress: told (characters, characters in all) while text is read again.

        Returns:
            How many tokens were read again for it; 0 as long as there is a state.

        Raises:
            ChatError: it was cancelled; what was read so far is kept.  StoreError.
        """
        if message == self.at:
            return 0
        if message is None:
            self.keep(None, Point(self.model.new_state()))
            return 0
        if message in self._kept:
            self.keep(message, self._kept[message].copy())
            return 0
        line = self._store.messages.line(message)
        ahead = self._start(message, line)
        return self._read_on(ahead, system, progress, cancelled)

    def stand_before_reply(
        self,
        asked: Message,
        system: str | None,
        *,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> int:
        """Stands after a user's message that is new: it is read with the reply, and not counted as read again.

        Returns, raises:
            As `stand`.
        """
        if self.at == asked.id:
            return 0
        near = self._store.snapshots.nearest(asked.id, self.model.identity)
        if asked.id in self._kept or (near is not None and not near.after):
            return self.stand(asked.id, system, progress=progress, cancelled=cancelled)
        read = self.stand(asked.parent, system, progress=progress, cancelled=cancelled)
        before = None if asked.parent is None else self._store.messages.get(asked.parent)
        ids = ids_of(self.tokenizer, asked, before, system)
        self.keep(asked.id, Point(self.point.state, (*self.point.unread, *ids)))
        return read

    def _start(self, message: int, line: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Stands at the nearest place before; what is left to be read, in order."""
        in_memory = next((i for i, (number, _) in enumerate(line) if number in self._kept), len(line))
        near = self._store.snapshots.nearest(message, self.model.identity)
        if near is not None and near.after < in_memory:
            found = self._store.snapshots.restore(message, self.model)
            if found is not None and found[0].after < in_memory:
                near, snapshot = found
                self.keep(near.message, Point(snapshot.state, snapshot.unread))
                return line[: near.after][::-1]
        if in_memory < len(line):
            number = line[in_memory][0]
            self.keep(number, self._kept[number].copy())
        else:
            self.keep(None, Point(self.model.new_state()))
        return line[:in_memory][::-1]

    def _read_on(
        self,
        ahead: list[tuple[int, int]],
        system: str | None,
        progress: Progress | None,
        cancelled: Callable[[], bool],
    ) -> int:
        total, done, read, saved = sum(chars for _, chars in ahead), 0, 0, 0
        before = None if self.at is None else self._store.messages.get(self.at)
        state, unread = self.point.state, list(self.point.unread)
        for number, chars in ahead:
            message = self._store.messages.get(number)
            unread += ids_of(self.tokenizer, message, before, system)

            def tell(tokens: int, of: int, done: int = done, chars: int = chars) -> None:
                if progress:
                    progress(done + chars * tokens // max(of, 1), max(total, 1))

            self.lost()
            count = prefill(self.model, state, [unread], cancelled=cancelled, progress=tell)
            self.read += count
            read += count
            saved += count
            if count < len(unread):
                raise ChatError("stopped reading the conversation again: whatever you do next goes on with it")
            unread, before, done = [], message, done + chars
            self.keep(number, Point(state))
            if saved >= _SAVE_EVERY:
                self.save(number)
                saved = 0
        return read

    # --- on the disk ----------------------------------------------------------------------

    def save(self, message: int) -> str:
        """Keeps the state after a message on the disk; a sentence if that failed, which loses no text."""
        point = self.point if message == self.at else self._kept.get(message)
        if point is None:
            return ""
        try:
            self._store.snapshots.put(message, point.state, point.unread)
        except StoreError as e:
            return f"What the model remembers could not be saved ({e}); the text is."
        return ""

    # --- the horizon ----------------------------------------------------------------------

    def horizon(self, head: int | None, position: int) -> Horizon | None:
        """Where exact memory begins for a model that stands at `head`; None while it reaches to the first word.

        Args:
            position: tokens that it has read and written by then.
        """
        left = self.window
        if position <= left:
            return None
        while head is not None:
            message = self._store.messages.window(head, 1, chars=left * _TOKEN_CHARS)[0]
            ids = self.tokenizer.encode(message.text[-left * _TOKEN_CHARS :])
            around = 5  # of the turn's own tokens
            if len(ids) + around > left:
                seen = self.tokenizer.decode(ids[len(ids) - max(left - around, 0) :]) if left > around else ""
                return Horizon(message.id, len(seen))
            left -= len(ids) + around
            head = message.parent
        return None
