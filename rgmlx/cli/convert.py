"""`rgmlx convert`: a checkpoint of any kind to MLX weights, 4 bits unless told otherwise."""

from __future__ import annotations

import argparse
from typing import Any

from .common import add_command, number
from .streams import tell


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "convert",
        "convert a checkpoint to (4-bit) MLX weights",
        "Converts a checkpoint to MLX weights: Hugging Face directories and repositories, DeepMind's PyTorch and Flax\n"
        "files, and mlx-lm conversions. 4 bits in groups of 64 unless told otherwise. Nothing is left half-written: an\n"
        "interrupted conversion goes on where it was when the same command is run again.",
        (
            "rgmlx convert --model google/recurrentgemma-2b-it --mlx-path recurrentgemma-2b-it-4bit",
            "rgmlx convert --model ~/Downloads/2b-it.pt --mlx-path out --recipe mixed --calibrate notes.txt",
            "rgmlx convert --model google/recurrentgemma-9b-it --dry-run",
        ),
    )
    p.add_argument(
        "--model", "--hf-path", required=True, metavar="SOURCE", help="directory, .pt file, or Hugging Face repository"
    )
    p.add_argument("--mlx-path", default="mlx_model", metavar="DIR", help="where the result goes (default: mlx_model)")
    p.add_argument("--force", action="store_true", help="replace the model that is there, once the new one is complete")
    p.add_argument("--dry-run", action="store_true", help="print every tensor and what would become of it, and stop")
    q = p.add_argument_group("quantization")
    q.add_argument(
        "--recipe",
        metavar="NAME",
        help="4bit (the default), mixed, 8bit, bf16, mxfp4, nvfp4, or a .toml or .json file of patterns and bits",
    )
    q.add_argument("-q", "--quantize", action="store_true", help="quantize: the default, for those who type it")
    q.add_argument("--q-bits", type=number(int), metavar="N", help="bits a weight: 2, 3, 4, 5, 6 or 8")
    q.add_argument("--q-group-size", type=number(int), metavar="N", help="weights that share a scale: 32, 64 or 128")
    q.add_argument("--q-mode", metavar="MODE", help="affine (the default), mxfp4, nvfp4 or mxfp8")
    q.add_argument("-d", "--dequantize", action="store_true", help="undo the quantization of an MLX conversion")
    q.add_argument(
        "--dtype",
        choices=["float16", "bfloat16", "float32"],
        help="of what is not quantized, and of scales (default: as in the source); float16 suits M1 and M2",
    )
    q.add_argument(
        "--calibrate", metavar="FILE", help="compensate rounding errors for this text (GPTQ); 'builtin' has one"
    )
    q.add_argument("--calibrate-tokens", type=number(int), metavar="N", help="of the text, at most (default: 16,384)")
    v = p.add_argument_group("checking and publishing")
    v.add_argument(
        "--verify",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="compare the result with the source before it is put in place (default: yes)",
    )
    v.add_argument("--text", metavar="FILE", help="the text to compare them on (default: a built-in one)")
    v.add_argument("--tokenizer", metavar="DIR", help="where the tokenizer's files are (default: beside the weights)")
    v.add_argument("--upload-repo", metavar="USER/NAME", help="upload the result to Hugging Face")
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Converts, and prints what it made."""
    from pathlib import Path

    from ..convert import pipeline

    job = pipeline.Job(
        model=options.model,
        target=Path(options.mlx_path),
        recipe=pipeline.choose_recipe(
            options.recipe, options.quantize, options.q_bits, options.q_group_size, options.q_mode, options.dequantize
        ),
        dequantize=options.dequantize,
        dtype=options.dtype,
        force=options.force,
        calibrate=options.calibrate,
        calibrate_tokens=options.calibrate_tokens,
        verify=options.verify,
        text=options.text,
        tokenizer=options.tokenizer,
        upload=options.upload_repo,
    )
    if options.dry_run:
        _print_plan(pipeline.plan(job))
        return
    from ..system.macos import power
    from .progress import Bar

    with power.awake(), Bar() as bar:
        try:
            for line in pipeline.run(job, bar):
                bar.print(line)
        except KeyboardInterrupt:
            tell("\ninterrupted: what is finished is kept, and the same command goes on from there")
            raise


def _print_plan(plan: Any) -> None:
    from ..convert.plan import lines
    from ..system.printable import printable

    rows = [("tensor", "shape", "from", "to", "bits", "bytes"), *lines(plan)]
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    for row in rows:
        cells = [c.rjust(w) if i >= 4 else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        print(printable("  ".join(cells)))
    for name in plan.dropped:
        print(printable(f"{name}  left out: the embedding's equal copy"))
    print(
        f"\n{plan.recipe.name}: {plan.parameters:,} parameters, {plan.nbytes:,} bytes, "
        f"{8 * plan.nbytes / plan.parameters:.2f} bits each"
    )
