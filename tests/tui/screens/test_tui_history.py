"""Messages that were sent before: kept, gone through with the arrows, searched."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from desk import Desk, screen_of
from textual.geometry import Offset
from textual.widgets import Input, OptionList, Static
from waiting import PATIENCE, wait_until

from tui.prompt.history import MAX_BYTES, MAX_ENTRIES, MAX_ENTRY, History, Walk
from tui.screens.history import HistoryScreen
from tui.screens.picker import MAX_ROWS
from tui.terminal.clipboard import MAX_LINE, MAX_SHOWN

SIZE = (80, 24)


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
        "import sys; from tui.prompt.history import History; history = History(sys.argv[1])\n"
        "for i in range(300): history.add(f'{sys.argv[2]} {i} ' + 'x' * 50_000)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, path, name]) for name in ("a", "b")]
    assert [writer.wait(PATIENCE) for writer in writers] == [0, 0]
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
