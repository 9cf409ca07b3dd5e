"""`rgmlx.Chat`: a conversation for programs. Send, stop, checkpoint, rewind, fork, regenerate, edit, save, load.

The same conversation as that of the terminal chat (`replies`, `context`), in memory or by name in its file. The model's
state is kept at the points one may want to return to. Going back is putting such a state in place; no token is read again,
and `Chat.prefilled_tokens` counts every one that is. States are kept for the newest turns within a budget of bytes, by name
on the disk too; a return to an older turn reads the text up to it again, and the counter shows that.

Whatever ends a call, Ctrl+C as well: a method has done all of what it does or nothing, and a reply is what was
delivered of it, in the text and in the state. One thread at a time; while it writes, others are refused, but for
`stop` and for looking at what is there.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import ChatError, RgmlxError
from ..generation.constrained.output import FORMS, OutputFormat, output_format
from ..generation.engine import Progress
from ..generation.language_model import LanguageModel
from ..generation.sampling import make_sampling
from ..settings import Sampling
from ..store import MODEL, USER, Message
from ..system.atomic import Busy, Steps, whole
from ..system.awaited import Threads, awaited, done_in
from . import named, places, rgstate, sampling_settings
from .checkpoints import Checkpoint
from .context import Context
from .in_memory import MAX_REPLY_CHARS, MemoryStore
from .replies import ReplySession
from .reply import Reply, replied
from .turns import SavedChat, Turn

if TYPE_CHECKING:
    from ..store import Store
    from ..system.atomic import Undo
    from .context import Horizon
    from .runs import ReplyRun
    from .storage import Storage

SNAPSHOT_MEMORY_BYTES = 512 * 2**20
"""Default budget of the states kept in memory for going back: 15 turns of 2B, over sixty of the demo."""

F = TypeVar("F", bound=Callable[..., Any])


def _whole(method: F) -> F:
    """A method that does all or nothing, and that ChatError refuses while a reply is being written."""

    @wraps(method)
    def run(self: Chat, *args: Any, **kwargs: Any) -> Any:
        self._refuse_closed()
        return whole(self._busy, self._undo, lambda: method(self, *args, **kwargs))

    return run  # type: ignore[return-value]


def _moving(method: F) -> F:
    """A `_whole` method that ends the reply before it. ChatError refuses it while somebody waits for that one's result."""
    moved = _whole(method)

    @wraps(method)
    def run(self: Chat, *args: Any, **kwargs: Any) -> Any:
        if self._reply is not None and self._reply.held:
            raise self._busy.refusal()
        return moved(self, *args, **kwargs)

    return run  # type: ignore[return-value]


class Chat:
    """A conversation. Made by `Model.chat`.

    Attributes:
        sampling: default settings of replies.
        max_tokens: after how many tokens a reply stops; None for no limit.
    """

    def __init__(
        self,
        model: LanguageModel,
        system: str | None = None,
        *,
        store: Storage | None = None,
        snapshot_bytes: int = SNAPSHOT_MEMORY_BYTES,
        **sampling: Any,
    ) -> None:
        """A new conversation. `open` gives one that has a name.

        Args:
            system: a text for the model in front of the first user turn.
            store: where the text is kept; None keeps it in memory, and touches no file.
            snapshot_bytes: of states that are kept in memory.

        Raises:
            RgmlxError: a model without turn tokens, or a setting out of range.
        """
        self.sampling = make_sampling(sampling, model.sampling)
        if system is not None:
            _checked(system, "the system text")
        self.max_tokens: int | None = None
        self._model, self._snapshot_bytes = model, snapshot_bytes
        self._session = ReplySession(MemoryStore() if store is None else store, model.name or "", system=system)
        self._session.context = self._context = Context(model, self._session.store, kept_bytes=snapshot_bytes)
        self._reply: Reply | None = None
        self._closed: Callable[[], object] = self._session.close
        self._busy = Busy(ChatError, "a reply is being written, maybe in another thread: stop it and wait for its end")

    @classmethod
    def open(
        cls,
        model: LanguageModel,
        name: str,
        *,
        system: str | None = None,
        store: Store | str | Path | None = None,
        snapshot_bytes: int = SNAPSHOT_MEMORY_BYTES,
        **sampling: Any,
    ) -> Chat:
        """The conversation of this name, or a new one: on the disk, and in the list of rgchat. `:3` is that of a number.

        One that is there goes on where it was left; nothing is read again. It keeps its settings, where `sampling` does not
        say otherwise for this program. Close it (`with`, or `close`), so that others may have it.

        Args:
            system: of a new conversation.
            store: a store, or its directory; None for that of rgchat.

        Raises:
            ChatError: several have this name, another program has it open, or it has another system text.
            StoreError: the store can't be read or written.
            RgmlxError: the name is empty, a model without turn tokens, or a setting out of range.
        """
        named.check(name)
        make_sampling(sampling, model.sampling)  # refused before anything is on the disk
        kept = named.opened(store)
        try:
            chat = cls(model, system, store=kept, snapshot_bytes=snapshot_bytes, **sampling)
            settings = named.take(chat._session, kept, name, system=system, sampling=sampling)
            chat.sampling = sampling_settings.sampling(settings, model.sampling)
            chat.max_tokens = sampling_settings.max_tokens(settings)
        except BaseException:
            if kept is not store:
                kept.close()
            raise
        # At the latest when the program ends, or nobody has the chat any more.
        chat._closed = weakref.finalize(chat, named.close, chat._session, None if kept is store else kept)
        return chat

    def close(self) -> None:
        """Ends a reply that is being written, and lets other programs have the conversation. Twice is fine."""
        self._end_reply()
        self._closed()

    def __enter__(self) -> Chat:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Chat {self.name!r}, {self.position:,} tokens>" if self.name else f"<Chat of {self.position:,} tokens>"

    # --- what is there --------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """What it is called in its store; None in memory."""
        row = self._session.conversation
        return row.title if row is not None and row.title else None

    @property
    def system(self) -> str | None:
        """A text for the model in front of the first user turn, or None."""
        return self._session.system

    @property
    def turns(self) -> tuple[Turn, ...]:
        """All turns up to here, a partial reply included."""
        found = [Turn(m.role, m.text, m.closed and m.role == MODEL) for m in self._path()]
        reply, run = self._reply, self._session.running
        if reply is not None and run is reply.run and run.writer is not None and reply.whole_text:
            found[-1:] = [Turn(MODEL, reply.whole_text, closed=False)]
        return tuple(found)

    @property
    def position(self) -> int:
        """Tokens that the state has consumed: read and written."""
        return self._context.cached.state.position

    @property
    def state_nbytes(self) -> int:
        """Bytes of the state; they never change."""
        return self._context.cached.state.nbytes

    @property
    def prefilled_tokens(self) -> int:
        """How many tokens the model has read for this chat; replies it wrote itself are not read."""
        return self._context.prefilled

    @property
    def siblings(self) -> tuple[int, int]:
        """(which, of how many): the last turn among those that answer, or were sent, in the same place; from 1."""
        head = self._session.head
        return (head.number, head.siblings) if head is not None else (1, 1)

    @_whole
    def horizon(self) -> Horizon | None:
        """Where exact memory begins; None while it reaches to the first word. What is older is remembered in gist."""
        self._session.sync()
        return self._session.horizon()

    # --- talking --------------------------------------------------------------------------

    @_moving
    def send(
        self,
        text: str,
        *,
        max_tokens: int | None = None,
        progress: Progress | None = None,
        choices: Collection[str] | None = None,
        regex: str | None = None,
        schema: Any = None,
        grammar: str | None = None,
        **sampling: Any,
    ) -> Reply:
        """Sends a user turn. Iterate the reply to have it written, or ask for its `result`.

        Args:
            max_tokens: None goes on until the model ends its turn.
            progress: told (tokens read, tokens to read) while a long message is being read.
            choices, regex, schema, grammar: what the reply is to be, as in `Model.stream`; with `schema` its `result` is the
                object. `regenerate` and `edit` take them as well.
            **sampling: overrides of this chat's settings, for this reply.

        Raises:
            ChatError: the text is empty.  RgmlxError: a setting is out of range.
            ConstraintError: what the reply is to be is malformed or contradicts itself; nothing is sent.
        """
        form = self._form({"choices": choices, "regex": regex, "schema": schema, "grammar": grammar})
        settings = self._settings(sampling)
        _refuse_empty(text)
        self._end_reply()
        self._session.add_user_message(text)
        return self._start(settings, max_tokens, progress, form=form)

    def stop(self) -> None:
        """Stops the running reply, from any thread. The prompt and what was delivered stay."""
        if self._reply is not None:
            self._reply.stop()

    @_moving
    def regenerate(self, *, max_tokens: int | None = None, **sampling: Any) -> Reply:
        """Writes the last reply anew (or a first one, where there was none). The prompt is not read again.

        Raises:
            ChatError: there is nothing to reply to.
        """
        form = self._form(sampling)
        settings = self._settings(sampling)
        if "seed" not in sampling:
            settings = replace(settings, seed=None)  # the same seed would write the same reply
        self._end_reply()
        head = self._session.head
        if head is not None and head.role == MODEL:
            self._session.checkout(head.parent)
            head = self._session.head
        if head is None:
            raise ChatError("there is no reply to write again: send a message first")
        return self._start(settings, max_tokens, form=form)

    @_moving
    def continue_reply(self, *, max_tokens: int | None = None, **sampling: Any) -> Reply:
        """Goes on with the last reply: one that was cut short grows, of one that had ended a longer one is made. One that
        was interrupted before its first word is written.

        Raises:
            ChatError: there is no reply to go on with.
        """
        settings = self._settings(sampling)
        self._end_reply()
        head = self._session.head
        if head is None:
            raise ChatError("there is no reply to go on with: send a message first")
        return self._start(settings, max_tokens, continues=head.role == MODEL)

    @_moving
    def edit(self, index: int, text: str, *, max_tokens: int | None = None, **sampling: Any) -> Reply:
        """Goes back to user turn `index` (of `turns`), and sends `text` in its place. The first text stays beside it.

        Raises:
            ChatError: there is no such user turn, or the text is empty.
        """
        form = self._form(sampling)
        settings = self._settings(sampling)
        _refuse_empty(text)
        self._end_reply()
        path = self._path()
        if not 0 <= index < len(path) or path[index].role != USER:
            raise ChatError(f"turn {index} is not a message of yours: there are {len(path)} turns, from 0")
        self._session.edit(path[index].id, text)
        return self._start(settings, max_tokens, form=form)

    @_moving
    def add_turns(self, turns: Sequence[Turn]) -> None:
        """Adds turns that were said elsewhere behind the last one. The model reads them with what is sent next.

        Raises:
            ChatError: a role is neither "user" nor "model".
        """
        if bad := [turn for turn in turns if not isinstance(turn, Turn)]:
            raise ChatError(f"turns are rgmlx.conversation.turns.Turn(role, text), not {type(bad[0]).__name__}")
        if wrong := [turn.role for turn in turns if turn.role not in (USER, MODEL)]:
            raise ChatError(f"a turn is '{USER}' or '{MODEL}', not '{wrong[0]}'")
        for turn in turns:
            _checked(turn.text, "a turn's text")
        self._end_reply()
        if turns:
            parent = self._session.head.id if self._session.head is not None else None
            made = rgstate.add_turns(self._session, self._session.created().id, turns, parent)
            self._session.checkout(made[-1])

    # --- time travel ----------------------------------------------------------------------

    @_moving
    def checkpoint(self) -> Checkpoint:
        """This moment, to `rewind` to. Takes no memory until the chat moves on."""
        self._end_reply()
        self._session.sync()
        return Checkpoint.here(self._session)

    @_moving
    def rewind(self, to: Checkpoint | int) -> None:
        """Goes back: to a checkpoint, or to before turn number `to` (of `turns`). What was there after it stays a branch.

        Raises:
            ChatError: there is no such turn, or the checkpoint is another model's.
        """
        self._end_reply()
        if isinstance(to, Checkpoint):
            if to.cached.state.owner is not self._model:
                raise ChatError("this checkpoint belongs to another model")
            self._return_to(to)
            return
        path = self._path()
        if not 0 <= to <= len(path):
            raise ChatError(f"there is no turn {to} to go back to: there are {len(path)}, from 0")
        if to < len(path):
            self._session.checkout(path[to].parent)
            self._session.sync()

    @_moving
    def switch(self, by: int = 1) -> None:
        """Goes to another answer in place of the last turn: `by` further, or back, to the end of its branch.

        Raises:
            ChatError: there is none on that side.
        """
        self._end_reply()
        head = self._session.head
        other = None if head is None else places.sibling(self._session.store, head, by)
        if other is None:
            raise ChatError(f"there is no other turn on that side: this is {' of '.join(map(str, self.siblings))}")
        self._session.checkout(other)
        self._session.sync()

    def fork(self) -> Chat:
        """An independent chat in memory that goes on from here. Shares memory with this one."""
        here = self.checkpoint()
        other = Chat(self._model, self.system, snapshot_bytes=self._snapshot_bytes, **vars(self.sampling))
        other.max_tokens = self.max_tokens
        other._return_to(here, self._context)
        return other

    # --- files ----------------------------------------------------------------------------

    @_whole
    def save(self, path: str | Path) -> None:
        """Writes the chat to one file, atomically: its text, its state, and the states needed to
        edit the last message or regenerate the last reply without reading again.

        Raises:
            StateError: the file can't be written; what was there before is unchanged.
        """
        run = self._session.running
        partial = self.turns[-1] if run is not None and run.writer is not None else None
        rgstate.saved(self._session, self.sampling, self.max_tokens, partial).write(path)

    @classmethod
    def load(cls, path: str | Path, model: LanguageModel, *, snapshot_bytes: int = SNAPSHOT_MEMORY_BYTES) -> Chat:
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
        chat.max_tokens = saved.max_tokens
        rgstate.put(chat._session, saved)
        return chat

    # --- for coroutines -------------------------------------------------------------------

    asend = replied(send)
    aregenerate = replied(regenerate)
    aedit = replied(edit)
    acontinue_reply = replied(continue_reply)
    aadd_turns = awaited(add_turns, short=True)
    acheckpoint = awaited(checkpoint, short=True)
    arewind = awaited(rewind, short=True)
    aswitch = awaited(switch, short=True)
    afork = awaited(fork, short=True)
    ahorizon = awaited(horizon, short=True)
    asave = awaited(save, short=True)
    aclose = awaited(close, short=True)

    @classmethod
    async def aload(cls, path: str | Path, model: LanguageModel, **options: Any) -> Chat:
        """`load`, awaited."""
        return await done_in(model.threads.steps, lambda: cls.load(path, model, **options))

    @property
    def threads(self) -> Threads:
        """Where the work of coroutines is done."""
        return self._model.threads

    async def __aenter__(self) -> Chat:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    # --- inside ---------------------------------------------------------------------------

    def _settings(self, overrides: dict[str, Any]) -> Sampling:
        return make_sampling(overrides, self.sampling)

    def _form(self, options: dict[str, Any]) -> OutputFormat | None:
        """What a reply is to be, taken out of the options."""
        asked = {name: options.pop(name) for name in FORMS if name in options}
        return output_format(self._model.vocabulary, **asked)

    def _path(self) -> list[Message]:
        self._refuse_closed()
        head = self._session.head
        return self._session.store.messages.path(head.id if head is not None else None)

    def _refuse_closed(self) -> None:
        if isinstance(self._closed, weakref.finalize) and not self._closed.alive:
            raise ChatError("this conversation was closed: open it again by its name")

    def _return_to(self, to: Checkpoint, states: Context | None = None) -> None:
        """Stands at a checkpoint; one of another chat becomes a branch of this one, with the `states` kept on its way."""
        head = to.add_to(self._session, states)
        self._session.checkout(head)
        self._context.set(head, to.cached.copy())

    def _undo(self) -> Undo:
        """What goes back to now, from wherever the chat is then; a reply is over then."""
        here, reply = vars(self).copy(), self._reply
        run = reply.run if reply is not None and self._session.running is reply.run else None
        back, text = self._session.mark(run), reply.text if reply is not None else ""

        def undo() -> None:
            vars(self).update(here)
            back()
            if reply is not None:
                reply.text = text
            if run is not None:
                self._session.end_reply(run)

        return undo

    def _end_reply(self) -> None:
        """Ends a reply that the caller has stopped iterating."""
        if self._reply is not None:
            self._reply.close()
            self._reply = None

    def _start(
        self,
        settings: Sampling,
        max_tokens: int | None,
        progress: Progress | None = None,
        *,
        continues: bool = False,
        form: OutputFormat | None = None,
    ) -> Reply:
        limit = self.max_tokens if max_tokens is None else max_tokens
        matcher = form.constraint.matcher() if form is not None else None
        run = self._session.start_reply(
            continues=continues, sampling=settings, max_tokens=limit, progress=progress, matcher=matcher
        )
        self._reply = Reply(
            run,
            lambda reply: Steps(self._write(reply, run), self._busy, self._undo, waits=True),
            self._session.stop,
            self._session.end_reply,
            form,
        )
        return self._reply

    def _write(self, reply: Reply, run: ReplyRun) -> Generator[str]:
        """The body of a reply: reads the prompt, then writes the model's turn as it comes."""
        for piece in self._session.reply_pieces(run):
            reply.text = (reply.text + piece)[-MAX_REPLY_CHARS:]
            yield piece
        self._session.end_reply(run)


def _checked(text: str, what: str) -> str:
    if not isinstance(text, str):
        raise ChatError(f"{what} is a str, not {type(text).__name__}")
    return text


def _refuse_empty(text: str) -> None:
    if not _checked(text, "a message").strip():
        raise ChatError("there is nothing to send: the message is empty")
