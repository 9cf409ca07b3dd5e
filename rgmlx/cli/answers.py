"""Answers of a model to one question: written piece by piece, with what each has cost.

Knows models, conversations and clocks; nothing of streams, files and command lines.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..conversation.chat import Chat
    from ..generation.engine import Progress
    from ..model import Model

MAX_CHARS = 1_000_000
"""Of an answer to a raw text so much of the end is kept, as `Chat` keeps of a reply."""
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


def in_conversation(
    chat: Chat, text: str, seeds: Iterable[int], show: Show, *, progress: Progress | None = None, **options: Any
) -> Iterator[Answer]:
    """Sends a message; answers it once for each seed. The message is read once, and the answers stand beside each other.

    Args:
        options: of `Chat.send`.
    """
    known, begun = _known(chat), time.perf_counter()
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


def continued(
    model: Model,
    text: str,
    seeds: Iterable[int],
    show: Show,
    *,
    max_tokens: int | None = None,
    progress: Progress | None = None,
    **sampling: Any,
) -> Iterator[Answer]:
    """Goes on with a text, once for each seed. It is read once."""
    from ..generation.engine import Generation, prefill
    from ..generation.sampling import make_sampling
    from ..tokenizer import Detokenizer, as_ids

    tokenizer = model.text_tokenizer()
    prompt, state, begun = as_ids(text, tokenizer, raw=True), model.new_state(), time.perf_counter()
    read = prefill(model, state, [prompt], progress=progress)
    known = 0
    for seed in seeds:
        settings = make_sampling({**sampling, "seed": seed}, model.sampling)
        run = Generation(model, state.copy(), [], sampling=settings, max_tokens=max_tokens, stop_ids=model.stop_ids)
        detokenizer, told, ids, written = Detokenizer(tokenizer), "", array("i"), 0
        for token in run:
            ids, written = _last(ids, token), written + 1
            if piece := detokenizer.add(token):
                show(piece)
                told = (told + piece)[-MAX_CHARS:]
        rest = detokenizer.finish()
        show(rest)
        now = time.perf_counter()
        yield Answer(told + rest, ids.tolist(), run.finish_reason, read, known, written, now - begun, seed)
        known, read, begun = known + read, 0, time.perf_counter()


def _last(ids: array[int], token: int) -> array[int]:
    if len(ids) >= 2 * MAX_CHARS:
        ids = ids[-MAX_CHARS:]
    ids.append(token)
    return ids
