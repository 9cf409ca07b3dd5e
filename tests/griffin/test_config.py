"""config.json: every spelling of the same model reads the same, and nothing is ignored in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import checkpoints
import pytest
import rooms
from mlx.utils import tree_flatten

from rgmlx.errors import ConfigError
from rgmlx.griffin.config import ATTENTION, PRESETS, RECURRENT, ModelConfig
from rgmlx.griffin.network import RecurrentGemma

GOLDENS = rooms.TESTS / "goldens"


def read(**changes: Any) -> ModelConfig:
    return ModelConfig.from_dict(checkpoints.config(**changes))


def error(**changes: Any) -> str:
    """The sentence that refuses `BASE` with these changes."""
    with pytest.raises(ConfigError) as caught:
        read(**changes)
    return str(caught.value)


# --- spellings ----------------------------------------------------------------------------


def test_block_pattern_has_two_spellings() -> None:
    pattern = [ATTENTION, RECURRENT]
    assert read(block_types=pattern) == read(block_types=None, _block_types=pattern)
    assert read(block_types=pattern) == read(block_types=pattern, _block_types=pattern)
    assert read(block_types=pattern).layer_types == (ATTENTION, RECURRENT, ATTENTION, RECURRENT)


def test_block_pattern_that_disagrees_with_itself() -> None:
    assert "block_types and _block_types disagree" in error(_block_types=["attention"])


def test_block_pattern_is_repeated_and_cut() -> None:
    assert read(num_hidden_layers=5).layer_types == (RECURRENT, RECURRENT, ATTENTION, RECURRENT, RECURRENT)
    assert read(num_hidden_layers=1).layer_types == (RECURRENT,)


def test_block_pattern_defaults_to_griffin() -> None:
    assert read(block_types=None) == read()


def test_hawk_has_no_attention() -> None:
    hawk = read(block_types=["recurrent"])
    assert set(hawk.layer_types) == {RECURRENT}
    # Its state does not know a window.
    assert hawk.state_nbytes(2) == hawk.with_window(100_000).state_nbytes(2)


def test_file_of_transformers_5_reads_as_the_older_one() -> None:
    new = json.loads((GOLDENS / "tiny" / "config.transformers5.json").read_text())
    assert "rope_theta" not in new and "torch_dtype" not in new
    old = ModelConfig.from_file(GOLDENS / "tiny" / "config.json")
    assert ModelConfig.from_file(GOLDENS / "tiny" / "config.transformers5.json") == old


def test_rope_parameters_are_read() -> None:
    rope = {"rope_theta": 500.0, "partial_rotary_factor": 0.25, "rope_type": "default"}
    c = read(rope_theta=None, partial_rotary_factor=None, rope_parameters=rope)
    assert (c.rope_theta, c.partial_rotary_factor, c.rotary_dim) == (500.0, 0.25, 2)
    assert c == read(rope_theta=500.0, partial_rotary_factor=0.25)
    # Both places may say the same, and a null says nothing.
    assert c == read(rope_theta=500.0, partial_rotary_factor=0.25, rope_parameters=rope)
    assert read() == read(rope_parameters={"rope_theta": None, "rope_type": None})


def test_rope_that_disagrees_with_itself() -> None:
    assert "rope_theta stands twice" in error(rope_parameters={"rope_theta": 1.0})


def test_dtype_has_two_spellings() -> None:
    for fields in (
        {"torch_dtype": "bfloat16"},
        {"torch_dtype": None, "dtype": "bfloat16"},
        {"dtype": "torch.bfloat16"},
    ):
        assert read(**fields).dtype == "bfloat16"
    assert read(torch_dtype=None).dtype == "float32"


def test_numbers_of_other_griffins() -> None:
    c = read(lru_width=48, conv1d_width=2, partial_rotary_factor=1.0, rope_theta=500.0, attention_bias=True)
    assert (c.lru_width, c.gate_block, c.conv1d_width, c.rotary_dim, c.rope_theta) == (48, 12, 2, 8, 500.0)
    assert c.attention_bias
    c = read(embeddings_scale_by_sqrt_dim=False, tie_word_embeddings=False, logits_soft_cap=0.0, rope_theta=500)
    assert (c.embeddings_scale_by_sqrt_dim, c.tie_word_embeddings, c.logits_soft_cap) == (False, False, None)


def test_absent_fields_take_hugging_faces_defaults() -> None:
    c = read(
        num_key_value_heads=None,
        lru_width=None,
        head_dim=None,
        conv1d_width=None,
        attention_bias=None,
        attention_window_size=None,
        logits_soft_cap=None,
        eos_token_id=None,
    )
    assert (c.num_key_value_heads, c.lru_width, c.head_dim) == (4, 32, 8)  # heads, hidden_size, hidden_size / heads
    assert (c.conv1d_width, c.attention_bias, c.attention_window_size) == (4, False, 2048)
    assert (c.logits_soft_cap, c.eos_token_ids) == (30.0, (1,))


def test_one_or_several_ends_of_text() -> None:
    assert read(eos_token_id=7).eos_token_ids == (7,)
    assert read(eos_token_id=[1, 107]).eos_token_ids == (1, 107)


def test_fields_that_change_nothing_are_let_through() -> None:
    assert read() == read(use_cache=True, transformers_version="4.57", final_w_init_variance_scale=0.1, prefix=None)


# --- presets and counts -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "non_embedding", "embedding", "layers", "attention"),
    [("2b", 2_027_502_080, 655_360_000, 26, 8), ("9b", 7_531_401_216, 1_048_576_000, 38, 12)],
)
def test_presets_are_the_published_models(
    name: str, non_embedding: int, embedding: int, layers: int, attention: int
) -> None:
    c = PRESETS[name]
    counts = {"non_embedding": non_embedding, "embedding": embedding, "total": non_embedding + embedding}
    assert c.parameter_counts() == counts
    assert len(c.layer_types) == layers and c.layer_types.count(ATTENTION) == attention
    assert (c.attention_window_size, c.head_dim, c.num_key_value_heads, c.vocab_size) == (2048, 256, 1, 256_000)


ODD: dict[str, dict[str, Any]] = {
    "base": {},
    "wide RNN": {"lru_width": 48},
    "Hawk": {"block_types": ["recurrent"]},
    "attention only": {"block_types": ["attention"]},
    "KV heads, biases": {"num_key_value_heads": 2, "attention_bias": True},
    "conv width 1": {"conv1d_width": 1},
    "head of its own": {"tie_word_embeddings": False},
    "wide heads": {"head_dim": 20, "num_hidden_layers": 7, "vocab_size": 71, "intermediate_size": 10},
}


@pytest.mark.parametrize("c", [*PRESETS.values(), *(read(**o) for o in ODD.values())], ids=[*PRESETS, *ODD])
def test_counts_are_those_of_the_network(c: ModelConfig) -> None:
    """The network's arrays are lazy: 9B costs nothing here."""
    parameters = tree_flatten(RecurrentGemma(c).parameters())
    embedding = [p.size for name, p in parameters if "embed_tokens" in name or "lm_head" in name]
    counts = c.parameter_counts()
    assert counts["total"] == sum(p.size for _, p in parameters)
    assert counts["embedding"] == sum(embedding)
    assert counts["non_embedding"] == counts["total"] - counts["embedding"]


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("sliding_window_pattern", 6, "sliding_window_pattern"),
        ("query_pre_attn_scalar", 256, "query_pre_attn_scalar"),
        ("rope_scaling", {"type": "linear", "factor": 2.0}, "rope_scaling"),
        ("rope_parameters", {"rope_type": "yarn"}, "rope_type 'yarn'"),
        ("rope_parameters", {"factor": 4.0}, "rope_parameters.factor"),
        ("rope_parameters", [1], "rope_parameters"),
        ("hidden_activation", "silu", "hidden_activation 'silu'"),
        ("hidden_act", "gelu", "hidden_act 'gelu'"),
        ("model_type", "gemma2", "'gemma2'"),
        ("model_type", None, "model_type"),
        ("torch_dtype", "int8", "'int8'"),
        ("quantization_config", {"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        ("quantization_config", {"quant_method": "gptq", "bits": 4}, "gptq"),
        ("quantization", "4bit", "4bit"),
        ("quantization", {"bits": 4, "group_size": 0}, "quantization.group_size"),
        ("quantization", {"bits": "four", "group_size": 32}, "quantization.bits"),
        ("quantization", {"bits": 4, "lm_head": {"bits": 0}}, "quantization.lm_head.bits"),
        ("block_types", ["recurrent", "mamba"], "'mamba'"),
    ],
)
def test_unsupported_is_named(field: str, value: Any, said: str) -> None:
    assert said in error(**{field: value})


def test_all_unknown_fields_are_named() -> None:
    assert "'alpha'" in error(zeta=1, alpha=2) and "zeta" in error(zeta=1, alpha=2)


@pytest.mark.parametrize(
    "field", ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
)
def test_missing_field_is_named(field: str) -> None:
    assert f"'{field}' is missing" in error(**{field: None})


WHOLE = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
WHOLE += ["num_key_value_heads", "head_dim", "lru_width", "attention_window_size", "conv1d_width"]
NUMBERS = ["rms_norm_eps", "rope_theta", "partial_rotary_factor", "logits_soft_cap"]
FLAGS = ["attention_bias", "embeddings_scale_by_sqrt_dim", "tie_word_embeddings"]
IDS = ["bos_token_id", "eos_token_id", "pad_token_id"]
NONSENSE: dict[str, list[Any]] = {
    **{f: ["32", "", -8, 0, 2.5, True, [8], {}, 10**12, float("nan")] for f in WHOLE},
    **{f: ["1", "x", -1.0, True, [1], {"a": 1}, float("nan"), float("inf"), 10**400] for f in NUMBERS},
    **{f: ["false", 1, 0, [], {}] for f in FLAGS},
    **{f: ["1", 1.5, True, {}, ["1"]] for f in IDS},
    "block_types": ["recurrent", 3, True, {}, [], [1], [["recurrent"]]],
    "_block_types": ["recurrent", 3],
    "torch_dtype": [5, ["float32"]],
    "hidden_activation": [1, ["gelu_new"]],
    "quantization": [True, 4, [], {}, {"bits": True}, {"bits": -4}, {"bits": 4.0}, {"bits": 4, "group_size": "64"}],
}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in NONSENSE.items() for v in values])
def test_wrong_value_is_named(field: str, value: Any) -> None:
    said = error(**{field: value})
    assert field.strip("_").removeprefix("torch_").removesuffix("_config") in said
    assert "\n" not in said


def test_wrong_type_where_the_head_size_is_worked_out() -> None:
    assert "hidden_size" in error(hidden_size="32", head_dim=None, lru_width=None)
    assert "num_attention_heads" in error(num_attention_heads=0, head_dim=None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"intermediate_size": 97}, "intermediate_size must be even"),
        ({"lru_width": 30}, "lru_width 30"),
        ({"num_attention_heads": 4, "num_key_value_heads": 3}, "num_key_value_heads"),
        ({"partial_rotary_factor": 1.5}, "partial_rotary_factor 1.5"),
        ({"partial_rotary_factor": 0.125}, "partial_rotary_factor 0.125"),
        ({"head_dim": 6}, "head_dim 6"),
    ],
)
def test_shapes_that_do_not_fit(changes: dict[str, Any], said: str) -> None:
    assert said in error(**changes)


# --- files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not valid JSON"),
        (b'{"hidden_size": 32,', "not valid JSON"),
        (b"\xff\xfe{}", "not valid JSON"),
        pytest.param(b"[" * 200_000, "not valid JSON", id="deep"),
        (b"[1]", "does not hold a JSON object"),
        (b"null", "does not hold a JSON object"),
        (b"{}", "model_type"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "not valid JSON"),
    ],
)
def test_broken_file_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        ModelConfig.from_file(path)
    assert str(path) in str(caught.value) and said in str(caught.value)


def test_no_file_and_a_directory_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        ModelConfig.from_file(tmp_path / "config.json")
    (tmp_path / "config.json").mkdir()
    with pytest.raises(ConfigError, match="can't be read"):
        ModelConfig.from_file(tmp_path / "config.json")


def test_field_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(checkpoints.config(vocab_size=-1)))
    with pytest.raises(ConfigError) as caught:
        ModelConfig.from_file(path)
    assert str(caught.value).startswith(f"{path}: vocab_size")


# --- and back -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "c",
    [
        *PRESETS.values(),
        *(read(**o) for o in ODD.values()),
        read(logits_soft_cap=0),
        read(eos_token_id=[1, 5], bos_token_id=3, torch_dtype="float16"),
        read(quantization={"bits": 4, "group_size": 32, "lm_head": {"bits": 8, "group_size": 64}}),
        *(ModelConfig.from_file(p) for p in sorted(GOLDENS.glob("*/config.json"))),
    ],
)
def test_round_trip(c: ModelConfig) -> None:
    data = json.loads(json.dumps(c.to_dict()))
    assert ModelConfig.from_dict(data) == c
    assert data["model_type"] == "recurrent_gemma"
