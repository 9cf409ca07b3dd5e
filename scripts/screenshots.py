"""Makes the pictures of the README: the real chat screen with the model that comes with it, driven by keys.

What is said is the model's own: with a fixed seed it is the same on every run on one machine. The clock is set by hand,
and what is measured (tokens a second, milliseconds, memory of the process) is left out of the pictures, so that they
change only when the chat does. Conversations are in a temporary directory.

    python scripts/screenshots.py --out docs/images
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static, TextArea

from rgmlx.conversation.session import Session
from rgmlx.store import Store
from tui.app import ChatApp
from tui.screens.conversations import ConversationsScreen
from tui.screens.tree import TreeScreen

SIZE = (100, 32)
SEED = 3
EARLIER = (
    (50, "What is the capital of France?"),
    (9, "Tell me a story about a bear and a drum"),
    (1, "Tell me a joke about a cat"),
    (0.2, "Tell me a story about an owl and a cat"),
)
"""Other conversations: days ago, and what was asked."""
CHAT = ("I have a cat named Zibo.", "What is my cat called?", "Tell me a story about a fox and a kite")
BRANCH = "Tell me a story about a bear"
SEARCH = "cat"

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC).timestamp()
_DAY = 86400
_PATIENCE = 120.0  # seconds for anything that is waited for


class Clock:
    """The time of day that everything here is told; it is set by hand."""

    def __init__(self) -> None:
        self.now = NOON
        self._localtime = time.localtime

    def start(self) -> None:
        """Takes the place of the real one, in Greenwich."""
        os.environ["TZ"] = "UTC"
        time.tzset()
        time.time = lambda: self.now
        time.localtime = lambda seconds=None: self._localtime(self.now if seconds is None else seconds)


class Photographer:
    """Uses the chat as a user would, and takes pictures of it."""

    def __init__(self, app: ChatApp, pilot: Pilot[None], clock: Clock, out: Path) -> None:
        self.app, self.pilot, self.clock, self.out = app, pilot, clock, out

    async def wait(self, fact: Callable[[], object]) -> None:
        """Waits for something to become true. Raises TimeoutError."""
        end = time.monotonic() + _PATIENCE
        while not fact():
            if time.monotonic() > end:
                raise TimeoutError("the chat did not get where it should: look at scripts/screenshots.py")
            await asyncio.sleep(0.02)

    async def idle(self) -> None:
        """Waits until the model has nothing to do."""
        await self.wait(lambda: self.app.session.ready and not self.app.busy)

    def type_text(self, text: str) -> None:
        """Types."""
        for character in text:
            self.app.simulate_key(character)

    async def ask(self, text: str) -> None:
        """Sends a message, and waits for the end of its reply."""
        self.type_text(text)
        await self.press("enter")
        await self.replied(text)

    async def replied(self, text: str) -> None:
        """Waits until one stands at a whole reply to this message."""
        session = self.app.session

        def done() -> bool:
            head = session.head
            asked = None if head is None or head.parent is None else session.store.messages.get(head.parent)
            return asked is not None and asked.text == text and head is not None and head.closed

        await self.wait(done)
        await self.idle()

    async def press(self, *keys: str) -> None:
        """Presses keys."""
        await self.pilot.press(*keys)

    async def open(self, key: str, screen: type[Screen[Any]]) -> None:
        """Presses a key, and waits for the screen that it opens to show something."""
        await self.press(key)
        await self.wait(lambda: isinstance(self.app.screen, screen))
        await self.wait(lambda: any(found.option_count for found in self.app.screen.query(OptionList)))

    async def picture(self, name: str) -> None:
        """Writes what is on the screen, as soon as it does not change any more."""
        metrics = self.app.session.metrics
        metrics.rate = metrics.first_token = metrics.resident = 0
        self.app.show_status()
        before, now = "", self.app.export_screenshot()
        while before != now:
            for screen in self.app.screen_stack:
                for widget in (*screen.query(TextArea), *screen.query(Input)):
                    widget.cursor_blink = False
            await self.pilot.pause()
            before, now = now, self.app.export_screenshot(simplify=True)
        path = self.out / f"{name}.svg"
        path.write_text(now, encoding="utf-8")
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


async def take(p: Photographer) -> None:
    """All pictures, one after the other: each begins where the last one ended."""
    await p.idle()
    for days, text in EARLIER:
        p.clock.now = NOON - days * _DAY
        await p.ask(text)
        await p.press("ctrl+n")
        await p.idle()
    p.clock.now = NOON
    for text in CHAT:
        await p.ask(text)
    await p.picture("chat")

    await p.press("alt+up")
    await p.wait(lambda: "tokens re-read" in p.app.position_label)
    p.app.position.reread = p.app.position.reread.rpartition(", ")[0]  # the milliseconds
    await p.picture("time-travel")

    await p.ask(BRANCH)
    await p.press("ctrl+r")
    await p.wait(lambda: (head := p.app.session.head) is not None and head.number == 2)
    await p.replied(BRANCH)
    await p.open("ctrl+t", TreeScreen)
    await p.picture("tree")
    await p.press("escape")
    await p.wait(lambda: len(p.app.screen_stack) == 1)

    await p.open("ctrl+o", ConversationsScreen)
    p.type_text(SEARCH)
    await p.wait(lambda: "Found" in str(p.app.screen.query_one("#heading", Static).content))
    await p.picture("conversations")


async def run(out: Path) -> None:
    """Starts the chat, and has its pictures taken."""
    clock = Clock()
    clock.start()
    with tempfile.TemporaryDirectory() as data, Store(data) as store:
        app = ChatApp(Session(store, sampling={"seed": SEED}))
        app.animation_level = "none"
        async with app.run_test(size=SIZE) as pilot:
            await take(Photographer(app, pilot, clock, out))


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    p.add_argument("--out", type=Path, default=Path("docs/images"), metavar="DIR", help="where the pictures go")
    options = p.parse_args()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        sys.exit(f"{options.out} can't be made ({e.strerror}): choose another folder with --out")
    asyncio.run(run(options.out))
    sys.stdout.flush()
    os._exit(0)  # MLX, used in a thread on a CPU, may abort the process when Python ends


if __name__ == "__main__":
    main()
