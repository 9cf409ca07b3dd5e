"""How far the host may run ahead of the device.

MLX frees a temporary array when the device is done with it, so a host that queues a whole chunk at once
makes all of the chunk's temporaries live together: gigabytes for a 2B model. Waiting, every so many bytes,
for what was queued that many bytes ago keeps the device busy and the memory small.
"""

from __future__ import annotations

import mlx.core as mx

_BYTES = 24 * 2**20


class Pace:
    """Evaluates a computation as it is built, with some 50 MiB of temporaries under way."""

    def __init__(self) -> None:
        self._bytes = 0
        self._queued: mx.array | None = None

    def __call__(self, newest: mx.array, temporary: int) -> None:
        """Notes `temporary` bytes used on the way to `newest`; now and then queues it and waits."""
        self._bytes += temporary
        if self._bytes < _BYTES:
            return
        mx.async_eval(newest)
        if self._queued is not None:
            mx.eval(self._queued)
        self._queued, self._bytes = newest, 0
