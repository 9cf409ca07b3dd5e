"""mlx-lm on our network: its token loops, prompt caches and server run unchanged.

    import rgmlx.mlx_lm
    rgmlx.mlx_lm.register()                     # from here on mlx-lm loads RecurrentGemma with our class
    model, tokenizer = mlx_lm.load(path)

or, from a shell, `rgmlx mlx-lm server --model PATH` (any of mlx-lm's commands; `demo` is a PATH too). A model from
`rgmlx.load` can be given to `mlx_lm.generate.generate_step` as it is.

A cache is a list of mlx-lm's own `ArraysCache`, one a layer, with three slots: the two arrays of our
`State` and the row positions (int64 [B]). mlx-lm can save, merge, filter and extract them.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mlx.core as mx

from . import hub
from .config import ModelConfig
from .errors import RgmlxError

if TYPE_CHECKING:
    from .network import RecurrentGemma


def make_cache(network: RecurrentGemma) -> list[Any]:
    """Empty caches, one a layer."""
    from mlx_lm.models.cache import ArraysCache

    return [ArraysCache(size=3) for _ in network.layers]


def advance_cache(network: RecurrentGemma, tokens: mx.array, cache: Sequence[Any]) -> mx.array:
    """Consumes tokens [B, T] and writes the state back into the caches; returns outputs [B, T, D].

    Right-padded rows are honoured (`ArraysCache.lengths`).

    Raises:
        RgmlxError: the caches ask for left padding, which this model has no use for.
    """
    from .state import State

    batch, time = tokens.shape
    first = cache[0]
    if first.left_padding is not None:
        if any(n > 0 for n in first.left_padding.tolist()):
            raise RgmlxError("left-padded batches are not supported: pad on the right, as mlx-lm's batches do")
        for c in cache:  # mlx-lm counts it down for ever, as a lazy sum that would grow with the text
            c.left_padding = None
    state = State(_Blank(network), batch)
    if first[2] is not None:
        state.positions = [int(p) for p in first[2].tolist()]
        state.layers = [(c[0], c[1]) for c in cache]
    lengths = None
    if first.lengths is not None:
        lengths = [min(max(int(n), 0), time) for n in first.lengths.tolist()]
        lengths = None if min(lengths) == time else lengths
    hidden = network.advance(tokens, state, lengths)
    positions = mx.array(state.positions, mx.int64)
    for c, (a, b) in zip(cache, state.layers, strict=True):
        c[0], c[1], c[2] = a, b, positions
        c.advance(time)
    return hidden


@dataclass
class _Blank:
    """The owner of a state that lives in mlx-lm's caches and is never saved by us."""

    network: RecurrentGemma

    @property
    def config(self) -> ModelConfig:
        return self.network.config

    @property
    def compute_dtype(self) -> mx.Dtype:
        return self.network.compute_dtype

    @property
    def identity(self) -> dict[str, str]:
        raise RgmlxError("a state inside an mlx-lm cache is saved by mlx-lm: use its save_prompt_cache")


class ModelArgs:
    """What mlx-lm builds from a `config.json` before it makes a model."""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelConfig:
        # A setting of mlx-lm's loader, not of the model; it is off unless asked for.
        own = {k: v for k, v in data.items() if k != "quantize_activations" or v}
        return ModelConfig.from_dict(own)


def register() -> None:
    """Makes mlx-lm load `recurrent_gemma` checkpoints with our network, in this process."""
    from .network import RecurrentGemma

    module = types.ModuleType("mlx_lm.models.recurrent_gemma", __doc__)
    vars(module).update(Model=RecurrentGemma, ModelArgs=ModelArgs)
    sys.modules[module.__name__] = module


def main(arguments: Sequence[str]) -> None:
    """Runs one of mlx-lm's commands (`server`, `generate`, `cache_prompt`, ...) on our network."""
    import importlib

    register()
    command, *rest = arguments
    name = f"mlx_lm.{command.replace('-', '_').replace('.', '_')}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name != name:
            raise
        raise RgmlxError(f"mlx-lm has no command '{command}'") from None
    if not hasattr(module, "main"):
        raise RgmlxError(f"mlx-lm has no command '{command}'")
    for i, argument in enumerate(rest[:-1]):
        if argument == "--model":  # `demo`, and one clear sentence for a name that is wrong
            rest[i + 1] = str(hub.resolve(rest[i + 1]))
    sys.argv = [f"mlx_lm {command}", *rest]
    module.main()
