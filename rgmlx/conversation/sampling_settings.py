"""How a conversation's replies are sampled: its settings over the model's, and a seed for every reply.

A reply's random numbers are a function of its conversation and its number, so that one which broke off goes on as it
would have. Knows settings by their names; no store and no widgets.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..settings import DRAWING, OFFERED, Sampling, checked
from ..store import Message

_DRAW = "draw"  # the number that seeds come from where none is chosen, among the conversation's settings


def new(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a new conversation."""
    return {**defaults, _DRAW: secrets.randbits(53)}


def sampling(settings: Mapping[str, Any], base: Sampling | None) -> Sampling:
    """The model's settings (`base`) with a conversation's in their place. Raises RgmlxError: one is out of range."""
    from ..generation.sampling import make_sampling

    return make_sampling({key: value for key, value in _said(settings).items() if key in DRAWING}, base)


def max_tokens(settings: Mapping[str, Any]) -> int | None:
    """After how many tokens a reply stops; None for no limit. Raises RgmlxError: it is out of range."""
    value = settings.get("max_tokens")
    return None if value is None else checked("max_tokens", value)


def own(base: Sampling | None) -> dict[str, Any]:
    """What holds where a conversation says nothing: the model's settings, and None where there is nothing to hold."""
    return {name: getattr(base, name, setting.default) for name, setting in OFFERED.items()}


def _said(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: settings[name] for name in OFFERED if settings.get(name) is not None}


def seeded(sampling: Sampling, settings: Mapping[str, Any], reply: Message) -> Sampling:
    """The same with the seed of one reply."""
    if sampling.seed is None:
        return replace(sampling, seed=_derived(settings.get(_DRAW, 0), reply.id))
    if reply.number == 1:
        return sampling
    # Another reply to the same message should not be the same one.
    return replace(sampling, seed=_derived(sampling.seed, reply.number))


def _derived(seed: Any, number: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed} {number}".encode(), digest_size=7).digest(), "little")
