"""`rgmlx compare A B`: how far two models are apart."""

from __future__ import annotations

import argparse
from typing import Any

from .common import add_command, number
from .completions.table import MODELS, completes


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "compare",
        "measure how far a model is from another",
        "Compares two versions of a model: their tensors, and what they say of a text. Neither has to fit in memory.",
        ("rgmlx compare google/recurrentgemma-2b-it mlx_model", "rgmlx compare mlx_model other --text notes.txt"),
    )
    about = "the model that B is measured against: a directory, a repository, or demo"
    completes(p.add_argument("a", metavar="A", help=about), MODELS)
    completes(p.add_argument("b", metavar="B", help="the other one"), MODELS)
    p.add_argument("--text", metavar="FILE", help="the text to compare them on (default: a built-in one)")
    p.add_argument(
        "--tokens", type=number(int), metavar="N", help="of the text, at most (default: as many as take a few minutes)"
    )
    p.add_argument("--tensors", action="store_true", help="print the error of every tensor")
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints the comparison."""
    from ..convert import compare, pipeline, plan
    from ..convert.huggingface import SafetensorsSource
    from ..convert.open import open_source
    from ..errors import CheckpointError, RgmlxError
    from ..system.macos import power
    from ..weights import checksums
    from .progress import Bar

    if options.tokens is not None and options.tokens < 2:
        raise RgmlxError(f"--tokens must be 2 or more, not {options.tokens}")
    a, b = open_source(options.a), open_source(options.b)
    for source, name in ((a, options.a), (b, options.b)):
        try:
            plan.check(source)
        except CheckpointError as e:
            raise CheckpointError(f"{name}: {e}") from None
        if isinstance(source, SafetensorsSource):
            checksums.verify(source.directory)
    with power.awake(), Bar() as bar:
        errors = compare.tensor_errors(a, b, bar)
        if options.tensors:
            for name, error in errors.items():
                bar.print(f"{error:.6f}  {name}")
        rows, what = pipeline.measuring_rows(a, options.text, options.tokens)
        found = compare.outputs(a, b, rows, bar)
        name, error = max(errors.items(), key=lambda item: item[1])
        bar.print(f"largest relative error of a tensor: {error:.4f} ({name})" if error else "all tensors are equal")
        bar.print(f"on {found.tokens:,} tokens of {what}: {found.sentence()}")
