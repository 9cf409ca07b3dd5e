"""The `rgmlx` command. One file a subcommand; each has `add(subparsers)` and `run(arguments)`.

Output goes to stdout, everything else to stderr. An error is one sentence and exit code 1; a wrong
command line is argparse's usage message and exit code 2; Ctrl-C is exit code 130.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from . import ask, compare, convert, doctor, info, mlx_lm
from .common import epilog, guarded


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = argparse.ArgumentParser(
        prog="rgmlx",
        description="RecurrentGemma on your own machine: a memory of fixed size, conversations without an end.",
        epilog=epilog('rgmlx ask "Tell me a story about a fox"', "rgchat            (a chat in the terminal)"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"rgmlx {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (ask, info, convert, compare, doctor, mlx_lm):
        module.add(commands)
    return root


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; exits with its code."""
    options = parser().parse_args(arguments)
    sys.exit(guarded("rgmlx", lambda: options.run(options)))
