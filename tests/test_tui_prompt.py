"""The prompt, its completions and its history, driven by keys and pastes."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from textual import events, on
from textual._xterm_parser import XTermParser
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.geometry import Offset
from textual.widgets import Footer, Input, OptionList, Static

from tui.clipboard import MAX_KEPT, MAX_LINE, MAX_SHOWN
from tui.completions import Completions
from tui.files import Matches, complete
from tui.history import MAX_BYTES, MAX_ENTRIES, MAX_ENTRY, History, Walk
from tui.prompt import Prompt
from tui.screens.history import MAX_ROWS, HistoryScreen

COMMANDS = [("help", "show the keys"), ("model", "choose [b]another[/b] model"), ("models", "list them"), ("new", "")]
SIZE = (80, 24)


async def wait_until(fact: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


class Desk(App[None]):
    """The prompt where it will stand, in an app that takes what is sent."""

    CSS = "#above { height: 1fr; }"
    BINDINGS = [Binding("escape", "stop", "stop")]  # noqa: RUF012

    def __init__(self, history: History | None = None) -> None:
        super().__init__()
        self.prompt = Prompt(history, placeholder="Write a message, Enter sends", id="prompt")
        self.prompt.commands = COMMANDS
        self.list = Completions()
        self.sent: list[str] = []
        self.stops = 0
        self.copied = ""

    def compose(self) -> ComposeResult:
        yield Static("transcript", id="above")
        yield self.list
        yield self.prompt
        yield Footer()

    def on_mount(self) -> None:
        self.prompt.focus()

    @on(Prompt.Submitted)
    def _submitted(self, event: Prompt.Submitted) -> None:
        self.sent.append(event.text)
        self.prompt.accept(event.text)

    def action_stop(self) -> None:
        self.stops += 1

    def copy_to_clipboard(self, text: str) -> None:
        super().copy_to_clipboard(text)
        self.copied = text

    def paste(self, text: str) -> None:
        """As the terminal's driver does it."""
        self.post_message(events.Paste(text))

    @property
    def rows(self) -> list[str]:
        """What the list shows."""
        return [str(option.prompt).strip() for option in self.list.options] if self.list.is_open else []


def screen_of(app: App) -> list[str]:
    return [strip.text for strip in app.screen._compositor.render_strips()]


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
        await pilot.press("ctrl+z")
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
        parser = XTermParser()
        assert [event.key for event in parser.feed(sequence) if isinstance(event, events.Key)] == ["alt+enter"]


async def test_a_paste_of_many_lines_arrives_in_one_piece() -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a")
        app.paste("1\r\n2\r3\n\n  4 [b]\t@x\n")
        await wait_until(lambda: app.prompt.text == "a1\n2\n3\n\n  4 [b]\t@x\n")
        assert app.sent == []
        await pilot.press("ctrl+z")
        assert app.prompt.text == "a"


async def test_a_large_paste_is_kept_aside() -> None:
    text = "0123456789\r\n" * 1_000_000
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a", "space")
        begun = time.monotonic()
        app.paste(text)
        await wait_until(lambda: app.prompt.text == "a [pasted text 1: 11,000,000 characters]")
        await pilot.press("space", "b")
        assert time.monotonic() - begun < 5
        app.paste("y" * MAX_SHOWN + "[pasted text 1: 11,000,000 characters]")
        await wait_until(lambda: "[pasted text 2" in app.prompt.text)
        await pilot.press("enter")
        await wait_until(lambda: app.sent)
        assert app.sent == [
            "a " + "0123456789\n" * 1_000_000 + " b" + "y" * MAX_SHOWN + "[pasted text 1: 11,000,000 characters]"
        ]
        assert len(app.prompt._pasted) == 0


async def test_a_marker_is_deleted_as_a_whole() -> None:
    app = Desk()
    async with app.run_test(size=SIZE) as pilot:
        for keys in (["backspace"], ["left", "left", "backspace"], ["home", "delete"], ["ctrl+w"]):
            app.prompt.load_text("")
            app.paste("z" * (MAX_LINE + 1))
            await wait_until(lambda: app.prompt.text.startswith("[pasted text 1"))
            await pilot.press(*keys)
            assert app.prompt.text == "", keys
            await pilot.press("ctrl+z")
            assert app.prompt.whole == "z" * (MAX_LINE + 1)
        await pilot.press("end", "left", "x")  # typed inside: behind it
        assert app.prompt.whole == "z" * (MAX_LINE + 1) + "x"
        await pilot.press("backspace", "backspace", "q", "enter")
        await wait_until(lambda: app.sent == ["q"])


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
        spins.wait(10)
        return complete(typed)

    monkeypatch.setattr("tui.completions.complete", slow)
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


# --- history ------------------------------------------------------------------------------


async def test_up_and_down_walk_through_what_was_sent_and_lose_nothing(tmp_path: Path) -> None:
    history = History(tmp_path / "h")
    for text in ("first", "line one\nline two", "/help"):
        history.add(text)
    app = Desk(history)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press(*"draft", "up")
        assert app.prompt.text == "/help"
        assert app.rows == []
        await pilot.press("up")
        assert app.prompt.text == "line one\nline two"
        await pilot.press("exclamation_mark", "up")
        assert app.prompt.text == "first"
        await pilot.press("up", "down")
        assert app.prompt.text == "line one!\nline two"  # what was changed is still there
        await pilot.press("up", "down", "up", "up")  # inside of it first
        assert app.prompt.text == "first"
        await pilot.press(*["down"] * 4)
        assert app.prompt.text == "draft"
        await pilot.press("down", "f", "t", "enter")
        await wait_until(lambda: app.sent == ["draftft"])
        await pilot.press("up")
        assert app.prompt.text == "draftft"
    assert History(tmp_path / "h").entries == ("first", "line one\nline two", "/help", "draftft")


async def test_up_in_a_wrapped_line_moves_the_cursor_first(tmp_path: Path) -> None:
    history = History(None)
    history.add("older")
    app = Desk(history)
    async with app.run_test(size=SIZE) as pilot:
        text = "word " * 30
        app.prompt.load_text(text)
        await wait_until(lambda: app.prompt.wrapped_document.height == 2)
        await pilot.press("up")
        assert app.prompt.text == text
        await pilot.press("up")
        assert app.prompt.text == "older"


async def test_a_draft_with_a_text_kept_aside_comes_back_whole() -> None:
    history = History(None)
    history.add("older")
    history.add("w" * (MAX_LINE + 1))
    app = Desk(history)
    async with app.run_test(size=SIZE) as pilot:
        app.paste("z" * (MAX_SHOWN + 1))
        await wait_until(lambda: app.prompt.text)
        await pilot.press("up", "up")
        assert app.prompt.text == "older"
        await pilot.press("down")
        assert app.prompt.whole == "w" * (MAX_LINE + 1)
        await pilot.press("down", "enter")
        await wait_until(lambda: app.sent == ["z" * (MAX_SHOWN + 1)])


def test_history_is_kept_without_repetitions(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "history"
    history = History(path)
    assert history.entries == ()
    for text in ("a", "a", "b\n  c", "a", "  \n", "half \ud800", "x" * (MAX_ENTRY + 1)):
        history.add(text)
    assert history.entries == ("a", "b\n  c", "a", "half \ud800")
    assert History(path).entries == history.entries
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().count(b"\n") == 4


def test_a_damaged_line_is_skipped_and_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_bytes(b'{"text": "a"}\n\xff\x00rubbish\n[1]\n"b"\n{"text": 3}\n' + b"[" * 100_000 + b'\n{"text": "cut')
    history = History(path)
    assert history.entries == ("a",)
    history.add("new")
    assert History(path).entries == ("a", "new")


def test_history_is_bounded_in_memory_and_on_disk(tmp_path: Path) -> None:
    many, large = tmp_path / "many", tmp_path / "large"
    history = History(many)
    for i in range(8 * MAX_ENTRIES):
        history.add(f"{i} " + "x" * 20)
    assert len(history.entries) == MAX_ENTRIES
    assert History(many).entries == history.entries
    assert many.stat().st_size < 8 * MAX_ENTRIES * 20
    history = History(large)
    for i in range(60):
        history.add(f"{i}" + "x" * 50_000)
    assert sum(map(len, history.entries)) <= MAX_BYTES
    assert history.entries[-1].startswith("59")
    assert History(large).entries == history.entries
    assert large.stat().st_size < 3 * MAX_BYTES
    assert [p.name for p in tmp_path.iterdir() if p.name not in ("many", "large")] == []


def test_a_place_where_nothing_can_be_kept_is_no_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for path in (Path("/dev/null/x"), Path("/proc/none/x"), tmp_path / "pipe", tmp_path / "directory", None):
        history = History(path)
        history.add("a")
        assert history.entries == ("a",)


def test_two_programs_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """They write at the same time, and each writes the file anew a few times."""
    path = tmp_path / "history"
    code = (
        "import sys; from tui.history import History; history = History(sys.argv[1])\n"
        "for i in range(300): history.add(f'{sys.argv[2]} {i} ' + 'x' * 50_000)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, path, name]) for name in ("a", "b")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    lines = path.read_bytes().splitlines()
    texts = [json.loads(line)["text"] for line in lines]  # none is damaged
    for name in ("a", "b"):
        numbers = [int(text.split()[1]) for text in texts if text.startswith(name + " ")]
        if numbers:  # the other may have been last for long
            assert numbers == list(range(numbers[0], 300))


def test_a_line_waits_for_who_writes_the_file_anew(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history = History(path)
    history.add("old")
    with path.open("rb") as other:  # a second program, which has the lock
        fcntl.flock(other, fcntl.LOCK_EX)
        adding = threading.Thread(target=history.add, args=("new",))
        adding.start()
        time.sleep(0.05)
        assert History(path).entries == ("old",)
        (tmp_path / "fresh").write_bytes(path.read_bytes())
        (tmp_path / "fresh").replace(path)
    adding.join()
    assert History(path).entries == ("old", "new")


def test_search() -> None:
    history = History(None)
    for text in ("Write a Poem", "straße", "a poem, shorter", "other", "Write a Poem"):
        history.add(text)
    assert history.search("poem a") == ["Write a Poem", "a poem, shorter"]
    assert history.search("STRASSE") == ["straße"]
    assert history.search(" ") == ["Write a Poem", "other", "a poem, shorter", "straße"]
    assert history.search("poem zzz") == []


def test_walk() -> None:
    walk = Walk(("a", "b"), "draft")
    assert walk.move(1, "draft") is None
    assert walk.move(-1, "draft!") == "b"
    assert walk.move(-1, "b") == "a"
    assert walk.move(-1, "a") is None
    assert walk.move(1, "a2") == "b"
    assert walk.move(1, "b") == "draft!"
    assert walk.move(-1, "draft!") == "b"
    assert walk.move(-1, "b") == "a2"


# --- the search screen --------------------------------------------------------------------


async def opened(app: Desk, history: History, start: str = "") -> list[str | None]:
    taken: list[str | None] = []
    app.push_screen(HistoryScreen(history, start), taken.append)
    await wait_until(lambda: isinstance(app.screen, HistoryScreen) and app.screen.query(Input))
    await wait_until(lambda: str(app.screen.query_one("#found", Static).content))
    return taken


async def test_the_search_screen_finds_and_takes() -> None:
    history = History(None)
    for text in ("Write a poem\nabout rain", "[red]markup[/] \x1b[2J", "another poem"):
        history.add(text)
    app = Desk(history)
    async with app.run_test(size=(60, 20)) as pilot:
        taken = await opened(app, history)
        assert app.screen.query_one(OptionList).option_count == 3
        await wait_until(lambda: any("[red]markup[/]" in line for line in screen_of(app)))
        assert not any("\x1b" in line for line in screen_of(app))
        await pilot.press(*"poem")
        await wait_until(lambda: app.screen.query_one(OptionList).option_count == 2)
        assert any("poem" in line for line in screen_of(app)[:5])  # what one types is seen
        await pilot.press("down", "enter")
        await wait_until(lambda: taken == ["Write a poem\nabout rain"])

        taken = await opened(app, history, "RAIN")
        assert app.screen.query_one(OptionList).option_count == 1
        await pilot.press("z")
        await wait_until(lambda: "Nothing has all" in str(app.screen.query_one("#found", Static).content))
        await pilot.press("enter", "up", "down", "pagedown")
        assert taken == []
        await pilot.press("escape")
        await wait_until(lambda: taken == [None])

        taken = await opened(app, history)
        await pilot.click(OptionList, offset=Offset(2, 1))
        await wait_until(lambda: taken == ["[red]markup[/] \x1b[2J"])

        taken = await opened(app, history)
        await pilot.click(offset=Offset(0, 0))  # beside the box
        await wait_until(lambda: taken == [None])


async def test_the_search_screen_says_what_it_leaves_out() -> None:
    history = History(None)
    app = Desk(history)
    async with app.run_test(size=SIZE) as pilot:
        taken = await opened(app, history)
        assert str(app.screen.query_one("#found", Static).content) == "Nothing was sent yet."
        await pilot.press("enter", "escape")
        await wait_until(lambda: taken == [None])
        for i in range(MAX_ENTRIES):
            history.add(f"entry {i}")
        await opened(app, history)
        assert app.screen.query_one(OptionList).option_count == MAX_ROWS
        assert "200 of 1,000" in str(app.screen.query_one("#found", Static).content)
