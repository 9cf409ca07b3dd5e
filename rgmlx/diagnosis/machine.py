"""What of a Mac decides whether MLX's results are to be trusted there: its chip, its system, its tools.

For the report of `rgmlx doctor`; asks the system, never MLX. Where a system does not answer, nothing is wrong.
"""

from __future__ import annotations

import platform
import re
import subprocess
import sys

NAX_GENERATION, NAX_SYSTEM = 5, (26, 2)
"""From the M5 on MLX takes kernels for its matrix units, which macOS has from this version on."""


def system_problem(chip: str) -> str:
    """What is wrong with this macOS for this chip ("Apple M5 Pro"), as a sentence, or ""."""
    generation = re.match(r"Apple M(\d+)\b", chip)
    release = tuple(int(n) for n in platform.mac_ver()[0].split(".")[:2] if n.isdigit())
    if not generation or int(generation[1]) < NAX_GENERATION or not release or release >= NAX_SYSTEM:
        return ""
    return (
        f"on an M5 or newer MLX needs macOS 26.2, and this is {platform.mac_ver()[0]}: results may be wrong, update it"
    )


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
