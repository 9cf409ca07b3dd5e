"""Makes Griff from the corpus alone: tokenizer, training, Hugging Face directory, quantization, evaluation.

    python -m griff.all --corpus DIR --out DIR [--cases N] [-- OPTIONS OF griff.train]

Run where `scripts/` is on PYTHONPATH. What a step has made in DIR is not made again, and a training that was killed goes on,
so the same command finishes what it has begun. DIR/demo then has the files of `rgmlx/demo/`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .texts import TEXTS

TRAINING = (
    "--generate 14 --rows 24 --time 2048 --width 512 --mlp 1152 --window 2047 "
    "--rate 2e-3 --last-rate 2e-5 --warm 300 --minutes 25"
)
"""Options of `griff.train` where none are given: one to four GPUs with 80 GB."""
OTHERS = ("corpora_lists", "personality_chat_full")
RECIPE = "mixed"
"""Six bits for what loses most by four: 23 MB, and half the divergence of 4 bits (docs/quantization.md)."""
PACK = Path(__file__).parent.parent / "pack_demo.py"


def missing(folder: Path) -> list[str]:
    """The files of the corpus that are not there."""
    names = [*(text.name for text in TEXTS), *OTHERS]
    return [f"{name}.jsonl.xz" for name in names if not (folder / f"{name}.jsonl.xz").is_file()]


def steps(corpus: Path, out: Path, cases: int, training: Sequence[str]) -> list[tuple[Path, list[str]]]:
    """What each step makes, and its command."""
    tokenizer = out / "tokenizer" / "tokenizer.model"
    run, parts, whole, demo = out / "run", out / "parts", out / "griff", out / "demo"
    table = out / "evaluation.md"
    texts, pieces = ["--corpus", str(corpus)], ["--tokenizer", str(tokenizer)]
    given = ["--give", f"corpus={corpus}", f"tokenizer={tokenizer}"]
    packing = ["--recipe", RECIPE]
    asked = ["--cases", str(cases), "--out", str(out / "answers.jsonl"), "--failures", str(out / "failures.md")]
    python = [sys.executable, "-m"]
    return [
        (tokenizer, [*python, "griff.tokenizer", *texts, "--out", str(tokenizer.parent)]),
        (run / "done", [*python, "griff.train", *given, "--out", str(run), "--export", str(parts), *training]),
        (out / "loss.svg", [*python, "griff.plot", str(run / "log.jsonl"), str(out / "loss.svg")]),
        (whole, [*python, "griff.checkpoint", str(parts), str(whole), *pieces]),
        (demo, [sys.executable, str(PACK), str(whole), str(demo), *packing]),
        (table, [*python, "griff.evaluate", str(demo), *texts, "--table", str(table), *asked]),
    ]


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    p.add_argument("--out", type=Path, required=True, metavar="DIR")
    p.add_argument("--cases", type=int, default=100, metavar="N", help="of each row of the evaluation")
    p.add_argument("training", nargs="*", metavar="OPTION", help="of griff.train, behind --")
    o = p.parse_args()
    if gone := missing(o.corpus):
        print(f"griff.all: {o.corpus} has no {', '.join(gone)}: give the folder of the corpus", file=sys.stderr)
        return 1
    o.out.mkdir(parents=True, exist_ok=True)
    for made, command in steps(o.corpus.resolve(), o.out.resolve(), o.cases, o.training or TRAINING.split()):
        if made.exists():
            print(f"{made} is there")
            continue
        print("+", *command, flush=True)
        if code := subprocess.run(command).returncode:
            print(f"griff.all: {command[2]} ended with {code}; the same command goes on", file=sys.stderr)
            return code
        if not made.exists():  # a part of the training
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
