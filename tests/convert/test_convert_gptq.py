"""Compensated quantization: better than rounding where inputs are correlated, and exactly what MLX will compute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import checkpoints
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

import rgmlx
from rgmlx.convert import calibrate, gptq
from rgmlx.convert.calibrate import Calibrator
from rgmlx.convert.gptq import compensated, pack, processing_order
from rgmlx.griffin.config import ModelConfig
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.weights import checkpoint

pytestmark = pytest.mark.usefixtures("one_thread")

Tensors = dict[str, mx.array]
RNG = np.random.default_rng(7)


def correlated(rows: int, ins: int) -> np.ndarray:
    """Inputs [rows, ins] with a falling spectrum, as a network's have."""
    mixing = RNG.standard_normal((ins, ins)) * np.exp(-np.arange(ins) / (ins / 6))[:, None]
    return (RNG.standard_normal((rows, ins)) @ mixing + 0.3 * RNG.standard_normal((rows, ins))).astype(np.float32)


def dequantized(parts: Sequence[mx.array], group_size: int, bits: int) -> np.ndarray:
    codes, scales, biases = parts
    return np.array(mx.dequantize(codes, scales.astype(mx.float32), biases.astype(mx.float32), group_size, bits))


def loss(weight: mx.array, parts: Sequence[mx.array], hessian: np.ndarray, group_size: int, bits: int) -> float:
    error = np.array(weight) - dequantized(parts, group_size, bits)
    return float(np.einsum("oi,ij,oj->", error, hessian, error, optimize=True))


WEIGHT = mx.array((RNG.standard_normal((96, 256)) * 0.1).astype(np.float32))
INPUTS = correlated(2048, 256)
HESSIAN = INPUTS.T @ INPUTS


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_errors_are_compensated(bits: int, group_size: int) -> None:
    made = compensated(WEIGHT, HESSIAN, group_size, bits)
    plain = mx.quantize(WEIGHT.astype(mx.bfloat16), group_size, bits)
    ours, theirs = (loss(WEIGHT, q, HESSIAN, group_size, bits) for q in (made, plain))
    assert ours < 0.25 * theirs
    assert [p.shape for p in made] == [p.shape for p in plain]
    assert [p.dtype for p in made] == [mx.uint32, mx.bfloat16, mx.bfloat16]


def test_sweeps_lower_the_loss() -> None:
    losses = [loss(WEIGHT, compensated(WEIGHT, HESSIAN, 64, 4, sweeps=n), HESSIAN, 64, 4) for n in (0, 1, 3)]
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_independent_inputs_leave_rounding(bits: int) -> None:
    """With nothing to compensate, what remains is the choice of scales: never worse, never far from rounding."""
    eye = np.eye(256, dtype=np.float32)
    ours = loss(WEIGHT, compensated(WEIGHT, eye, 64, bits, mx.float32), eye, 64, bits)
    theirs = loss(WEIGHT, mx.quantize(WEIGHT, 64, bits), eye, 64, bits)
    assert 0.7 * theirs < ours < theirs
    made = compensated(WEIGHT, np.zeros((256, 256), np.float32), 64, bits, mx.float32)
    assert loss(WEIGHT, made, eye, 64, bits) == pytest.approx(ours, rel=1e-6)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16])
def test_values_are_those_of_mlx(bits: int, dtype: mx.Dtype) -> None:
    """Every number comes out of MLX as code * scale + bias with the codes that we packed."""
    codes = RNG.integers(0, 2**bits, (5, 128)).astype(np.uint8)
    scales, biases = (mx.array(RNG.standard_normal((5, 4)).astype(np.float32)).astype(dtype) for _ in range(2))
    s, b = (np.repeat(np.array(a.astype(mx.float32)), 32, axis=1) for a in (scales, biases))
    np.testing.assert_array_equal(dequantized((mx.array(pack(codes, bits)), scales, biases), 32, bits), codes * s + b)


def test_mlx_computes_what_was_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The codes chosen, times the scales returned, in their groups' places: bit for bit what MLX makes of it."""
    kept: list[np.ndarray] = []

    def spy(codes: np.ndarray, bits: int) -> np.ndarray:
        kept.append(codes)
        return pack(codes, bits)

    monkeypatch.setattr(gptq, "pack", spy)
    made = compensated(WEIGHT, HESSIAN, 64, 4)
    s, b = (np.repeat(np.array(a.astype(mx.float32)), 64, axis=1) for a in made[1:])
    np.testing.assert_array_equal(dequantized(made, 64, 4), kept[0] * s + b)


def test_same_input_same_bits() -> None:
    first, second = (compensated(WEIGHT, HESSIAN, 64, 4) for _ in range(2))
    assert all(mx.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_many_rows_are_as_few(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compensated(WEIGHT, HESSIAN, 64, 4)
    monkeypatch.setattr(gptq, "_ROWS", 40)
    parts = compensated(WEIGHT, HESSIAN, 64, 4)
    same = np.mean(dequantized(whole, 64, 4) == dequantized(parts, 64, 4))
    assert same > 0.98  # products of another size may round otherwise
    assert loss(WEIGHT, parts, HESSIAN, 64, 4) == pytest.approx(loss(WEIGHT, whole, HESSIAN, 64, 4), rel=0.02)


def test_silent_and_singular_inputs() -> None:
    """Fewer tokens than inputs, inputs that are always zero, inputs that are copies: no root without damping."""
    inputs = INPUTS[:20].copy()
    inputs[:, 40:90] = 0
    inputs[:, 100:120] = inputs[:, 120:140]
    hessian = inputs.T @ inputs
    made = compensated(WEIGHT, hessian, 64, 4, damping=0.0)
    plain = mx.quantize(WEIGHT.astype(mx.bfloat16), 64, 4)
    assert loss(WEIGHT, made, hessian, 64, 4) < 0.1 * loss(WEIGHT, plain, hessian, 64, 4)
    silent = np.diag(np.diag(hessian) == 0).astype(np.float32)
    careful = compensated(WEIGHT, hessian, 64, 4)
    assert loss(WEIGHT, careful, silent, 64, 4) < 2 * loss(WEIGHT, plain, silent, 64, 4)


def test_constant_groups_are_exact() -> None:
    weight = mx.full((8, 64), 0.5)
    made = compensated(weight, np.eye(64, dtype=np.float32), 64, 4)
    np.testing.assert_array_equal(dequantized(made, 64, 4), np.full((8, 64), 0.5))


def test_order_keeps_groups_whole() -> None:
    order = processing_order(np.array([1.0, 2, 9, 3, 5, 6]), 2)
    assert order.tolist() == [2, 3, 5, 4, 1, 0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hessian": np.eye(64)}, "Hessian of shape"),
        ({"group_size": 48}, "groups of 48"),
        ({"bits": 7}, "7 bits"),
        ({"hessian": np.full((256, 256), np.nan)}, "NaN"),
        ({"weight": mx.full((4, 256), float("inf"))}, "NaN or infinite"),
        ({"hessian": np.eye(256) - 1e6 * (1 - np.eye(256))}, "not positive"),
    ],
)
def test_what_does_not_fit(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compensated(**({"weight": WEIGHT, "hessian": HESSIAN, "group_size": 64, "bits": 4} | change))


# --- whole models ---------------------------------------------------------------------------


def shapes(**changes: Any) -> dict[str, Any]:
    wide = {"hidden_size": 64, "lru_width": 64, "intermediate_size": 256, "head_dim": 16, "vocab_size": 96}
    return checkpoints.config(**(wide | changes))


def small(seed: int = 3, **changes: Any) -> tuple[ModelConfig, Tensors]:
    """A random model in the network's layout."""
    c = shapes(**changes)
    config = ModelConfig.from_dict(c)
    weights = {k: mx.array(v) for k, v in checkpoints.weights(c, seed).items()}
    return config, RecurrentGemma(config).sanitize(weights)


def affine(bits: int = 4, group_size: int = 64, mode: str = "affine") -> Callable[[str], dict[str, Any] | None]:
    return lambda path: {"group_size": group_size, "bits": bits, "mode": mode}


def nothing(path: str) -> None:
    return None


def text(vocabulary: int, rows: int, time: int, seed: int = 0) -> list[list[int]]:
    """A skewed random walk: later tokens depend on earlier ones."""
    rng = np.random.default_rng(seed)
    steps = rng.geometric(0.2, (rows, time)).cumsum(axis=1)
    return (3 + steps % (vocabulary - 3)).tolist()


def all_tensors(config: ModelConfig, made: Calibrator) -> Tensors:
    tensors = made.embedding()
    for i in range(config.num_hidden_layers):
        tensors |= made.block(i)
    return tensors | made.final()


def loaded(config: ModelConfig, tensors: Tensors, quantization: dict[str, Any] | None = None) -> RecurrentGemma:
    config = replace(config, quantization=quantization)
    network = RecurrentGemma(config)
    checkpoint.build(config, tensors, network, mx.float32)
    return network


def log_probabilities(network: RecurrentGemma, rows: list[list[int]]) -> np.ndarray:
    return np.array(nn.log_softmax(network(mx.array(rows)), axis=-1)).astype(np.float64)


def divergence(right: np.ndarray, other: np.ndarray) -> float:
    return float((np.exp(right) * (right - other)).sum(axis=-1).mean())


def test_nothing_chosen_nothing_changed(tiny: rgmlx.Model) -> None:
    """The tensors are the source's, and the hidden states are the network's own, past the window too."""
    weights = dict(tree_flatten(tiny.parameters()))
    rows = text(tiny.config.vocab_size, 3, 40) + text(tiny.config.vocab_size, 2, 9, seed=1)
    made = Calibrator(tiny.config, weights.__getitem__, nothing, rows, mx.float32)
    tensors = made.embedding()
    for i in range(tiny.config.num_hidden_layers):
        tensors |= made.block(i)
    hidden = [np.array(h) for h in made._hidden]
    tensors |= made.final()
    assert set(tensors) == set(weights)
    assert all(mx.array_equal(tensors[n], w) for n, w in weights.items())
    norm = tiny.model.final_norm
    for mine, batch in zip(hidden, (rows[:3], rows[3:]), strict=True):
        normed = np.array(mx.fast.rms_norm(mx.array(mine), 1 + norm.weight, norm.eps))
        theirs = np.array(tiny.advance(mx.array(batch), tiny.new_state(len(batch))))
        np.testing.assert_allclose(normed, theirs, rtol=1e-5, atol=1e-5)


def test_hessians_are_of_what_layers_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against x^T x of the inputs as the finished, quantized model reads them."""
    config, weights = small()
    rows = text(96, 4, 24)
    seen: list[np.ndarray] = []

    def spy(weight: mx.array, hessian: np.ndarray, *rest: Any) -> Any:
        seen.append(hessian)
        return compensated(weight, hessian, *rest)

    monkeypatch.setattr(calibrate, "compensated", spy)
    tensors = all_tensors(config, Calibrator(config, weights.__getitem__, affine(), rows, mx.float32))
    network = loaded(config, tensors, {"group_size": 64, "bits": 4, "mode": "affine"})
    heard: dict[int, np.ndarray] = {}

    class Ear(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def __call__(self, x: mx.array) -> mx.array:
            flat = np.array(x).reshape(-1, x.shape[-1]).astype(np.float64)
            heard[id(self)] = np.einsum("ti,tj->ij", flat, flat)
            return self.inner(x)

    order = []
    for layer in network.layers:
        temporal = layer.temporal_block
        names = [*temporal.joins, "o_proj" if "o_proj" in temporal else "linear_out"]
        for part, name in [(temporal, n) for n in names] + [
            (layer.mlp_block, n) for n in (*layer.mlp_block.joins, "down_proj")
        ]:
            part[name] = Ear(part[name])
            order.append(part[name])
    mx.eval(network(mx.array(rows)))
    assert len(seen) == 1 + len(order)  # the embedding comes first
    for hessian, ear in zip(seen[1:], order, strict=True):
        right = heard[id(ear)]
        np.testing.assert_allclose(hessian, right, rtol=1e-3, atol=1e-4 * np.abs(right).max())


@pytest.mark.parametrize("mode", [("affine", 64, 4), ("mxfp4", 32, 4)])
def test_a_skipped_block_is_a_made_one(mode: tuple[str, int, int]) -> None:
    config, weights = small(tie_word_embeddings=False)
    choose = affine(mode[2], mode[1], mode[0])
    first, second = (Calibrator(config, weights.__getitem__, choose, text(96, 2, 16), mx.bfloat16) for _ in range(2))
    made = all_tensors(config, first)
    again = second.embedding()
    for i in range(config.num_hidden_layers):
        own = {n: w for n, w in made.items() if n.startswith(f"model.layers.{i}.")}
        if i % 2:
            again |= second.block(i)
        else:
            second.skip_block(i, own)
            again |= own
    again |= second.final()
    assert set(made) == set(again) and "lm_head.scales" in made
    assert all(mx.array_equal(w, again[n]) for n, w in made.items())
    loaded(config, made, {"group_size": mode[1], "bits": mode[2], "mode": mode[0]})


def test_some_modules_are_left(tmp_path: Path) -> None:
    config, weights = small()

    def choose(path: str) -> dict[str, Any] | None:
        if "up_proj" in path:
            return None
        return {"group_size": 32, "bits": 8 if "embed" in path else 3, "mode": "affine"}

    tensors = all_tensors(config, Calibrator(config, weights.__getitem__, choose, text(96, 2, 16), mx.float16))
    assert tensors["model.embed_tokens.weight"].shape == (96, 64 * 8 // 32)
    assert "model.layers.1.mlp_block.up_proj.scales" not in tensors
    assert {w.dtype for n, w in tensors.items() if f"{n.removesuffix('.weight')}.scales" not in tensors} == {mx.float16}
    settings = {"group_size": 32, "bits": 3, "mode": "affine"}
    loaded(config, tensors, settings | {"model.embed_tokens": settings | {"bits": 8}})


def test_turns_are_kept() -> None:
    config, weights = small()
    with pytest.raises(ValueError, match="no tokens"):
        Calibrator(config, weights.__getitem__, nothing, [[]], mx.float32)
    made = Calibrator(config, weights.__getitem__, nothing, text(96, 1, 4), mx.float32)
    with pytest.raises(ValueError, match="block -1 is due, not 0"):
        made.block(0)
    made.embedding()
    with pytest.raises(ValueError, match="block 0 is due, not 4"):
        made.final()


def test_divergence_falls(demo: rgmlx.Model) -> None:
    """The embedded model, its first block and 1,024 of its pieces: on the text of its calibration, compensated 3 bits
    stay nearer to it.
    """
    ids = demo.text_tokenizer().encode(SAMPLE)[:64]
    kept = sorted([*dict.fromkeys([*ids, *range(1024)])][:1024])
    config = replace(demo.config, num_hidden_layers=1, vocab_size=len(kept), quantization=None)
    plain = dense(demo, config)
    plain["model.embed_tokens.weight"] = plain["model.embed_tokens.weight"][mx.array(kept)]
    rng = np.random.default_rng(5)
    rows = [[kept.index(i) for i in ids]]
    rows = [rows[0][i:] + rows[0][:i] for i in rng.integers(0, 64, 3)]
    settings = {"group_size": 64, "bits": 3, "mode": "affine"}
    ours = all_tensors(config, Calibrator(config, plain.__getitem__, affine(3), rows[:2], mx.bfloat16))
    rounded = loaded(config, plain)
    nn.quantize(rounded, 64, 3)
    right = log_probabilities(loaded(config, plain), rows[2:])
    good = divergence(right, log_probabilities(loaded(config, ours, settings), rows[2:]))
    poor = divergence(right, log_probabilities(rounded, rows[2:]))
    assert good < 0.8 * poor


SAMPLE = (
    "Once upon a time there was a small fox who lived under an old oak. Every morning she went down to the river to "
    "see whether the geese had come back. The geese had not come back, but a heron stood there on one leg. Good day, "
    "said the fox, what do you know of the geese? They will come with the rain, said the heron, and it will rain when "
    "the wind turns. So the fox sat down and waited for the wind, and while she waited she counted the leaves."
)


def dense(model: rgmlx.Model, config: ModelConfig) -> Tensors:
    """A quantized model's tensors made float32, as many blocks as the config has."""
    tensors = dict(tree_flatten(model.parameters()))
    quantized = {n.removesuffix(".scales") for n in tensors if n.endswith(".scales")}
    out = {
        n: w.astype(mx.float32)
        for n, w in tensors.items()
        if n.rsplit(".", 1)[0] not in quantized or n.endswith(".bias")
    }
    for path in quantized:
        w, s, b = (tensors[f"{path}.{part}"] for part in ("weight", "scales", "biases"))
        bits = 32 * w.shape[-1] // (64 * s.shape[-1])  # six where four would cost most
        out[f"{path}.weight"] = mx.dequantize(w, s.astype(mx.float32), b.astype(mx.float32), 64, bits)
    names = {n for n, _ in tree_flatten(RecurrentGemma(config).parameters())}
    return {n: w for n, w in out.items() if n in names}


# --- the correction of what a text has drifted --------------------------------------------


def test_the_correction_goes_half_way_back_to_the_exact_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    drifted = rng.standard_normal((4000, 24)).astype(np.float32)
    exact = drifted @ (np.eye(24) + 0.1 * rng.standard_normal((24, 24))).astype(np.float32)
    stream = drifted @ (0.1 * rng.standard_normal((24, 8))).astype(np.float32)
    weight = rng.standard_normal((8, 24)).astype(np.float32)
    monkeypatch.setattr(calibrate, "_DAMPING", 0.0)
    sums = calibrate._Sums(drifted.T @ drifted, exact.T @ drifted, stream.T @ drifted)
    got = drifted @ np.array(sums.corrected(mx.array(weight))).T
    plain, whole = drifted @ weight.T, exact @ weight.T + stream
    assert np.abs(got - (plain + whole) / 2).max() < 1e-3 * np.abs(whole).max()


def test_the_correction_keeps_the_text_from_drifting(monkeypatch: pytest.MonkeyPatch) -> None:
    """With it, the hidden states of the quantized network stay nearer to the exact ones, on text not calibrated for."""
    c = checkpoints.config(hidden_size=64, lru_width=64, head_dim=32, intermediate_size=256, num_hidden_layers=3)
    config, weights = ModelConfig.from_dict(c), checkpoints.weights(c)
    network = RecurrentGemma(config)
    sources = network.sanitize({n: mx.array(w) for n, w in weights.items()})
    rng = np.random.default_rng(1)
    chance = np.arange(1, 65) / np.arange(1, 65).sum()
    rows, others = (rng.choice(64, (n, 64), p=chance).tolist() for n in (16, 4))
    settings = {"group_size": 32, "bits": 3, "mode": "affine"}

    def drift(correction: float) -> float:
        monkeypatch.setattr(calibrate, "_CORRECTION", correction)
        calibrator = Calibrator(config, sources.__getitem__, lambda _: settings, rows, mx.float32)
        made = calibrator.embedding()
        for i in range(config.num_hidden_layers):
            made |= calibrator.block(i)
        made |= calibrator.final()
        hidden = []
        for tensors in (sources, made):
            dense = {}
            for name in sources:
                base = name.removesuffix("weight")
                parts = [
                    tensors[name],
                    *(tensors[f"{base}{p}"] for p in ("scales", "biases") if f"{base}{p}" in tensors),
                ]
                dense[name] = mx.dequantize(*parts, **settings) if len(parts) == 3 else parts[0]
            network.load_weights(list(dense.items()))
            hidden.append(network(mx.array(others)))
        return float(mx.square(hidden[0] - hidden[1]).mean().item())

    assert drift(0.5) < 0.9 * drift(0.0)
