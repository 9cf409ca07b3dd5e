"""What a constrained result costs: to compile, and a token, beside a step of the model. A table in Markdown.

    python scripts/bench_constrained.py [--model demo] [--rounds 5] [--tokens 64]

A text of each form is written once, greedily, and gone through again, token by token: the mask (llguidance's, and as an
array for MLX, applied to logits), and telling the matcher. The last columns are of whole runs: the processor's milliseconds
a token (which are the same beside other work) with the constraint and without, and mask, applying and accepting as a
share of the latter. `of 256,000` is the same text in a vocabulary of that size: the model's own
pieces, and pairs of them.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import numpy as np

import rgmlx
from rgmlx.generation.constrained.matcher import Constraint
from rgmlx.generation.constrained.output import output_format
from rgmlx.generation.constrained.vocabulary import Vocabulary
from rgmlx.generation.engine import Generation
from rgmlx.settings import Sampling
from rgmlx.tokenizer import Tokenizer, as_ids

LARGE = 256_000
PROMPT = "Tell me about a fox."
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 40},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "tags": {"type": "array", "items": {"enum": ["red", "quick", "sly", "old"]}, "minItems": 2, "maxItems": 4},
    },
    "required": ["name", "age", "tags"],
}
LIST = {"type": "array", "items": PERSON, "minItems": 3, "maxItems": 5}
SUMS = 'start: sum\nsum: product | sum ("+" | "-") product\nproduct: atom | product "*" atom\natom: N | "(" sum ")"\nN: /[0-9]{1,3}/'
FORMS: dict[str, dict[str, Any]] = {
    "choices, 3": {"choices": ["a fox", "a red fox", "a fox that is old"]},
    "choices, 5,000": {"choices": [f"fox number {i} of all" for i in range(5000)]},
    "regex, free text": {"regex": r"[A-Z][a-z ,]{150,300}\."},
    "regex, a date": {"regex": r"\d{4}-(0\d|1[0-2])-[0-3]\d"},
    "schema, small": {"schema": PERSON},
    "schema, nested": {"schema": LIST},
    "schema, a text": {"schema": {"type": "string", "minLength": 150}},
    "grammar, sums": {"grammar": SUMS},
}


class LargeTokenizer(Tokenizer):
    """A tokenizer with pairs of its pieces behind them, up to a number."""

    def __init__(self, tokenizer: Tokenizer, size: int) -> None:
        vars(self).update(vars(tokenizer))
        self._pieces = [tokenizer.token_bytes(i) for i in range(len(tokenizer))]
        words = [p for p in self._pieces if p.strip().isalpha() and len(p) > 1]
        pairs = (a + b for a, b in itertools.product(words, words[::7]))
        self._pieces += itertools.islice(dict.fromkeys(pairs), size - len(self._pieces))

    def token_bytes(self, token: int) -> bytes:
        return self._pieces[token]


def written(model: rgmlx.Model, constraint: Constraint | None, count: int) -> tuple[list[int], list[float]]:
    """Ids of a greedy run, and the processor's milliseconds between each and the next."""
    ids, times = list[int](), list[float]()
    run = Generation(
        model,
        model.new_state(),
        as_ids(PROMPT, model.text_tokenizer(), raw=False),
        sampling=Sampling(temperature=0),
        max_tokens=count,
        stop_ids=model.stop_ids if constraint else (),
        matcher=constraint.matcher() if constraint else None,
    )
    for token in run:
        ids.append(token)
        times.append(time.process_time())
    return ids, [1e3 * (other - one) for one, other in itertools.pairwise(times)]


def masks(constraint: Constraint, ids: Sequence[int]) -> tuple[list[float], list[float], list[float]]:
    """Microseconds of each mask, of its array applied to logits, and of accepting each token."""
    matcher, logits = constraint.matcher(), mx.zeros((1, constraint.size))
    made, applied, accepted = list[float](), list[float](), list[float]()
    for token in ids:
        times = [time.perf_counter()]
        mask = matcher.allowed()
        times.append(time.perf_counter())
        mx.eval(mx.where(mx.array(np.stack([mask])), logits, -mx.inf))
        times.append(time.perf_counter())
        matcher.accept(token)
        times.append(time.perf_counter())
        for values, one, other in zip((made, applied, accepted), times, times[1:], strict=False):
            values.append((other - one) * 1e6)
    return made, applied, accepted


def main() -> int:
    """Prints the table."""
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    p.add_argument("--model", default="demo")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--tokens", type=int, default=64, help="of a text, at most")
    options = p.parse_args()
    model = rgmlx.load(options.model)
    tokenizer = model.text_tokenizer()
    begun = time.perf_counter()
    own = model.vocabulary()
    print(f"vocabulary of {own.size:,}: made in {time.perf_counter() - begun:.2f} s")
    large_tokenizer = LargeTokenizer(tokenizer, max(LARGE, own.size))
    begun = time.perf_counter()
    large = Vocabulary(large_tokenizer, len(large_tokenizer._pieces), model.stop_ids)
    print(f"vocabulary of {large.size:,}: made in {time.perf_counter() - begun:.2f} s\n")
    print(
        "| form | tokens | compile, ms | mask, µs | 95th | apply, µs | accept, µs | mask of 256,000 | 95th | apply | "
        "constrained, ms | without, ms | share |\n| --- |" + " ---: |" * 12
    )
    written(model, None, 8)
    for name, form in FORMS.items():
        compiling = list[float]()
        for _ in range(options.rounds):
            begun = time.perf_counter()
            output_format(model.vocabulary, **form)
            compiling.append((time.perf_counter() - begun) * 1e3)
        own_form, large_form = (output_format(lambda v=v: v, **form) for v in (own, large))  # type: ignore[misc]
        assert own_form is not None and large_form is not None
        runs = [written(model, own_form.constraint, options.tokens) for _ in range(options.rounds)]
        ids = runs[0][0]
        steps = statistics.mean(itertools.chain.from_iterable(times for _, times in runs))
        free = statistics.mean(ms for _ in range(options.rounds) for ms in written(model, None, len(ids))[1])
        of_own, of_large = (
            [
                list(itertools.chain.from_iterable(parts))
                for parts in zip(*(masks(one.constraint, ids) for _ in range(options.rounds)), strict=True)
            ]
            for one in (own_form, large_form)
        )
        cost = sum(map(statistics.median, of_own)) / 1e3
        cells = [
            f"{len(ids)}",
            f"{min(compiling):.1f}",
            *_two(of_own[0]),
            f"{statistics.median(of_own[1]):.0f}",
            f"{statistics.median(of_own[2]):.1f}",
            *_two(of_large[0]),
            f"{statistics.median(of_large[1]):.0f}",
            f"{steps:.2f}",
            f"{free:.2f}",
            f"{100 * cost / free:.1f} %",
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return 0


def _two(values: Sequence[float]) -> tuple[str, str]:
    ordered = sorted(values)
    return f"{statistics.median(ordered):.0f}", f"{ordered[int(0.95 * (len(ordered) - 1))]:.0f}"


if __name__ == "__main__":
    sys.exit(main())
