"""Packs a trained checkpoint as the embedded model, quantized, into `rgmlx/demo/`.

    python scripts/pack_demo.py CHECKPOINT_DIRECTORY [OUTPUT_DIRECTORY] [--recipe NAME]

CHECKPOINT_DIRECTORY holds Hugging Face's config.json, model.safetensors and tokenizer.model. `--recipe` is one of
`rgmlx convert` ("4bit", unless another is given). Calibration is left out: on 8,192 tokens of conversations it took 24 minutes
of processor time for Griff, and on 600 held-out questions its answers were no better.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from rgmlx.convert import pipeline
from rgmlx.convert.recipe import load
from rgmlx.weights.checksums import INDEX
from rgmlx.weights.hub import demo_directory

FILES = (
    "config.json",
    "generation_config.json",
    "model.safetensors",
    INDEX,
    "tokenizer.model",
    "tokenizer_config.json",
)
"""The index has the SHA-256 of weights and tokenizer."""


def add_checksum(index: Path, file: Path) -> None:
    """Notes the SHA-256 of a file in the index, beside that of the weights."""
    content = json.loads(index.read_text(encoding="utf-8"))
    content["metadata"]["sha256"][file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    index.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def pack(source: Path, target: Path, recipe: str = "4bit") -> None:
    """Converts, and puts the files of the embedded model into a directory."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "demo"
        for line in pipeline.run(pipeline.Job(str(source), made, load(recipe)), lambda *_: None):
            print(line, flush=True)
        generation = json.loads((made / "generation_config.json").read_text())
        # A small model stays coherent at a lower temperature than a large one.
        generation |= {"do_sample": True, "temperature": 0.5, "top_p": 0.9}
        (made / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")
        add_checksum(made / INDEX, made / "tokenizer.model")
        for name in FILES:
            shutil.copy(made / name, target)
    print(f"{target}: {sum((target / name).stat().st_size for name in FILES) / 1e6:.1f} MB")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint", type=Path)
    p.add_argument("output", type=Path, nargs="?", default=demo_directory())
    p.add_argument("--recipe", default="4bit", metavar="NAME")
    o = p.parse_args()
    pack(o.checkpoint, o.output, o.recipe)


if __name__ == "__main__":
    main()
