"""Turns over the engine: send, stop, checkpoint, rewind, fork, regenerate, edit, save, load.

A chat keeps the model's state at the points one may want to return to: before each user turn and
before each reply. Going back is putting such a state in place; no token is read again, and
`Chat.prefilled_tokens` counts every one that is. States are kept for the newest turns within a
budget of bytes; a return to an older turn reads the text up to it again, and the counter shows that.

Whatever ends a call, Ctrl+C as well: a method has done all of what it does or nothing, and a reply is what was
delivered of it, in the text and in the state. One thread at a time; while it writes, others are refused, but for
`stop` and for looking at what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ChatError, RgmlxError
from ..generation.engine import Generation, Progress, prefill
from ..generation.language_model import LanguageModel
from ..generation.sampling import make_sampling
from ..settings import Sampling
from ..system.atomic import Busy, Steps, whole
from ..tokenizer import Detokenizer, turn_ids
from .turns import MODEL, NOW, USER, Point, SavedChat, Turn, ids_of

SNAPSHOT_BYTES = 512 * 2**20
"""Default budget of the states kept in memory for going back: 15 turns of 2B, over sixty of the demo."""
MAX_REPLY_CHARS = 1_000_000
"""Of one reply, this much of its end is kept as text; the model's memory is the state, not the text."""


F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class _Entry:
    """A turn with the point before it (None once that fell out of the budget). The turn of a reply grows."""

    turn: Turn
    before: Point | None


def _whole(method: F) -> F:
    """A method that does all or nothing, and that ChatError refuses while a reply is being written."""

    @wraps(method)
    def run(self: Chat, *args: Any, **kwargs: Any) -> Any:
        return whole(self._busy, self._undo, lambda: method(self, *args, **kwargs))

    return run  # type: ignore[return-value]


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a chat to return to. Made by `Chat.checkpoint`; holds its states."""

    entries: tuple[tuple[Turn, Point | None], ...]
    now: Point


class Reply:
    """A reply being written: iterate it for pieces of text, `stop` it from any thread.

    Iterating raises NotFiniteError where the model's weights are damaged, and ChatError while another thread does it.
    After an exception the reply is over, and what was delivered stays.

    Attributes:
        text: what has been delivered so far.
        finish_reason: None while it runs, then "stop", "length" or "cancelled".
    """

    def __init__(self, run: Generation, pieces: Callable[[Reply], Steps[str]]) -> None:
        self._run = run
        self.text = ""
        self._pieces = pieces(self)

    @property
    def finish_reason(self) -> str | None:
        return self._run.finish_reason

    def stop(self) -> None:
        """Ends the reply after the token in flight; what was delivered stays."""
        self._run.stop()

    def close(self) -> None:
        """Ends the reply where it is. Raises ChatError: another thread is writing it."""
        self._pieces.close()
        self._run.close()

    def __iter__(self) -> Iterator[str]:
        return self._pieces


class Chat:
    """A conversation. Made by `Model.chat`.

    Attributes:
        system: a text for the model in front of the first user turn, or None.
        sampling: default settings of replies.
        prefilled_tokens: how many tokens the model has read for this chat; replies it wrote itself
            are not read.
    """

    def __init__(
        self, model: LanguageModel, system: str | None = None, *, snapshot_bytes: int = SNAPSHOT_BYTES, **sampling: Any
    ) -> None:
        """Raises RgmlxError for a model without turn tokens or a setting out of range."""
        self._model, self._tokenizer = model, model.text_tokenizer()
        turn_ids(self._tokenizer, "")  # refuses a vocabulary without turns
        self.system = system
        self.sampling = make_sampling(sampling, model.sampling)
        self.prefilled_tokens = 0
        self._snapshot_bytes = snapshot_bytes
        self._entries: list[_Entry] = []
        self._state = model.new_state()
        self._unread: tuple[int, ...] = ()
        self._reply: Reply | None = None
        self._busy = Busy(ChatError, "a reply is being written, maybe in another thread: stop it and wait for its end")

    # --- what is there --------------------------------------------------------------------

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns, a partial reply included."""
        return tuple(e.turn for e in self._entries)

    @property
    def position(self) -> int:
        """Tokens that the state has consumed: read and written."""
        return self._state.position

    @property
    def state_nbytes(self) -> int:
        """Bytes of the state; they never change."""
        return self._state.nbytes

    def set_sampling(self, sampling: dict[str, Any]) -> None:
        """Changes the default settings of replies. Raises RgmlxError for one out of range."""
        self.sampling = self._settings(sampling)

    # --- talking --------------------------------------------------------------------------

    @_whole
    def send(
        self, text: str, *, max_tokens: int | None = None, progress: Progress | None = None, **sampling: Any
    ) -> Reply:
        """Sends a user turn. Iterate the reply to have it written.

        Args:
            max_tokens: None goes on until the model ends its turn.
            progress: told (tokens read, tokens to read) while a long message is being read.
            **sampling: overrides of this chat's settings, for this reply.

        Raises:
            ChatError: the text is empty.  RgmlxError: a setting is out of range.
        """
        return self._send(text, max_tokens, progress, sampling)

    def _send(self, text: str, max_tokens: int | None, progress: Progress | None, sampling: dict[str, Any]) -> Reply:
        settings = self._settings(sampling)
        _refuse_empty(text)
        self._end_reply()
        turn = Turn(USER, text, closed=False)
        before = self._entries[-1].turn if self._entries else None
        prompt = (*self._unread, *ids_of(self._tokenizer, turn, before, self.system))
        self._add(turn)
        self._unread = prompt
        return self._start(settings, max_tokens, progress)

    def stop(self) -> None:
        """Stops the running reply, from any thread. The prompt and what was delivered stay."""
        if self._reply is not None:
            self._reply.stop()

    @_whole
    def regenerate(self, *, max_tokens: int | None = None, **sampling: Any) -> Reply:
        """Writes the last reply anew (or a first one, where there was none). The prompt is not read again.

        Raises:
            ChatError: there is nothing to reply to.
        """
        settings = self._settings(sampling)
        if "seed" not in sampling:
            settings = replace(settings, seed=None)  # the same seed would write the same reply
        self._end_reply()
        if not self._entries:
            raise ChatError("there is no reply to write again: send a message first")
        if self._entries[-1].turn.role == MODEL:
            self._return_to(len(self._entries) - 1)
        return self._start(settings, max_tokens)

    @_whole
    def edit(self, index: int, text: str, *, max_tokens: int | None = None, **sampling: Any) -> Reply:
        """Goes back to user turn `index` (of `turns`), and sends `text` in its place.

        Raises:
            ChatError: there is no such user turn, or the text is empty.
        """
        self._settings(sampling)
        _refuse_empty(text)
        self._end_reply()
        if not 0 <= index < len(self._entries) or self._entries[index].turn.role != USER:
            raise ChatError(f"turn {index} is not a message of yours: there are {len(self._entries)} turns, from 0")
        self._return_to(index)
        return self._send(text, max_tokens, None, sampling)

    # --- time travel ----------------------------------------------------------------------

    @_whole
    def checkpoint(self) -> Checkpoint:
        """This moment, to `rewind` to. Takes no memory until the chat moves on."""
        self._end_reply()
        return Checkpoint(tuple((e.turn, e.before) for e in self._entries), self._here())

    @_whole
    def rewind(self, to: Checkpoint | int) -> None:
        """Goes back: to a checkpoint, or to before turn number `to` (of `turns`).

        Raises:
            ChatError: there is no such turn, or the checkpoint is another model's.
        """
        self._end_reply()
        if isinstance(to, Checkpoint):
            if to.now.state.owner is not self._model:
                raise ChatError("this checkpoint belongs to another model")
            self._entries = [_Entry(turn, before) for turn, before in to.entries]
            self._stand_at(to.now)
        elif 0 <= to <= len(self._entries):
            if to < len(self._entries):
                self._return_to(to)
        else:
            raise ChatError(f"there is no turn {to} to go back to: there are {len(self._entries)}, from 0")

    def fork(self) -> Chat:
        """An independent chat that goes on from here. Shares memory with this one."""
        other = Chat(self._model, self.system, snapshot_bytes=self._snapshot_bytes, **vars(self.sampling))
        other.rewind(self.checkpoint())
        return other

    # --- files ----------------------------------------------------------------------------

    @_whole
    def save(self, path: str | Path) -> None:
        """Writes the chat to one file, atomically: its text, its state, and the states needed to
        edit the last message or regenerate the last reply without reading again.

        Raises:
            StateError: the file can't be written; what was there before is unchanged.
        """
        points = {NOW: self._here()}
        for index, entry in enumerate(self._entries[-2:], max(len(self._entries) - 2, 0)):
            if entry.before is not None:
                points[str(index)] = entry.before
        SavedChat(self.turns, points, self.system, vars(self.sampling)).write(path)

    @classmethod
    def load(cls, path: str | Path, model: LanguageModel, *, snapshot_bytes: int = SNAPSHOT_BYTES) -> Chat:
        """Opens a saved chat: no token is read again.

        Raises:
            StateError: the file is damaged, or was saved with another model.
            ChatError: the file holds a state without a chat.
        """
        saved = SavedChat.read(path, model)
        try:
            chat = cls(model, saved.system, snapshot_bytes=snapshot_bytes, **saved.sampling)
        except RgmlxError as e:
            raise ChatError(f"{path} is not a saved chat ({e})") from None
        chat._entries = [_Entry(turn, saved.points.get(str(i))) for i, turn in enumerate(saved.turns)]
        chat._stand_at(saved.points[NOW])
        return chat

    # --- inside ---------------------------------------------------------------------------

    def _settings(self, overrides: dict[str, Any]) -> Sampling:
        return make_sampling(overrides, self.sampling)

    def _here(self) -> Point:
        return Point(self._state.copy(), self._unread)

    def _stand_at(self, point: Point) -> None:
        self._state, self._unread = point.state.copy(), point.unread

    def _undo(self) -> Callable[[], None]:
        """What goes back to now, from wherever the chat is then."""
        here, now = vars(self).copy(), self._state.copy()
        entry, reply = self._entries[-1] if self._entries else None, self._reply
        turn, text = entry.turn if entry else None, reply.text if reply else ""

        def undo() -> None:
            vars(self).update(here)
            self._state.become(now)
            if entry is not None and turn is not None:
                entry.turn = turn
            if reply is not None:
                reply.text = text

        return undo

    def _add(self, turn: Turn) -> _Entry:
        entries = [*self._entries, _Entry(turn, self._here())]
        used = 0
        for i in reversed(range(len(entries))):
            before = entries[i].before
            if before is not None:
                used += before.state.nbytes
                if used > self._snapshot_bytes:
                    entries[i] = _Entry(entries[i].turn, None)
        self._entries = entries  # a new list: `_undo` keeps the old one
        return entries[-1]

    def _return_to(self, index: int) -> None:
        """Stands before turn `index` and forgets it and all after it."""
        point = self._entries[index].before
        if point is not None:
            self._stand_at(point)
        else:
            self._read_again(index)
        self._entries = self._entries[:index]

    def _read_again(self, index: int) -> None:
        """Comes to stand before turn `index` by reading, from the nearest state that was kept."""
        known = next((i for i in range(index - 1, -1, -1) if self._entries[i].before is not None), None)
        start = known or 0
        point = None if known is None else self._entries[known].before
        self._stand_at(point or Point(self._model.new_state()))
        ids = list(self._unread)
        turns = self.turns
        for i in range(start, index):
            ids += ids_of(self._tokenizer, turns[i], turns[i - 1] if i else None, self.system)
        self.prefilled_tokens += prefill(self._model, self._state, [ids])
        self._unread = ()

    def _end_reply(self) -> None:
        """Ends a reply that the caller has stopped iterating."""
        if self._reply is None:
            return
        self._reply.close()
        self._reply = None

    def _start(self, settings: Sampling, max_tokens: int | None, progress: Progress | None = None) -> Reply:
        run = Generation(
            self._model,
            self._state,
            self._unread,
            sampling=settings,
            max_tokens=max_tokens,
            stop_ids=self._model.stop_ids,
            progress=progress,
        )
        self._reply = Reply(run, lambda reply: Steps(self._write(reply, run), self._busy, self._undo, waits=True))
        return self._reply

    def _write(self, reply: Reply, run: Generation) -> Generator[str]:
        """The body of a reply: reads the prompt, then writes the model's turn as it comes."""
        detokenizer = Detokenizer(self._tokenizer)
        prompt, start = self._unread, self._state.position
        run.read_prompt()
        read = self._state.position - start
        self.prefilled_tokens += read
        self._unread = prompt[read:]
        if self._unread:  # stopped while reading; the rest is read with the next message
            return
        entry = self._add(Turn(MODEL, "", closed=False))

        def deliver(piece: str, closed: bool = False) -> str:
            reply.text = (reply.text + piece)[-MAX_REPLY_CHARS:]
            entry.turn = Turn(MODEL, reply.text, closed)
            return piece

        for token in run:
            if piece := deliver(detokenizer.add(token)):
                yield piece
        if piece := deliver(detokenizer.finish(), closed=run.finish_reason == "stop"):
            yield piece


def _refuse_empty(text: str) -> None:
    if not text.strip():
        raise ChatError("there is nothing to send: the message is empty")
