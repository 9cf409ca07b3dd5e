"""Whether a model fits into the memory there is: a warning before it is loaded, and which size would fit.

On a Mac a program may use on the GPU what Metal recommends, two thirds to three quarters of the memory; beyond that all
is slow. Knows sizes and sentences; reads no weights.
"""

from __future__ import annotations

import warnings

from ..errors import RgmlxError, RgmlxWarning
from ..griffin.config import PRESETS, ModelConfig
from ..system import memory
from .catalog import kind

_AROUND = 0.5e9  # bytes besides: the interpreter, and states of places that one has been at
_SMALLEST = "2b"
_BITS = 4.6
"""Of a parameter in a 4-bit conversion: matrices with their scales, and what stays in 16 bits."""


class TooLarge(RgmlxWarning):
    """A model will be slow on this machine."""


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
    gpu, total = memory.of_gpu(), memory.physical()
    usable = gpu or total
    most = total if memory.on_metal() else total + gpu
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
    if memory.on_metal():  # a Mac's memory is sold in units of 2^30 bytes
        return f"this Mac lets programs use {_gb(gpu)} of its {total / 2**30:.0f} GB"
    return f"this GPU has {_gb(gpu)}" if gpu else f"this machine has {_gb(total)} of memory"


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
