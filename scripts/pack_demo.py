"""Packs a trained checkpoint as the embedded model: 4 bits, group size 64, into `rgmlx/demo/`.

    python scripts/pack_demo.py CHECKPOINT_DIRECTORY [OUTPUT_DIRECTORY]

CHECKPOINT_DIRECTORY holds Hugging Face's config.json, model.safetensors and tokenizer.model.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from rgmlx.convert import pipeline
from rgmlx.convert.recipe import RECIPES
from rgmlx.hub import demo_directory

FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.model", "tokenizer_config.json")


def main() -> None:
    source = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else demo_directory()
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "demo"
        for line in pipeline.run(pipeline.Job(str(source), made, RECIPES["4bit"]), lambda *_: None):
            print(line)
        generation = json.loads((made / "generation_config.json").read_text())
        # A small model stays coherent at a lower temperature than a large one.
        generation |= {"do_sample": True, "temperature": 0.5, "top_p": 0.9}
        (made / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")
        for name in FILES:  # without an index, the file names of a single shard say enough
            shutil.copy(made / name, target)
    print(f"{target}: {sum((target / name).stat().st_size for name in FILES) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
