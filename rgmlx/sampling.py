"""How the next token is chosen: mlx-lm's filters and penalties, and a key for every position.

The random key of a token is a function of (seed, position). A run is therefore repeatable, goes on
after a restart as if it had never stopped, and does not disturb anyone else's random numbers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx

from .errors import ConfigError, RgmlxError
from .state import RECENT

LogitsProcessor = Callable[[mx.array, mx.array], mx.array]


@lru_cache(maxsize=1)
def mlx_lm_samplers() -> ModuleType:
    """`mlx_lm.sample_utils`, without importing the mlx_lm package around it.

    `import mlx_lm` imports transformers and its tokenizers: most of a second before the first
    token, for a module that needs nothing but MLX.
    """
    package = importlib.util.find_spec("mlx_lm")
    assert package is not None and package.submodule_search_locations
    spec = importlib.util.spec_from_file_location(
        "rgmlx._mlx_lm_sample_utils", f"{package.submodule_search_locations[0]}/sample_utils.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Sampling:
    """Sampling settings, with the names and meanings of mlx-lm.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_p, min_p, top_k: filters; 0 (top_p: 0 or 1) switches one off.
        repetition_penalty: divides the logits of recent tokens; 0 or 1 switches it off.
        presence_penalty, frequency_penalty: are subtracted from the logits of recent tokens.
        penalty_window: how many recent tokens count, prompt included; at most 256.
        seed: None draws one.
    """

    temperature: float = 0.7
    top_p: float = 0.9
    min_p: float = 0.0
    top_k: int = 0
    repetition_penalty: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_window: int = 64
    seed: int | None = None

    def __post_init__(self) -> None:
        def check(name: str, ok: bool, want: str) -> None:
            if not ok:
                raise RgmlxError(f"{name} must be {want}, not {getattr(self, name)}")

        check("temperature", 0 <= self.temperature < float("inf"), "0 or more")
        check("top_p", 0 <= self.top_p <= 1, "between 0 and 1")
        check("min_p", 0 <= self.min_p <= 1, "between 0 and 1")
        check("top_k", self.top_k >= 0, "0 or more")
        check("repetition_penalty", 0 <= self.repetition_penalty < float("inf"), "0 or more")
        check("penalty_window", 1 <= self.penalty_window <= RECENT, f"between 1 and {RECENT}")

    def seeded(self) -> Sampling:
        """The same settings with a seed drawn if there was none."""
        return self if self.seed is not None else replace(self, seed=secrets.randbits(63))

    def processors(self) -> list[LogitsProcessor]:
        """mlx-lm's logits processors for the penalties that are on."""
        window = self.penalty_window
        return mlx_lm_samplers().make_logits_processors(
            repetition_penalty=None if self.repetition_penalty in (0, 1) else self.repetition_penalty,
            repetition_context_size=window,
            presence_penalty=self.presence_penalty or None,
            presence_context_size=window,
            frequency_penalty=self.frequency_penalty or None,
            frequency_context_size=window,
        )


class Sampler:
    """Chooses one token a row, lazily. Holds a fixed window of recent tokens when a penalty needs it."""

    def __init__(self, settings: Sampling, recent: Sequence[Sequence[int]]) -> None:
        """`recent`: each row's last ids, oldest first (a state has them)."""
        self.settings = settings.seeded()
        self._utils = mlx_lm_samplers()
        self._processors = settings.processors()
        size = settings.penalty_window
        self._recent = [mx.array(list(r)[-size:], mx.int32) for r in recent]

    def __call__(self, logits: mx.array, positions: Sequence[int]) -> mx.array:
        """logits float32 [B, V], each row's position -> ids int32 [B]; nothing is evaluated."""
        s = self.settings
        if self._processors:
            rows = []
            for row, recent in enumerate(self._recent):
                one = logits[row : row + 1]
                for process in self._processors:
                    one = process(recent, one)
                rows.append(one)
            logits = mx.concatenate(rows)
        if s.temperature == 0:
            tokens = mx.argmax(logits, axis=-1)
        else:
            logits = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
            if 0 < s.top_p < 1:
                logits = self._utils.apply_top_p(logits, s.top_p)
            if s.min_p:
                logits = self._utils.apply_min_p(logits, s.min_p)
            if 0 < s.top_k < logits.shape[-1]:
                logits = self._utils.apply_top_k(logits, s.top_k)
            logits = logits / s.temperature
            # A key a row: a row of a batch draws what it would draw alone.
            tokens = mx.concatenate(
                [
                    mx.random.categorical(logits[row : row + 1], key=_key(s.seed, position))
                    for row, position in enumerate(positions)
                ]
            )
        tokens = tokens.astype(mx.int32)
        if self._processors:
            size = s.penalty_window
            self._recent = [mx.concatenate([r, tokens[i : i + 1]])[-size:] for i, r in enumerate(self._recent)]
        return tokens

    def keep(self, rows: Sequence[int]) -> None:
        """Drops all rows of the batch but the given ones."""
        self._recent = [self._recent[i] for i in rows]


def make_sampling(options: Mapping[str, Any], base: Sampling | None = None) -> Sampling:
    """`base` with the given settings changed. Raises RgmlxError for one that does not exist."""
    known = Sampling.__dataclass_fields__
    if unknown := sorted(set(options) - set(known)):
        raise RgmlxError(f"there is no sampling setting '{unknown[0]}': there are {', '.join(known)}")
    try:
        return replace(base or Sampling(), **options)
    except TypeError:
        raise RgmlxError(f"sampling settings are numbers: {dict(options)}") from None


def recommended(directory: Path) -> tuple[Sampling, frozenset[int]]:
    """What a model's `generation_config.json` recommends: sampling settings, and ids that end a reply.

    Raises:
        ConfigError: the file is damaged or holds a setting out of range.
    """
    path = directory / "generation_config.json"
    if not path.is_file():
        return Sampling(), frozenset()
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        names = ("temperature", "top_p", "min_p", "top_k", "repetition_penalty")
        eos = data.get("eos_token_id")
        stop = eos if isinstance(eos, list) else [] if eos is None else [eos]
        return make_sampling({n: data[n] for n in names if data.get(n) is not None}), frozenset(map(int, stop))
    except RgmlxError as e:
        raise ConfigError(f"{path}: {e}") from None
    except (OSError, ValueError, TypeError, AttributeError):
        raise ConfigError(f"{path} is damaged: download the model again, or delete this file") from None


def _key(seed: int | None, position: int) -> mx.array:
    digest = hashlib.blake2b(f"{seed} {position}".encode(), digest_size=8).digest()
    return mx.random.key(int.from_bytes(digest, "little"))
