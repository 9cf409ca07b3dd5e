"""Tensor parallelism: real processes over MLX's ring compute what one does, and hand their states to any number of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import checkpoints
import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import ranked
from mlx.utils import tree_flatten
from mlx_lm.tuner.lora import LoRALinear

import rgmlx
from rgmlx.errors import RgmlxError, StateError
from rgmlx.generation.engine import Generation, generate_batch
from rgmlx.generation.samples import generate_samples
from rgmlx.griffin import sharding
from rgmlx.griffin.config import PRESETS, ModelConfig
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.griffin.state import State
from rgmlx.settings import Sampling

WIDE: dict[str, Any] = {
    "hidden_size": 64,
    "lru_width": 128,
    "head_dim": 32,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "attention_window_size": 8,
    "num_hidden_layers": 3,
}
SHAPES: dict[str, dict[str, Any]] = {
    "dense": {"vocab_size": 61},  # which no number of ranks divides
    "4-bit": {"quantization": {"group_size": 32, "bits": 4, "mode": "affine"}},
    "untied": {"tie_word_embeddings": False, "attention_bias": True, "conv1d_width": 1, "logits_soft_cap": 0.0},
}
SIZES = (1, 2, 4)
TOLERANCE = 1e-5


def written(directory: Path, **changes: Any) -> Path:
    """A random checkpoint, quantized where its config says so."""
    c = checkpoints.config(**WIDE | changes)
    plain = {k: v for k, v in c.items() if k != "quantization"}
    checkpoints.write(directory, plain, checkpoints.weights(c))
    if "quantization" in c:
        model = rgmlx.load(directory, dtype="float32")
        nn.quantize(model, **c["quantization"])
        arrays = {k: np.array(v) for k, v in tree_flatten(model.parameters())}
        checkpoints.write(directory, c, arrays)
    return directory


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("models")
    return {name: written(place / name, **changes) for name, changes in SHAPES.items()}


@pytest.fixture(scope="module")
def alone(models: dict[str, Path]) -> dict[str, Any]:
    """What one process computes without any group."""
    found: dict[str, Any] = {}
    for name, directory in models.items():
        model = rgmlx.load(directory, dtype="float32")
        state = model.new_state(2)
        found[f"{name} logits"], found[f"{name} ids"] = ranked.outputs(model, state), ranked.greedy(model)
        found[f"{name} drawn"], found[f"{name} rows"] = ranked.drawn(model), ranked.rows(model)
        found[f"{name} scores"], found[f"{name} nbytes"] = ranked.scores(model), state.nbytes
        found[f"{name} resumed"] = ranked.resumed(model, state)
    return found


Runs = dict[int, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    return {size: tmp_path_factory.mktemp(f"ranks-{size}") for size in SIZES}


@pytest.fixture(scope="module")
def runs(places: dict[int, Path], models: dict[str, Path]) -> Runs:
    """Each number of ranks goes on from the states of the one before, too."""
    before = dict(zip(SIZES, (SIZES[0], *SIZES), strict=False))
    return {size: ranked.run(size, places[size], "states", places[before[size]], *models.values()) for size in SIZES}


def assert_close(found: np.ndarray, wanted: np.ndarray) -> None:
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_ranks_compute_what_one_process_does(size: int, name: str, runs: Runs, alone: dict[str, Any]) -> None:
    for found in runs[size]:
        assert_close(found[f"{name} logits"], alone[f"{name} logits"])
        assert found[f"{name} ids"].tolist() == alone[f"{name} ids"]
        assert found[f"{name} drawn"].tolist() == alone[f"{name} drawn"]
        assert found[f"{name} rows"].tolist() == alone[f"{name} rows"].tolist()
        assert_close(found[f"{name} scores"], alone[f"{name} scores"])
        assert np.array_equal(found[f"{name} logits"], runs[size][0][f"{name} logits"]), "ranks differ, and would part"


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_a_rank_has_its_share_of_the_state(size: int, name: str, runs: Runs, alone: dict[str, Any]) -> None:
    for found in runs[size]:
        assert found[f"{name} nbytes"] == found[f"{name} expected nbytes"]
        assert found[f"{name} whole nbytes"] == alone[f"{name} nbytes"]
        assert (found[f"{name} nbytes"] < alone[f"{name} nbytes"]) == (size > 1)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_a_gathered_state_goes_on_in_one_process(
    size: int, name: str, runs: Runs, places: dict[int, Path], models: dict[str, Path], alone: dict[str, Any]
) -> None:
    for found in runs[size]:
        assert_close(found[f"{name} resumed"], alone[f"{name} resumed"])
        assert np.array_equal(found[f"{name} resumed"], found[f"{name} resumed scattered"])
    model = rgmlx.load(models[name], dtype="float32")
    state = State.load(places[size] / f"{name}.rgstate", model)
    assert_close(ranked.resumed(model, state), alone[f"{name} resumed"])


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("size", SIZES[1:])
def test_a_gathered_state_goes_on_with_other_ranks(size: int, name: str, runs: Runs, alone: dict[str, Any]) -> None:
    for found in runs[size]:
        assert_close(found[f"{name} resumed other"], alone[f"{name} resumed"])


def test_a_number_of_ranks_that_does_not_do_is_one_sentence(tmp_path: Path) -> None:
    directory = written(tmp_path / "nine", num_attention_heads=9, lru_width=144, intermediate_size=288)
    ids = ranked.greedy(rgmlx.load(directory, dtype="float32"))
    for found in ranked.run(2, tmp_path / "out", "refuse", directory):
        assert str(found["said"]) == (
            "this model can't be shared out on 2 ranks, only on 1, 3 or 9: its heads, its MLP and the groups of its "
            "quantization have to be divisible by their number"
        )
        assert found["ids"].tolist() == ids


def test_mlx_lm_runs_with_ranks(tmp_path: Path) -> None:
    directory = checkpoints.of_demo(tmp_path / "demo")
    for name in ("tokenizer.model", "tokenizer_config.json"):
        (directory / name).write_bytes((rgmlx.weights.hub.demo_directory() / name).read_bytes())
    one, two = (ranked.run(size, tmp_path / str(size), "mlx_lm", directory) for size in (1, 2))
    assert [int(found["width"]) for found in two] == [int(one[0]["width"]) // 2] * 2
    assert len(one[0]["ids"]) == 14
    assert two[0]["held"] < 0.55 * one[0]["held"] and two[0]["peak"] < one[0]["peak"], "more than a share is in memory"
    for found in two:
        assert found["ids"].tolist() == one[0]["ids"].tolist()
        assert_close(found["logprobs"], one[0]["logprobs"])


# --- one process is enough ----------------------------------------------------------------


class Rank:
    """One of several that talk to nobody."""

    def __init__(self, rank: int, size: int) -> None:
        self._rank, self._size = rank, size

    def rank(self) -> int:
        return self._rank

    def size(self) -> int:
        return self._size


def shared(model: Any, rank: int = 0, size: int = 2) -> Any:
    model.shard(Rank(rank, size))
    return model


def test_ranks_of_the_published_models() -> None:
    """Nothing of these is computed, so that they take no memory."""
    assert sharding.possible_ranks(RecurrentGemma(PRESETS["2b"])) == [1, 2, 5, 10]
    model = RecurrentGemma(PRESETS["9b"])
    assert sharding.possible_ranks(model) == [1, 2, 4, 8, 16]
    nn.quantize(model, group_size=64, bits=4)
    assert sharding.possible_ranks(model) == [1, 2, 4, 8, 16]


@pytest.mark.parametrize(
    ("changes", "ranks"),
    [
        ({"num_key_value_heads": 2}, [1, 2]),
        ({"intermediate_size": 252}, [1, 2]),
        ({"num_attention_heads": 8, "lru_width": 64, "head_dim": 16}, [1, 2, 4, 8]),
    ],
)
def test_what_has_to_be_divisible(changes: dict[str, Any], ranks: list[int]) -> None:
    model = RecurrentGemma(ModelConfig.from_dict(checkpoints.config(**WIDE | changes)))
    assert sharding.possible_ranks(model) == ranks


def test_columns_are_cut_between_groups() -> None:
    model = RecurrentGemma(ModelConfig.from_dict(checkpoints.config(**WIDE)))
    nn.quantize(model, group_size=64, bits=4)
    assert sharding.possible_ranks(model) == [1, 2]


@pytest.mark.parametrize("kv", [1, 2])
def test_ranks_have_all_parameters_once(kv: int) -> None:
    changes = {"num_key_value_heads": kv, "attention_bias": True, "tie_word_embeddings": False}
    c = ModelConfig.from_dict(checkpoints.config(**WIDE | changes))
    whole = RecurrentGemma(c)
    before = dict(tree_flatten(whole.parameters()))
    shares = []
    for rank in range(2):
        model = RecurrentGemma(c)
        model.load_weights(list(before.items()))
        shares.append(dict(tree_flatten(shared(model, rank).parameters())))
    for name, array in before.items():
        a, b = (share[name] for share in shares)
        axes = [axis for axis in range(array.ndim) if a.shape[axis] != array.shape[axis]]
        assert len(axes) <= 1
        assert mx.array_equal(mx.concatenate([a, b], axis=axes[0]) if axes else a, array), name
        every_rank = ("norm.weight", "linear_out.bias", "o_proj.bias", "down_proj.bias")
        replicated = name.endswith(every_rank) or (kv == 1 and ("k_proj" in name or "v_proj" in name))
        assert bool(axes) != replicated, name


def test_what_a_share_is_not_for(tiny: rgmlx.Model, models: dict[str, Path], tmp_path: Path) -> None:
    model = shared(rgmlx.load(models["dense"], dtype="float32"))
    whole = rgmlx.load(models["dense"], dtype="float32")
    with pytest.raises(RgmlxError, match="shared out on ranks already"):
        shared(model)
    with pytest.raises(StateError, match="only a whole state of this model"):
        model.scatter(tiny.new_state())
    with pytest.raises(StateError, match="only a whole state of this model"):
        model.scatter(model.new_state())
    with pytest.raises(StateError, match="rank 1 of 2"):
        whole.logits([[1]], model.new_state())
    model.new_state().save(tmp_path / "share.rgstate")
    with pytest.raises(StateError, match="rank 1 of 2"):
        State.load(tmp_path / "share.rgstate", whole)
    state, read, drawing = model.new_state(), model.new_state(), Sampling(temperature=1.0)
    read.positions = [1]
    for drawn in (
        lambda: Generation(model, state, [2], sampling=drawing),
        lambda: generate_batch(model, state, [[2]], sampling=drawing),
        lambda: generate_samples(model, read, [drawing]),
    ):
        with pytest.raises(RgmlxError, match="from the same seed only"):
            drawn()
    model.train()
    with pytest.raises(RgmlxError, match="not trained"):
        model(mx.array([[1, 2]]))
    with pytest.raises(RgmlxError, match="not trained"):
        model.packed(mx.array([[1, 2]]), mx.array([[0, 1]]))


def test_a_model_with_adapters_is_not_shared_out() -> None:
    config = ModelConfig.from_dict(checkpoints.config(**WIDE, vocab_size=61))
    model = RecurrentGemma(config)
    _adapt(model)
    with pytest.raises(RgmlxError, match="fuse them first"):
        shared(model)
    assert model.config == config
    model = shared(RecurrentGemma(config).eval())
    _adapt(model)
    with pytest.raises(RgmlxError, match="takes no adapters"):
        model(mx.array([[1, 2]]))


def _adapt(model: RecurrentGemma) -> None:
    block = model.layers[0].temporal_block
    block.linear_out = LoRALinear.from_base(block.linear_out)


def test_a_model_without_ranks_is_its_own_whole(tiny: rgmlx.Model) -> None:
    tiny.shard(Rank(0, 1))
    state = tiny.new_state()
    tiny.logits([[1, 2, 3]], state)
    assert tiny.whole is tiny
    for other in (tiny.gather(state), tiny.scatter(state)):
        assert other is not state and other.position == 3
        assert all(mx.array_equal(a, b) for a, b in zip(other.arrays(), state.arrays(), strict=True))
