"""The settings of a reply, each declared once: the command line, the chat's form, `/set` and the file derive from here.

Knows names, kinds, ranges and what is said of them; no MLX, which takes longer to import than a help text to print.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any

from .errors import RgmlxError

RECENT = 256
"""Of the last so many tokens a state knows the ids: as many as a penalty can look at."""
LOOKUP, OFF = DRAFTS = ("lookup", "off")
"""What foretells tokens that are then read several at once: the text before them, or nothing (`generation.speculation`)."""
_MOST = math.nextafter(math.inf, 0)  # what is "0 or more" is finite
_MOST_WHOLE = 2**63 - 1  # as much as TOML and SQLite hold
_MOST_PENALTY = 100  # logits are within 30: more has no further effect, and may leave float32


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        kind: int or float.
        low, high: the range, ends included.
        about: what it does, in one line.
        unit: what is counted, in words.
        default: what holds where neither the user nor the model says anything; None where nothing does.
        unset: what None means, in words.
        sample: a value to begin with, for a file.
        offered: whether the command line and the chat have it; else it is for programs.
        of_models: whether a model's `generation_config.json` may recommend a value, under the same name.
    """

    kind: type[int] | type[float]
    low: float
    high: float
    about: str
    unit: str = ""
    default: float | None = None
    unset: str = ""
    sample: float = 0
    offered: bool = True
    of_models: bool = False

    @property
    def wanted(self) -> str:
        """What a good value is, to stand after "must be"."""
        if self.high == _MOST:
            return f"a finite number, {self.low:,} or more"
        number = "whole number" if self.kind is int else "number"
        return f"a {number}{self.unit and f' of {self.unit}'} between {self.low:,} and {self.high:,}"

    @property
    def otherwise(self) -> str:
        """What holds where nothing is said, in words."""
        return self.unset or f"the model's own, or {self.default:g}"

    def convert(self, value: Any) -> Any:
        """The value as a number of this kind. Raises ValueError: it is none, or out of range."""
        wanted = Integral if self.kind is int else Real
        if isinstance(value, bool) or not isinstance(value, wanted):
            raise ValueError
        try:
            number = self.kind(value)  # type: ignore[call-overload]
        except OverflowError:
            raise ValueError from None
        if not self.low <= number <= self.high:
            raise ValueError
        return number


def _declared(setting: Setting) -> Any:
    """A field of a dataclass with the setting's default; `fields` finds the setting in its metadata."""
    return field(default=setting.default, metadata={"setting": setting})


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn, with the names and meanings of mlx-lm. What each field does is said where it is declared.

    Raises:
        RgmlxError: a value is no number, or out of range.
    """

    temperature: float = _declared(
        Setting(
            float,
            0,
            _MOST,
            "How varied replies are: 0 always takes the likeliest word, 1 is lively.",
            default=0.7,
            sample=0.7,
            of_models=True,
        )
    )
    top_p: float = _declared(
        Setting(
            float,
            0,
            1,
            "Draws from the likeliest words only that make up this share; 0 and 1: all.",
            default=0.9,
            sample=0.9,
            of_models=True,
        )
    )
    min_p: float = _declared(
        Setting(
            float,
            0,
            1,
            "Leaves out words less likely than this share of the likeliest; 0: none.",
            default=0.0,
            sample=0.05,
            of_models=True,
        )
    )
    top_k: int = _declared(
        Setting(
            int,
            0,
            2**31 - 1,
            "Draws from so many of the likeliest words only; 0: all.",
            default=0,
            sample=64,
            offered=False,
            of_models=True,
        )
    )
    repetition_penalty: float = _declared(
        Setting(
            float,
            0,
            _MOST,
            "Above 1, words that were just used become less likely; 0 and 1: off.",
            default=0.0,
            sample=1.1,
            of_models=True,
        )
    )
    presence_penalty: float = _declared(
        Setting(
            float,
            -_MOST_PENALTY,
            _MOST_PENALTY,
            "Is subtracted from the logits of words that were just used; 0: off.",
            default=0.0,
            sample=0.5,
            offered=False,
        )
    )
    frequency_penalty: float = _declared(
        Setting(
            float,
            -_MOST_PENALTY,
            _MOST_PENALTY,
            "Is subtracted from the logits of words as often as they were just used; 0: off.",
            default=0.0,
            sample=0.5,
            offered=False,
        )
    )
    penalty_window: int = _declared(
        Setting(int, 1, RECENT, "So many of the last tokens count as just used.", default=64, sample=64, offered=False)
    )
    seed: int | None = _declared(
        Setting(
            int, 0, _MOST_WHOLE, "The same number gives the same replies again.", unset="another each time", sample=1
        )
    )

    def __post_init__(self) -> None:
        for name, setting in DRAWING.items():
            value = getattr(self, name)
            if value is not None or setting.default is not None:
                object.__setattr__(self, name, checked(name, value))

    def seeded(self) -> Sampling:
        """The same settings with a seed drawn if there was none."""
        return self if self.seed is not None else replace(self, seed=secrets.randbits(63))


DRAWING: Mapping[str, Setting] = {one.name: one.metadata["setting"] for one in fields(Sampling)}
"""How a token is drawn: the fields of `Sampling`."""
SETTINGS: Mapping[str, Setting] = {
    **DRAWING,
    "max_tokens": Setting(int, 1, _MOST_WHOLE, "A reply stops after so many tokens.", unset="no limit", sample=500),
}
OFFERED: Mapping[str, Setting] = {name: setting for name, setting in SETTINGS.items() if setting.offered}
OF_MODELS: Mapping[str, Setting] = {name: setting for name, setting in SETTINGS.items() if setting.of_models}
_BUDGET = replace(SETTINGS["max_tokens"], low=0)


def checked(name: str, value: Any) -> Any:
    """The value of a setting as a number of its kind. Raises RgmlxError with what it must be."""
    return _checked(name, SETTINGS[name], value)


def checked_budget(max_tokens: Any) -> int | None:
    """How many tokens a run may have: None for no limit, and for a program also 0. Raises RgmlxError."""
    return None if max_tokens is None else _checked("max_tokens", _BUDGET, max_tokens)


def _checked(name: str, setting: Setting, value: Any) -> Any:
    try:
        return setting.convert(value)
    except ValueError:
        shown = _shown(value)
        raise RgmlxError(f"{name} must be {setting.wanted}, not {shown}", quotes=(shown,)) from None


def _shown(value: Any) -> str:
    try:
        text = str(value)
    except ValueError:  # Python does not write whole numbers of more than 4,300 digits
        text = "one of thousands of digits"
    return text if len(text) <= 40 else f"{text[:39]}…"
