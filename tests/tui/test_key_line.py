"""The last line: which keys it names in each state, what fits, and that a click presses one."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from scripted import Scripted, ask, idle, said, screen
from textual.geometry import Offset
from waiting import wait_until

from tui.app import ChatApp
from tui.composing import Escape
from tui.key_line import KeyLine, hints
from tui.screens.conversations import ConversationsScreen

ALWAYS = ["^o list", "F1 help", "^q quit"]


def first(escape: Escape, further: bool, answered: bool | None) -> list[str]:
    """What stands before the others."""
    if escape is not Escape.NOTHING:
        return [f"Esc {escape.value}"]
    if further:
        return ["Alt+↓ forward"]
    return [] if answered is None else ["^r another" if answered else "^r reply"]


@pytest.mark.parametrize(
    ("escape", "further", "answered"), list(itertools.product(Escape, (True, False), (True, False, None)))
)
def test_what_is_said_in_every_state(escape: Escape, further: bool, answered: bool | None) -> None:
    found = [f"{hint.key} {hint.does}" for hint in hints(escape, further=further, answered=answered)]
    assert found == [*first(escape, further, answered), *ALWAYS]
    assert 3 <= len(found) <= 4


async def test_it_follows_what_goes_on_and_fits(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: idle(app))
        assert screen(app)[-1].strip() == "^o list  F1 help  ^q quit"
        await ask(app, "Hello")
        await wait_until(lambda: screen(app)[-1].strip() == "^r another  ^o list  F1 help  ^q quit")
        await pilot.resize_terminal(30, 20)
        await wait_until(lambda: screen(app)[-1].strip() == "^r another  ^o list  ^q quit")
        await pilot.resize_terminal(27, 20)
        await wait_until(lambda: screen(app)[-1].strip() == "^r another  ^q quit")
        await pilot.resize_terminal(80, 24)
        await pilot.press("alt+up", "alt+up")
        await wait_until(lambda: screen(app)[-1].strip() == "Alt+↓ forward  ^o list  F1 help  ^q quit")


async def test_a_click_presses_the_key(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: idle(app))
        await ask(app, "Hello")
        await wait_until(lambda: "^r another" in screen(app)[-1])
        await pilot.click(KeyLine, offset=Offset(screen(app)[-1].index("another"), 0))
        await wait_until(lambda: idle(app) and said(app)[-1].siblings == 2)
        await pilot.click(KeyLine, offset=Offset(screen(app)[-1].index("^o"), 0))
        await wait_until(lambda: isinstance(app.screen, ConversationsScreen))
