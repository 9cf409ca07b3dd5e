"""The clipboard of a Mac, which `pbcopy` writes. Knows the command and what it asks of the environment."""

from __future__ import annotations

from collections.abc import Mapping

COMMAND = "pbcopy"


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment in which `pbcopy` takes its input for UTF-8, as it goes by the locale; LC_ALL would come before."""
    return {**{name: value for name, value in environ.items() if name != "LC_ALL"}, "LC_CTYPE": "UTF-8"}
