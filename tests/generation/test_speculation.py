"""Several tokens in one pass: the ids are those of single steps, at every temperature, and the state behind each is valid."""

from __future__ import annotations

import random
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from test_state import same_bits

import rgmlx
from rgmlx.errors import NotFiniteError, RgmlxError
from rgmlx.generation.engine import Generation
from rgmlx.generation.lookup import Account, Lookup, cost
from rgmlx.griffin.state import State
from rgmlx.settings import Sampling
from rgmlx.tokenizer import as_ids

PROMPT = [2, 9, 11, 23, 40, 9, 11, 23, 40, 9, 11, 23]
SETTINGS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0},
    "cool": {"temperature": 0.05, "seed": 3},
    "warm": {"temperature": 0.8, "top_p": 0.9, "seed": 4},
    "the most likely two": {"temperature": 2.0, "top_k": 2, "seed": 5},
    "repetition": {"temperature": 0.1, "repetition_penalty": 1.05, "penalty_window": 20, "seed": 6},
    "presence": {"temperature": 0, "presence_penalty": 0.2, "frequency_penalty": 0.05, "penalty_window": 9},
}


def run(
    model: rgmlx.Model, state: State, prompt: list[int], count: int, *, draft: bool, **options: Any
) -> tuple[list[int], Generation]:
    settings = Sampling(**options.pop("settings", {"temperature": 0}))
    run = Generation(model, state, prompt, sampling=settings, max_tokens=count, draft=draft, **options)
    return list(run), run


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_ids_are_those_of_single_steps(tiny: rgmlx.Model, settings: dict[str, Any]) -> None:
    state, plain = tiny.new_state(), tiny.new_state()
    want, one_by_one = run(tiny, plain, PROMPT, 1000, draft=False, settings=settings)
    got, at_once = run(tiny, state, PROMPT, 1000, draft=True, settings=settings)
    assert got == want and len(got) == 1000 and state.recent == plain.recent and state.positions == plain.positions
    assert one_by_one.foreseen == 0
    if settings["temperature"] < 0.5:
        assert at_once.foreseen > 100, "nothing was foreseen: this tests nothing"


@pytest.mark.parametrize("settings", [{"temperature": 0}, {"temperature": 0.5, "seed": 7}], ids=["greedy", "drawn"])
def test_with_words(demo: rgmlx.Model, settings: dict[str, Any]) -> None:
    things = "bread, milk, butter, apples, honey, cheese, eggs, flour, sugar, salt, pepper, rice, beans, onions, garlic"
    ids = as_ids(f"Repeat this list: {things}", demo.text_tokenizer(), raw=False, fresh=True)
    stops = {"stop_ids": demo.stop_ids, "settings": settings}
    (want, _), (got, at_once) = (run(demo, demo.new_state(), ids, 60, draft=d, **stops) for d in (False, True))
    assert got == want and at_once.foreseen


def test_wherever_it_stops_the_state_is_that_of_what_was_delivered(tiny: rgmlx.Model) -> None:
    """In the middle of what came at once, too: the rest goes on as if each had been computed alone."""
    want, _ = run(tiny, tiny.new_state(), PROMPT, 60, draft=False)
    for count in range(1, 41):
        state = tiny.new_state()
        begun = Generation(tiny, state, PROMPT, sampling=Sampling(temperature=0), draft=True)
        found = [token for _, token in zip(range(count), begun, strict=False)]
        begun.close()
        assert state.positions == [len(PROMPT) + count]
        rest, _ = run(tiny, state, [], 60 - count, draft=bool(count % 2))
        assert found + rest == want, count


@pytest.mark.parametrize("count", [1, 2, 7, 23, 24, 25])
def test_a_budget_ends_it_in_the_middle(tiny: rgmlx.Model, count: int) -> None:
    want, plain = run(tiny, tiny.new_state(), PROMPT, count, draft=False)
    got, at_once = run(tiny, tiny.new_state(), PROMPT, count, draft=True)
    assert got == want and at_once.finish_reason == plain.finish_reason == "length"
    assert at_once.position == plain.position == len(PROMPT) + count


def test_a_stop_id_ends_it_where_it_would_come(tiny: rgmlx.Model) -> None:
    """It is foreseen as any other; before `min_tokens` it is not drawn, and foreseen in vain."""
    ids, _ = run(tiny, tiny.new_state(), PROMPT, 200, draft=False)
    for stop in dict.fromkeys(ids[-40:]):
        for least in (0, 50):
            found = []
            for draft in (False, True):
                state = tiny.new_state()
                given = {"stop_ids": [stop], "min_tokens": least}
                tokens, ended = run(tiny, state, PROMPT, 120, draft=draft, **given)
                found.append((tokens, ended.finish_reason, state.positions, state.recent))
            assert found[0] == found[1], (stop, least)


def test_a_stop_from_outside(tiny: rgmlx.Model) -> None:
    state = tiny.new_state()
    begun = Generation(tiny, state, PROMPT, sampling=Sampling(temperature=0), draft=True)
    tokens = []
    for token in begun:
        tokens.append(token)
        if len(tokens) == 30:
            begun.stop()
    assert len(tokens) == 30 and begun.finish_reason == "cancelled" and state.positions == [len(PROMPT) + 30]


def test_what_is_not_finite_is_no_token(tiny: rgmlx.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    head, good = tiny.head, run(tiny, tiny.new_state(), PROMPT, 100, draft=False)[0]

    def broken(hidden: mx.array, *more: Any) -> mx.array:
        logits = head(hidden, *more)
        return logits * mx.array(np.nan) if hidden.shape[0] > 1 and hidden.ndim == 2 else logits

    monkeypatch.setattr(tiny, "head", broken, raising=False)
    state, found = tiny.new_state(), list[int]()
    with pytest.raises(NotFiniteError):
        found.extend(Generation(tiny, state, PROMPT, sampling=Sampling(temperature=0), max_tokens=100, draft=True))
    assert 0 < len(found) < 100 and found == good[: len(found)], "what came before it was delivered"
    assert state.positions == [len(PROMPT) + len(found)]


def test_off_is_one_by_one(tiny: rgmlx.Model) -> None:
    assert tiny.draft == "off"
    states = tiny.new_state(), tiny.new_state()
    for state, draft in zip(states, (False, None), strict=True):
        list(Generation(tiny, state, PROMPT, sampling=Sampling(temperature=0), max_tokens=50, draft=draft))
    assert same_bits(*states)


def test_a_model_is_told_at_its_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    model = rgmlx.load("demo", draft="lookup")
    words = "Repeat after me: one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    found = model.generate(words, temperature=0, max_tokens=40)
    model.draft = "off"
    assert model.generate(words, temperature=0, max_tokens=40) == found
    with pytest.raises(RgmlxError, match="draft 'loookup' is not one of lookup, off"):
        rgmlx.load("demo", draft="loookup")


# --- what is foreseen ---------------------------------------------------------------------


def test_a_draft_is_what_followed_the_last_ids_before() -> None:
    text = Lookup([1, 2, 3, 4, 5, 6, 1, 2])
    assert text.draft(3) == [3, 4, 5] and text.draft(9) == [3, 4, 5, 6, 1, 2, 3, 4, 5]
    text.add(9)
    assert text.draft(4) == []  # new
    for one in (3, 4, 7, 3, 4):
        text.add(one)
    assert text.draft(2) == [7, 3], "what came last counts"
    assert Lookup([5, 5, 5]).draft(4) == [5, 5, 5, 5] and Lookup([5]).draft(4) == Lookup().draft(4) == []


def test_the_memory_of_a_text_is_bounded() -> None:
    rng, text = random.Random(1), Lookup()
    for _ in range(100_000):
        text.add(rng.randrange(300))
    assert len(text._ids) < 40_000 and len(text._after) < 40_000
    assert text.draft(5) == [] or len(text.draft(5)) == 5


@pytest.mark.parametrize("right", [0.0, 0.3, 0.6, 1.0])
def test_what_fails_costs_a_small_share_and_no_more(right: float) -> None:
    """In decode steps, as the account counts them."""
    rng, account, spent, tokens = random.Random(2), Account(), 0.0, 0
    while tokens < 20_000:
        size, seen = account.size, rng.random() < 0.5
        if seen and account.pays():
            good = 1
            while good < size and rng.random() < right:
                good += 1
            account.chunk(size, good)
            spent, tokens = spent + cost(size), tokens + good
        else:
            account.step(seen and rng.random() < right)
            spent, tokens = spent + 1, tokens + 1
    assert spent <= 1.025 * tokens + 20
    if right == 1.0:
        assert spent < 0.3 * tokens
