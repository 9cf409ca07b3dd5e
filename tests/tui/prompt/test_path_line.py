"""Paths are completed where a file is asked for: in dialogs, and behind the commands that take one."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Scripted, idle, line, notices
from textual.pilot import Pilot
from textual.widgets import Static
from waiting import wait_until

from tui.app import ChatApp
from tui.prompt.completions import Completions, word_at
from tui.prompt.path_line import PathLine
from tui.screens.conversations import ConversationsScreen
from tui.screens.dialogs import AskText

SIZE = (80, 30)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    (folder / "Exports and more" / "inner").mkdir(parents=True)
    for name in ("notes.md", "notes.json", "photo.png", "Exports and more/otters.json", "Exports and more/old.rgstate"):
        (folder / name).write_text("{}")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


def offered(app: ChatApp) -> list[str]:
    return [str(option.prompt) for option in app.screen.query_one(Completions).options]


async def asked(app: ChatApp, pilot: Pilot[None], key: str) -> PathLine:
    await pilot.press("ctrl+o")
    await wait_until(lambda: isinstance(app.screen, ConversationsScreen) and app.screen._shown is not None)
    await pilot.press(key)
    await wait_until(lambda: isinstance(app.screen, AskText) and app.screen.query(PathLine))
    field = app.screen.query_one(PathLine)
    await wait_until(lambda: field.has_focus)
    return field


async def test_a_file_is_imported_without_typing_its_name(tmp_path: Path, home: Path) -> None:
    """From one folder into the next, with spaces; Enter takes what stands there."""
    app = ChatApp(Scripted(tmp_path / "data", past=("Hello", "Hi.")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        field = await asked(app, pilot, "ctrl+o")
        assert field.value == "~/" and not app.screen.query_one(Completions).is_open
        assert any("Tab completes the path." in str(one.content) for one in app.screen.query(Static))
        await pilot.press("tab")
        await wait_until(lambda: offered(app) == ["Exports and more/", "notes.json", "notes.md"])
        await pilot.press("tab")
        await wait_until(lambda: field.value == "~/Exports and more/")
        await wait_until(lambda: offered(app) == ["inner/", "old.rgstate", "otters.json"])
        await pilot.press("o", "t")
        await wait_until(lambda: offered(app) == ["otters.json"])
        await pilot.press("tab")
        await wait_until(lambda: field.value == "~/Exports and more/otters.json")
        assert not app.screen.query_one(Completions).is_open
        await pilot.press("enter")  # it is none that can be imported: asked again, with what is wrong
        await wait_until(lambda: isinstance(app.screen, AskText) and app.screen.query_one(PathLine) is not field)
        assert app.screen.query_one(PathLine).value == "~/Exports and more/otters.json"


async def test_the_arrows_choose_and_escape_closes_the_list_first(tmp_path: Path, home: Path) -> None:
    app = ChatApp(Scripted(tmp_path / "data", past=("Hello", "Hi.")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        field = await asked(app, pilot, "ctrl+o")
        await pilot.press("tab")
        await wait_until(lambda: len(offered(app)) == 3)
        await pilot.press("down", "down", "tab")
        await wait_until(lambda: field.value == "~/notes.md")
        await pilot.press("backspace", "backspace", "tab")
        await wait_until(lambda: offered(app) == ["notes.json", "notes.md"])
        await pilot.press("escape")
        await wait_until(lambda: not app.screen.query_one(Completions).is_open)
        assert isinstance(app.screen, AskText)
        await pilot.press("escape")
        await wait_until(lambda: isinstance(app.screen, ConversationsScreen))


async def test_a_name_that_is_not_there_is_meant(tmp_path: Path, home: Path) -> None:
    """Of a file to write: Enter never takes what is offered."""
    app = ChatApp(Scripted(tmp_path / "data", past=("Hello", "Hi.")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        field = await asked(app, pilot, "ctrl+s")
        field.value = "~/note.md"
        field.cursor_position = len("~/note")
        await pilot.press("tab")
        await wait_until(lambda: offered(app) == ["notes.json", "notes.md"])
        await pilot.press("enter")
        await wait_until((home / "note.md").exists)


async def test_behind_a_command_that_takes_a_file(tmp_path: Path, home: Path) -> None:
    """The path as it is, without quotes; Enter runs the command with what was typed."""
    app = ChatApp(Scripted(tmp_path / "data", past=("Hello", "Hi.")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        app.prompt.load_text("/import ~/Exp")
        await wait_until(lambda: offered(app) == ["Exports and more/"])
        await pilot.press("tab")
        await wait_until(lambda: app.prompt.text == "/import ~/Exports and more/")
        await wait_until(lambda: offered(app) == ["inner/", "old.rgstate", "otters.json"])
        await pilot.press("down", "tab")
        await wait_until(lambda: app.prompt.text == "/import ~/Exports and more/old.rgstate")
        app.prompt.load_text("/export note")
        await wait_until(lambda: offered(app) == ["notes.json", "notes.md"])
        await pilot.press("full_stop", "m", "d", "enter")
        await wait_until(lambda: (home / "note.md").exists() and "Written" in notices(app))
        assert line(app, "#title")


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("/export a b", "a b"),
        ("/OPEN  x", "x"),
        ("/save ", ""),
        ("/export", None),
        ("/rename x", None),
        ("say /export x", None),
        ("//export x", None),
    ],
)
def test_which_word_is_a_path(text: str, typed: str | None) -> None:
    word = word_at(text, 0, len(text), True)
    found = word.typed if word is not None and word.sign == "=" else None
    assert found == typed
    assert word_at(text, 0, len(text), False) is None
