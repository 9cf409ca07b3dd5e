"""The `rgchat` command line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rgmlx import __version__
from rgmlx.cli.common import add_model, add_settings, epilog, guarded, settings
from rgmlx.errors import RgmlxError


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    p = argparse.ArgumentParser(
        prog="rgchat",
        description="A chat in the terminal with a memory of fixed size. The conversation is kept when you leave, "
        "and goes on where it was the next time.",
        epilog=epilog("rgchat", "rgchat --model google/recurrentgemma-2b-it", "rgchat --new"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--version", action="version", version=f"rgchat {__version__}")
    add_model(p)
    p.add_argument("--new", action="store_true", help="start a new conversation; the one kept so far is set aside")
    p.add_argument("--open", type=Path, metavar="FILE", help="go on with this conversation (a .rgstate file)")
    p.add_argument("--system", help="how the assistant should behave, for a new conversation")
    p.add_argument(
        "--data", type=Path, metavar="DIR", help="where conversations are kept (default: your user data directory)"
    )
    add_settings(p)
    return p


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the chat; exits with its code."""
    options = parser().parse_args(arguments)
    sys.exit(guarded("rgchat", lambda: _run(options)))


def _run(options: argparse.Namespace) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise RgmlxError('this is not a terminal: for one answer in a pipe use  rgmlx ask "..."')
    from rgmlx.hub import is_repository, resolve
    from rgmlx.sampling import make_sampling

    make_sampling(settings(options))  # a bad setting is a sentence here, not a screen later

    from .app import ChatApp
    from .session import Session

    if options.open and not options.open.is_file():
        raise RgmlxError(f"there is no conversation {options.open}: name a .rgstate file")
    if not is_repository(options.model):
        resolve(options.model)  # a wrong name is a sentence here, not a screen later
    session = Session(
        options.model,
        options.data,
        system=options.system,
        sampling=settings(options),
        new=options.new,
        file=options.open,
    )
    session.claim()
    app = ChatApp(session)
    app.run()
    if app.return_code:
        sys.exit(app.return_code)
