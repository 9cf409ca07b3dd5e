"""What the commands share: how help looks, and the options of every command that runs a model."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any

from ..errors import RgmlxError
from ..text import first_line, printable

_SETTINGS: dict[str, tuple[type, str]] = {
    "temperature": (
        float,
        "0 always takes the likeliest word; higher is more varied (default: the model's own, or 0.7)",
    ),
    "top_p": (float, "sample from the likeliest words that make up this share (default: the model's own, or 0.9)"),
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
    _prepare_streams()
    try:
        action()
        sys.stdout.flush()
        return 0
    except RgmlxError as e:
        # A message may quote a file that came from anywhere, such as the name of a tensor.
        print(f"{program}: {printable(' '.join(str(e).splitlines()))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        _discard_output()  # the reader went away (`| head`)
        return 141
    except OSError as e:  # a full disk under `> file`, or one of mlx-lm's; ours are RgmlxErrors
        _discard_output()
        output = e.errno is not None and e.filename is None
        text = f"the output can't be written: {e.strerror}" if output else first_line(e)
        print(f"{program}: {printable(text)}", file=sys.stderr)
        return 1


def _prepare_streams() -> None:
    """Opens the standard streams that are closed, and lets no character stop the output.

    A closed stream's number would go to the next file that is opened, such as the weights.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w"))
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that can't show a character gets a "?"
        sys.stdout.reconfigure(errors="replace")


def _discard_output() -> None:
    """Sends what is still buffered nowhere; Python would complain again when it flushes at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
