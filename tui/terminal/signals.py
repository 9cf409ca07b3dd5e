"""Signals of job control: whether the shell has given us the terminal, and waiting until it does."""

from __future__ import annotations

import os
import signal


def in_front(terminal: int) -> bool:
    """Whether the shell has given us the terminal, or has none to give. `terminal` is its file descriptor."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return True


def stop_in_background() -> None:
    """Stops us and whoever began us (`make`), as a terminal stops those who write to it from the background.

    A call that the terminal stops would begin again where another thread takes a signal: that could end nothing.
    """
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.kill(0, signal.SIGTTOU)
