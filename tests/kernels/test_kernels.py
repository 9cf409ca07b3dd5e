"""Every kernel, through the launch code that ships, on emulated Metal: parity, rules, races, and planted faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import checkpoints
import metal_emulator
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import oracle
import pytest
from metal_emulator import Launch, MetalError
from mlx.utils import tree_flatten

import rgmlx
from rgmlx import kernels
from rgmlx.convert import pipeline
from rgmlx.convert.pipeline import Job
from rgmlx.convert.recipe import RECIPES
from rgmlx.griffin import projections
from rgmlx.griffin.chunk import Chunk
from rgmlx.griffin.config import ModelConfig
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.kernels import launch
from rgmlx.verification import parity
from rgmlx.verification.parity import Case, Shape

pytestmark = metal_emulator.require()

DTYPES = [mx.float32, mx.bfloat16, mx.float16]
SHAPES = {
    "one number of each": Shape(1, 1, 1, 1, size=2, heads=1, ring=1),
    "small inputs, in constant memory": Shape(1, 1, 1, 5, size=6, heads=1, ring=1),
    "below 8 channels, 2 taps": Shape(2, 2, 1, 7, taps=2, heads=2, size=8, ring=9),
    "31 steps, two kv heads": Shape(3, 31, 2, 24, heads=4, kv_heads=2),
    "33 steps, one tap": Shape(2, 33, 3, 12, taps=1, size=40, ring=70),
    "300 steps": Shape(2, 300, 3, 20, heads=3, ring=33),
}
WIDE = Shape(1, 72, 10, 256, heads=10, size=256, ring=2049)
"""2B's sizes, and just enough steps for the scan's eight segments, which a longer text has too."""


@pytest.fixture(params=["metal", "cuda"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A GPU that is emulated. On "cuda" the choices are those for CUDA, and the bodies still run as Metal."""
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else request.param)
    with metal_emulator.emulated():
        monkeypatch.setattr(mx.fast, "cuda_kernel", mx.fast.metal_kernel)
        yield request.param


def all_cases(shape: Shape, dtype: mx.Dtype) -> list[Case]:
    return [*parity.cases(shape, dtype), *parity.training_cases(shape, dtype)]


def named(kernel: str, shape: Shape = SHAPES["31 steps, two kv heads"], dtype: mx.Dtype = mx.float32) -> Case:
    return next(c for c in all_cases(shape, dtype) if c.kernel == kernel)


def launches(case: Case, monkeypatch: pytest.MonkeyPatch) -> list[Launch]:
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "metal")
    return metal_emulator.capture(case.run)


@pytest.mark.parametrize("gpu", ["metal"], indirect=True)
@pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_parity(gpu: str, shape: Shape, dtype: mx.Dtype) -> None:
    wrong = {str(c): e for c in all_cases(shape, dtype) if not (e := c.error()) <= c.tolerance}
    assert not wrong


@pytest.mark.parametrize("gpu", ["metal"], indirect=True)
def test_parity_at_the_sizes_of_2b(gpu: str) -> None:
    wrong = {str(c): e for c in all_cases(WIDE, mx.bfloat16) if not (e := c.error()) <= c.tolerance}
    assert not wrong


@pytest.mark.parametrize(
    ("kernel", "dtype"),
    [(c.kernel, dtype) for dtype in (mx.float32, mx.bfloat16) for c in all_cases(Shape(), dtype)],
    ids=lambda v: str(v).removeprefix("mlx.core."),
)
def test_rules_schedules_and_sanitizers(kernel: str, dtype: mx.Dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    found = launches(named(kernel, Shape(2, 33, 2, 24, heads=4, kv_heads=2), dtype), monkeypatch)
    assert found
    for one in found:
        one.verify()


BARRIER = "threadgroup_barrier(mem_flags::mem_threadgroup);"
BARRIERS = [
    ("rg_lru_scan", 0),
    *(("rg_lru_scan_vjp", n) for n in range(3)),
    *(("recurrent_step", n) for n in range(2)),
    ("add_norm", 0),
    ("add_norm_vjp", 0),
    ("attend_step", 0),
]


@pytest.mark.parametrize(("kernel", "number"), BARRIERS)
def test_a_dropped_barrier_is_found(kernel: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Three rounds of eight segments, so that one round can overtake another.
    case = named(kernel, Shape(1, 150, 1, 40, heads=2, size=64, ring=70))
    one = launches(case, monkeypatch)[-1]  # the gradient's own launch, and the second of attention
    parts = one.record.source.split(BARRIER)
    assert len(parts) > number + 1
    dropped = BARRIER.join(parts[: number + 1]) + BARRIER.join(parts[number + 1 :])
    with pytest.raises(MetalError, match=r"schedule|data race"):
        Launch(one.record._replace(source=dropped), one.inputs).verify()


@pytest.mark.parametrize(
    ("kernel", "old", "new"),
    [
        ("rg_lru_scan", "latest = time - STEPS", "latest = time - STEPS + 1"),
        ("conv", "if (d < width", "if (d <= width"),
        ("add_norm", "bool inside = d < WIDTH", "bool inside = d <= WIDTH"),
        ("gelu_product", "if (d < WIDTH)", "if (d <= WIDTH)"),
        ("gelu_product_vjp", "if (begin + k < rows)", "if (begin + k <= rows)"),
        ("conv_vjp, packed", "if (d < width)", "if (d <= width)"),
        ("rotary", "if (e < size", "if (e <= size"),
        ("rotary_step", "if (real && e < SIZE)", "if (real && e <= SIZE)"),
    ],
)
def test_one_step_too_far_is_found(kernel: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = named(kernel, Shape(1, 33, 1, 40, heads=2, size=40, ring=9))
    one = next(one for one in launches(case, monkeypatch) if old in one.record.source)
    with pytest.raises(MetalError, match=r"overflow|depends"):
        one.mutated(old, new).verify()


@pytest.mark.parametrize(
    ("kernel", "old", "new"),
    [
        ("rg_lru_scan", "float carry = float(h[b * WIDTH + d]);", "float carry = 0.0f;"),
        ("rg_lru_scan_vjp", "float carry = float(d_last[b * width + d]);", "float carry = 0.0f;"),
        ("recurrent_step", "float before = float(h[b * width + own]);", "float before = 0.0f;"),
        ("recurrent_step", "(first[b] != 0) ? 1.0f", "(first[b] == 0) ? 1.0f"),
        ("rg_lru_scan", "k >= done && k < end", "k < end"),
        ("rg_lru_scan", "k < end", "k <= end"),
        ("rg_lru_scan, packed", "a = opens ? 0.0f : a;", ""),
        ("rg_lru_scan, packed", "scale = opens ? 1.0f : scale;", ""),
        ("rg_lru_scan_vjp, packed", "d_log_a = (PACKED && opens) ? 0.0f : d_log_a;", ""),
        ("rg_lru_scan_vjp, packed", "a = (PACKED && t >= 0 && positions[row + seen] == 0) ? 0.0f : a;", ""),
        ("conv, packed", "t - source <= place", "t - source <= place + 1"),
        ("conv_vjp, packed", "back <= positions[row + later]", "back <= positions[row + t]"),
        ("conv_vjp, packed", "bias_sum += own;", ""),
        ("gelu_product_vjp", "0.134145f", "0.044715f"),
        ("add_norm_vjp", "- shift * values[k]", ""),
        ("add_norm_vjp", "bool real = row < rows", "bool real = row <= rows"),
        ("conv", "float(conv_bias[d])", "0.0f"),
        ("attend_step", "first + j + i < filled", "first + j + i <= filled"),
        ("rotary", "low ? -other * s : other * s", "low ? other * s : -other * s"),
    ],
)
def test_wrong_arithmetic_breaks_parity(kernel: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = named(kernel)
    assert isinstance(new, str)
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "metal")
    real = launch.source
    changed = []

    def source(name: str) -> str:
        text = real(name)
        changed.append(old in text)
        return text.replace(old, new)

    with metal_emulator.emulated():
        assert case.error() <= case.tolerance
    monkeypatch.setattr(launch, "source", source)
    launch._compiled.cache_clear()
    with metal_emulator.emulated():
        assert case.error() > case.tolerance
    assert any(changed)


MOST_GROUPS = 65_535  # of CUDA along y and z; along x there may be 2^31 - 1
ROWS = 200_000


def small(batch: int, time: int) -> Shape:
    return Shape(batch, time, blocks=1, block=4, taps=2, heads=1, size=4, ring=2)


@pytest.mark.parametrize("shape", [small(ROWS, 1), small(1, ROWS), small(200, ROWS // 200)], ids=str)
def test_many_rows_stay_within_the_grid_of_cuda(shape: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every kernel's launch at 200,000 rows, recorded and not run."""
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "cuda")
    seen: dict[str, list[tuple[int, ...]]] = {}

    def recorded(make: object, name: str, *_: object) -> Callable[..., list[mx.array]]:
        def call(grid: tuple[int, ...], threadgroup: tuple[int, ...], **a: Any) -> list[mx.array]:
            seen.setdefault(name, []).append(tuple(-(-g // t) for g, t in zip(grid, threadgroup, strict=True)))
            return [mx.zeros(s, d) for s, d in zip(a["output_shapes"], a["output_dtypes"], strict=True)]

        return call

    monkeypatch.setattr(launch, "_compiled", recorded)
    for case in all_cases(shape, mx.bfloat16):
        case.run()
    # Rows of a matrix and slots of a ring, of which the cases above have few.
    codes, scales = mx.zeros((ROWS, 8), mx.uint32), mx.zeros((ROWS, 1), mx.bfloat16)
    kernels.dequantize(codes, scales, scales)
    kernels.quantized_step(mx.zeros((1, 64), mx.bfloat16), codes, scales, scales)
    ring, place = mx.zeros((1, 1, ROWS * 8, 4)), mx.zeros((1, 4))
    kernels.rotary_step(mx.zeros((1, 1, 12)), None, place, ring, ring)
    kernels.attend_step(mx.zeros((1, 1, 1, 4)), ring, ring, place)
    bodies = {path.stem for path in Path(launch.__file__).parent.glob("*.metal")} - {"prelude"}
    assert set(seen) == bodies
    for name, grids in seen.items():
        for x, y, z in grids:
            assert x < 2**31, name
            assert max(y, z) <= MOST_GROUPS, name


def test_a_number_that_is_not_one_is_an_error() -> None:
    """Also in the second output, and in the reference's."""
    good, bad = mx.ones((3,)), mx.array([1.0, float("nan"), 1.0])
    for kernel, reference in ((bad, good), (good, bad), (bad, bad)):
        outputs = iter([[good, kernel], [good, reference]])
        assert Case("planted", mx.float32, Shape(), lambda outputs=outputs: next(outputs)).error() == float("inf")
    assert Case("planted", mx.float32, Shape(), lambda: [good, good]).error() == 0


def test_a_double_literal_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    one = launches(named("rg_lru_scan"), monkeypatch)[0]
    with pytest.raises(MetalError, match="without suffix f"):
        one.mutated("2.0f - p", "2.0 - p").check()


# --- the network on them ------------------------------------------------------------------------


def test_the_network_on_kernels(gpu: str, tiny: rgmlx.Model) -> None:
    """Chunks, ragged batches and single tokens give what plain operations give."""
    tokens = np.random.default_rng(5).integers(0, tiny.config.vocab_size, (2, 45))

    def run() -> list[np.ndarray]:
        state, out = tiny.new_state(2), []
        for start, end in ((0, 20), (20, 21), (21, 22), (22, 42), (42, 43)):
            out.append(np.array(tiny.logits(tokens[:, start:end], state)))
        tiny.advance(mx.array(tokens[:, 43:45]), state, [2, 1])
        out += [np.array(tiny.head(state.hidden)), *(np.array(a) for pair in state.layers for a in pair)]
        return out

    got = run()
    with launch.plain_operations():
        want = run()
    for g, w in zip(got, want, strict=True):
        assert oracle.relative_error(g, w) < 2e-6


def test_a_4_bit_model_on_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small one in bfloat16, a chunk and token by token: as close to float32 as plain operations are."""
    config = checkpoints.config(
        hidden_size=128, lru_width=128, head_dim=64, num_attention_heads=2, intermediate_size=512, num_hidden_layers=3
    )
    source = checkpoints.write(tmp_path / "source", config, checkpoints.weights(config, seed=2))
    job = Job(str(source), tmp_path / "out", RECIPES["4bit"], dtype="bfloat16", verify=False)
    assert list(pipeline.run(job, lambda *_: None))
    model, precise = (rgmlx.load(tmp_path / "out", dtype=name) for name in ("bfloat16", "float32"))
    chunk, steps = [2, *range(40, 48)], [5, 9]

    def run(model: rgmlx.Model) -> np.ndarray:
        state = model.new_state()
        first = np.array(model.logits([chunk], state))[0]
        return np.concatenate([first, *(np.array(model.logits([[i]], state))[0] for i in steps)])

    exact, plain = run(precise), run(model)
    monkeypatch.setattr(projections, "_DENSE_FROM", 8)
    monkeypatch.setattr(projections, "_DENSE_NUMBERS", 30_000)  # so that matrices are made dense in pieces
    seen: list[str] = []
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else "cuda")
    with metal_emulator.emulated(see=lambda one: seen.append(one.record.source)):
        monkeypatch.setattr(mx.fast, "cuda_kernel", mx.fast.metal_kernel)
        got = run(model)
    for kernel in ("dequantize", "quantized_step", "rotary_step", "attend_parts", "recurrent_step", "add_norm"):
        assert any(f"rgmlx_{kernel}" in text for text in seen), kernel
    assert oracle.relative_error(got, exact) < 1.2 * oracle.relative_error(plain, exact)


@pytest.mark.parametrize("gpu", ["metal"], indirect=True)
@pytest.mark.parametrize("packed", [False, True], ids=["a sequence a row", "several"])
def test_gradients_through_the_network_on_kernels(gpu: str, packed: bool) -> None:
    config = checkpoints.config()
    net = RecurrentGemma(ModelConfig.from_dict(config))
    net.load_weights(
        list(net.sanitize({k: mx.array(v) for k, v in checkpoints.weights(config, seed=2).items()}).items())
    )
    tokens = mx.array(np.random.default_rng(0).integers(0, 64, (2, 40)))

    positions = mx.array([[*range(9), *range(2), *range(28)], [*range(1), *range(38)]], mx.int32)

    def loss(net: RecurrentGemma) -> mx.array:
        inputs = tokens[:, :-1]
        logits = net.head(net.packed(inputs, positions), inference=False) if packed else net(inputs)
        return nn.losses.cross_entropy(logits, tokens[:, 1:], reduction="mean")

    value, got = nn.value_and_grad(net, loss)(net)
    with launch.plain_operations():
        plain_value, want = nn.value_and_grad(net, loss)(net)
        mx.eval(want)
    assert abs(value.item() - plain_value.item()) < 1e-5
    for (name, g), (_, w) in zip(tree_flatten(got), tree_flatten(want), strict=True):
        g, w = np.array(g), np.array(w)
        assert np.abs(g - w).max() <= 1e-4 * max(np.abs(w).max(), 1e-3), name


def test_joined_projections_are_exact_views(demo: rgmlx.Model) -> None:
    """Joined rows are the rows themselves, in shared memory, and a changed layer leaves the joint."""
    model = rgmlx.load("demo")
    mlp = model.layers[0].mlp_block
    assert mlp._joined is not None
    x = mx.random.normal((1, 3, model.config.hidden_size))
    joined, _ = mlp._joined(x, Chunk(is_step=True))
    apart = mx.concatenate([mlp.gate_proj(x) - mlp.gate_proj.bias, mlp.up_proj(x) - mlp.up_proj.bias], axis=-1)
    assert np.abs(np.array(joined - apart)).max() < 1e-5
    before = mx.get_active_memory()
    model.join_projections()
    mx.eval(model.parameters())
    assert mx.get_active_memory() - before < 1e6
    mlp.up_proj.scales = mlp.up_proj.scales * 2
    assert not mlp._joined.fits([mlp.gate_proj, mlp.up_proj])
