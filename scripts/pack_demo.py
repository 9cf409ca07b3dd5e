"""Packs a trained checkpoint as the embedded model: 4 bits, group size 64, into `rgmlx/demo/`.

    python scripts/pack_demo.py CHECKPOINT_DIRECTORY [OUTPUT_DIRECTORY]

CHECKPOINT_DIRECTORY holds Hugging Face's config.json, model.safetensors and tokenizer.model.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

import rgmlx
from rgmlx.hub import demo_directory

QUANTIZATION = {"group_size": 64, "bits": 4, "mode": "affine"}
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n'"
    " + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)


def main() -> None:
    source = Path(sys.argv[1])
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else demo_directory()
    target.mkdir(parents=True, exist_ok=True)
    model = rgmlx.load(source, dtype="bfloat16")
    nn.quantize(model, group_size=QUANTIZATION["group_size"], bits=QUANTIZATION["bits"])
    weights = {k: v.astype(mx.bfloat16) if v.dtype == mx.float32 else v for k, v in tree_flatten(model.parameters())}
    mx.save_safetensors(str(target / "model.safetensors"), weights, {"format": "mlx"})
    config = json.loads((source / "config.json").read_text())
    config["eos_token_id"] = sorted(model.stop_ids)
    config["quantization"] = config["quantization_config"] = QUANTIZATION
    (target / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    shutil.copyfile(source / "tokenizer.model", target / "tokenizer.model")
    # A small model stays coherent at a lower temperature than a large one.
    generation: dict[str, object] = {"bos_token_id": model.config.bos_token_id, "eos_token_id": sorted(model.stop_ids)}
    generation |= {"do_sample": True, "temperature": 0.5, "top_p": 0.9}
    (target / "generation_config.json").write_text(json.dumps(generation, indent=1) + "\n")
    # For mlx-lm, which reads tokenizers through transformers.
    tokenizer = {
        "tokenizer_class": "GemmaTokenizer",
        "add_bos_token": True,
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "chat_template": TEMPLATE,
    }
    (target / "tokenizer_config.json").write_text(json.dumps(tokenizer, indent=1) + "\n")
    size = sum(p.stat().st_size for p in target.iterdir())
    print(f"{target}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
