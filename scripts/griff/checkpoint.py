"""What a training leaves behind: a checkpoint to go on from, parts to travel with, and a Hugging Face directory.

    python -m griff.checkpoint PARTS DIRECTORY --tokenizer tokenizer.model

makes of parts a directory that `scripts/pack_demo.py`, `rgmlx convert` and `rgmlx.load` take.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten, tree_unflatten

from rgmlx.griffin.config import ModelConfig
from rgmlx.griffin.network import stays_float32

PART_BYTES = 15 * 2**20
PARTS = 7
"""At most so many files of at most so many bytes, `training.json` among them."""
_NOTES = "training.json"


class CheckpointError(Exception):
    """Files that are missing, damaged or another model's."""


def _write(path: Path, arrays: dict[str, mx.array], notes: dict[str, Any]) -> None:
    """As a whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}.safetensors")
    try:
        mx.save_safetensors(str(scratch), arrays, {"format": "mlx", "notes": json.dumps(notes)})
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, mx.array], dict[str, Any]]:
    try:
        found: Any = mx.load(str(path), return_metadata=True)
        arrays, metadata = found
        return arrays, json.loads(metadata["notes"])
    except (RuntimeError, ValueError, KeyError) as e:
        raise CheckpointError(f"{path} is damaged: {str(e).splitlines()[0]}") from None


# --- to go on after a kill ----------------------------------------------------------------------


def save(path: Path, parameters: Any, state: Any, notes: dict[str, Any]) -> None:
    """Writes parameters, the optimizer's state, and notes (JSON: config, step, tokens, seconds, seed)."""
    arrays = {f"parameters.{k}": v for k, v in tree_flatten(parameters)}
    arrays |= {f"state.{k}": v for k, v in tree_flatten(state)}
    _write(path, arrays, notes)


def load(path: Path) -> tuple[Any, Any, dict[str, Any]]:
    """Parameters, state and notes of `save`. Raises CheckpointError."""
    arrays, notes = _read(path)
    trees = [
        tree_unflatten([(k.removeprefix(p), v) for k, v in arrays.items() if k.startswith(p)])
        for p in ("parameters.", "state.")
    ]
    return trees[0], trees[1], notes


# --- to travel ----------------------------------------------------------------------------------


def export(directory: Path, parameters: Any, notes: dict[str, Any]) -> list[Path]:
    """Writes the weights in parts: bfloat16, but for what stays float32, and `training.json`.

    Raises:
        CheckpointError: they do not fit.
    """
    arrays = {k: v if stays_float32(k) else v.astype(mx.bfloat16) for k, v in tree_flatten(parameters)}
    parts: list[dict[str, mx.array]] = []
    room = PART_BYTES - 2**17  # for names and shapes
    for name, array in sorted(arrays.items(), key=lambda item: -item[1].nbytes):
        if array.nbytes > room:
            raise CheckpointError(f"{name} has {array.nbytes:,} bytes: more than a part")
        fitting = (p for p in parts if sum(a.nbytes for a in p.values()) + array.nbytes <= room)
        part = next(fitting, None)
        if part is None:
            parts.append(part := {})
        part[name] = array
    if len(parts) + 1 > PARTS:
        raise CheckpointError(f"the weights make {len(parts)} parts: at most {PARTS - 1} travel")
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("weights-*-of-*.safetensors"):
        if not old.stem.endswith(f"-of-{len(parts)}"):
            old.unlink()
    files = [directory / f"weights-{i + 1}-of-{len(parts)}.safetensors" for i in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        _write(file, part, {"step": notes.get("step")})
    scratch = directory / f".{_NOTES}"
    scratch.write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8")
    scratch.replace(directory / _NOTES)
    return [*files, directory / _NOTES]


def parts(directory: Path) -> tuple[Any, dict[str, Any]]:
    """Parameters as a tree, in float32, and the notes of `export`. Raises CheckpointError."""
    files = sorted(directory.glob("weights-*-of-*.safetensors"))
    try:
        notes: dict[str, Any] = json.loads((directory / _NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise CheckpointError(f"{directory} has no {_NOTES} that can be read: {e}") from None
    wanted = int(files[0].stem.split("-")[-1]) if files else 1
    if len(files) != wanted:
        raise CheckpointError(f"{directory} has {len(files)} of {wanted} parts of the weights")
    arrays: dict[str, mx.array] = {}
    for file in files:
        found, own = _read(file)
        if own.get("step") != notes.get("step"):
            raise CheckpointError(f"{file} is of step {own.get('step')}, {_NOTES} of step {notes.get('step')}")
        arrays |= found
    return tree_unflatten([(k, v.astype(mx.float32)) for k, v in arrays.items()]), notes


# --- to be used ---------------------------------------------------------------------------------


def to_hugging_face(source: Path, directory: Path, tokenizer: Path) -> None:
    """Makes of parts a directory with config.json, model.safetensors and tokenizer.model."""
    tree, notes = parts(source)
    config = ModelConfig.from_dict(notes["config"])
    arrays = {}
    for name, array in tree_flatten(tree):
        array = array if stays_float32(name) else array.astype(mx.bfloat16)
        # There the convolution's weight is [L, 1, K].
        arrays[name] = mx.contiguous(array.swapaxes(1, 2)) if name.endswith("conv_1d.weight") else array
    directory.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(directory / "model.safetensors"), arrays, {"format": "pt"})
    content = config.to_dict() | {"torch_dtype": "bfloat16"}
    (directory / "config.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    with contextlib.suppress(shutil.SameFileError):
        shutil.copy(tokenizer, directory / "tokenizer.model")


def main() -> None:
    p = argparse.ArgumentParser(description="Makes a Hugging Face directory of a training's parts.")
    p.add_argument("parts", type=Path)
    p.add_argument("directory", type=Path)
    p.add_argument("--tokenizer", type=Path, required=True, metavar="tokenizer.model")
    options = p.parse_args()
    try:
        to_hugging_face(options.parts, options.directory, options.tokenizer)
    except CheckpointError as e:
        raise SystemExit(f"griff.checkpoint: {e}") from None
    print(f"{options.directory}: config.json, model.safetensors, tokenizer.model")


if __name__ == "__main__":
    main()
