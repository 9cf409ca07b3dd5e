"""Whether this macOS is new enough for its chip, which decides whether MLX's results are to be trusted there.

Knows versions and names of chips; asks the system, never MLX. Where a system does not answer, nothing is wrong.
"""

from __future__ import annotations

import platform
import re

from .. import macos

NAX_GENERATION, NAX_SYSTEM = 5, (26, 2)
"""From the M5 on MLX takes kernels for its matrix units, which macOS has from this version on."""
_TO_OLD_PROGRAMS = ("10.16", "16.")
"""How macOS 11 and newer, and 26 and newer, call themselves to a Python that was built for the systems before."""


def problem(chip: str) -> str:
    """What is wrong with this macOS for this chip ("Apple M5 Pro"), as a sentence, or ""."""
    generation = re.match(r"Apple M(\d+)\b", chip)
    if not generation or int(generation[1]) < NAX_GENERATION:
        return ""
    version = _version()
    release = tuple(int(n) for n in version.split(".")[:2] if n.isdigit())
    if not release or release >= NAX_SYSTEM:
        return ""
    return f"on an M5 or newer MLX needs macOS 26.2, and this is {version}: results may be wrong, update it"


def _version() -> str:
    """The version of this macOS; "" where it does not say. Begins another program only where this one is not told."""
    told = platform.mac_ver()[0]
    if f"{told}.".startswith(_TO_OLD_PROGRAMS):
        return (macos.run("env", "SYSTEM_VERSION_COMPAT=0", "sw_vers", "-productVersion") or "").strip()
    return told
