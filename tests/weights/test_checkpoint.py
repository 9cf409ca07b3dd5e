"""Weights from a directory: every layout gives the same logits, every damage is one sentence with a name."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoints
import mlx.core as mx
import numpy as np
import oracle
import pytest

import rgmlx
from rgmlx.diagnosis.info import describe
from rgmlx.errors import CheckpointError, ConfigError, RgmlxError, TokenizerError
from rgmlx.weights.checkpoint import read_weights
from rgmlx.weights.checksums import INDEX
from rgmlx.weights.hub import demo_directory

EXACT = 2e-6  # relative, float32 against float64
CONFIG = checkpoints.config()
WEIGHTS = checkpoints.weights(CONFIG)
TOKENS = [[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7]]
SOME = "model.layers.2.temporal_block.q_proj.weight"


def write(directory: Path, shards: int = 1, **changed: np.ndarray | None) -> Path:
    """The random checkpoint with some tensors replaced, or left out with None; `__` stands for a dot."""
    tensors = WEIGHTS | {k.replace("__", "."): v for k, v in changed.items()}
    return checkpoints.write(directory, CONFIG, {k: v for k, v in tensors.items() if v is not None}, shards)


def logits(directory: Path) -> np.ndarray:
    return np.array(rgmlx.load(directory, dtype="float32").logits(TOKENS))


def error(directory: Path) -> str:
    """The one sentence that refuses a checkpoint when it is loaded; the directory in it as `DIR`."""
    with pytest.raises(CheckpointError) as caught:
        rgmlx.load(directory)
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(directory), "DIR")


# --- layouts ------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [2, 5])
def test_shards_load_as_the_single_file(tmp_path: Path, shards: int) -> None:
    one, many = write(tmp_path / "one"), write(tmp_path / "many", shards)
    assert len(list(many.glob("*.safetensors"))) == shards
    assert np.array_equal(logits(one), logits(many))
    assert rgmlx.load(one).identity == rgmlx.load(many).identity
    assert describe(many).config == describe(one).config


def test_files_that_the_index_does_not_name_are_left_alone(tmp_path: Path) -> None:
    directory = write(tmp_path, 2)
    (directory / "model-old.safetensors").write_bytes(b"rubbish")
    logits(directory)


def test_shards_without_an_index(tmp_path: Path) -> None:
    directory = write(tmp_path / "many", 3)
    (directory / INDEX).unlink()
    assert np.array_equal(logits(directory), logits(write(tmp_path / "one")))


def test_both_layouts_of_the_convolution(tmp_path: Path) -> None:
    """Hugging Face stores [L, 1, K], mlx-lm [L, K, 1]."""
    theirs = {n: w.swapaxes(1, 2).copy() for n, w in WEIGHTS.items() if n.endswith("conv_1d.weight")}
    mlx = checkpoints.write(tmp_path / "mlx", CONFIG, WEIGHTS | theirs)
    assert np.array_equal(logits(mlx), logits(write(tmp_path / "hf")))


def test_a_head_of_its_own_is_used_whatever_the_config_says(tmp_path: Path) -> None:
    config = checkpoints.config(tie_word_embeddings=True)
    head = np.random.default_rng(1).standard_normal((64, 32)).astype(np.float32) / 6
    directory = checkpoints.write(tmp_path, config, WEIGHTS | {"lm_head.weight": head})
    want = oracle.logits(config, WEIGHTS | {"lm_head.weight": head}, TOKENS[0], config["attention_window_size"])
    tied = oracle.logits(config, WEIGHTS, TOKENS[0], config["attention_window_size"])
    assert oracle.relative_error(logits(directory)[0], want) <= EXACT
    assert oracle.relative_error(want, tied) > 0.1
    assert describe(directory).config.parameter_counts()["embedding"] == 2 * 64 * 32


def test_a_head_that_is_announced_but_missing(tmp_path: Path) -> None:
    directory = checkpoints.write(tmp_path, checkpoints.config(tie_word_embeddings=False), WEIGHTS)
    assert "lm_head.weight is missing" in error(directory)


def test_no_tokenizer_and_only_text_is_refused(tmp_path: Path) -> None:
    model = rgmlx.load(write(tmp_path))
    assert model.tokenizer is None
    assert model.logits(TOKENS).shape == (1, len(TOKENS[0]), 64)
    for call in (
        lambda: model.generate("hi", max_tokens=1),
        lambda: model.stream([1, 2], max_tokens=1),
        lambda: model.batch(["hi"], max_tokens=1),
        lambda: model.chat(),
    ):
        with pytest.raises(TokenizerError, match=r"no tokenizer\.model"):
            call()


def test_a_tokenizer_that_is_too_large_for_the_model(tmp_path: Path) -> None:
    shutil.copy(demo_directory() / "tokenizer.model", write(tmp_path))
    with pytest.raises(TokenizerError, match="8,192 pieces and the model 64"):
        rgmlx.load(tmp_path)


def test_compute_dtype(tmp_path: Path) -> None:
    directory = write(tmp_path)
    assert rgmlx.load(directory).compute_dtype == mx.float32
    for dtype in ("float32", "bfloat16", "float16", mx.bfloat16):
        model = rgmlx.load(directory, dtype=dtype)
        assert str(model.compute_dtype).endswith(str(dtype).removeprefix("mlx.core."))
        got = np.array(model.logits(TOKENS))
        assert got.dtype == np.float32
        assert oracle.relative_error(got, logits(directory)) < 0.05
        # What follows the sigmoids stays exact in every dtype.
        assert model.layers[0].temporal_block.rg_lru.recurrent_param.dtype == mx.float32
    for bad in ("float64", "int8", "fast", ""):
        with pytest.raises(RgmlxError, match="float32, bfloat16, float16"):
            rgmlx.load(directory, dtype=bad)


# --- damaged files ------------------------------------------------------------------------


def test_no_weights(tmp_path: Path) -> None:
    directory = write(tmp_path)
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    assert "holds no .safetensors file" in error(directory)


def test_missing_shard(tmp_path: Path) -> None:
    directory = write(tmp_path, 3)
    (directory / "model-00002-of-00003.safetensors").unlink()
    assert "model-00002-of-00003.safetensors is missing" in error(directory)


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/passwd", "sub/x.safetensors", "../", "model.safetensors/"])
def test_index_that_leaves_the_directory(tmp_path: Path, name: str) -> None:
    directory = write(tmp_path / "m")
    shutil.copy(directory / "model.safetensors", tmp_path / "x.safetensors")
    (directory / INDEX).write_text(json.dumps({"weight_map": {SOME: name}}))
    said = error(directory)
    assert repr(name) in said and "refused" in said


@pytest.mark.parametrize("name", ["..", ".", "", "nul\0byte", "a" * 5000])
def test_index_with_a_name_that_no_file_has(tmp_path: Path, name: str) -> None:
    (write(tmp_path) / INDEX).write_text(json.dumps({"weight_map": {SOME: name}}))
    assert "is missing" in error(tmp_path) or "refused" in error(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"weight_map": 5}',
        b'{"weight_map": {"a": 5}}',
        b'{"weight_map": {"a": ["b"]}}',
        b'{"weight_map": {}}',
        b"[" * 200_000,
        b"\xff",
    ],
)
def test_damaged_index(tmp_path: Path, content: bytes) -> None:
    directory = write(tmp_path)
    (directory / INDEX).write_bytes(content)
    said = error(directory)
    assert said.startswith(f"DIR/{INDEX} ") and ("damaged" in said or "refused" in said)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 500, 0.3, 0.9, -1])
def test_truncated_shard_is_named(tmp_path: Path, keep: float) -> None:
    directory = write(tmp_path, 2)
    path = directory / "model-00002-of-00002.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if 0 < keep < 1 else int(keep)])
    assert "DIR/model-00002-of-00002.safetensors is truncated" in error(directory)
    with pytest.raises(CheckpointError, match="truncated"):
        describe(directory)


def test_missing_bytes_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1234])
    assert "1,234 bytes are missing" in error(tmp_path)


def test_a_pointer_of_git_lfs_is_not_a_weight_file(tmp_path: Path) -> None:
    (write(tmp_path) / "model.safetensors").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    )
    assert "not a safetensors file" in error(tmp_path)


def header_of(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def set_header(path: Path, header: bytes, data: bytes) -> None:
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)


@pytest.mark.parametrize(
    "broken",
    [
        {"data_offsets": []},
        {"data_offsets": None},
        {"data_offsets": ["0", "x"]},
        {"data_offsets": [-8, 120]},
        {"data_offsets": [64, 0]},
        {"data_offsets": [0, 10**20]},
        {"shape": [10**12]},
        {"shape": [-1]},
        {"shape": "32"},
        {"dtype": "F8"},
        {"dtype": 5},
        {"dtype": "F8_E4M3"},
    ],
)
def test_damaged_tensor_table(tmp_path: Path, broken: dict[str, Any]) -> None:
    path = write(tmp_path) / "model.safetensors"
    header, data = header_of(path)
    header["model.final_norm.weight"] |= broken
    set_header(path, json.dumps(header).encode(), data)
    assert error(tmp_path).startswith("DIR/model.safetensors ")


@pytest.mark.parametrize("header", [b"[]", b"55", b'{"a', b'{"a": 5}', b'{"a": {}}', b"\xff\xfe", b"[" * 200_000])
def test_damaged_header(tmp_path: Path, header: bytes) -> None:
    path = write(tmp_path) / "model.safetensors"
    set_header(path, header, header_of(path)[1])
    assert error(tmp_path).startswith("DIR/model.safetensors has a damaged header")


# --- wrong tensors ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [SOME, "model.embed_tokens.weight", "model.layers.0.temporal_block.rg_lru.recurrent_param"]
)
def test_missing_tensor_is_named(tmp_path: Path, name: str) -> None:
    directory = checkpoints.write(tmp_path, CONFIG, {k: v for k, v in WEIGHTS.items() if k != name})
    assert f"{name} is missing" in error(directory)


@pytest.mark.parametrize("name", ["model.layers.4.mlp_block.up_proj.weight", "vision_tower.patch.weight"])
def test_extra_tensor_is_named(tmp_path: Path, name: str) -> None:
    directory = checkpoints.write(tmp_path, CONFIG, WEIGHTS | {name: np.zeros((2, 2), np.float32)})
    assert f"{name} is not part" in error(directory)


def test_misshapen_tensor_is_named_with_both_shapes(tmp_path: Path) -> None:
    directory = checkpoints.write(tmp_path, CONFIG, WEIGHTS | {SOME: WEIGHTS[SOME][:, :16]})
    assert SOME in error(directory) and "(32, 16)" in error(directory) and "(32, 32)" in error(directory)
    transposed = WEIGHTS["model.layers.0.mlp_block.up_proj.weight"].T.copy()
    directory = checkpoints.write(tmp_path, CONFIG, WEIGHTS | {"model.layers.0.mlp_block.up_proj.weight": transposed})
    assert "model.layers.0.mlp_block.up_proj.weight has shape (32, 48)" in error(directory)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [SOME, "model.final_norm.weight", "model.layers.0.temporal_block.conv_1d.bias"])
def test_a_single_value_that_is_not_finite(tmp_path: Path, name: str, value: float) -> None:
    bad = WEIGHTS[name].copy()
    bad.flat[-1] = value
    assert f"{name} holds NaN or infinite" in error(checkpoints.write(tmp_path, CONFIG, WEIGHTS | {name: bad}))


@pytest.mark.parametrize("kind", [np.int32, np.uint8, np.complex64])
def test_numbers_of_another_kind(tmp_path: Path, kind: type) -> None:
    """Integers would be taken for weights: 8-bit floats come out of the file like this."""
    bad = np.ones(WEIGHTS[SOME].shape, kind)
    assert f"{SOME} holds {kind.__name__} numbers" in error(checkpoints.write(tmp_path, CONFIG, WEIGHTS | {SOME: bad}))


# --- quantized by mlx-lm ------------------------------------------------------------------

QUANTIZABLE = checkpoints.config(hidden_size=64, lru_width=64, intermediate_size=192, head_dim=16, vocab_size=8192)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs `mlx_lm.convert` on a random checkpoint with the embedded model's tokenizer."""
    import mlx_lm

    source = tmp_path_factory.mktemp("source")
    checkpoints.write(source, QUANTIZABLE, checkpoints.weights(QUANTIZABLE))
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(demo_directory() / name, source)

    def convert(**options: Any) -> Path:
        target = tmp_path_factory.mktemp("mlx") / "model"
        mlx_lm.convert(str(source), mlx_path=str(target), **options)
        return target

    return convert


@pytest.fixture(scope="module")
def four_bits(converted: Callable[..., Path]) -> Path:
    return converted(quantize=True, q_group_size=32, q_bits=4)


def dequantized(directory: Path) -> dict[str, np.ndarray]:
    """A conversion's weights as floats, by MLX alone."""
    settings = json.loads((directory / "config.json").read_text())["quantization"]
    stored = mx.load(str(directory / "model.safetensors"))
    out = {}
    for name, w in stored.items():
        path = name.removesuffix(".weight")
        if f"{path}.scales" in stored and name.endswith(".weight"):
            own = settings.get(path, settings)
            biases = stored.get(f"{path}.biases")
            w = mx.dequantize(
                w, stored[f"{path}.scales"], biases, own["group_size"], own["bits"], own.get("mode", "affine")
            )
        if not name.endswith((".scales", ".biases")):
            out[name] = np.array(w.astype(mx.float32))
    return out


def agrees_with_its_dequantized_weights(directory: Path) -> bool:
    want = oracle.logits(QUANTIZABLE, dequantized(directory), TOKENS[0], QUANTIZABLE["attention_window_size"])
    return oracle.relative_error(logits(directory)[0], want) <= EXACT


def test_conversion_of_mlx_lm(four_bits: Path) -> None:
    model = rgmlx.load(four_bits)
    assert model.model.embed_tokens.bits == model.layers[0].mlp_block.up_proj.bits == 4
    assert agrees_with_its_dequantized_weights(four_bits)


def test_conversion_of_mlx_lm_has_text(four_bits: Path) -> None:
    """It writes a tokenizer.json with a `<mask>` for which the model has no row."""
    model = rgmlx.load(four_bits)
    assert not (four_bits / "tokenizer.model").exists()
    assert isinstance(model.generate("Hello", max_tokens=3), str)
    text = "<mask> and  <end_of_turn>\n"
    assert max(model.tokenizer.encode(text)) < 8192
    assert model.tokenizer.decode(model.tokenizer.encode(text)) == text


def test_conversion_without_quantization(converted: Callable[..., Path], four_bits: Path) -> None:
    plain = converted()
    want = oracle.logits(QUANTIZABLE, checkpoints.weights(QUANTIZABLE), TOKENS[0], QUANTIZABLE["attention_window_size"])
    assert oracle.relative_error(logits(plain)[0], want) <= EXACT
    assert oracle.relative_error(logits(four_bits)[0], want) > 1e-3


@pytest.mark.parametrize(
    "options",
    [
        {"q_group_size": 64, "q_bits": 8},
        {"q_group_size": 32, "q_bits": 3},
        {"q_mode": "mxfp4"},
        {"q_mode": "mxfp8"},
        {"q_mode": "nvfp4"},
    ],
    ids=lambda o: "-".join(map(str, o.values())),
)
def test_other_widths_and_modes(converted: Callable[..., Path], options: dict[str, Any]) -> None:
    assert agrees_with_its_dequantized_weights(converted(quantize=True, **options))


def test_a_layer_with_settings_of_its_own(converted: Callable[..., Path]) -> None:
    def predicate(path: str, module: Any) -> bool | dict[str, Any]:
        if path.endswith("embed_tokens"):
            return {"bits": 8, "group_size": 64}
        return "layers.1" not in path  # this layer stays as it is

    directory = converted(quantize=True, q_group_size=32, q_bits=4, quant_predicate=predicate)
    model = rgmlx.load(directory)
    assert (model.model.embed_tokens.bits, model.layers[0].mlp_block.up_proj.bits) == (8, 4)
    assert not hasattr(model.layers[1].mlp_block.up_proj, "bits")
    assert agrees_with_its_dequantized_weights(directory)


def with_quantization(source: Path, directory: Path, settings: Any) -> Path:
    """A copy of a conversion whose config.json says something else."""
    directory.mkdir()
    shutil.copy(source / "model.safetensors", directory)
    config = json.loads((source / "config.json").read_text())
    config.pop("quantization_config")
    config["quantization"] = settings
    (directory / "config.json").write_text(json.dumps(config))
    return directory


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (None, "config.json has no 'quantization'"),
        ({"bits": 8, "group_size": 32}, "has shape"),
        ({"bits": 4, "group_size": 128}, "does not fit this model"),
        ({"bits": 7, "group_size": 32}, "does not fit this model"),
        ({"bits": 4, "group_size": 32, "mode": "gguf"}, "gguf"),
        ({"bits": 4, "group_size": 32, "mode": 5}, "does not fit this model"),
        ({"bits": 4, "group_size": 32, "model.embed_tokens": False}, "model.embed_tokens"),
        ({"bits": 4, "group_size": 32, "model.embed_tokens": "no"}, "model.embed_tokens"),
        ({"bits": 4, "group_size": 32, "model.embed_tokens": {"bits": 8, "group_size": 32}}, "model.embed_tokens"),
    ],
)
def test_settings_that_are_not_those_of_the_weights(four_bits: Path, tmp_path: Path, settings: Any, said: str) -> None:
    assert said in error(with_quantization(four_bits, tmp_path / "m", settings))


def test_settings_that_would_crash_mlx(four_bits: Path, tmp_path: Path) -> None:
    """A group size of 0 ends the process in MLX with a floating-point exception."""
    with pytest.raises(ConfigError, match=r"quantization\.group_size"):
        rgmlx.load(with_quantization(four_bits, tmp_path / "m", {"bits": 4, "group_size": 0}))


def test_true_stands_for_the_common_settings(four_bits: Path, tmp_path: Path) -> None:
    same = with_quantization(four_bits, tmp_path / "m", {"bits": 4, "group_size": 32, "model.embed_tokens": True})
    assert np.array_equal(logits(same), logits(four_bits))


def test_scales_of_a_layer_that_is_never_quantized(four_bits: Path, tmp_path: Path) -> None:
    directory = with_quantization(four_bits, tmp_path / "m", {"bits": 4, "group_size": 32})
    weights = read_weights(four_bits)
    weights["model.final_norm.scales"] = mx.zeros((4,))
    mx.save_safetensors(str(directory / "model.safetensors"), weights)
    assert "model.final_norm.scales" in error(directory)


def test_scales_that_are_not_finite(four_bits: Path, tmp_path: Path) -> None:
    directory = with_quantization(four_bits, tmp_path / "m", {"bits": 4, "group_size": 32})
    weights = read_weights(four_bits)
    weights["model.embed_tokens.scales"] = weights["model.embed_tokens.scales"] * mx.inf
    mx.save_safetensors(str(directory / "model.safetensors"), weights)
    assert "model.embed_tokens.scales holds NaN or infinite" in error(directory)
