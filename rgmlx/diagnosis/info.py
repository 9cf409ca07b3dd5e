"""What a model is, from its shapes and file headers alone: nothing is computed, no weight is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from ..convert import plan
from ..convert.huggingface import SafetensorsSource
from ..errors import CheckpointError
from ..griffin.config import PRESETS, ModelConfig, describe_quantization
from ..griffin.network import RecurrentGemma
from ..system.files import read_header
from ..weights import hub
from ..weights.checkpoint import disk_bytes, quantize_as_stored, weight_files


@dataclass(frozen=True)
class ModelInfo:
    """A model's description. `directory` is None for a preset, which has shapes only."""

    name: str
    config: ModelConfig
    directory: Path | None
    network: RecurrentGemma  # its arrays are lazy and never evaluated

    def rows(self) -> list[tuple[str, str]]:
        """The table of `rgmlx info`: labels and values."""
        c = self.config
        counts = c.parameter_counts()
        kinds = list(c.layer_types)
        attention = kinds.count("attention")
        window = (
            f"{c.attention_window_size:,} tokens before it, and itself" if attention else "none (no attention layer)"
        )
        rows = [
            ("model", hub.named(self.name, self.directory)),
            ("parameters", f"{counts['total']:,}"),
            ("  embedding", f"{counts['embedding']:,}" + ("" if c.tie_word_embeddings else "  (input and output)")),
            ("  without embedding", f"{counts['non_embedding']:,}"),
            ("layers", f"{len(kinds)}  ({len(kinds) - attention} recurrent, {attention} attention)"),
            ("block pattern", ", ".join(c.block_types)),
            ("width", f"{c.hidden_size:,}"),
            ("RNN width", f"{c.lru_width:,}"),
            ("MLP width", f"{c.mlp_width:,}"),
            ("heads", f"{c.num_attention_heads}  ({c.num_key_value_heads} key/value, head size {c.head_dim})"),
            ("a token sees", window),
            ("vocabulary", f"{c.vocab_size:,}"),
            ("precision", _precision(c)),
            (
                "state, 16-bit",
                f"{c.state_nbytes(2):,} bytes  ({c.state_nbytes(2) / 1e6:.2f} MB, for any length of text)",
            ),
            ("state, 32-bit", f"{c.state_nbytes(4):,} bytes  ({c.state_nbytes(4) / 1e6:.2f} MB)"),
        ]
        if self.directory is not None:
            size = disk_bytes(self.directory)
            rows.append(("on disk", f"{size:,} bytes  ({size / 1e6:,.1f} MB)"))
        else:
            full, small = (sum(_nbytes(m, bits) for _, m in _leaves(self.network)) for bits in (16, 4))
            rows.append(
                ("on disk", f"no weights here; {full / 1e9:.2f} GB in bfloat16, {small / 1e9:.2f} GB in 4 bits")
            )
        return rows

    def layers(self) -> Iterator[tuple[str, str, str]]:
        """(path, kind, shapes) of every module that holds parameters."""
        for path, module in _leaves(self.network):
            shapes = ", ".join(
                f"{name} {'x'.join(map(str, p.shape))}"
                for name, p in module.items()
                if isinstance(p, mx.array) and not name.startswith("_")
            )
            bits = f" {module.bits}-bit" if "scales" in module else ""
            yield path, type(module).__name__ + bits, shapes


def describe(name: str | Path) -> ModelInfo:
    """Describes a preset (`2b`, `9b`) or a model, by the names that `rgmlx.load` takes.

    Raises:
        RgmlxError: there is no such model, or its files are damaged.
    """
    preset = PRESETS.get(str(name))
    if preset is not None and not Path(name).is_dir():
        return ModelInfo(str(name), preset, None, RecurrentGemma(preset))
    directory = hub.resolve(name)
    config = ModelConfig.from_file(directory / "config.json")
    plan.check(SafetensorsSource(directory))
    names = {n for path in weight_files(directory) for n in read_header(path, CheckpointError)[0]}
    if "lm_head.weight" in names:  # a head that is stored counts, and is used, whatever config.json says
        config = replace(config, tie_word_embeddings=False)
    network = RecurrentGemma(config)
    quantize_as_stored(config, network, names)
    return ModelInfo(str(name), config, directory, network)


def _leaves(network: RecurrentGemma) -> list[tuple[str, nn.Module]]:
    leaves = tree_flatten(network.leaf_modules(), is_leaf=lambda m: isinstance(m, nn.Module))
    return [(path, module) for path, module in leaves]


def _nbytes(module: nn.Module, bits: int) -> int:
    """Bytes of a module's parameters with its matrices at `bits` bits (group size 64) and the rest at 16."""
    total = 0
    for name, p in tree_flatten(module.parameters()):
        matrix = name == "weight" and hasattr(module, "to_quantized") and bits < 16
        total += p.size * bits // 8 + p.size // 64 * 4 if matrix else p.size * 2
    return total


def _precision(config: ModelConfig) -> str:
    if config.quantization is None:
        return config.dtype
    return f"{describe_quantization(config.quantization)}; the rest {config.dtype}"
