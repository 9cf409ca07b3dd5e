"""`rgmlx ask`: one question, one answer, streamed to stdout."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..errors import RgmlxError
from .common import add_command, add_model, add_settings, settings


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "ask",
        "ask one question and print the answer",
        "Asks one question and prints the answer as it is written.",
        ('rgmlx ask "Tell me a story about a fox"', "rgmlx ask --seed 7 --max-tokens 40 < question.txt"),
    )
    p.add_argument("text", metavar="TEXT", nargs="*", help="the question; - or nothing reads it from standard input")
    add_model(p)
    p.add_argument("--system", help="how the assistant should behave, put in front of the question")
    p.add_argument("--max-tokens", type=int, metavar="N", help="stop after N tokens (default: when the answer ends)")
    p.add_argument("--raw", action="store_true", help="continue the text instead of answering it")
    add_settings(p)
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Loads the model and prints the answer."""
    text = " ".join(options.text)
    if text == "-" or not options.text:
        if sys.stdin is None or sys.stdin.isatty():
            raise RgmlxError('there is no question: write it after the command, as in  rgmlx ask "Who are you?"')
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    if not text.strip():
        raise RgmlxError('the question is empty: write it after the command, as in  rgmlx ask "Who are you?"')
    if options.raw and options.system:
        raise RgmlxError("--system has no place in --raw text: put it into the text itself")

    from ..model import load
    from ..text import printable

    model = load(options.model)
    if options.raw:
        pieces = model.stream(text, raw=True, max_tokens=options.max_tokens, progress=_progress, **settings(options))
    else:
        chat = model.chat(options.system, **settings(options))
        pieces = iter(chat.send(text, max_tokens=options.max_tokens, progress=_progress))
    clean = printable if sys.stdout.isatty() else str
    for piece in pieces:
        print(clean(piece), end="", flush=True)
    print()


def _progress(done: int, total: int) -> None:
    """How far a long question has been read, on the last line of a terminal."""
    if sys.stderr.isatty() and total > 200:
        line = f"reading, {done:,} of {total:,} tokens" if done < total else ""
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
