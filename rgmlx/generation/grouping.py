"""Which prompts of a batch are read together. Knows lengths only.

A pass over rows of unequal length computes padding: one prompt of a thousand tokens beside fifteen of twenty would make
sixteen of a thousand. Rows of about one length are read together, as many as keep a pass small.
"""

from __future__ import annotations

from collections.abc import Sequence

_PADDED = 1.25  # positions of a pass, padding included, for each of its tokens
_CHUNKS = 4
"""Positions of a pass, in chunks of one row: what it needs beside the weights does not grow with the number of rows."""


def groups(lengths: Sequence[int], chunk: int) -> list[list[int]]:
    """Numbers of rows, those of each group read together.

    Args:
        lengths: of the prompts, in tokens.
        chunk: tokens of a row in one pass.
    """
    found: list[list[int]] = []
    tokens = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        length = lengths[row]
        rows = len(found[-1]) + 1 if found else 0
        if rows and rows * length <= _PADDED * (tokens + length) and rows * min(length, chunk) <= _CHUNKS * chunk:
            found[-1].append(row)
            tokens += length
        else:
            found.append([row])
            tokens = length
    return [sorted(group) for group in found]
