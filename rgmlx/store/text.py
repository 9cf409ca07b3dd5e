"""Text that a database can hold, and values that come out of one that was damaged. Knows nothing else."""

from __future__ import annotations

import math
from typing import Any


def clean(text: str) -> str:
    """The text with lone surrogates (bytes a terminal could not decode) replaced; all else as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def decoded(data: bytes) -> str:
    """Stored text; bytes that are not UTF-8 are replaced by U+FFFD."""
    return data.decode("utf-8", "replace")


def as_text(value: Any) -> str:
    """A column that should be text, whatever one flipped bit has made of its type."""
    if isinstance(value, str):
        return value
    return decoded(value) if isinstance(value, bytes) else "" if value is None else str(value)


def as_number(value: Any) -> float:
    """A column that should be a finite number; 0.0 for anything else."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0
