"""How far a model is that is on its way, in words: amounts, and the speed of the last seconds."""

from __future__ import annotations

import time
from collections import deque

from ..getting import Getting

_SPEED = 5.0  # seconds that its speed is measured over
_BYTES = 100_000  # a total above it counts bytes


class Pace:
    """Measures one model."""

    def __init__(self) -> None:
        self._measured: deque[tuple[float, int]] = deque()

    def restart(self) -> None:
        """Another one, or another part of its way."""
        self._measured.clear()

    def said(self, getting: Getting) -> str:
        """How far it is now."""
        done, total, what = getting.done, getting.total, getting.what
        if total <= _BYTES:
            self.restart()
            return f"{what}, {done} of {total}" if total else f"{what} ..."
        now = time.monotonic()
        self._measured.append((now, done))
        while now - self._measured[0][0] > _SPEED:
            self._measured.popleft()
        then, before = self._measured[0]
        span = now - then
        speed = f", {max(0, done - before) / span / 1e6:.1f} MB/s" if span > 0.5 else ""
        digits = 0 if total >= 1e8 else 1
        return f"{done / 1e6:,.{digits}f} of {total / 1e6:,.{digits}f} MB{speed}, {what.partition(',')[0]}"
