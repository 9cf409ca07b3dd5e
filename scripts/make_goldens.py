"""Makes the small random checkpoints of `tests/goldens/` and what three implementations compute on them.

    python -m venv scripts/.venv-goldens
    scripts/.venv-goldens/bin/pip install torch==2.13.0 transformers==5.23.0 "recurrentgemma[jax]==1.0.1" safetensors
    scripts/.venv-goldens/bin/python scripts/make_goldens.py [OUTPUT_DIRECTORY]

The tests read the files and need neither this script nor that environment. The weights come from NumPy
with a fixed seed: a second run writes the same ones; the references' float32 logits depend on their versions.
Exits with 1 when a reference is further than TOLERANCE from the float64 oracle (`tests/oracle.py`).
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
oracle = importlib.import_module("oracle")

LENGTH, BATCH, DECODED = 80, 2, 40
TOLERANCE = 2e-6
RELEASED: dict[str, Any] = {  # the fields in which the checkpoints below mostly agree with the released models
    "architectures": ["RecurrentGemmaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "attention_window_size": 16,
    "bos_token_id": 2,
    "conv1d_width": 4,
    "embeddings_scale_by_sqrt_dim": True,
    "eos_token_id": 1,
    "hidden_activation": "gelu_pytorch_tanh",
    "logits_soft_cap": 30.0,
    "model_type": "recurrent_gemma",
    "num_attention_heads": 4,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
    "partial_rotary_factor": 0.5,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "use_cache": True,
    "w_init_variance_scale": 0.01,
}
CONFIGS: dict[str, dict[str, Any]] = {
    # The released models' shape. Their config.json names the block pattern twice, and so does this.
    "tiny": {
        "_block_types": ["recurrent", "recurrent", "attention"],
        "block_types": ["recurrent", "recurrent", "attention"],
        "head_dim": 16,
        "hidden_size": 64,
        "intermediate_size": 192,
        "lru_width": 64,
        "num_hidden_layers": 6,
        "vocab_size": 128,
    },
    # The fields that code written for the released models ignores. The square root of 48 is no
    # bfloat16, so a missing rounding of the embedding scale shows here (in tiny it is 8).
    "wide": {
        "attention_bias": True,
        "attention_window_size": 8,
        "block_types": ["recurrent", "attention"],
        "head_dim": 12,
        "hidden_size": 48,
        "intermediate_size": 144,
        "lru_width": 64,
        "num_hidden_layers": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-3,
        "rope_theta": 500.0,
        "tie_word_embeddings": False,
        "vocab_size": 64,
    },
    # No attention layer, and the block pattern under its old name alone.
    "hawk": {
        "_block_types": ["recurrent"],
        "head_dim": 8,
        "hidden_size": 32,
        "intermediate_size": 96,
        "lru_width": 32,
        "num_hidden_layers": 3,
        "vocab_size": 48,
    },
}
# DeepMind's code has one key-value head, no q/k/v bias, a rotary base of 10,000, an eps of 1e-6 and a
# tied head built in, so it can't run wide.
DEEPMIND = ("tiny", "hawk")

Arrays = dict[str, np.ndarray]


def blocks_of(config: Mapping[str, Any]) -> list[str]:
    pattern = config.get("block_types") or config["_block_types"]
    return [pattern[i % len(pattern)] for i in range(config["num_hidden_layers"])]


def random_weights(config: Mapping[str, Any], rng: np.random.Generator) -> Arrays:
    """A checkpoint in Hugging Face's names in which no tensor is a constant, so that none can be ignored."""
    hidden, width, mlp = config["hidden_size"], config["lru_width"], config["intermediate_size"] // 2
    heads, head_dim, kernel = config["num_attention_heads"], config["head_dim"], config["conv1d_width"]
    kv, block, vocab = config["num_key_value_heads"] * head_dim, width // heads, config["vocab_size"]
    out: Arrays = {}

    def normal(name: str, *shape: int, std: float, mean: float = 0.0) -> None:
        out[name] = rng.normal(mean, std, shape).astype(np.float32)

    def linear(name: str, rows: int, columns: int, gain: float = 1.0, bias: bool = True) -> None:
        normal(f"{name}.weight", rows, columns, std=gain * columns**-0.5)
        if bias:
            normal(f"{name}.bias", rows, std=0.1)

    def recurrent(name: str) -> None:
        linear(f"{name}.linear_y", width, hidden)
        linear(f"{name}.linear_x", width, hidden)
        linear(f"{name}.linear_out", hidden, width)
        normal(f"{name}.conv_1d.weight", width, 1, kernel, std=0.5)
        normal(f"{name}.conv_1d.bias", width, std=0.1)
        for gate in ("input_gate", "recurrent_gate"):
            normal(f"{name}.rg_lru.{gate}_weight", heads, block, block, std=0.7 * block**-0.5)
            normal(f"{name}.rg_lru.{gate}_bias", heads, block, std=0.5)
        # With an open gate a = exp(-8 softplus(recurrent_param)): 1 - a is even on a log scale from 0.002 to
        # 0.2, and half-closed gates take a on to 0.9999. Nearer to 1 the `1 - exp(2 log a)` of all references
        # cancels in float32: with a mostly past 0.9999 in some channels, up to 5e-6 off.
        a = 1.0 - np.exp(rng.permutation(np.linspace(np.log(2e-3), np.log(0.2), width)))
        out[f"{name}.rg_lru.recurrent_param"] = np.log(np.expm1(-np.log(a) / 8.0)).astype(np.float32)

    def attention(name: str) -> None:
        bias = config["attention_bias"]
        linear(f"{name}.q_proj", heads * head_dim, hidden, gain=1.4, bias=bias)  # sharper than the mean of all
        linear(f"{name}.k_proj", kv, hidden, gain=1.4, bias=bias)
        linear(f"{name}.v_proj", kv, hidden, bias=bias)
        linear(f"{name}.o_proj", hidden, heads * head_dim)

    normal("model.embed_tokens.weight", vocab, hidden, std=hidden**-0.5)
    for i, kind in enumerate(blocks_of(config)):
        p = f"model.layers.{i}"
        normal(f"{p}.temporal_pre_norm.weight", hidden, std=0.25)
        (recurrent if kind == "recurrent" else attention)(f"{p}.temporal_block")
        normal(f"{p}.channel_pre_norm.weight", hidden, std=0.25)
        linear(f"{p}.mlp_block.gate_proj", mlp, hidden)
        linear(f"{p}.mlp_block.up_proj", mlp, hidden)
        linear(f"{p}.mlp_block.down_proj", hidden, mlp)
    normal("model.final_norm.weight", hidden, std=0.25, mean=2.0)  # logits large enough for the soft cap to bend
    if not config["tie_word_embeddings"]:
        normal("lm_head.weight", vocab, hidden, std=hidden**-0.5)
    return out


def huggingface(directory: Path, config: Mapping[str, Any], tokens: np.ndarray) -> tuple[np.ndarray, str]:
    """Logits of transformers and the config.json that it writes.

    One pass over the whole sequence without a cache: its conv state is wrong after a multi-token chunk.
    """
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    pattern = config.get("block_types") or config["_block_types"]  # transformers 5 does not read the old name
    model, report = transformers.RecurrentGemmaForCausalLM.from_pretrained(
        directory, block_types=pattern, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    # It would fill a tensor that it does not find with random numbers.
    if any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        raise RuntimeError(f"transformers did not take {directory}: {report}")
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(tokens).long(), use_cache=False).logits.numpy()
    for name in ("_block_types", "embeddings_scale_by_sqrt_dim"):  # carried along, not its own
        if hasattr(model.config, name):
            delattr(model.config, name)
    with tempfile.TemporaryDirectory() as scratch:
        model.config.save_pretrained(scratch)
        return logits, (Path(scratch) / "config.json").read_text()


def deepmind_parameters(config: Mapping[str, Any], w: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The checkpoint in DeepMind's names and layouts, nested as Flax has it."""

    def dense(name: str) -> Arrays:
        out = {"kernel": w[f"{name}.weight"].T}
        return out | {"bias": w[f"{name}.bias"]} if f"{name}.bias" in w else out

    out: dict[str, Any] = {
        "embedder": {"input_embedding": w["model.embed_tokens.weight"]},
        "final_norm": {"scale": w["model.final_norm.weight"]},
    }
    for i, kind in enumerate(blocks_of(config)):
        p = f"model.layers.{i}"
        t, mlp = f"{p}.temporal_block", f"{p}.mlp_block"
        up = [w[f"{mlp}.{half}.weight"].T for half in ("gate_proj", "up_proj")]
        up_bias = [w[f"{mlp}.{half}.bias"][None, None] for half in ("gate_proj", "up_proj")]
        layer: dict[str, Any] = {
            "temporal_pre_norm": {"scale": w[f"{p}.temporal_pre_norm.weight"]},
            "channel_pre_norm": {"scale": w[f"{p}.channel_pre_norm.weight"]},
            "mlp_block": {"ffw_up": {"w": np.stack(up), "b": np.stack(up_bias)}, "ffw_down": dense(f"{mlp}.down_proj")},
        }
        if kind == "recurrent":
            block: dict[str, Any] = {name: dense(f"{t}.{name}") for name in ("linear_x", "linear_y", "linear_out")}
            block["conv_1d"] = {"w": w[f"{t}.conv_1d.weight"][:, 0].T, "b": w[f"{t}.conv_1d.bias"]}
            block["rg_lru"] = {"a_param": w[f"{t}.rg_lru.recurrent_param"]}
            for theirs, ours in {"a_gate": "recurrent_gate", "input_gate": "input_gate"}.items():
                parts = (w[f"{t}.rg_lru.{ours}_weight"], w[f"{t}.rg_lru.{ours}_bias"])
                block["rg_lru"][theirs] = dict(zip("wb", parts, strict=True))
            layer["recurrent_block"] = block
        else:
            names = {"proj_q": "q_proj", "proj_k": "k_proj", "proj_v": "v_proj", "proj_final": "o_proj"}
            layer["attention_block"] = {theirs: dense(f"{t}.{ours}") for theirs, ours in names.items()}
        out[f"blocks.{i}"] = layer
    return out


def deepmind(config: Mapping[str, Any], weights: Mapping[str, np.ndarray], tokens: np.ndarray) -> Arrays:
    """Logits of DeepMind's JAX code (whole sequence, and token by token) and of its torch code."""
    import jax
    import torch
    from recurrentgemma import common, conversion
    from recurrentgemma.jax import griffin as jax_griffin
    from recurrentgemma.torch import griffin as torch_griffin

    shape = common.GriffinConfig(
        vocab_size=config["vocab_size"],
        width=config["hidden_size"],
        mlp_expanded_width=config["intermediate_size"] // 2,
        num_heads=config["num_attention_heads"],
        lru_width=config["lru_width"],
        block_types=tuple(common.TemporalBlockType[kind.upper()] for kind in blocks_of(config)),
        embeddings_scale_by_sqrt_dim=config["embeddings_scale_by_sqrt_dim"],
        attention_window_size=config["attention_window_size"],
        logits_soft_cap=config["logits_soft_cap"],
    )
    params = jax.tree_util.tree_map(jax.numpy.asarray, deepmind_parameters(config, weights))
    positions = np.broadcast_to(np.arange(LENGTH, dtype=np.int32), tokens.shape)

    model = jax_griffin.Griffin(shape, gradient_checkpointing=False)
    step = jax.jit(lambda *inputs: model.apply({"params": params}, *inputs))
    cache, decoded = model.init_cache(BATCH, jax.numpy.float32), []
    for t in range(DECODED):
        logits, cache = step(tokens[:, t : t + 1], positions[:, t : t + 1], cache)
        decoded.append(np.asarray(logits))

    twin = torch_griffin.Griffin(shape, gradient_checkpointing=False)
    twin.load_state_dict(conversion.flax_params_to_pytorch_state_dict(params))
    with torch.no_grad():
        from_torch = twin(torch.from_numpy(tokens).long(), torch.from_numpy(positions.copy()).long())[0].numpy()
    return {
        "deepmind_jax_float32": np.asarray(step(tokens, positions)[0]),
        "deepmind_torch_float32": from_torch,
        "deepmind_jax_decode": np.concatenate(decoded, axis=1),
    }


def make(name: str, config: dict[str, Any], seed: int, output: Path) -> float:
    """Writes one checkpoint and prints its part of the table; returns the largest relative error."""
    rng = np.random.default_rng(seed)
    weights = random_weights(config, rng)
    tokens = rng.integers(3, config["vocab_size"], (BATCH, LENGTH)).astype(np.int32)
    tokens[:, 0] = config["bos_token_id"]
    directory = output / name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})

    window = config["attention_window_size"]
    exact = {w: np.stack([oracle.logits(config, weights, row, w) for row in tokens]) for w in (window, window - 1)}
    hf, written = huggingface(directory, config, tokens)
    if name == "tiny":
        (directory / "config.transformers5.json").write_text(written)
    logits: Arrays = {"oracle": exact[window], "hf_float32": hf}
    if name in DEEPMIND:
        logits |= deepmind(config, weights, tokens)
    arrays: dict[str, Any] = {"tokens": tokens} | {key: a.astype(np.float32) for key, a in logits.items()}
    np.savez_compressed(directory / "logits.npz", **arrays)
    errors = {
        key: oracle.relative_error(a, exact[window - 1 if key.startswith("hf") else window][:, : a.shape[1]])
        for key, a in logits.items()
        if key != "oracle"
    }
    for key, error in errors.items():
        print(f"{name:<6} {key:<24} {error:.1e}")
    return max(errors.values())


def main() -> int:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "tests" / "goldens"
    worst = max(make(name, RELEASED | config, seed, output) for seed, (name, config) in enumerate(CONFIGS.items(), 1))
    print(f"{sum(f.stat().st_size for f in output.rglob('*') if f.is_file()):,} bytes")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
