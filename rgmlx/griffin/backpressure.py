"""How far the host may run ahead of the device.

MLX frees a temporary array when the device is done with it, so a host that queues a whole chunk at once
makes all of the chunk's temporaries live together: gigabytes for a 2B model. Queueing a chunk piece by piece,
and waiting only when the memory in use says so, keeps the device busy and the memory small.
"""

from __future__ import annotations

import mlx.core as mx

_PIECE = 12 * 2**20  # bytes of temporaries queued at a time
_SHARE = 14  # a chunk may take this part of the memory in use (the weights', mostly) before the host waits
_LEAST = 64 * 2**20  # or this much: small models


class Pace:
    """Evaluates a chunk as it is built, with a fourteenth of the weights' size alive, and one piece more."""

    def __init__(self) -> None:
        used = mx.get_active_memory()
        self._limit = used + max(_LEAST, used // _SHARE)
        self._bytes = 0
        self._queued: mx.array | None = None

    def __call__(self, newest: mx.array, temporary: int) -> None:
        """Notes `temporary` bytes used on the way to `newest`; now and then queues it, and waits if need be.

        Temporaries that the caller still refers to are not freed by waiting: let go of them first.
        """
        self._bytes += temporary
        if self._bytes < _PIECE:
            return
        mx.async_eval(newest)
        # What was queued before is done first; only if that freed too little is there nothing to run ahead with.
        for awaited in (self._queued, newest):
            if awaited is not None and mx.get_active_memory() > self._limit:
                mx.eval(awaited)
        self._queued, self._bytes = newest, 0
