"""What of a Mac decides what can be checked there: its GPU, its tools.

For the report of `rgmlx doctor`; asks the system, never MLX. Where a system does not answer, nothing is wrong.
"""

from __future__ import annotations

import subprocess
import sys


def is_paravirtual(chip: str) -> bool:
    """Whether this is the GPU that macOS shows to its virtual machines."""
    return "paravirtual" in chip.lower()


def asks_for_compiler() -> bool:
    """Whether a program that looks for g++, as MLX does on a CPU, makes macOS ask in a dialog for tools to be installed."""
    if sys.platform != "darwin":
        return False
    try:
        found = subprocess.run(["/usr/bin/xcode-select", "-p"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return True
    return found.returncode != 0
