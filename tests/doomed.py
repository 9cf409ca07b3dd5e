"""For tests: rgchat with a scripted model in a process of its own, which is made to end. Run as a program."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))

from scripted import Scripted

from tui.cli import end_with, show, with_all_kept


class Slow(Scripted):
    """A model that takes its time to load."""

    seconds = 0.0

    def load(self, name: str | None = None, progress: object = None) -> None:
        time.sleep(self.seconds)
        super().load(name)


def main() -> None:
    p = argparse.ArgumentParser()
    p.add_argument("data", type=Path)
    p.add_argument("--load", type=float, default=0.0, help="seconds")
    p.add_argument("--inline", action="store_true")
    p.add_argument("--crash", choices=["handler", "worker", "thread", "startup"])
    p.add_argument("--until", type=Path, help="stay, with all done, until there is such a file")
    options = p.parse_args()

    def run() -> int:
        from textual import on

        from tui import app as module
        from tui.app import ChatApp
        from tui.prompt.drafts import Drafts
        from tui.prompt.history import History
        from tui.prompt.prompt import Prompt

        class Doomed(ChatApp):
            CSS_PATH = Path(module.__file__).with_name("styles.tcss")

            @on(Prompt.Submitted)
            def _crash(self, event: Prompt.Submitted) -> None:
                if not event.text.startswith("crash"):
                    return
                event.prevent_default()
                if options.crash == "handler":
                    raise IndexError("of \x1b[31m no use")
                if options.crash == "worker":
                    self.run_worker(self._fail())
                if options.crash == "thread":
                    os.close(0)  # what reads the keys fails

            async def _fail(self) -> None:
                raise IndexError("of no use")

        if options.crash == "startup":
            raise IndexError("of no use")
        session = Slow(options.data, ["word "] * 100_000, delay=0.01)
        session.seconds = options.load
        drafts = Drafts(options.data / "drafts")
        app = Doomed(session, history=History(options.data / "history.jsonl"), drafts=drafts)
        try:
            return with_all_kept(lambda: show(app, inline=options.inline), drafts.rescue)
        finally:
            session.store.close()
            while options.until and not options.until.exists():  # what is still on its way to a terminal goes with us
                time.sleep(0.02)

    end_with(run, lambda: options.data)


if __name__ == "__main__":
    main()
