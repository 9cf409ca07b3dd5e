"""What is known of the terminal, and the keys that are shown for it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from scripted import Scripted, idle, line, screen
from textual.app import App
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.widgets import Input
from waiting import wait_until

from tui.app import ChatApp
from tui.commands import COMMANDS, pressed
from tui.fields import TextField
from tui.key_line import KeyLine
from tui.keyboard import Keyboard
from tui.prompt.prompt import Prompt
from tui.screens import guide, help
from tui.screens.conversation_rows import Rows
from tui.screens.conversations import ConversationsScreen
from tui.screens.guide import GuideScreen
from tui.screens.help import HelpScreen
from tui.screens.history import HistoryScreen
from tui.screens.models import ModelsScreen
from tui.screens.queue import QueueScreen, _Rows
from tui.screens.settings import SettingsScreen
from tui.screens.tree import TreeScreen, _Lines
from tui.terminal import keys, terminals
from tui.terminal.terminals import Terminal, here
from tui.transcript.transcript import Transcript

MACS = {
    "Terminal.app": {"TERM_PROGRAM": "Apple_Terminal"},
    "iTerm2": {"TERM_PROGRAM": "iTerm.app", "LC_TERMINAL": "iTerm2"},
    "Ghostty": {"TERM_PROGRAM": "ghostty"},
    "kitty": {"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"},
    "WezTerm": {"TERM_PROGRAM": "WezTerm"},
    "VS Code": {"TERM_PROGRAM": "vscode"},
    "another": {"TERM_PROGRAM": "another"},
    "none": {},
    "tmux": {"TERM_PROGRAM": "tmux", "TMUX": "/tmp/tmux-0/default,1,0"},
    "tmux in iTerm2": {"TERM_PROGRAM": "tmux", "TMUX": "/tmp/tmux-0/default,1,0", "LC_TERMINAL": "iTerm2"},
}
SHOWN = {  # back, forward, previous, help, settings, the end, a new line
    "Terminal.app": "Ctrl+B Ctrl+F Option+← ? Ctrl+L Ctrl+E Ctrl+J",
    "iTerm2": "Option+↑ Option+↓ Option+← ? Ctrl+L Ctrl+E Ctrl+J",
    "Ghostty": "Option+↑ Option+↓ Option+← ? Ctrl+L Ctrl+E Ctrl+J",
    "kitty": "Option+↑ Option+↓ Option+← ? Ctrl+L Ctrl+E Ctrl+J",
    "WezTerm": "Option+↑ Option+↓ Option+← ? Ctrl+L Ctrl+E Ctrl+J",
    "VS Code": "Option+↑ Option+↓ Option+← ? Ctrl+L Ctrl+E Ctrl+J",
    "another": "Ctrl+B Ctrl+F Option+← ? Ctrl+L Ctrl+E Ctrl+J",
    "none": "Ctrl+B Ctrl+F Option+← ? Ctrl+L Ctrl+E Ctrl+J",
    "tmux": "Ctrl+B twice Ctrl+F Option+← ? Ctrl+L Ctrl+E Ctrl+J",
    "tmux in iTerm2": "Option+↑ Option+↓ Option+← ? Ctrl+L Ctrl+E Ctrl+J",
}
ELSEWHERE = "Alt+↑ Alt+↓ Alt+← F1 F2 End Ctrl+J"


class _Words(DOMNode):
    """What the app does in a text of another screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("alt+left", "cursor_word_left", ""),
        ("alt+right", "cursor_word_right", ""),
    ]


OWNERS: tuple[tuple[type[DOMNode], ...], ...] = (
    (ChatApp, Keyboard),
    (Prompt,),
    (Transcript,),
    (TextField, _Words),
    (ConversationsScreen, Rows),
    (TreeScreen, _Lines),
    (SettingsScreen,),
    (ModelsScreen,),
    (HistoryScreen,),
    (HelpScreen,),
    (QueueScreen, _Rows),
    (GuideScreen,),
)
PAGES = {"pageup", "pagedown"}  # by the wheel, too, or with the arrows once Tab has gone to the text
FAR = {"home", "end", "shift+home", "shift+end", "ctrl+home", "ctrl+end", "super+up", "super+down"}
FAR |= {"ctrl+pageup", "ctrl+pagedown"}  # what has no key but these goes where an arrow goes by steps, and the mouse
SAME = {
    "copy": "copy_or_stop",
    "copy_only": "copy_selected",
    "cut": "cut_or_select",
    "select_all": "cut_or_select",
    "cursor_line_end": "end",
}
"""What a key of another name does as well."""


def of_a_mac(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(terminals, "PLATFORM", "darwin")
    for variable, value in MACS[name].items():
        monkeypatch.setenv(variable, value)


def all_shown() -> str:
    commands = ("back", "forward", "previous", "help", "settings")
    return " ".join([*map(pressed, commands), keys.shown(*keys.END), keys.shown(*keys.NEW_LINE)])


@pytest.mark.parametrize("name", MACS)
def test_the_key_that_works_is_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    of_a_mac(monkeypatch, name)
    assert all_shown() == SHOWN[name]


@pytest.mark.parametrize("name", ["Ghostty", "kitty", "WezTerm", "another", "none", "tmux"])
def test_elsewhere_the_keys_are_those_that_people_know(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in MACS[name].items():
        monkeypatch.setenv(variable, value)
    assert all_shown() == ELSEWHERE


def test_what_is_known_of_a_terminal() -> None:
    """By its name, or what it passes on through ssh and tmux; VS Code has keys of its own everywhere."""
    assert here({}, "linux") == Terminal()
    assert here(MACS["tmux"], "linux") == Terminal(prefix="ctrl+b")
    assert here({"LC_TERMINAL": "iTerm2"}, "linux") == here(MACS["iTerm2"], "darwin"), "through ssh"
    assert here({"TERM_PROGRAM": "vscode", "LC_TERMINAL": "iTerm2"}, "darwin").name == "vscode", "begun in iTerm2"
    assert here({"TERM_PROGRAM": "Apple_Terminal", "TERM": "xterm-kitty"}, "darwin").name == "kitty"
    assert here(MACS["none"], "darwin").lost == here(MACS["Terminal.app"], "darwin").lost
    code = here(MACS["VS Code"], "linux")
    assert (code.best(["f1", "question_mark"]), code.best(keys.NEW_LINE)) == ("question_mark", "alt+enter")
    assert here(MACS["VS Code"], "darwin").best(keys.NEW_LINE) == "ctrl+j"
    assert Terminal(mac=True).best(["super+up"]) == "super+up", "where there is no other"


def bindings(owners: tuple[type[DOMNode], ...]) -> dict[str, list[str]]:
    """The keys of each action, also of those that Textual has given to what an owner is made of."""
    found: dict[str, list[str]] = {}
    for key, some in (item for owner in owners for item in owner._merge_bindings().key_to_bindings.items()):
        for action in (binding.action.replace("empty_command", "command") for binding in some):
            found.setdefault(SAME.get(action, action), []).append(key)
    return found


@pytest.mark.parametrize("name", MACS)
def test_everything_has_a_key_that_reaches_a_program(name: str) -> None:
    """Without fn, but for pages and what an arrow does as well."""
    terminal = here(MACS[name], "darwin")
    for owners in OWNERS:
        for action, some in bindings(owners).items():
            reaching = [key for key in some if terminal.reaches(key)]
            assert reaching, f"{owners}, {action}: none of {some}"
            assert set(some) <= PAGES | FAR or not all(map(terminal.needs_fn, reaching)), f"{action}: {some}"


# --- on the screen ------------------------------------------------------------------------


def key_line(app: App[None]) -> list[str]:
    return [f"{hint.key} {hint.does}" for hint in app.screen.query_one(KeyLine).hints]


async def test_the_chat_on_a_mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the line of keys, the help, the palette's titles, the line above the prompt and the list."""
    of_a_mac(monkeypatch, "Terminal.app")
    app = ChatApp(Scripted(tmp_path, past=["one", "1", "two", "2"]))
    async with app.run_test(size=(110, 100)) as pilot:
        await wait_until(lambda: idle(app) and "? help" in key_line(app))
        await pilot.press("ctrl+b")
        await wait_until(lambda: line(app, "#position").startswith("Turn 1 of 2, Ctrl+F goes forward"))
        await pilot.press("ctrl+b")
        await wait_until(lambda: any("the first message: Ctrl+F goes forward." in text for text in screen(app)))
        await pilot.press("ctrl+f", "ctrl+f")
        await wait_until(lambda: idle(app) and app.session.texts() == ["one", "1", "two", "2"])
        await pilot.press("question_mark")
        await wait_until(lambda: isinstance(app.screen, HelpScreen) and any("/back" in text for text in screen(app)))
        shown = "\n".join(screen(app))
        for text in (
            "/help  (? in an empty prompt)",
            "/back  (Ctrl+B)",
            "/previous  (Option+←)",
            "/settings  (Ctrl+L)",
            "Shift+fn+↑",
            "Ctrl+E goes to the end again",
        ):
            assert text in shown
        assert not any(
            text in shown for text in ("Alt+", "F1)", "F2)", "Option+Enter", "Option+↑", "PgUp", "Ctrl+Shift+Z")
        )
        await pilot.press("question_mark")
        await wait_until(lambda: len(app.screen_stack) == 1)
        await pilot.press("ctrl+p", *"back")
        await wait_until(lambda: any("back  (Ctrl+B)" in text for text in screen(app)))
        await pilot.press("escape")
        await wait_until(lambda: len(app.screen_stack) == 1)
        await pilot.press("ctrl+o")
        await wait_until(lambda: any("^d delete" in text for text in screen(app)))


@pytest.mark.parametrize(("name", "held"), [("Terminal.app", "Fn"), ("iTerm2", "Option"), ("kitty", ""), ("none", "")])
def test_help_says_how_to_select_for_the_terminal_itself(name: str, held: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mouse is the program's, and Cmd+C the terminal's, which has nothing selected then."""
    of_a_mac(monkeypatch, name)
    text = help.selecting()
    assert text.startswith("Ctrl+C copies") and ("held the mouse" in text) == bool(held)
    assert not held or f"With {held} held the mouse selects for the terminal, and Cmd+C copies." in text


def test_help_and_guide_name_the_key_of_a_new_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others too, where they are told apart from Enter."""
    assert help.rows()[1] == ("Ctrl+J", "new line (Shift+Enter or Alt+Enter where the terminal tells)")
    assert "**Ctrl+J** starts a new line" in guide.page()
    monkeypatch.setenv("TERM_PROGRAM", "vscode")
    assert help.rows()[1] == ("Alt+Enter", "new line (Shift+Enter where the terminal tells)")
    assert "**Alt+Enter** starts a new line" in guide.page()
    of_a_mac(monkeypatch, "Terminal.app")
    assert help.rows()[1] == ("Ctrl+J", "new line")
    of_a_mac(monkeypatch, "Ghostty")
    assert help.rows()[1] == ("Ctrl+J", "new line (Shift+Enter or Option+Enter where the terminal tells)")


# --- keys that mean something to a text, too ----------------------------------------------


@pytest.mark.parametrize("focus", ["the prompt", "nowhere"])
async def test_arrows_and_the_question_mark_are_commands_in_an_empty_prompt(focus: str, tmp_path: Path) -> None:
    """With a text they are the text's, wherever the focus was."""
    app = ChatApp(Scripted(tmp_path, past=["one", "1"]))
    given: list[str] = []
    app.action_command = given.append  # type: ignore[method-assign]
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: idle(app))
        prompt = app.query_one(Prompt)

        async def press(*some: str) -> None:
            app.screen.set_focus(prompt if focus == "the prompt" else None)
            await pilot.press(*some)

        for key in ("left", "right", "alt+left", "ctrl+right", "question_mark"):
            await press(key)
        assert given == ["previous", "next", "previous", "next", "help"]
        prompt.load_text("one two")
        for key, column in (("left", 6), ("alt+left", 4), ("ctrl+left", 0), ("alt+right", 3), ("question_mark", 4)):
            await press(key)
            assert prompt.cursor_location == (0, column), key
        assert prompt.text == "one? two" and len(given) == 5


async def test_option_goes_by_words_on_other_screens(tmp_path: Path) -> None:
    """In a line and in a text; where there is neither it does nothing, and nothing is left by it."""
    app = ChatApp(Scripted(tmp_path, past=["one", "1"]))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: idle(app))
        await pilot.press("ctrl+o")
        await wait_until(lambda: isinstance(app.screen, ConversationsScreen) and isinstance(app.focused, Rows))
        await pilot.press("alt+left", "alt+right", "alt+up", *"one two")
        search = app.screen.query_one(Input)
        await pilot.press("alt+left")
        assert search.cursor_position == len("one ")
        await pilot.press("alt+left", "alt+right")
        assert search.cursor_position == len("one ")
        assert isinstance(app.screen, ConversationsScreen)


def test_the_commands_say_no_key_twice() -> None:
    some = [key for command in COMMANDS for key in command.all_keys]
    assert len(some) == len(set(some))
