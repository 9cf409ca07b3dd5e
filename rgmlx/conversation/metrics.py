"""Numbers for the status line, and the process's memory: read off, and given back. Knows no widgets and no model."""

from __future__ import annotations

import ctypes
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..system.macos.footprint import footprint


@dataclass
class Metrics:
    """What the status line shows. Written by workers, read by the screen."""

    state_bytes: int = 0  # of the model's state; it never changes
    position: int = 0  # tokens that the model has read and written
    window: int = 0  # tokens that are remembered to the letter
    read_again: int = 0  # tokens read again, since the model was loaded
    resident: int = 0  # bytes of this process
    rate: float = 0.0  # tokens a second of the last reply
    first_token: float = 0.0  # seconds to its first token


def resident_bytes() -> int:
    """Bytes of this process in memory; its highest so far where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        pass
    if (found := footprint()) is not None:  # macOS has no /proc
        return found
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def give_back() -> None:
    """Gives the system what was freed in small pieces, which the C library of Linux keeps. Takes about a millisecond."""
    if _trim is not None:
        _trim(0)


def _found_trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # macOS, musl: theirs give back by themselves
        return None


_trim = _found_trim()
