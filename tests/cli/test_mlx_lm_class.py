"""Our class beside mlx-lm's own: arguments, calls, caches, and the numbers it computes and saves."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import checkpoints
import mlx.core as mx
import numpy as np
import oracle
import pytest
import rooms
from mlx.utils import tree_flatten
from mlx_lm.generate import generate_step
from mlx_lm.models import recurrent_gemma as stock
from mlx_lm.models.cache import ArraysCache, KVCache, RotatingKVCache, make_prompt_cache
from mlx_lm.utils import load_model, save_model

import rgmlx
from rgmlx.convert import pipeline, recipe
from rgmlx.errors import ConfigError, RgmlxError
from rgmlx.griffin.config import ModelConfig
from rgmlx.mlx_lm import Model, ModelArgs
from rgmlx.weights.checkpoint import read_weights
from rgmlx.weights.hub import demo_directory

ARGUMENTS: dict[str, Any] = {
    "model_type": "recurrent_gemma",
    "attention_bias": False,
    "conv1d_width": 4,
    "hidden_size": 32,
    "intermediate_size": 96,
    "logits_soft_cap": 30.0,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "attention_window_size": 8,
    "vocab_size": 64,
}
PATTERN = ["recurrent", "recurrent", "attention"]


def ours(directory: Path) -> Model:
    """What `mlx_lm.load` gives after `register()`."""
    return load_model(directory, get_model_classes=lambda config: (Model, ModelArgs))[0]


# --- arguments and calls ------------------------------------------------------------------


def test_23_arguments_are_those_of_mlx_lm() -> None:
    """Names, order and defaults; after them every other field of a config.json."""
    theirs = inspect.signature(stock.ModelArgs).parameters
    own = list(inspect.signature(ModelArgs).parameters.values())
    assert [(p.name, p.default) for p in own[:-1]] == [(p.name, p.default) for p in theirs.values()]
    assert own[-1].kind is inspect.Parameter.VAR_KEYWORD
    calls = [inspect.signature(c.__call__).parameters for c in (stock.Model, Model)]
    assert list(calls[1])[: len(calls[0])] == list(calls[0]) and "inputs" in calls[1]


@pytest.mark.parametrize("block_types", [{"block_types": PATTERN}, {"_block_types": PATTERN}], ids=["2b", "9b"])
def test_23_a_model_from_keywords_is_the_one_of_mlx_lm(block_types: dict[str, list[str]]) -> None:
    args = ModelArgs(**ARGUMENTS, **block_types)
    model, theirs = Model(args), stock.Model(stock.ModelArgs(**ARGUMENTS, **block_types))
    assert args.model_type == model.model_type == "recurrent_gemma" and model.args is args
    assert args.vocab_size == 64 and args.num_hidden_layers == len(model.layers)
    shapes = [{k: w.shape for k, w in tree_flatten(m.parameters())} for m in (model, theirs)]
    assert shapes[0] == {k: s for k, s in shapes[1].items() if k != "lm_head.weight"}  # which is tied in all of them
    positional = ModelArgs(*ARGUMENTS.values(), True, PATTERN)
    assert positional.config == args.config == copy.deepcopy(args).config == pickle.loads(pickle.dumps(args)).config
    assert ModelArgs(**ARGUMENTS, lru_width=48, tie_word_embeddings=False).config.lru_width == 48


def test_23_from_dict_is_the_config(tmp_path: Path) -> None:
    data = json.loads((demo_directory() / "config.json").read_text())
    assert ModelArgs.from_dict(data).config == ModelConfig.from_dict(data)
    assert ModelArgs.from_dict(data | {"quantize_activations": False}).config == ModelConfig.from_dict(data)
    with pytest.raises(ConfigError, match="rope_scaling"):
        ModelArgs.from_dict(data | {"rope_scaling": {"factor": 2}})
    with pytest.raises(ConfigError, match="hidden_size"):
        ModelArgs(**ARGUMENTS | {"hidden_size": 0})
    with pytest.raises(ConfigError, match="colour"):
        ModelArgs(**ARGUMENTS, colour="red")


def test_23_tokens_and_inputs(tiny: rgmlx.Model) -> None:
    tokens = mx.array([[1, 2, 3]])
    want = tiny(tokens)
    for got in (tiny(tokens=tokens), tiny(inputs=tokens), tiny(inputs=tokens, cache=make_prompt_cache(tiny))):
        assert oracle.relative_error(np.array(got), np.array(want)) < 2e-6
    for wrong in ({}, {"tokens": tokens, "inputs": tokens}):
        with pytest.raises(TypeError, match="once"):
            tiny(**wrong)


# --- caches -------------------------------------------------------------------------------


def filled(**changes: Any) -> list[Any]:
    """The cache of a network that is like `base()`, but for some changes, with three tokens in it."""
    network = base(**changes)
    cache = make_prompt_cache(network)
    network(mx.array([[1, 2, 3]]), cache=cache)
    return cache


def base(**changes: Any) -> Model:
    return Model(ModelConfig.from_dict(checkpoints.config(**changes)))


def half_filled() -> list[Any]:
    cache = filled()
    cache[1][2] = None
    return cache


FOREIGN: dict[str, tuple[Any, str]] = {
    "KV caches": (lambda: [KVCache() for _ in range(4)], "layer 0 of the cache is another model's (KVCache)"),
    "stock's": (lambda: stock.Model(stock.ModelArgs(**ARGUMENTS, block_types=PATTERN)).make_cache(), "(ArraysCache)"),
    "one KV cache": (lambda: [*filled()[:2], RotatingKVCache(8), filled()[3]], "layer 2 of the cache is another"),
    "too few": (lambda: filled()[:3], "the cache has 3 layers, this model 4"),
    "too many": (lambda: filled() + filled(), "the cache has 8 layers, this model 4"),
    "none": (list, "the cache has 0 layers"),
    "Nones": (lambda: [None] * 4, "layer 0 of the cache is another model's (NoneType)"),
    "slots": (lambda: [ArraysCache(size=4) for _ in range(4)], "layer 0 of the cache is another model's"),
    "another width": (lambda: filled(lru_width=48), "layer 0 of the cache is another model's (shapes"),
    "another window": (lambda: filled(attention_window_size=9), "layer 2 of the cache is another model's (shapes"),
    "another pattern": (lambda: filled(block_types=["attention", "recurrent"]), "layer 0 of the cache is another"),
    "a layer lost": (half_filled, "layer 1 of the cache is another model's"),
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_23_a_foreign_cache_is_one_sentence(foreign: str) -> None:
    make, said = FOREIGN[foreign]
    network = base()
    with pytest.raises(RgmlxError) as caught:
        network(mx.array([[1, 2]]), cache=make())
    assert said in str(caught.value) and "make_prompt_cache(model)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_23_a_cache_of_another_number_of_rows_is_one_sentence() -> None:
    with pytest.raises(RgmlxError, match="the cache is for 1 rows, the tokens have 2"):
        base()(mx.array([[1, 2], [3, 4]]), cache=filled())


def test_23_a_cache_in_16_bits_goes_on_in_float32() -> None:
    """One from a file that was made on a GPU."""
    network, cache = base(), filled()
    for c in cache:
        c.cache = [a if a.dtype == mx.int64 else a.astype(mx.bfloat16) for a in c.cache]
    network(mx.array([[4]]), cache=cache)
    assert {a.dtype for c in cache for a in c.cache} == {mx.float32, mx.int64}


# --- numbers ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden checkpoint in bfloat16."""
    target = tmp_path_factory.mktemp("dense") / "tiny"
    source = rooms.TESTS / "goldens" / "tiny"
    assert list(pipeline.run(pipeline.Job(str(source), target, recipe.RECIPES["bf16"], verify=False), lambda *_: None))
    return target


@pytest.mark.parametrize("packed", [True, False], ids=["4 bits", "bfloat16"])
def test_23_a_cpu_computes_in_float32(packed: bool, dense: Path) -> None:
    """What a model from `rgmlx.load` computes with the same weights in float32, to a rounding."""
    directory = demo_directory() if packed else dense
    model, exact = ours(directory), rgmlx.load(directory, dtype="float32")
    assert model.compute_dtype == mx.float32
    prompt = [2, 5, 9, 30, 31, 32, 7]
    cache, state = make_prompt_cache(model), exact.new_state()
    for tokens in (prompt, [3]):  # a chunk and a step
        got, want = model(mx.array([tokens]), cache=cache), exact.logits([tokens], state)
        assert got.dtype == mx.float32 and oracle.relative_error(np.array(got), np.array(want)) < 2e-6
    got, want = (np.array(m(mx.array([prompt]))) for m in (model, exact))
    assert oracle.relative_error(got, want) < 2e-6
    assert {a.dtype for c in cache for a in c.cache} == {mx.float32, mx.int64}
    ids = [[t for t, _ in generate_step(mx.array(prompt), m, max_tokens=3)] for m in (model, exact)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize("packed", [True, False], ids=["4 bits", "bfloat16"])
def test_23_what_is_saved_is_what_was_loaded(packed: bool, dense: Path, tmp_path: Path) -> None:
    """Computing in float32 leaves the parameters alone: mlx-lm saves every bit that was read."""
    directory = demo_directory() if packed else dense
    model = ours(directory)
    model(mx.array([[1, 2, 3]]))
    save_model(tmp_path, model)
    saved, read = read_weights(tmp_path), model.sanitize(read_weights(directory))
    assert saved.keys() == read.keys()
    assert all(saved[n].dtype == read[n].dtype and mx.array_equal(saved[n], read[n]) for n in read)


def test_23_quantized_gates_load_through_mlx_lm(tmp_path: Path) -> None:
    own = recipe.Recipe("gates", None, (("*.rg_lru.*_gate", recipe.settings(8, 32)),))
    config = checkpoints.config(lru_width=64, num_attention_heads=2, head_dim=16)
    source = checkpoints.write(tmp_path / "source", config, checkpoints.weights(config))
    assert list(pipeline.run(pipeline.Job(str(source), tmp_path / "out", own, verify=False), lambda *_: None))
    tokens = [[1, 2, 3, 4]]
    want = rgmlx.load(tmp_path / "out", dtype="float32").logits(tokens)
    assert mx.array_equal(
        ours(tmp_path / "out")(mx.array(tokens), cache=make_prompt_cache(ours(tmp_path / "out"))), want
    )
