"""Screens that are left, or that the program ends, while they are still at work: nothing looks for what is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from scripted import Scripted, burst, idle, taken
from textual.app import ComposeResult
from textual.command import CommandPalette, Hit, Hits
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, Static
from waiting import PATIENCE, wait_until

from tui.app import ChatApp
from tui.palette import Palette
from tui.prompt.prompt import Prompt
from tui.screens import conversations
from tui.screens.conversations import ConversationsScreen

SIZE = (80, 24)


def chat(data: Path) -> ChatApp:
    return ChatApp(Scripted(data, ["Yes."], past=["one", "two"]))


async def goes_on(app: ChatApp) -> None:
    """Waits until what is typed now is in the prompt."""
    burst(app, "on")
    await wait_until(lambda: app._exception or app.query_one(Prompt).text == "on")
    assert app._exception is None


def working(node: Widget) -> bool:
    return any(worker.node is node and not worker.is_finished for worker in node.app.workers)


def hold_the_end(screen: type[Screen[Any]], monkeypatch: pytest.MonkeyPatch, then: Callable[[], object]) -> list[bool]:
    """Calls `then` when a screen's parts are gone and it is told so; its workers may go on to their ends before it goes.

    Gives back a list, in which it is noted that this was done.
    """
    ended: list[bool] = []
    told: Callable[[Any], Awaitable[None]] | None = screen.__dict__.get("_on_unmount")

    async def unmount(one: Any) -> None:
        assert not one.children
        then()
        await wait_until(lambda: not working(one))
        ended.append(True)
        if told is not None:
            await told(one)

    monkeypatch.setattr(screen, "_on_unmount", unmount, raising=False)
    return ended


class AtWork(ModalScreen[None]):
    """It is at work until it is left, and would then show what it has found.

    Attributes:
        left: set when it is; for the test.
        working: set when it is at work.
        found: whether it found its own part then.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left, self.working = asyncio.Event(), asyncio.Event()
        self.found = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(id="shown")

    def on_mount(self) -> None:
        self.run_worker(self._look)

    async def _look(self) -> None:
        self.working.set()
        await self.left.wait()
        self.query_one("#shown")
        self.found = True


@pytest.mark.parametrize("end", ["left", "the program ends"])
async def test_a_worker_ends_before_the_parts_of_its_screen(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, screen = chat(tmp_path), AtWork()
    ended = hold_the_end(AtWork, monkeypatch, screen.left.set)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await app.push_screen(screen)
        await asyncio.wait_for(screen.working.wait(), PATIENCE)
        if end == "left":
            screen.dismiss()
            await wait_until(lambda: ended)
            await goes_on(app)
    assert ended and not screen.found and app._exception is None


async def test_conversations_may_be_left_while_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, go_on = threading.Event(), threading.Event()
    read_page = conversations.read_page

    def read_late(store: Any, view: Any) -> Any:
        if view.query:
            reading.set()
            assert go_on.wait(PATIENCE)
        return read_page(store, view)

    monkeypatch.setattr(conversations, "read_page", read_late)
    ended = hold_the_end(ConversationsScreen, monkeypatch, go_on.set)
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        burst(app, "ctrl+o")
        await wait_until(lambda: isinstance(app.screen, ConversationsScreen) and app.screen._shown)
        burst(app, "o")
        await wait_until(reading.is_set)
        burst(app, "ctrl+u", "escape")
        await wait_until(lambda: ended)
        await goes_on(app)


async def test_the_palette_may_be_left_while_it_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when it is told what was typed after it was told to go."""
    looking, go_on = asyncio.Event(), asyncio.Event()

    async def search(palette: Palette, query: str) -> Hits:
        looking.set()
        await go_on.wait()
        yield Hit(1.0, query, lambda: None)

    monkeypatch.setattr(Palette, "search", search)
    monkeypatch.setattr(Palette, "discover", lambda palette: search(palette, "all"))
    ended = hold_the_end(CommandPalette, monkeypatch, go_on.set)
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        burst(app, "ctrl+p")
        await wait_until(lambda: isinstance(app.screen, CommandPalette) and app.screen.is_mounted)
        palette = app.screen
        await asyncio.wait_for(looking.wait(), PATIENCE)
        looking.clear()
        field = palette.query_one(Input)
        palette._action_escape()  # type: ignore[attr-defined]
        palette.post_message(Input.Changed(field, "t"))
        await wait_until(lambda: ended)
        assert looking.is_set()
        await goes_on(app)


async def test_the_chat_is_left_though_the_screen_on_top_is_left_just_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was to come after that one was drawn goes with it: a signal while Enter takes the palette away."""
    monkeypatch.setattr(CommandPalette, "_invoke_later", lambda *_: None)
    app = ChatApp(Scripted(tmp_path))
    async with app.run_test(size=(80, 24)):
        await wait_until(lambda: idle(app))
        app.action_command_palette()
        await wait_until(lambda: isinstance(app.screen, CommandPalette) and app.screen.is_mounted)
        await app.leave()
        await taken(app)
        app.pop_screen()
        await wait_until(lambda: app._exit)
