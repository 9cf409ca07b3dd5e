"""What MLX says of its device, which is no fault of the program: there is none, or it had no memory left, or gave up.

In a sandbox and in some virtual machines macOS shows no GPU. MLX notices when it first computes, which may be at an
import, with an error of its own; and once more as the program ends. Knows these errors by their words, since all that MLX
raises is a RuntimeError; imports MLX only where it is loaded already or about to be.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator

from ..errors import ComputeError, NoDeviceError, RgmlxError
from ..shell import typed
from .printable import first_line

_NO_DEVICE = "[metal::load_device]"
_NO_MEMORY = re.compile(r"unable to allocate|attempting to allocate|out of ?memory|insufficient memory", re.IGNORECASE)
_OF_DEVICE = re.compile(r"\[(metal|malloc)", re.IGNORECASE)
_OURS = re.compile(r"unable to (build|load)", re.IGNORECASE)
"""A kernel that does not compile is a fault of this program."""


@contextlib.contextmanager
def named() -> Iterator[None]:
    """Within it, what MLX raises about its device is an RgmlxError: a NoDeviceError or a ComputeError."""
    try:
        yield
    except RuntimeError as e:
        if (error := explained(e)) is not None:
            raise error from e
        raise


def explained(error: BaseException) -> RgmlxError | None:
    """The sentence for an error of MLX about its device; None for all others, such as a fault of this program."""
    text = str(error)
    if type(error) is not RuntimeError or _OURS.search(text):
        return None
    if _NO_DEVICE in text:
        return NoDeviceError()
    if _NO_MEMORY.search(text):
        return ComputeError(
            "there is not enough memory to compute this: close other programs, or take a smaller model, one in 4 bits, or "
            f"a shorter text (MLX says: {first_line(error)})"
        )
    if _OF_DEVICE.match(text):
        return ComputeError(
            f"the GPU broke off the computation: try again, and see what `{typed('rgmlx doctor')}` says if it does so again "
            f"(MLX says: {first_line(error)})"
        )
    return None


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
