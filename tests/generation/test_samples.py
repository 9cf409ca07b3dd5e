"""Samples of one prompt, all at once: each is what it would be alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

import rgmlx
from rgmlx.errors import NotFiniteError, RgmlxError
from rgmlx.generation.engine import Generation, prefill
from rgmlx.generation.samples import generate_samples
from rgmlx.griffin.state import State
from rgmlx.settings import Sampling

PROMPT = [2, 5, 6, 7, 5, 6]


@pytest.fixture
def read(tiny: rgmlx.Model) -> State:
    """A state that has read the prompt."""
    state = tiny.new_state()
    prefill(tiny, state, [PROMPT])
    return state


def alone(model: rgmlx.Model, state: State, settings: Sampling, stop: set[int], most: int) -> tuple[list[int], bool]:
    run = Generation(model, state.copy(), [], sampling=settings, max_tokens=most, stop_ids=stop)
    return list(run), run.finish_reason == "stop"


@pytest.mark.parametrize(
    "settings",
    [
        Sampling(temperature=0),
        Sampling(temperature=1.5, top_p=0),
        Sampling(temperature=1, top_p=0.9, min_p=0.01, top_k=40),
        Sampling(temperature=1, repetition_penalty=1.3, presence_penalty=0.5, frequency_penalty=0.5, penalty_window=4),
    ],
    ids=["the likeliest", "warm", "filtered", "penalties"],
)
@pytest.mark.parametrize("most", [0, 1, 24])
def test_each_sample_is_what_it_would_be_alone(settings: Sampling, most: int, tiny: rgmlx.Model, read: State) -> None:
    each = [replace(settings, seed=seed) for seed in range(5)]
    # One token in twelve ends a sample, so that they end one after the other.
    stop = set(range(0, tiny.config.vocab_size, 12))
    want = [alone(tiny, read, one, stop, most) for one in each]
    before = [a.tolist() for a in read.arrays()]
    found: list[list[int]] = [[] for _ in each]
    ended: set[int] = set()
    for number, token in generate_samples(tiny, read, each, max_tokens=most, stop_ids=stop):
        assert number not in ended
        if token is None:
            ended.add(number)
        else:
            found[number].append(token)
    assert [(ids, number in ended) for number, ids in enumerate(found)] == want
    assert [a.tolist() for a in read.arrays()] == before and read.positions == [len(PROMPT)]
    if most == 24 and settings.temperature:
        assert len({len(ids) for ids in found}) > 1 and len({tuple(ids) for ids in found}) > 1, "the test says little"


def test_one_that_is_not_finite_ends_them(tiny: rgmlx.Model, read: State, monkeypatch: pytest.MonkeyPatch) -> None:
    head = tiny.head
    monkeypatch.setattr(type(tiny), "head", lambda self, hidden: head(hidden) * float("nan"))
    with pytest.raises(NotFiniteError):
        list(generate_samples(tiny, read, [Sampling(), Sampling()], max_tokens=2))


def test_what_is_refused(tiny: rgmlx.Model, read: State) -> None:
    for state in (tiny.new_state(), tiny.new_state(2)):
        with pytest.raises(RgmlxError, match="one row that has read something"):
            generate_samples(tiny, state, [Sampling()])
    with pytest.raises(RgmlxError, match="max_tokens"):
        generate_samples(tiny, read, [Sampling()], max_tokens=-1)
    assert list(generate_samples(tiny, read, [], max_tokens=3)) == []
