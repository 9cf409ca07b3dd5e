"""What a conversion will write, worked out from names and shapes before a byte is read.

A plan is a list of steps in the order of the result's files: the embedding, the blocks, the last norm, a head of its own.
A result without a quantized tensor is in Hugging Face's layout, a convolution [L, 1, K], which transformers and mlx-lm
read; a quantized one is in MLX's, [L, K, 1], as `mlx_lm.convert -q` writes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from ..errors import CheckpointError, RgmlxError
from ..griffin.config import ModelConfig
from ..griffin.network import RecurrentGemma
from .recipe import Recipe, Settings, is_gate
from .source import Source, Tensor

Output = tuple[str, Tensor]
"""A tensor of the result."""


@dataclass(frozen=True)
class Step:
    """One tensor of the source and what it becomes.

    Attributes:
        name: in the source, `model.layers.0.mlp_block.down_proj.weight`.
        source: its shape and dtype there.
        settings: None when it is not quantized.
        outputs: names, shapes and dtypes of what is written: the tensor, or codes, scales and biases.
        kept: why a matrix that the recipe wants quantized is not.
    """

    name: str
    source: Tensor
    settings: Settings | None
    outputs: tuple[Output, ...]
    kept: str = ""

    @property
    def nbytes(self) -> int:
        return sum(t.nbytes for _, t in self.outputs)

    @property
    def bits(self) -> float:
        """Bits a number, scales included."""
        return 8 * self.nbytes / (self.source.nbytes // self.source.dtype.size)


@dataclass(frozen=True)
class Plan:
    """All steps of a conversion, and the configuration of its result.

    Attributes:
        config: the `config.json` of the result.
        model: the configuration of the source, for building networks.
        steps: in the order in which they are written.
        dropped: tensors of the source that the result leaves out (an equal copy of the embedding).
    """

    config: dict[str, Any]
    model: ModelConfig
    recipe: Recipe
    dtype: mx.Dtype
    steps: tuple[Step, ...]
    dropped: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        return sum(s.nbytes for s in self.steps)

    @property
    def parameters(self) -> int:
        return sum(s.source.nbytes // s.source.dtype.size for s in self.steps)

    def parts(self) -> list[list[Step]]:
        """The steps by part of the network: the embedding, each block, and what comes after."""
        parts: dict[str, list[Step]] = {}
        for step in self.steps:
            found = re.match(r"model\.layers\.(\d+)\.", step.name)
            key = found.group(1) if found else "embedding" if step.name.startswith("model.embed_tokens.") else "end"
            parts.setdefault(key, []).append(step)
        return list(parts.values())


def make(source: Source, recipe: Recipe, dtype: str | None, dropped: Sequence[str] = ()) -> Plan:
    """Plans a conversion.

    Args:
        dtype: of everything that is not quantized, and of scales; None: as the recipe says, else as in the source.
        dropped: tensors to leave out.

    Raises:
        CheckpointError: a tensor is missing, unknown or misshapen; it is named.
        RgmlxError: a pattern of the recipe fits nothing.
    """
    config = {
        k: v for k, v in source.config.items() if k not in ("quantization", "quantization_config", "_name_or_path")
    }
    own_head = "lm_head.weight" in source.tensors and "lm_head.weight" not in dropped
    config["tie_word_embeddings"] = not own_head
    model = ModelConfig.from_dict(config)
    wanted = dtype or recipe.dtype
    main = source.tensors.get("model.embed_tokens.weight")
    number = getattr(mx, wanted) if wanted else main.dtype if main else getattr(mx, model.dtype)
    shapes, matrices = expected(model)
    _check(source, shapes, dropped)
    steps = tuple(_step(n, source.tensors[n], recipe, number, wanted is not None, matrices) for n in shapes)
    if unused := recipe.unused(matrices):
        raise RgmlxError(
            f"the pattern '{unused[0]}' of the recipe {recipe.name} fits no module: see --dry-run for the names"
        )
    config["torch_dtype"] = str(number).removeprefix("mlx.core.")
    config.pop("dtype", None)
    if (quantization := _quantization(recipe, steps)) is not None:
        config["quantization"] = config["quantization_config"] = quantization
    else:
        steps = tuple(_as_hugging_face(step) for step in steps)
        config["block_types"] = list(model.block_types)  # transformers 5 does not read the older `_block_types`
    return Plan(config, model, recipe, number, steps, tuple(dropped))


def from_config(config: Mapping[str, Any], recipe: Recipe) -> Plan:
    """The plan for a `config.json` of which no weights are known: as if all were in its dtype, without a head's copy."""
    return make(_Shapes(config), recipe, None)


class _Shapes:
    """A source of which there is nothing but the configuration."""

    kind, directory, files = "a configuration", Path(), ()

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        model = ModelConfig.from_dict(dict(config))
        self.tensors = {n: Tensor(s, getattr(mx, model.dtype)) for n, s in expected(model)[0].items()}

    def read(self, name: str) -> mx.array:
        raise CheckpointError(f"the tensor {name} is missing: download the model first")


def check(source: Source) -> None:
    """Raises CheckpointError, ConfigError: the tensors are not those that the configuration asks for."""
    make(source, Recipe("as it is", None), None)


def expected(model: ModelConfig) -> tuple[dict[str, tuple[int, ...]], set[str]]:
    """Names and shapes in the order of the result, and the paths of the modules that can be quantized."""
    network = RecurrentGemma(model)  # its arrays are lazy and never evaluated
    shapes = {name: tuple(p.shape) for name, p in tree_flatten(network.parameters())}

    def place(name: str) -> tuple[int, int, str]:
        found = re.match(r"model\.layers\.(\d+)\.", name)
        if found:
            return (1, int(found.group(1)), name)
        return (0 if name.startswith("model.embed_tokens.") else 2 if name.startswith("model.") else 3, 0, name)

    modules = tree_flatten(network.leaf_modules(), is_leaf=lambda m: isinstance(m, nn.Module))
    matrices = {path for path, module in modules if hasattr(module, "to_quantized")}
    gates = {n.removesuffix("_weight") for n in shapes if is_gate(n.removesuffix("_weight"))}
    return {name: shapes[name] for name in sorted(shapes, key=place)}, matrices | gates


def _check(source: Source, expected: dict[str, tuple[int, ...]], dropped: Sequence[str]) -> None:
    for name, shape in expected.items():
        if name not in source.tensors:
            raise CheckpointError(f"the tensor {name} is missing: download the model again")
        if source.tensors[name].shape != shape:
            raise CheckpointError(
                f"the tensor {name} has shape {source.tensors[name].shape}, the configuration asks for {shape}"
            )
    if extra := sorted(set(source.tensors) - set(expected) - set(dropped)):
        raise CheckpointError(f"the tensor {extra[0]} is not part of this architecture ({len(extra)} such tensors)")


def _step(name: str, tensor: Tensor, recipe: Recipe, number: mx.Dtype, cast: bool, matrices: set[str]) -> Step:
    gate = is_gate(name.removesuffix("_weight"))
    path = name.removesuffix("_weight" if gate else ".weight")
    chosen = recipe.choose(path) if path in matrices and path != name else None
    kept = ""
    if chosen is not None and tensor.shape[-1] % chosen["group_size"]:
        kept = f"{tensor.shape[-1]} is no multiple of group size {chosen['group_size']}"
        chosen = None
    if chosen is None:
        # Without a dtype asked for, what is not quantized stays what it is: Lambda in float32, say.
        output = Tensor(tensor.shape, number if cast else tensor.dtype)
        return Step(name, tensor, None, ((name, output),), kept)
    rows, width, base = tensor.shape[:-1], tensor.shape[-1], name.removesuffix("weight")
    groups = (*rows, width // chosen["group_size"])
    outputs = [(name, Tensor((*rows, width * chosen["bits"] // 32), mx.uint32))]
    if chosen["mode"] == "affine":
        outputs += [(f"{base}scales", Tensor(groups, number)), (f"{base}biases", Tensor(groups, number))]
    else:
        outputs.append((f"{base}scales", Tensor(groups, mx.uint8)))
    return Step(name, tensor, chosen, tuple(outputs))


def _as_hugging_face(step: Step) -> Step:
    """The step with a convolution's weight written as [L, 1, K]."""
    if not step.name.endswith("conv_1d.weight"):
        return step
    [(name, tensor)] = step.outputs
    width, kernel, one = tensor.shape
    return replace(step, outputs=((name, Tensor((width, one, kernel), tensor.dtype)),))


def _quantization(recipe: Recipe, steps: Sequence[Step]) -> dict[str, Any] | None:
    """`quantization` of config.json: the default, and what differs from it by module path, as mlx-lm writes it."""
    quantized = {s.name: s.settings for s in steps if s.settings is not None}
    if not quantized:
        return None
    default = recipe.default or next(iter(quantized.values()))
    out: dict[str, Any] = dict(default)
    for step in steps:
        gate = is_gate(step.name.removesuffix("_weight"))
        path = step.name.removesuffix("_weight" if gate else ".weight")
        if step.settings is not None and (step.settings != default or gate):
            out[path] = step.settings
    return out


def lines(plan: Plan) -> list[tuple[str, ...]]:
    """The rows of `--dry-run`: name, shape, source dtype, target, bits, bytes."""
    rows: list[tuple[str, ...]] = []
    for step in plan.steps:
        if step.settings is None:
            target = _name(step.outputs[0][1].dtype) + (f" ({step.kept})" if step.kept else "")
        else:
            mode = step.settings["mode"]
            target = f"{step.settings['bits']} bits, group {step.settings['group_size']}" if mode == "affine" else mode
        shape = "x".join(map(str, step.source.shape))
        rows.append((step.name, shape, _name(step.source.dtype), target, f"{step.bits:.2f}", f"{step.nbytes:,}"))
    return rows


def _name(dtype: mx.Dtype) -> str:
    return str(dtype).removeprefix("mlx.core.")
