"""For tests: rgchat with a reply that ends when it is told to, in a process of its own. Run as a program.

Files in the directory say what has happened: `blurred`, `focused` (the terminal has said so), `told` (something has ended,
and whoever looks elsewhere was told). The reply ends once there is a file `end`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from scripted import Scripted

from tui.cli import end_with, show


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("data", type=Path)
    p.add_argument("--long", type=float, help="seconds from which on something is long")
    p.add_argument("--inline", action="store_true")
    p.add_argument("--quiet", action="store_true", help="the setting is off")
    options = p.parse_args()

    def run() -> int:
        from tui import app as module
        from tui.app import ChatApp
        from tui.settings.settings import Defaults
        from tui.terminal import attention

        if options.long is not None:
            attention.LONG_SECONDS = options.long
        tell = attention.tell

        def told(*arguments: Any, **named: Any) -> None:
            tell(*arguments, **named)
            if "reply" in arguments[1]:
                (options.data / "told").touch()

        attention.tell = told

        class Away(ChatApp):
            CSS_PATH = Path(module.__file__).with_name("styles.tcss")

            def on_app_blur(self) -> None:
                (options.data / "blurred").touch()

            def on_app_focus(self) -> None:
                (options.data / "focused").touch()

        def pieces() -> Iterator[str]:
            yield "word "
            while not (options.data / "end").exists() and not session._cancel.is_set():
                time.sleep(0.02)
            yield "end"

        session = Scripted(options.data)
        session.pieces = pieces()  # type: ignore[assignment]
        try:
            return show(Away(session, defaults=Defaults(notify=not options.quiet)), inline=options.inline)
        finally:
            session.store.close()

    end_with(run, lambda: options.data)


if __name__ == "__main__":
    main()
