"""Token ids in, token ids out: prefill in chunks, decode, stop, batches.

The engine knows nothing of text, turns or files. Its one promise: whenever a token has been
delivered, the state has consumed exactly the tokens up to and including that one. A run can
therefore be stopped anywhere, and the state copied, saved or continued from there.

The device is kept busy: while the host waits for token n, the step that consumes it is already queued.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence

import mlx.core as mx
import numpy as np

from .errors import RgmlxError
from .kernels import launch
from .network import RecurrentGemma
from .sampling import Sampler, Sampling
from .state import State

Progress = Callable[[int, int], None]
"""Told (tokens done, tokens in all)."""

PREFILL_CHUNK = 512
"""Tokens of one forward pass: bounds the memory of a prompt of any length."""

CUDA_CHUNK = 768
"""The same where the kernels run on CUDA: quantized matrices are made dense once a chunk, and the host is the bound."""

CPU_CHUNK = 64
"""The same on a CPU, where a chunk gains nothing from its length and a stop waits for its end."""

_CLEAR_EVERY = 256  # tokens between returns of MLX's buffer cache to the system


def default_chunk() -> int:
    """Tokens of one forward pass, as suits the device."""
    if mx.default_device() != mx.gpu:
        return CPU_CHUNK
    return CUDA_CHUNK if launch.backend() == "cuda" else PREFILL_CHUNK


def check_ids(network: RecurrentGemma, ids: Sequence[int]) -> None:
    """Raises RgmlxError unless every id is in the vocabulary."""
    bad = next((i for i in ids if not 0 <= i < network.config.vocab_size), None)
    if bad is not None:
        raise RgmlxError(f"token id {bad} is outside the vocabulary of {network.config.vocab_size:,}")


def _ids(tokens: mx.array) -> list[int]:
    return [int(v) for v in np.array(tokens)]


def prefill(
    network: RecurrentGemma,
    state: State,
    rows: Sequence[Sequence[int]],
    *,
    chunk: int | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Progress | None = None,
) -> int:
    """Consumes prompts, `chunk` tokens at a time (None: as suits the device). Rows may differ in length.

    Args:
        state: advanced in place, one row a prompt.
        cancelled: asked between chunks; when it says yes the state stays where it is then.
        progress: told (tokens done, tokens in all) of the longest row after every chunk.

    Returns:
        The number of tokens that the model read, over all rows.
    """
    for ids in rows:
        check_ids(network, ids)
    if chunk is None:
        chunk = default_chunk()
    total = max(map(len, rows), default=0)
    read = 0
    for start in range(0, total, chunk):
        if cancelled():
            break
        parts = [ids[start : start + chunk] for ids in rows]
        counts = [len(p) for p in parts]
        longest = max(counts)
        ragged = min(counts) < longest
        tokens = mx.array([[*p, *[0] * (longest - len(p))] for p in parts], mx.int32)
        network.advance(tokens, state, counts if ragged else None)
        state.remember(parts)
        mx.eval(state.arrays())
        read += sum(counts)
        if progress:
            progress(min(start + chunk, total), total)
    mx.clear_cache()
    return read


class Generation:
    """One run of a token loop: iterate it for ids; `stop` it from any thread.

    Attributes:
        finish_reason: None while running, then "stop" (a stop token came), "length" (the budget is
            spent) or "cancelled". After an error it stays None: the state is of no use then.
    """

    def __init__(
        self,
        network: RecurrentGemma,
        state: State,
        prompt: Sequence[int],
        *,
        sampling: Sampling | None = None,
        max_tokens: int | None = None,
        min_tokens: float = 0,
        stop_ids: Collection[int] = (),
        chunk: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """
        Args:
            state: one row; advanced in place, and valid between any two tokens.
            prompt: ids to read first; may be empty when the state has read something before.
            max_tokens: the budget; None for no limit.
            min_tokens: stop ids are never drawn before so many tokens; `math.inf` goes on until stopped.
            stop_ids: ids that end the run. They are consumed, not delivered.
        """
        if state.batch_size != 1:
            raise RgmlxError("a generation takes a state of one row: use generate_batch for more")
        if max_tokens is not None and max_tokens < 0:
            raise RgmlxError(f"max_tokens must be 0 or more, not {max_tokens}")
        if not prompt and not state.positions[0]:
            raise RgmlxError("there is nothing to continue: give a prompt")
        check_ids(network, prompt)
        self._network, self._state, self._prompt = network, state, prompt
        self._sampling = (sampling or Sampling()).seeded()
        self._max_tokens, self._min_tokens, self._stop_ids = max_tokens, min_tokens, frozenset(stop_ids)
        self._chunk, self._progress = chunk, progress
        self._cancel = threading.Event()
        self.finish_reason: str | None = None
        self._read = 0
        self._tokens = self._run()

    def stop(self) -> None:
        """Ends the run after the token in flight. May be called from any thread, more than once."""
        self._cancel.set()

    def __iter__(self) -> Iterator[int]:
        return self._tokens

    @property
    def state(self) -> State:
        """The state that the run advances."""
        return self._state

    @property
    def position(self) -> int:
        """Tokens that the state has consumed."""
        return self._state.positions[0]

    def read_prompt(self) -> None:
        """Reads the prompt now, so that the state before the first token can be copied.

        Iterating does it otherwise. Stops between chunks when told to.
        """
        self._read += prefill(
            self._network,
            self._state,
            [self._prompt[self._read :]],
            chunk=self._chunk,
            cancelled=self._cancel.is_set,
            progress=self._progress,
        )
        if self._read < len(self._prompt):
            self.finish_reason = "cancelled"

    def _run(self) -> Iterator[int]:
        network, state = self._network, self._state
        try:
            self.read_prompt()
            if self.finish_reason:
                return
            if self._max_tokens == 0:
                self.finish_reason = "length"
                return
            sample = Sampler(self._sampling, state.recent)
            token = sample(self._logits(0), state.positions)
            mx.async_eval(token)
            delivered = 0
            while not self._cancel.is_set():
                network.advance(token[:, None], state)
                following = sample(self._logits(delivered + 1), state.positions)
                mx.async_eval(following, state.arrays())
                value = _ids(token)[0]
                state.remember([[value]])
                if value in self._stop_ids:
                    self.finish_reason = "stop"
                    return
                delivered += 1
                if delivered % _CLEAR_EVERY == 0:
                    mx.clear_cache()
                if delivered == self._max_tokens:
                    self.finish_reason = "length"
                    yield value
                    return
                yield value
                token = following
            self.finish_reason = "cancelled"
        except GeneratorExit:  # closed between two tokens
            self.finish_reason = self.finish_reason or "cancelled"
            raise
        finally:
            # An array left lazy belongs to this thread; the state must be usable from any.
            mx.eval(state.arrays())

    def _logits(self, number: int) -> mx.array:
        """The logits of token `number` of this run, float32 [1, V]."""
        logits = self._network.head(self._state.hidden)
        if number >= self._min_tokens or not self._stop_ids:
            return logits
        return mx.put_along_axis(logits, mx.array([sorted(self._stop_ids)]), mx.array(-mx.inf, logits.dtype), axis=-1)


def generate_batch(
    network: RecurrentGemma,
    state: State,
    prompts: Sequence[Sequence[int]],
    *,
    sampling: Sampling | None = None,
    max_tokens: int | None = None,
    stop_ids: Collection[int] = (),
    chunk: int | None = None,
) -> Iterator[tuple[int, int]]:
    """Generates for several prompts at once; each row gets exactly what it would get alone.

    Args:
        state: as many rows as prompts. Rows leave the batch as they finish, so the state given
            here is spent afterwards.
        sampling: shared settings; a row draws from (seed, its own position).

    Yields:
        (row, id) in the order of the steps; a row that has finished yields no more.
    """
    if any(len(p) == 0 for p in prompts):
        raise RgmlxError("every prompt of a batch needs at least one token")
    prefill(network, state, prompts, chunk=chunk)
    if max_tokens == 0:
        return
    stop = frozenset(stop_ids)
    sample = Sampler(sampling or Sampling(), state.recent)
    alive = list(range(len(prompts)))
    step = 0
    while alive:
        tokens = sample(network.head(state.hidden), state.positions)
        network.advance(tokens[:, None], state)
        mx.async_eval(tokens, state.arrays())
        values = _ids(tokens)
        state.remember([[v] for v in values])
        step += 1
        keep = [i for i, v in enumerate(values) if v not in stop]
        for i in keep:
            yield alive[i], values[i]
        if step == max_tokens:
            return
        if len(keep) < len(alive):
            alive = [alive[i] for i in keep]
            if alive:
                state = state.rows(keep)
                sample.keep(keep)
        if step % _CLEAR_EVERY == 0:
            mx.clear_cache()
