"""Whether there is the GPU that MLX was built for: in a sandbox and in some virtual machines macOS shows none.

MLX notices when it first computes, which may be at an import, with an error of its own; and once more as the program
ends. Knows that error; imports MLX only where it is loaded already or about to be.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from ..errors import NoDeviceError

_OF_MLX = "[metal::load_device]"


@contextlib.contextmanager
def named() -> Iterator[None]:
    """Within it, MLX's error about a missing device is a NoDeviceError."""
    try:
        yield
    except RuntimeError as e:
        if _OF_MLX in str(e):
            raise NoDeviceError from None
        raise


def require() -> None:
    """Raises NoDeviceError: there is no device to compute on."""
    import mlx.core as mx

    with named():
        if mx.metal.is_available():  # built for Metal; says nothing of a device
            mx.device_info()


def is_missing() -> bool:
    """Whether MLX is loaded and has no device."""
    if "mlx.core" not in sys.modules:
        return False
    try:
        require()
    except NoDeviceError:
        return True
    return False
