"""`rgmlx info`: the core parameters of a model, from shapes and file headers alone."""

from __future__ import annotations

import argparse
from typing import Any

from .common import add_command


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "info",
        "show a model's parameters, shapes and sizes",
        "Shows a model's parameters, shapes and sizes. No weights are read.",
        ("rgmlx info", "rgmlx info 2b --layers", "rgmlx info google/recurrentgemma-2b-it"),
    )
    p.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        default="demo",
        help="a directory, a Hugging Face repository, demo (the default), or the shapes 2b and 9b",
    )
    p.add_argument("--layers", action="store_true", help="list every module with its shapes too")
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints the table, and the module tree."""
    from rich.console import Console
    from rich.markup import escape

    from ..diagnosis.info import describe
    from ..system.printable import printable

    info = describe(options.model)
    console = Console(highlight=False, soft_wrap=True)
    rows = info.rows()
    width = max(len(label) for label, _ in rows) + 2
    for label, value in rows:
        console.print(f"[bold]{label:{width}}[/bold]{escape(printable(value))}")
    if options.layers:
        console.print()
        for path, kind, shapes in info.layers():
            console.print(f"{escape(path)}  [bold]{kind}[/bold]  {escape(shapes)}")
