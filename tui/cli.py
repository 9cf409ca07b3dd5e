"""The `rgchat` command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from rgmlx import __version__
from rgmlx.cli.common import add_settings, epilog, guarded
from rgmlx.cli.common import settings as given
from rgmlx.errors import RgmlxError

DELETED_SECONDS = 30 * 24 * 3600
"""For so long a deleted conversation can be had back."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    p = argparse.ArgumentParser(
        prog="rgchat",
        description="A chat in the terminal with a memory of fixed size. Conversations are kept as they are written, "
        "and go on where they were the next time.",
        epilog=epilog("rgchat", "rgchat --model google/recurrentgemma-2b-it", "rgchat --new", "rgchat --plain"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--version", action="version", version=f"rgchat {__version__}")
    p.add_argument(
        "--model",
        metavar="NAME",
        help="a directory, a Hugging Face repository such as google/recurrentgemma-2b-it, or demo "
        "(default: that of the last conversation)",
    )
    p.add_argument("--new", action="store_true", help="start a new conversation; the others are kept")
    p.add_argument("--open", type=Path, metavar="FILE", help="go on from a .rgstate file, which /save writes")
    p.add_argument("--system", help="how the assistant should behave, for a new conversation")
    p.add_argument("--inline", action="store_true", help="under the prompt of the shell instead of the whole screen")
    p.add_argument(
        "--plain",
        action="store_true",
        help="lines only, for screen readers, simple terminals and pipes: no screen, no colours; in a pipe each line is a "
        "message of a new conversation",
    )
    p.add_argument("--theme", metavar="NAME", help="dark, light or contrast")
    p.add_argument(
        "--data", type=Path, metavar="DIR", help="where conversations are kept (default: your user data directory)"
    )
    add_settings(p)
    return p


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the chat; exits with its code."""
    options = parser().parse_args(arguments)
    code = 0

    def run() -> None:
        nonlocal code
        code = _run(options)

    code = guarded("rgchat", run) or code
    if "mlx.core" in sys.modules:
        # Everything is closed by now. Where a model ran in a thread, MLX aborts the process now and then as it unloads.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _run(options: argparse.Namespace) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()) and not options.plain:
        raise RgmlxError('this is not a terminal: for one answer in a pipe use  rgmlx ask "...", or add --plain')
    from rgmlx.hub import is_repository, resolve
    from rgmlx.store import Store
    from rgmlx.store.database import NAME

    from . import settings
    from .session import Session
    from .themes import NAMES

    if options.open and not options.open.is_file():
        raise RgmlxError(f"there is no file {options.open}: name a .rgstate file that /save has written")
    if options.theme and options.theme not in NAMES:
        raise RgmlxError(f"there is no theme '{options.theme}': there are {', '.join(NAMES)}")
    if options.model and not is_repository(options.model):
        resolve(options.model)  # a wrong name is a sentence here, not a screen later
    wanted = given(options)
    for name, value in wanted.items():
        settings.check(name, settings.SAMPLING[name], value)
    file = settings.path()
    defaults, problems = settings.load(file)
    data = options.data or platformdirs.user_data_path("rgmlx", appauthor=False) / "rgchat"
    first = not (data / NAME).exists()
    with Store(data, snapshot_bytes=defaults.snapshot_bytes) as store:
        session = Session(
            store,
            options.model or defaults.model,
            system=defaults.system if options.system is None else options.system,
            sampling={**defaults.sampling, **wanted},
        )
        session.notices += problems
        session.last = data / "last" if sys.stdin.isatty() else None
        store.conversations.purge(older_than=DELETED_SECONDS)
        if first:
            session.notices += _earlier(data)
        # A pipe has nothing to do with what somebody chatted about before: /open 1 in it goes on with that.
        if sys.stdin.isatty() and not (options.new or options.open or options.system is not None):
            session.open_latest(options.model)
            if wanted:
                session.set_settings(wanted)
        if options.plain or os.environ.get("TERM") == "dumb":
            from .plain import PlainChat

            return PlainChat(session, file=options.open).run()
        from .app import ChatApp
        from .history import History

        app = ChatApp(
            session,
            defaults=defaults,
            defaults_file=file,
            file=options.open,
            history=History(data / "history.jsonl"),
            guide=first and session.name == "demo" and not options.open,
        )
        if options.theme:
            app.first_theme = options.theme
        app.run(inline=options.inline, inline_no_clear=True)
        return app.return_code or 0


def _earlier(data: Path) -> list[str]:
    """What to say about conversations of the version before this one, which kept a file each."""
    files = sorted(data.glob("*.rgstate"))
    if not files:
        return []
    return [f"Conversations of an earlier version are in {data}, such as {files[0].name}: /open brings one in."]
