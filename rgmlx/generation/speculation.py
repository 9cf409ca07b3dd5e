"""Several tokens in one pass of the network, where the text foretells them; the ids are those that single steps give.

A chunk has the token that was drawn and what is foreseen behind it. Behind each of them a token is drawn by the key of its own
position: as long as it is the one that was foreseen, that one is right, and so is the state behind it, which is picked out of
the chunk (`griffin.trace`). In 16 bits a product of several rows may round otherwise than one of a single row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import mlx.core as mx
import numpy as np

from ..griffin.network import RecurrentGemma
from ..griffin.state import State
from ..griffin.trace import Trace
from .lookup import Account, Lookup
from .sampling import Sampler


class Chunk:
    """Tokens that came in one pass.

    Attributes:
        ids: the token that was drawn, and those that were foreseen.
        following: what was drawn behind the last of them, int32 [1].
    """

    def __init__(self, trace: Trace, ids: Sequence[int], following: mx.array) -> None:
        self._trace, self.ids, self.following = trace, ids, following

    def state(self, count: int) -> State:
        """Behind the first `count` ids."""
        state = self._trace.state(count)
        state.remember([self.ids[:count]])
        return state


class Speculation:
    """What is foreseen in one run, and whether that pays.

    Attributes:
        foreseen: tokens that were not computed one by one.
    """

    def __init__(self, network: RecurrentGemma, ids: Iterable[int]) -> None:
        """`ids`: the text so far."""
        self._network, self._lookup, self._account = network, Lookup(ids), Account()
        self.foreseen = 0
        self._guess: int | None = None  # the next token

    def draft(self) -> list[int]:
        """What may be drawn next and come behind that; none where nothing is foreseen."""
        found = self._lookup.draft(min(self._account.size, self._network.config.ring_size))
        self._guess = found[0] if found else None
        return found if len(found) > 2 and self._account.pays() else []

    def deliver(self, token: int) -> None:
        """The next token of the text."""
        self._lookup.add(token)

    def step(self, token: int) -> None:
        """It had a pass of its own."""
        self._account.step(token == self._guess)

    def check(self, state: State, draft: Sequence[int], sample: Sampler, banned: Sequence[Sequence[int]]) -> Chunk:
        """Reads a draft, of which the first token was drawn, and draws behind each.

        Args:
            banned: ids that may not be drawn, behind each token.
        """
        trace = self._network.look_ahead(mx.array([list(draft)], mx.int32), state)
        logits = self._network.head(trace.hidden[0])
        drawn = sample.behind(ban(logits, banned), state.position + 1, draft[1:])
        values = np.array(mx.where(mx.isfinite(logits.sum(axis=-1)), drawn, -1)).tolist()
        # 1. as far as what was drawn is what was foreseen
        right = next((i for i, token in enumerate(draft[1:]) if values[i] != token), len(draft) - 1)
        following = mx.array(values[right : right + 1], mx.int32)
        # 2. what the penalties of the next token look at, and what this pass was worth
        sample.drawn(mx.array([*draft[1 : right + 1], values[right]], mx.int32))
        self._account.chunk(len(draft), right + 1)
        self.foreseen += right
        return Chunk(trace, draft[: right + 1], following)


def ban(logits: mx.array, banned: Sequence[Sequence[int]]) -> mx.array:
    """Logits [T, V] without these ids in each row."""
    if not any(banned):
        return logits
    allowed = np.ones(logits.shape, np.bool_)
    for row, ids in enumerate(banned):
        allowed[row, list(ids)] = False
    return mx.where(mx.array(allowed), logits, mx.array(-mx.inf, logits.dtype))
