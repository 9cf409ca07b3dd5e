"""A title of a conversation, made by the model that has just written in it.

Knows where the model stands; nothing of stores and widgets. The question is read, and the answer written, on a copy of the state,
which is thrown away: the conversation's own has read neither.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..generation.engine import Generation
from ..settings import Sampling
from ..store import MODEL, USER, Message
from ..system.formatting import one_line
from ..system.printable import printable
from ..tokenizer import Detokenizer
from .context import Context
from .runs import OpenConversation
from .turns import Turn, ids_of

QUESTION = "Give this conversation a title of two to five words. Answer with the title alone."
MAX_CHARS = 60
_MAX_WORDS = 10
"""Of a title; more are a sentence, which is none."""
_TOKENS = 24
_MOST_UNREAD = 16
"""Tokens that the state has yet to read, above which a reading was stopped: a title is not worth that."""
_AROUND = " \t\"'“”„‘’«»*_#`.:;,-–—"
_BEFORE = ("title:", "the title is", "conversation title:", "sure,", "sure!")


class TitleRun:
    """One attempt at a title: `make` in the model's thread, `stop` from any.

    Attributes:
        opened: the conversation that it is of.
    """

    def __init__(self, context: Context, opened: OpenConversation, reply: Message) -> None:
        """`reply`: what the model stands at, and the conversation does."""
        self.opened = opened
        self._context, self._message, self._closed = context, reply.id, reply.closed
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether it was called off."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Calls it off: no further token is read or written."""
        self._stopped.set()

    def make(self, told: Callable[[str], None] = lambda piece: None) -> str:
        """The title; "" where the model has none, stands elsewhere, or it was called off.

        Args:
            told: each piece of the answer as it comes.

        Raises:
            RgmlxError: the model can't go on.
        """
        context = self._context
        if self.stopped or context.head != self._message or len(context.cached.unread) > _MOST_UNREAD:
            return ""
        asked = Turn(USER, QUESTION, True)
        ids = ids_of(context.tokenizer, asked, Turn(MODEL, "", self._closed), None)
        state = context.cached.state.copy()
        run = Generation(
            context.model,
            state,
            [*context.cached.unread, *ids],
            sampling=Sampling(temperature=0.0),
            max_tokens=_TOKENS,
            stop_ids=context.model.stop_ids,
        )
        text, detokenizer = "", Detokenizer(context.tokenizer)
        for token in run:
            piece = detokenizer.add(token)
            text += piece
            told(piece)
            if self.stopped:
                run.close()
                return ""
            if "\n" in text.strip():
                run.close()
        return cleaned(text)


def cleaned(text: str) -> str:
    """The title in an answer: its first line, without marks around it and words before it; "" where it is none."""
    line = next((line for line in text.splitlines() if any(c.isalnum() for c in line)), "")
    title = one_line(printable(line), 4 * MAX_CHARS).strip(_AROUND)
    for words in _BEFORE:
        if title.lower().startswith(words):
            title = title[len(words) :].strip(_AROUND)
    if len(title.split()) > _MAX_WORDS or title.startswith("/"):
        return ""
    if len(title) > MAX_CHARS:
        title = title[: MAX_CHARS + 1].rpartition(" ")[0].strip(_AROUND) or title[:MAX_CHARS]
    return title if any(c.isalnum() for c in title) else ""
