"""Pictures of every screen, compared with those in `__snapshots__`: small, usual and large, dark and light.

Knows what to show; how it should look is for people to judge: look at a new picture before it is kept. `pytest
tests/test_tui_snapshots.py --snapshot-update` makes them again. Conversations are real ones, in a real store; only the
model is scripted, and time stands still.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scripted import Scripted, idle, type_and_send
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static, TextArea
from waiting import PATIENCE, wait_until

from rgmlx.conversation.context import Horizon
from rgmlx.conversation.metrics import Metrics
from rgmlx.convert.obtain import Access
from rgmlx.errors import RgmlxError
from rgmlx.weights.catalog import Installed
from rgmlx.weights.parts import Cancelled
from tui.app import ChatApp
from tui.commands import COMMANDS
from tui.getting import Getting
from tui.prompt.completions import Completions
from tui.prompt.history import History
from tui.prompt.prompt import Prompt
from tui.screens.conversation_rows import Rows
from tui.screens.conversations import ConversationsScreen
from tui.screens.dialogs import AskText, Confirm
from tui.screens.guide import GuideScreen
from tui.screens.help import HelpScreen
from tui.screens.history import HistoryScreen
from tui.screens.models import ModelsScreen
from tui.screens.queue import QueueScreen
from tui.screens.settings import SettingsScreen
from tui.screens.token import AskToken
from tui.screens.tree import TreeScreen
from tui.settings.settings import Defaults
from tui.transcript.reply import HorizonLine, Notice, ReplyMessage

DRAWN_BY = {"textual": "8.2.8", "rich": "15.0.0"}
"""With others lines and colours are a little different, and nothing is wrong."""
pytestmark = pytest.mark.skipif(
    any(version(name) != number for name, number in DRAWN_BY.items()),
    reason="the pictures are of Textual 8.2.8 with Rich 15.0.0",
)

SIZES = {"60x20": (60, 20), "80x24": (80, 24), "110x32": (110, 32)}


def drawn(*cases: str) -> pytest.MarkDecorator:
    """Draws a test's picture in each of these sizes and themes, such as 80x24-light."""
    return pytest.mark.parametrize("picture", cases, indirect=True)


seen = drawn(*(f"{size}-{theme}" for size in SIZES for theme in ("dark", "light")))

NOON = datetime(2026, 3, 14, 12, 0, tzinfo=UTC).timestamp()
HOUR, DAY = 3600.0, 86400.0

Picture = Callable[..., None]
Before = Callable[[Pilot[None]], Awaitable[None]]

ANSWER = """\
Otters are **playful** animals. They

- sleep on their backs and hold hands,
- use stones as *tools*,
- eat a quarter of their weight a day.

| Otter | Length | Weight |
|-------|-------:|-------:|
| sea   |  1.4 m |  40 kg |
| river |  1.1 m |  11 kg |

```python
def fish(weight: float) -> float:
    # what an otter eats a day
    return weight / 4
```
"""


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now, self.seconds = NOON, 100.0

    def time(self) -> float:
        return self.now

    def localtime(self, seconds: float | None = None) -> Any:
        return time.gmtime(self.now if seconds is None else seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Time stands still, at noon in Greenwich, on a terminal with colours."""
    made = Clock()
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")  # commands by their names
    time.tzset()
    monkeypatch.setattr(time, "time", made.time)
    monkeypatch.setattr(time, "localtime", made.localtime)
    # What durations are measured with, in the chat only: asyncio needs the real one.
    measured = SimpleNamespace(**vars(time) | {"monotonic": lambda: made.seconds})
    for name, module in list(sys.modules.items()):
        if name.startswith("tui.") and getattr(module, "time", None) is time:
            monkeypatch.setattr(module, "time", measured)
        if name.startswith("tui.") and hasattr(module, "resident_bytes"):
            monkeypatch.setattr(module, "resident_bytes", lambda: 0)
    yield made
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def picture(request: pytest.FixtureRequest, snap_compare: Callable[..., bool]) -> Picture:
    """Starts the chat with a session, does something there, and compares the picture."""
    size, _, theme = request.param.partition("-")

    def compare(session: Scripted, then: Before | None = None, **more: Any) -> None:
        app = ChatApp(session, defaults=Defaults(theme=theme), **more)
        app.animation_level = "none"

        async def before(pilot: Pilot[None]) -> None:
            await wait_until(lambda: idle(app))
            if then is not None:
                await settle(pilot)  # or what a screen that comes above finds would depend on the moment
                await then(pilot)
            await settle(pilot)

        assert snap_compare(app, terminal_size=SIZES[size], run_before=before)

    return compare


_DRAWING = ("fill", "jump")
"""The transcript's workers after which there is more to be seen; the one that draws a reply is at it as long as that is written."""


async def settle(pilot: Pilot[None]) -> None:
    """Waits until nothing on the screen changes any more."""
    now, same = list[Any](), 0
    end = time.monotonic() + PATIENCE
    while same < 4:  # what is drawn later, such as a footer, has had its turn
        assert time.monotonic() < end, "something on the screen does not come to rest"
        for screen in pilot.app.screen_stack:
            for widget in (*screen.query(TextArea), *screen.query(Input)):
                widget.cursor_blink = False
        await pilot.pause()
        await asyncio.sleep(0.05)
        before, now = now, [screen._compositor.render_strips() for screen in pilot.app.screen_stack]
        at_work = any(not one.is_finished for one in pilot.app.workers if one.group in _DRAWING)
        same = same + 1 if before == now and not at_work else 0


async def opened(pilot: Pilot[None], key: str, screen: type[Screen[Any]]) -> None:
    """Presses a key, and waits for the screen that it opens."""
    await pilot.press(key)
    await wait_until(lambda: isinstance(pilot.app.screen, screen))


def type_text(pilot: Pilot[None], text: str) -> None:
    """Types without a pause between the keys, which `pilot.press` makes."""
    for character in text:
        pilot.app.simulate_key(character)


def says(pilot: Pilot[None], which: str, text: str) -> bool:
    return any(text in str(found.content) for found in pilot.app.screen.query(which).results(Static))


class Talk(Scripted):
    """A conversation with a model of one size, whose exact memory may begin in the middle of it."""

    def __init__(self, data: Path, past: tuple[str, ...] = (), exact: tuple[int, int] | None = None) -> None:
        """`exact`: a message by its place in `past`, and how many of its last characters are remembered exactly."""
        super().__init__(data, past=past)
        self.metrics = Metrics(state_bytes=635_000, window=2048)
        if past:
            self.metrics.position, self.metrics.rate, self.metrics.first_token = 1234, 31, 0.4
        self._exact = exact

    def horizon(self) -> Horizon | None:
        if self._exact is None or self.head is None:
            return None
        line = self.store.messages.path(self.head.id)
        return Horizon(line[self._exact[0]].id, self._exact[1])

    def another(self, text: str) -> None:
        """Another reply in place of the one that one stands at."""
        assert self.head is not None and self.head.parent is not None
        self.checkout(self.head.parent)
        self._reply(text)


# --- the chat -------------------------------------------------------------------------------


@seen
def test_the_first_start(picture: Picture, tmp_path: Path) -> None:
    picture(Talk(tmp_path), first=True)


@seen
def test_an_empty_chat(picture: Picture, tmp_path: Path) -> None:
    picture(Talk(tmp_path))


def talk(data: Path) -> Talk:
    """Two replies, of the second of which there are three; one stands at the one in the middle."""
    session = Talk(data, ("My name is Ada.", "Nice to meet you, Ada!"), exact=(1, 10))
    session.add_user_message("What do otters do all day?")
    for text in ("They sleep.", ANSWER, "They swim."):
        session._reply(text) if text == "They sleep." else session.another(text)
    assert session.head is not None
    session.checkout(session.store.messages.siblings(session.head.id)[1])
    return session


@seen
def test_a_conversation(picture: Picture, tmp_path: Path) -> None:
    picture(talk(tmp_path))


@drawn("80x24-contrast")
def test_a_conversation_of_high_contrast(picture: Picture, tmp_path: Path) -> None:
    picture(talk(tmp_path))


@drawn("80x24-dark")
def test_a_conversation_without_colours(picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    picture(talk(tmp_path))


@seen
def test_the_memory_horizon(picture: Picture, tmp_path: Path) -> None:
    past = ("My name is Ada.", "Nice to meet you, Ada!", "And yours?", "I am Griff.")

    async def there(pilot: Pilot[None]) -> None:
        await wait_until(lambda: len(pilot.app.query(HorizonLine)) == 1)

    session = Talk(tmp_path, past, exact=(1, 0))
    session.another("Griff.")
    picture(session, there)


class Held(Talk):
    """Its reply goes on when it is let, and ends when it is stopped."""

    def __init__(self, data: Path, first: str, second: str) -> None:
        super().__init__(data)
        self.first, self.second, self.goes_on = first, second, False

    def generate_reply(self, *, endless: bool = False) -> Iterator[str]:
        assert self.head is not None
        message = self._begin(self.head.id)
        self._begin_work()
        yield self.first
        while not self.goes_on and not self._cancel.wait(0.01):
            pass
        yield self.second
        self._cancel.wait()
        self.head = self.store.messages.finish(message.id, closed=False)

    def close(self) -> None:
        self.stop()
        super().close()


@seen
def test_reading_back_while_a_reply_is_written(picture: Picture, tmp_path: Path) -> None:
    first = "\n\n".join(f"Story {number}. An otter came down to the river and dived." for number in range(1, 19))
    session = Held(tmp_path, first, "\n\nStory 19. Then it slept.\n\n")

    async def read_back(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ChatApp)
        await type_and_send(app, "Tell me stories about otters")
        await wait_until(lambda: "".join(part.source for part in app.query(ReplyMessage)).endswith("dived."))
        await settle(pilot)
        await pilot.press("pageup", "pageup")
        session.goes_on = True
        await wait_until(lambda: says(pilot, "#status", "new text below") and says(pilot, "#status", "writing"))
        await wait_until(lambda: not app.transcript._queue)

    picture(session, read_back)


WAITING = ("And then?", "Was it cold?", "Tell it again, shorter.", "In French?", "Thanks!", "One more?")


async def wait_with(pilot: Pilot[None], *texts: str) -> None:
    """A reply is written, and these wait for its end."""
    app = pilot.app
    assert isinstance(app, ChatApp)
    await type_and_send(app, "Tell me a story about an otter")
    await wait_until(lambda: app.query(ReplyMessage))
    for text in texts:
        await type_and_send(app, text)
    await wait_until(lambda: len(app.outbox.items) == len(texts))


@seen
def test_what_waits(picture: Picture, tmp_path: Path) -> None:
    async def wait(pilot: Pilot[None]) -> None:
        await wait_with(pilot, *WAITING)

    picture(Held(tmp_path, "Once an otter lived at a river.", ""), wait)


@drawn("60x20-dark", "80x24-light")
def test_what_is_held(picture: Picture, tmp_path: Path) -> None:
    async def hold(pilot: Pilot[None]) -> None:
        await wait_with(pilot, *WAITING[:3])
        await pilot.press("ctrl+c")
        await wait_until(lambda: idle(pilot.app))  # type: ignore[arg-type]

    picture(Held(tmp_path, "Once an otter lived at a river.", ""), hold)


@seen
def test_the_queue(picture: Picture, tmp_path: Path) -> None:
    async def open_it(pilot: Pilot[None]) -> None:
        await wait_with(pilot, *WAITING)
        type_text(pilot, "/queue")
        await opened(pilot, "enter", QueueScreen)
        await pilot.press("down")

    picture(Held(tmp_path, "Once an otter lived at a river.", ""), open_it)


@seen
def test_standing_at_an_earlier_place(picture: Picture, tmp_path: Path) -> None:
    past = ("My name is Ada.", "Nice to meet you, Ada!", "And yours?", "I am Griff.", "Tell me a joke", "No.")

    async def back(pilot: Pilot[None]) -> None:
        await pilot.press("alt+up")
        await wait_until(lambda: pilot.app.position.reread)

    picture(Talk(tmp_path, past), back)


class Failing(Held):
    """Its disk is full after a few words."""

    def generate_reply(self, *, endless: bool = False) -> Iterator[str]:
        yield next(writing := super().generate_reply())
        while not self.goes_on and not self._cancel.wait(0.01):
            pass
        self.stop()
        list(writing)
        raise RgmlxError("The disk is full: make room, then go on with Ctrl+G")


@seen
def test_a_failure_and_an_unknown_command(picture: Picture, tmp_path: Path) -> None:
    session = Failing(tmp_path, "Once there was a fox who", "")

    async def fail(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ChatApp)
        await type_and_send(app, "Tell me a story")
        await wait_until(lambda: any(part.source for part in app.query(ReplyMessage)))
        session.goes_on = True
        await wait_until(lambda: any("disk is full" in n.source for n in app.query(Notice)) and idle(app))
        app.query_one(Prompt).load_text("/regenrate")
        await pilot.press("enter")
        await wait_until(lambda: any("/regenerate?" in n.source for n in app.query(Notice)))

    picture(session, fail)


@seen
def test_commands_behind_a_slash(picture: Picture, tmp_path: Path) -> None:
    async def slash(pilot: Pilot[None]) -> None:
        await pilot.press("/", "down", "down")
        await wait_until(lambda: pilot.app.query_one(Completions).highlighted == 2)

    picture(Talk(tmp_path, ("Hello!", "Hello to you!")), slash)


# --- screens over it ------------------------------------------------------------------------


def many(data: Path, clock: Clock) -> Talk:
    """Conversations of many ages; the newest is open."""
    session = Talk(data)
    store = session.store
    for age, title, said in (
        (400 * DAY, "A tale of two otters", "Two otters met at a river."),
        (40 * DAY, "[red]not markup[/red]", "Hello!"),
        (
            3 * DAY,
            "A question whose title is so long that it can't be read as a whole on any of these screens " * 2,
            "?",
        ),
        (DAY, "", "Untitled, about a sea otter and its stone"),
        (5 * HOUR, "Recipes for soup", "No otter in it, please."),
        (2 * HOUR, "Names for a cat", "What is a good name for a cat?"),
    ):
        clock.now = NOON - age
        made = store.conversations.create("demo", title)
        store.messages.add_user(made.id, None, said)
        if title.startswith("Recipes"):
            store.conversations.archive(made.id)
        if title.startswith("[red]"):
            store.conversations.pin(made.id)
    clock.now = NOON - HOUR
    session.add_user_message("What do otters do all day?")
    session._reply("They sleep, and hold hands.")
    clock.now = NOON
    return session


async def listed(pilot: Pilot[None], archived: bool = False) -> None:
    await opened(pilot, "ctrl+o", ConversationsScreen)
    await wait_until(lambda: pilot.app.screen.query_one(Rows).option_count == 6)
    if archived:
        await pilot.press("ctrl+g")
        await wait_until(lambda: pilot.app.screen.query_one(Rows).option_count == 7)


@seen
def test_the_list_of_conversations(picture: Picture, tmp_path: Path, clock: Clock) -> None:
    async def show(pilot: Pilot[None]) -> None:
        await listed(pilot, archived=True)

    picture(many(tmp_path, clock), show)


@seen
def test_a_search(picture: Picture, tmp_path: Path, clock: Clock) -> None:
    async def search(pilot: Pilot[None]) -> None:
        await listed(pilot)
        type_text(pilot, "otter")
        await wait_until(lambda: says(pilot, "#heading", "Found: "))

    picture(many(tmp_path, clock), search)


@seen
def test_renaming(picture: Picture, tmp_path: Path, clock: Clock) -> None:
    async def rename(pilot: Pilot[None]) -> None:
        await listed(pilot)
        await opened(pilot, "ctrl+r", AskText)

    picture(many(tmp_path, clock), rename)


@seen
def test_a_deleted_conversation_can_be_had_back(picture: Picture, tmp_path: Path, clock: Clock) -> None:
    async def delete(pilot: Pilot[None]) -> None:
        await listed(pilot)
        await pilot.press("down", "delete")
        await wait_until(lambda: says(pilot, "#notice", "Deleted"))
        await wait_until(lambda: pilot.app.screen.query_one(Rows).option_count == 5)

    picture(many(tmp_path, clock), delete)


def installed() -> list[Installed]:
    """Models as `list_models` tells of them: one to choose, one in part, one that is damaged."""
    here, cache = Path("/home/ada/models"), Path("/home/ada/.cache/huggingface/hub")
    part = "not all of it was downloaded: Enter or d fetches the rest"
    return [
        Installed("demo", Path("/demo"), 10_600_000, "4-bit", 256, "19M", True, ""),
        Installed(str(here / "2b-it-4bit"), here / "2b-it-4bit", 1_540_000_000, "4-bit", 2048, "2B", True, ""),
        Installed(
            str(here / "old"), here / "old", 5_200_000, "bf16", 0, "?", True, "config.json is not JSON: convert it"
        ),
        Installed("google/recurrentgemma-2b-it", cache, 2_100_000_000, "bf16", 2048, "2B", False, part, cached=True),
    ]


async def models(pilot: Pilot[None]) -> None:
    app = pilot.app
    assert isinstance(app, ChatApp)
    await app.actions.run("model", "")
    await wait_until(lambda: isinstance(app.screen, ModelsScreen) and says(pilot, "#about", "in use now"))


@seen
def test_choosing_a_model(picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.models.list_models", installed)
    picture(Talk(tmp_path), models)


def coming(name: str, talk: Getting, *, cancelled: Callable[[], bool]) -> str:
    """A model of which a quarter comes, and then nothing until it is stopped."""
    talk.say("google/recurrentgemma-2b-it: 5.36 GB to download.")
    talk.say(
        "In 4 bits it is 1.54 GB, in /home/ada/models/recurrentgemma-2b-it-4bit. Until then it takes 6.90 GB more of the "
        "disk, where 85.2 GB are free, and about 0.9 GB of memory."
    )
    talk.progress("downloading", 1_340_000_000, 5_360_000_000)
    while not cancelled():
        time.sleep(0.01)
    raise Cancelled("it was stopped")


@seen
def test_a_download(picture: Picture, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.models.list_models", installed)
    monkeypatch.setattr("rgmlx.convert.obtain.obtain", coming)

    async def download(pilot: Pilot[None]) -> None:
        await models(pilot)
        await pilot.press("down", "down", "down", "enter")
        await wait_until(lambda: says(pilot, "#amount", "of 5,360 MB"))
        clock.seconds += 2
        assert isinstance(pilot.app, ChatApp) and pilot.app.getter.current is not None
        pilot.app.getter.current.progress(
            "downloading, and converting model.layers.3.mlp_block", 1_380_000_000, 5_360_000_000
        )
        await wait_until(lambda: says(pilot, "#amount", "20.0 MB/s"))

    picture(Talk(tmp_path), download)


@seen
def test_asking_for_a_token(picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.screens.models.list_models", installed)
    monkeypatch.setattr("rgmlx.system.browser.can_open", lambda: True)
    page = "https://huggingface.co/google/recurrentgemma-2b-it"

    async def ask(pilot: Pilot[None]) -> None:
        await models(pilot)
        pilot.app.push_screen(AskToken(Access("google/recurrentgemma-2b-it", page, None, "", "")))
        await wait_until(lambda: isinstance(pilot.app.screen, AskToken))
        await pilot.press(*"hf_abc")

    picture(Talk(tmp_path), ask)


@seen
def test_a_question(picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def change(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ChatApp)
        await app.actions.run("model", "google/recurrentgemma-2b-it")
        await wait_until(lambda: isinstance(app.screen, Confirm))

    picture(Talk(tmp_path, ("Hello!", "Hello to you!")), change)


@seen
def test_the_guide(picture: Picture, tmp_path: Path) -> None:
    async def read(pilot: Pilot[None]) -> None:
        await opened(pilot, "f1", GuideScreen)

    picture(Talk(tmp_path), read, first=True)


@seen
def test_settings_with_a_wrong_value(picture: Picture, tmp_path: Path) -> None:
    session = Talk(tmp_path)
    session.set_system("You are an otter. Answer in one sentence.")
    session.set_settings({"top_p": 0.9, "seed": 7})
    session.add_user_message("Hello!")
    session._reply("Hello to you!")

    async def mistype(pilot: Pilot[None]) -> None:
        await opened(pilot, "f2", SettingsScreen)
        await wait_until(lambda: isinstance(pilot.app.focused, Input))
        type_text(pilot, "hot")
        await wait_until(lambda: pilot.app.screen.query(".-wrong"))

    picture(session, mistype)


@seen
def test_the_tree(picture: Picture, tmp_path: Path, clock: Clock) -> None:
    clock.now = NOON - DAY
    session = Talk(tmp_path, ("My name is Ada.", "Nice to meet you, Ada!"))
    clock.now = NOON - HOUR
    session.another("Ada is a fine name. " * 8)
    fork = session.head
    session.add_user_message("Tell me a story about an otter and a kite")
    session._reply("Once there was an otter.\n\nIt had a kite.")
    session.another("An otter flew a kite.")
    session.add_user_message("And then?")
    assert fork is not None
    session.checkout(fork.id)
    session.add_user_message("[b]What[/b] do otters eat?")
    session._reply("Fish.")

    async def show(pilot: Pilot[None]) -> None:
        await opened(pilot, "ctrl+t", TreeScreen)
        await wait_until(lambda: says(pilot, "#tree-note", "branches"))

    picture(session, show)


@seen
def test_help(picture: Picture, tmp_path: Path) -> None:
    async def ask(pilot: Pilot[None]) -> None:
        await opened(pilot, "f1", HelpScreen)

    picture(Talk(tmp_path, ("Hello!", "Hello to you!")), ask)


@seen
def test_what_was_sent_before(picture: Picture, tmp_path: Path) -> None:
    history = History(None)
    for text in ("Tell me a story about an otter", "Hello!", "What do otters eat?\nAnd when?", "[b]otter[/b] " * 20):
        history.add(text)

    async def search(pilot: Pilot[None]) -> None:
        await opened(pilot, "ctrl+s", HistoryScreen)
        type_text(pilot, "otter")
        await wait_until(lambda: pilot.app.screen.query_one(OptionList).option_count == 3)

    picture(Talk(tmp_path, ("Hello!", "Hello to you!")), search, history=history)


@seen
def test_the_palette(picture: Picture, tmp_path: Path) -> None:
    async def show(pilot: Pilot[None]) -> None:
        await opened(pilot, "ctrl+p", CommandPalette)
        await wait_until(lambda: pilot.app.screen.query_one(CommandList).option_count == len(COMMANDS))

    picture(Talk(tmp_path, ("Hello!", "Hello to you!")), show)
