"""The `rgmlx` command. One file a subcommand; each has `add(subparsers)` and `run(arguments)`.

Output goes to stdout, everything else to stderr. An error is one sentence and exit code 1, output that can't be written
too; a wrong command line is argparse's usage message and exit code 2 (of a number that is none, a sentence); Ctrl-C is
exit code 130.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..system import device
from . import ask, compare, completion, convert, desktop, doctor, get, info, login, mlx_lm, read, sessions, signals
from .common import EXIT_CODES, Parser, begin_log, epilog, guarded, parsed


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    root = Parser(
        prog="rgmlx",
        description="RecurrentGemma on your own machine: a memory of fixed size, conversations without an end.",
        epilog=epilog('rgmlx ask "Tell me a story about a fox"', "rgchat            (a chat in the terminal)")
        + f"\n\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    root.add_argument("--version", action="version", version=f"rgmlx {__version__}")
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (ask, read, sessions, get, info, convert, compare, desktop, doctor, login, mlx_lm):
        module.add(commands)
    completion.add(commands, parser)
    return root


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; exits with its code."""
    options = parsed(parser(), arguments)
    begin_log("rgmlx")
    try:
        code = guarded("rgmlx", lambda: options.run(options))
    except signals.Stopped as e:
        code = e.code
    if device.is_missing():  # MLX's own function for the end of the program would raise the error once more
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
