"""From a name to a source: a source is recognised by what it holds, not by what it is called."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import CheckpointError, ModelNotFoundError
from ..system.paths import expanded
from ..weights.checkpoint import safetensors
from ..weights.hub import looked_into, resolve
from . import deepmind
from .huggingface import SafetensorsSource
from .source import Source


def open_source(name: str | Path) -> Source:
    """The weights behind a name.

    Args:
        name: a directory with safetensors (Hugging Face's, or an mlx-lm conversion), a DeepMind `.pt` file or a folder
            with one, a DeepMind Flax (orbax) folder, a Hugging Face repository, or `demo`.

    Raises:
        RgmlxError: nothing is there, or it is none of these.
    """
    path = expanded(name)
    if os.path.isfile(path):
        if deepmind.is_torch(path):
            return deepmind.TorchSource(path)
        raise ModelNotFoundError(
            f"{path} is a file, and not a PyTorch checkpoint: name the directory that holds config.json and safetensors"
        )
    if os.path.isdir(path):
        looked_into(path)
        if not safetensors(path):
            if deepmind.is_torch(path):
                return deepmind.TorchSource(path)
            if deepmind.is_flax(path):
                return deepmind.FlaxSource(path)
            raise CheckpointError(
                f"{path} holds no weights: neither safetensors, nor one .pt file, nor an orbax (Flax) checkpoint"
            )
        return SafetensorsSource(path)
    return SafetensorsSource(resolve(name))
