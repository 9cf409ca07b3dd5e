"""Text that is selected with the mouse: copied as its button is released, or a hint at how; what is said of it is so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from macs import Mac, linux, mac
from scripted import Scripted
from test_keyboard import SIZE, ready, select, told
from textual.widgets import TextArea
from waiting import wait_until

from tui.app import ChatApp
from tui.prompt.prompt import Prompt
from tui.selecting import HINT
from tui.settings.settings import Defaults
from tui.terminal import clipboard

__all__ = ["linux", "mac"]

PBCOPY = 'cat > "$0.got"; printf "%s|%s" "$LC_ALL" "$LC_CTYPE" > "$0.locale"'


def chat(data: Path, **settings: Any) -> ChatApp:
    return ChatApp(Scripted(data, past=["What did you say?", "These words, naïve, and no others"]), **settings)


async def test_on_a_mac_the_release_of_the_button_copies(mac: Mac, tmp_path: Path) -> None:
    mac.program("pbcopy", PBCOPY)
    app = chat(tmp_path / "data")
    async with app.run_test(size=SIZE) as pilot:
        await ready(app)
        for words in ("These words", "naïve"):
            await select(app, pilot, words)
            size = f"Copied {len(words)} characters."
            await wait_until(lambda size=size: size in told(app))
            assert (mac.bin / "pbcopy.got").read_text() == words
            assert app.screen.get_selected_text() == words  # it stays to be seen
        await pilot.click("#status")  # which selects nothing
        assert app.screen.get_selected_text() is None
        await select(app, pilot, "naïve")  # once more
        await wait_until(lambda: len(mac.calls("pbcopy")) == 3)
        assert HINT not in told(app)


@pytest.mark.parametrize("where", ["elsewhere", "over SSH", "switched off"])
async def test_else_the_first_selection_says_which_key_copies(
    where: str, mac: Mac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mac.program("pbcopy", PBCOPY)
    if where == "elsewhere":
        monkeypatch.setattr("rgmlx.system.macos.here", lambda: False)
        monkeypatch.delenv("DISPLAY", raising=False)
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    elif where == "over SSH":
        monkeypatch.setenv("SSH_TTY", "/dev/pts/1")
    app = chat(tmp_path / "data", defaults=Defaults(copy_on_select=False if where == "switched off" else None))
    sent: list[str] = []
    monkeypatch.setattr(ChatApp, "copy_to_clipboard", lambda app, text: sent.append(text))
    async with app.run_test(size=SIZE) as pilot:
        await ready(app)
        await select(app, pilot, "These words")
        await wait_until(lambda: told(app) == [HINT])
        app.clear_notifications()
        await select(app, pilot, "naïve")
        app.simulate_key("ctrl+c")  # as the hint says
        await wait_until(lambda: told(app))
        assert HINT not in told(app) and "5 characters" in told(app)[0]
        assert sent == (["naïve"] if where != "switched off" else [])
        assert len(mac.calls("pbcopy")) == (where == "switched off")


async def test_it_can_be_switched_on_everywhere(linux: Mac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    sent: list[str] = []
    monkeypatch.setattr(ChatApp, "copy_to_clipboard", lambda app, text: sent.append(text))
    app = chat(tmp_path / "data", defaults=Defaults(copy_on_select=True))
    async with app.run_test(size=SIZE) as pilot:
        await ready(app)
        await select(app, pilot, "These words")
        await wait_until(lambda: sent == ["These words"])


async def test_what_is_selected_in_the_prompt_is_left_to_its_key(mac: Mac, tmp_path: Path) -> None:
    """It is often about to be replaced by what is on the clipboard."""
    mac.program("pbcopy", PBCOPY)
    app = chat(tmp_path / "data")
    async with app.run_test(size=SIZE) as pilot:
        prompt = await ready(app)
        prompt.insert("a draft of mine")
        await pilot.mouse_down(TextArea, offset=(2, 1))
        await pilot.hover(TextArea, offset=(9, 1))
        await pilot.mouse_up(TextArea, offset=(9, 1))
        await wait_until(lambda: prompt.selected_text)
        app.simulate_key("ctrl+c")
        await wait_until(lambda: told(app))
        assert len(mac.calls("pbcopy")) == len(told(app)) == 1


# --- what is said of it -------------------------------------------------------------------


class Terminal:
    def copy_to_clipboard(self, text: str) -> None:
        self.sent = text


def test_pbcopy_is_given_utf_8_in_every_locale(mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    mac.program("pbcopy", PBCOPY)
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("LC_CTYPE", "de_DE.ISO8859-1")
    assert clipboard.copy(Terminal(), "日本") == "Copied 2 characters."  # type: ignore[arg-type]
    assert (mac.bin / "pbcopy.got").read_text(encoding="utf-8") == "日本"
    assert (mac.bin / "pbcopy.locale").read_text() == "|UTF-8"


ASKED = "Sent 2 characters to the terminal, which puts them on the clipboard if it can."
DROPPED = (
    "Sent 2 characters to the terminal (Terminal.app does not take it): hold Fn while you select, then press Cmd+C."
)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TERM_PROGRAM": "Apple_Terminal", "TERM": "xterm-256color"}, DROPPED),
        ({"TERM": "xterm-256color"}, ASKED),  # of Terminal.app, which SSH names as little as others
        ({"LC_TERMINAL": "iTerm2", "TERM": "xterm-256color"}, ASKED),  # where the user may have allowed it
        ({"TERM": "xterm-kitty"}, "Copied 2 characters."),
        ({"TERM": "xterm-ghostty"}, "Copied 2 characters."),
        ({"TERM_PROGRAM": "WezTerm", "TERM": "xterm-256color"}, "Copied 2 characters."),
        ({"TERM": "foot"}, "Copied 2 characters."),
        ({"TMUX": "/tmp/x", "TERM": "tmux-256color"}, "Sent 2 characters to tmux"),
    ],
)
def test_copied_is_said_where_it_is_so(
    environment: dict[str, str], said: str, mac: Mac, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over SSH: a local Mac has pbcopy."""
    mac.program("pbcopy", PBCOPY)
    for name in ("TERM", "TERM_PROGRAM", "LC_TERMINAL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {**environment, "SSH_TTY": "/dev/ttys001"}.items():
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    assert clipboard.copy(terminal, "ab").startswith(said)  # type: ignore[arg-type]
    assert terminal.sent == "ab" and not mac.calls("pbcopy")


@pytest.mark.parametrize("focus", ["the prompt", "nowhere"])
async def test_cmd_c_copies_what_is_selected_and_does_nothing_else(
    focus: str, mac: Mac, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a terminal passes it on: never what Ctrl+C does where nothing is selected."""
    mac.program("pbcopy", PBCOPY)
    app = chat(tmp_path / "data", defaults=Defaults(copy_on_select=False))
    stopped: list[str] = []

    async def stop() -> None:
        stopped.append("stopped")

    monkeypatch.setattr(app, "action_stop", stop)
    async with app.run_test(size=SIZE) as pilot:
        await ready(app)
        prompt = app.query_one(Prompt)
        prompt.load_text("one two")
        app.screen.set_focus(prompt if focus == "the prompt" else None)
        await pilot.press("super+c")
        assert prompt.text == "one two" and not mac.calls("pbcopy")
        await select(app, pilot, "naïve")
        app.screen.set_focus(prompt if focus == "the prompt" else None)
        await pilot.press("super+c")
        await wait_until(lambda: "Copied 5 characters." in told(app))
        assert (mac.bin / "pbcopy.got").read_text() == "naïve"
        await pilot.press("super+left")  # the prompt's, wherever the focus was
        assert prompt.cursor_location == (0, 0) and prompt.text == "one two" and not stopped
