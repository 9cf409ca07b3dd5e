"""How the next token is chosen: mlx-lm's filters and penalties, and a key for every position.

The random key of a token is a function of (seed, position). A run is therefore repeatable, goes on
after a restart as if it had never stopped, and does not disturb anyone else's random numbers.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx

from ..errors import ConfigError, RgmlxError
from ..kernels.elementwise import suited
from ..settings import DRAWING, OF_MODELS, Sampling
from ..system.reading import present, read_json

LogitsProcessor = Callable[[mx.array, mx.array], mx.array]

# Beyond these a setting has no further effect, and float32 has no numbers for what comes of it.
_COLD, _HOT = 1e-6, 1e6
_LEAST_PENALTY, _MOST_PENALTY = 1e-6, 1e6
_LEAST_TOP_P = 0.01


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


def processors(settings: Sampling) -> list[LogitsProcessor]:
    """mlx-lm's logits processors for the penalties that are on."""
    window, repetition = settings.penalty_window, settings.repetition_penalty
    return mlx_lm_samplers().make_logits_processors(
        repetition_penalty=None if repetition in (0, 1) else min(max(repetition, _LEAST_PENALTY), _MOST_PENALTY),
        repetition_context_size=window,
        presence_penalty=settings.presence_penalty or None,
        presence_context_size=window,
        frequency_penalty=settings.frequency_penalty or None,
        frequency_context_size=window,
    )


class Sampler:
    """Chooses one token a row, lazily. Holds a fixed window of recent tokens when a penalty needs it."""

    def __init__(self, settings: Sampling, recent: Sequence[Sequence[int]]) -> None:
        """`recent`: each row's last ids, oldest first (a state has them)."""
        self.settings = settings
        self._seeds = [settings.seeded().seed for _ in recent]  # without a seed, one for each row: as if it were alone
        self._utils = mlx_lm_samplers()
        self._processors = processors(settings)
        size = settings.penalty_window
        self._recent = [mx.array(list(r)[-size:], mx.int32) for r in recent]

    def __call__(self, logits: mx.array, positions: Sequence[int], allowed: mx.array | None = None) -> mx.array:
        """logits float32 [B, V], each row's position -> ids int32 [B]; nothing is evaluated.

        Args:
            allowed: bool [B, V], with an id at least in each row; None for all.
        """
        tokens = self._draw(logits, self._seeds, positions, self._recent, allowed)
        if self._processors:
            self._recent = [_last(r, tokens[i : i + 1], self.settings) for i, r in enumerate(self._recent)]
        return tokens

    def behind(self, logits: mx.array, position: int, foreseen: Sequence[int]) -> mx.array:
        """What would be drawn behind each token of a chunk, if it came: ids int32 [T]; of a single row.

        Args:
            logits: float32 [T, V], behind the token drawn last and behind each of `foreseen`.
            position: of the first.
        """
        count, (recent,) = len(logits), self._recent
        recents = [recent]
        if self._processors:
            recents = [_last(recent, mx.array(list(foreseen[:i]), mx.int32), self.settings) for i in range(count)]
        return self._draw(logits, self._seeds * count, range(position, position + count), recents, None)

    def drawn(self, tokens: mx.array) -> None:
        """Of a single row: these were drawn, too, after all before [N]."""
        if self._processors:
            self._recent = [_last(self._recent[0], tokens, self.settings)]

    def _draw(
        self,
        logits: mx.array,
        seeds: Sequence[int | None],
        positions: Sequence[int],
        recents: Sequence[mx.array],
        allowed: mx.array | None,
    ) -> mx.array:
        s = self.settings
        if allowed is not None:
            # Before top_p, min_p and top_k, which are shares and numbers of what can be drawn: behind them nothing may be
            # left. Before the penalties as well, which change each logit by itself: there the order makes no difference.
            logits = mx.where(allowed, logits, mx.array(-mx.inf, logits.dtype))
        if self._processors:
            rows = []
            for row, recent in enumerate(recents):
                one = logits[row : row + 1]
                for process in self._processors:
                    one = process(recent, one)
                rows.append(one)
            logits = mx.concatenate(rows)
        if s.temperature < _COLD:
            tokens = mx.argmax(logits, axis=-1)
        else:
            logits = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
            if 0 < s.top_p < 1:
                logits = _top_p(self._utils, logits, s.top_p)
            if s.min_p:
                logits = suited(self._utils.apply_min_p)(logits, s.min_p)
            if 0 < s.top_k < logits.shape[-1]:
                logits = suited(self._utils.apply_top_k)(logits, s.top_k)
            logits = logits / min(s.temperature, _HOT)
            # A key a row: a row of a batch draws what it would draw alone.
            tokens = mx.concatenate(
                [
                    mx.random.categorical(logits[row : row + 1], key=_key(seed, position))
                    for row, (seed, position) in enumerate(zip(seeds, positions, strict=True))
                ]
            )
        return tokens.astype(mx.int32)

    def keep(self, rows: Sequence[int]) -> None:
        """Drops all rows of the batch but the given ones."""
        self._recent = [self._recent[i] for i in rows]
        self._seeds = [self._seeds[i] for i in rows]


def _last(recent: mx.array, tokens: mx.array, settings: Sampling) -> mx.array:
    """The ids that a penalty looks at, these included."""
    return mx.concatenate([recent, tokens])[-settings.penalty_window :]


def _top_p(utils: ModuleType, logits: mx.array, top_p: float) -> mx.array:
    """mlx-lm's filter of normalized logits, and the likeliest token alone where that is all of a share near 0.

    There mlx-lm compares rounded sums with `1 - top_p`, and keeps none or too many.
    """
    left = suited(utils.apply_top_p)(logits, top_p)
    if top_p < _LEAST_TOP_P:
        most = logits.max(axis=-1, keepdims=True)
        left = mx.where(most >= math.log(top_p), mx.where(logits == most, logits, -mx.inf), left)
    return left


def make_sampling(options: Mapping[str, Any], base: Sampling | None = None) -> Sampling:
    """`base` with the given settings changed. Raises RgmlxError for one that does not exist."""
    if unknown := sorted(set(options) - set(DRAWING)):
        raise RgmlxError(f"there is no sampling setting '{unknown[0]}': there are {', '.join(DRAWING)}")
    return replace(base or Sampling(), **options)


def recommended(directory: Path) -> tuple[Sampling, frozenset[int]]:
    """What a model's `generation_config.json` recommends: sampling settings, and ids that end a reply.

    Raises:
        ConfigError: the file is damaged or holds a setting out of range.
    """
    path = directory / "generation_config.json"
    if not present(path):
        return Sampling(), frozenset()
    try:
        data = read_json(path)
        eos = data.get("eos_token_id")
        stop = eos if isinstance(eos, list) else [] if eos is None else [eos]
        if bad := [i for i in stop if type(i) is not int]:
            raise RgmlxError(f"eos_token_id must be a token id, a whole number, not {bad[0]!r:.40}")
        found = {name: data[name] for name in OF_MODELS if data.get(name) is not None}
        return make_sampling(found), frozenset(stop)
    except RgmlxError as e:
        raise ConfigError(f"{path}: {e}") from None
    except OSError as e:
        raise ConfigError(f"{path} can't be read: {e.strerror or e}") from None
    except (ValueError, TypeError, AttributeError):
        raise ConfigError(f"{path} is damaged: download the model again, or delete this file") from None


def _key(seed: int | None, position: int) -> mx.array:
    digest = hashlib.blake2b(f"{seed} {position}".encode(), digest_size=8).digest()
    return mx.random.key(int.from_bytes(digest, "little"))
