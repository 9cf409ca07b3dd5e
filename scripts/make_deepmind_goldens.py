"""Makes `tests/goldens/deepmind/`: the checkpoint `tests/goldens/tiny` in the three forms that DeepMind's code saves.

    python -m venv scripts/.venv-goldens
    scripts/.venv-goldens/bin/pip install torch==2.13.0 "recurrentgemma[jax]==1.0.1" orbax-checkpoint safetensors
    scripts/.venv-goldens/bin/python scripts/make_deepmind_goldens.py [OUTPUT_DIRECTORY]

`tiny.pt` is the state dict of the real torch Griffin; `flax/` and `flax-zarr/` are the real Flax parameters, saved by
orbax with and without OCDBT. Everything is then read back with torch and orbax, and the real package computes the
logits from it: exits with 1 when they are further than TOLERANCE from those in `tests/goldens/tiny/logits.npz`.
The tests read the files and need neither this script nor that environment.
"""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import make_goldens
import numpy as np
from safetensors.numpy import load_file

TOLERANCE = 2e-6
TINY = make_goldens.ROOT / "tests" / "goldens" / "tiny"


def griffin_config(config: dict[str, Any]) -> Any:
    """The package's own configuration, from a Hugging Face one."""
    from recurrentgemma import common

    return common.GriffinConfig(
        vocab_size=config["vocab_size"],
        width=config["hidden_size"],
        mlp_expanded_width=config["intermediate_size"] // 2,
        num_heads=config["num_attention_heads"],
        lru_width=config["lru_width"],
        block_types=tuple(common.TemporalBlockType[kind.upper()] for kind in make_goldens.blocks_of(config)),
        embeddings_scale_by_sqrt_dim=config["embeddings_scale_by_sqrt_dim"],
        attention_window_size=config["attention_window_size"],
        logits_soft_cap=config["logits_soft_cap"],
    )


def save(output: Path, config: dict[str, Any]) -> None:
    """Writes the three forms. The parameters lie below "params" in `flax/` and at the top in `flax-zarr/`."""
    import jax
    import torch
    from recurrentgemma import conversion
    from recurrentgemma.torch import griffin

    weights = load_file(TINY / "model.safetensors")
    params = jax.tree_util.tree_map(jax.numpy.asarray, make_goldens.deepmind_parameters(config, weights))
    model = griffin.Griffin(griffin_config(config), gradient_checkpointing=False)
    model.load_state_dict(conversion.flax_params_to_pytorch_state_dict(params))
    torch.save(model.state_dict(), output / "tiny.pt")
    orbax = importlib.import_module("orbax.checkpoint")
    orbax.PyTreeCheckpointer().save((output / "flax").absolute(), {"params": params})
    orbax.PyTreeCheckpointer(use_ocdbt=False).save((output / "flax-zarr").absolute(), params)
    for note in output.glob("*/commit_success.txt"):  # holds the path of the machine, and nothing that is read
        note.unlink()


def logits(output: Path, config: dict[str, Any], tokens: np.ndarray) -> dict[str, np.ndarray]:
    """What the real package computes from the saved files, float32 [B, T, V] each."""
    import jax
    import torch
    from recurrentgemma.jax import griffin as jax_griffin
    from recurrentgemma.torch import griffin as torch_griffin

    orbax = importlib.import_module("orbax.checkpoint")
    shape = griffin_config(config)
    positions = np.broadcast_to(np.arange(tokens.shape[1], dtype=np.int32), tokens.shape)
    out: dict[str, np.ndarray] = {}

    twin = torch_griffin.Griffin(shape, gradient_checkpointing=False)
    twin.load_state_dict(torch.load(output / "tiny.pt", weights_only=True))
    with torch.no_grad():
        from_torch = twin(torch.from_numpy(tokens).long(), torch.from_numpy(positions.copy()).long())[0]
        out["deepmind_torch_float32 tiny.pt"] = from_torch.numpy()

    model = jax_griffin.Griffin(shape, gradient_checkpointing=False)
    inputs = jax.numpy.asarray(tokens), jax.numpy.asarray(positions)
    step = jax.jit(lambda params: model.apply({"params": params}, *inputs)[0])
    for name in ("flax", "flax-zarr"):
        restored = orbax.PyTreeCheckpointer().restore((output / name).absolute())
        params = jax.tree_util.tree_map(jax.numpy.asarray, restored.get("params", restored))
        out[f"deepmind_jax_float32 {name}"] = np.asarray(step(params))
    return out


def main() -> int:
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else TINY.parent / "deepmind"
    for name in ("flax", "flax-zarr"):  # orbax writes over nothing
        shutil.rmtree(output / name, ignore_errors=True)
    output.mkdir(parents=True, exist_ok=True)
    config = json.loads((TINY / "config.json").read_text())
    save(output, config)
    golden = np.load(TINY / "logits.npz")
    worst = 0.0
    for key, found in logits(output, config, golden["tokens"]).items():
        error = make_goldens.oracle.relative_error(found, golden[key.split()[0]])
        print(f"{key:<32} {error:.1e}")
        worst = max(worst, error)
    files = [f for f in output.rglob("*") if f.is_file()]
    print(f"{sum(f.stat().st_size for f in files):,} bytes in {len(files)} files")
    return int(not worst <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
