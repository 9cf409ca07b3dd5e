"""What each recipe costs: a Markdown table for the docs.

    python scripts/recipes_table.py CHECKPOINT_DIRECTORY CORPUS_DIRECTORY

Converts an unquantized checkpoint with each recipe, plain and compensated (GPTQ), compares the result with it on held-out
text (`quantization_study.py` says how the corpus is split), and times decoding. All through the code that ships.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from quantization_study import rows_of

import rgmlx
from rgmlx.convert import compare, documents, recipe
from rgmlx.convert import run as conversion
from rgmlx.convert.open import open_source
from rgmlx.generation.engine import Generation
from rgmlx.settings import Sampling


def decode_rate(directory: Path, tokens: int = 96) -> float:
    """Tokens a second, the median of three replies."""
    model = rgmlx.load(directory)
    rates = []
    for _ in range(3):
        run = iter(Generation(model, model.new_state(), [2, 5, 7], sampling=Sampling(temperature=0), max_tokens=tokens))
        next(run)
        start = time.perf_counter()
        rates.append(sum(1 for _ in run) / (time.perf_counter() - start))
    return statistics.median(rates)


def main() -> None:
    p = argparse.ArgumentParser(description="What each recipe costs.")
    p.add_argument("checkpoint", type=Path)
    p.add_argument("corpus", type=Path)
    p.add_argument("--tokens", type=int, default=8192, help="held-out tokens to measure on")
    p.add_argument("--skip", type=int, default=0, help="held-out tokens to leave out before these")
    p.add_argument("--calibration", type=int, default=16_384, help="tokens")
    p.add_argument("--recipes", nargs="*", default=["bf16", "8bit", "mixed", "4bit", "mxfp4", "nvfp4"])
    options = p.parse_args()
    source = open_source(options.checkpoint)
    tokenizer = rgmlx.load(options.checkpoint).text_tokenizer()
    skip = options.skip // 512
    held_out = rows_of(options.corpus, tokenizer, True, skip + options.tokens // 512)[skip:]
    rows = rows_of(options.corpus, tokenizer, False, options.calibration // 512)
    calibration = conversion.Calibration(rows, f"{sum(map(len, rows)):,} tokens of the corpus")
    print(f"{sum(map(len, held_out)):,} held-out tokens, {sum(map(len, rows)):,} for calibration\n")
    print(
        "| recipe | | MB | bits a parameter | KL | top-1 | perplexity | decode |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for name in options.recipes:
        plan = conversion.plan(source, recipe.RECIPES[name])
        affine = any(s.settings and s.settings["mode"] == "affine" for s in plan.steps)
        for how, given in (("", None), ("GPTQ", calibration)) if affine else (("", None),):
            with tempfile.TemporaryDirectory() as scratch:
                writer = conversion.write(source, plan, Path(scratch) / "out", calibration=given)
                writer.finish(documents.documents(source, name, plan, source.directory), plan.parameters)
                made = writer.publish()
                writer.close()
                found = compare.outputs(source, open_source(made), held_out)
                rate = decode_rate(made)
            print(
                f"| {name} | {how} | {plan.nbytes / 1e6:.2f} | {8 * plan.nbytes / plan.parameters:.2f} | {found.kl:.4f} | "
                f"{found.top1:.1%} | {found.perplexity[0]:.2f} -> {found.perplexity[1]:.2f} | {rate:.1f} tok/s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
