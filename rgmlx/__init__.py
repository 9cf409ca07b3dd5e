"""RecurrentGemma through MLX: a state of fixed size that can be copied, saved, rewound and resumed.

>>> import rgmlx
>>> model = rgmlx.load()                  # the embedded model; or a directory, or a repository
>>> model.generate("Tell me a story about a fox")

The names below are imported when first used, so that `import rgmlx` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "load": "model",
    "Model": "model",
    "ModelConfig": "griffin.config",
    "State": "griffin.state",
    "Chat": "conversation.chat",
    "Sampling": "settings",
    "ConstraintError": "errors",
    "IncompleteError": "errors",
    "RgmlxError": "errors",
    "Score": "generation.scoring",
}
__all__ = [
    "Chat",
    "ConstraintError",
    "IncompleteError",
    "Model",
    "ModelConfig",
    "RgmlxError",
    "Sampling",
    "Score",
    "State",
    "__version__",
    "load",
]

if TYPE_CHECKING:
    from .conversation.chat import Chat
    from .errors import ConstraintError, IncompleteError, RgmlxError
    from .generation.scoring import Score
    from .griffin.config import ModelConfig
    from .griffin.state import State
    from .model import Model, load
    from .settings import Sampling


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rgmlx' has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
