"""Several samples that go on from one state, all at once; each exactly as it would be alone.

Knows token ids, as the engine does. The rows of a batch share what the prompt has made of the state, and nothing else: each
draws by its own settings, and leaves as it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Sequence

import mlx.core as mx

from ..errors import RgmlxError
from ..griffin.network import RecurrentGemma
from ..griffin.state import State
from ..settings import Sampling, checked_budget
from ..system.atomic import Steps
from ..system.process import enter
from .constrained.matcher import Matcher, allowed_ids
from .engine import _CLEAR_EVERY, _checked, _values, check_seed
from .sampling import Sampler
from .wired import while_wired


def generate_samples(
    network: RecurrentGemma,
    state: State,
    settings: Sequence[Sampling],
    *,
    max_tokens: int | None = None,
    stop_ids: Collection[int] = (),
    matchers: Sequence[Matcher | None] | None = None,
) -> Iterator[tuple[int, int | None]]:
    """Goes on from a state as often as there are settings.

    Args:
        state: one row, which has read the prompt; stays as it is.
        settings: of each sample.
        max_tokens: of each sample; None for no limit.
        matchers: what each sample may be; None for one that may be anything.

    Yields:
        (sample, id) in the order of the steps, and (sample, None) once for each that a stop id has ended.

    Raises:
        RgmlxError: the state has several rows, or has read nothing.  NotFiniteError, ConstraintError, while iterating.
    """
    enter()
    if state.batch_size != 1 or not state.positions[0]:
        raise RgmlxError("samples go on from a state of one row that has read something: give a prompt to it first")
    for one in settings:
        check_seed(network, one)
    rows = state.rows([0] * len(settings))
    budget, forms = checked_budget(max_tokens), matchers or [None] * len(settings)
    steps = _steps(network, rows, [s.seeded() for s in settings], budget, frozenset(stop_ids), forms)
    return Steps(while_wired(network, steps), rows.busy, lambda: lambda: None)


def _steps(
    network: RecurrentGemma,
    state: State,
    settings: Sequence[Sampling],
    max_tokens: int | None,
    stop: frozenset[int],
    matchers: Sequence[Matcher | None],
) -> Generator[tuple[int, int | None]]:
    samplers = [Sampler(one, [recent]) for one, recent in zip(settings, state.recent, strict=True)]
    alive, step = list(range(len(settings))), 0
    while alive and step != max_tokens:
        logits = network.head(state.hidden)
        drawn = []
        for i, one in enumerate(alive):
            mask = allowed_ids([matchers[one]], logits.shape[-1])
            drawn.append(samplers[one](logits[i : i + 1], state.positions[i : i + 1], mask))
        tokens = _checked(mx.concatenate(drawn), logits)
        network.advance(tokens[:, None], state)
        mx.async_eval(tokens, state.arrays())
        values = _values(tokens)
        state.remember([[v] for v in values])
        step += 1
        for one, value in zip(alive, values, strict=True):
            if (matcher := matchers[one]) is not None and value not in stop:
                matcher.accept(value)
            yield one, None if value in stop else value
        keep = [i for i, value in enumerate(values) if value not in stop]
        if len(keep) < len(alive):
            alive = [alive[i] for i in keep]
            if alive:
                state = state.rows(keep)
        if step % _CLEAR_EVERY == 0:
            mx.clear_cache()
