"""The environment variables that rgmlx looks at itself, each declared once. An empty one counts as not set.

Knows names and values; no MLX, so that a program can check them before it loads any.
"""

from __future__ import annotations

import os

from ..errors import RgmlxError

KERNELS, THREADS, LOG = "RGMLX_KERNELS", "RGMLX_THREADS", "RGMLX_LOG"
MAX_THREADS = 1024
_ON, _OFF = ("on", "1", "yes", "true"), ("off", "0", "no", "false")


def kernels() -> bool:
    """Whether kernels are on: `RGMLX_KERNELS`, else yes. Raises RgmlxError: it says neither."""
    value = os.environ.get(KERNELS, "")
    if value.lower() not in ("", *_ON, *_OFF):
        raise RgmlxError(f"{KERNELS} must be on or off, not {value!r:.40}: set it to one of them, or unset it")
    return value.lower() not in _OFF


def threads() -> int:
    """How many threads a product takes on a CPU: `RGMLX_THREADS`, else 1. Raises RgmlxError: it is no such number."""
    value = os.environ.get(THREADS, "")
    if not value:
        return 1
    number = int(value) if value.isascii() and value.isdecimal() and len(value) < 10 else 0
    if not 1 <= number <= MAX_THREADS:
        raise RgmlxError(
            f"{THREADS} must be a whole number between 1 and {MAX_THREADS:,}, not {value!r:.40}: set it to one, or unset it"
        )
    return number


def log() -> bool:
    """Whether there is to be a debug log: `RGMLX_LOG`, else no. Raises RgmlxError: it says neither."""
    value = os.environ.get(LOG, "")
    if value.lower() not in ("", "debug", *_OFF):
        raise RgmlxError(f"{LOG} must be debug or off, not {value!r:.40}: set it to one of them, or unset it")
    return value.lower() == "debug"


def check() -> None:
    """Raises RgmlxError: one of them has a value that it can't have."""
    kernels()
    threads()
    log()
