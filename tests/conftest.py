"""Fixtures: the embedded model, the goldens, and random checkpoints of any shape."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest
import textual.app
import textual.css.stylesheet
import textual.message_pump
import textual.pilot

sys.path.insert(0, str(Path(__file__).parent))

import rooms
from hub_server import closed, home, hub, server
from logged import log
from sessions import begin_sessions, read_in_small_steps
from stores import chat, store
from waiting import PATIENCE, WatchedQueue, get_watched_message, until_idle

import rgmlx
from rgmlx.system import threads
from tui import conversation_view
from tui.terminal import terminals

# Fixtures for all tests.
__all__ = ["begin_sessions", "chat", "closed", "home", "hub", "log", "read_in_small_steps", "server", "store"]


def _nothing(*_: object) -> None:
    """What a signal does here that was ignored; a program that is begun has it as the system does."""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """A name that can be read, where a value is long."""
    if isinstance(val, (str, bytes, int)) and len(text := str(val)) > 120:
        return f"{argname} of {len(text):,}"
    return None


# A key is over when what it set off is over, however busy the machine.
textual.message_pump.Queue = WatchedQueue
textual.message_pump.MessagePump._get_message = get_watched_message
textual.app.wait_for_idle = textual.pilot.wait_for_idle = until_idle
_click = textual.pilot.Pilot.click


async def click_at_rest(pilot: textual.pilot.Pilot, *arguments: object, **settings: object) -> bool:
    """A click is for the place of a widget, once it is there."""
    await pilot._wait_for_screen()
    await until_idle()
    return await _click(pilot, *arguments, **settings)


textual.pilot.Pilot.click = click_at_rest

_parse_rules = textual.css.stylesheet.Stylesheet._parse_rules
_parsed: dict[Any, Any] = {}


def parse_rules_once(
    sheet: textual.css.stylesheet.Stylesheet, css: str, read_from: Any, *source: Any, **more: Any
) -> list[Any]:
    """Each app has the same styles."""
    key = css, read_from, source, *more.items(), frozenset(sheet._variables.items())
    if key not in _parsed:
        _parsed[key] = _parse_rules(sheet, css, read_from, *source, **more)
    return _parsed[key]  # type: ignore[no-any-return]


textual.css.stylesheet.Stylesheet._parse_rules = parse_rules_once  # type: ignore[method-assign]

conversation_view.REFUSED_SECONDS = 2 * PATIENCE  # however late a test looks

GC_THRESHOLDS = 20_000, 20, 20
"""Containers that are made before it looks at the newest ones, and so on: an app makes more than Python's 700 at a key."""

# What a shell starts in the background, or nohup does, ignores these, and so would all programs that a test begins.
for ignored in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(ignored) is signal.SIG_IGN:
        signal.signal(ignored, signal.default_int_handler if ignored == signal.SIGINT else _nothing)

# Exact arithmetic is compared here, to a millionth: on a GPU as well as on a CPU that would test exp and TF32 more
# than us. The GPU's own tests are in test_device.py.
mx.set_default_device(mx.cpu)


def pytest_collection_finish() -> None:
    """What is imported and collected by now stays: the garbage collector need not look at it after each few tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@pytest.fixture(autouse=True)
def no_terminal_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are shown as on Linux, whatever the tests run in."""
    monkeypatch.setattr(terminals, "PLATFORM", "linux")
    for name in ("TERM_PROGRAM", "LC_TERMINAL", "KITTY_WINDOW_ID", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    if os.environ.get("TERM") == "xterm-kitty":
        monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """NumPy's products by one thread, as in a forward pass: others would wait for a core by spinning, beside more tests."""
    with threads.limited():
        yield


@pytest.fixture(scope="session")
def demo() -> rgmlx.Model:
    return rgmlx.load("demo")


@pytest.fixture(scope="session")
def tiny() -> rgmlx.Model:
    """The random golden checkpoint, which has no tokenizer."""
    return rgmlx.load(rooms.TESTS / "goldens" / "tiny", dtype="float32")
