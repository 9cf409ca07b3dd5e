"""The fixed-size state: its size, copies, files, and going on as if nothing had happened."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import checkpoints
import mlx.core as mx
import numpy as np
import pytest

import rgmlx
from rgmlx.errors import StateError
from rgmlx.generation.engine import Generation, prefill
from rgmlx.griffin.config import PRESETS
from rgmlx.griffin.state import State
from rgmlx.settings import Sampling

GREEDY = Sampling(temperature=0)


def run(model: rgmlx.Model, state: State, prompt: list[int], count: int, sampling: Sampling = GREEDY) -> list[int]:
    return list(Generation(model, state, prompt, sampling=sampling, max_tokens=count))


def same_bits(a: State, b: State) -> bool:
    pairs = zip(a.arrays(), b.arrays(), strict=True)
    return a.positions == b.positions and a.recent == b.recent and all(mx.array_equal(x, y).item() for x, y in pairs)


def test_size_is_known_beforehand_and_never_changes(tiny: rgmlx.Model) -> None:
    state = tiny.new_state()
    expected = tiny.config.state_nbytes(4)
    assert state.nbytes == expected
    for size in (1, 5, 100, 1, 1):
        tiny.logits(np.ones((1, size), np.int32), state)
        assert state.nbytes == expected
    assert tiny.new_state(3).nbytes == 3 * expected


def test_size_of_the_published_models() -> None:
    assert PRESETS["2b"].state_nbytes(2) == 8 * 2 * 2049 * 256 * 2 + 18 * (2560 * 4 + 3 * 2560 * 2) + 2560 * 2
    assert 17.2e6 < PRESETS["2b"].state_nbytes(2) < 17.3e6
    assert 26.2e6 < PRESETS["9b"].state_nbytes(2) < 26.3e6


def test_arrays_do_not_keep_their_chunk_alive(tiny: rgmlx.Model) -> None:
    """A view of a chunk's activations would hold all of them: the real memory must be the nominal one."""
    state = tiny.new_state()
    before = mx.get_active_memory()
    tokens = np.random.default_rng(0).integers(0, 100, (1, 5000))
    prefill(tiny, state, tokens.tolist(), chunk=5000)
    mx.clear_cache()
    assert mx.get_active_memory() - before < state.nbytes + 200_000  # slack of small buffers


def test_prefill_memory_is_bounded_by_the_chunk(tiny: rgmlx.Model) -> None:
    peaks = []
    for length in (512, 8192):
        state = tiny.new_state()
        mx.clear_cache()
        mx.reset_peak_memory()
        prefill(tiny, state, [[7] * length], chunk=256)
        peaks.append(mx.get_peak_memory())
    assert peaks[1] < 1.05 * peaks[0]


def test_copy_is_independent(tiny: rgmlx.Model) -> None:
    state = tiny.new_state()
    run(tiny, state, [3, 5, 7], 20)
    copy = state.copy()
    assert same_bits(state, copy)
    first = run(tiny, state, [9], 30)
    assert not same_bits(state, copy)
    assert run(tiny, copy, [9], 30) == first
    assert same_bits(state, copy)


@pytest.mark.parametrize("length", [1, 3, 16, 17, 60])
def test_round_trip_bit_for_bit(tiny: rgmlx.Model, tmp_path: Path, length: int) -> None:
    state = tiny.new_state()
    run(tiny, state, list(range(1, length + 1)), 5)
    state.save(tmp_path / "a.rgstate")
    again = State.load(tmp_path / "a.rgstate", tiny)
    assert same_bits(state, again)
    assert [p.name for p in tmp_path.iterdir()] == ["a.rgstate"]


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.0, seed=11, repetition_penalty=5.0)])
def test_resumed_run_gives_the_same_ids(tiny: rgmlx.Model, tmp_path: Path, sampling: Sampling) -> None:
    whole = run(tiny, tiny.new_state(), [4, 8, 15], 60, sampling)
    state = tiny.new_state()
    ids = run(tiny, state, [4, 8, 15], 23, sampling)
    state.save(tmp_path / "s")
    resumed = State.load(tmp_path / "s", tiny)
    ids += run(tiny, resumed, [], 37, sampling)
    assert ids == whole


def test_resumed_in_another_process(tmp_path: Path, demo: rgmlx.Model) -> None:
    state = demo.new_state()
    ids = run(demo, state, [2, 4, 300], 10)
    state.save(tmp_path / "s")
    code = (
        "import sys, rgmlx; from rgmlx.generation.engine import Generation; from rgmlx.settings import Sampling\n"
        "m = rgmlx.load(); s = rgmlx.State.load(sys.argv[1], m)\n"
        "print(list(Generation(m, s, [], sampling=Sampling(temperature=0), max_tokens=20)))"
    )
    out = subprocess.run([sys.executable, "-c", code, str(tmp_path / "s")], capture_output=True, text=True, check=True)
    assert ids + eval(out.stdout) == run(demo, demo.new_state(), [2, 4, 300], 30)


def test_a_state_of_a_batch(tiny: rgmlx.Model, tmp_path: Path) -> None:
    state = tiny.new_state(2)
    prefill(tiny, state, [[1, 2, 3], [4, 5, 6, 7, 8]])
    assert state.positions == [3, 5]
    with pytest.raises(StateError, match="different positions"):
        _ = state.position
    state.save(tmp_path / "b")
    assert same_bits(state, State.load(tmp_path / "b", tiny))


# --- bad files ----------------------------------------------------------------------------


@pytest.fixture
def saved(tiny: rgmlx.Model, tmp_path: Path) -> Path:
    state = tiny.new_state()
    run(tiny, state, [1, 2, 3], 4)
    state.save(tmp_path / "good")
    return tmp_path / "good"


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 0.5, 0.999])
def test_truncated_file(tiny: rgmlx.Model, saved: Path, keep: float) -> None:
    data = saved.read_bytes()
    saved.write_bytes(data[: int(keep if keep > 1 or keep == 0 else len(data) * keep)])
    with pytest.raises(StateError, match=r"truncated|damaged|not a safetensors"):
        State.load(saved, tiny)


@pytest.mark.parametrize("where", [0.02, 0.5, 0.999])
def test_one_changed_byte(tiny: rgmlx.Model, saved: Path, where: float) -> None:
    data = bytearray(saved.read_bytes())
    data[int(len(data) * where)] ^= 0x10
    saved.write_bytes(data)
    with pytest.raises(StateError, match=r"damaged|other|not a saved|truncated|newer|can't be read"):
        State.load(saved, tiny)


def test_not_a_state(tiny: rgmlx.Model, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="can't be read"):
        State.load(tmp_path / "none", tiny)
    (tmp_path / "text").write_text("hello, this is a text and not a state, and long enough for a header")
    with pytest.raises(StateError, match=r"damaged|safetensors"):
        State.load(tmp_path / "text", tiny)
    mx.save_safetensors(str(tmp_path / "other.safetensors"), {"x": mx.zeros(3)})
    with pytest.raises(StateError, match="not a saved state"):
        State.load(tmp_path / "other.safetensors", tiny)


def test_other_weights(tiny: rgmlx.Model, saved: Path, tmp_path: Path) -> None:
    config = checkpoints.config()
    other = rgmlx.load(checkpoints.write(tmp_path / "m", config, checkpoints.weights(config)))
    with pytest.raises(StateError, match="other weights"):
        State.load(saved, other)


@pytest.mark.parametrize("call", ["logits", "generate", "stream", "score"])
def test_a_state_of_another_model_is_refused_where_it_is_given(demo: rgmlx.Model, call: str) -> None:
    other, state = rgmlx.load("demo", dtype="bfloat16"), demo.new_state()
    before = state.copy()
    argument = [[5, 6]] if call == "logits" else "hello"
    with pytest.raises(StateError, match=r"other dtype .float32, this model has bfloat16.*model that made it"):
        getattr(other, call)(argument, state=state)
    assert same_bits(state, before)


def test_a_state_goes_on_in_the_same_model_loaded_again(demo: rgmlx.Model) -> None:
    """Two programs, or two threads, may have loaded it."""
    again, state, alone = rgmlx.load("demo"), demo.new_state(), demo.new_state()
    ids = [[5, 6, 7]]
    assert mx.array_equal(again.logits(ids, state), demo.logits(ids, alone)).item()
    assert same_bits(state, alone)


def test_other_dtype_and_quantization(demo: rgmlx.Model, tmp_path: Path) -> None:
    demo.new_state().save(tmp_path / "f32")
    with pytest.raises(StateError, match=r"other dtype.*float32.*bfloat16"):
        State.load(tmp_path / "f32", rgmlx.load("demo", dtype="bfloat16"))
    assert demo.identity["quantization"] == "4 and 6 bits, group size 64, affine"
    assert demo.identity["tokenizer"] != "none"


def test_one_changed_weight_is_noticed(tmp_path: Path) -> None:
    config = checkpoints.config()
    tensors = checkpoints.weights(config)
    one = rgmlx.load(checkpoints.write(tmp_path / "a", config, tensors))
    tensors["model.layers.2.temporal_block.q_proj.weight"] *= 1.0001
    two = rgmlx.load(checkpoints.write(tmp_path / "b", config, tensors))
    assert one.identity["weights"] != two.identity["weights"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, demo: rgmlx.Model) -> None:
    """A file-size limit makes the write fail for real; the old state must survive, and no rubbish stay."""
    path = tmp_path / "s"
    demo.new_state().save(path)
    old = path.read_bytes()
    code = (
        "import resource, signal, sys, rgmlx\n"
        "m = rgmlx.load(); s = m.new_state()\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))\n"
        "try: s.save(sys.argv[1])\n"
        "except rgmlx.RgmlxError as e: print(e)\n"
    )
    out = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert "can't be written" in out.stdout, out.stderr
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["s"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_no_permission(tiny: rgmlx.Model, tmp_path: Path) -> None:
    tiny.new_state().save(tmp_path / "s")
    old = (tmp_path / "s").read_bytes()
    tmp_path.chmod(0o500)
    me = os.geteuid()
    if me == 0:  # root may write anywhere: be nobody for a moment
        os.seteuid(65534)
    try:
        with pytest.raises(StateError, match="can't be written"):
            tiny.new_state().save(tmp_path / "s")
    finally:
        os.seteuid(me)
    assert (tmp_path / "s").read_bytes() == old


def test_directory_in_the_way(tiny: rgmlx.Model, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    with pytest.raises(StateError, match="can't be written"):
        tiny.new_state().save(tmp_path / "s")
    assert [p.name for p in tmp_path.iterdir()] == ["s"]
