"""How likely a text is: log-probabilities of given token ids, a chunk at a time.

    shapes   T time   N tokens of a piece   D hidden_size   V vocabulary

Logits are there for a piece of a chunk only: those of a whole text would take a megabyte a token with V = 256,000.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from ..errors import NotFiniteError, RgmlxError
from ..griffin.network import RecurrentGemma
from ..griffin.state import State
from ..system.atomic import whole
from ..system.cancellation import checkpoint
from .engine import Progress, check_ids, default_chunk
from .wired import wired

_LOGITS = 2**24  # numbers at once: 64 MB


@dataclass(frozen=True, eq=False)
class Score:
    """How likely a model finds a text, token by token.

    Attributes:
        tokens: the ids that were scored.
        pieces: the text of each; all together are the text. "" where a character is not complete yet.
        log_probs: float32 [tokens], natural logarithms of their probabilities, each given all tokens before it.
    """

    tokens: tuple[int, ...]
    pieces: tuple[str, ...]
    log_probs: np.ndarray

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def total(self) -> float:
        """The logarithm of the probability of the whole text, in nats."""
        return float(self.log_probs.sum(dtype=np.float64))

    @property
    def perplexity(self) -> float:
        """Among how many equally likely tokens the model seems to choose: `exp(-total / len(self))`."""
        mean = -self.total / len(self)
        return math.exp(mean) if mean < 700 else math.inf


def log_probs(
    network: RecurrentGemma,
    state: State,
    ids: Sequence[int],
    *,
    prompt: Sequence[int] = (),
    chunk: int | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Log-probabilities of `ids` after `prompt` and what the state has read.

    Args:
        state: one row; advanced in place by both. After an exception it is what it was.
        prompt: ids that are read and not scored.
        chunk: tokens of one forward pass; None: as suits the device.
        progress: told (tokens done, tokens in all) after every chunk.

    Returns:
        float32 [len(ids)], in nats.

    Raises:
        RgmlxError: the state has several rows, an id is outside the vocabulary, nothing was read before the first id.
        NotFiniteError: the model computes NaN or infinite logits.  StateError: another thread advances the state.
    """
    if state.batch_size != 1:
        raise RgmlxError("a score takes a state of one row: score one text after another")
    if not prompt and not state.positions[0]:
        raise RgmlxError("the first token of all has nothing before it to be likely after: give a prompt")
    check_ids(network, prompt)
    check_ids(network, ids)
    before = state.copy()
    return whole(
        state.busy,
        lambda: lambda: state.become(before),
        lambda: _log_probs(network, state, [*prompt, *ids], len(prompt), chunk or default_chunk(), progress),
    )


def _log_probs(
    network: RecurrentGemma, state: State, ids: list[int], unscored: int, chunk: int, progress: Progress | None
) -> np.ndarray:
    found = np.empty(len(ids) - unscored, np.float32)
    with wired(network):
        for start in range(0, len(ids), chunk):
            checkpoint()
            part = ids[start : start + chunk]
            ahead, first = state.copy(), state.hidden
            hidden = network.advance(mx.array([part], mx.int32), ahead)[0]
            ahead.remember([part])
            mx.eval(ahead.arrays())
            state.become(ahead)
            skipped = min(max(unscored - start, 0), len(part))
            if skipped < len(part):
                outputs = mx.concatenate([first, hidden[:-1]])[skipped:]  # each token's, from the one before it
                into = found[start + skipped - unscored :]
                _score(network, outputs, part[skipped:], into)
            if progress:
                progress(start + len(part), len(ids))
        mx.clear_cache()
    if not np.isfinite(found).all():
        raise NotFiniteError
    return found


def _score(network: RecurrentGemma, outputs: mx.array, ids: Sequence[int], into: np.ndarray) -> None:
    """Log-probabilities of ids after outputs [N, D], a few rows of logits at a time, into the first N of an array."""
    rows = max(1, _LOGITS // network.config.vocab_size)
    for start in range(0, len(ids), rows):
        these = ids[start : start + rows]
        logits = network.head(outputs[start : start + rows])
        chosen = mx.take_along_axis(logits, mx.array(list(these))[:, None], axis=-1)[:, 0]
        into[start : start + len(these)] = np.array(chosen - mx.logsumexp(logits, axis=-1))
