"""The prompt, its completions and its history, driven by keys and pastes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from desk import Desk, screen_of
from textual import events
from textual.app import ComposeResult
from textual.geometry import Offset
from textual.widgets.text_area import Selection
from waiting import PATIENCE, wait_until

from tui.prompt.completions import Completions
from tui.prompt.files import Matches, complete
from tui.prompt.history import History
from tui.terminal.clipboard import MAX_KEPT, MAX_LINE, MAX_LINES, MAX_SHOWN
from tui.terminal.input import TerminalParser

SIZE = (80, 24)


# --- writing and sending ------------------------------------------------------------------


async def test_enter_sends_and_other_keys_start_a_line() -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("enter", "a", "ctrl+j", "b", "shift+enter", "c", "alt+enter", "d")
        assert app.prompt.text == "a\nb\nc\nd"
        assert app.sent == []
        await pilot.press("enter")
        await wait_until(lambda: app.sent == ["a\nb\nc\nd"])
        await wait_until(lambda: app.prompt.text == "")
        await pilot.press("ctrl+underscore")
        assert app.prompt.text == ""


async def test_keys_that_come_at_once_are_done_in_order() -> None:
    app = Desk()
    async with app.run_test(size=SIZE):
        for key in ("a", "ctrl+j", "b", "ctrl+j", "c", "enter", "x"):
            app.simulate_key(key)
        await wait_until(lambda: app.sent == ["a\nb\nc"])
        for key in ("y", "home", "z", "end", "ctrl+w", "b", "left", "a", "enter"):
            app.simulate_key(key)
        await wait_until(lambda: app.sent[1:] == ["ab"])


def test_alt_enter_of_any_terminal_is_a_new_line() -> None:
    for sequence in ("\x1b\r", "\x1b[13;3u"):
        parser = TerminalParser()
        assert [event.key for event in parser.feed(sequence) if isinstance(event, events.Key)] == ["alt+enter"]


async def test_a_paste_of_many_lines_arrives_in_one_piece() -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a")
        app.paste("1\r\n2\r3\n\n  4 [b]\t@x\n")
        await wait_until(lambda: app.prompt.text == "a1\n2\n3\n\n  4 [b]\t@x\n")
        assert app.sent == []
        await pilot.press("ctrl+underscore")
        assert app.prompt.text == "a"


async def test_a_large_paste_is_kept_aside() -> None:
    text = "0123456789\r\n" * 1_000_000
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a", "space")
        app.paste(text)
        await wait_until(lambda: app.prompt.text == "a [pasted text 1: 11,000,000 characters]")
        await pilot.press("space", "b")
        assert app.prompt.text.endswith(" b")
        app.paste("y" * MAX_SHOWN + "[pasted text 1: 11,000,000 characters]")
        await wait_until(lambda: "[pasted text 2" in app.prompt.text)
        await pilot.press("enter")
        await wait_until(lambda: app.sent)
        assert app.sent == [
            "a " + "0123456789\n" * 1_000_000 + " b" + "y" * MAX_SHOWN + "[pasted text 1: 11,000,000 characters]"
        ]
        assert len(app.prompt._pasted) == 0


async def test_a_paste_of_many_lines_folds() -> None:
    """A8: 500 lines are one line in the prompt, whole when they are sent, and unfolded by Tab."""
    text = "".join(f"line {i}\r\n" for i in range(500))
    whole = text.replace("\r\n", "\n")
    app = Desk(History(None))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("s", "e", "e", "space")
        app.paste("x\n" * MAX_LINES)
        await wait_until(lambda: app.prompt.text == "see " + "x\n" * MAX_LINES)
        app.prompt.load_text("see ")
        app.paste(text)
        await wait_until(lambda: app.prompt.text == "see [pasted text 1: 500 lines]")
        await wait_until(lambda: any("Tab" in n.message for n in app._notifications))
        assert app.prompt.whole == "see " + whole
        await pilot.press("tab")
        assert app.prompt.text == "see " + whole
        await pilot.press("ctrl+underscore")
        assert app.prompt.text == "see [pasted text 1: 500 lines]"
        await pilot.press("left", "tab", "z", "enter")
        await wait_until(lambda: app.sent == ["see " + whole + "z"])
        app.paste("y" * (MAX_LINE + 1))
        await wait_until(lambda: app.prompt.text.startswith("[pasted text 1"))
        await pilot.press("tab")
        await wait_until(lambda: any("too long" in n.message for n in app._notifications))
        assert app.prompt.has_focus
        await pilot.press("home", "tab")
        assert app.prompt.text.startswith("[pasted text 1")
        await pilot.press("end", "up")  # what was sent before is shown whole: it is there to be edited
        assert app.prompt.text == "see " + whole + "z"


async def test_a_marker_is_deleted_as_a_whole() -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        for keys in (["backspace"], ["left", "left", "backspace"], ["home", "delete"], ["ctrl+w"]):
            app.prompt.load_text("")
            app.paste("z" * (MAX_LINE + 1))
            await wait_until(lambda: app.prompt.text.startswith("[pasted text 1"))
            await pilot.press(*keys)
            assert app.prompt.text == "", keys
            await pilot.press("ctrl+underscore")
            assert app.prompt.whole == "z" * (MAX_LINE + 1)
        await pilot.press("end", "left", "x")  # typed inside: behind it
        assert app.prompt.whole == "z" * (MAX_LINE + 1) + "x"
        await pilot.press("backspace", "backspace", "q", "enter")
        await wait_until(lambda: app.sent == ["q"])


@pytest.mark.parametrize("key", ["ctrl+c", "super+c", "ctrl+x"])
async def test_of_a_marker_that_is_selected_in_part_all_is_copied(key: str) -> None:
    app, text = Desk(), "z" * (MAX_LINE + 1)
    async with app.run_test(size=SIZE) as pilot:
        app.paste(text)
        await wait_until(lambda: app.prompt.text.startswith("[pasted text 1"))
        for first, last in (((0, 0), (0, 4)), ((0, 4), (0, 8)), ((0, 8), (0, 3))):
            app.copy_to_clipboard("")
            app.prompt.selection = Selection(first, last)
            await pilot.press(key)
            await wait_until(lambda: app.clipboard == text)
            if key == "ctrl+x":
                await pilot.press("ctrl+v")
        await pilot.press("ctrl+x", "ctrl+v")
        assert app.prompt.whole == text


async def test_what_is_kept_aside_is_limited() -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        app.paste("z" * (MAX_KEPT // 2 + 1))
        await wait_until(lambda: "[pasted text 1" in app.prompt.text)
        app.paste("z" * (MAX_KEPT // 2 + 1))
        await wait_until(lambda: any("no room" in n.message for n in app._notifications))
        assert "[pasted text 2" not in app.prompt.text
        await pilot.press("backspace")
        app.paste("y" * (MAX_KEPT // 2 + 1))
        await wait_until(lambda: app.prompt.text)
        assert app.prompt.whole[0] == "y"
        assert len(app.prompt._pasted) == 1


async def test_what_a_terminal_would_obey_is_not_drawn() -> None:
    app = Desk()
    async with app.run_test(size=SIZE):
        text = "a\x1b[2Jb \u202egnp.exe\x07 end"
        app.paste(text)
        await wait_until(lambda: any("gnp.exe" in line for line in screen_of(app)))
        shown = "".join(screen_of(app))
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)
        assert app.prompt.text == text


async def test_dropped_files_become_mentions(tmp_path: Path) -> None:
    (tmp_path / "a b.txt").write_text("x")
    app = Desk()
    async with app.run_test(size=SIZE):
        app.paste(f"'{tmp_path}/a b.txt' ")
        await wait_until(lambda: app.prompt.text == f'@"{tmp_path}/a b.txt" ')


async def test_copy_or_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_TTY", "/dev/pts/0")  # the terminal's clipboard, not this computer's
    monkeypatch.setenv("TERM", "xterm-kitty")  # which takes it
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+c")
        assert app.stops == 1
        await pilot.press("h", "i", "f7", "ctrl+c")
        await wait_until(lambda: app.copied == "hi" and any("Copied 2" in n.message for n in app._notifications))
        assert app.stops == 1
        app.paste("z" * (MAX_SHOWN + 1))
        await wait_until(lambda: app.prompt.text.startswith("[pasted"))
        await pilot.press("f7", "ctrl+x")
        await wait_until(lambda: app.copied == "z" * (MAX_SHOWN + 1))
        assert app.prompt.text == ""
        await pilot.press("escape")
        assert app.stops == 2


# --- completion ---------------------------------------------------------------------------


async def test_commands_are_offered_and_completed() -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash")
        assert [row.split()[0] for row in app.rows] == ["/help", "/model", "/models", "/new"]
        assert app.list.region.bottom == app.prompt.region.y
        assert any("choose [b]another[/b] model" in line for line in screen_of(app))
        await pilot.press("m")
        assert [row.split()[0] for row in app.rows] == ["/model", "/models"]
        await pilot.press("down", "tab")
        assert app.prompt.text == "/models "
        assert app.rows == []
        await pilot.press("enter")
        await wait_until(lambda: app.sent == ["/models "])


async def test_enter_completes_what_is_not_complete_and_sends_what_is() -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", "h", "enter")
        assert (app.prompt.text, app.sent) == ("/help ", [])
        app.prompt.load_text("")
        await pilot.press(*["slash", *"model"])
        assert app.rows
        await pilot.press("enter")
        await wait_until(lambda: app.sent == ["/model"])
        for key in ("/", "n", "enter", "x", "enter"):  # faster than a screen is drawn
            app.simulate_key(key)
        await wait_until(lambda: app.sent == ["/model", "/new x"])
        for typed in ("/HELP", "/Model"):  # in other capitals it is complete, too, and so is one that others begin like
            app.prompt.load_text("")
            await pilot.press(*typed, "enter")
            await wait_until(lambda typed=typed: app.sent[-1] == typed)  # type: ignore[misc]


async def test_escape_closes_the_list_and_then_is_the_apps() -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", "m", "escape")
        assert (app.rows, app.stops, app.prompt.text) == ([], 0, "/m")
        await pilot.press("o")
        assert app.rows == []  # closed for this word
        await pilot.press("tab")
        assert len(app.rows) == 2
        await pilot.press("escape", "escape")
        assert app.stops == 1
        await pilot.press("enter")
        await wait_until(lambda: app.sent == ["/mo"])


async def test_the_list_closes_when_the_keys_are_elsewhere() -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("slash", "h")
        assert app.rows
        app.screen.set_focus(None)
        await wait_until(lambda: not app.rows)


@pytest.mark.parametrize("text", ["//help", "/zzz", "/model x", "a /h", "/h\n", " /h"])
async def test_where_no_command_is_offered(text: str) -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        app.paste(text)
        await wait_until(lambda: app.prompt.text == text)
        assert app.rows == []
        await pilot.press("enter")
        await wait_until(lambda: app.sent == [text])


async def test_the_list_scrolls_and_takes_a_click() -> None:
    app = Desk()
    app.prompt.commands = [(f"c{i:02}", "does " + "much " * 40) for i in range(30)]
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.press("slash")
        await wait_until(lambda: app.list.size.height == 8)
        await pilot.press(*["down"] * 11)
        await wait_until(lambda: app.list.scroll_y == 4)
        await pilot.press("up", *["down"])
        await wait_until(lambda: any("/c11" in line for line in screen_of(app)))
        await pilot.click(Completions, offset=Offset(3, 1))
        await wait_until(lambda: app.prompt.text == "/c05 ")
        assert app.prompt.has_focus
        await pilot.press("x")
        assert app.prompt.text == "/c05 x"


async def test_the_list_says_that_there_is_more() -> None:
    """A8: how many rows are above and below; nothing where all are seen."""
    app = Desk()
    app.prompt.commands = [(f"c{i:02}", "") for i in range(30)]
    async with app.run_test(size=(60, 20)) as pilot:

        def shown() -> str:
            below = screen_of(app)[app.list.region.bottom - 1]
            return " ".join(below.split()).strip()

        await pilot.press("slash")
        await wait_until(lambda: shown() == "↓ 22 more")
        await pilot.press(*["down"] * 11)
        await wait_until(lambda: shown() == "↑ 4 more ↓ 18 more")
        await pilot.press("up", *["down"] * 19)
        await wait_until(lambda: shown() == "↑ 22 more")
        await pilot.press("c", "1")
        await wait_until(lambda: shown() == "↓ 2 more" and len(app.rows) == 10)
        await pilot.press("0")
        await wait_until(lambda: len(app.rows) == 1 and shown() == "/c10")


async def test_paths_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my notes").mkdir()
    (tmp_path / "my notes" / "one [b].md").touch()
    (tmp_path / "main.py").touch()
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a", "ctrl+j", "space", "@")
        await wait_until(lambda: app.rows == ["main.py", "my notes/"])
        await pilot.press("m", "y")
        await wait_until(lambda: app.rows == ["my notes/"])
        await pilot.press("tab")
        assert app.prompt.text == 'a\n @"my notes/'
        await wait_until(lambda: app.rows == ["one [b].md"])
        await pilot.press("enter")
        assert app.prompt.text == 'a\n @"my notes/one [b].md" '
        await pilot.press("@", "z", "z")
        await wait_until(lambda: not app.list._scanning and not app.rows)
        await pilot.press("tab")
        assert app.prompt.has_focus
        await pilot.press("enter")
        await wait_until(lambda: app.sent == ['a\n @"my notes/one [b].md" @zz'])


async def test_a_slow_disk_answers_for_the_word_that_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ab", "ax"):
        (tmp_path / name).touch()
    spins = threading.Event()

    def slow(typed: str) -> Matches:
        spins.wait(PATIENCE)
        return complete(typed)

    monkeypatch.setattr("tui.prompt.completions.complete", slow)
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("@")
        await pilot.press("a")
        spins.set()
        await wait_until(lambda: app.rows == ["ab", "ax"] and not app.list._scanning)
        spins.clear()
        await pilot.press("x", "tab")  # the list is still of what was there before
        assert app.prompt.text == "@ax"
        await pilot.press("backspace", "b")
        spins.set()
        await wait_until(lambda: app.rows == ["ab"] and not app.list._scanning)
        spins.clear()
        await pilot.press("backspace", "space", "x", "enter")
        await wait_until(lambda: app.sent == ["@a x"])
        spins.set()
        await wait_until(lambda: not app.list._scanning)
        assert app.rows == []


async def test_a_prompt_without_a_list_and_a_history() -> None:
    class Bare(Desk):
        def compose(self) -> ComposeResult:
            yield self.prompt

    app = Bare()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("up", "down", "slash", "m", "tab", "escape", "enter")
        await wait_until(lambda: app.sent == ["/m"])
