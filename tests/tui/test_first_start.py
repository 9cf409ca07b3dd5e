"""The first start: a screen that asks for nothing to be read. Enter begins, what is typed is in the prompt, F1 is the guide."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Scripted, burst, idle, notices, said, taken
from textual import events
from waiting import wait_until

from tui.app import ChatApp
from tui.conversation_view import EXAMPLE
from tui.screens.guide import GuideScreen
from tui.screens.help import HelpScreen
from tui.screens.models import ModelsScreen

SIZE = (80, 24)


def chat(data: Path, *, first: bool = True) -> ChatApp:
    return ChatApp(Scripted(data, ["Once."]), first=first)


async def open_guide(app: ChatApp) -> None:
    await wait_until(lambda: idle(app))
    app.simulate_key("f1")
    await wait_until(lambda: isinstance(app.screen, GuideScreen) and app.focused is not None)


async def test_enter_begins(tmp_path: Path) -> None:
    """The prompt says what it asks; a second Enter asks nothing, and from then on it is a chat as any."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app) and "Press Enter, and it tells a story" in notices(app))
        assert EXAMPLE in str(app.prompt.placeholder)
        burst(app, "enter", "enter", "enter")
        await wait_until(lambda: len(said(app)) == 2 and idle(app))
        await taken(app)
        assert [m.text for m in said(app)] == [EXAMPLE, "Once."] and app.prompt.text == ""
        assert "Enter sends" in str(app.prompt.placeholder)
        app.simulate_key("f1")
        await wait_until(lambda: isinstance(app.screen, HelpScreen))


async def test_enter_begins_while_the_model_is_loaded(tmp_path: Path) -> None:
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        burst(app, "enter", "enter")
        await wait_until(lambda: len(said(app)) == 2 and idle(app))
        await taken(app)
        assert [m.text for m in said(app)] == [EXAMPLE, "Once."] and app.prompt.text == ""


async def test_what_is_typed_at_once_is_sent(tmp_path: Path) -> None:
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        burst(app, "Hello", "enter", "and")
        await wait_until(lambda: len(said(app)) == 2 and idle(app))
        await taken(app)
        assert said(app)[0].text == "Hello" and app.prompt.text == "and"


async def test_later_enter_alone_asks_nothing(tmp_path: Path) -> None:
    app = chat(tmp_path, first=False)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        burst(app, "enter")
        await taken(app)
        assert said(app) == [] and EXAMPLE not in str(app.prompt.placeholder)
        app.simulate_key("f1")
        await wait_until(lambda: isinstance(app.screen, HelpScreen))


@pytest.mark.parametrize("text", ["tell me", "get it", "Hello", "über", "3 times 3"])
async def test_what_is_typed_in_the_guide_is_sent(text: str, tmp_path: Path) -> None:
    """It was swallowed, and Enter closed the guide with it."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        await open_guide(app)
        burst(app, text, "enter")
        await wait_until(lambda: len(said(app)) == 2 and idle(app))
        assert said(app)[0].text == text and len(app.screen_stack) == 1


async def test_what_is_pasted_into_the_guide_is_in_the_prompt(tmp_path: Path) -> None:
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        await open_guide(app)
        app.post_message(events.Paste("a long\ntext"))
        await wait_until(lambda: app.prompt.text == "a long\ntext")
        assert len(app.screen_stack) == 1


@pytest.mark.parametrize("key", ["enter", "escape"])
async def test_the_guide_goes_back_to_where_enter_begins(key: str, tmp_path: Path) -> None:
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        await open_guide(app)
        app.simulate_key(key)
        await wait_until(lambda: len(app.screen_stack) == 1)
        assert said(app) == []
        burst(app, "enter")
        await wait_until(lambda: len(said(app)) == 2 and idle(app))


async def test_the_guide_has_its_own_keys(tmp_path: Path) -> None:
    """It is read on by Space, F1 is the help, and the second button leads to the model."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await open_guide(app)
        await pilot.press("space", "down", "pageup")
        assert isinstance(app.screen, GuideScreen)
        await pilot.press("f1")
        await wait_until(lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape")
        await wait_until(lambda: isinstance(app.screen, GuideScreen))
        await pilot.press("right", "enter")
        await wait_until(lambda: isinstance(app.screen, ModelsScreen))
