"""What the model remembers: where in a conversation it stands, and how it comes to stand elsewhere.

A place is a message; what was read up to it is a state. States of places one has been at are in memory within a budget,
those of all replies in the store; only where both fail is text read again, and `Context.read` counts every such token.
Runs in worker threads, one at a time. Knows nothing of widgets, nor how replies are written.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import ChatError
from ..generation.engine import Progress, prefill
from ..generation.language_model import LanguageModel
from ..store import MODEL, USER, Message, StoreError
from ..system.atomic import Undo
from ..tokenizer import turn_ids
from .storage import Storage
from .turns import CachedState, Turn, ids_of

KEPT_BYTES = 512 * 2**20
"""States kept in memory: 30 places of 2B, over a hundred of the embedded model."""
MAX_KEPT = 256
_SAVE_EVERY = 4_096
"""While reading again, tokens between two snapshots: stopped, it goes on there."""
_UNREAD_CHARS = 16_000_000
"""Of a longer text what is not read yet is not kept with the state: stopped, its reading begins by itself again."""
_CHARS_A_TOKEN = 4  # about, to say how far a reading is
_TOKEN_CHARS = 32
"""No token that matters is longer: so many characters are enough to find one's beginning."""

UNKNOWN = -1


@dataclass(frozen=True)
class Horizon:
    """Where exact memory begins: of `message` the last so many characters. What is older is remembered in gist only."""

    message: int
    characters: int


class Context:
    """A model, and where it stands.

    Attributes:
        head: the message that the model has read and written up to; None before the first, `UNKNOWN` after a failure.
        cached: its state there.
        read: tokens that were read again, ever.
        prefilled: tokens that were read, ever: again, or for the first time.
    """

    def __init__(self, model: LanguageModel, store: Storage, *, kept_bytes: int = KEPT_BYTES) -> None:
        """Raises TokenizerError for a model that can't chat."""
        self.model, self.tokenizer = model, model.text_tokenizer()
        turn_ids(self.tokenizer, "")
        self._store = store
        self._kept: OrderedDict[int, CachedState] = OrderedDict()
        self.head: int | None = None
        self.cached = CachedState(model.new_state())
        self.read = self.prefilled = 0
        self._most = min(MAX_KEPT, kept_bytes // self.cached.state.nbytes)

    @property
    def window(self) -> int:
        """Tokens that are remembered to the letter."""
        return self.model.config.attention_window_size

    # --- where it stands ------------------------------------------------------------------

    def set(self, message: int | None, cached: CachedState) -> None:
        """Notes that the model stands after a message now."""
        self.head, self.cached = message, cached
        if message is not None:
            self.remember(message, cached)

    def remember(self, message: int, cached: CachedState) -> None:
        """Keeps a copy of the state after a message, to go back to. The oldest ones give way."""
        kept = self._kept.copy()  # a new one: `mark` keeps the old one
        kept[message] = cached.copy()
        kept.move_to_end(message)
        while len(kept) > self._most:
            kept.popitem(last=False)
        self._kept = kept

    def kept(self, message: int) -> CachedState | None:
        """The state after a message, where it is in memory."""
        return self._kept.get(message)

    def mark(self) -> Undo:
        """What goes back to now."""
        here, cached, now = vars(self).copy(), self.cached, self.cached.state.copy()

        def undo() -> None:
            vars(self).update(here)
            cached.state.become(now)

        return undo

    def invalidate(self, message: int | None = None) -> None:
        """Notes that the state is of no known place: the next `seek` starts from another.

        Args:
            message: it grows from now on, so that its state in memory will not be its state.
        """
        self.head = UNKNOWN
        if message in self._kept:
            self._kept = OrderedDict((number, cached) for number, cached in self._kept.items() if number != message)

    def seek(
        self,
        message: int | None,
        system: str | None,
        *,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> int:
        """Stands after a message (None: before the first).

        Args:
            progress: told (done, in all), in about characters, while text is read again.

        Returns:
            How many tokens were read again for it; 0 as long as there is a state.

        Raises:
            ChatError: it was cancelled; what was read so far is kept, on the disk too, with the tokens that are left. The
                model stands there with these: they are read with what is written next, and not before.  StoreError.
        """
        if message == self.head:
            return 0
        if message is None:
            self.set(None, CachedState(self.model.new_state()))
            return 0
        if message in self._kept:
            self.set(message, self._kept[message].copy())
            return 0
        return self._read_on(self._start(message), system, progress, cancelled)

    def seek_for_reply(
        self,
        asked: Message,
        system: str | None,
        *,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> int:
        """Stands after a user's message. One that is new is read with the reply, and not counted as read again.

        Returns, raises:
            As `seek`.
        """
        if self.head == asked.id:
            return 0
        near = self._store.snapshots.nearest(asked.id, self.model.identity)
        known = asked.id in self._kept or (near is not None and not near.after)
        if known or self._store.messages.has_children(asked.id):
            return self.seek(asked.id, system, progress=progress, cancelled=cancelled)
        read = self.seek(asked.parent, system, progress=progress, cancelled=cancelled)
        ids = ids_of(self.tokenizer, asked, self._turn(asked.parent), system)
        self.set(asked.id, CachedState(self.cached.state, (*self.cached.unread, *ids)))
        return read

    def _turn(self, message: int | None) -> Message | None:
        """Of a message that was read before: who spoke, and whether it had ended. Of a long text only the end."""
        return None if message is None else self._store.messages.window(message, 1, chars=1)[0]

    def _start(self, message: int) -> list[tuple[int, int]]:
        """Stands at the nearest place before; what is left to be read, in order."""
        near = self._store.snapshots.nearest(message, self.model.identity)
        # No further up than to the snapshot: a conversation may be as long as it likes.
        line = self._store.messages.path_sizes(message, -1 if near is None else near.after)
        in_memory = next((i for i, (number, _) in enumerate(line) if number in self._kept), len(line))
        if near is not None and in_memory == len(line):
            found = self._store.snapshots.restore(message, self.model)
            if found is None or found[0] != near:  # it was damaged: what is left is further up
                line = self._store.messages.path_sizes(message, -1 if found is None else found[0].after)
                in_memory = next((i for i, (number, _) in enumerate(line) if number in self._kept), len(line))
            if found is not None and in_memory == len(line):
                self.set(found[0].message, CachedState(found[1].state, found[1].unread))
                return line[::-1]
        if in_memory < len(line):
            number = line[in_memory][0]
            self.set(number, self._kept[number].copy())
        else:
            self.set(None, CachedState(self.model.new_state()))
        return line[:in_memory][::-1]

    def _read_on(
        self,
        ahead: list[tuple[int, int]],
        system: str | None,
        progress: Progress | None,
        cancelled: Callable[[], bool],
    ) -> int:
        before = self._turn(self.head)
        state, unread = self.cached.state, list(self.cached.unread)
        behind = _CHARS_A_TOKEN * len(unread)  # of a text whose reading was stopped
        total, done, read, saved = behind + sum(chars for _, chars in ahead), 0, 0, 0
        for at, (number, chars) in enumerate(ahead):
            message = self._store.messages.get(number)
            unread += ids_of(self.tokenizer, message, before, system)
            chars, behind = chars + behind, 0

            def tell(tokens: int, of: int, done: int = done, chars: int = chars) -> None:
                if progress:
                    progress(done + chars * tokens // max(of, 1), max(total, 1))

            self.invalidate()
            count = prefill(self.model, state, [unread], cancelled=cancelled, progress=tell)
            self.read += count
            self.prefilled += count
            read += count
            saved += count
            if count < len(unread):
                self._stopped(number, CachedState(state, tuple(unread[count:])), message, ahead[at + 1 :], system)
                raise ChatError("stopped reading the conversation again: whatever you do next goes on with it")
            unread, before, done = [], message, done + chars
            self.set(number, CachedState(state))
            if saved >= _SAVE_EVERY:
                self.save(number)
                saved = 0
        return read

    def _stopped(
        self, number: int, cached: CachedState, before: Message | Turn, ahead: list[tuple[int, int]], system: str | None
    ) -> None:
        """Keeps what was read when a reading is stopped; the model stands at its end, with all that is left unread.

        Args:
            cached: after the message `number`, which is `before` as well.
            ahead: what follows it, to the end.
        """
        self.set(number, cached)
        self.save(number)
        if not ahead or sum(chars for _, chars in ahead) > _UNREAD_CHARS:
            return
        unread = list(cached.unread)
        for number, _ in ahead:
            message = self._store.messages.get(number)
            unread += ids_of(self.tokenizer, message, before, system)
            before = message
        self.set(number, CachedState(cached.state, tuple(unread)))
        self.save(number)

    # --- on the disk ----------------------------------------------------------------------

    def save(self, message: int) -> str:
        """Keeps the state after a message on the disk; a sentence if that failed, which loses no text."""
        cached = self.cached if message == self.head else self._kept.get(message)
        if cached is None:
            return ""
        try:
            self._store.snapshots.put(message, cached.state, cached.unread)
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
        if position <= left or head is None:
            return None
        message: Message | None = self._store.messages.window(head, 1, chars=left * _TOKEN_CHARS)[0]
        while message is not None:
            chars = max(left, 1) * _TOKEN_CHARS
            before = None if message.parent is None else self._store.messages.window(message.parent, 1, chars=chars)[0]
            around = len(ids_of(self.tokenizer, Turn(message.role, "", message.closed), before))
            behind = self._behind(message)
            left -= behind
            text = message.text.rstrip() if message.role == USER else message.text  # as it was read
            ids = self.tokenizer.encode(text[-chars:])
            if len(ids) > left:
                seen = len(self.tokenizer.decode(ids[len(ids) - left :])) if left > 0 else 0
                return Horizon(message.id, seen + len(message.text) - len(text) if seen else 0)
            left -= len(ids) + around - behind
            message = before
        return None

    def _behind(self, message: Message) -> int:
        """Tokens of a message that come after its text."""
        if message.role == MODEL:
            return int(message.closed)
        return len(turn_ids(self.tokenizer, "")) - len(self.tokenizer.encode("user\n")) - 1
