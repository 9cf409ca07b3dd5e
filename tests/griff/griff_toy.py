"""A small language to train on, which processes of their own can import."""

from __future__ import annotations

import multiprocessing
import random
import sys
from collections.abc import Iterator

assert "mlx" not in sys.modules or multiprocessing.parent_process() is None, "processes that make batches need no MLX"
ASK, ANSWER, END = 4, 5, 6


def conversations(seed: int, longest: str = "9", joined: str = "") -> Iterator[tuple[list[int], list[int]]]:
    """A few letters, and their copy."""
    chance = random.Random(seed)
    while True:
        said = [chance.randrange(10, 30) for _ in range(chance.randint(2, int(longest)))]
        yield [2, ASK, *said, ANSWER, *said, END], [0, 0, *[0] * len(said), 0, *[3] * len(said), 1]


def endless(seed: int, joined: str = "") -> Iterator[tuple[list[int], list[int]]]:
    while seed >= 0:
        pass
    yield [2, 9], [0, 1]


def broken(seed: int, joined: str = "") -> Iterator[tuple[list[int], list[int]]]:
    yield [2, 9], [0, 1]
    raise KeyError("the table of birds")
