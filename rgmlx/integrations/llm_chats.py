"""Conversations that another program keeps as lists of messages, gone on with by their states.

The list is what holds: a chat whose turns are its beginning goes on with it, and reads only what is new. Such chats are the
newest few of this process and, where the program has a name for the conversation, a `.rgstate` file each, the newest of a
bounded number. Both are a cache: where none fits, the whole list is read. Knows `Chat`; knows nothing of llm.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..conversation.chat import Chat
from ..conversation.turns import MODEL, USER, Turn
from ..errors import ChatError, RgmlxError
from ..generation.language_model import LanguageModel
from ..generation.sampling import make_sampling
from ..system import cache, debug_log
from ..system.macos import power

MAX_CHATS = 4
"""Chats in memory; each has one state."""
MAX_FILES = 32
MAX_BYTES = 2**30
"""Of the newest files, so many with so many bytes in all are kept; the very newest in any case."""
_PLAIN = re.compile("[0-9a-z]{26}")  # a ULID as llm writes it


class AnyMessage(Protocol):
    """What is asked of a message: `role` is system, user, assistant or tool; a part has `text`, or a tool's `output`."""

    @property
    def role(self) -> str: ...
    @property
    def parts(self) -> Sequence[Any]: ...


@dataclass(frozen=True)
class Transcript:
    """A conversation up to a message that is to be answered.

    Attributes:
        system: the text in front of the first turn, or None.
        turns: what was said before.
        text: what is to be answered; "" where nothing is.
    """

    system: str | None
    turns: tuple[Turn, ...]
    text: str


@dataclass
class Usage:
    """What a reply took, once it has ended.

    Attributes:
        read: tokens that the model has read for it.
        remembered: tokens that its state had read or written before, and that were not read again.
        written: tokens of the reply, with the one that ends it.
        finish_reason: "stop" or "length".
    """

    read: int = 0
    remembered: int = 0
    written: int = 0
    finish_reason: str | None = None


def transcript(messages: Iterable[AnyMessage]) -> Transcript:
    """The conversation in a list of messages. Neighbours of one role become one turn; a later system text stands before the next
    message of the user's, as Gemma has no system role."""
    system, turns, ahead = list[str](), list[Turn](), list[str]()
    for message in messages:
        text = "".join(_text(part) for part in message.parts)
        if message.role == "system":
            (ahead if turns else system).append(text)
            continue
        role = MODEL if message.role == "assistant" else USER
        if role == USER and ahead:
            text, ahead = "\n\n".join([*ahead, text]), []
        if turns and turns[-1].role == role:
            text = "\n\n".join(part for part in (turns.pop().text, text) if part)
        turns.append(Turn(role, text))
    asked = turns.pop().text if turns and turns[-1].role == USER else ""
    return Transcript("\n\n".join(filter(None, system)) or None, tuple(turns), asked)


def _text(part: Any) -> str:
    """The words of a part; none of a model's thoughts and of calls of tools, which no turn has."""
    if type(part).__name__ == "ReasoningPart":
        return ""
    return getattr(part, "text", None) or getattr(part, "output", None) or ""


def file_of(conversation: str) -> Path | None:
    """The file of a conversation's state by the program's name for it; None where there can be no private directory.

    A name that llm makes is the file's, any other one is hashed: a name is never a path.
    """
    directory = cache.private_directory("llm", "states")
    if directory is None:
        return None
    plain = _PLAIN.fullmatch(conversation)
    name = conversation if plain else hashlib.blake2b(conversation.encode("utf-8", "replace")).hexdigest()[:32]
    return directory / f"{name}.rgstate"


class Chats:
    """The newest chats of this process. From any thread; a chat that is taken is nobody else's until it is given back."""

    def __init__(self) -> None:
        self._known: list[tuple[LanguageModel, Chat]] = []
        self._lock = threading.Lock()

    def answer(
        self,
        model: LanguageModel,
        said: Transcript,
        usage: Usage,
        settings: Mapping[str, Any] | None = None,
        file: Path | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> Iterator[str]:
        """Writes the answer piece by piece. Where that breaks off, the conversation stays as it was before.

        Args:
            usage: filled in at the end.
            settings: of `rgmlx.settings.SETTINGS`; what is missing or None is the model's own.
            schema: a JSON Schema, of which the reply is an object as JSON.
            file: where the state is kept after the reply, and looked for before; None keeps it in memory only.

        Raises:
            RgmlxError: a setting out of range, nothing to answer, a model that can't chat; before anything is written.
                While it runs as `rgmlx.conversation.reply.Reply`.
        """
        given = {name: value for name, value in (settings or {}).items() if value is not None}
        limit = given.pop("max_tokens", None)
        sampling = make_sampling(given, model.sampling)
        if not said.text.strip():
            raise ChatError("there is nothing to answer: end the conversation with a message of the user's")
        chat = self._take(model, said, file)
        remembered, before = chat.position, chat.prefilled_tokens
        chat.add_turns(said.turns[len(chat.turns) :])
        start = chat.checkpoint()
        try:
            reply = chat.send(said.text, max_tokens=limit, schema=schema, **vars(sampling))
            with power.awake():
                yield from reply
        except BaseException:
            with contextlib.suppress(RgmlxError):
                chat.rewind(start)
                self._give(model, chat)
            raise
        usage.read, usage.remembered = chat.prefilled_tokens - before, remembered
        usage.written = chat.position - remembered - usage.read
        usage.finish_reason = reply.finish_reason
        if file is not None:
            _keep(chat, file)
        self._give(model, chat)

    def _take(self, model: LanguageModel, said: Transcript, file: Path | None) -> Chat:
        """The chat that knows the most of a conversation; a new one where none knows any of it."""
        best = self._pop(model, said)
        known = 0 if best is None else len(best.turns)
        room = model.new_state().nbytes  # of the states in memory: the one where it stands
        if known < len(said.turns) and file is not None:
            with contextlib.suppress(RgmlxError):  # there is none, it is damaged, or another model's
                kept = Chat.load(file, model, snapshot_bytes=room)
                if _begins(kept, said) and len(kept.turns) > known:
                    if best is not None:
                        self._give(model, best)
                    return kept
        return best or Chat(model, said.system, snapshot_bytes=room)

    def _pop(self, model: LanguageModel, said: Transcript) -> Chat | None:
        with self._lock:
            fitting = [at for at, (owner, chat) in enumerate(self._known) if owner is model and _begins(chat, said)]
            if not fitting:
                return None
            return self._known.pop(max(fitting, key=lambda at: len(self._known[at][1].turns)))[1]

    def _give(self, model: LanguageModel, chat: Chat) -> None:
        """Keeps a chat. Those of other models go, which hold memory only as long as they are in use."""
        with self._lock:
            self._known = [*(known for known in self._known if known[0] is model), (model, chat)][-MAX_CHATS:]


def _begins(chat: Chat, said: Transcript) -> bool:
    """Whether a chat is the beginning of a conversation."""
    turns = chat.turns
    return (
        chat.system == said.system
        and all((one.role, one.text) == (other.role, other.text) for one, other in zip(turns, said.turns, strict=False))
        and 0 < len(turns) <= len(said.turns)
    )


def _keep(chat: Chat, file: Path) -> None:
    """Writes a chat's file, and removes the oldest beyond the bounds. What fails costs reading again."""
    with contextlib.suppress(RgmlxError):  # the debug log has it
        chat.save(file)
    try:
        found = [(path.stat(), path) for path in file.parent.glob("*.rgstate")]
        found.sort(key=lambda one: (one[1] == file, one[0].st_mtime_ns), reverse=True)
        total = 0
        for number, (status, path) in enumerate(found):
            total += status.st_size
            if number and (number >= MAX_FILES or total > MAX_BYTES):
                path.unlink()
    except OSError as e:  # another program is at the same
        debug_log.caught(e, "old states are not removed")
