"""Flips bits of the embedded model's weights: is that refused, caught while it runs, or does it go unnoticed?

    python scripts/damage_weights.py [--seconds 600] [--seed 0] [--flips 400]

Each flip is tried twice: in a directory whose index has the file's SHA-256, and in one without an index, where only
what a load always checks (header, shapes, finite values) and the engine (finite logits) can notice. What then still
answers is compared with the intact model: its greedy reply, its logits, and the identity that saved states go by. Ends with
1 where a checksum has let a flip pass, or an error was no sentence.
"""

from __future__ import annotations

import argparse
import collections
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import rgmlx
from rgmlx.errors import NotFiniteError, RgmlxError
from rgmlx.system.files import read_header
from rgmlx.weights.checksums import INDEX
from rgmlx.weights.hub import demo_directory

PROMPT = "Tell me a story about a fox"
TOKENS = 12
WEIGHTS = "model.safetensors"
CHECKSUM, CRASHED = "refused: checksum", "crashed: "
NAN_MASK = 0x40
"""Of the last byte of a bfloat16 or float32 number, with its sign and most of its exponent: one below 1/2 becomes huge."""


@dataclass(frozen=True)
class Answer:
    """What a model says and is."""

    text: str
    logits: np.ndarray
    identity: str


def answer(directory: Path) -> Answer:
    """Loads a model and has it write. Raises RgmlxError."""
    model = rgmlx.load(directory)
    logits = np.array(model.logits([[2, 5, 9, 14]]))
    text = model.generate(PROMPT, max_tokens=TOKENS, temperature=0)
    return Answer(text, logits, str(model.identity))


def outcome(directory: Path, intact: Answer) -> str:
    """What becomes of a damaged model."""
    try:
        found = answer(directory)
    except NotFiniteError:
        return "caught while it ran"
    except RgmlxError as e:
        return CHECKSUM if "SHA-256" in str(e) else "refused: other checks"
    except Exception as e:  # any other is a traceback for whoever runs it
        return f"{CRASHED}{type(e).__name__}: {e}"
    same = "same identity" if found.identity == intact.identity else "another identity"
    if found.text != intact.text:
        return f"writes something else, {same}"
    return f"other logits, {same}" if (found.logits != intact.logits).any() else f"no difference, {same}"


def nan_byte(weights: Path) -> int:
    """Where one flipped bit (`NAN_MASK`) makes all logits NaN, and the file still holds finite numbers only.

    A norm's weight before the first attention becomes huge: queries and keys do, of either sign, and no sum of their
    products is a number.
    """
    tensors, _ = read_header(weights, RgmlxError)
    attention = min((name for name in tensors if ".q_proj." in name), key=lambda name: int(name.split(".")[2]))
    norm = tensors[attention.partition(".temporal_block.")[0] + ".temporal_pre_norm.weight"]
    width = {"BF16": 2, "F32": 4}[norm["dtype"]]
    data = weights.read_bytes()
    start = len(data) - max(tensor["data_offsets"][1] for tensor in tensors.values())
    begin, end = (start + offset for offset in norm["data_offsets"])
    tops = np.frombuffer(data[begin:end], np.uint8)[width - 1 :: width] & 0x7F  # half of the exponent is in order
    return int(begin + width * np.where(tops < 0x3F, tops, 0).argmax() + width - 1)


class Damaged:
    """Two copies of the embedded model, with an index that knows the checksum and without."""

    def __init__(self, scratch: Path) -> None:
        self.with_sum, self.without = scratch / "with", scratch / "without"
        for copy in (self.with_sum, self.without):
            shutil.copytree(demo_directory(), copy)
        (self.without / INDEX).unlink()
        self.size = (self.without / WEIGHTS).stat().st_size

    def flip(self, byte: int, mask: int) -> None:
        """Changes one byte of both; the same again undoes it."""
        for copy in (self.with_sum, self.without):
            with (copy / WEIGHTS).open("r+b") as f:
                f.seek(byte)
                old = f.read(1)[0]
                f.seek(byte)
                f.write(bytes([old ^ mask]))


def flips(scratch: Path, seed: int) -> Iterator[tuple[int, int, str, str]]:
    """Without end: (byte, mask, what becomes of it with a checksum, and without one)."""
    chance, damaged = random.Random(seed), Damaged(scratch)
    intact = answer(damaged.without)
    while True:
        byte, mask = chance.randrange(damaged.size), 1 << chance.randrange(8)
        damaged.flip(byte, mask)
        try:
            yield byte, mask, outcome(damaged.with_sum, intact), outcome(damaged.without, intact)
        finally:
            damaged.flip(byte, mask)


def faults(with_sum: Iterable[str], without: Iterable[str]) -> list[str]:
    """The outcomes that must not be: a flip that a checksum lets pass, or an error that is no sentence."""
    passed = [f"with a checksum: {what}" for what in with_sum if what != CHECKSUM]
    return passed + [f"without: {what}" for what in without if what.startswith(CRASHED)]


def main() -> int:
    """Runs it; 1 if a flip passed that a checksum should have caught, or one ended in no sentence."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    p.add_argument("--seconds", type=float, default=600)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--flips", type=int, default=1_000_000, help="no more than so many")
    options = p.parse_args()
    until = time.monotonic() + options.seconds
    counts = collections.Counter[str](), collections.Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        for number, (_, _, *outcomes) in enumerate(flips(Path(scratch), options.seed), 1):
            for count, what in zip(counts, outcomes, strict=True):
                count[what] += 1
            if time.monotonic() > until or number == options.flips:
                break
    for title, count in zip(("with a checksum", "without"), counts, strict=True):
        print(f"{title}: {count.total()} flips")
        for what, n in count.most_common():
            print(f"    {n:6}  {what}")
    found = faults(*counts)
    print(*found, sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
