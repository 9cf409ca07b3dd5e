"""Loads our unquantized conversions in Hugging Face's transformers and compares the logits of both.

    python -m venv scripts/.venv-goldens
    scripts/.venv-goldens/bin/pip install torch==2.13.0 -e .
    scripts/.venv-goldens/bin/python scripts/check_transformers.py

Each golden checkpoint, and DeepMind's file of one, is converted with `--recipe bf16`, and with `-d` after 4 bits; the
embedded model with `-d`. transformers must find every tensor and no other, in the dtype that was written; both compute in
float32, ours with the window that is theirs. Exits with 1 where logits differ by more than TOLERANCE, relative.

Also writes `tests/goldens/transformers.json`: names, shapes and dtypes of the tensors that transformers itself saves for
each golden, which the tests compare with ours.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from rgmlx.convert import pipeline, recipe
from rgmlx.convert.pipeline import Job
from rgmlx.convert.recipe import Recipe
from rgmlx.errors import RgmlxError
from rgmlx.griffin.config import ModelConfig
from rgmlx.model import Model
from rgmlx.system.files import read_header
from rgmlx.weights import hub
from rgmlx.weights.checkpoint import build, read_weights

GOLDENS = Path(__file__).resolve().parent.parent / "tests" / "goldens"
TOLERANCE = 2e-6
DEQUANTIZED = Recipe("dequantized", None)
LENGTH, BATCH = 80, 2


def convert(source: Path | str, target: Path, chosen: Recipe, **options: Any) -> Path:
    for _ in pipeline.run(Job(str(source), target, chosen, verify=False, **options), lambda *_: None):
        pass
    return target


def conversions(scratch: Path) -> Iterator[tuple[str, Path]]:
    """Names and directories of unquantized checkpoints, made one at a time."""
    sources: dict[str, Path | str] = {name: GOLDENS / name for name in ("tiny", "wide", "hawk")}
    sources |= {"DeepMind's tiny.pt": GOLDENS / "deepmind" / "tiny.pt"}
    four = Recipe("4bit-g32", recipe.settings(4, 32))
    for name, source in sources.items():
        yield f"{name}, bf16", convert(source, scratch / f"{name}-bf16", recipe.RECIPES["bf16"])
        packed = convert(source, scratch / f"{name}-4", four)
        yield f"{name}, 4 bits, -d", convert(packed, scratch / f"{name}-d", DEQUANTIZED, dequantize=True)
    for dtype in ("bfloat16", "float32"):
        target = scratch / f"demo-{dtype}"
        yield f"demo, -d, {dtype}", convert("demo", target, DEQUANTIZED, dequantize=True, dtype=dtype)


def theirs(directory: Path, tokens: np.ndarray) -> np.ndarray:
    """Logits of transformers. Raises RgmlxError unless it found exactly its tensors, as they are stored."""
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    load = transformers.RecurrentGemmaForCausalLM.from_pretrained
    model, report = load(directory, dtype="auto", attn_implementation="eager", output_loading_info=True)
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys"):  # what is missing would be random
        if report[key]:
            raise RgmlxError(f"transformers reports {key}: {sorted(map(str, report[key]))[:3]}")
    written = json.loads((directory / "config.json").read_text())["torch_dtype"]
    if str(model.dtype) != f"torch.{written}":
        raise RgmlxError(f"transformers loads {model.dtype}, config.json says {written}")
    with torch.no_grad():
        return model.float().eval()(torch.from_numpy(tokens).long(), use_cache=False).logits.numpy()


def ours(directory: Path, tokens: np.ndarray) -> np.ndarray:
    """Logits of ours; a token sees one less than by config.json, as in transformers."""
    config = ModelConfig.from_file(directory / "config.json")
    model = Model(config.with_window(config.attention_window_size - 1))
    build(model.config, read_weights(directory), model, mx.float32)
    return np.array(model.logits(tokens))


def saved_tensors(name: str) -> dict[str, Any]:
    """What transformers writes for a golden's config in bfloat16: name -> [dtype, shape]."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(GOLDENS / name)
    config.block_types = list(ModelConfig.from_file(GOLDENS / name / "config.json").block_types)
    with tempfile.TemporaryDirectory() as scratch:
        transformers.RecurrentGemmaForCausalLM(config).to(torch.bfloat16).save_pretrained(scratch)
        header, _ = read_header(Path(scratch) / "model.safetensors", RgmlxError)
    return {tensor: [entry["dtype"], entry["shape"]] for tensor, entry in sorted(header.items())}


def main() -> int:
    import transformers

    mx.set_default_device(mx.cpu)
    golden = {name: saved_tensors(name) for name in ("tiny", "wide", "hawk")}
    lines = ",\n".join(
        f' "{name}": {{\n' + ",\n".join(f'  "{t}": {json.dumps(v)}' for t, v in tensors.items()) + "\n }"
        for name, tensors in golden.items()
    )
    (GOLDENS / "transformers.json").write_text(f"{{\n{lines}\n}}\n")
    print(f"transformers {transformers.__version__}, tokens {BATCH} x {LENGTH}, relative difference of float32 logits")
    worst = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for name, directory in conversions(Path(scratch)):
            vocabulary = ModelConfig.from_file(directory / "config.json").vocab_size
            tokens = np.random.default_rng(1).integers(3, vocabulary, (BATCH, LENGTH))
            try:
                want = theirs(directory, tokens)
            except (RgmlxError, RuntimeError) as e:
                print(f"{name:<32} refused: {str(e).strip().splitlines()[-1]}")
                worst = np.inf
                continue
            got = ours(directory, tokens)
            error = float(np.linalg.norm(got - want) / np.linalg.norm(want))
            print(f"{name:<32} {error:.1e}")
            worst = max(worst, error)
    return int(not worst <= TOLERANCE)


if __name__ == "__main__":
    assert hub.demo_directory().is_dir()
    sys.exit(main())
