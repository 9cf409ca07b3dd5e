"""A tiny random model that knows text, for tests and programs that read a lot of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import checkpoints

from rgmlx.weights.hub import demo_directory

WINDOW = 32


def write_model(directory: Path, seed: int = 0, **changes: Any) -> Path:
    """A random checkpoint with the embedded model's tokenizer; each layer kind once."""
    config = checkpoints.config(
        vocab_size=8_192,
        num_hidden_layers=3,
        attention_window_size=WINDOW,
        bos_token_id=2,
        eos_token_id=1,
        **changes,
    )
    checkpoints.write(directory, config, checkpoints.weights(config, seed))
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(demo_directory() / name, directory / name)
    return directory
