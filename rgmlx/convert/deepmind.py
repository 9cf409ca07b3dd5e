"""DeepMind's own checkpoints, PyTorch (`.pt`) and Flax (orbax), as sources with Hugging Face's names.

Knows the names, layouts and shapes of the package `recurrentgemma`; how the files are read is known to `torch_pickle`
and `orbax`. There is no config.json: what the shapes don't say (window, soft cap, embedding scale, end tokens) is
taken from the released models, so Griffin and Hawk of the paper, which differ in these, need a config.json by hand.

    V vocabulary   D width   F mlp width   L lru width   K conv width   H heads   B = L / H   E head size   Q = H E
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import mlx.core as mx
import numpy as np

from ..errors import CheckpointError, ConfigError
from ..griffin.config import ATTENTION, RECURRENT, ModelConfig
from ..system.printable import printable
from ..weights.checkpoint import safetensors
from .orbax import OrbaxDirectory, is_orbax
from .source import Tensor, viewed
from .torch_pickle import TorchFile

VOCABULARY, PADDED = 256_000, 256_128
"""Gemma's tokens, and the rows that DeepMind's training pads the embedding to."""

_TOKENIZER = "tokenizer.model"
_EMBEDDING = "embedder.input_embedding"
_WINDOW, _SOFT_CAP, _CONV_WIDTH = 2048, 30.0, 4
_MISSING = "is missing: download the model again"

View = Callable[[np.ndarray], np.ndarray]


class Stored(Protocol):
    """Tensors in DeepMind's names and layouts, as `TorchFile` and `OrbaxDirectory` have them."""

    path: Path
    names: list[str]

    def describe(self, name: str) -> Tensor: ...

    def read(self, name: str) -> np.ndarray: ...


class _Rule(NamedTuple):
    """One of our tensors: the one of theirs that holds it, that one's shape, and the view of it that is ours."""

    theirs: str
    ours: str
    shape: str
    view: View


def _same(w: np.ndarray) -> np.ndarray:
    return w


def _transposed(w: np.ndarray) -> np.ndarray:
    return w.T


def _rules(dense: str) -> dict[str, list[_Rule]]:
    """All rules, by part of the model.

    Args:
        dense: how a dense layer's matrix is called: "kernel", stored [in, out], or "weight", stored [out, in].
    """

    def linear(theirs: str, ours: str, rows: str, columns: str, bias: bool = True) -> Iterator[_Rule]:
        if dense == "kernel":
            yield _Rule(f"{theirs}.kernel", f"{ours}.weight", f"{rows} {columns}", _transposed)
        else:
            yield _Rule(f"{theirs}.weight", f"{ours}.weight", f"{columns} {rows}", _same)
        if bias:
            yield _Rule(f"{theirs}.bias", f"{ours}.bias", columns, _same)

    up, recurrent, attention, ours = "mlp_block.ffw_up", "recurrent_block", "attention_block", "temporal_block"
    return {
        "model": [
            _Rule(_EMBEDDING, "embed_tokens.weight", "V D", lambda w: w[:VOCABULARY] if len(w) == PADDED else w),
            _Rule("final_norm.scale", "final_norm.weight", "D", _same),
        ],
        "layer": [
            _Rule("temporal_pre_norm.scale", "temporal_pre_norm.weight", "D", _same),
            _Rule("channel_pre_norm.scale", "channel_pre_norm.weight", "D", _same),
            _Rule(f"{up}.w", "mlp_block.gate_proj.weight", "2 D F", lambda w: w[0].T),
            _Rule(f"{up}.w", "mlp_block.up_proj.weight", "2 D F", lambda w: w[1].T),
            _Rule(f"{up}.b", "mlp_block.gate_proj.bias", "2 1 1 F", lambda w: w[0, 0, 0]),
            _Rule(f"{up}.b", "mlp_block.up_proj.bias", "2 1 1 F", lambda w: w[1, 0, 0]),
            *linear("mlp_block.ffw_down", "mlp_block.down_proj", "F", "D"),
        ],
        RECURRENT: [
            *linear(f"{recurrent}.linear_x", f"{ours}.linear_x", "D", "L"),
            *linear(f"{recurrent}.linear_y", f"{ours}.linear_y", "D", "L"),
            *linear(f"{recurrent}.linear_out", f"{ours}.linear_out", "L", "D"),
            _Rule(f"{recurrent}.conv_1d.w", f"{ours}.conv_1d.weight", "K L", lambda w: w.T[:, :, None]),
            _Rule(f"{recurrent}.conv_1d.b", f"{ours}.conv_1d.bias", "L", _same),
            _Rule(f"{recurrent}.rg_lru.a_param", f"{ours}.rg_lru.recurrent_param", "L", _same),
            _Rule(f"{recurrent}.rg_lru.a_gate.w", f"{ours}.rg_lru.recurrent_gate_weight", "H B B", _same),
            _Rule(f"{recurrent}.rg_lru.a_gate.b", f"{ours}.rg_lru.recurrent_gate_bias", "H B", _same),
            _Rule(f"{recurrent}.rg_lru.input_gate.w", f"{ours}.rg_lru.input_gate_weight", "H B B", _same),
            _Rule(f"{recurrent}.rg_lru.input_gate.b", f"{ours}.rg_lru.input_gate_bias", "H B", _same),
        ],
        ATTENTION: [
            *linear(f"{attention}.proj_q", f"{ours}.q_proj", "D", "Q", bias=False),
            *linear(f"{attention}.proj_k", f"{ours}.k_proj", "D", "E", bias=False),
            *linear(f"{attention}.proj_v", f"{ours}.v_proj", "D", "E", bias=False),
            *linear(f"{attention}.proj_final", f"{ours}.o_proj", "Q", "D"),
        ],
    }


class _Checkpoint:
    """A `Source` over DeepMind's tensors. Every name and shape is checked before anything is read.

    Args:
        stored: the tensors; below a common prefix ("params.", "model_state_dict.") anything else is left alone.
        dense: see `_rules`.

    Raises:
        CheckpointError: a tensor is missing, unknown or misshapen; it is named.
    """

    kind: str
    directory: Path
    files: list[Path]
    config: dict[str, Any]
    tensors: Mapping[str, Tensor]

    def __init__(self, stored: Stored, dense: str) -> None:
        self._stored = stored
        self._prefix = _prefix(stored)
        inside = [name for name in stored.names if name.startswith(self._prefix)]
        self._names = {name.removeprefix(self._prefix) for name in inside}
        self._layers = self._layer_types()
        self._dims = self._measure(dense)
        self._views: dict[str, tuple[str, View]] = {}
        self.tensors = self._map(_rules(dense))
        self.config = self._make_config()

    def read(self, name: str) -> mx.array:
        """One tensor of `tensors`, evaluated; nothing of it is kept here.

        Raises:
            CheckpointError: it can't be read.
        """
        theirs, view = self._views[name]
        # Contiguous: a gate or up projection is half of a tensor, and the other half goes with `w`.
        w = np.require(view(self._stored.read(theirs)), requirements=["C", "A"])
        out = mx.array(w)
        return viewed(out, mx.bfloat16) if self.tensors[name].dtype == mx.bfloat16 else out

    def _layer_types(self) -> list[str]:
        indices = [re.match(r"blocks\.([0-9]{1,4})\.", name) for name in self._names]
        count = 1 + max((int(found[1]) for found in indices if found), default=0)
        kinds: dict[str, str] = {}
        for name in sorted(self._names):
            if found := re.match(rf"blocks\.([0-9]+)\.({RECURRENT}|{ATTENTION})_block\.", name):
                kinds.setdefault(found[1], found[2])
        for i in range(count):
            if str(i) not in kinds:
                raise self._error(f"blocks.{i}.{RECURRENT}_block", f"or {ATTENTION}_block {_MISSING}")
        return [kinds[str(i)] for i in range(count)]

    def _measure(self, dense: str) -> dict[str, int]:
        """What the letters of the shapes stand for."""

        def shape(name: str, length: int) -> tuple[int, ...]:
            found = self._describe(name).shape
            if len(found) != length:
                raise self._error(name, f"has shape {found}, and should have {length} axes")
            return found

        def outputs(name: str) -> int:
            found = shape(f"{name}.{dense}", 2)
            return found[1 if dense == "kernel" else 0]

        rows, width = shape(_EMBEDDING, 2)
        dims = {"V": rows, "D": width, "F": shape("blocks.0.mlp_block.ffw_up.w", 3)[2]}
        dims |= {"L": width, "K": _CONV_WIDTH, "H": 0, "E": 0}
        if RECURRENT in self._layers:
            block = f"blocks.{self._layers.index(RECURRENT)}.recurrent_block"
            dims["K"], dims["L"] = shape(f"{block}.conv_1d.w", 2)
            dims["H"] = shape(f"{block}.rg_lru.a_gate.w", 3)[0]
        if ATTENTION in self._layers:
            block = f"blocks.{self._layers.index(ATTENTION)}.attention_block"
            dims["E"] = outputs(f"{block}.proj_k")  # there is one key-value head
            dims["H"] = dims["H"] or outputs(f"{block}.proj_q") // max(dims["E"], 1)
        dims["E"] = dims["E"] or width // max(dims["H"], 1)
        return dims | {"B": dims["L"] // max(dims["H"], 1), "Q": dims["H"] * dims["E"]}

    def _map(self, rules: dict[str, list[_Rule]]) -> dict[str, Tensor]:
        """Our tensors, after theirs have been compared with the rules, one for one."""
        tensors, used = {}, set()
        parts = [("", "model.", rules["model"])]
        for i, kind in enumerate(self._layers):
            parts.append((f"blocks.{i}.", f"model.layers.{i}.", rules["layer"] + rules[kind]))
        for theirs, ours, some in parts:
            for rule in some:
                name, found = theirs + rule.theirs, self._describe(theirs + rule.theirs)
                expected = tuple(int(n) if n.isdigit() else self._dims[n] for n in rule.shape.split())
                if found.shape != expected:
                    raise self._error(name, f"has shape {found.shape}, the other tensors ask for {expected}")
                # A view of one number that poses as the whole tensor: shapes cost nothing.
                posing = np.broadcast_to(np.uint8(0), expected)
                tensors[ours + rule.ours] = Tensor(rule.view(posing).shape, found.dtype)
                self._views[ours + rule.ours] = (self._prefix + name, rule.view)
                used.add(name)
        if extra := sorted(self._names - used):
            raise self._error(extra[0], f"is not part of RecurrentGemma ({len(extra)} such tensors)")
        return tensors

    def _make_config(self) -> dict[str, Any]:
        sizes: Counter[str] = Counter()
        for tensor in self.tensors.values():
            sizes[str(tensor.dtype).removeprefix("mlx.core.")] += tensor.nbytes
        d, vocabulary = self._dims, self.tensors["model.embed_tokens.weight"].shape[0]
        config = {
            "architectures": ["RecurrentGemmaForCausalLM"],
            "attention_bias": False,
            "attention_window_size": _WINDOW,
            "block_types": _pattern(self._layers),
            "bos_token_id": 2,
            "conv1d_width": d["K"],
            "embeddings_scale_by_sqrt_dim": True,
            # 107 is <end_of_turn>, where a chat turn ends.
            "eos_token_id": [1, 107] if vocabulary == VOCABULARY else 1,
            "head_dim": d["E"],
            "hidden_activation": "gelu_pytorch_tanh",
            "hidden_size": d["D"],
            "intermediate_size": 2 * d["F"],
            "logits_soft_cap": _SOFT_CAP,
            "lru_width": d["L"],
            "model_type": "recurrent_gemma",
            "num_attention_heads": d["H"],
            "num_hidden_layers": len(self._layers),
            "num_key_value_heads": 1,
            "pad_token_id": 0,
            "partial_rotary_factor": 0.5,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
            "tie_word_embeddings": True,
            "torch_dtype": sizes.most_common(1)[0][0],
            "vocab_size": vocabulary,
        }
        try:
            ModelConfig.from_dict(config)
        except ConfigError as e:
            raise CheckpointError(f"{self._stored.path} has shapes that make no RecurrentGemma: {e}") from None
        return config

    def _describe(self, name: str) -> Tensor:
        if name not in self._names:
            raise self._error(name, _MISSING)
        return self._stored.describe(self._prefix + name)

    def _error(self, name: str, what: str) -> CheckpointError:
        shown = printable(self._prefix + name).replace("\n", " ")
        return CheckpointError(f"{self._stored.path}: the tensor {shown} {what}")


def _prefix(stored: Stored) -> str:
    """What precedes the model's names in a checkpoint that holds more than the model."""
    found = [name.removesuffix(_EMBEDDING) for name in stored.names if name.endswith(_EMBEDDING)]
    found = [prefix for prefix in found if re.fullmatch(r"([\w-]+\.)*", prefix)]
    if not found:
        raise CheckpointError(f"{stored.path}: the tensor {_EMBEDDING} {_MISSING}")
    if len(found) > 1:
        names = ", ".join(f"'{prefix[:-1]}'" for prefix in sorted(found))
        raise CheckpointError(f"{stored.path} holds {len(found)} models ({names}): save the right one on its own")
    return found[0]


def _pattern(layers: Sequence[str]) -> list[str]:
    """The shortest pattern that gives the layers when it is repeated and cut."""
    length = next(n for n in range(1, len(layers) + 1) if all(t == layers[i % n] for i, t in enumerate(layers)))
    return list(layers[:length])


class TorchSource(_Checkpoint):
    """DeepMind's PyTorch checkpoint.

    Args:
        path: a `.pt` file, or a directory that holds one.

    Raises:
        CheckpointError: see `_Checkpoint` and `TorchFile`.
    """

    kind = "DeepMind PyTorch"

    def __init__(self, path: Path) -> None:
        path = _torch_file(path) or path
        super().__init__(TorchFile(path), "weight")
        self.directory, self.files = path.parent, [path]


class FlaxSource(_Checkpoint):
    """DeepMind's Flax checkpoint, an orbax directory.

    Args:
        directory: the checkpoint, or a directory that holds it and the tokenizer, as Kaggle's do.

    Raises:
        RgmlxError: `tensorstore` is not installed.
        CheckpointError: see `_Checkpoint` and `OrbaxDirectory`.
    """

    kind = "DeepMind Flax"

    def __init__(self, directory: Path) -> None:
        root = _flax_directory(directory) or directory
        super().__init__(OrbaxDirectory(root), "kernel")
        places = [place for place in (root, root.parent) if (place / _TOKENIZER).is_file()]
        self.directory = places[0] if places else root
        self.files = sorted(p for p in root.rglob("*") if p.is_file() and not p.name.startswith("._"))


def is_torch(path: Path) -> bool:
    """Whether this is a PyTorch file, or a directory with one `.pt` or `.pth` file and no safetensors; by names alone."""
    return _torch_file(path) is not None


def is_flax(directory: Path) -> bool:
    """Whether this is an orbax checkpoint, or a directory with one in it and no safetensors; by names alone."""
    return _flax_directory(directory) is not None


def _torch_file(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix in (".pt", ".pth", ".bin") else None
    found = [p for p in _children(path) if p.suffix in (".pt", ".pth") and p.is_file()]
    return found[0] if len(found) == 1 and not safetensors(path) else None


def _flax_directory(path: Path) -> Path | None:
    if not path.is_dir():
        return None
    if is_orbax(path):
        return path
    found = [p for p in _children(path) if p.is_dir() and is_orbax(p)]
    return found[0] if len(found) == 1 and not safetensors(path) else None


def _children(path: Path) -> list[Path]:
    try:
        return sorted(p for p in path.iterdir() if not p.name.startswith("."))
    except OSError:
        return []
