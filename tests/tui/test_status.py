"""The status line: what of it stays where there is little room, and how much of the exact window is said to be in use."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Held, Scripted, command, idle, line, notices, screen, type_and_send
from scripted import session as real_session
from waiting import wait_until

from rgmlx.conversation.metrics import Metrics
from tui.activity import Activity
from tui.app import ChatApp
from tui.operations import describe
from tui.status import CELLS, Position, position_label, status_line, window_bar

WINDOW = 2047


@pytest.mark.parametrize("position", [0, 1, 409, 410, 1234, 2046, 2047, 2048, 10**9])
def test_the_bar_is_never_ahead_of_what_is_used(position: int) -> None:
    bar = window_bar(position, WINDOW)
    if position >= WINDOW:
        assert bar == "full"
        return
    used = bar.count("█")
    assert bar == "█" * used + "░" * (CELLS - used)
    assert used * WINDOW <= position * CELLS < (used + 1) * WINDOW


FULL = Metrics(635_000, 1234, WINDOW, 0, 142_000_000, 31.0, 0.4)
SHOWN = {
    (110, ""): "Griff  ·  memory 0.6 MB, always  ·  1,234 tokens, window ███░░  ·  31 tok/s  ·  first token 0.4 s",
    (80, ""): "Griff  ·  memory 0.6 MB, always  ·  1,234 tokens, window ███░░  ·  31 tok/s",
    (80, "writing ..."): "Griff  ·  memory 0.6 MB, always  ·  1,234 tokens, window ███░░  ·  writing ...",
    (60, ""): "Griff  ·  memory 0.6 MB, always  ·  1,234 tokens",
    (60, "writing ..."): "Griff  ·  memory 0.6 MB, always  ·  writing ...",
    (40, ""): "Griff  ·  memory 0.6 MB, always",
    (3, ""): "Griff",
}


@pytest.mark.parametrize(("columns", "doing"), SHOWN)
def test_the_window_gives_way_before_the_tokens_do(columns: int, doing: str) -> None:
    assert status_line("demo", FULL, doing, "", columns - 2) == SHOWN[columns, doing]


def test_a_window_alone_says_nothing() -> None:
    """Without its tokens, which did not fit or are of another conversation."""
    for width in range(120):
        shown = status_line("demo", FULL, "", "", width)
        assert ("window" in shown) <= ("tokens" in shown) and (len(shown) <= width or shown == "Griff")
    assert "tokens" not in status_line("demo", FULL, "", "", 110, here=False)
    assert "window" not in status_line("demo", Metrics(position=5), "", "", 110), "no model has said how large it is"


BACK = Position("Turn 4 of 5", further=True, reread="1,234 tokens re-read, 12 ms")
ABOVE = {
    (140, True): "Turn 4 of 5, Alt+↓ goes forward  ·  sending begins a branch  ·  Cut short: Ctrl+G goes on with it"
    "  ·  1,234 tokens re-read, 12 ms",
    (100, True): "Turn 4 of 5, Alt+↓ goes forward  ·  sending begins a branch  ·  Cut short: Ctrl+G goes on with it",
    (80, True): "Turn 4 of 5  ·  sending begins a branch  ·  Cut short: Ctrl+G goes on with it",
    (70, True): "Turn 4 of 5, Alt+↓ goes forward  ·  sending begins a branch",
    (80, False): "Turn 4 of 5, Alt+↓ goes forward  ·  sending begins a branch",
    (50, False): "Turn 4 of 5  ·  sending begins a branch",
    (35, False): "Turn 4 of 5, Alt+↓ goes forward",
    (20, False): "Turn 4 of 5",
}


@pytest.mark.parametrize(("columns", "cut_short"), ABOVE)
def test_no_part_of_the_line_above_the_prompt_is_cut(columns: int, cut_short: bool) -> None:
    """What stands at the foot as well gives way first, so that no key is cut away from what it does."""
    assert position_label(BACK, None, columns - 2, cut_short=cut_short) == ABOVE[columns, cut_short]


async def test_it_follows_a_reply_and_is_of_this_conversation(tmp_path: Path) -> None:
    session = Held(tmp_path, ["word "] * 6)
    session.metrics.window, session.metrics.position = WINDOW, 100
    app = ChatApp(session)
    async with app.run_test(size=(110, 24)):
        await wait_until(lambda: idle(app) and "100 tokens, window ░░░░░" in line(app, "#status"))
        await type_and_send(app, "go")
        await wait_until(lambda: app.activity is Activity.WRITING)
        session.metrics.position = 1900
        await wait_until(lambda: "1,900 tokens, window ████░" in line(app, "#status"))
        session.metrics.position = 2300
        await wait_until(lambda: any("2,300 tokens, window full" in row for row in screen(app)))
        app.simulate_key("ctrl+n")
        await wait_until(lambda: app.activity is Activity.BEHIND and "tokens" not in line(app, "#status"))
        session.go_on.set()
        await wait_until(lambda: idle(app))


def test_info_says_it_in_words(tmp_path: Path) -> None:
    session = Scripted(tmp_path)
    said = [(0, 0), (1234, WINDOW), (WINDOW, WINDOW), (5047, WINDOW)]
    lines = []
    for session.metrics.position, session.metrics.window in said:
        lines += [text for text in describe(session) if text.startswith("Window: ")]
    assert lines == [
        "Window: no model is loaded",
        "Window: 1,234 of 2,047 tokens in use, 60 %; all that was said is remembered word by word",
        "Window: 2,047 of 2,047 tokens in use, 100 %; all that was said is remembered word by word",
        "Window: full, 2,047 tokens word by word; 3,000 older ones are in gist",
    ]


async def test_it_is_that_of_the_model(tmp_path: Path) -> None:
    session = real_session(tmp_path, max_tokens=4)
    app = ChatApp(session)
    async with app.run_test(size=(110, 24)):
        await wait_until(lambda: idle(app))
        await type_and_send(app, "Hello")
        await wait_until(lambda: idle(app) and " tokens, window ░░░░░" in line(app, "#status"))
        await command(app, "/info")
        await wait_until(lambda: f"Window: {session.metrics.position} of 2,047 tokens in use" in notices(app))
