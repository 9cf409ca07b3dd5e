"""Answers of a model to one question: written piece by piece, with what each has cost.

Knows models, conversations and clocks; nothing of streams, files and command lines.
"""

from __future__ import annotations

import itertools
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..conversation.chat import Chat
    from ..generation.engine import Progress
    from ..griffin.state import State
    from ..model import Model
    from ..settings import Sampling
    from ..tokenizer import Tokenizer

MAX_CHARS = 1_000_000
"""Of an answer so much of the end is kept, as `Chat` keeps of a reply; of its ids likewise."""
AT_ONCE = 8
"""Answers that are written in one batch: each has a state of its own meanwhile, 34 MB for 2B."""
Show = Callable[[str], None]
"""Told each piece of text as it comes."""


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes:
        text: of a very long one the end.
        ids: its token ids, without that which ended it.
        finish_reason: "stop" (the model ended it) or "length" (`max_tokens` are spent).
        tokens_read: which the model has read for it.
        tokens_known: which it knew before: of the conversation, or of the question where it has answered that before.
        tokens_written: the answer's.
        seconds: from the question to the end of the answer, without the loading of the model.
        seed: with which the same answer is written again.
    """

    text: str
    ids: list[int]
    finish_reason: str | None
    tokens_read: int
    tokens_known: int
    tokens_written: int
    seconds: float
    seed: int


# --- in a conversation --------------------------------------------------------------------


def in_conversation(
    chat: Chat, text: str, seeds: Iterable[int], show: Show, *, progress: Progress | None = None, **options: Any
) -> Iterator[Answer]:
    """Sends a message; answers it once for each seed. The message is read once, and the answers stand beside each other.

    Args:
        show: told the pieces of an answer before it is yielded.
        options: of `Chat.send`.
    """
    begun, known = time.perf_counter(), _known(chat)
    for number, seed in enumerate(seeds):
        before = chat.prefilled_tokens
        if number:
            reply = chat.regenerate(seed=seed, **options)
        else:
            reply = chat.send(text, seed=seed, progress=progress, **options)
        for piece in reply:
            show(piece)
        read, now = chat.prefilled_tokens - before, time.perf_counter()
        yield Answer(reply.text, reply.ids, reply.finish_reason, read, known, reply.tokens, now - begun, seed)
        known, begun = known + read, time.perf_counter()


def _known(chat: Chat) -> int:
    """Tokens that the model knows of a conversation without reading any; where its state is lost, text is read again."""
    before = chat.prefilled_tokens
    chat.checkpoint()
    return chat.position - (chat.prefilled_tokens - before)


# --- outside of one -----------------------------------------------------------------------


def alone(
    model: Model,
    text: str,
    seeds: Iterable[int],
    show: Show,
    *,
    system: str | None = None,
    raw: bool = False,
    max_tokens: int | None = None,
    progress: Progress | None = None,
    **sampling: Any,
) -> Iterator[Answer]:
    """Answers a question, or (`raw`) goes on with a text, once for each seed. It is read once.

    Several are written at once and shown one after the other; each is what it would be by itself.

    Args:
        show: told the pieces of an answer before it is yielded.
        sampling: as in `Model.stream`.
    """
    from ..generation.engine import prefill
    from ..generation.sampling import make_sampling
    from ..tokenizer import turn_ids

    tokenizer, settings = model.text_tokenizer(), make_sampling(sampling, model.sampling)
    ids = [tokenizer.bos, *(tokenizer.encode(text) if raw else turn_ids(tokenizer, text, system))]
    state, begun = model.new_state(), time.perf_counter()
    read, known, left = prefill(model, state, [ids], progress=progress), 0, iter(seeds)
    while group := list(itertools.islice(left, AT_ONCE)):
        rows = [_Row(tokenizer, seed) for seed in group]
        for row in _written(model, state, settings, rows, max_tokens, show):
            yield row.answer(read, known, begun)
            known, read = known + read, 0
        begun = time.perf_counter()


def _written(
    model: Model, state: State, settings: Sampling, rows: list[_Row], max_tokens: int | None, show: Show
) -> Iterator[_Row]:
    """Writes answers at once; yields each when it and those before it are shown."""
    each = [replace(settings, seed=row.seed) for row in rows]
    shown = 0
    for number, token in _tokens(model, state, each, max_tokens):
        rows[number].add(token)
        while shown < len(rows):
            rows[shown].show(show)
            if rows[shown].finish_reason is None:
                break
            yield rows[shown]
            shown += 1
    for row in rows[shown:]:
        row.end("length")
        row.show(show)
        yield row


def _tokens(
    model: Model, state: State, each: list[Sampling], max_tokens: int | None
) -> Iterator[tuple[int, int | None]]:
    """(answer, id) as they are drawn, and (answer, None) where the model ends one."""
    from ..generation.engine import Generation
    from ..generation.samples import generate_samples

    if len(each) > 1:
        yield from generate_samples(model, state, each, max_tokens=max_tokens, stop_ids=model.stop_ids)
        return
    run = Generation(model, state.copy(), [], sampling=each[0], max_tokens=max_tokens, stop_ids=model.stop_ids)
    for token in run:
        yield 0, token
    if run.finish_reason == "stop":
        yield 0, None


class _Row:
    """An answer that is being written, maybe beside others.

    Attributes:
        finish_reason: None while it is.
    """

    def __init__(self, tokenizer: Tokenizer, seed: int) -> None:
        from ..tokenizer import Detokenizer

        self.seed = seed
        self.finish_reason: str | None = None
        self._detokenizer = Detokenizer(tokenizer)
        self._text, self._unshown, self._ids, self._written, self._ended = "", "", array("i"), 0, 0.0

    def add(self, token: int | None) -> None:
        """The next token; None ends it."""
        if token is None:
            self.end("stop")
            return
        self._ids.append(token)
        if len(self._ids) > 2 * MAX_CHARS:
            del self._ids[:-MAX_CHARS]
        self._written += 1
        self._unshown += self._detokenizer.add(token)

    def end(self, reason: str) -> None:
        """Ends it."""
        self._unshown += self._detokenizer.finish()
        self.finish_reason, self._ended = reason, time.perf_counter()

    def show(self, show: Show) -> None:
        """Shows what was not shown yet."""
        if self._unshown:
            show(self._unshown)
            self._text = (self._text + self._unshown)[-MAX_CHARS:]
            self._unshown = ""

    def answer(self, read: int, known: int, begun: float) -> Answer:
        """What it came to."""
        seconds = self._ended - begun
        return Answer(
            self._text, self._ids.tolist(), self.finish_reason, read, known, self._written, seconds, self.seed
        )
