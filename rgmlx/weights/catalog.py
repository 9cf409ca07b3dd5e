"""Which models are on this computer: the demo, directories, repositories in the Hugging Face cache.

Reads config.json files and the names and sizes of the others; imports no mlx and asks no network. A damaged model is
listed with what is wrong; what is no RecurrentGemma is not listed.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError, ModelNotFoundError
from ..griffin.config import PRESETS, ModelConfig
from ..system.paths import is_utf8
from ..system.reading import MAX_INDEX, MAX_SETTINGS, read_bytes, read_json
from .hub import DEMO, demo_directory, looked_into

MODEL_TYPE = "recurrent_gemma"
MAX_ENTRIES = 2000
"""Entries of a directory that are looked at: somebody starts us in one with a million files."""
_INDEX = "model.safetensors.index.json"
_TOKENIZERS = ("tokenizer.model", "tokenizer.json")
_CACHED = "models--"
_SHARD = re.compile(r".*-\d+-of-(\d+)\.safetensors")
_DTYPES = {"bfloat16": "bf16", "float16": "f16", "float32": "f32"}


@dataclass(frozen=True)
class Installed:
    """A model that is here, at least in part.

    Attributes:
        name: what `rgmlx.load` takes.
        path: the directory that holds config.json.
        size: bytes on the disk.
        bits: "4-bit", "bf16"; of the matrices, when the rest has more.
        window: the attention window in tokens.
        kind: parameters, such as "2B".
        complete: whether every file of the weights is there.
        problem: why it can't be talked to, and what to do; "" when it can.
        cached: whether it is a repository in the Hugging Face cache.
    """

    name: str
    path: Path
    size: int
    bits: str
    window: int
    kind: str
    complete: bool
    problem: str
    cached: bool = False


def list_models(extra: Sequence[Path] = ()) -> list[Installed]:
    """The models on this computer, each once: the demo, then directories, then the cache. Never raises.

    Args:
        extra: directories to look at besides the usual ones: each may be a model, or hold some.
    """
    found: dict[Path, Installed] = {}
    for model in itertools.chain(_demo(), _in_directories(extra), _in_cache()):
        with contextlib.suppress(OSError):
            found.setdefault(model.path.resolve(), model)
    return list(found.values())


def examine(directory: Path) -> Installed:
    """A model's directory, looked at.

    Raises:
        ModelNotFoundError: it holds no RecurrentGemma.
    """
    model = None
    looked_into(directory)
    with contextlib.suppress(OSError):  # as good as not there
        model = _look(directory, str(directory))
    if model is None:
        text = str(directory)
        shown = text if len(text) <= 200 else f"{text[:100]}..."
        raise ModelNotFoundError(
            f"{shown} holds no RecurrentGemma model: name the directory with its config.json and its .safetensors"
        )
    return model


def default_directories() -> list[Path]:
    """Where models are looked for besides the cache; some may not exist."""
    from platformdirs import user_data_path

    places = [user_data_path("rgmlx", appauthor=False) / "models"]
    with contextlib.suppress(OSError, RuntimeError):  # removed under our feet; no home
        places = [Path.cwd(), Path.home() / "models", *places]
    return places


def kind(config: ModelConfig) -> str:
    """A model's size as people say it: "2B" and "9B" as published, otherwise the number of parameters."""
    for name, preset in PRESETS.items():
        if (config.hidden_size, config.num_hidden_layers) == (preset.hidden_size, preset.num_hidden_layers):
            return name.upper()
    count = config.parameter_counts()["total"]
    for unit, word in ((1e9, "B"), (1e6, "M")):
        if count >= unit:
            return f"{count / unit:.1f}".removesuffix(".0") + word
    return f"{count:,}"


# --- places -------------------------------------------------------------------------------


def _demo() -> Iterator[Installed]:
    with contextlib.suppress(OSError):
        if model := _look(demo_directory(), DEMO):
            yield model


def _in_directories(extra: Sequence[Path]) -> Iterator[Installed]:
    for directory in [*extra, *default_directories()]:
        with contextlib.suppress(OSError):
            for path in [directory, *_subdirectories(directory)]:
                with contextlib.suppress(OSError):
                    # An absolute name: a conversation keeps it, and is opened from anywhere.
                    if model := _look(path, str(path.absolute())):
                        yield model


def _subdirectories(directory: Path) -> list[Path]:
    with os.scandir(directory) as entries:
        # os.path: a link that leads nowhere is no directory, and no error either.
        return sorted(Path(e.path) for e in itertools.islice(entries, MAX_ENTRIES) if os.path.isdir(e.path))


def _in_cache() -> Iterator[Installed]:
    from huggingface_hub import constants

    # Not scan_cache_dir: that reads every file of every data set.
    with contextlib.suppress(OSError):
        for directory in _subdirectories(Path(constants.HF_HUB_CACHE)):
            if not directory.name.startswith(_CACHED):
                continue
            from huggingface_hub import try_to_load_from_cache  # which imports a client for HTTP

            name = directory.name.removeprefix(_CACHED).replace("--", "/")
            with contextlib.suppress(OSError, ValueError):  # a name that no repository has
                config = try_to_load_from_cache(name, "config.json")
                if isinstance(config, str) and (model := _look(Path(config).parent, name, blobs=directory / "blobs")):
                    yield model


# --- one directory ------------------------------------------------------------------------


def _look(directory: Path, name: str, blobs: Path | None = None) -> Installed | None:
    """A model's directory; None when it holds none.

    Args:
        blobs: where a repository's files really are, those too that are not all here.
    """
    path = directory / "config.json"
    # As bytes: a config that is not JSON any more still says whose it was.
    if not path.is_file() or f'"{MODEL_TYPE}"'.encode() not in read_bytes(path, MAX_SETTINGS).replace(b"\0", b""):
        return None
    here = _files(directory)
    complete, lack = _weights(directory, here)
    if not complete and blobs is None and _INDEX not in here and not any(n.endswith(".safetensors") for n in here):
        return None  # somebody's source code, or weights of another format
    if blobs is not None and not complete:
        size = sum(_files(blobs).values())
        lack = "it is here in part only: start its download again, it goes on where it was"
    else:
        size = sum(here.values())
    problem = lack
    if not is_utf8(name):
        problem = "its name is not UTF-8, which a conversation can't keep: rename the directory"
    elif complete and not any(n in here for n in _TOKENIZERS):
        problem = "it has no tokenizer: copy tokenizer.model or tokenizer.json there from the original model"
    try:
        config = ModelConfig.from_file(path)
    except ConfigError as e:
        return Installed(name, directory, size, "?", 0, "?", complete, str(e), blobs is not None)
    quantized = config.quantization
    bits = _DTYPES[config.dtype] if quantized is None else f"{quantized['bits']}-bit"
    window = config.attention_window_size
    return Installed(name, directory, size, bits, window, kind(config), complete, problem, blobs is not None)


def _files(directory: Path) -> dict[str, int]:
    """The files of a directory, with their bytes."""
    with os.scandir(directory) as entries:
        # Hidden ones are not the model's: macOS leaves `._NAME` beside each on foreign disks.
        return {e.name: os.path.getsize(e.path) for e in entries if e.name[0] != "." and os.path.isfile(e.path)}


def _weights(directory: Path, here: dict[str, int]) -> tuple[bool, str]:
    """Whether the weights are all there, and what is wrong if they are not."""
    again = "download or convert it again"
    if _INDEX in here:
        try:
            index = read_json(directory / _INDEX, MAX_INDEX)
            names = set(index["weight_map"].values())
            total = int(index.get("metadata", {}).get("total_size", 0))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError):
            return False, f"its {_INDEX} is damaged: {again}"
        if missing := sorted(str(n) for n in names if n not in here):
            return False, f"{missing[0]} is missing: {again}"
        if sum(here[n] for n in names) < total:
            return False, f"its weights are cut off: {again}"
        return bool(names), "" if names else f"its {_INDEX} names no weights: {again}"
    shards = [n for n in here if n.endswith(".safetensors")]
    if not shards:
        return False, f"it has no .safetensors: {again}"
    for name in shards:
        if (match := _SHARD.fullmatch(name)) and len(shards) < int(match[1]):
            return False, f"{len(shards)} of {int(match[1])} .safetensors are there: {again}"
    return True, ""
