"""`rgmlx mlx-lm`: mlx-lm's own commands, running on our network."""

from __future__ import annotations

import argparse
from typing import Any

from .common import add_command


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "mlx-lm",
        "run an mlx-lm command (server, generate, cache_prompt, ...) on rgmlx's network",
        "Runs one of mlx-lm's commands on rgmlx's network. The arguments are mlx-lm's own.",
        ("rgmlx mlx-lm server --model PATH", "rgmlx mlx-lm generate --model PATH --prompt Hello"),
    )
    p.add_argument(
        "arguments", metavar="COMMAND ...", nargs=argparse.REMAINDER, help="mlx-lm's command and its arguments"
    )
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Hands over to mlx-lm."""
    from ..errors import RgmlxError
    from ..mlx_lm import main

    if not options.arguments:
        raise RgmlxError("name one of mlx-lm's commands, such as:  rgmlx mlx-lm server --model PATH")
    main(options.arguments)
