"""Tensor parallelism: one network on the ranks of an `mx.distributed` group, each with its share of every layer.

    shapes   B batch   N ranks   L lru_width   H heads   G kv heads   E head_dim   R ring slots   K conv width

    recurrent block    heads of the block-diagonal: rows of linear_x and linear_y, conv, RG-LRU; columns of linear_out
    attention          query heads: rows of q_proj, columns of o_proj; k_proj and v_proj whole where there is one kv head,
                       else their heads
    MLP                rows of gate_proj and up_proj, columns of down_proj
    vocabulary         rows of the embedding and of the head, where the number of ranks divides it; else whole

A layer's last product is summed over the ranks (`layers.Joining.out`), after which the residual stream is the same on
all of them; its bias is added behind the sum. An embedding comes from the rank that has it, by a sum as well; logits are
put side by side. Norms are whole on every rank. Quantized columns are cut between two groups, so that no number changes.
Knows networks and states; starts no process and opens no connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from ..errors import RgmlxError
from .config import ATTENTION, ModelConfig
from .state import Owner, State

Group = mx.distributed.Group
_LINEAR = (nn.Linear, nn.QuantizedLinear)
_EMBEDDING = (nn.Embedding, nn.QuantizedEmbedding)


@dataclass(frozen=True)
class Whole:
    """The owner of whole states: what the network was before it was shared out."""

    config: ModelConfig
    identity: dict[str, str]
    compute_dtype: mx.Dtype


def share_of(config: ModelConfig, ranks: int) -> ModelConfig:
    """The shapes of one rank's share: its heads, its RG-LRU, its part of the MLP."""
    return replace(
        config,
        num_attention_heads=config.num_attention_heads // ranks,
        num_key_value_heads=_key_value_heads(config, ranks),
        lru_width=config.lru_width // ranks,
        intermediate_size=config.intermediate_size // ranks,
    )


def possible_ranks(network: nn.Module) -> list[int]:
    """The numbers of ranks that a network can be shared out on, 1 included, in order."""
    config: ModelConfig = network.config
    columns = [_cuttable(layer) for layer in _outputs(network)]
    return [
        n
        for n in range(1, config.num_attention_heads + 1)
        if config.num_attention_heads % n == 0
        and (config.num_key_value_heads == 1 or config.num_key_value_heads % n == 0)
        and config.mlp_width % n == 0
        and all(pieces % n == 0 for pieces in columns)
    ]


def shard(network: nn.Module, group: Group) -> None:
    """Leaves a network, whole so far, only the share of this rank, one block after the other: one is in memory whole.

    Raises:
        RgmlxError: the network has adapters, or can't be shared out on so many ranks; nothing has changed then.
    """
    embedding = network.model.embed_tokens
    if type(embedding) not in _EMBEDDING or any(type(layer) not in _LINEAR for layer in _projections(network)):
        raise RgmlxError("a model with adapters can't be shared out on ranks: fuse them first, with mlx-lm's `fuse`")
    ranks, possible = group.size(), possible_ranks(network)
    if ranks not in possible:
        raise RgmlxError(
            f"this model can't be shared out on {ranks} ranks, only on {_listed(possible)}: its heads, its MLP and the "
            "groups of its quantization have to be divisible by their number"
        )
    if network.config.vocab_size % ranks == 0:
        for layer in [embedding, *([network.lm_head] if "lm_head" in network else [])]:
            for name in _parameters(layer):
                layer[name] = part(layer[name], 0, group)
            mx.eval(layer.parameters())
        network.model.group = group
    for block in network.layers:
        for module in (block.temporal_block, block.mlp_block):
            was_joined = module._joined is not None
            module._joined = None  # it holds the whole weights
            for layer, name, axis in _cuts(module, network.config):
                layer[name] = part(layer[name], axis, group)
            module.group = group
            mx.eval(module.parameters())
            if was_joined:
                module.join()
    network.config = share_of(network.config, ranks)
    for block in network.layers:
        if "q_proj" in block.temporal_block:
            block.temporal_block.heads = network.config.num_attention_heads
            block.temporal_block.kv_heads = network.config.num_key_value_heads


def part(array: mx.array, axis: int, group: Group) -> mx.array:
    """This rank's part of an array along an axis; holds nothing of the rest once it is computed."""
    width = array.shape[axis] // group.size()
    start = group.rank() * width
    return mx.contiguous(mx.split(array, [start, start + width], axis=axis)[1])


def beside(array: mx.array, axis: int, group: Group) -> mx.array:
    """The parts that the ranks have of an array, one behind the other along an axis."""
    parts = mx.split(mx.distributed.all_gather(array[None], group=group), group.size())
    return mx.concatenate([p[0] for p in parts], axis=axis)


def gather(state: State, group: Group, whole: Owner) -> State:
    """The whole state of the shares of all ranks; every rank has to call it, and every rank gets it.

    Args:
        state: this rank's share; it stays as it is.
        whole: the owner of the new state.
    """

    def joined(array: mx.array, axis: int | None) -> mx.array:
        return array if axis is None else beside(array, axis, group)

    return _moved(state, whole, [(joined(a, x), joined(b, y)) for (a, b), (x, y) in _pairs(state, whole.config, group)])


def scatter(state: State, group: Group, share: Owner) -> State:
    """This rank's share of a whole state, which stays as it is; nothing is sent.

    Args:
        share: the network of this rank, the owner of the new state.
    """

    def cut(array: mx.array, axis: int | None) -> mx.array:
        return array if axis is None else part(array, axis, group)

    return _moved(state, share, [(cut(a, x), cut(b, y)) for (a, b), (x, y) in _pairs(state, state.owner.config, group)])


def _moved(state: State, owner: Owner, layers: list[tuple[mx.array, mx.array]]) -> State:
    new = state.copy()
    new.owner, new.layers = owner, layers
    mx.eval(new.arrays())  # ranks wait for each other here, not wherever one of them looks at it first
    return new


def _pairs(
    state: State, whole: ModelConfig, group: Group
) -> Iterator[tuple[tuple[mx.array, mx.array], tuple[int | None, int | None]]]:
    """The arrays of each layer, and the axes along which ranks share them."""
    heads = None if _key_value_heads(whole, group.size()) == whole.num_key_value_heads else 1
    axes = {ATTENTION: (heads, heads)}
    for kind, pair in zip(whole.layer_types, state.layers, strict=True):
        yield pair, axes.get(kind, (2, 1))


def _key_value_heads(config: ModelConfig, ranks: int) -> int:
    """Key/value heads of one rank: a single one is on every rank."""
    return 1 if config.num_key_value_heads == 1 else config.num_key_value_heads // ranks


def _cuts(module: nn.Module, config: ModelConfig) -> Iterator[tuple[nn.Module, str, int]]:
    """What is cut of a module: the layer that holds it, its name there, the axis."""
    for name, layer in module.children().items():
        if name in ("k_proj", "v_proj") and config.num_key_value_heads == 1:
            continue
        for parameter in _parameters(layer):
            if name not in ("linear_out", "o_proj", "down_proj"):
                yield layer, parameter, 0
            elif parameter != "bias":
                yield layer, parameter, 1


def _parameters(layer: nn.Module) -> list[str]:
    return [name for name, value in layer.items() if isinstance(value, mx.array)]


def _projections(network: nn.Module) -> Iterator[nn.Module]:
    if "lm_head" in network:
        yield network.lm_head
    for block in network.layers:
        for module in (block.temporal_block, block.mlp_block):
            yield from (layer for name, layer in module.children().items() if name not in ("conv_1d", "rg_lru"))


def _outputs(network: nn.Module) -> Iterator[Any]:
    for block in network.layers:
        temporal = block.temporal_block
        yield from (temporal.linear_out if "linear_out" in temporal else temporal.o_proj, block.mlp_block.down_proj)


def _cuttable(layer: nn.Module) -> int:
    """Into how many pieces the columns of a layer's weight can be cut: of a quantized one, its groups."""
    return int(layer["scales" if "scales" in layer else "weight"].shape[-1])


def _listed(numbers: Sequence[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} or {last}" if most else last
