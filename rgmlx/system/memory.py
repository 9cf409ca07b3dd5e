"""How much memory there is: of the machine, free now, and of the GPU. Knows bytes; no models."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import mlx.core as mx

from . import device


def physical() -> int:
    """Bytes of the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def free() -> float:
    """Bytes that a program could have now; 0 where the system does not say.

    What the system keeps of files only as long as nobody needs the memory counts as free.
    """
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            done = subprocess.run(["/usr/bin/vm_stat"], capture_output=True, text=True, timeout=5, check=True)
            return free_on_a_mac(done.stdout)
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        return 1024.0 * int(found[1]) if found else 0.0
    return 0.0


def free_on_a_mac(vm_stat: str) -> float:
    """The same from what `vm_stat` prints."""
    page = re.search(r"page size of (\d+) bytes", vm_stat)
    pages = re.findall(r"^Pages (?:free|inactive|speculative):\s+(\d+)", vm_stat, re.MULTILINE)
    return float(page[1]) * sum(map(int, pages)) if page else 0.0


def on_metal() -> bool:
    """Whether MLX computes on a Mac's GPU."""
    return mx.metal.is_available() and mx.default_device() == mx.gpu


def of_gpu() -> float:
    """Bytes that models may take on the GPU: Metal's recommendation, or all of CUDA's; 0 without a GPU."""
    if mx.default_device() != mx.gpu or device.is_missing():
        return 0.0
    info = mx.device_info()
    return float(info.get("max_recommended_working_set_size") or info.get("total_memory") or 0)
