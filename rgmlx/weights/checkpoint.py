"""From a directory of safetensors to a network with weights, checked on the way.

Reads Hugging Face checkpoints (one file, or shards with an index) and mlx-lm conversions, quantized
or not. Before anything is computed, every tensor has been compared with what the configuration asks
for by name and shape, and every value found finite.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Container, Mapping
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from ..errors import CheckpointError
from ..griffin.config import ModelConfig
from ..griffin.network import RecurrentGemma, stays_float32
from ..system.files import load_arrays, read_header
from ..system.printable import first_line
from ..system.reading import MAX_INDEX, present, read_json
from . import checksums
from .checksums import INDEX


def weight_files(directory: Path, coming: Collection[str] | None = None) -> list[Path]:
    """The safetensors files of a checkpoint directory.

    Args:
        coming: the names of those that will be there, where they are still on their way.

    Raises:
        CheckpointError: there are none, the index is damaged or names a file that is missing or
            lies outside the directory.
    """
    index = directory / INDEX
    if not present(index):
        found = safetensors(directory) if coming is None else [directory / n for n in sorted(coming)]
        files = [path for path in found if path.name.startswith("model")] or found
        if not files:
            raise CheckpointError(f"{directory} holds no .safetensors file: download or convert the model again")
        return files
    try:
        names = sorted(set(read_json(index, MAX_INDEX)["weight_map"].values()))
        inside = [n for n in names if Path(n).name == n and n not in ("", "..")]
    except OSError as e:
        raise CheckpointError(f"{index} can't be read: {e.strerror or e}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(f"{index} is damaged: download or convert the model again") from None
    if len(inside) < len(names) or not names:
        bad = next((n for n in names if n not in inside), "nothing")
        raise CheckpointError(f"{index} names {bad!r}, which is not a file of its own directory: refused")
    for name in names:
        # `present` is False too where the name is impossible.
        if not (present(directory / name) if coming is None else name in coming):
            raise CheckpointError(f"the shard {directory / name} is missing: download the model again")
    return [directory / n for n in names]


def safetensors(directory: Path) -> list[Path]:
    """The safetensors files of a directory. Hidden ones are none: macOS leaves `._NAME` beside each on foreign disks."""
    return sorted(path for path in directory.glob("*.safetensors") if not path.name.startswith("."))


def read_weights(directory: Path) -> dict[str, mx.array]:
    """All tensors of a checkpoint, still on the disk.

    Raises:
        CheckpointError: a file is missing, truncated, or not what its checksum says.
    """
    files = weight_files(directory)
    for path in files:
        read_header(path, CheckpointError)
    checksums.verify(directory)
    weights: dict[str, mx.array] = {}
    for path in files:
        weights |= load_arrays(path, CheckpointError)[0]
    return weights


def loaded_nbytes(weights: Mapping[str, mx.array], dtype: mx.Dtype) -> int:
    """Bytes that the tensors of a checkpoint will take as `build` casts them; nothing is read for it."""
    return sum(w.size * _cast_to(name, w, dtype).size for name, w in weights.items())


def _cast_to(name: str, w: mx.array, dtype: mx.Dtype) -> mx.Dtype:
    """What a tensor becomes where the compute dtype is `dtype`."""
    if not mx.issubdtype(w.dtype, mx.floating):
        return w.dtype
    return mx.float32 if stays_float32(name) else dtype


def build(config: ModelConfig, weights: Mapping[str, mx.array], network: RecurrentGemma, dtype: mx.Dtype) -> None:
    """Puts a checkpoint's tensors into a fresh network, in the compute dtype, and checks them.

    Raises:
        CheckpointError: a tensor is missing, unknown, misshapen or not finite; it is named.
    """
    weights = network.sanitize(dense_gates(config, weights))
    if any(name.endswith(".scales") for name in weights) and config.quantization is None:
        raise CheckpointError(
            "the weights are quantized, but config.json has no 'quantization': convert the model again"
        )
    if not config.tie_word_embeddings and "lm_head.weight" not in weights:
        raise CheckpointError(
            "config.json says that the head is not tied to the embedding, but lm_head.weight is missing"
        )
    quantize_as_stored(config, network, weights)
    expected = dict(tree_flatten(network.parameters()))
    for name, p in expected.items():
        if name not in weights:
            raise CheckpointError(f"the tensor {name} is missing: download or convert the model again")
        w = weights[name]
        if w.shape != p.shape:
            raise CheckpointError(f"the tensor {name} has shape {w.shape}, config.json asks for {p.shape}")
        if w.dtype != p.dtype and not all(mx.issubdtype(a.dtype, mx.floating) for a in (w, p)):
            raise CheckpointError(f"the tensor {name} holds {_name(w.dtype)} numbers instead of {_name(p.dtype)}")
    if extra := sorted(set(weights) - set(expected)):
        raise CheckpointError(f"the tensor {extra[0]} is not part of this architecture ({len(extra)} such tensors)")
    cast_weights = {name: w.astype(_cast_to(name, w, dtype)) for name, w in weights.items()}
    network.load_weights(list(cast_weights.items()))
    floats = [(n, w) for n, w in cast_weights.items() if mx.issubdtype(w.dtype, mx.floating)]
    mx.eval(network.parameters())
    finite = np.array(mx.stack([mx.isfinite(w).all() for _, w in floats]))
    if not finite.all():
        name = floats[int(finite.argmin())][0]
        if mx.isfinite(weights[name]).all():
            raise CheckpointError(
                f"the tensor {name} holds numbers too large for {_name(dtype)}: load the model in bfloat16 or float32"
            )
        raise CheckpointError(f"the tensor {name} holds NaN or infinite values: download or convert the model again")


def quantize_as_stored(config: ModelConfig, network: RecurrentGemma, names: Container[str]) -> None:
    """Replaces the modules that the checkpoint stores quantized, as mlx-lm writes them.

    Args:
        names: the tensors of the checkpoint; a module is quantized when its scales are there.

    Raises:
        CheckpointError: the settings are missing or don't fit.
    """
    settings = config.quantization
    if settings is None:
        return

    def choose(path: str, module: nn.Module) -> bool | dict[str, Any]:
        if f"{path}.scales" not in names:
            return False
        if not hasattr(module, "to_quantized"):
            raise CheckpointError(f"the tensor {path}.scales belongs to a layer that can't be quantized")
        own = settings.get(path, True)
        own = settings if own is True else own
        if not isinstance(own, Mapping):
            raise CheckpointError(f"config.json's quantization says {own!r} of {path}, which is stored quantized")
        return {k: own[k] for k in ("group_size", "bits", "mode") if own.get(k) is not None}

    try:
        nn.quantize(network, class_predicate=choose)
    except (ValueError, RuntimeError, TypeError) as e:
        raise CheckpointError(f"config.json's quantization does not fit this model: {first_line(e)}") from None


def dense_gates(config: ModelConfig, weights: Mapping[str, mx.array]) -> dict[str, mx.array]:
    """The tensors with quantized gates made dense: they save space on the disk, the kernels take them as they are.

    Raises:
        CheckpointError: the settings are missing or don't fit.
    """
    out = dict(weights)
    for scales in [n for n in weights if n.endswith("_gate_scales")]:
        path = scales.removesuffix("_scales")
        codes, biases = out.pop(f"{path}_weight", None), out.pop(f"{path}_biases", None)
        own = (config.quantization or {}).get(path)
        if not isinstance(own, Mapping) or codes is None:
            raise CheckpointError(f"{path} is quantized, but config.json does not say how: convert the model again")
        try:
            settings = {"group_size": own["group_size"], "bits": own["bits"], "mode": own.get("mode", "affine")}
            out[f"{path}_weight"] = mx.dequantize(codes, out.pop(scales), biases, **settings)
        except (ValueError, RuntimeError, TypeError, KeyError) as e:
            raise CheckpointError(f"config.json's quantization does not fit {path}: {first_line(e)}") from None
    return out


def _name(dtype: mx.Dtype) -> str:
    return str(dtype).removeprefix("mlx.core.")


def fingerprint(weights: Mapping[str, mx.array]) -> str:
    """A short hash of a set of tensors: names, shapes, dtypes and 64 values spread over each.

    Reading every byte of a large model would take seconds; any training changes these values.
    """
    digest, samples = hashlib.blake2b(digest_size=12), []
    for name in sorted(weights):
        w = weights[name]
        digest.update(f"{name} {w.dtype} {w.shape}\n".encode())
        flat = w.reshape(-1)
        samples.append(flat[:: max(1, flat.size // 64)][:64].view(mx.uint8))
    if samples:
        digest.update(np.array(mx.concatenate(samples)).tobytes())
    return digest.hexdigest()


def disk_bytes(directory: Path) -> int:
    """Bytes of the weight files."""
    return sum(p.stat().st_size for p in weight_files(directory))
