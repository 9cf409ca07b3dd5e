"""Conversations become rows of one length, and rows become batches. Knows nothing of MLX.

A packed row holds several conversations, each with its `<bos>`, where the network forgets what was before. A long row has
one `<bos>`, and conversations behind each other as in an endless chat. Every other row is long.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

EOS, BOS = 1, 2
COPIED = 3
"""The weight of tokens that an answer copies from what was said before; 1: other tokens of an answer; 0: not learned."""
_WAITING = 32  # conversations that wait for a row with room for them


class Conversation(NamedTuple):
    """Token ids, the first of them `<bos>`, and of each token its weight in the loss when it is predicted."""

    tokens: Sequence[int]
    weights: Sequence[int]


Conversations = Callable[..., Iterator[tuple[Sequence[int], Sequence[int]]]]
"""What makes texts: f(seed, **options) gives an endless iterator of (tokens, weights), the same for the same seed.

It is called once a batch, so what is slow to load it keeps for the life of the process; its options are strings. Weights
are 0 for `<bos>` and the user's turns, 1 for the model's turns and plain text, 3 (`COPIED`) for what an answer copies.
Conversations no longer than a row are learned whole; of a longer one the rest begins the next row, where its copied tokens
weigh nothing. A last `<eos>` is left out of long rows: text that must not run into the next ends with a token of its own.
"""


@dataclass(frozen=True)
class Batch:
    """tokens: uint16 [rows, time + 1];  weights: uint8 of the same shape, of each token as a target."""

    tokens: np.ndarray
    weights: np.ndarray

    @property
    def positions(self) -> np.ndarray:
        """Of each input token in its own sequence, int32 [rows, time]."""
        steps = np.arange(self.tokens.shape[1] - 1, dtype=np.int32)
        begins = np.where(self.tokens[:, :-1] == BOS, steps, 0)
        return steps - np.maximum.accumulate(begins, axis=1)


class Rows:
    """Endless rows out of conversations."""

    def __init__(
        self,
        conversations: Iterator[tuple[Sequence[int], Sequence[int]]],
        joined: Iterator[tuple[Sequence[int], Sequence[int]]],
        time: int,
    ) -> None:
        """
        Args:
            conversations: those of packed rows.
            joined: those of long rows.
            time: tokens of a row, one fewer than it takes: the last is a target only.
        """
        self._more, self._joined, self._size = conversations, joined, time + 1
        self._waiting: list[Conversation] = []

    def packed(self) -> tuple[np.ndarray, np.ndarray]:
        """A row of conversations with a `<bos>` each; what stays free is padding that nobody learns."""
        tokens, weights = np.zeros(self._size, np.uint16), np.zeros(self._size, np.uint8)
        filled = 0
        while filled < self._size - 1:
            while len(self._waiting) < _WAITING:
                self._waiting.append(checked(next(self._more)))
            room = self._size - filled
            # A row begins with the one that has waited longest, so that none waits for ever.
            fitting = (i for i, c in enumerate(self._waiting) if len(c.tokens) <= room)
            found = next(fitting, None) if filled else 0
            if found is None:
                break
            taken = self._waiting.pop(found)
            if len(taken.tokens) > room:
                self._waiting.insert(0, _rest(taken, room))
            end = min(filled + len(taken.tokens), self._size)
            tokens[filled:end] = taken.tokens[: end - filled]
            weights[filled:end] = taken.weights[: end - filled]
            filled = end
        return tokens, weights

    def long(self) -> tuple[np.ndarray, np.ndarray]:
        """A row of conversations behind one `<bos>`; the last is cut."""
        tokens, weights = np.zeros(self._size, np.uint16), np.zeros(self._size, np.uint8)
        tokens[0] = BOS
        filled = 1
        while filled < self._size:
            taken = checked(next(self._joined))
            last = len(taken.tokens) - (taken.tokens[-1] == EOS)
            end = min(filled + last - 1, self._size)
            tokens[filled:end] = taken.tokens[1 : 1 + end - filled]
            weights[filled:end] = taken.weights[1 : 1 + end - filled]
            filled = end
        return tokens, weights

    def batch(self, rows: int) -> Batch:
        """Packed and long rows in turn."""
        made = [self.long() if i % 2 else self.packed() for i in range(rows)]
        return Batch(np.stack([t for t, _ in made]), np.stack([w for _, w in made]))


def checked(conversation: tuple[Sequence[int], Sequence[int]]) -> Conversation:
    """The same. Raises ValueError where it is none."""
    tokens, weights = conversation
    if len(tokens) < 2 or tokens[0] != BOS:
        raise ValueError(f"a conversation begins with <bos> ({BOS}) and goes on; this one is {list(tokens[:4])}")
    if len(weights) != len(tokens):
        raise ValueError(f"a conversation has {len(tokens)} tokens and {len(weights)} weights")
    return Conversation(tokens, weights)


def _rest(taken: Conversation, room: int) -> Conversation:
    # What its answers copy may lie before the cut, where nobody can know it.
    weights = [0 if w >= COPIED else w for w in taken.weights[room:]]
    return Conversation([BOS, *taken.tokens[room:]], [0, *weights])


def seed_of(seed: int, number: int) -> int:
    """A seed for a batch of its own: the same data whoever makes it, however many there are."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{number}".encode(), digest_size=7).digest(), "big")


def batch_of(conversations: Conversations, options: dict[str, str], shape: tuple[int, int], seed: int) -> Batch:
    """One batch of (rows, time) from a seed."""
    rows, time = shape
    return Rows(conversations(seed, **options), conversations(seed, joined="yes", **options), time).batch(rows)


# --- files --------------------------------------------------------------------------------------


def write_shard(path: Path, conversations: Sequence[tuple[Sequence[int], Sequence[int]]]) -> None:
    """Writes conversations as .npz: tokens uint16 [N], weights uint8 [N], and the offset of each, starts int64."""
    found = [checked(c) for c in conversations]
    sizes = np.array([len(c.tokens) for c in found])
    arrays: dict[str, Any] = {
        "tokens": np.concatenate([np.asarray(c.tokens, np.uint16) for c in found]),
        "weights": np.concatenate([np.asarray(c.weights, np.uint8) for c in found]),
        "starts": np.cumsum(sizes) - sizes,
    }
    np.savez(path, **arrays)


class Shard:
    """A file of `write_shard`."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            self.tokens, self.weights = arrays["tokens"], arrays["weights"]
            self._ends = [*arrays["starts"][1:].tolist(), len(self.tokens)]
            self._starts = arrays["starts"].tolist()

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, i: int) -> Conversation:
        piece = slice(self._starts[i], self._ends[i])
        return Conversation(self.tokens[piece], self.weights[piece])


class Shards:
    """`Conversations` out of files: drawn from each as often as its share says, all conversations alike."""

    def __init__(self, named: Sequence[str]) -> None:
        """`named`: paths, or `PATH:SHARE`; without one a file counts by its tokens."""
        self._shards, self._shares = [], []
        for name in named:
            path, _, share = name.partition(":")
            self._shards.append(Shard(Path(path)))
            self._shares.append(float(share or len(self._shards[-1].tokens)))

    def __call__(self, seed: int, **_: str) -> Iterator[Conversation]:
        chance = random.Random(seed)
        while True:
            shard = chance.choices(self._shards, self._shares)[0]
            yield shard[chance.randrange(len(shard))]
