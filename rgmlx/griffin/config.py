"""What a checkpoint is: shapes, the block pattern, the presets 2b and 9b.

A `ModelConfig` is read from a Hugging Face `config.json`. A field that would change the result
and that we do not implement is an error that names it; nothing is ignored in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..system.paths import expanded
from ..system.reading import read_json

RECURRENT, ATTENTION = "recurrent", "attention"
DTYPES = ("float32", "bfloat16", "float16")

# Fields that say how a model was trained, saved or served, and never what it computes.
_NEUTRAL = frozenset(
    [
        "architectures",
        "model_type",
        "transformers_version",
        "use_cache",
        "attention_dropout",
        "id2label",
        "label2id",
        "w_init_variance_scale",
        "final_w_init_variance_scale",
        "initializer_range",
        "problem_type",
        "_name_or_path",
        "name_or_path",
        "return_dict",
        "output_hidden_states",
        "output_attentions",
        "torchscript",
        "use_bfloat16",
        "pruned_heads",
        "is_decoder",
        "is_encoder_decoder",
        "cross_attention_hidden_size",
        "add_cross_attention",
        "tie_encoder_decoder",
        "chunk_size_feed_forward",
        "tokenizer_class",
        "prefix",
        "sep_token_id",
        "decoder_start_token_id",
        "task_specific_params",
        "finetuning_specific_params",
        "max_length",
        "min_length",
        "do_sample",
        "early_stopping",
        "num_beams",
        "num_beam_groups",
        "diversity_penalty",
        "temperature",
        "top_k",
        "top_p",
        "typical_p",
        "repetition_penalty",
        "length_penalty",
        "no_repeat_ngram_size",
        "encoder_no_repeat_ngram_size",
        "bad_words_ids",
        "num_return_sequences",
        "output_scores",
        "return_dict_in_generate",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "remove_invalid_values",
        "exponential_decay_length_penalty",
        "suppress_tokens",
        "begin_suppress_tokens",
        "tf_legacy_loss",
        "unsloth_version",
        "unsloth_fixed",
        "_attn_implementation_autoset",
    ]
)
# The largest of each that is taken for a model's: no network of damage is built, and no state of it.
_LARGEST = {
    "vocab_size": 2**24,
    "hidden_size": 2**20,
    "intermediate_size": 2**22,
    "num_hidden_layers": 2**10,
    "num_attention_heads": 2**16,
    "num_key_value_heads": 2**16,
    "head_dim": 2**16,
    "lru_width": 2**20,
    "attention_window_size": 2**24,
    "conv1d_width": 2**10,
}
_MOST = 1e38  # of other numbers, as far as float32 goes
_ACTIVATIONS = ("gelu_pytorch_tanh", "gelu_new")


@dataclass(frozen=True)
class ModelConfig:
    """The numbers that define the computation. Widths are in elements, the window in tokens."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int  # as in config.json: gate and up together, twice the MLP's width
    num_hidden_layers: int
    num_attention_heads: int  # query heads, and the number of blocks of the RG-LRU's gates
    num_key_value_heads: int
    head_dim: int
    lru_width: int
    attention_window_size: int  # a token sees itself and this many tokens before it
    conv1d_width: int = 4
    block_types: tuple[str, ...] = (RECURRENT, RECURRENT, ATTENTION)
    rms_norm_eps: float = 1e-6
    logits_soft_cap: float | None = 30.0
    rope_theta: float = 10000.0
    partial_rotary_factor: float = 0.5
    attention_bias: bool = False
    embeddings_scale_by_sqrt_dim: bool = True
    tie_word_embeddings: bool = True
    bos_token_id: int | None = 2
    eos_token_ids: tuple[int, ...] = (1,)
    pad_token_id: int | None = 0
    dtype: str = "float32"  # of the checkpoint's floating-point tensors
    quantization: Mapping[str, Any] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        for name, most in _LARGEST.items():
            value = getattr(self, name)
            if not _is_whole(value) or not 0 < value <= most:
                raise ConfigError(f"config: {name} must be a positive whole number up to {most:,}, not {value!r:.40}")
        for name in ["rms_norm_eps", "rope_theta", "partial_rotary_factor", "logits_soft_cap"]:
            value = getattr(self, name)
            if not _is_positive(value) and not (name == "logits_soft_cap" and value is None):
                raise ConfigError(f"config: {name} must be a positive number below {_MOST:g}, not {value!r:.40}")
            if value is not None:
                object.__setattr__(self, name, float(value))  # MLX takes no whole number of more than 64 bits
        for name in ["attention_bias", "embeddings_scale_by_sqrt_dim", "tie_word_embeddings"]:
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"config: {name} must be true or false, not {getattr(self, name)!r}")
        for name, ids in [
            ("bos_token_id", (self.bos_token_id,)),
            ("pad_token_id", (self.pad_token_id,)),
            ("eos_token_id", self.eos_token_ids),
        ]:
            if bad := [i for i in ids if i is not None and not _is_whole(i)]:
                raise ConfigError(f"config: {name} must be a token id, a whole number, not {bad[0]!r}")
        if odd := [t for t in self.block_types if t not in (RECURRENT, ATTENTION)]:
            raise ConfigError(f"config: block_types may hold '{RECURRENT}' and '{ATTENTION}', not {odd[0]!r}")
        if not self.block_types:
            raise ConfigError(f"config: block_types is empty: it lists '{RECURRENT}' and '{ATTENTION}'")
        if self.intermediate_size % 2:
            raise ConfigError("config: intermediate_size must be even (it counts the gate and the up projection)")
        if self.lru_width % self.num_attention_heads:
            raise ConfigError(
                f"config: lru_width {self.lru_width} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ConfigError("config: num_attention_heads is not a multiple of num_key_value_heads")
        if self.rotary_dim < 2 or self.rotary_dim > self.head_dim or self.rotary_dim % 2:
            raise ConfigError(
                f"config: partial_rotary_factor {self.partial_rotary_factor} does not give an even part "
                f"of head_dim {self.head_dim}"
            )
        if self.dtype not in DTYPES:
            raise ConfigError(f"config: dtype '{self.dtype}' is not one of {', '.join(DTYPES)}")

    # --- shapes that follow ---------------------------------------------------------------

    @property
    def layer_types(self) -> tuple[str, ...]:
        """The block pattern, repeated and cut to the number of layers."""
        return tuple(self.block_types[i % len(self.block_types)] for i in range(self.num_hidden_layers))

    @property
    def mlp_width(self) -> int:
        return self.intermediate_size // 2

    @property
    def rotary_dim(self) -> int:
        return int(self.head_dim * self.partial_rotary_factor)

    @property
    def gate_block(self) -> int:
        """Width of one block of the RG-LRU's block-diagonal gates."""
        return self.lru_width // self.num_attention_heads

    @property
    def ring_size(self) -> int:
        """Slots of the ring buffers: the window and the token itself."""
        return self.attention_window_size + 1

    def state_nbytes(self, itemsize: int, batch_size: int = 1) -> int:
        """Bytes of a `State`, known before the first token.

        Args:
            itemsize: bytes of one element of the compute dtype (2 for bfloat16).
        """
        attention = 2 * self.num_key_value_heads * self.ring_size * self.head_dim * itemsize
        recurrent = (self.conv1d_width - 1) * self.lru_width * itemsize + self.lru_width * 4
        layers = sum(attention if t == ATTENTION else recurrent for t in self.layer_types)
        return batch_size * (layers + self.hidden_size * itemsize)

    def parameter_counts(self) -> dict[str, int]:
        """Numbers of parameters from shapes alone: `embedding`, `non_embedding`, `total`."""
        d, w, h, f = self.hidden_size, self.lru_width, self.head_dim, self.mlp_width
        q, kv = self.num_attention_heads * h, self.num_key_value_heads * h
        mlp = 3 * d * f + 2 * f + d
        gates = 2 * (self.num_attention_heads * self.gate_block**2 + w)
        recurrent = 2 * (d * w + w) + (w * d + d) + (self.conv1d_width * w + w) + gates + w
        attention = d * (q + 2 * kv) + (q * d + d) + ((q + 2 * kv) if self.attention_bias else 0)
        layers = sum((attention if t == ATTENTION else recurrent) + mlp + 2 * d for t in self.layer_types)
        embedding = self.vocab_size * d * (1 if self.tie_word_embeddings else 2)
        return {"total": layers + d + embedding, "embedding": embedding, "non_embedding": layers + d}

    def with_window(self, window: int) -> ModelConfig:
        """The same model with another attention window (Hugging Face's W is our W-1)."""
        return replace(self, attention_window_size=window)

    # --- reading config.json --------------------------------------------------------------

    @classmethod
    def from_file(cls, path: str | Path) -> ModelConfig:
        """Reads a `config.json`. Raises ConfigError with the file's name and the field."""
        path = expanded(path)
        try:
            data = read_json(path)
        except FileNotFoundError:
            raise ConfigError(f"{path.parent} holds no config.json: is it a model directory?") from None
        except OSError as e:
            raise ConfigError(f"{path} can't be read: {e.strerror or e}") from None
        except ValueError as e:
            raise ConfigError(f"{path} is not valid JSON ({e}): download or convert it again") from None
        if not isinstance(data, dict):
            raise ConfigError(f"{path} does not hold a JSON object")
        try:
            return cls.from_dict(data)
        except ConfigError as e:
            raise ConfigError(f"{path}: {str(e).removeprefix('config: ')}") from None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelConfig:
        """Builds a config from the content of a Hugging Face `config.json`.

        Both spellings of the block pattern (`block_types`, `_block_types`), both of the dtype
        (`dtype`, `torch_dtype`) and both places of the rotary settings (top level, and
        transformers 5's `rope_parameters`) are read. Raises ConfigError.
        """
        left = dict(data)
        model_type = left.get("model_type")
        if model_type != "recurrent_gemma":
            raise ConfigError(
                f"config: model_type is {model_type!r}, and rgmlx runs 'recurrent_gemma' only "
                "(RecurrentGemma, Griffin and Hawk checkpoints); try mlx-lm for other models"
            )
        rope = left.pop("rope_parameters", None)
        if rope is not None:
            _take_rope(left, rope)
        if left.pop("rope_scaling", None) is not None:
            raise ConfigError("config: rope_scaling is not supported (RecurrentGemma has none)")
        for flag, want in (("hidden_activation", _ACTIVATIONS), ("hidden_act", _ACTIVATIONS)):
            value = left.pop(flag, None)
            if value is not None and value not in want:
                raise ConfigError(f"config: {flag} '{value}' is not supported, only {' and '.join(want)}")

        def need(name: str) -> Any:
            if left.get(name) is None:
                raise ConfigError(f"config: the field '{name}' is missing")
            return left.pop(name)

        def maybe(name: str, default: Any) -> Any:
            value = left.pop(name, None)
            return default if value is None else value

        hidden, heads = need("hidden_size"), need("num_attention_heads")
        blocks = maybe("block_types", left.get("_block_types"))
        if blocks != maybe("_block_types", blocks):
            raise ConfigError("config: block_types and _block_types disagree: keep the right one")
        blocks = (RECURRENT, RECURRENT, ATTENTION) if blocks is None else blocks
        if not isinstance(blocks, (list, tuple)):
            raise ConfigError(f"config: block_types must be a list, not {blocks!r}")
        dtype = maybe("dtype", left.get("torch_dtype") or "float32")
        left.pop("torch_dtype", None)
        eos = left.pop("eos_token_id", 1)
        quantization = _quantization(left.pop("quantization", None), left.pop("quantization_config", None))
        soft_cap = left.pop("logits_soft_cap", 30.0)
        config = {
            "vocab_size": need("vocab_size"),
            "hidden_size": hidden,
            "intermediate_size": need("intermediate_size"),
            "num_hidden_layers": need("num_hidden_layers"),
            "num_attention_heads": heads,
            "num_key_value_heads": maybe("num_key_value_heads", heads),
            "head_dim": maybe("head_dim", _per_head(hidden, heads)),
            "lru_width": maybe("lru_width", hidden),
            "attention_window_size": maybe("attention_window_size", 2048),
            "conv1d_width": maybe("conv1d_width", 4),
            "block_types": tuple(blocks),
            "rms_norm_eps": maybe("rms_norm_eps", 1e-6),
            "logits_soft_cap": None if soft_cap == 0 else soft_cap,
            "rope_theta": maybe("rope_theta", 10000.0),
            "partial_rotary_factor": maybe("partial_rotary_factor", 0.5),
            "attention_bias": maybe("attention_bias", False),
            "embeddings_scale_by_sqrt_dim": maybe("embeddings_scale_by_sqrt_dim", True),
            "tie_word_embeddings": maybe("tie_word_embeddings", True),
            "bos_token_id": left.pop("bos_token_id", 2),
            "eos_token_ids": tuple(eos) if isinstance(eos, list) else (() if eos is None else (eos,)),
            "pad_token_id": left.pop("pad_token_id", 0),
            "dtype": str(dtype).removeprefix("torch."),
            "quantization": quantization,
        }
        if unknown := sorted(k for k, v in left.items() if k not in _NEUTRAL and v is not None):
            raise ConfigError(
                f"config: the field '{unknown[0]}' is not supported"
                + (f" (nor {', '.join(unknown[1:])})" if unknown[1:] else "")
                + "; remove it if it does not change what the model computes"
            )
        return cls(**config)

    def to_dict(self) -> dict[str, Any]:
        """The config as a Hugging Face `config.json` has it."""
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        out["block_types"] = list(out["block_types"])
        eos = list(out.pop("eos_token_ids"))
        out["eos_token_id"] = eos[0] if len(eos) == 1 else eos or None
        out["model_type"], out["architectures"] = "recurrent_gemma", ["RecurrentGemmaForCausalLM"]
        out["hidden_activation"] = _ACTIVATIONS[0]
        if out.pop("quantization") is not None and self.quantization is not None:
            out["quantization"] = out["quantization_config"] = dict(self.quantization)
        return out


def _take_rope(left: dict[str, Any], rope: Any) -> None:
    """Moves transformers 5's `rope_parameters` to the top level, where older files have them."""
    if not isinstance(rope, dict):
        raise ConfigError("config: rope_parameters is not an object")
    for name, value in rope.items():
        if value is None:
            continue
        if name == "rope_type":
            if value != "default":
                raise ConfigError(f"config: rope_type '{value}' is not supported, only 'default'")
        elif name in ("rope_theta", "partial_rotary_factor"):
            if left.get(name) not in (None, value):
                raise ConfigError(f"config: {name} stands twice, as {left[name]} and as {value}")
            left[name] = value
        else:
            raise ConfigError(f"config: rope_parameters.{name} is not supported")


def _quantization(mlx: Any, other: Any) -> dict[str, Any] | None:
    """MLX's quantization settings: {bits, group_size, mode, and settings a module path}."""
    found = mlx if mlx is not None else other
    if found is None:
        return None
    if not isinstance(found, dict) or "quant_method" in found or "bits" not in found:
        method = found.get("quant_method") if isinstance(found, dict) else found
        raise ConfigError(
            f"config: quantization_config {method!r} is not MLX's: start from the unquantized weights instead"
        )
    for where, own in [("", found), *((f"{k}.", v) for k, v in found.items() if isinstance(v, dict))]:
        for name in ("bits", "group_size"):  # MLX divides by them
            value = own.get(name)
            if value is not None and not (_is_whole(value) and value > 0):
                raise ConfigError(f"config: quantization.{where}{name} must be a positive whole number, not {value!r}")
    return dict(found)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < _MOST


def _per_head(hidden: Any, heads: Any) -> int:
    """The width of a head when config.json does not say; 0, which is refused, where it can't be told."""
    return hidden // heads if _is_whole(hidden) and _is_whole(heads) and heads > 0 else 0


def describe_quantization(settings: Mapping[str, Any]) -> str:
    """MLX's quantization settings in words."""
    own = [s["bits"] for s in settings.values() if isinstance(s, dict) and "bits" in s]
    bits = " and ".join(map(str, sorted({settings["bits"], *own})))
    return f"{bits} bits, group size {settings.get('group_size')}, {settings.get('mode', 'affine')}"


def _preset(width: int, layers: int, heads: int) -> ModelConfig:
    return ModelConfig(
        vocab_size=256_000,
        hidden_size=width,
        intermediate_size=6 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=1,
        head_dim=256,
        lru_width=width,
        attention_window_size=2048,
        eos_token_ids=(1, 107),
        dtype="bfloat16",
    )


PRESETS: dict[str, ModelConfig] = {"2b": _preset(2560, 26, 10), "9b": _preset(4096, 38, 16)}
"""RecurrentGemma 2B and 9B as DeepMind published them."""
