"""Every kernel, through the launch code that ships, on emulated Metal: parity, rules, races, and planted faults."""

from __future__ import annotations

from collections.abc import Iterator

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
from rgmlx import projections
from rgmlx.chunk import Chunk
from rgmlx.config import ModelConfig
from rgmlx.kernels import launch, parity
from rgmlx.kernels.parity import Case, Shape
from rgmlx.network import RecurrentGemma

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
WIDE = Shape(1, 300, 10, 256, heads=10, size=256, ring=2049)
"""2B's sizes."""


@pytest.fixture(params=["metal", "cuda"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A GPU that is emulated. On "cuda" the choices are those for CUDA, and the bodies still run as Metal."""
    monkeypatch.setattr(launch, "backend", lambda: None if launch._off else request.param)
    with metal_emulator.emulated():
        monkeypatch.setattr(mx.fast, "cuda_kernel", mx.fast.metal_kernel)
        yield request.param


def all_cases(shape: Shape, dtype: mx.Dtype) -> list[Case]:
    return list(parity.cases(shape, dtype))


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
    [(c.kernel, dtype) for dtype in (mx.float32, mx.bfloat16) for c in parity.cases(Shape(), dtype)],
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
        ("rotary", "if (e < size", "if (e <= size"),
        ("rotary_step", "if (real && e < SIZE)", "if (real && e <= SIZE)"),
    ],
)
def test_one_step_too_far_is_found(kernel: str, old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = named(kernel, Shape(1, 33, 1, 40, heads=2, size=40, ring=9))
    with pytest.raises(MetalError, match=r"overflow|depends"):
        launches(case, monkeypatch)[0].mutated(old, new).verify()


@pytest.mark.parametrize(
    ("kernel", "old", "new"),
    [
        ("rg_lru_scan", "float carry = float(h[b * WIDTH + d]);", "float carry = 0.0f;"),
        ("rg_lru_scan_vjp", "float carry = float(d_last[b * width + d]);", "float carry = 0.0f;"),
        ("recurrent_step", "float before = float(h[b * width + own]);", "float before = 0.0f;"),
        ("recurrent_step", "(first[b] != 0) ? 1.0f", "(first[b] == 0) ? 1.0f"),
        ("rg_lru_scan", "k >= done && k < end", "k < end"),
        ("rg_lru_scan", "k < end", "k <= end"),
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


def test_a_number_that_is_not_one_is_an_error() -> None:
    """Also in the second output, and in the twin's."""
    good, bad = mx.ones((3,)), mx.array([1.0, float("nan"), 1.0])
    for kernel, twin in ((bad, good), (good, bad), (bad, bad)):
        outputs = iter([[good, kernel], [good, twin]])
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


def test_a_4_bit_model_on_kernels(demo: rgmlx.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded model in bfloat16, a chunk and token by token: as close to float32 as plain operations are."""
    model = rgmlx.load("demo", dtype="bfloat16")
    chunk, steps = [2, *range(40, 48)], [5, 9]

    def run(model: rgmlx.Model) -> np.ndarray:
        state = model.new_state()
        first = np.array(model.logits([chunk], state))[0]
        return np.concatenate([first, *(np.array(model.logits([[i]], state))[0] for i in steps)])

    exact, plain = run(demo), run(model)
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
def test_gradients_through_the_network_on_kernels(gpu: str) -> None:
    config = checkpoints.config()
    net = RecurrentGemma(ModelConfig.from_dict(config))
    net.load_weights(
        list(net.sanitize({k: mx.array(v) for k, v in checkpoints.weights(config, seed=2).items()}).items())
    )
    tokens = mx.array(np.random.default_rng(0).integers(0, 64, (2, 40)))

    def loss(net: RecurrentGemma) -> mx.array:
        return nn.losses.cross_entropy(net(tokens[:, :-1]), tokens[:, 1:], reduction="mean")

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
