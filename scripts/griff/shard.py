"""Writes conversations into a file, for what reads them more than once, such as the loss on what training never shows.

    python -m griff.shard --corpus DIR --tokenizer FILE --out FILE.npz [--tokens N] [--seed N] [--held]

`griff.train --held FILE.npz` takes one that was made with `--held`, `griff.train --shards FILE.npz` one without.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import mix
from .rows import write_shard

SEED = 2**40
"""Far from the seeds of training's batches, which are numbers of 56 bits drawn by a digest."""


def write(path: Path, corpus: Path, tokenizer: Path, tokens: int, seed: int = 0, held: bool = False) -> int:
    """Writes at least so many tokens of whole conversations; returns how many there are."""
    found, count = [], 0
    options = {"corpus": str(corpus), "tokenizer": str(tokenizer), "held": "yes" if held else ""}
    for one in mix.conversations(SEED + seed, **options):
        found.append(one)
        count += len(one[0])
        if count >= tokens:
            break
    path.parent.mkdir(parents=True, exist_ok=True)
    write_shard(path, found)
    return count


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    p.add_argument("--tokenizer", type=Path, required=True, metavar="FILE")
    p.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    p.add_argument("--tokens", type=int, default=40_000, metavar="N", help="(40,000)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--held", action="store_true", help="what training never shows")
    o = p.parse_args()
    count = write(o.out, o.corpus, o.tokenizer, o.tokens, o.seed, o.held)
    print(f"{o.out}: {count:,} tokens, {o.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
