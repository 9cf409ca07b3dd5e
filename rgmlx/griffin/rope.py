"""Exact rotary angles for any position, for ever.

`position * frequency` in float32 is off by 0.02 at a million tokens and meaningless beyond 2**24;
float64 lasts to about 10**9. A conversation here never ends, so the phase is kept as a fixed-point
fraction of one turn: 128 bits a frequency, multiplied by the position as a Python integer, modulo
one turn. The result is as exact at position 10**12 as at 10.

    frequency i = theta ** (-2i / dims)      for i in 0 .. dims/2 - 1   (RoFormer, section 3.2.2)
    angle       = position * frequency
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence

import numpy as np

_BITS = 128  # of a turn; positions up to 2**64 keep 64 exact bits
_TWO_PI = decimal.Decimal("6.28318530717958647692528676655900576839433879875021164194988918461563281257242")


class Rotary:
    """Phases of the rotary embedding of `dims` dimensions with base `theta`."""

    def __init__(self, dims: int, theta: float) -> None:
        self.half = dims // 2
        with decimal.localcontext(decimal.Context(prec=70)):
            base, one_turn = decimal.Decimal(theta), decimal.Decimal(2) ** _BITS / _TWO_PI
            self._turns = [
                int((base ** (decimal.Decimal(-2 * i) / dims) * one_turn).to_integral_value()) for i in range(self.half)
            ]
        self._steps = np.array([(t >> (_BITS - 64)) & (2**64 - 1) for t in self._turns], dtype=np.uint64)

    def cos_sin(self, positions: Sequence[int], length: int) -> tuple[np.ndarray, np.ndarray]:
        """cos and sin of the angles of `length` tokens from each of the given positions.

        Args:
            positions: the first token's position of each row; any whole numbers >= 0.

        Returns:
            Two float32 arrays [rows, length, dims / 2].
        """
        mask = 2**_BITS - 1
        start = np.array(
            [[((p * t) & mask) >> (_BITS - 64) for t in self._turns] for p in positions], dtype=np.uint64
        ).reshape(len(positions), 1, self.half)
        # Unsigned 64-bit arithmetic wraps, which is "modulo one turn"; a chunk of a million tokens
        # loses 20 of the 64 bits here and still has more than float64 can hold.
        phase = start + np.arange(length, dtype=np.uint64)[None, :, None] * self._steps
        angle = phase.astype(np.float64) * (float(_TWO_PI) / 2.0**64)
        return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
