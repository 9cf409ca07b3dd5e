"""Token ids in, token ids out: prefill in chunks, decode, stop, batches.

The engine knows nothing of text, turns or files. Its one promise: whenever a token has been
delivered, the state has consumed exactly the tokens up to and including that one. A run can
therefore be stopped anywhere, by Ctrl+C or an error as well, and the state copied, saved or
continued from there.

The device is kept busy: while the host waits for token n, the step that consumes it is already queued.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence

import mlx.core as mx
import numpy as np

from ..errors import NotFiniteError, RgmlxError
from ..griffin.network import RecurrentGemma
from ..griffin.state import State
from ..kernels import launch
from ..settings import LOOKUP, Sampling, checked_budget
from ..system.atomic import Steps, whole
from ..system.cancellation import checkpoint
from ..system.process import enter, stop_at_end
from . import speculation
from .constrained.matcher import Matcher, allowed_ids
from .grouping import groups
from .sampling import Sampler
from .speculation import Speculation
from .wired import while_wired, wired

Progress = Callable[[int, int], None]
"""Told (tokens done, tokens in all)."""

PREFILL_CHUNK = 512
"""Tokens of one forward pass: bounds the memory of a prompt of any length."""

CUDA_CHUNK = 768
"""The same where the kernels run on CUDA: quantized matrices are made dense once a chunk, and the host is the bound."""

CPU_CHUNK = 256
"""The same in NumPy on a CPU: from here on a chunk gains little from its length, and a stop waits for its end."""

PLAIN_CHUNK = 64
"""The same where a CPU runs plain MLX operations, to which the length of a chunk makes no difference."""

_CLEAR_EVERY = 256  # tokens between returns of MLX's buffer cache to the system
_NOT_FINITE = -1  # in place of a token whose logits are not: so that the host need not wait for a second number


def default_chunk() -> int:
    """Tokens of one forward pass, as suits the device."""
    if mx.default_device() != mx.gpu:
        return CPU_CHUNK if launch.backend() == "numpy" else min(CPU_CHUNK, PLAIN_CHUNK)
    return CUDA_CHUNK if launch.backend() == "cuda" else PREFILL_CHUNK


def check_ids(network: RecurrentGemma, ids: Sequence[int]) -> None:
    """Raises RgmlxError unless every id is in the vocabulary."""
    bad = next((i for i in ids if not 0 <= i < network.config.vocab_size), None)
    if bad is not None:
        raise RgmlxError(
            f"token id {bad} is outside the vocabulary of {network.config.vocab_size:,}", quotes=(str(bad),)
        )


def check_seed(network: RecurrentGemma, sampling: Sampling) -> None:
    """Raises RgmlxError: ranks that share the network would each draw a token of their own."""
    if network.group is not None and sampling.seed is None and sampling.temperature:
        raise RgmlxError(
            "ranks that share a model draw the same tokens from the same seed only: give one, or temperature=0"
        )


def check_prompts(network: RecurrentGemma, prompts: Sequence[Sequence[int]]) -> None:
    """Raises RgmlxError: a prompt of a batch is empty, or an id outside the vocabulary."""
    for ids in prompts:
        check_ids(network, ids)
    if any(len(p) == 0 for p in prompts):
        raise RgmlxError("every prompt of a batch needs at least one token")


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
        state: advanced in place, one row a prompt. After an exception it is what it was before the call.
        cancelled: asked between chunks; when it says yes the state stays where it is then.
        progress: told (tokens done, tokens in all) of the longest row after every chunk.

    Returns:
        The number of tokens that the model read, over all rows.
    """
    for ids in rows:
        check_ids(network, ids)
    return whole(state.busy, lambda: _undo(state), lambda: _prefill(network, state, rows, chunk, cancelled, progress))


def _undo(state: State, *matchers: Matcher | None) -> Callable[[], None]:
    before, matched = state.copy(), [one.undo() for one in matchers if one is not None]

    def undo() -> None:
        state.become(before)
        for back in matched:
            back()

    return undo


def _prefill(
    network: RecurrentGemma,
    state: State,
    rows: Sequence[Sequence[int]],
    chunk: int | None,
    cancelled: Callable[[], bool],
    progress: Progress | None,
) -> int:
    if chunk is None:
        chunk = default_chunk()
    total = max(map(len, rows), default=0)
    read = 0
    with wired(network):
        for start in range(0, total, chunk):
            checkpoint()
            if cancelled():
                break
            parts = [ids[start : start + chunk] for ids in rows]
            counts = [len(p) for p in parts]
            longest = max(counts)
            ragged = min(counts) < longest
            tokens = mx.array([[*p, *[0] * (longest - len(p))] for p in parts], mx.int32)
            ahead = state.copy()
            network.advance(tokens, ahead, counts if ragged else None)
            ahead.remember(parts)
            mx.eval(ahead.arrays())
            state.become(ahead)
            read += sum(counts)
            if progress:
                progress(min(start + chunk, total), total)
        mx.clear_cache()
    return read


def _checked(tokens: mx.array, logits: mx.array) -> mx.array:
    """The tokens [B] of rows of logits [B, V], `_NOT_FINITE` where a row holds NaN or an infinite value."""
    return mx.where(mx.isfinite(logits.sum(axis=-1)), tokens, _NOT_FINITE)


def _values(tokens: mx.array) -> list[int]:
    """What `_checked` gave, as integers. Raises NotFiniteError."""
    values = [int(v) for v in np.array(tokens)]
    if _NOT_FINITE in values:
        raise NotFiniteError
    return values


class Generation:
    """One run of a token loop: iterate it for ids; `stop` it from any thread.

    After an exception the run is over, and the state is that of the last token that was delivered; a matcher, too.
    Iterating raises NotFiniteError where the model computes NaN or infinite logits, StateError
    while another thread advances the state, and ConstraintError where a matcher knows no next id.

    Attributes:
        finish_reason: None while running, then "stop" (a stop token came), "length" (the budget is
            spent) or "cancelled". After an exception it stays None.
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
        between: tuple[Collection[int], Sequence[int]] = ((), ()),
        matcher: Matcher | None = None,
        chunk: int | None = None,
        progress: Progress | None = None,
        draft: bool | None = None,
    ) -> None:
        """
        Args:
            state: one row; advanced in place, and valid between any two tokens.
            prompt: ids to read first; may be empty when the state has read something before.
            max_tokens: the budget; None for no limit.
            min_tokens: stop ids are never drawn before so many tokens; `math.inf` goes on until stopped.
            stop_ids: ids that end the run. They are consumed, not delivered.
            between: those of them that may be drawn before `min_tokens` all the same, and what is then read and delivered
                in their place: a text goes on behind its end as it has learned to, with a new paragraph, say. Forbidden,
                an end is followed by what has never been learned.
            matcher: says which ids may come next, and is told which came; it knows the same `stop_ids`. Not with
                `min_tokens`: what it has to end, that may not.
            draft: read several tokens at once where the text foretells them (`speculation`), which a constrained run does not
                do. None: as `network.draft` says.
        """
        enter()
        if matcher is not None and min_tokens:
            raise RgmlxError("a constrained run ends where its constraint does: leave min_tokens out")
        if state.batch_size != 1:
            raise RgmlxError("a generation takes a state of one row: use generate_batch for more")
        max_tokens = checked_budget(max_tokens)
        if not prompt and not state.positions[0]:
            raise RgmlxError("there is nothing to continue: give a prompt")
        check_ids(network, prompt)
        check_seed(network, sampling or Sampling())
        self._network, self._state, self._prompt = network, state, prompt
        self._sampling = (sampling or Sampling()).seeded()
        self._max_tokens, self._min_tokens, self._stop_ids = max_tokens, min_tokens, frozenset(stop_ids)
        self._matcher, self._chunk, self._progress = matcher, chunk, progress
        self._ends, self._between = frozenset(between[0]), list(between[1])
        self._draft = (network.draft == LOOKUP if draft is None else draft) and not self._ends
        self._begins_at = -1  # the number of a token that begins what comes behind an end
        self._speculation: Speculation | None = None
        self._cancel = threading.Event()
        self.finish_reason: str | None = None
        self._read = 0
        self._tokens = Steps(while_wired(network, self._run()), state.busy, self.undo)
        stop_at_end(self)

    def stop(self) -> None:
        """Ends the run after the token in flight. May be called from any thread, more than once."""
        self._cancel.set()

    def __iter__(self) -> Iterator[int]:
        return self._tokens

    def close(self) -> None:
        """Ends the run where it is. Raises StateError: another thread is at it."""
        self._tokens.close()

    def undo(self) -> Callable[[], None]:
        """What goes back to now, from wherever the run is then."""
        back, reason, read = _undo(self._state, self._matcher), self.finish_reason, self._read

        def undo() -> None:
            back()
            self.finish_reason, self._read = reason, read

        return undo

    @property
    def state(self) -> State:
        """The state that the run advances."""
        return self._state

    @property
    def foreseen(self) -> int:
        """Tokens that had no pass of their own."""
        return 0 if self._speculation is None else self._speculation.foreseen

    @property
    def position(self) -> int:
        """Tokens that the state has consumed."""
        return self._state.positions[0]

    def read_prompt(self) -> None:
        """Reads the prompt now, so that the state before the first token can be copied.

        Iterating does it otherwise. Stops between chunks when told to.
        """
        whole(self._state.busy, self.undo, self._read_prompt)

    def _read_prompt(self) -> None:
        self._read += _prefill(
            self._network,
            self._state,
            [self._prompt[self._read :]],
            self._chunk,
            self._cancel.is_set,
            self._progress,
        )
        if self._read < len(self._prompt):
            self.finish_reason = "cancelled"

    def _run(self) -> Generator[int]:
        network, state, matcher = self._network, self._state, self._matcher
        try:
            self._read_prompt()
            if self.finish_reason:
                return
            if self._max_tokens == 0:
                self.finish_reason = "length"
                return
            sample = Sampler(self._sampling, state.recent)
            token = self._sample(sample, state, 0)
            mx.async_eval(token)
            if self._draft and matcher is None:
                self._speculation = Speculation(network, self._known())
            delivered, chunk, left = 0, None, 0  # left: tokens of a chunk that are to be delivered
            while not self._cancel.is_set():
                checkpoint()
                # 1. a token and the state behind it: of a chunk, or by a step
                if not left and (draft := self._foreseen(token)):
                    chunk = self._check(draft, sample, delivered)
                    left, following = len(chunk.ids), chunk.following
                if chunk is not None and left:
                    at = len(chunk.ids) - left
                    left -= 1
                    value, ahead = chunk.ids[at], chunk.state(at + 1)
                else:
                    ahead = state.copy()
                    network.advance(token[:, None], ahead)
                    if matcher is None:
                        following = self._sample(sample, ahead, delivered + 1)
                        mx.async_eval(following, ahead.arrays())
                    else:  # what may follow a token is known behind it only; the network computes meanwhile
                        mx.async_eval(ahead.arrays())
                    value = _values(token)[0]
                    if value in self._ends and delivered < self._min_tokens:
                        for one in self._between:
                            self._read_one(one)
                            delivered += 1
                            if delivered == self._max_tokens:
                                self.finish_reason = "length"
                                yield one
                                return
                            yield one
                        self._begins_at = delivered
                        sample = Sampler(self._sampling, state.recent)
                        token = self._sample(sample, state, delivered)
                        continue
                    ahead.remember([[value]])
                    if self._speculation is not None:
                        self._speculation.step(value)
                # 2. it is part of the text
                state.become(ahead)
                if value in self._stop_ids:
                    self.finish_reason = "stop"
                    return
                delivered += 1
                if matcher is not None:
                    matcher.accept(value)
                if self._speculation is not None:
                    self._speculation.deliver(value)
                if delivered % _CLEAR_EVERY == 0:
                    mx.clear_cache()
                if delivered == self._max_tokens:
                    self.finish_reason = "length"
                    yield value
                    return
                if matcher is not None:
                    following = self._sample(sample, state, delivered)
                    mx.async_eval(following)
                yield value
                token = following
            self.finish_reason = "cancelled"
        except GeneratorExit:  # closed between two tokens
            self.finish_reason = self.finish_reason or "cancelled"
            raise
        finally:
            mx.eval(state.arrays())  # what was queued is done: nothing of this run goes on behind its end

    def _read_one(self, token: int) -> None:
        ahead = self._state.copy()
        self._network.advance(mx.array([[token]], mx.int32), ahead)
        ahead.remember([[token]])
        mx.eval(ahead.arrays())
        self._state.become(ahead)

    def _known(self) -> list[int]:
        """The text before the first token, as far as it is at hand."""
        recent = list(self._state.recent[0])
        return recent if len(self._prompt) <= len(recent) else list(self._prompt)

    def _foreseen(self, token: mx.array) -> list[int]:
        """The token that was drawn, and what comes behind it if the text is right; none where nothing is foreseen."""
        draft = [] if self._speculation is None else self._speculation.draft()
        if not draft or _values(token)[0] != draft[0] or draft[0] in self._stop_ids:
            return []
        return draft

    def _check(self, draft: Sequence[int], sample: Sampler, delivered: int) -> speculation.Chunk:
        assert self._speculation is not None
        stops = sorted(self._stop_ids)
        banned = [stops if delivered + 1 + i < self._min_tokens else () for i in range(len(draft))]
        return self._speculation.check(self._state, draft, sample, banned)

    def _sample(self, sample: Sampler, state: State, number: int) -> mx.array:
        """Token `number` of this run, int32 [1]; `_NOT_FINITE` in place of one that can't be told."""
        logits = self._network.head(state.hidden)
        allowed = logits
        forbidden = self._stop_ids if number == self._begins_at else self._stop_ids - self._ends
        if number < self._min_tokens and forbidden:
            stops = mx.array([sorted(forbidden)])
            allowed = mx.put_along_axis(logits, stops, mx.array(-mx.inf, logits.dtype), axis=-1)
        mask = allowed_ids([self._matcher], logits.shape[-1])
        return _checked(sample(allowed, state.positions, mask), logits)


def generate_batch(
    network: RecurrentGemma,
    state: State,
    prompts: Sequence[Sequence[int]],
    *,
    sampling: Sampling | None = None,
    max_tokens: int | None = None,
    stop_ids: Collection[int] = (),
    matchers: Sequence[Matcher | None] | None = None,
    chunk: int | None = None,
) -> Iterator[tuple[int, int]]:
    """Generates for several prompts at once; each row gets exactly what it would get alone.

    Args:
        state: as many rows as prompts. Rows leave the batch as they finish, so the state given
            here is spent afterwards.
        sampling: shared settings; a row draws from (seed, its own position).
        matchers: a row's own, or None for a row that may draw any id; None for none at all.

    Yields:
        (row, id) in the order of the steps; a row that has finished yields no more.

    Raises:
        RgmlxError: a prompt is empty, or an id outside the vocabulary.  NotFiniteError, ConstraintError, while iterating.
    """
    check_prompts(network, prompts)
    check_seed(network, sampling or Sampling())
    max_tokens = checked_budget(max_tokens)
    enter()
    rows: list[Matcher | None] = [None] * len(prompts) if matchers is None else list(matchers)
    steps = _batch(network, state, prompts, sampling or Sampling(), max_tokens, frozenset(stop_ids), rows, chunk)
    return Steps(
        while_wired(network, steps),
        state.busy,
        lambda: _undo(state, *rows),
    )


def _read_rows(network: RecurrentGemma, state: State, prompts: Sequence[Sequence[int]], chunk: int) -> None:
    """Reads a prompt into each row, those of about one length together."""
    together = groups([len(p) for p in prompts], chunk)
    if len(together) == 1:
        _prefill(network, state, prompts, chunk, lambda: False, None)
        return
    parts = []
    for rows in together:
        parts.append(state.rows(rows))
        _prefill(network, parts[-1], [prompts[row] for row in rows], chunk, lambda: False, None)
    order = [row for rows in together for row in rows]
    read = State.joined(parts).rows([order.index(row) for row in range(len(order))])
    mx.eval(read.arrays())
    state.become(read)


def _batch(
    network: RecurrentGemma,
    state: State,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    max_tokens: int | None,
    stop: frozenset[int],
    matchers: list[Matcher | None],
    chunk: int | None,
) -> Generator[tuple[int, int]]:
    _read_rows(network, state, prompts, chunk or default_chunk())
    if max_tokens == 0:
        return
    sample = Sampler(sampling, state.recent)
    alive = list(range(len(prompts)))
    step = 0
    while alive:
        checkpoint()
        logits = network.head(state.hidden)
        tokens = _checked(sample(logits, state.positions, allowed_ids(matchers, logits.shape[-1])), logits)
        network.advance(tokens[:, None], state)
        mx.async_eval(tokens, state.arrays())
        values = _values(tokens)
        state.remember([[v] for v in values])
        step += 1
        keep = [i for i, v in enumerate(values) if v not in stop]
        for i in keep:
            if (matcher := matchers[i]) is not None:
                matcher.accept(values[i])
            yield alive[i], values[i]
        if step == max_tokens:
            return
        if len(keep) < len(alive):
            alive = [alive[i] for i in keep]
            if alive:
                state = state.rows(keep)
                matchers = [matchers[i] for i in keep]
                sample.keep(keep)
        if step % _CLEAR_EVERY == 0:
            mx.clear_cache()
