"""The keyboard of the terminal that a program runs in, in the place of a standard input that was something else.

Knows descriptors; nothing of what is typed.
"""

from __future__ import annotations

import os
import sys

TERMINAL = "/dev/tty"
"""The terminal that a program belongs to, whatever its streams are."""


def is_there() -> bool:
    """Whether there is one."""
    if (descriptor := _opened()) >= 0:
        os.close(descriptor)
    return descriptor >= 0


def take() -> None:
    """Has standard input, where it was something else and was read to its end, be the keyboard from now on."""
    if not sys.stdin.isatty() and (descriptor := _opened()) >= 0:
        _put(descriptor)


def leave() -> None:
    """Has standard input be at its end: nobody is to type."""
    _put(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))


def _put(descriptor: int) -> None:
    """The number of the standard input stays the same, and so does `sys.stdin`, of which nothing is buffered."""
    os.dup2(descriptor, sys.stdin.fileno())
    os.close(descriptor)
    sys.__stdin__ = sys.stdin  # type: ignore[misc,assignment]  # None where it was closed; Textual reads there


def _opened() -> int:
    try:
        descriptor = os.open(TERMINAL, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # no terminal: cron, a service, ssh without one
        return -1
    if os.isatty(descriptor):
        return descriptor
    os.close(descriptor)
    return -1
