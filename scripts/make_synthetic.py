"""Writes a checkpoint of random numbers in a published shape, as Hugging Face lays it out (9B: 17 GB, 2B: 5.4 GB).

    python scripts/make_synthetic.py 9b DIRECTORY
    rgmlx convert --model DIRECTORY --mlx-path out

For measuring conversions. Memory stays at one tensor.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import mlx.core as mx
import numpy as np

from rgmlx.convert.plan import expected
from rgmlx.convert.source import Tensor
from rgmlx.convert.writer import Shard, shards
from rgmlx.griffin.config import PRESETS
from rgmlx.weights.checksums import INDEX
from rgmlx.weights.hub import demo_directory

_ROWS = 2**24  # numbers made at a time


def main() -> None:
    p = argparse.ArgumentParser(description="Writes a checkpoint of random numbers in a published shape.")
    p.add_argument("shape", choices=list(PRESETS))
    p.add_argument("directory", type=Path)
    options = p.parse_args()
    config = PRESETS[options.shape]
    options.directory.mkdir(parents=True)
    (options.directory / "config.json").write_text(json.dumps(config.to_dict() | {"torch_dtype": "bfloat16"}, indent=1))
    for path in demo_directory().glob("tokenizer*"):  # smaller than the vocabulary, which is no harm here
        shutil.copy(path, options.directory)
    files = shards([[(n, Tensor(s, mx.bfloat16))] for n, s in expected(config)[0].items()], 5 * 10**9)
    # One block of random numbers, shifted from tensor to tensor: making 8.5 billion new ones would take an hour.
    pool = np.random.default_rng(0).standard_normal(_ROWS + 2**16, dtype=np.float32)
    index = {}
    for number, file in enumerate(files):
        name = f"model-{number + 1:05}-of-{len(files):05}.safetensors"
        with (options.directory / name).open("wb") as f:
            out = Shard(f, file)
            for i, (tensor, t) in enumerate(file):
                scale = 0.02 if len(t.shape) == 1 else t.shape[-1] ** -0.5
                rows = max(1, _ROWS // int(np.prod(t.shape[1:])))
                for start in range(0, t.shape[0], rows):
                    shape = (min(rows, t.shape[0] - start), *t.shape[1:])
                    shift = (7919 * i + start) % 2**16
                    out.write(
                        tensor,
                        mx.array(pool[shift : shift + int(np.prod(shape))].reshape(shape) * scale).astype(mx.bfloat16),
                    )
                index[tensor] = name
            out.close()
        print(f"{options.directory / name}: {(options.directory / name).stat().st_size / 1e9:.2f} GB", flush=True)
    (options.directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": index}))


if __name__ == "__main__":
    main()
