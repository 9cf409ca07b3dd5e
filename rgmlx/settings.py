"""The settings of a reply, each declared once: `Sampling`, the command line, the chat's form and its file derive from
this table.

Knows names, kinds, ranges and what is said of them; no MLX, which takes longer to import than a help text to print.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

from .errors import RgmlxError

RECENT = 256
"""Of the last so many tokens a state knows the ids: as many as a penalty can look at."""
_MOST = math.nextafter(math.inf, 0)  # what is "0 or more" is finite
_MOST_WHOLE = 2**63 - 1  # as much as TOML and SQLite hold
_MOST_PENALTY = 100  # logits are within 30: more has no further effect, and may leave float32


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        kind: int or float.
        low, high: the range, ends included.
        wanted: what a good value is, to stand after "must be".
        about: what it does, in one line.
        default: what holds where neither the user nor the model says anything; None where nothing does.
        unset: what None means, in words.
        sample: a value to begin with, for a file.
        offered: whether the command line and the chat have it; else it is for programs.
        draws: whether it says how a token is drawn (a field of `Sampling`), and not how long the reply is.
    """

    kind: type[int] | type[float]
    low: float
    high: float
    wanted: str
    about: str
    default: float | None = None
    unset: str = ""
    sample: float = 0
    offered: bool = True
    draws: bool = True

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


SETTINGS: Mapping[str, Setting] = {
    "temperature": Setting(
        float,
        0,
        _MOST,
        "a finite number, 0 or more",
        "How varied replies are: 0 always takes the likeliest word, 1 is lively.",
        default=0.7,
        sample=0.7,
    ),
    "top_p": Setting(
        float,
        0,
        1,
        "a number between 0 and 1",
        "Draws from the likeliest words only that make up this share; 0 and 1: all.",
        default=0.9,
        sample=0.9,
    ),
    "min_p": Setting(
        float,
        0,
        1,
        "a number between 0 and 1",
        "Leaves out words less likely than this share of the likeliest; 0: none.",
        default=0.0,
        sample=0.05,
    ),
    "top_k": Setting(
        int,
        0,
        2**31 - 1,
        f"a whole number between 0 and {2**31 - 1:,}",
        "Draws from so many of the likeliest words only; 0: all.",
        default=0,
        sample=64,
        offered=False,
    ),
    "repetition_penalty": Setting(
        float,
        0,
        _MOST,
        "a finite number, 0 or more",
        "Above 1, words that were just used become less likely; 0 and 1: off.",
        default=0.0,
        sample=1.1,
    ),
    "presence_penalty": Setting(
        float,
        -_MOST_PENALTY,
        _MOST_PENALTY,
        f"a number between -{_MOST_PENALTY} and {_MOST_PENALTY}",
        "Is subtracted from the logits of words that were just used; 0: off.",
        default=0.0,
        sample=0.5,
        offered=False,
    ),
    "frequency_penalty": Setting(
        float,
        -_MOST_PENALTY,
        _MOST_PENALTY,
        f"a number between -{_MOST_PENALTY} and {_MOST_PENALTY}",
        "Is subtracted from the logits of words as often as they were just used; 0: off.",
        default=0.0,
        sample=0.5,
        offered=False,
    ),
    "penalty_window": Setting(
        int,
        1,
        RECENT,
        f"a whole number between 1 and {RECENT}",
        "So many of the last tokens count as just used.",
        default=64,
        sample=64,
        offered=False,
    ),
    "seed": Setting(
        int,
        0,
        _MOST_WHOLE,
        f"a whole number between 0 and {_MOST_WHOLE:,}",
        "The same number gives the same replies again.",
        unset="another each time",
        sample=1,
    ),
    "max_tokens": Setting(
        int,
        1,
        _MOST_WHOLE,
        f"a whole number between 1 and {_MOST_WHOLE:,}",
        "A reply stops after so many tokens.",
        unset="no limit",
        sample=500,
        draws=False,
    ),
}
OFFERED: Mapping[str, Setting] = {name: setting for name, setting in SETTINGS.items() if setting.offered}
DRAWING: Mapping[str, Setting] = {name: setting for name, setting in SETTINGS.items() if setting.draws}


_BUDGET = replace(SETTINGS["max_tokens"], low=0, wanted=f"a whole number between 0 and {_MOST_WHOLE:,}")


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
