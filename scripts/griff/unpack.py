"""Makes parts of a packed model, for a training that goes on from what is embedded.

    python -m griff.unpack DEMO PARTS

What packing rounded stays rounded; the vocabulary is the packed model's, so its tokenizer has to be kept
(`--give tokenizer=DEMO/tokenizer.model`). `griff.train --init PARTS` begins with a new optimizer.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_unflatten

from rgmlx.griffin.config import ModelConfig

from . import checkpoint


def unpacked(directory: Path) -> tuple[dict[str, mx.array], dict[str, Any]]:
    """The weights of a packed model by name, float32, and its config without `quantization`.

    Raises:
        CheckpointError: `directory` holds no such model.
    """
    try:
        config: dict[str, Any] = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        loaded: Any = mx.load(str(directory / "model.safetensors"))
    except (OSError, RuntimeError, ValueError) as e:
        raise checkpoint.CheckpointError(f"{directory} holds no packed model: {str(e).splitlines()[0]}") from None
    packing = config.pop("quantization", {})
    config.pop("quantization_config", None)
    everywhere = {k: v for k, v in packing.items() if not isinstance(v, dict)}
    arrays = {}
    for name, array in loaded.items():
        layer, _, kind = name.rpartition(".")
        if kind in ("scales", "biases"):
            continue
        scales = loaded.get(f"{layer}.scales")
        if kind == "weight" and scales is not None:
            settings = packing.get(layer, everywhere)
            biases = loaded.get(f"{layer}.biases")
            array = mx.dequantize(
                *(array, scales.astype(mx.float32), None if biases is None else biases.astype(mx.float32)),
                **settings,
            )
        arrays[name] = array.astype(mx.float32)
    return arrays, config


def main() -> None:
    p = argparse.ArgumentParser(description="Makes parts of a packed model, to train on from.")
    p.add_argument("model", type=Path)
    p.add_argument("parts", type=Path)
    options = p.parse_args()
    try:
        arrays, config = unpacked(options.model)
        files = checkpoint.export(
            options.parts,
            tree_unflatten(list(arrays.items())),
            {"config": ModelConfig.from_dict(config).to_dict(), "step": 0, "tokens": 0, "batches": 0},
        )
    except checkpoint.CheckpointError as e:
        raise SystemExit(f"griff.unpack: {e}") from None
    print(f"{options.parts}: {', '.join(file.name for file in files)}")


if __name__ == "__main__":
    main()
