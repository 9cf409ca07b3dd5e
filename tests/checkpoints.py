"""Random checkpoints of any shape, written as Hugging Face lays them out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from rgmlx.weights.hub import demo_directory

BASE: dict[str, Any] = {
    "architectures": ["RecurrentGemmaForCausalLM"],
    "model_type": "recurrent_gemma",
    "attention_bias": False,
    "attention_window_size": 8,
    "block_types": ["recurrent", "recurrent", "attention"],
    "bos_token_id": 2,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "conv1d_width": 4,
    "embeddings_scale_by_sqrt_dim": True,
    "head_dim": 8,
    "hidden_activation": "gelu_pytorch_tanh",
    "hidden_size": 32,
    "intermediate_size": 96,
    "logits_soft_cap": 30.0,
    "lru_width": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 4,
    "num_key_value_heads": 1,
    "partial_rotary_factor": 0.5,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "torch_dtype": "float32",
    "vocab_size": 64,
}


def config(**changes: Any) -> dict[str, Any]:
    """`BASE` with changes; None removes a field."""
    return {k: v for k, v in (BASE | changes).items() if v is not None}


def weights(c: Mapping[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Random float32 tensors with Hugging Face's names and layouts; `a` spans about 0.8 to 0.9999."""
    rng = np.random.default_rng(seed)
    d, heads, kv, e = c["hidden_size"], c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
    width, kernel, mlp = c["lru_width"], c["conv1d_width"], c["intermediate_size"] // 2
    block = width // heads
    out: dict[str, np.ndarray] = {}

    def put(name: str, *shape: int, scale: float | None = None) -> None:
        size = shape[-1] ** -0.5 if scale is None else scale
        out[name] = (rng.standard_normal(shape) * size).astype(np.float32)

    def linear(name: str, rows: int, columns: int, bias: bool = True) -> None:
        put(f"{name}.weight", rows, columns)
        if bias:
            put(f"{name}.bias", rows, scale=0.1)

    put("model.embed_tokens.weight", c["vocab_size"], d)
    if not c.get("tie_word_embeddings", True):
        put("lm_head.weight", c["vocab_size"], d)
    put("model.final_norm.weight", d, scale=0.1)
    for i in range(c["num_hidden_layers"]):
        p = f"model.layers.{i}"
        put(f"{p}.temporal_pre_norm.weight", d, scale=0.1)
        put(f"{p}.channel_pre_norm.weight", d, scale=0.1)
        linear(f"{p}.mlp_block.gate_proj", mlp, d)
        linear(f"{p}.mlp_block.up_proj", mlp, d)
        linear(f"{p}.mlp_block.down_proj", d, mlp)
        t = f"{p}.temporal_block"
        if c["block_types"][i % len(c["block_types"])] == "recurrent":
            linear(f"{t}.linear_y", width, d)
            linear(f"{t}.linear_x", width, d)
            linear(f"{t}.linear_out", d, width)
            put(f"{t}.conv_1d.weight", width, 1, kernel, scale=0.5)
            put(f"{t}.conv_1d.bias", width, scale=0.1)
            for gate in ("input_gate", "recurrent_gate"):
                put(f"{t}.rg_lru.{gate}_weight", heads, block, block)
                put(f"{t}.rg_lru.{gate}_bias", heads, block, scale=0.5)
            a = rng.uniform(0.64, 0.9998, width) ** 0.5
            out[f"{t}.rg_lru.recurrent_param"] = np.log(np.expm1(-np.log(a) / 4)).astype(np.float32)
        else:
            bias = c["attention_bias"]
            linear(f"{t}.q_proj", heads * e, d, bias)
            linear(f"{t}.k_proj", kv * e, d, bias)
            linear(f"{t}.v_proj", kv * e, d, bias)
            linear(f"{t}.o_proj", d, heads * e)
    return out


def of_demo(directory: Path, layers: int = 3) -> Path:
    """The embedded model's first layers, for what takes long with all of them."""
    demo = demo_directory()
    tensors = mx.load(str(demo / "model.safetensors"))
    assert isinstance(tensors, dict)
    left_out = re.compile(rf"model\.layers\.({'|'.join(map(str, range(layers, 100)))})\.")
    directory.mkdir(parents=True, exist_ok=True)
    config = json.loads((demo / "config.json").read_text()) | {"num_hidden_layers": layers}
    (directory / "config.json").write_text(json.dumps(config))
    mx.save_safetensors(
        str(directory / "model.safetensors"), {k: v for k, v in tensors.items() if not left_out.match(k)}
    )
    return directory


def write(directory: Path, c: Mapping[str, Any], tensors: Mapping[str, np.ndarray], shards: int = 1) -> Path:
    """Writes a checkpoint directory and returns it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(c))
    arrays = {k: mx.array(v) for k, v in tensors.items()}
    if shards == 1:
        mx.save_safetensors(str(directory / "model.safetensors"), arrays)
        return directory
    names, index = sorted(arrays), {}
    for s in range(shards):
        file = f"model-{s + 1:05}-of-{shards:05}.safetensors"
        part = {n: arrays[n] for n in names[s::shards]}
        mx.save_safetensors(str(directory / file), part)
        index |= dict.fromkeys(part, file)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    return directory
