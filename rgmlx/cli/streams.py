"""The standard streams as a command finds them: closed, on a full disk, in a narrow encoding.

Knows Python's three streams and their descriptors; nothing of commands.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any, TextIO

_NULL = (("stdin", os.O_RDONLY), ("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY))
"""How the null device stands in for a closed stream: writing to an output that can only be read is an error."""


def prepare() -> None:
    """Opens the standard streams that are closed, and lets no character stop the output. Call it before anything else.

    The number of a closed stream would go to what is opened next, such as the weights, and MLX takes 0 for a failure.
    A closed input is at its end, a closed output can't be written, and what is said on a closed stderr nobody hears.
    """
    for name, flags in _NULL:
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)  # the lowest that is free: the stream's own
            os.set_inheritable(descriptor, True)
            how = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(descriptor, how, 1, encoding="utf-8", errors="replace"))
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that can't show a character gets a "?"
        sys.stdout.reconfigure(errors="replace")


def tell(text: str, end: str = "\n") -> None:
    """Says something on stderr. Where that can't be written nobody is there to hear it, which stops nothing."""
    try:
        print(text, end=end, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Sends what is still buffered nowhere; Python would complain again when it flushes at exit."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def print_message(message: str, file: Any) -> None:
    """What argparse prints: help and versions on stdout, which can fail, a wrong command line on stderr."""
    if file is sys.stdout:
        file.write(message)
    else:
        tell(message, end="")
