"""The token loop: budgets, stops, threads, repeatability, penalties, batches."""

from __future__ import annotations

import itertools
import math
import threading
import time
from pathlib import Path

import checkpoints
import mlx.core as mx
import numpy as np
import oracle
import pytest
from waiting import PATIENCE

import rgmlx
from rgmlx.errors import ConfigError, RgmlxError
from rgmlx.generation.engine import Generation, generate_batch, prefill
from rgmlx.generation.grouping import groups
from rgmlx.generation.sampling import Sampler
from rgmlx.griffin import backpressure, layers
from rgmlx.griffin.chunk import Chunk, plan_chunk
from rgmlx.griffin.state import RECENT, State
from rgmlx.settings import Sampling

GREEDY = Sampling(temperature=0)
PROMPT = [3, 1, 4, 1, 5]


def reference_ids(model: rgmlx.Model, prompt: list[int], count: int) -> list[int]:
    """Greedy decoding the slow way: the whole text again for every token."""
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(np.array(model.logits([ids]))[0, -1].argmax()))
    return ids[len(prompt) :]


def test_greedy_equals_reading_everything_again(tiny: rgmlx.Model) -> None:
    run = Generation(tiny, tiny.new_state(), PROMPT, sampling=GREEDY, max_tokens=40)
    assert list(run) == reference_ids(tiny, PROMPT, 40)
    assert run.finish_reason == "length"


@pytest.mark.parametrize("chunk", [1, 2, 3, 16, 512])
def test_the_prefill_chunk_does_not_matter(tiny: rgmlx.Model, chunk: int) -> None:
    prompt = list(range(1, 60))
    run = Generation(tiny, tiny.new_state(), prompt, sampling=GREEDY, max_tokens=10, chunk=chunk)
    assert list(run) == reference_ids(tiny, prompt, 10)


@pytest.mark.parametrize(
    ("metal", "size", "paced"),
    [
        (True, 256, True),
        (True, 128, False),
        (True, 64, False),
        (True, 16, True),
        (False, 256, True),
        (False, 128, True),
    ],
)
@pytest.mark.parametrize("masked", [False, True], ids=["causal", "masked"])
def test_attention_goes_some_queries_at_a_time_where_it_keeps_scores(
    metal: bool, size: int, paced: bool, masked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Metal, too, at RecurrentGemma's head size: MLX has a kernel without scores for others only."""
    monkeypatch.setattr(mx.metal, "is_available", lambda: metal)
    time, seen = 300, list[int]()
    q = mx.random.normal((1, 4, time, size), key=mx.random.key(1))
    k, v = (mx.random.normal((1, 1, time, size), key=mx.random.key(n)) for n in (2, 3))
    steps = mx.arange(time)
    mask = (steps[:, None] >= steps) & (steps[:, None] - steps <= 40) if masked else "causal"
    got = layers.attend_paced(q, k, v, Chunk(mask=mask, pace=lambda part, _: seen.append(part.shape[2])))
    assert seen == ([256, 44] if paced else [])
    want = layers.attend_paced(q, k, v, Chunk(mask=mask))
    assert oracle.relative_error(np.array(got), np.array(want)) < 2e-6


def test_reading_at_a_pace_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU a chunk is evaluated piece by piece, and the host waits when memory says so; here it always does."""
    monkeypatch.setattr(backpressure, "_PIECE", 2**16)
    monkeypatch.setattr(backpressure, "_LEAST", 0)
    monkeypatch.setattr(backpressure, "_SHARE", 10**9)
    model, waits = rgmlx.load(checkpoints.of_demo(tmp_path), dtype="float32"), []
    tokens = mx.array([[2, *range(100, 400)]])

    def run(pace: backpressure.Pace | None) -> mx.array:
        plan = plan_chunk(model.config, model._rotary, [0], tokens.shape[1], None, True, pace)
        return model.model(tokens, model.new_state().layers, plan, model.compute_dtype)[0]

    class Noted(backpressure.Pace):
        def __call__(self, newest: mx.array, temporary: int) -> None:
            super().__call__(newest, temporary)
            waits.append(self._bytes == 0)

    want = run(None)
    assert mx.array_equal(run(Noted()), want)
    assert len(waits) >= 3 * len(model.layers)  # before and within both halves of a block
    assert all(waits)


def test_the_state_has_consumed_what_was_delivered(tiny: rgmlx.Model) -> None:
    """After any number of tokens, wherever the run is left, the state equals one that read that text."""
    for count in (1, 2, 7, 20):
        state = tiny.new_state()
        run = iter(Generation(tiny, state, PROMPT, sampling=GREEDY))
        ids = list(itertools.islice(run, count))
        assert state.position == len(PROMPT) + count
        run.close()
        fresh = tiny.new_state()
        prefill(tiny, fresh, [PROMPT + ids])
        assert fresh.position == state.position
        assert fresh.recent == state.recent
        following = np.array(tiny.head(state.hidden)), np.array(tiny.head(fresh.hidden))
        assert np.abs(following[0] - following[1]).max() < 1e-4


def test_a_stop_token_ends_the_run_and_is_consumed(tiny: rgmlx.Model) -> None:
    ids = reference_ids(tiny, PROMPT, 30)
    stop = ids[9]
    state = tiny.new_state()
    run = Generation(tiny, state, PROMPT, sampling=GREEDY, stop_ids={stop})
    cut = ids.index(stop)
    assert list(run) == ids[:cut]
    assert run.finish_reason == "stop"
    assert state.position == len(PROMPT) + cut + 1


def test_no_budget_goes_on_beyond_the_window(tiny: rgmlx.Model) -> None:
    run = Generation(tiny, tiny.new_state(), PROMPT, sampling=Sampling(seed=1))
    assert len(list(itertools.islice(run, 700))) == 700


def test_memory_is_flat_however_long_it_runs(tiny: rgmlx.Model) -> None:
    settings = Sampling(1.0, seed=1, repetition_penalty=1.1)
    used = []
    for i, _ in enumerate(Generation(tiny, tiny.new_state(), PROMPT, sampling=settings, max_tokens=1500)):
        if i in (300, 1499):
            mx.clear_cache()
            used.append(mx.get_active_memory())
    assert abs(used[1] - used[0]) < 50_000


def test_a_budget_of_nothing(tiny: rgmlx.Model) -> None:
    state = tiny.new_state()
    run = Generation(tiny, state, PROMPT, max_tokens=0)
    assert list(run) == []
    assert run.finish_reason == "length"
    assert state.position == len(PROMPT)


def test_stop_from_another_thread(tiny: rgmlx.Model) -> None:
    state = tiny.new_state()
    run = Generation(tiny, state, PROMPT, sampling=Sampling(seed=2))
    ids: list[int] = []
    worker = threading.Thread(target=lambda: ids.extend(run))
    worker.start()
    while len(ids) == 0 and state.position < 30:
        time.sleep(0.005)
    run.stop()
    worker.join(PATIENCE)
    assert not worker.is_alive()
    assert run.finish_reason == "cancelled"
    assert state.position == len(PROMPT) + len(ids)
    more = list(Generation(tiny, state, [], sampling=Sampling(seed=2), max_tokens=5))  # here, in this thread
    whole = list(Generation(tiny, tiny.new_state(), PROMPT, sampling=Sampling(seed=2), max_tokens=len(ids) + 5))
    assert ids + more == whole


def test_stop_while_reading_a_long_prompt(tiny: rgmlx.Model) -> None:
    state = tiny.new_state()
    run = Generation(tiny, state, [7] * 5000, chunk=16, progress=lambda done, total: done >= 64 and run.stop())
    assert list(run) == []
    assert run.finish_reason == "cancelled"
    assert state.position == 64


def test_a_seed_makes_runs_repeatable(tiny: rgmlx.Model) -> None:
    def run(seed: int | None) -> list[int]:
        return list(Generation(tiny, tiny.new_state(), PROMPT, sampling=Sampling(1.5, seed=seed), max_tokens=30))

    assert run(5) == run(5)
    assert run(5) != run(6)
    assert len({tuple(run(None)) for _ in range(5)}) > 1  # two may happen to be the same


def test_sampling_leaves_mlx_random_numbers_alone(tiny: rgmlx.Model) -> None:
    mx.random.seed(9)
    want = mx.random.normal((3,)).tolist()
    mx.random.seed(9)
    list(Generation(tiny, tiny.new_state(), PROMPT, sampling=Sampling(1.0, seed=1), max_tokens=5))
    assert mx.random.normal((3,)).tolist() == want


def test_sampling_follows_the_distribution() -> None:
    """Frequencies of 4,000 draws, a new position each, against the softmax."""
    logits = mx.array([[1.0, 2.0, 0.0, -1.0]])
    sampler = Sampler(Sampling(1.0, top_p=0, seed=3), [[]])
    counts = np.bincount([int(sampler(logits, [i]).item()) for i in range(4000)], minlength=4) / 4000
    assert np.abs(counts - np.array(mx.softmax(logits[0]))).max() < 0.03


@pytest.mark.parametrize(
    "settings",
    [Sampling(1.0, top_k=1, top_p=0), Sampling(1.0, top_p=1e-6), Sampling(1.0, top_p=0, min_p=1.0), GREEDY],
)
def test_filters_leave_the_likeliest(settings: Sampling) -> None:
    logits = mx.array([[0.1, 3.0, 2.9, -5.0]])
    assert {int(Sampler(settings, [[]])(logits, [i]).item()) for i in range(40)} == {1}


def test_penalty_window_slides_and_does_not_grow() -> None:
    """A token is penalised while it is among the last four, and free again afterwards."""
    sampler = Sampler(Sampling(0, repetition_penalty=100.0, penalty_window=4), [[]])
    logits = mx.array([[5.0, 4.0, 3.0, 2.0, 1.0, 0.5]])
    ids = [int(sampler(logits, [i]).item()) for i in range(12)]
    assert ids[:5] == [0, 1, 2, 3, 4]
    assert all(len(set(ids[i : i + 5])) == 5 for i in range(8))
    assert sampler._recent[0].shape == (4,)


def test_the_window_starts_with_the_prompt(tiny: rgmlx.Model) -> None:
    first = reference_ids(tiny, PROMPT, 1)[0]
    settings = Sampling(temperature=0, repetition_penalty=1e9)
    run = Generation(tiny, tiny.new_state(), [first, *PROMPT], sampling=settings, max_tokens=20)
    ids = list(run)
    assert not set(ids) & {first, *PROMPT}
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -1),
        ("top_p", 1.5),
        ("min_p", -0.1),
        ("top_k", -1),
        ("repetition_penalty", -2),
        ("penalty_window", 0),
        ("penalty_window", RECENT + 1),
        ("temperature", float("nan")),
    ],
)
def test_settings_out_of_range(field: str, value: float) -> None:
    with pytest.raises(RgmlxError, match=field):
        Sampling(**{field: value})


def test_bad_arguments(tiny: rgmlx.Model) -> None:
    with pytest.raises(RgmlxError, match="nothing to continue"):
        Generation(tiny, tiny.new_state(), [])
    with pytest.raises(RgmlxError, match="outside the vocabulary"):
        Generation(tiny, tiny.new_state(), [10**6])
    with pytest.raises(RgmlxError, match="one row"):
        Generation(tiny, tiny.new_state(2), [1])
    with pytest.raises(RgmlxError, match="max_tokens"):
        Generation(tiny, tiny.new_state(), [1], max_tokens=-1)
    with pytest.raises(RgmlxError, match="outside the vocabulary"):
        tiny.logits([[1, -1]])
    with pytest.raises(RgmlxError, match="shape"):
        tiny.logits([1, 2, 3])
    with pytest.raises(RgmlxError, match="one length"):
        tiny.logits([[1, 2], [3]])
    with pytest.raises(RgmlxError, match="rows"):
        tiny.logits([[1]], tiny.new_state(2))
    with pytest.raises(RgmlxError, match="batch_size"):
        tiny.new_state(0)


# --- batches ------------------------------------------------------------------------------

ROWS = [[5], [9, 8, 7, 6, 5, 4, 3], list(range(1, 50)), [2, 3], list(range(100, 60, -1))]


@pytest.mark.parametrize("chunk", [4, 7, 16, 512])
def test_rows_of_a_ragged_prefill_are_what_they_are_alone(tiny: rgmlx.Model, chunk: int) -> None:
    batch = tiny.new_state(len(ROWS))
    prefill(tiny, batch, ROWS, chunk=chunk)
    assert batch.positions == [len(r) for r in ROWS]
    got = np.array(tiny.head(batch.hidden))
    for row, ids in enumerate(ROWS):
        alone = tiny.new_state()
        prefill(tiny, alone, [ids])
        assert oracle.relative_error(got[row], np.array(tiny.head(alone.hidden))[0]) < 2e-6
        for kind, (a, b), (c, d) in zip(tiny.config.layer_types, batch.layers, alone.layers, strict=True):
            assert np.abs(np.array(a)[row] - np.array(c)[0]).max() < 1e-5, kind
            assert np.abs(np.array(b)[row] - np.array(d)[0]).max() < 1e-5, kind


DRAWN: dict[str, Sampling] = {
    "greedy": GREEDY,
    "drawn": Sampling(1.0, seed=4),
    "hot": Sampling(3.0, seed=5),
    "top_p": Sampling(1.5, top_p=0.4, seed=4),
    "min_p": Sampling(1.5, min_p=0.2, seed=4),
    "top_k": Sampling(1.5, top_k=3, seed=4),
    "repetition": Sampling(0.8, seed=4, repetition_penalty=1.5),
    "presence": Sampling(0.8, seed=4, presence_penalty=2.0, penalty_window=8),
    "frequency": Sampling(0, frequency_penalty=1.0, penalty_window=3),
    "all": Sampling(1.2, top_p=0.9, min_p=0.01, top_k=30, seed=9, repetition_penalty=1.2, presence_penalty=0.5),
}
UNEQUAL: dict[str, list[list[int]]] = {
    "some": ROWS,
    "equal": [[5, 6, 7], [8, 9, 10], [11, 12, 13]],
    "one long": [[5], [n % 90 + 1 for n in range(200)], [2, 3], [4, 5, 6], [7]],
    "growing": [list(range(1, 2 + n * n)) for n in range(9)],
    "one": [[5, 6]],
}


@pytest.mark.parametrize(
    ("name", "rows"),
    [*((n, "some") for n in DRAWN), *((n, r) for n in ("greedy", "all") for r in UNEQUAL if r != "some")],
)
def test_a_batch_gives_each_row_what_it_gets_alone(name: str, rows: str, tiny: rgmlx.Model) -> None:
    prompts, sampling = UNEQUAL[rows], DRAWN[name]
    alone = [list(Generation(tiny, tiny.new_state(), r, sampling=sampling, max_tokens=12)) for r in prompts]
    got: list[list[int]] = [[] for _ in prompts]
    state = tiny.new_state(len(prompts))
    for row, token in generate_batch(tiny, state, prompts, sampling=sampling, max_tokens=12, chunk=16):
        got[row].append(token)
    assert got == alone


def test_rows_without_a_seed_draw_for_themselves(tiny: rgmlx.Model) -> None:
    """As they do alone; with one, the same prompts get the same answers."""
    for seed, many in ((None, True), (3, False)):
        got: list[list[int]] = [[] for _ in range(4)]
        settings = Sampling(3.0, top_p=0, seed=seed)
        for row, token in generate_batch(tiny, tiny.new_state(4), [PROMPT] * 4, sampling=settings, max_tokens=12):
            got[row].append(token)
        assert (len({tuple(g) for g in got}) > 1) is many


@pytest.mark.parametrize(
    "lengths", [[len(r) for r in rows] for rows in UNEQUAL.values()] + [[1000, *[20] * 15], [300] * 70]
)
@pytest.mark.parametrize("chunk", [16, 256])
def test_rows_that_are_read_together_are_of_about_one_length(lengths: list[int], chunk: int) -> None:
    found = groups(lengths, chunk)
    assert sorted(row for group in found for row in group) == list(range(len(lengths)))
    for group in found:
        longest = max(lengths[row] for row in group)
        assert len(group) == 1 or len(group) * longest <= 1.25 * sum(lengths[row] for row in group)
        assert len(group) == 1 or len(group) * min(longest, chunk) <= 4 * chunk
    assert len(groups([20] * 16, 256)) == 1 and len(groups([1000, *[20] * 15], 256)) == 2


def test_a_batch_of_many_is_answered_some_at_a_time(demo: rgmlx.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rgmlx.model._ROWS", 2)
    rows: list[int] = []
    new_state = rgmlx.Model.new_state
    monkeypatch.setattr(rgmlx.Model, "new_state", lambda self, n=1: rows.append(n) or new_state(self, n))
    prompts = ["Who are you?", "Tell me a joke", "Hi", "What is 3 + 4?", "Hello"]
    got = demo.batch(prompts, temperature=0, max_tokens=4)
    assert rows == [2, 2, 1]
    assert got == [demo.generate(p, temperature=0, max_tokens=4) for p in prompts]
    rows.clear()
    with pytest.raises(RgmlxError, match="outside the vocabulary"):
        demo.batch([*prompts, [10**6]])  # before anything runs
    assert rows == []


def test_rows_that_finish_early_leave_the_others_alone(tiny: rgmlx.Model) -> None:
    alone = [reference_ids(tiny, r, 40) for r in ROWS]
    stop = {alone[0][0], alone[2][5], alone[3][20]}
    got: list[list[int]] = [[] for _ in ROWS]
    for row, token in generate_batch(
        tiny, tiny.new_state(len(ROWS)), ROWS, sampling=GREEDY, max_tokens=40, stop_ids=stop
    ):
        got[row].append(token)
    for ids, mine in zip(alone, got, strict=True):
        cut = next((i for i, v in enumerate(ids) if v in stop), 40)
        assert mine == ids[:cut]
    assert len({len(g) for g in got}) > 1


def test_batch_of_texts_equals_single_texts(demo: rgmlx.Model) -> None:
    prompts = ["Who are you?", "Tell me a joke", "What is the capital of France?"]
    assert demo.batch(prompts, temperature=0) == [demo.generate(p, temperature=0) for p in prompts]
    assert demo.batch([]) == []
    with pytest.raises(RgmlxError, match="there is no sampling setting 'temprature'"):
        demo.batch(prompts, temprature=0)


# --- text ---------------------------------------------------------------------------------


def test_a_text_is_read_once_and_asked_many_times(demo: rgmlx.Model) -> None:
    state = demo.new_state()
    assert demo.generate("I have a cat named Zibo.", raw=True, max_tokens=0, state=state) == ""
    length = len(demo.text_tokenizer().encode("I have a cat named Zibo."))
    assert state.position == length + 1  # <bos> once
    copy = state.copy()
    demo.generate(" And", raw=True, max_tokens=0, state=copy)
    assert copy.position == length + 2
    answers = {demo.generate("Who are you?", state=state.copy(), temperature=0) for _ in range(2)}
    assert len(answers) == 1
    assert state.position == length + 1


def test_pieces_are_the_text(demo: rgmlx.Model) -> None:
    pieces = list(demo.stream("Tell me a joke", seed=4))
    assert len(pieces) > 3
    assert "".join(pieces) == demo.generate("Tell me a joke", seed=4)
    assert demo.generate("Tell me a joke", max_tokens=2, seed=4) == "".join(pieces[:2])


# --- recommended settings -----------------------------------------------------------------


def test_generation_config_gives_defaults_and_stop_ids(tmp_path: Path) -> None:
    assert rgmlx.load("demo").sampling == Sampling(temperature=0.5, top_p=0.9)
    config = checkpoints.config()
    directory = checkpoints.write(tmp_path, config, checkpoints.weights(config))
    assert rgmlx.load(directory).sampling == Sampling()
    path = directory / "generation_config.json"
    path.write_text('{"temperature": 1.0, "top_k": 64, "eos_token_id": [1, 60]}')
    model = rgmlx.load(directory)
    assert model.sampling == Sampling(temperature=1.0, top_k=64)
    assert model.stop_ids == {1, 60}
    for bad, message in (
        ("{", "damaged"),
        ('{"temperature": -3}', "temperature"),
        ('{"top_p": "x"}', "top_p must be a number between 0 and 1, not x"),
    ):
        path.write_text(bad)
        with pytest.raises(ConfigError, match=message):
            rgmlx.load(directory)


def test_behind_an_end_a_text_goes_on_with_what_stands_between(tiny: rgmlx.Model) -> None:
    """Each end is replaced, never two in a row; the state is that of what was delivered; stopped and gone on with it is the same."""
    prompt, hot = [5, 6, 7], Sampling(temperature=5.0, seed=3, repetition_penalty=1.1)
    stops, ends, between = set(range(80)), set(range(10, 80)), [3, 4]

    def run(state: State, ids: list[int], count: int) -> list[int]:
        settings = {"sampling": hot, "stop_ids": stops, "between": (ends, between), "min_tokens": math.inf}
        return list(Generation(tiny, state, ids, max_tokens=count, **settings))  # type: ignore[arg-type]

    state = tiny.new_state()
    tokens = run(state, prompt, 120)
    assert len(tokens) == 120 and state.positions == [123] and not set(tokens) & ends
    places = [i for i in range(119) if tokens[i : i + 2] == between]
    assert len(places) > 10 and all(after - before > 2 for before, after in itertools.pairwise(places))
    assert list(state.recent[0])[-120:] == tokens
    read = tiny.new_state()
    prefill(tiny, read, [[*prompt, *tokens]])
    assert mx.allclose(read.hidden, state.hidden, atol=1e-4).item()
