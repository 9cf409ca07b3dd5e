"""What the commands share: how help looks, and the options of every command that runs a model."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

from ..errors import RgmlxError

_SETTINGS: dict[str, tuple[type, str]] = {
    "temperature": (float, "0 always takes the likeliest word; higher is more varied (default 0.7)"),
    "top_p": (float, "sample from the likeliest words that make up this share (default 0.9)"),
    "min_p": (float, "leave out words less likely than this share of the likeliest (default 0: off)"),
    "repetition_penalty": (float, "above 1 discourages repeating recent words (default: off)"),
    "seed": (int, "the same seed gives the same answer (default: a new one each time)"),
}


def epilog(*examples: str) -> str:
    """Examples for the end of a help text, a line each."""
    return "\n  ".join(["examples:" if len(examples) > 1 else "example:", *examples])


def add_command(
    commands: Any, name: str, summary: str, description: str, examples: tuple[str, ...]
) -> argparse.ArgumentParser:
    """Adds a subcommand whose help keeps the lines of its examples."""
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog(*examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_model(p: argparse.ArgumentParser) -> None:
    """The option that names a model."""
    p.add_argument(
        "--model",
        default="demo",
        metavar="NAME",
        help="a directory, a Hugging Face repository such as google/recurrentgemma-2b-it, or demo (the default)",
    )


def add_settings(p: argparse.ArgumentParser) -> None:
    """The sampling options."""
    for name, (kind, text) in _SETTINGS.items():
        p.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="X" if kind is float else "N", help=text)


def settings(options: argparse.Namespace) -> dict[str, Any]:
    """The sampling options that were given."""
    return {name: getattr(options, name) for name in _SETTINGS if getattr(options, name) is not None}


def guarded(program: str, action: Callable[[], object]) -> int:
    """Runs an action; an error becomes one sentence on stderr. Returns the exit code."""
    try:
        action()
        sys.stdout.flush()
        return 0
    except RgmlxError as e:
        print(f"{program}: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader went away (`| head`); Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
