"""Recipes: which matrix gets how many bits.

A recipe is a name, or a TOML or JSON file of patterns:

    default = 4                                   # bits, or {bits, group_size, mode}, or "keep"
    [patterns]                                    # of module paths, `*` for anything; the first that fits counts
    "*.down_proj" = {bits = 6, group_size = 32}
    "model.embed_tokens" = 8
    "*.rg_lru.*_gate" = 8                         # the gates are left alone unless a pattern names them

Norms, Lambda, convolutions and biases are never quantized.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ..errors import RgmlxError
from ..system.paths import expanded
from ..system.reading import MAX_SETTINGS, parse_json, read_text

Settings = dict[str, Any]
"""What MLX calls them: {"group_size", "bits", "mode"}."""

MODES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "affine": ((64, 32, 128), (4, 2, 3, 5, 6, 8)),
    "mxfp4": ((32,), (4,)),
    "nvfp4": ((16,), (4,)),
    "mxfp8": ((32,), (8,)),
}
"""By mode, the group sizes and bits that MLX has, the usual one first."""


def settings(bits: int | None = None, group_size: int | None = None, mode: str = "affine") -> Settings:
    """Complete settings; what is None is as usual for the mode. Raises RgmlxError for what MLX does not have."""
    if not isinstance(mode, str) or mode not in MODES:
        raise RgmlxError(f"there is no quantization mode '{mode!s:.40}': use {', '.join(MODES)}")
    groups, widths = MODES[mode]
    chosen = {
        "group_size": groups[0] if group_size is None else group_size,
        "bits": widths[0] if bits is None else bits,
        "mode": mode,
    }
    for what, allowed in (("group_size", groups), ("bits", widths)):
        if type(chosen[what]) is not int or chosen[what] not in allowed:
            raise RgmlxError(
                f"mode {mode} has {what} {' or '.join(map(str, sorted(allowed)))}, not {chosen[what]!s:.40}: change it or leave it out"
            )
    return chosen


@dataclass(frozen=True)
class Recipe:
    """What is quantized, and how.

    Attributes:
        name: for the model card.
        default: of matrices that no pattern names; None leaves them as they are.
        patterns: (pattern, settings or None), the first that fits counts.
        dtype: of the numbers that are not quantized; None keeps them as they are.
        own: it was written by hand: each of its patterns must fit something.
    """

    name: str
    default: Settings | None
    patterns: tuple[tuple[str, Settings | None], ...] = ()
    dtype: str | None = None
    own: bool = False

    def choose(self, path: str) -> Settings | None:
        """The settings of a module, such as `model.layers.0.mlp_block.down_proj`; None: not quantized."""
        for pattern, chosen in self.patterns:
            if fnmatchcase(path, pattern):
                return chosen
        return None if is_gate(path) else self.default

    def unused(self, paths: Iterable[str]) -> list[str]:
        """Patterns of a recipe of one's own that fit none of these modules."""
        return [p for p, _ in self.patterns if self.own and not any(fnmatchcase(path, p) for path in paths)]


def is_gate(path: str) -> bool:
    """Whether a path is that of an RG-LRU's block-diagonal gate."""
    return path.endswith((".rg_lru.input_gate", ".rg_lru.recurrent_gate"))


# Where six bits win most for their bytes, as measured on an earlier embedded model (docs/quantization.md).
_SENSITIVE = ("model.embed_tokens", "lm_head", "*.linear_x", "*.linear_y", "*.linear_out")

RECIPES: dict[str, Recipe] = {
    "4bit": Recipe("4bit", settings(4)),
    "mixed": Recipe("mixed", settings(4), tuple((path, settings(6)) for path in _SENSITIVE)),
    "8bit": Recipe("8bit", settings(8)),
    "mxfp4": Recipe("mxfp4", settings(mode="mxfp4")),
    "nvfp4": Recipe("nvfp4", settings(mode="nvfp4")),
    "bf16": Recipe("bf16", None, dtype="bfloat16"),
}
"""The recipes that have names."""


def load(name: str) -> Recipe:
    """A recipe by its name, or from a file. Raises RgmlxError: there is none, or it is not understood."""
    if name in RECIPES:
        return RECIPES[name]
    path = expanded(name)
    if path.suffix not in (".toml", ".json"):
        raise RgmlxError(f"there is no recipe '{name}': use {', '.join(RECIPES)}, or a .toml or .json file of patterns")
    try:
        text = read_text(path, MAX_SETTINGS)
        data = tomllib.loads(text) if path.suffix == ".toml" else parse_json(text)
    except OSError as e:
        raise RgmlxError(f"the recipe {path} can't be read: {e.strerror or e}") from None
    except (ValueError, RecursionError) as e:
        raise RgmlxError(f"the recipe {path} is not valid {path.suffix[1:].upper()} ({e})") from None
    if not isinstance(data, dict):
        raise RgmlxError(f"the recipe {path} must hold 'default' and 'patterns'")
    left = dict(data)
    default, patterns = left.pop("default", 4), left.pop("patterns", {})
    if left:
        raise RgmlxError(
            f"the recipe {path} has an unknown field '{next(iter(left))}': it holds 'default' and 'patterns'"
        )
    if not data.get("patterns") and "default" not in data:
        raise RgmlxError(f"the recipe {path} says nothing: it holds 'default', 'patterns' or both")
    if not isinstance(patterns, Mapping):
        raise RgmlxError(f"the recipe {path}: patterns must be a table of patterns and bits")

    def parse(where: str, value: Any) -> Settings | None:
        if value == "keep":
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            value = {"bits": value}
        if not isinstance(value, Mapping) or set(value) - {"bits", "group_size", "mode"}:
            raise RgmlxError(f'the recipe {path}: {where} must be bits, "keep", or {{bits, group_size, mode}}')
        try:
            return settings(**value)
        except (RgmlxError, TypeError) as e:
            raise RgmlxError(f"the recipe {path}: {where}: {e}") from None

    return Recipe(
        path.stem, parse("default", default), tuple((p, parse(f"'{p}'", v)) for p, v in patterns.items()), own=True
    )
