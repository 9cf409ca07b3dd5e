"""Times as the store keeps them: seconds since 1970, and 0 for one that is not known."""

from __future__ import annotations

import time
from typing import Any

_LATEST = 253_402_214_400.0  # a day before the year 10000, whatever the time zone


def known(value: Any) -> bool:
    """Whether this is a time. Milliseconds and nanoseconds since 1970 are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LATEST


def shown(value: Any, form: str = "%Y-%m-%d %H:%M") -> str:
    """A time here and now, or that it is not known."""
    return time.strftime(form, time.localtime(value)) if known(value) else "at an unknown time"
