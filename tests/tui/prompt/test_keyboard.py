"""Keys that belong to no single widget: typing anywhere, Ctrl+C, undo and Ctrl+Z."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rooms
from scripted import Scripted, idle, screen, type_and_send
from textual import events
from textual.widgets import Input, OptionList, TextArea
from waiting import wait_until

from tui.app import ChatApp
from tui.prompt.prompt import Prompt
from tui.screens.help import HelpScreen
from tui.screens.settings import SettingsScreen
from tui.terminal.keys import UNDO
from tui.transcript.transcript import Transcript

SIZE = (80, 24)


def chat(data: Path, **settings: Any) -> ChatApp:
    return ChatApp(Scripted(data, past=["What did you say?", "These words, and no others"], **settings))


async def ready(app: ChatApp) -> Prompt:
    await wait_until(lambda: idle(app) and any("These words" in text for text in screen(app)))
    return app.query_one(Prompt)


async def select(app: ChatApp, pilot: Any, words: str) -> None:
    """Drags the mouse over words on the screen."""
    y = next(i for i, text in enumerate(screen(app)) if words in text)
    x = screen(app)[y].index(words)
    await pilot.mouse_down(offset=(x, y))
    await pilot.hover(offset=(x + len(words) - 1, y))
    await pilot.mouse_up(offset=(x + len(words) - 1, y))
    await wait_until(lambda: app.screen.get_selected_text())


def told(app: ChatApp) -> list[str]:
    return [notification.message for notification in app._notifications]


# --- A2: typing ---------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["a click", "a selection", "the transcript", "nowhere"])
async def test_typing_goes_to_the_prompt(where: str, tmp_path: Path) -> None:
    """A2: wherever the focus is, what is typed or pasted is in the prompt, in its order."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        prompt = await ready(app)
        if where == "a click":
            await pilot.click(Transcript, offset=(8, 8))
        elif where == "a selection":
            await select(app, pilot, "These words")
        else:
            app.screen.set_focus(app.transcript if where == "the transcript" else None)
        for key in ("h", "é", "日", "space", "o"):
            app.post_message(events.Key(key, " " if key == "space" else key))
        await wait_until(lambda: prompt.text == "hé日 o")
        assert prompt.has_focus
        app.screen.set_focus(app.transcript)
        app.post_message(events.Paste("pasted\r\nlines"))
        app.simulate_key("x")
        await wait_until(lambda: prompt.text == "hé日 opasted\nlinesx")
        app.screen.set_focus(app.transcript)
        app.simulate_key("backspace")
        app.simulate_key("ctrl+j")
        await wait_until(lambda: prompt.text == "hé日 opasted\nlines\n")
        app.screen.set_focus(app.transcript)
        app.simulate_key("enter")
        await wait_until(lambda: prompt.text == "" and len(app.session.texts()) == 4 and idle(app))


async def test_keys_of_the_transcript_stay_its_own(tmp_path: Path) -> None:
    """A2: who has gone there with Tab reads with the arrows."""
    app = ChatApp(Scripted(tmp_path, past=["q", "line\n\n" * 100]))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app) and app.transcript.max_scroll_y > 20)
        await pilot.press("tab")
        await wait_until(lambda: app.transcript.has_focus)
        await pilot.press("up", "up", "up")
        await wait_until(lambda: not app.transcript.following)
        assert app.transcript.has_focus


async def test_typing_on_another_screen_stays_there(tmp_path: Path) -> None:
    """A2: only the chat's own screen has the prompt."""
    app = ChatApp(Scripted(tmp_path))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        prompt = app.query_one(Prompt)
        await pilot.press("f2")
        await wait_until(lambda: isinstance(app.screen, SettingsScreen) and isinstance(app.focused, Input | TextArea))
        app.screen.query_one(TextArea).focus()
        await wait_until(lambda: app.screen.query_one(TextArea).has_focus)
        await pilot.press("a", "b")
        await wait_until(lambda: app.screen.query_one(TextArea).text.endswith("ab"))
        await pilot.press("ctrl+underscore")
        assert not app.screen.query_one(TextArea).text.endswith("ab")
        assert prompt.text == ""


# --- A7: Ctrl+C, undo, Ctrl+Z -------------------------------------------------------------


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the terminal was given for its clipboard."""
    monkeypatch.setenv("SSH_TTY", "/dev/pts/0")  # the terminal's clipboard, not this computer's
    monkeypatch.setenv("TERM", "xterm-kitty")  # which takes it
    texts: list[str] = []
    monkeypatch.setattr(ChatApp, "copy_to_clipboard", lambda app, text: texts.append(text))
    return texts


@pytest.mark.parametrize("focus", ["the prompt", "the transcript", "nowhere"])
async def test_ctrl_c_with_a_selection_says_what_it_did(focus: str, tmp_path: Path, copied: list[str]) -> None:
    """A7: as /copy does; and typing goes on in the prompt."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        prompt = await ready(app)
        prompt.insert("a draft")
        await select(app, pilot, "These words")
        app.screen.set_focus({"the prompt": prompt, "the transcript": app.transcript}.get(focus))
        app.simulate_key("ctrl+c")
        await wait_until(lambda: copied == ["These words"] and "Copied 11 characters." in told(app))
        assert prompt.text == "a draft"
        app.simulate_key("x")
        await wait_until(lambda: prompt.text == "a draftx")


async def test_ctrl_c_on_other_screens_says_what_it_did(tmp_path: Path, copied: list[str]) -> None:
    """A7: a selection of the help, and of a line that is typed into."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app)
        await pilot.press("f1")
        await wait_until(lambda: isinstance(app.screen, HelpScreen) and any("new line" in text for text in screen(app)))
        await select(app, pilot, "new line")
        app.simulate_key("ctrl+c")
        await wait_until(lambda: copied == ["new line"] and "Copied 8 characters." in told(app))
        await pilot.press("escape", "f2")
        await wait_until(lambda: isinstance(app.screen, SettingsScreen))
        field = app.screen.query(Input).first()
        field.focus()
        await wait_until(lambda: field.has_focus)
        field.value = "0.25"
        field.action_select_all()
        app.simulate_key("ctrl+c")
        await wait_until(lambda: copied[1:] == ["0.25"] and "Copied 4 characters." in told(app))


async def test_ctrl_c_clears_and_then_says_how_to_leave(tmp_path: Path) -> None:
    """A7: one key clears a long draft, which undo brings back whole; on an empty prompt it says how to leave."""
    app = chat(tmp_path)
    draft = "a long draft\n" * 60
    async with app.run_test(size=SIZE) as pilot:
        prompt = await ready(app)
        prompt.insert(draft)
        await pilot.press("x", "y", "ctrl+c")
        await wait_until(lambda: prompt.text == "" and "Cleared: Ctrl+_ brings it back." in told(app))
        assert not any("Ctrl+Q leaves" in text for text in told(app))
        await pilot.press("ctrl+c")
        await wait_until(lambda: any("Ctrl+Q leaves" in text for text in told(app)))
        assert app.is_running
        for key in UNDO.split(","):
            await pilot.press(key)
            await wait_until(lambda: prompt.text == draft + "xy")
            await pilot.press("ctrl+c")
            await wait_until(lambda: prompt.text == "")


async def test_ctrl_c_during_a_reply_stops_it_and_keeps_the_draft(tmp_path: Path) -> None:
    """A7: what runs is stopped first."""
    app = chat(tmp_path, pieces=["word "] * 10_000, delay=0.01)
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        await type_and_send(app, "go")
        await wait_until(lambda: app.transcript.has_words)
        prompt.insert("the next one")
        app.simulate_key("ctrl+c")
        await wait_until(lambda: idle(app))
        assert prompt.text == "the next one"
        assert not app.session.head.closed
        app.simulate_key("ctrl+c")
        await wait_until(lambda: prompt.text == "")


async def test_ctrl_c_while_a_message_is_changed(tmp_path: Path) -> None:
    """A7: it clears the text, and then leaves the message as it was."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        prompt = await ready(app)
        await app.actions.run("edit", "")
        assert prompt.text == "What did you say?"
        await pilot.press("ctrl+c")
        await wait_until(lambda: prompt.text == "")
        assert app.editing is not None
        await pilot.press("ctrl+underscore")
        assert prompt.text == "What did you say?"
        await pilot.press("ctrl+c", "ctrl+c")
        await wait_until(lambda: app.editing is None)


async def test_ctrl_z_does_not_undo(tmp_path: Path) -> None:
    """A7: where nothing can be paused it says so, and the text stays."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        prompt = await ready(app)
        await pilot.press("a", "ctrl+z")
        await wait_until(lambda: any("no shell" in text for text in told(app)))
        assert prompt.text == "a"
        await pilot.press("ctrl+underscore", "ctrl+y")
        await wait_until(lambda: prompt.text == "a")


async def test_the_help_names_these_keys(tmp_path: Path) -> None:
    """A7: undo is no longer where people look for it."""
    app = chat(tmp_path)
    async with app.run_test(size=(100, 40)) as pilot:
        await ready(app)
        await pilot.press("f1")
        await wait_until(lambda: any("Ctrl+_" in text and "undo" in text for text in screen(app)))
        assert any("Ctrl+Z" in text and "shell" in text for text in screen(app))
    readme = (rooms.ROOT / "README.md").read_text()
    assert "| `Ctrl+Z` |" in readme


# --- A1: keys twice -----------------------------------------------------------------------


@pytest.mark.parametrize("keys", [["q", "q", "q"], ["escape", "escape"]])
async def test_a_screen_is_left_once(keys: list[str], tmp_path: Path) -> None:
    """A1: keys that came before the help was gone took the chat's own screen away, which ended it."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app)
        await pilot.press("f1")
        await wait_until(lambda: isinstance(app.screen, HelpScreen) and app.screen.is_mounted)
        help_screen = app.screen
        for key in keys:
            help_screen.post_message(events.Key(key, key if len(key) == 1 else None))
            await app.run_action("screen.dismiss", help_screen)
        await wait_until(lambda: len(app.screen_stack) == 1)
        await pilot.press("h", "i")
        await wait_until(lambda: app.query_one(Prompt).text.endswith("hi"))


async def test_pages_of_a_list_that_is_not_drawn(tmp_path: Path) -> None:
    """A1: PageDown in the palette before its list was on the screen."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app)
        options = OptionList("one", "two", "three")
        options.display = False
        await app.screen.mount(options)
        options.highlighted = 0
        options.action_page_down()
        options.action_page_up()
        await pilot.press("ctrl+p", "pagedown", "pageup", "escape")
        await wait_until(lambda: len(app.screen_stack) == 1)
        assert app.is_running
