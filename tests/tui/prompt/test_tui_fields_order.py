"""Keys that come in one read mean in every field of one line, and in the palette's, what they mean one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Scripted, burst, idle
from textual.app import ComposeResult
from textual.command import CommandPalette
from textual.screen import ModalScreen
from textual.widgets import Input, TextArea
from waiting import wait_until

from tui.app import ChatApp
from tui.fields import OneLine, TextField
from tui.prompt.prompt import Prompt
from tui.screens.conversation_rows import Rows
from tui.screens.dialogs import AskText

SIZE = (80, 24)
BURSTS = {
    "backspace": (("abx", "backspace+", "c"), "abc"),
    "delete": (("ab", "left+", "delete+", "c"), "ac"),
    "ctrl+d": (("ab", "left+", "ctrl+d", "c"), "ac"),
    "left": (("ab", "left+", "c"), "acb"),
    "right": (("ab", "left+", "left+", "right+", "c"), "acb"),
    "home": (("ab", "home+", "c"), "cab"),
    "end": (("ab", "home+", "c", "end+", "d"), "cabd"),
    "ctrl+a": (("ab", "ctrl+a", "c"), "cab"),
    "ctrl+e": (("ab", "ctrl+a", "c", "ctrl+e", "d"), "cabd"),
    "ctrl+u": (("ab", "ctrl+u", "cd"), "cd"),
    "ctrl+k": (("ab", "home+", "ctrl+k", "cd"), "cd"),
    "ctrl+w": (("one two", "ctrl+w", "x"), "one x"),
    "ctrl+left": (("one two", "ctrl+left", "x"), "one xtwo"),
    "shift+left": (("abc", "shift+left", "x"), "abx"),
    "shift+home": (("abc", "shift+home", "x"), "x"),
    "alt+left": (("one two", "alt+left", "x"), "one xtwo"),
}
"""By the key that letters follow on: what comes in one read, and what is in the field then."""


class Asks(ModalScreen[None]):
    """A field, and nothing else."""

    def __init__(self, field: Input | TextArea) -> None:
        super().__init__()
        self.field = field

    def compose(self) -> ComposeResult:
        yield self.field


def chat(data: Path) -> ChatApp:
    return ChatApp(Scripted(data, ["Yes."], past=["one", "two"]))


def text(field: Input | TextArea) -> str:
    return field.value if isinstance(field, Input) else field.text


def clear(field: Input | TextArea) -> None:
    if isinstance(field, Input):
        field.value = ""
    else:
        field.load_text("")


def press(app: ChatApp, keys: tuple[str, ...]) -> None:
    """Keys that come in one read; one that ends in a plus is pressed, and no word."""
    for key in keys:
        if key.endswith("+"):
            app.simulate_key(key[:-1])
        else:
            burst(app, key)


@pytest.mark.parametrize("kind", ["one line", "many lines", "palette", "prompt"])
async def test_letters_do_not_overtake_a_key(kind: str, tmp_path: Path) -> None:
    app, found = chat(tmp_path), {}
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        field: Input | TextArea = app.query_one(Prompt)
        if kind == "palette":
            burst(app, "ctrl+p")
            await wait_until(lambda: isinstance(app.screen, CommandPalette) and isinstance(app.focused, Input))
            field = app.screen.query_one(Input)
        elif kind != "prompt":
            field = OneLine() if kind == "one line" else TextField()
            await app.push_screen(Asks(field))
            await wait_until(lambda: app.focused is field)
        for key, (keys, _) in BURSTS.items():
            clear(field)
            press(app, (*keys, "!"))
            await wait_until(lambda: "!" in text(field))
            found[key] = text(field).replace("!", "")
    assert found == {key: wanted for key, (_, wanted) in BURSTS.items()}


async def test_keys_of_the_search_of_conversations_keep_their_order(tmp_path: Path) -> None:
    """The first of them come to the list, which has the focus."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        burst(app, "ctrl+o")
        await wait_until(lambda: isinstance(app.focused, Rows))
        field = app.screen.query_one(Input)
        press(app, ("abx", "backspace+", "c", "left+", "!"))
        await wait_until(lambda: "!" in field.value)
        assert field.value == "ab!c"


@pytest.mark.parametrize("key", ["enter", "escape"])
async def test_what_follows_enter_and_escape_is_for_the_screen_below(key: str, tmp_path: Path) -> None:
    app, answers = chat(tmp_path), list[str | None]()
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        prompt = app.query_one(Prompt)
        await app.push_screen(AskText("What?"), answers.append)
        await wait_until(lambda: isinstance(app.focused, OneLine))
        burst(app, "ab", key, "cd")
        await wait_until(lambda: app._exception or prompt.text == "cd")
        assert answers == ["ab" if key == "enter" else None]
