"""How much memory there is, and whether a model fits into it: a warning before it is loaded, and which size would fit.

On a Mac a program may use on the GPU what Metal recommends, two thirds to three quarters of the memory; beyond that all
is slow. Knows sizes and sentences; reads no weights.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import mlx.core as mx

from . import device
from .config import PRESETS, ModelConfig
from .errors import RgmlxError, RgmlxWarning
from .models import kind

_AROUND = 0.5e9  # bytes besides: the interpreter, and states of places that one has been at
_SMALLEST = "2b"
_BITS = 4.6
"""Of a parameter in a 4-bit conversion: matrices with their scales, and what stays in 16 bits."""


class TooLarge(RgmlxWarning):
    """A model will be slow on this machine."""


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


def needed(weights: float) -> float:
    """Bytes that a model with weights of this size takes at work, about: a tenth more for a chunk's temporaries."""
    return 1.1 * weights + _AROUND


def check(config: ModelConfig, dtype: str, weights: int) -> None:
    """Warns where a model will be slow for want of memory.

    Args:
        dtype: the compute dtype, which is also that of weights that are not quantized.
        weights: their bytes, once they are loaded.

    Raises:
        RgmlxError: they are more than there is memory.
    """
    gpu, total = of_gpu(), physical()
    usable = gpu or total
    most = total if on_metal() else total + gpu
    if needed(weights) <= usable:
        return
    bits = 16 if config.quantization is None else int(config.quantization["bits"])
    what = f"{kind(config)} in {dtype if config.quantization is None else f'{bits} bits'}"
    smaller = _smaller(config, bits, usable)
    if weights > most:
        raise RgmlxError(
            f"{what} does not fit: its weights take {_gb(weights)}, and {_here(gpu, total)}: "
            f"take {smaller or 'a smaller model'}"
        )
    warnings.warn(
        f"{what} needs about {_gb(needed(weights))}, and {_here(gpu, total)}: "
        f"it will be slow; take {smaller or 'a smaller model'}",
        TooLarge,
        stacklevel=3,
    )


def _smaller(config: ModelConfig, bits: int, usable: float) -> str:
    """A model that would fit, with what it needs; "" where none is known."""
    own, least = (c.parameter_counts()["total"] for c in (config, PRESETS[_SMALLEST]))
    choices = [(kind(config), own)] if bits > 4 else []
    choices += [(_SMALLEST.upper(), least)] if own > least else []
    for name, count in choices:
        if (bytes_needed := needed(count * _BITS / 8)) <= usable:
            return f"{name} in 4 bits, which needs {_gb(bytes_needed)}"
    return ""


def _here(gpu: float, total: int) -> str:
    if on_metal():  # a Mac's memory is sold in units of 2^30 bytes
        return f"this Mac lets programs use {_gb(gpu)} of its {total / 2**30:.0f} GB"
    return f"this GPU has {_gb(gpu)}" if gpu else f"this machine has {_gb(total)} of memory"


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
