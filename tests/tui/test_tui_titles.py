"""Titles are made while the model is idle, and called off by whatever comes: nothing waits for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted import command, idle, line, said, type_and_send
from textual.widgets import Checkbox
from waiting import wait_for, wait_until

from rgmlx.conversation import titles
from rgmlx.conversation.session import Session
from rgmlx.conversation.titles import TitleRun
from rgmlx.store import Store
from tui.app import ChatApp
from tui.screens.settings import SettingsScreen
from tui.settings.settings import Defaults, load
from tui.titles import makes_titles

ASKED = "What is the capital of Italy?"


def session(data: Path) -> Session:
    return Session(Store(data), sampling={"temperature": 0.0})


def title(app: ChatApp) -> str:
    (row,) = app.session.store.conversations.listed()
    return row.title


async def test_a_title_is_made_once_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        titles, "QUESTION", "What is the capital of France?"
    )  # the embedded model has an answer to that
    made: list[str] = []
    make = TitleRun.make

    def noted(run: TitleRun, *more: Any) -> str:
        made.append(make(run, *more))
        return made[-1]

    monkeypatch.setattr(TitleRun, "make", noted)
    app = ChatApp(session(tmp_path), defaults=Defaults(titles=True))
    async with app.run_test():
        await wait_until(lambda: idle(app))
        await type_and_send(app, ASKED)
        await wait_until(lambda: len(said(app)) == 2 and idle(app) and len(made) == 1)
        await wait_until(lambda: made[0] in line(app, "#title"))
        assert title(app) == made[0] != ASKED and made[0]
        await type_and_send(app, "And of Spain?")
        await wait_until(lambda: len(said(app)) == 4 and idle(app))
        await command(app, "/info")
        assert len(made) == 1 and app.session.context is not None and app.session.context.read == 0


async def test_whatever_comes_calls_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A title that would never be done: the next message is answered all the same."""
    runs: list[TitleRun] = []

    def make(run: TitleRun, *_: Any) -> str:
        runs.append(run)
        wait_for(lambda: run.stopped)
        return "A title that nobody waits for"

    monkeypatch.setattr(TitleRun, "make", make)
    app = ChatApp(session(tmp_path), defaults=Defaults(titles=True))
    async with app.run_test():
        await wait_until(lambda: idle(app))
        for count in (1, 2):
            await type_and_send(app, ASKED)
            await wait_until(lambda: len(said(app)) == 2 * count and idle(app) and len(runs) == count)  # noqa: B023
            assert title(app) == ASKED
        await command(app, "/back")
        await wait_until(lambda: runs[1].stopped)
        await wait_until(lambda: idle(app) and len(runs) == 3)
    assert runs[2].stopped, "so does the end"


async def test_a_title_of_the_users_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[TitleRun] = []
    monkeypatch.setattr(TitleRun, "make", lambda run, *_: made.append(run) or "Of the model")
    app = ChatApp(session(tmp_path), defaults=Defaults(titles=False))
    async with app.run_test():
        await wait_until(lambda: idle(app))
        await type_and_send(app, ASKED)
        await wait_until(lambda: len(said(app)) == 2 and idle(app))
        await command(app, f"/rename {ASKED}")
        app.defaults = Defaults(titles=True)
        await type_and_send(app, ASKED)
        await wait_until(lambda: len(said(app)) == 4 and idle(app))
        await command(app, "/info")
        assert title(app) == ASKED and not made
        await command(app, "/new")
        await type_and_send(app, "Hello")
        await wait_until(lambda: len(made) == 1)
        await wait_until(lambda: "Of the model" in line(app, "#title"))


async def test_the_form_switches_it(tmp_path: Path) -> None:
    file = tmp_path / "rgchat.toml"
    app = ChatApp(session(tmp_path / "data"), defaults_file=file)
    async with app.run_test(size=(100, 60)) as pilot:
        await wait_until(lambda: idle(app))
        for wanted in (True, False):
            await command(app, "/settings")
            await wait_until(lambda: isinstance(app.screen, SettingsScreen))
            box = app.screen.query_one(Checkbox)
            assert box.value is not wanted
            box.focus()
            await pilot.press("space")
            await wait_until(lambda: str(box.label).endswith(": on" if wanted else ": off"))  # noqa: B023
            await pilot.press("ctrl+s")
            await wait_until(lambda: app.defaults.titles is wanted)  # noqa: B023
            assert load(file)[0].titles is wanted


def test_the_embedded_model_makes_none_unless_one_wants_it() -> None:
    assert [makes_titles(wanted, "demo") for wanted in (None, True, False)] == [False, True, False]
    assert [makes_titles(wanted, "google/recurrentgemma-2b-it") for wanted in (None, True, False)] == [
        True,
        True,
        False,
    ]
