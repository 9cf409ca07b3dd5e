"""`rgmlx ask`: one question, one answer, streamed to stdout."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..errors import RgmlxError, warnings_told
from ..shell import typed
from ..system.decoding import argument, read_all, standard_input
from .common import add_command, add_model, add_settings, say, settings
from .streams import tell

MAX_CHARS = 50_000_000
"""Of a question through a pipe; reading so many takes days."""
_EXAMPLE = 'write it after the command, as in  {} "Who are you?"'


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "ask",
        "ask one question and print the answer",
        "Asks one question and prints the answer as it is written.",
        ('rgmlx ask "Tell me a story about a fox"', "rgmlx ask --seed 7 --max-tokens 40 < question.txt"),
    )
    p.add_argument(
        "text", metavar="TEXT", nargs="*", help="the question; nothing, or - alone, reads it from standard input"
    )
    add_model(p)
    p.add_argument("--system", help="how the assistant should behave, put in front of the question")
    p.add_argument("--raw", action="store_true", help="continue the text instead of answering it")
    add_settings(p)
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Loads the model and prints the answer."""
    text = " ".join(options.text)
    if "-" in options.text and text != "-":
        raise RgmlxError(
            "- reads the question from standard input and stands alone: leave it out, or put the whole question in quotes"
        )
    if text == "-" or not options.text:
        if sys.stdin.isatty():
            raise RgmlxError(f"there is no question: {_EXAMPLE.format(typed('rgmlx ask'))}")
        text = read_all(standard_input(), MAX_CHARS, "standard input")
    else:
        text = argument(text, "the question")
    if not text.strip():
        raise RgmlxError(f"the question is empty: {_EXAMPLE.format(typed('rgmlx ask'))}")
    system = None if options.system is None else argument(options.system, "--system")
    if options.raw and system:
        raise RgmlxError("--system has no place in --raw text: put it into the text itself")
    given = settings(options)
    max_tokens = given.pop("max_tokens", None)

    from ..model import load
    from ..system.macos import power
    from ..system.printable import printable

    with warnings_told(say):
        model = load(options.model)
    if options.raw:
        pieces = model.stream(text, raw=True, max_tokens=max_tokens, progress=_progress, **given)
    else:
        chat = model.chat(system=system, **given)
        pieces = iter(chat.send(text, max_tokens=max_tokens, progress=_progress))
    clean = printable if sys.stdout.isatty() else str
    with power.awake():
        for piece in pieces:
            print(clean(piece), end="", flush=True)
    print()


def _progress(done: int, total: int) -> None:
    """How far a long question has been read, on the last line of a terminal."""
    if sys.stderr.isatty() and total > 200:
        line = f"reading, {done:,} of {total:,} tokens" if done < total else ""
        tell(f"\r\x1b[K{line}", end="")
