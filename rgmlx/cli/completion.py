"""`rgmlx completion`: a script that has a shell complete this command line."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import Any

from .common import add_command
from .completions.table import described

SHELLS = ("bash", "fish", "zsh")


def add(commands: Any, whole: Callable[[], argparse.ArgumentParser]) -> None:
    """Adds the subcommand. `whole` makes the parser that is completed."""
    p = add_command(
        commands,
        "completion",
        "print a completion script for zsh, bash or fish",
        "Prints a script with which a shell completes commands, options, files and the names of conversations.",
        (
            'rgmlx completion zsh > "${fpath[1]}/_rgmlx"',
            'eval "$(rgmlx completion zsh)"    (in ~/.zshrc, after compinit)',
            'eval "$(rgmlx completion bash)"   (in ~/.bashrc; on a Mac in ~/.bash_profile)',
            "rgmlx completion fish > ~/.config/fish/completions/rgmlx.fish",
        ),
    )
    p.add_argument("shell", metavar="SHELL", choices=SHELLS, help=", ".join(SHELLS))
    p.set_defaults(run=lambda options: run(options.shell, whole()))


def run(shell: str, parser: argparse.ArgumentParser) -> None:
    """Prints the script for one of `SHELLS`."""
    writer = importlib.import_module(f".completions.{shell}", __package__)
    print(writer.script(described(parser)), end="")
