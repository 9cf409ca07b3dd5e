"""The clipboard of a Mac, which `pbcopy` writes and `pbpaste` reads. Knows the commands and what they ask of the environment."""

from __future__ import annotations

from collections.abc import Mapping

WRITE = "pbcopy"
READ = "pbpaste"


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which both take text for UTF-8, as they go by the locale; LC_ALL would come before."""
    return {**{name: value for name, value in environ.items() if name != "LC_ALL"}, "LC_CTYPE": "UTF-8"}
