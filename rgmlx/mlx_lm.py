"""mlx-lm on our network: its token loops, prompt caches and server run unchanged.

    import rgmlx.mlx_lm
    rgmlx.mlx_lm.register()                     # from here on mlx-lm loads RecurrentGemma with our class
    model, tokenizer = mlx_lm.load(path)

or, from a shell, `rgmlx mlx-lm server --model PATH` (any of mlx-lm's commands; `demo` is a PATH too). A model from
`rgmlx.load` can be given to `mlx_lm.generate.generate_step` as it is.

On a CPU the network computes in float32, where MLX is several times faster than in 16 bits and sums exactly enough;
its parameters stay what the checkpoint holds, so that what mlx-lm saves is what it would save without us.

Before mlx-lm reads weights for our class, `prepare` does what `rgmlx.load` does: checksums, memory, kernels. Numbers that
are not finite are looked for after each piece of a prompt, where mlx-lm waits for the network anyway; not after each
token of a reply, which it computes while the one before is still under way.

Its caches are `griffin/mlx_lm_cache.py`'s.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from pathlib import Path
from typing import Any

import mlx.core as mx

from .griffin.config import ModelConfig
from .griffin.network import RecurrentGemma
from .system.reading import MAX_SETTINGS, read_json
from .verification import outdated, selfcheck
from .weights import checksums, fitting
from .weights.checkpoint import dense_gates, read_weights


class ModelArgs:
    """What mlx-lm builds from a `config.json` before it makes a model. Has the attributes of its `config`."""

    model_type = "recurrent_gemma"
    config: ModelConfig

    def __init__(
        self,
        model_type: str,
        attention_bias: bool,
        conv1d_width: int,
        hidden_size: int,
        intermediate_size: int,
        logits_soft_cap: float | None,
        num_attention_heads: int,
        num_hidden_layers: int,
        num_key_value_heads: int,
        rms_norm_eps: float,
        rope_theta: float,
        attention_window_size: int,
        vocab_size: int,
        embeddings_scale_by_sqrt_dim: bool = True,
        block_types: list[str] | None = None,
        _block_types: list[str] | None = None,
        **others: Any,
    ) -> None:
        """Takes the arguments of mlx-lm's own class in their order, and every other field of a `config.json`.

        Raises:
            ConfigError: a field has a value that can't be computed with.
        """
        given = {k: v for k, v in locals().items() if k not in ("self", "others")}
        self.config = _config(given | others)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelArgs:
        """From the content of a `config.json`. Raises ConfigError."""
        args = cls.__new__(cls)
        args.config = _config(data)
        return args

    def __getattr__(self, name: str) -> Any:
        if name == "config":  # not there yet: while it is copied or unpickled
            raise AttributeError(name)
        return getattr(self.config, name)


def _config(data: dict[str, Any]) -> ModelConfig:
    # A setting of mlx-lm's loader, not of the model; it is off unless asked for.
    return ModelConfig.from_dict({k: v for k, v in data.items() if k != "quantize_activations" or v})


class Model(RecurrentGemma):
    """The network as mlx-lm makes and loads it."""

    def __init__(self, args: ModelArgs | ModelConfig) -> None:
        super().__init__(args.config if isinstance(args, ModelArgs) else args)
        self.args = args

    @property
    def compute_dtype(self) -> mx.Dtype:
        return mx.float32 if mx.default_device() == mx.cpu else super().compute_dtype

    def sanitize(self, weights: dict[str, mx.array]) -> dict[str, mx.array]:
        """As the network's; quantized gates, which are no modules, are made dense."""
        return super().sanitize(dense_gates(self.config, weights))


def prepare(directory: Path, *, lazy: bool = False) -> None:
    """Checks a model's files, and the machine for it, as `rgmlx.load` does before it computes.

    Args:
        lazy: the weights are read piece by piece, and need not fit into memory.

    Raises:
        RgmlxError: a file is damaged, or the weights are more than this machine's memory.

    Warns:
        RgmlxWarning: the model will be slow here, the system is too old, or a kernel is wrong; once in a process.
    """
    checksums.verify(directory)
    outdated.check()
    place = directory.resolve()  # by which it is known that it was said before
    if not lazy:
        _check_memory(place)
    _check_kernels(place)


@functools.cache
def _check_memory(directory: Path) -> None:
    config = ModelConfig.from_file(directory / "config.json")
    fitting.check(config, config.dtype, sum(w.nbytes for w in read_weights(directory).values()))


@functools.cache
def _check_kernels(directory: Path) -> None:
    config = ModelConfig.from_file(directory / "config.json")
    selfcheck.ensure(config, getattr(mx, config.dtype))


def register() -> None:
    """Makes mlx-lm load `recurrent_gemma` checkpoints with our network, in this process.

    What has imported `load_model` from mlx-lm before loads with it too, but without `prepare`.
    """
    module = types.ModuleType("mlx_lm.models.recurrent_gemma", __doc__)
    vars(module).update(Model=Model, ModelArgs=ModelArgs)
    sys.modules[module.__name__] = module
    if (package := sys.modules.get("mlx_lm.models")) is not None:  # where stock mlx-lm's may stand already
        vars(package)["recurrent_gemma"] = module

    from mlx_lm import utils

    load_model = utils.load_model
    if hasattr(load_model, "__wrapped__"):  # by an earlier call
        return

    @functools.wraps(load_model)
    def prepared(model_path: Any, lazy: bool = False, *args: Any, **kwargs: Any) -> Any:
        directory = Path(model_path)
        if _is_ours(directory):
            prepare(directory, lazy=lazy)
        return load_model(model_path, lazy, *args, **kwargs)

    utils.load_model = prepared


def _is_ours(directory: Path) -> bool:
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # mlx-lm says what is wrong
        return bool(read_json(directory / "config.json", MAX_SETTINGS)["model_type"] == ModelArgs.model_type)
    return False
