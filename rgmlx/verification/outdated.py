"""A warning, as a model is loaded, where the system is too old for what MLX computes on its chip. Once a process."""

from __future__ import annotations

import threading
import warnings

import mlx.core as mx

from ..errors import RgmlxWarning
from ..system import memory
from ..system.macos import version

_lock = threading.Lock()
_is_checked = False


class Outdated(RgmlxWarning):
    """Results may be wrong on this system."""


def check() -> None:
    """Warns, at the first call, of a macOS that lacks what MLX's kernels for this GPU need."""
    global _is_checked
    with _lock:
        first, _is_checked = not _is_checked, True
    if first and memory.on_metal() and (problem := version.problem(str(mx.device_info().get("device_name", "")))):
        warnings.warn(problem, Outdated, stacklevel=3)
