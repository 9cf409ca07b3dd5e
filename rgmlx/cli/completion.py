"""`rgmlx completion`: a script that has a shell complete this command line."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import Any

from .common import add_command
from .completions.table import described

_SHELLS = ("bash", "fish", "zsh")
_ABOUT = """Prints a script with which a shell completes commands, options, files and the names of conversations. Once, for
the shell that you use:

  zsh   rgmlx completion zsh > "${fpath[1]}/_rgmlx"       or in ~/.zshrc, after compinit:  eval "$(rgmlx completion zsh)"
  bash  in ~/.bashrc or ~/.bash_profile:  eval "$(rgmlx completion bash)"
  fish  rgmlx completion fish > ~/.config/fish/completions/rgmlx.fish"""


def add(commands: Any, whole: Callable[[], argparse.ArgumentParser]) -> None:
    """Adds the subcommand. `whole` makes the parser that is completed."""
    p = add_command(
        commands,
        "completion",
        "print a completion script for zsh, bash or fish",
        _ABOUT,
        ('eval "$(rgmlx completion zsh)"',),
    )
    p.add_argument("shell", metavar="SHELL", choices=_SHELLS, help=", ".join(_SHELLS))
    p.set_defaults(run=lambda options: run(options.shell, whole()))


def run(shell: str, parser: argparse.ArgumentParser) -> None:
    """Prints the script."""
    writer = importlib.import_module(f".completions.{shell}", __package__)
    print(writer.script(described(parser)), end="")
