"""A model that is got while one talks: the chat goes on, and says what becomes of it. Real files from a real server."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from hub_server import NAME, repository
from published import Gated, offered
from scripted import Scripted, ask, command, idle, said
from textual.widgets import Input
from waiting import PATIENCE, wait_until

from tui.app import ChatApp
from tui.screens.dialogs import Confirm
from tui.screens.models import ModelsScreen
from tui.screens.token import AskToken

__all__ = ["offered"]


def toasts(app: ChatApp) -> str:
    return "\n".join(one.message for one in app._notifications)


async def get(app: ChatApp, pilot: Any, name: str = NAME) -> None:
    """Has it got from the list of models."""
    await command(app, "/model")
    await wait_until(lambda: isinstance(app.screen, ModelsScreen) and app.screen._rows)
    await pilot.press("tab")
    await wait_until(lambda: isinstance(app.focused, Input))
    assert isinstance(app.focused, Input)
    app.focused.value = name
    await pilot.press("enter")


def held(server: Any) -> threading.Event:
    """Has the server wait in the middle of each file; what it waits for."""
    go_on = threading.Event()
    server.hold = lambda name, sent: go_on.wait(2 * PATIENCE) if sent >= 20 * 1024 else None
    return go_on


async def begin_and_leave(app: ChatApp, pilot: Any, home: Path) -> None:
    """Has it got, and goes back to the chat while it comes."""
    await wait_until(lambda: idle(app))
    await get(app, pilot)
    await wait_until(lambda: list(repository(home).glob("blobs/*.incomplete")))
    await pilot.press("escape")
    await wait_until(lambda: len(app.screen_stack) == 1)


async def test_one_talks_on_while_it_comes_and_is_told_that_it_is_here(home: Path, offered: Any) -> None:
    go_on = held(offered)
    app = ChatApp(Scripted(home / "data", ["Fish."]))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await begin_and_leave(app, pilot, home)
        await ask(app, "What is this?")
        assert said(app)[-1].text == "Fish." and app.getter.busy
        go_on.set()
        await wait_until(lambda: "griff/tiny waits for an answer of yours: /model shows it." in toasts(app))
        await command(app, "/model")
        await wait_until(lambda: isinstance(app.screen, Confirm))  # whether the 16-bit files go
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, Confirm) and "Change the model?" in app.screen._question)
        assert "tiny-4bit knows nothing of this conversation yet" in app.screen._question
        await pilot.press("enter")
    assert (home / "models" / "tiny-4bit" / "config.json").exists()


async def test_what_goes_wrong_behind_the_screen_is_said(home: Path, offered: Any) -> None:
    go_on = held(offered)
    app = ChatApp(Scripted(home / "data", ["Fish."]))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await begin_and_leave(app, pilot, home)
        offered.files = {name: bytes(len(body)) for name, body in offered.files.items()}  # not what was listed
        go_on.set()
        await wait_until(lambda: app.getter.current is not None and app.getter.current.over)
        getting = app.getter.current
        assert getting is not None and getting.problem and not getting.stopped
        await wait_until(lambda: getting.problem[1:20] in toasts(app))


async def test_a_token_is_asked_for_once_one_looks(home: Path, offered: Any) -> None:
    offered.RequestHandlerClass = Gated
    offered.users, offered.let_in = {}, set[str]()
    app = ChatApp(Scripted(home / "data", ["Fish."]))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await wait_until(lambda: idle(app))
        app.getter.begin(NAME)
        await wait_until(lambda: "waits for an answer of yours" in toasts(app))
        await command(app, "/model")
        await wait_until(lambda: isinstance(app.screen, AskToken))
        await pilot.press("escape")
        await wait_until(lambda: isinstance(app.screen, ModelsScreen) and not app.getter.busy)
    assert app.getter.current is not None and app.getter.current.stopped
