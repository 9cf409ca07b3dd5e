"""How a conversion lays its tensors out: Hugging Face's way without quantization, mlx-lm's way with it.

`scripts/check_transformers.py` loads the same conversions in transformers and compares logits; `goldens/transformers.json`,
which it writes, holds the tensors that transformers itself saves for the golden checkpoints.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import checkpoints
import mlx.core as mx
import mlx_lm
import numpy as np
import oracle
import pytest
import rooms
from mlx_lm.utils import load_model
from transformers import AutoConfig

import rgmlx
from rgmlx.convert import pipeline, recipe
from rgmlx.convert.pipeline import Job
from rgmlx.convert.recipe import Recipe
from rgmlx.errors import CheckpointError
from rgmlx.griffin.config import ModelConfig
from rgmlx.system.files import read_header
from rgmlx.weights.hub import demo_directory

GOLDENS = rooms.TESTS / "goldens"
TRANSFORMERS: dict[str, dict[str, Any]] = json.loads((GOLDENS / "transformers.json").read_text())
DENSE = Recipe("dequantized", None)
FOUR = Recipe("4bit", recipe.settings(4, 32))
CONV = "model.layers.0.temporal_block.conv_1d.weight"


def convert(source: Path, target: Path, chosen: Recipe, **options: Any) -> Path:
    assert list(pipeline.run(Job(str(source), target, chosen, verify=False, **options), lambda *_: None))
    return target


def header(directory: Path) -> dict[str, list[Any]]:
    """Tensor name -> [dtype, shape], as the file says."""
    entries, _ = read_header(directory / "model.safetensors", CheckpointError)
    return {name: [entry["dtype"], entry["shape"]] for name, entry in sorted(entries.items())}


@pytest.fixture(params=["bf16", "-d", "keep"])
def unquantized(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Converts a checkpoint to one without a quantized tensor, in each way that there is."""

    def make(source: Path) -> Path:
        if request.param == "bf16":
            return convert(source, tmp_path / "out", recipe.RECIPES["bf16"])
        if request.param == "keep":
            return convert(source, tmp_path / "out", Recipe("keep", None), dtype="bfloat16")
        packed = convert(source, tmp_path / "4bit", FOUR)
        return convert(packed, tmp_path / "out", DENSE, dequantize=True, dtype="bfloat16")

    return make


@pytest.mark.parametrize("golden", TRANSFORMERS)
def test_24_unquantized_tensors_are_named_and_shaped_as_transformers_saves_them(unquantized: Any, golden: str) -> None:
    out = unquantized(GOLDENS / golden)
    assert header(out) == TRANSFORMERS[golden]
    shape = TRANSFORMERS[golden][CONV][1]
    assert shape[1:] == [1, 4]
    source = mx.load(str(GOLDENS / golden / "model.safetensors"))[CONV].astype(mx.bfloat16)
    assert mx.array_equal(mx.load(str(out / "model.safetensors"))[CONV], source)
    model = rgmlx.load(out, dtype="float32")
    assert oracle.relative_error(np.array(model.logits([[3, 4, 5]])), reference(golden)) < 0.7  # 4 bits at worst


def reference(golden: str) -> np.ndarray:
    return np.array(rgmlx.load(GOLDENS / golden, dtype="float32").logits([[3, 4, 5]]))


@pytest.mark.parametrize("golden", TRANSFORMERS)
def test_24_its_config_says_the_same_to_transformers(unquantized: Any, golden: str) -> None:
    """Also where the source has the block pattern under its old name alone, which transformers 5 does not read."""
    out = unquantized(GOLDENS / golden)
    theirs, ours = AutoConfig.from_pretrained(out), ModelConfig.from_file(out / "config.json")
    names = {"linear_attention": "recurrent", "sliding_attention": "attention"}
    assert [names[kind] for kind in theirs.layers_block_type] == list(ours.layer_types)
    assert theirs.tie_word_embeddings == ours.tie_word_embeddings
    assert str(theirs.dtype).removeprefix("torch.") == "bfloat16"


def test_24_mlx_lm_takes_unquantized_output(unquantized: Any) -> None:
    """Stock mlx-lm, strictly: every tensor has its shape; its arithmetic has a shorter window and another eps."""
    out = unquantized(GOLDENS / "tiny")
    stock, _ = load_model(out)
    assert type(stock).__module__ == "mlx_lm.models.recurrent_gemma"
    theirs = np.array(stock(mx.array([[3, 4, 5, 6]])).astype(mx.float32))
    ours = np.array(rgmlx.load(out, dtype="float32").logits([[3, 4, 5, 6]]))
    assert oracle.relative_error(ours, theirs) < 0.05  # it computes in bfloat16


def test_24_converting_it_again_gives_the_same_codes(tmp_path: Path) -> None:
    """Through Hugging Face's layout and back into MLX's, byte for byte as without the detour."""
    dense = convert(GOLDENS / "tiny", tmp_path / "dense", recipe.RECIPES["bf16"])
    detour = convert(dense, tmp_path / "detour", FOUR)
    direct = convert(GOLDENS / "tiny", tmp_path / "direct", FOUR, dtype="bfloat16")
    assert header(dense)[CONV][1] == [64, 1, 4] and header(direct)[CONV][1] == [64, 4, 1]
    a, b = ((d / "model.safetensors").read_bytes() for d in (detour, direct))
    assert a == b


def test_24_quantized_output_is_bit_for_bit_that_of_mlx_lm(tmp_path: Path) -> None:
    """`mlx_lm.convert -q` on the same source: names, shapes, dtypes and bytes."""
    config = checkpoints.config(
        hidden_size=64, lru_width=64, intermediate_size=192, head_dim=16, vocab_size=8192, torch_dtype="bfloat16"
    )
    tensors = {k: mx.array(w).astype(mx.bfloat16) for k, w in checkpoints.weights(config).items()}
    source = checkpoints.write(tmp_path / "source", config, tensors)
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(demo_directory() / name, source)
    mlx_lm.convert(str(source), mlx_path=str(tmp_path / "theirs"), quantize=True, q_group_size=32, q_bits=4)
    ours = convert(source, tmp_path / "ours", FOUR)
    assert header(ours) == header(tmp_path / "theirs")
    a, b = (mx.load(str(d / "model.safetensors")) for d in (ours, tmp_path / "theirs"))
    assert [n for n in a if not mx.array_equal(a[n], b[n])] == []
