"""The reference: RecurrentGemma in float64 NumPy, one token at a time, nothing shared with rgmlx.

Reads a Hugging Face checkpoint (a config dictionary and named arrays) and follows DeepMind's code
line by line: clear rather than fast. `bf16_state` rounds the recurrent state as other implementations do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]


def _bfloat16(x: float) -> float:
    bits = np.float32(x).view(np.uint32)
    rounded = (int(bits) + 0x7FFF + ((int(bits) >> 16) & 1)) & 0xFFFF0000
    return float(np.uint32(rounded).view(np.float32))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def logits(
    config: Mapping[str, Any],
    weights: Arrays,
    tokens: Sequence[int],
    window: int,
    bf16_state: bool = False,
) -> np.ndarray:
    """Logits float64 [T, V] of one sequence in which a token sees itself and `window` before it."""
    w = {name: np.asarray(a, np.float64) for name, a in weights.items()}
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    kv_heads, head_dim = config["num_key_value_heads"], config["head_dim"]
    width = config.get("lru_width") or hidden
    kernel = config.get("conv1d_width", 4)
    rope = config.get("rope_parameters") or config
    theta, partial = rope.get("rope_theta", 10000.0), rope.get("partial_rotary_factor", 0.5)
    rotary = int(head_dim * partial)
    frequencies = theta ** (-np.arange(0, rotary, 2) / rotary)
    blocks = config.get("block_types") or config["_block_types"]
    length = len(tokens)

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + config["rms_norm_eps"]) * (1.0 + w[f"{name}.weight"])

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        y = x @ w[f"{name}.weight"].T
        return y + w[f"{name}.bias"] if f"{name}.bias" in w else y

    def rotate(x: np.ndarray) -> np.ndarray:  # [T, heads, head_dim]
        angle = (np.arange(length)[:, None] * frequencies)[:, None]
        a, b, rest = np.split(x, [rotary // 2, rotary], axis=-1)
        return np.concatenate(
            [a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle), rest], axis=-1
        )

    def recurrent(x: np.ndarray, p: str) -> np.ndarray:
        y = gelu(linear(x, f"{p}.linear_y"))
        u = linear(x, f"{p}.linear_x")
        padded = np.concatenate([np.zeros((kernel - 1, width)), u])
        taps = w[f"{p}.conv_1d.weight"].reshape(width, kernel)
        z = np.zeros_like(u)
        for t in range(length):
            z[t] = (padded[t : t + kernel] * taps.T).sum(0) + w[f"{p}.conv_1d.bias"]

        def gate(kind: str) -> np.ndarray:
            blocked = z.reshape(length, heads, width // heads)
            out = np.einsum("thi,hij->thj", blocked, w[f"{p}.rg_lru.{kind}_weight"]) + w[f"{p}.rg_lru.{kind}_bias"]
            return sigmoid(out.reshape(length, width))

        log_a = -8.0 * gate("recurrent_gate") * np.logaddexp(0.0, w[f"{p}.rg_lru.recurrent_param"])
        a = np.exp(log_a)
        multiplier = np.sqrt(-np.expm1(2.0 * log_a))
        multiplier[0] = 1.0
        x_in = multiplier * gate("input_gate") * z
        h, out = np.zeros(width), np.zeros_like(z)
        for t in range(length):
            h = a[t] * h + x_in[t]
            if bf16_state:
                h = np.array([_bfloat16(v) for v in h])
            out[t] = h
        return linear(out * y, f"{p}.linear_out")

    def attention(x: np.ndarray, p: str) -> np.ndarray:
        q = rotate(linear(x, f"{p}.q_proj").reshape(length, heads, head_dim))
        k = rotate(linear(x, f"{p}.k_proj").reshape(length, kv_heads, head_dim))
        v = linear(x, f"{p}.v_proj").reshape(length, kv_heads, head_dim)
        out = np.zeros((length, heads, head_dim))
        for t in range(length):
            first = max(0, t - window)
            for head in range(heads):
                group = head // (heads // kv_heads)
                scores = k[first : t + 1, group] @ q[t, head] / np.sqrt(head_dim)
                out[t, head] = softmax(scores) @ v[first : t + 1, group]
        return linear(out.reshape(length, -1), f"{p}.o_proj")

    x = w["model.embed_tokens.weight"][np.asarray(tokens)]
    if config.get("embeddings_scale_by_sqrt_dim", True):
        x = x * _bfloat16(np.sqrt(hidden))
    for i in range(config["num_hidden_layers"]):
        p = f"model.layers.{i}"
        mix = recurrent if blocks[i % len(blocks)] == "recurrent" else attention
        x = x + mix(norm(x, f"{p}.temporal_pre_norm"), f"{p}.temporal_block")
        y = norm(x, f"{p}.channel_pre_norm")
        y = gelu(linear(y, f"{p}.mlp_block.gate_proj")) * linear(y, f"{p}.mlp_block.up_proj")
        x = x + linear(y, f"{p}.mlp_block.down_proj")
    x = norm(x, "model.final_norm")
    out = x @ w.get("lm_head.weight", w["model.embed_tokens.weight"]).T
    cap = config.get("logits_soft_cap", 30.0)
    return np.tanh(out / cap) * cap if cap else out


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    """Largest difference over largest value."""
    return float(np.abs(np.asarray(got, np.float64) - want).max() / np.abs(want).max())
