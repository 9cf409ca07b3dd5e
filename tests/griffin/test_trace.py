"""What is read ahead of a state: the state behind any of its tokens is the one that reading these alone gives."""

from __future__ import annotations

import contextlib

import checkpoints
import mlx.core as mx
import numpy as np
import oracle
import pytest

import rgmlx
from rgmlx.griffin.state import State
from rgmlx.kernels import launch

SAME = 2e-6


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> rgmlx.Model:
    """A window of seven tokens, which a chunk goes beyond and around."""
    config = checkpoints.config(attention_window_size=7)
    return rgmlx.load(
        checkpoints.write(tmp_path_factory.mktemp("small"), config, checkpoints.weights(config)), dtype="float32"
    )


def arrays(state: State) -> list[np.ndarray]:
    return [np.array(a.astype(mx.float32)) for a in state.arrays()]


def check(model: rgmlx.Model, start: int, time: int, dtype_error: float = SAME) -> None:
    rng = np.random.default_rng(start)
    ids = mx.array(rng.integers(0, model.config.vocab_size, (1, start + time + 1)))
    state = model.new_state()
    model.advance(ids[:, :start], state)
    before = arrays(state)
    trace = model.look_ahead(ids[:, start : start + time], state)
    assert state.positions == [start] and all(map(np.array_equal, arrays(state), before)), "it has not moved"
    for count in range(1, time + 1):
        alone, picked = state.copy(), trace.state(count)
        hidden = model.advance(ids[:, start : start + count], alone)
        assert picked.positions == alone.positions
        for got, want in zip(arrays(picked), arrays(alone), strict=True):
            assert oracle.relative_error(got, want) < dtype_error
        assert (
            oracle.relative_error(
                np.array(trace.hidden[:, :count].astype(mx.float32)), np.array(hidden.astype(mx.float32))
            )
            < dtype_error
        )
        model.advance(ids[:, start + count : start + count + 1], picked)  # it goes on from there


@pytest.mark.parametrize("plain", [False, True], ids=["what computes here", "plain operations"])
@pytest.mark.parametrize("start", [1, 2, 5, 7, 8, 13, 30])
@pytest.mark.parametrize("time", [1, 2, 5, 8])
def test_the_state_behind_each_token(small: rgmlx.Model, start: int, time: int, plain: bool) -> None:
    with launch.plain_operations() if plain else contextlib.nullcontext():
        check(small, start, time)
