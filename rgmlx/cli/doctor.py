"""`rgmlx doctor`: is everything right on this machine? A report for a bug report."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from .common import add_command, add_model


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "doctor",
        "check this machine: kernels, model, memory, terminal",
        "Checks this machine and prints a report that can be pasted into a bug report: versions, device, every GPU\n"
        "kernel beside plain operations, the model's files, memory and terminal. Exits with 1 if something is wrong.",
        ("rgmlx doctor", "rgmlx doctor --model ~/models/recurrentgemma-2b-it-4bit"),
    )
    add_model(p)
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Prints the report; exits with 1 if a check failed."""
    from ..diagnosis.doctor import examine
    from ..system.printable import printable

    def shown(text: str) -> str:  # a name from a file may hold anything, a line like our last one too
        return printable(" ".join(text.splitlines()))

    failed = []
    for section in examine(options.model):
        print(f"{section.title}")
        for line in section.lines:
            print(f"  {shown(line)}")
        for problem in section.problems:
            print(f"  PROBLEM: {shown(problem)}")
        print(flush=True)
        if section.problems:
            failed.append(section.title.lower())
    if failed:
        print(f"{len(failed)} of the checks failed: {', '.join(failed)}.")
        sys.exit(1)
    print("All checks passed.")
