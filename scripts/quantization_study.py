"""How far quantized weights are from full precision: plain and compensated rounding, and which tensors matter.

    python scripts/quantization_study.py CHECKPOINT_DIRECTORY CORPUS_DIRECTORY [--only PART]

CHECKPOINT_DIRECTORY is an unquantized checkpoint with a tokenizer; CORPUS_DIRECTORY holds *.jsonl.xz, one object a line
with `text`, or with `turns` (user first). The first half of each file calibrates, the second measures. Prints Markdown
tables: KL(full || quantized) in nats a token, how often both find the same token most likely, perplexities, bytes.

On Linux, MLX's own BLAS is slow; with LD_PRELOAD=libopenblas.so.0 this takes minutes instead of hours.
"""

from __future__ import annotations

import argparse
import json
import lzma
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten

import rgmlx
from rgmlx.convert.calibrate import EMBEDDING, Calibrator
from rgmlx.tokenizer import Tokenizer

TIME, BATCH, GROUP_SIZE, DTYPE = 512, 8, 64, mx.bfloat16
Choose = Callable[[str], "dict[str, Any] | None"]
Tensors = dict[str, mx.array]
PARTS = {
    "embedding and head": (EMBEDDING,),
    "linear_x, linear_y": ("linear_x", "linear_y"),
    "linear_out": ("linear_out",),
    "q_proj, k_proj, v_proj": ("q_proj", "k_proj", "v_proj"),
    "o_proj": ("o_proj",),
    "gate_proj, up_proj": ("gate_proj", "up_proj"),
    "down_proj": ("down_proj",),
}


def bits(rule: Callable[[str], int | None]) -> Choose:
    """Settings from a rule that gives the bits of a module path; None leaves it."""

    def choose(path: str) -> dict[str, Any] | None:
        number = rule(path)
        return None if number is None else {"group_size": GROUP_SIZE, "bits": number, "mode": "affine"}

    return choose


def _parted(ends: tuple[str, ...], own: int | None, others: int | None, path: str) -> int | None:
    return own if path.endswith(ends) else others


def documents(lines: list[str], tokenizer: Tokenizer, turns: bool) -> Iterator[list[int]]:
    """Token ids of each document; a chat as turns, or as plain lines."""
    for line in lines:
        document = json.loads(line)
        said = document.get("turns")
        if said is None or not turns or tokenizer.start_of_turn is None or tokenizer.end_of_turn is None:
            yield [tokenizer.bos, *tokenizer.encode(document["text"] if said is None else "\n".join(said))]
            continue
        ids = [tokenizer.bos]
        for i, one in enumerate(said):
            who = "model" if i % 2 else "user"
            ids += [tokenizer.start_of_turn, *tokenizer.encode(f"{who}\n{one.strip()}"), tokenizer.end_of_turn]
            ids += tokenizer.encode("\n")
        yield ids


def rows_of(corpus: Path, tokenizer: Tokenizer, second_half: bool, count: int, turns: bool = True) -> list[list[int]]:
    """Rows of `TIME` tokens, taken from all files in turn; a file's halves never mix."""
    files = []
    for path in sorted(corpus.glob("*.jsonl.xz")):
        lines = lzma.decompress(path.read_bytes()).decode().splitlines()
        half = lines[len(lines) // 2 :] if second_half else lines[: len(lines) // 2]
        picked = [half[i] for i in np.random.default_rng(1).permutation(len(half))[:1500]]
        ids = [i for document in documents(picked, tokenizer, turns) for i in document]
        files.append([ids[i : i + TIME] for i in range(0, len(ids) - TIME + 1, TIME)])
    longest = max(map(len, files))
    return [file[k] for k in range(longest) for file in files if k < len(file)][:count]


class Score(NamedTuple):
    """Means over tokens, and the size of the tensors."""

    kl: float
    agreement: float
    perplexity: float
    nbytes: int

    def row(self, name: str) -> str:
        return f"| {name} | {self.kl:.4f} | {100 * self.agreement:.1f} % | {self.perplexity:.2f} | {self.nbytes:,} |"


class Study:
    """A model, its tensors, the tokens to measure on and what the full model says of them."""

    def __init__(self, directory: Path, corpus: Path, held_out: int) -> None:
        self.model = rgmlx.load(directory, dtype="float32")
        self.tensors: Tensors = dict(tree_flatten(self.model.parameters()))
        self.paths = {
            n.removesuffix(".weight") for n, w in self.tensors.items() if n.endswith(".weight") and w.ndim == 2
        }
        self.corpus, self.tokenizer = corpus, self.model.text_tokenizer()
        rows = rows_of(corpus, self.tokenizer, True, -(-held_out // TIME))
        self.batches = [np.array(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)]
        self.teacher = [self._log_probabilities(b) for b in self.batches]
        tokens, surprise = sum(b[:, 1:].size for b in self.batches), 0.0
        for batch, known in zip(self.batches, self.teacher, strict=True):
            surprise += _surprise(batch, known)
        self.perplexity = float(np.exp(surprise / tokens))

    def plain(self, choose: Choose) -> Tensors:
        """Rounded to the nearest, by MLX."""
        made: Tensors = {}
        for name, w in self.tensors.items():
            path = name.removesuffix(".weight")
            settings = choose(path) if path in self.paths else None
            if settings is None:
                made[name] = w.astype(DTYPE)
            else:
                parts = mx.quantize(w.astype(DTYPE), **settings)
                made |= {f"{path}.{part}": p for part, p in zip(("weight", "scales", "biases"), parts, strict=True)}
        return made

    def calibrated(self, choose: Choose, rows: list[list[int]]) -> Tensors:
        """Compensated for what the rows make of it."""
        config = self.model.config
        calibrator = Calibrator(config, self.tensors.__getitem__, choose, rows, DTYPE)
        made = calibrator.embedding()
        for i in range(config.num_hidden_layers):
            made |= calibrator.block(i)
        return made | calibrator.final()

    def score(self, made: Tensors, choose: Choose) -> Score:
        """What the tensors do to the held-out tokens. Computed in float32, with the values that the codes stand for."""
        weights = []
        for name in self.tensors:
            path = name.removesuffix(".weight")
            settings = choose(path) if f"{path}.scales" in made else None
            w = made[name]
            if settings is not None:
                scales, biases = (made[f"{path}.{part}"].astype(mx.float32) for part in ("scales", "biases"))
                w = mx.dequantize(w, scales, biases, **settings)
            weights.append((name, w.astype(mx.float32)))
        self.model.load_weights(weights)
        kl = same = surprise = 0.0
        for batch, known in zip(self.batches, self.teacher, strict=True):
            mine = self._log_probabilities(batch)
            kl += float((np.exp(known) * (known - mine)).sum(dtype=np.float64))
            same += float((known.argmax(-1) == mine.argmax(-1)).sum())
            surprise += _surprise(batch, mine)
        tokens = sum(b.size for b in self.batches)
        perplexity = float(np.exp(surprise / sum(b[:, 1:].size for b in self.batches)))
        return Score(kl / tokens, same / tokens, perplexity, sum(w.nbytes for w in made.values()))

    def _log_probabilities(self, batch: np.ndarray) -> np.ndarray:
        logits = self.model.logits(batch)
        return np.array(logits - mx.logsumexp(logits, axis=-1, keepdims=True))


def _surprise(batch: np.ndarray, known: np.ndarray) -> float:
    """The negative log-probability of all tokens but the first of each row, summed."""
    return -float(np.take_along_axis(known[:, :-1], batch[:, 1:, None], axis=2).sum(dtype=np.float64))


def head(text: str) -> None:
    print(f"\n{text}\n\n| weights | KL | top-1 | perplexity | bytes |\n| --- | ---: | ---: | ---: | ---: |", flush=True)


def compare(study: Study, rows: list[list[int]]) -> None:
    """Plain and compensated, with the embedding as the rest and finer."""
    head("Plain and compensated rounding")
    four = bits(lambda path: 4)
    print(study.score(study.plain(four), four).row("plain, 4 bits"), flush=True)
    for number in (4, 6, 8):
        choose = bits(partial(_parted, (EMBEDDING,), number, 4))
        for name, make in (("plain", study.plain), ("compensated", lambda c: study.calibrated(c, rows))):
            if name == "plain" and number == 4:
                continue
            begun = time.monotonic()
            made = make(choose)
            seconds = time.monotonic() - begun
            score = study.score(made, choose)
            print(score.row(f"{name}, 4 bits, embedding {number} ({seconds:.0f} s)"), flush=True)


def sensitivity(study: Study) -> None:
    """Each part at 4 bits by itself, the rest in full precision."""
    head("Only this part at 4 bits (plain)")
    for name, ends in PARTS.items():
        choose = bits(partial(_parted, ends, 4, None))
        print(study.score(study.plain(choose), choose).row(name), flush=True)
    head("All at 4 bits but this part, at 6 (plain)")
    for name, ends in PARTS.items():
        choose = bits(partial(_parted, ends, 6, 4))
        print(study.score(study.plain(choose), choose).row(name), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--only", choices=("compare", "sensitivity"), help="one of the tables")
    parser.add_argument("--calibration", type=int, default=50_000, help="tokens (default: 50,000)")
    parser.add_argument("--held-out", type=int, default=24_000, help="tokens (default: 24,000)")
    parser.add_argument("--text", action="store_true", help="calibrate with chats as plain lines")
    given = parser.parse_args()
    mx.set_default_device(mx.cpu)
    study = Study(given.checkpoint, given.corpus, given.held_out)
    print(
        f"{sum(b.size for b in study.batches):,} held-out tokens; perplexity in full precision {study.perplexity:.2f}"
    )
    if given.only != "sensitivity":
        count = -(-given.calibration // TIME)
        compare(study, rows_of(given.corpus, study.tokenizer, False, count, not given.text))
    if given.only != "compare":
        sensitivity(study)


if __name__ == "__main__":
    main()
