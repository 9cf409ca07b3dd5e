"""The model's shape, and the numbers that it begins with.

Parameters with a vocabulary of 8,192 and one head of 64 a 64 of width (embedding included; 4 bits in groups of 64 take about
0.56 bytes each):

    width   layers   MLP     parameters
    384     12       1,152   24.5 M
    448     12       1,344   32.5 M
    512     12       1,152   34.7 M
    512     12       1,536   41.8 M
    512     13       1,536   45.0 M
"""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

from rgmlx.griffin.config import ModelConfig
from rgmlx.griffin.network import RecurrentGemma

HEAD = 64
_OUTPUTS = ("linear_out.weight", "o_proj.weight", "down_proj.weight")


def config(width: int = 512, layers: int = 12, mlp: int = 0, window: int = 1023, vocabulary: int = 8192) -> ModelConfig:
    """`mlp` 0: three times the width. `window`: keys before a token that it sees, and itself."""
    return ModelConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * (mlp or 3 * width),
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // HEAD),
        num_key_value_heads=1,
        head_dim=HEAD,
        lru_width=width,
        attention_window_size=window,
        dtype="bfloat16",
    )


def begin(net: RecurrentGemma, seed: int) -> None:
    """Random float32 parameters, as Griffin's authors begin: `a` between 0.9 and 0.999, what adds to the stream small."""
    rng, config = np.random.default_rng(seed), net.config

    def first(name: str, shape: tuple[int, ...]) -> np.ndarray:
        numbers = rng.standard_normal(shape)
        if name.endswith("recurrent_param"):
            a_squared = rng.uniform(0.9**2, 0.999**2, shape)
            return np.log(np.expm1(-0.5 * np.log(a_squared)))
        if name.endswith("conv_1d.weight"):
            return numbers * math.sqrt(0.01 / shape[1])
        if name.endswith("_gate_weight"):
            return numbers / math.sqrt(shape[1])
        if name.endswith("weight") and len(shape) == 2:
            scale = math.sqrt(2 / config.num_hidden_layers) if name.endswith(_OUTPUTS) else 1.0
            return numbers * scale / math.sqrt(shape[1])
        return np.zeros(shape)  # norms, biases

    made = [(name, mx.array(first(name, p.shape).astype(np.float32))) for name, p in tree_flatten(net.parameters())]
    net.update(tree_unflatten(made))
