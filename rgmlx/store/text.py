"""Text that a database can hold. Knows nothing else."""

from __future__ import annotations


def clean(text: str) -> str:
    """The text with lone surrogates (bytes a terminal could not decode) replaced; all else as it is."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
