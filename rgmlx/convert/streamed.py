"""A network that is never in memory as a whole: hidden states go through blocks that are read, used and dropped.

    shapes   B rows   T tokens of a row   D hidden_size   V vocabulary

So a model of any size can be compared on a small machine. Computes in float32 with the network's own modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

from ..griffin.chunk import Chunk, plan_chunk
from ..griffin.config import ModelConfig
from ..griffin.layers import Block, RMSNorm, embedding_scale
from ..griffin.rope import Rotary
from ..griffin.state import empty_layer
from .source import Source, pieces

_TOKENS = 4096  # that go through a block at once


def hidden_states(
    config: ModelConfig, source: Source, rows: Sequence[Sequence[int]], progress: Callable[[int], None] = lambda _: None
) -> mx.array:
    """The normed outputs of the last block.

    Args:
        rows: token ids, rows of one length.
        progress: told how many blocks are done.

    Returns:
        float32 [B, T, D].
    """
    tokens = mx.array([list(r) for r in rows], mx.int32)
    rotary = Rotary(config.rotary_dim, config.rope_theta)
    x = embedded(source, tokens) * embedding_scale(config)
    mx.eval(x)
    for i, kind in enumerate(config.layer_types):
        block = Block(config, kind)
        names = [name for name, _ in tree_flatten(block.parameters())]
        block.load_weights([(n, source.read(f"model.layers.{i}.{n}").astype(mx.float32)) for n in names])
        parts = []
        for part in _batches(x, max(1, _TOKENS // tokens.shape[1])):
            parts.append(run_block(config, rotary, kind, block, part))
            mx.eval(parts[-1])
        x = mx.concatenate(parts)
        mx.eval(x)
        progress(i + 1)
    norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
    norm.weight = source.read("model.final_norm.weight").astype(mx.float32)
    hidden = norm(x, (None, None), mx.float32, Chunk(is_inference=True))[1]
    mx.eval(hidden)
    return hidden


def run_block(config: ModelConfig, rotary: Rotary, kind: str, block: Block, hidden: mx.array) -> mx.array:
    """Hidden states [B, T, D], from the beginning of a text, after a block of this kind; not evaluated."""
    batch, time, _ = hidden.shape
    state = empty_layer(config, kind, batch, mx.float32)
    chunk = plan_chunk(config, rotary, [0] * batch, time, None, inference=True)
    x, (y, bias), _ = block(hidden, (None, None), state, chunk, mx.float32)
    assert y is not None
    return x + (y if bias is None else y + bias)


def embedded(source: Source, tokens: mx.array) -> mx.array:
    """Rows of the embedding for ids [B, T]: float32 [B, T, D], without the embedding as a whole in memory."""
    ids = np.array(tokens)
    out = np.zeros((*ids.shape, source.tensors["model.embed_tokens.weight"].shape[1]), np.float32)
    for start, rows in pieces(source, "model.embed_tokens.weight"):
        here = (ids >= start) & (ids < start + rows.shape[0])
        if here.any():
            out[here] = np.array(rows[mx.array(ids[here] - start)].astype(mx.float32))
    return mx.array(out)


def _batches(x: mx.array, size: int) -> Iterator[mx.array]:
    for start in range(0, x.shape[0], size):
        yield x[start : start + size]
