"""The network in NumPy, beside plain operations: its functions, whole passes, memory, threads, and what it leaves alone."""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import checkpoints
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import oracle
import pytest
import rooms
from test_kernels import SHAPES

import rgmlx
from rgmlx.errors import RgmlxError
from rgmlx.griffin.host import forward, layers, matrices, pieces
from rgmlx.kernels import launch
from rgmlx.system import threads
from rgmlx.verification import parity, selfcheck

pytestmark = pytest.mark.skipif(launch.backend() != "numpy", reason="here MLX has a fast product of its own, or none")

EXACT = 2e-6
SAME = 5e-6
"""Of logits: norms and biases are worked into the matrices, which rounds them elsewhere."""


def passes(model: rgmlx.Model, rows: int = 3) -> list[np.ndarray]:
    """Logits and states of chunks, single tokens and ragged rows, from the start and beyond a small window."""
    last = min(model.config.ring_size + 40, 90)  # of the embedded model a part: plain operations take long
    tokens = np.random.default_rng(5).integers(0, model.config.vocab_size, (rows, last + 10))
    state, out = model.new_state(rows), []
    for start, end in ((0, 1), (1, 20), (20, 21), (21, 22), (22, last - 5), (last - 5, last - 4), (last - 4, last)):
        model.advance(mx.array(tokens[:, start:end]), state)
        out.append(np.array(model.head(state.hidden)))
    model.advance(mx.array(tokens[:, last:]), state, [3, 10, 0][:rows])
    out.append(np.array(model.head(state.hidden)))
    model.advance(mx.array(tokens[:, :1]), state)  # rows at different places
    out += [np.array(model.head(state.hidden)), *(np.array(a) for pair in state.layers for a in pair)]
    return out


def same(model: rgmlx.Model, rows: int = 3) -> None:
    got = passes(model, rows)
    with launch.plain_operations():
        want = passes(model, rows)
    assert max(oracle.relative_error(g, w) for g, w in zip(got, want, strict=True)) < SAME


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_parity(shape: parity.Shape) -> None:
    """The cases of the kernels; those of operations that NumPy does not have are left out."""
    cases = selfcheck.cases_here(shape, mx.float32)
    assert {c.kernel.split(",")[0] for c in cases} >= {"rg_lru_scan", "add_norm", "gelu_product", "rotary"}
    assert not {str(c): e for c in cases if not (e := c.error()) <= c.tolerance}


@pytest.mark.parametrize("case", selfcheck.cases_here(parity.Shape(), mx.float32), ids=lambda c: c.kernel)
def test_each_case_runs_in_numpy(case: parity.Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would compare plain operations with themselves."""
    real, ran = launch.in_numpy, []
    monkeypatch.setattr(launch, "in_numpy", lambda *a: ran.append(a) or real(*a))
    case.run()
    assert ran


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", ["tiny", "hawk"])
def test_a_pass_is_that_of_plain_operations(name: str, rows: int) -> None:
    same(rgmlx.load(rooms.TESTS / "goldens" / name, dtype="float32"), rows)


def test_steps_of_several_threads_and_batches_do_not_mix(tiny: rgmlx.Model) -> None:
    """The arrays of a step are a thread's own, and made anew for another number of rows."""

    def run(rows: int) -> list[np.ndarray]:
        tokens, state, out = np.random.default_rng(rows).integers(0, 90, (rows, 30)), tiny.new_state(rows), []
        for t in range(tokens.shape[1]):
            tiny.advance(mx.array(tokens[:, t : t + 1]), state)
            out.append(np.array(state.hidden))
        return out

    counts = [1, 2, 1, 3]
    want = [run(n) for n in counts]
    with ThreadPoolExecutor(len(counts)) as pool:
        for _ in range(5):
            for found, expected in zip(pool.map(run, counts), want, strict=True):
                assert all(np.array_equal(f, e) for f, e in zip(found, expected, strict=True))


def test_a_pass_of_a_4_bit_model(tmp_path: Path) -> None:
    same(rgmlx.load(checkpoints.of_demo(tmp_path), dtype="float32"))


def test_a_pass_with_two_groups_of_keys_and_a_head_of_its_own(tmp_path: Path) -> None:
    config = checkpoints.config(num_key_value_heads=2, tie_word_embeddings=False)
    tensors = checkpoints.weights(config, seed=3)
    same(rgmlx.load(checkpoints.write(tmp_path, config, tensors), dtype="float32"))


def test_a_piece_at_a_time_where_memory_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "SHARE", 1e-9)
    monkeypatch.setattr("rgmlx.griffin.host.pieces._PIECE", 50_000)
    model = rgmlx.load(checkpoints.of_demo(tmp_path), dtype="float32")
    same(model)
    assert model._in_numpy is not None and not model._in_numpy.is_dense


def test_dense_copies_take_a_share_of_the_memory() -> None:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert matrices.fits_in_memory(int(total * matrices.SHARE / 4))
    assert not matrices.fits_in_memory(int(total * matrices.SHARE / 4) + 1)


def test_changed_parameters_count_at_once() -> None:
    model = rgmlx.load("demo")

    def logits() -> np.ndarray:
        return np.array(model.logits([[2, 5, 9]]))

    before = logits()
    for change in (
        lambda: setattr(model.model.final_norm, "weight", model.model.final_norm.weight + 0.5),
        lambda: setattr(model.layers[1].mlp_block.up_proj, "scales", 2 * model.layers[1].mlp_block.up_proj.scales),
        lambda: model.update({"model": {"final_norm": {"weight": mx.zeros((model.config.hidden_size,))}}}),
    ):
        change()
        after = logits()
        assert oracle.relative_error(after, before) > 1e-3
        with launch.plain_operations():
            assert oracle.relative_error(after, logits()) < SAME
        before = after


def test_a_state_is_never_written_to(tiny: rgmlx.Model) -> None:
    state = tiny.new_state()
    tiny.logits([[1, 2, 3]], state)
    copy = state.copy()
    kept = [np.array(a) for pair in copy.layers for a in pair]
    for tokens in ([[4]], [[5, 6, 7]]):
        tiny.logits(tokens, state)
    assert all(np.array_equal(np.array(a), b) for a, b in zip((x for p in copy.layers for x in p), kept, strict=True))


class Adapter(nn.Module):
    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def __call__(self, x: mx.array) -> mx.array:
        return self.linear(x) + 1.0


def test_what_replaces_a_layer_keeps_mlx(monkeypatch: pytest.MonkeyPatch) -> None:
    model = rgmlx.load(rooms.TESTS / "goldens" / "tiny", dtype="float32")
    block = model.layers[0].temporal_block
    block.linear_out = Adapter(block.linear_out)
    monkeypatch.setattr(forward.Forward, "advance", lambda *_: pytest.fail("the adapter is left out"))
    assert np.isfinite(np.array(model.logits([[1, 2, 3]]))).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bits_and_training_keep_mlx(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward.Forward, "advance", lambda *_: pytest.fail("this is not for NumPy"))
    path = rooms.TESTS / "goldens" / "tiny"
    rgmlx.load(path, dtype=dtype).logits([[1, 2, 3]])
    model = rgmlx.load(path, dtype="float32")
    model.train()
    model.logits([[1, 2, 3]])


# --- threads --------------------------------------------------------------------------------


def blas_threads() -> list[int]:
    return [b.num_threads for b in threads._blas().lib_controllers]


def test_a_program_keeps_its_own_number_of_threads(tiny: rgmlx.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = blas_threads()
    inside: list[int] = []
    real = layers.gelu_product
    monkeypatch.setattr(layers, "gelu_product", lambda *a: inside.extend(blas_threads()) or real(*a))
    tiny.logits([[1, 2, 3]])
    assert set(inside) == {1} and blas_threads() == outside

    def fail(*_: object) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(layers, "gelu_product", fail)
    with pytest.raises(KeyboardInterrupt):
        tiny.logits([[1, 2, 3]])
    assert blas_threads() == outside


@pytest.mark.parametrize("here_first", [True, False], ids=["after this thread", "before this thread"])
def test_the_limit_holds_in_every_thread(here_first: bool) -> None:
    """It held in the first thread only that had set it, while that lived."""
    outside, inside = blas_threads(), list[int]()

    def within() -> None:
        with threads.limited():
            inside.extend(blas_threads())

    if here_first:
        within()
    for _ in range(2):
        thread = threading.Thread(target=within)
        thread.start()
        thread.join()
    within()
    assert set(inside) == {1} and blas_threads() == outside


def test_the_limit_is_taken_back_by_a_thread_that_did_not_set_it() -> None:
    outside, inside = blas_threads(), threading.Barrier(2)

    def leave_last() -> None:
        with threads.limited():
            inside.wait()
            first_is_out.wait()

    first_is_out = threading.Event()
    thread = threading.Thread(target=leave_last)
    with threads.limited():
        thread.start()
        inside.wait()
    assert set(blas_threads()) == {1}
    first_is_out.set()
    thread.join()
    assert blas_threads() == outside


@pytest.mark.parametrize(("given", "count"), [("1", 1), ("2", 2), ("", 1)])
def test_a_variable_pins_the_number(given: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RGMLX_THREADS", given)
    assert threads.count() == count
    with threads.limited():
        assert set(blas_threads()) <= {count, 1}  # BLAS may have been built for one


def test_a_number_of_threads_that_is_none_leaves_no_limit_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    outside = blas_threads()
    monkeypatch.setenv("RGMLX_THREADS", "many")
    with pytest.raises(RgmlxError, match="RGMLX_THREADS must be"), threads.limited():
        pass
    monkeypatch.delenv("RGMLX_THREADS")
    with threads.limited():
        assert set(blas_threads()) == {1}
    assert blas_threads() == outside


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 16, 25])
def test_rows_at_a_time_change_no_number(rows: int) -> None:
    rng = np.random.default_rng(rows)
    x, matrix = (rng.standard_normal(s).astype(np.float32) for s in ((rows, 300), (300, 7_001)))
    exact = x.astype(np.float64) @ matrix.astype(np.float64)
    assert oracle.relative_error(matrices.product(x, matrix), exact) < EXACT


def test_threads_that_overlap_leave_no_limit_behind() -> None:
    """The one that began first ends first: what the second found was the first one's limit."""
    outside = blas_threads()
    with contextlib.ExitStack() as both:
        first = threads.limited()
        first.__enter__()
        both.enter_context(threads.limited())
        first.__exit__(None, None, None)
        assert set(blas_threads()) == {1}
    assert blas_threads() == outside


def test_parameters_in_16_bits_are_widened() -> None:
    """Those of a network of mlx-lm's, whose operations run here where an adapter keeps the rest with MLX."""
    for dtype in (mx.bfloat16, mx.float16):
        doubled = launch.in_numpy(lambda a: a * 2, mx.array([1.5, 2.5], dtype))
        assert doubled.dtype == mx.float32 and np.array_equal(np.array(doubled), [3.0, 5.0])


@pytest.mark.parametrize(
    ("bits", "group", "mode"),
    [
        *((bits, group, "affine") for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64, 128)),
        *((4, 32, "mxfp4"), (8, 32, "mxfp8"), (4, 16, "nvfp4")),
    ],
)
def test_packed_numbers_become_what_mlx_makes_of_them(
    bits: int, group: int, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "_PIECE", 7 * 256)  # some rows at a time, and fewer the last time
    layer = nn.QuantizedLinear(256, 40, bias=False, group_size=group, bits=bits, mode=mode)
    layer.weight, layer.scales, *biases = mx.quantize(
        mx.random.normal((40, 256), key=mx.random.key(1)), group_size=group, bits=bits, mode=mode
    )
    if biases:
        layer.biases = biases[0]
    want = mx.dequantize(layer.weight, layer.scales, *biases, group_size=group, bits=bits, mode=mode, dtype=mx.float32)
    assert np.array_equal(np.concatenate(list(pieces.pieces(layer))), np.array(want))
    dense = matrices.Matrix([layer], matrices.Room(257 * 40))
    assert np.array_equal(dense(np.eye(256, dtype=np.float32)), np.array(want).T)


@pytest.mark.parametrize("group_size", [32, 64, 128])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_packed_numbers_are_made_dense_as_mlx_does(bits: int, group_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows as they are and transposed, also some at a time."""
    monkeypatch.setattr(pieces, "_PIECE", 7 * 256)
    layer = nn.QuantizedLinear(256, 40, bias=False, group_size=group_size, bits=bits)
    dense = mx.array(np.random.default_rng(bits).normal(size=(40, 256)).astype(np.float32))
    layer.weight, layer.scales, layer.biases = mx.quantize(dense, group_size=group_size, bits=bits)
    want = np.array(mx.dequantize(layer.weight, layer.scales, layer.biases, group_size=group_size, bits=bits))
    assert oracle.relative_error(np.concatenate(list(pieces.pieces(layer))), want) < 1e-6
    room = np.full((256, 60), np.nan, np.float32)
    pieces.write_transposed(layer, room[:, 10:50])
    assert oracle.relative_error(room[:, 10:50].T, want) < 1e-6
    assert np.isnan(room[:, :10]).all() and np.isnan(room[:, 50:]).all()
