"""The picker of models and the guide, by keys and clicks, with a real disk and a real server on this machine."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_server import CONFIG, NAME, Hub, listed, make, point_to, repository, weights
from published import TOKEN, Gated, offered
from textual.app import App
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input
from waiting import PATIENCE, wait_until

import rgmlx
from rgmlx.system import browser
from rgmlx.weights.catalog import list_models
from tui.getting import Getter
from tui.screens.dialogs import Confirm
from tui.screens.guide import GuideScreen
from tui.screens.models import MAX_ROWS, ModelsScreen
from tui.screens.token import AskToken

__all__ = ["offered"]

SIZES = [(100, 30), (60, 20)]
NOTHING = "nothing yet"


class Asks(App[None]):
    """An app that asks one screen's question and keeps the answer."""

    def __init__(self, screen: Screen[str | None]) -> None:
        super().__init__()
        self.question, self.answer = screen, NOTHING  # type: ignore[var-annotated]

    def on_mount(self) -> None:
        self.push_screen(self.question, self.keep)

    def keep(self, answer: str | None) -> None:
        self.answer = answer

    def on_unmount(self) -> None:
        if isinstance(self.question, ModelsScreen):
            self.question._getter.end()


def seen(app: App[None]) -> str:
    """What is on the screen, as one line of words."""
    lines = [strip.text for strip in app.screen._compositor.render_strips()]
    return " ".join(" ".join(lines).split())


async def ready(app: Asks) -> None:
    await wait_until(lambda: isinstance(app.screen, ModelsScreen) and app.screen._rows)
    await wait_until(lambda: "looking for models" not in seen(app) and "choose" in seen(app))


async def pick(app: Asks, pilot: Pilot[None], name: str) -> None:
    """Moves to a line."""
    rows = [r.name for r in app.question._rows]
    await pilot.press("ctrl+home", *["down"] * rows.index(name))
    await wait_until(lambda: app.question._chosen.name == name)


async def type_name(app: Asks, pilot: Pilot[None], name: str) -> None:
    await pilot.press("tab")
    await wait_until(lambda: isinstance(app.focused, Input))
    app.focused.value = name
    await pilot.press("enter")


@pytest.mark.parametrize("size", SIZES)
async def test_choosing_a_model_by_keys(home: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")  # commands by their names
    path = make(home / "models" / "mine", CONFIG | {"quantization": {"bits": 4, "group_size": 64}})
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=size) as pilot:
        await ready(app)
        screen = seen(app)
        for text in ("* demo 23.3 MB 4-bit 2,047", "mine 0.2 MB 4-bit 8", "recurrentgemma-9b-it 17.16 GB bf16 2,048"):
            assert text in screen
        for text in ("terms", "token", "4 bits", "The chat goes on while it comes", "choose", "esc", "type a name"):
            assert text in screen
        assert "reads the conversation again" in screen and "in use now" in screen
        await pilot.press("down")
        await wait_until(lambda: str(path) in seen(app).replace(" ", ""))
        assert "in use now" not in seen(app)
        await pilot.press("enter")
        await wait_until(lambda: app.answer == str(path))


@pytest.mark.parametrize("current", ["{home}/models/mine", "~/models/mine", "../models/mine"])
async def test_the_current_model_is_marked_and_esc_leaves(home: Path, current: str) -> None:
    make(home / "models" / "mine")
    app = Asks(ModelsScreen(current.format(home=home), Getter()))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app)
        await wait_until(lambda: "* mine" in seen(app) and "in use now" in seen(app))
        assert "* demo" not in seen(app)
        await pilot.press("tab", "escape")
        await wait_until(lambda: app.answer is None)


async def test_choosing_by_mouse(home: Path) -> None:
    make(home / "models" / "mine")
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(app)
        await pilot.click("_Table", offset=(4, 2))
        await wait_until(lambda: "in use now" not in seen(app))
        await pilot.click("_Table", offset=(4, 2))
        await wait_until(lambda: app.answer == str(home / "models" / "mine"))


async def test_a_model_that_can_not_be_used_says_why(home: Path) -> None:
    path = make(home / "models" / "hurt", shards=2)
    (path / "model-00001-of-00002.safetensors").unlink()
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app)
        await wait_until(lambda: "not usable" in seen(app) or "in part" in seen(app))
        await pick(app, pilot, str(path))
        await pilot.press("enter")
        await wait_until(lambda: "hurt can't be chosen: model-00001-of-00002.safetensors is missing" in seen(app))
        await pilot.press("d")  # nothing to download either
        assert app.answer == NOTHING and isinstance(app.screen, ModelsScreen)


async def test_typed_directories(home: Path) -> None:
    make(home / "far" / "away")
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app)
        for wrong in ("nope", "/", "a/b/c", "[red]x[/", "nul\0byte", "x" * 5000, "\x1b[31m"):
            await type_name(app, pilot, wrong)
            await wait_until(lambda: "holds no RecurrentGemma model" in seen(app))
            assert wrong.isprintable() is False or len(wrong) > 200 or f"{Path(wrong).name} holds no" in seen(app)
            assert "\x1b" not in seen(app) and app.answer == NOTHING
            app.focused.value = ""
            await wait_until(lambda: "holds no" not in seen(app))
            await pilot.press("enter")  # an empty name: back to the list
            await wait_until(lambda: not isinstance(app.focused, Input))
        await type_name(app, pilot, "../far/away")  # from home/work
        await wait_until(lambda: app.answer == str(home / "far" / "away"))


async def test_names_are_never_markup(home: Path) -> None:
    make(home / "models" / "[red]x[@click=app.quit]")
    make(home / "models" / "esc\x1b[31m")
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app)
        assert "[red]x[@click=app.quit]" in seen(app) and "esc\ufffd[31m" in seen(app)
        await pick(app, pilot, str(home / "models" / "[red]x[@click=app.quit]"))
        await wait_until(lambda: "models/[red]x[@click=app.quit]" in seen(app))


async def test_many_models(home: Path) -> None:
    for number in range(MAX_ROWS + 5):
        path = home / "models" / f"{number:03}"
        path.mkdir(parents=True)
        (path / "config.json").write_text(json.dumps(CONFIG))
        (path / "model.safetensors").touch()
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(60, 20)) as pilot:
        await ready(app)
        await wait_until(lambda: f"{MAX_ROWS} of {MAX_ROWS + 8} models are shown" in seen(app))
        await pilot.resize_terminal(100, 30)
        await wait_until(lambda: "Where" in seen(app))
        assert app.screen._table.row_count == MAX_ROWS


# --- one that is got ----------------------------------------------------------------------


def slow(server: Any, at: int, event: threading.Event) -> Callable[[str, int], None]:
    last = max(weights(server), key=lambda n: len(server.files[n]))

    def hold(name: str, sent: int) -> None:
        if name == last and sent >= at:
            event.wait(2 * PATIENCE)

    return hold


def target(home: Path) -> Path:
    return home / "models" / "tiny-4bit"


@pytest.mark.parametrize("size", SIZES)
async def test_a_model_is_got_stopped_and_gone_on_with(home: Path, offered: Any, size: tuple[int, int]) -> None:
    go_on = threading.Event()
    offered.hold = slow(offered, 20 * 1024, go_on)
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=size) as pilot:
        await ready(app)
        await type_name(app, pilot, NAME)
        await wait_until(lambda: " MB, downloading" in seen(app))
        assert "In 4 bits it is" in seen(app)
        await wait_until(lambda: list(repository(home).glob("blobs/*.incomplete")))
        await pilot.press("ctrl+home", "c")
        await wait_until(lambda: "was stopped: what is here is kept" in seen(app))
        await wait_until(lambda: "in part" in " ".join(c for r in app.question._rows for c in r.cells))
        half = sum(p.stat().st_size for p in repository(home).glob("blobs/*"))
        offered.hold = None
        go_on.set()
        offered.sent.clear()
        await pick(app, pilot, NAME)
        await pilot.press("d")
        await wait_until(lambda: "Delete the 16-bit files of griff/tiny?" in seen(app))
        # Twice at most: the server had still to send what the first connection asked for.
        assert sum(offered.sent.values()) <= 2 * (sum(map(len, offered.files.values())) - half)
        await pilot.press("enter")  # no
        await wait_until(lambda: app.answer == str(target(home)))
    assert {m.name for m in list_models() if not m.problem} == {"demo", NAME, str(target(home))}
    assert rgmlx.load(target(home)).config.quantization


async def test_the_16_bit_files_are_deleted_for_one_who_says_yes(home: Path, offered: Any) -> None:
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app)
        await type_name(app, pilot, NAME)
        await wait_until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("left", "enter")
        await wait_until(lambda: app.answer == str(target(home)))
    assert not repository(home).exists()


async def test_it_goes_on_while_the_screen_is_left(home: Path, offered: Any) -> None:
    go_on, getter = threading.Event(), Getter()
    offered.hold = slow(offered, 20 * 1024, go_on)
    app = Asks(ModelsScreen("demo", getter))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await ready(app)
        await type_name(app, pilot, NAME)
        await wait_until(lambda: list(repository(home).glob("blobs/*.incomplete")))
        await pilot.press("escape")
        await wait_until(lambda: app.answer is None)
        assert getter.busy
        app.question = ModelsScreen("demo", getter)
        app.push_screen(app.question, app.keep)
        await ready_again(app)
        await pick(app, pilot, "google/recurrentgemma-9b-it")
        await pilot.press("enter")
        await wait_until(
            lambda: [n.message for n in app._notifications] == [f"{NAME} is on its way: c stops that first."]
        )
        go_on.set()
        await wait_until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")  # no
        await wait_until(lambda: app.answer == str(target(home)))


async def ready_again(app: Asks) -> None:
    await wait_until(lambda: app.screen is app.question and app.question._rows)
    await wait_until(lambda: " MB, downloading" in seen(app))


async def test_the_end_of_the_program_stops_it(home: Path, offered: Any) -> None:
    go_on, getter = threading.Event(), Getter()
    offered.hold = slow(offered, 20 * 1024, go_on)
    app = Asks(ModelsScreen("demo", getter))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app)
        await type_name(app, pilot, NAME)
        await wait_until(lambda: list(repository(home).glob("blobs/*.incomplete")))
    assert getter.current is not None and getter.current.over and getter.current.stopped
    go_on.set()
    await wait_until(lambda: not [t for t in threading.enumerate() if t.name.startswith("download ")])
    assert [m.complete for m in list_models() if m.name == NAME] == [False]


async def test_it_is_said_where_something_is_open_above(home: Path, offered: Any) -> None:
    go_on = threading.Event()
    offered.hold = slow(offered, 20 * 1024, go_on)
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app)
        await type_name(app, pilot, NAME)
        await wait_until(lambda: list(repository(home).glob("blobs/*.incomplete")))
        go_on.set()
        await wait_until(lambda: isinstance(app.screen, Confirm))
        dialog = app.screen
        app.push_screen(above := Screen[None]())
        app.question._getter.current.answer(False)
        await wait_until(lambda: not app.question._getter.busy)
        await wait_until(lambda: app.question._getting is None)
        assert app.answer == NOTHING
        above.dismiss()
        await wait_until(lambda: app.screen is dialog)
        dialog.dismiss(False)
        await wait_until(lambda: f"{NAME} is here: Enter chooses it." in seen(app))
        await wait_until(lambda: app.question._chosen is not None and app.question._chosen.name == str(target(home)))
        await pilot.press("enter")
        await wait_until(lambda: app.answer == str(target(home)))


async def give(app: Asks, pilot: Pilot[None], token: str) -> None:
    await wait_until(lambda: isinstance(app.screen, AskToken) and isinstance(app.focused, Input))
    app.focused.value = token
    await pilot.press("enter")


async def test_terms_and_token(home: Path, offered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shown with the page and hidden as it is typed; refused until it is right, and until the terms are accepted."""
    opened = list[str]()
    monkeypatch.setattr(browser, "can_open", lambda: True)
    monkeypatch.setattr(browser, "open_page", opened.append)
    offered.RequestHandlerClass = Gated
    offered.users, offered.let_in = {TOKEN: "anna"}, set[str]()
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await ready(app)
        await type_name(app, pilot, NAME)
        await wait_until(lambda: f"https://huggingface.co/{NAME}" in seen(app))
        assert "https://huggingface.co/settings/tokens" in seen(app)
        await pilot.press("ctrl+o")
        await wait_until(lambda: opened == [f"https://huggingface.co/{NAME}"])
        await pilot.press("enter")  # without one
        await wait_until(lambda: "Paste the token first" in seen(app))
        await give(app, pilot, "two words")
        await wait_until(lambda: "This is no token of Hugging Face" in seen(app))
        await give(app, pilot, "hf_not_the_right_one")
        await wait_until(lambda: "does not know this token" in seen(app))
        app.focused.value = TOKEN
        await wait_until(lambda: "•••" in seen(app))
        assert TOKEN not in seen(app)
        await pilot.press("enter")
        await wait_until(lambda: "anna has not been let in yet: accept the terms as anna" in seen(app))
        offered.let_in = {"anna"}
        await pilot.press("enter")  # with the one that is here
        await wait_until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")  # no
        await wait_until(lambda: app.answer == str(target(home)))
    assert (home / "token").read_text() == TOKEN


async def test_esc_in_the_question_for_a_token_stops_it(home: Path, offered: Any) -> None:
    offered.RequestHandlerClass = Gated
    offered.users, offered.let_in = {}, set[str]()
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(60, 20)) as pilot:
        await ready(app)
        await type_name(app, pilot, NAME)
        await wait_until(lambda: isinstance(app.screen, AskToken))
        await pilot.press("escape")
        await wait_until(lambda: app.screen is app.question and "was stopped" in seen(app))
        assert app.answer == NOTHING and not app.question._getter.busy


async def test_enter_on_a_model_that_is_not_here(home: Path, closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(closed, monkeypatch)
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(60, 20)) as pilot:
        await ready(app)
        await pick(app, pilot, "google/recurrentgemma-2b-it")
        await pilot.press("enter")
        await wait_until(lambda: "connect to the network" in seen(app))
        await pilot.press("escape")
        await wait_until(lambda: app.answer is None)


# --- the guide ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "answer"),
    [(["enter"], "demo"), (["right", "enter"], "models"), (["escape"], None)],
)
async def test_the_guide_answers_to_keys(keys: list[str], answer: str | None) -> None:
    app = Asks(GuideScreen())
    async with app.run_test(size=(60, 20)) as pilot:
        await wait_until(lambda: app.focused)
        await pilot.press(*keys)
        await wait_until(lambda: app.answer == answer)


@pytest.mark.parametrize("answer", ["demo", "models"])
async def test_the_guide_answers_to_clicks(answer: str) -> None:
    app = Asks(GuideScreen())
    async with app.run_test(size=(60, 20)) as pilot:
        await wait_until(lambda: app.focused)
        await pilot.click(f"#{answer}")
        await wait_until(lambda: app.answer == answer)


@pytest.mark.parametrize(("key", "times"), [("pagedown", 5), ("down", 60), ("space", 5)])
async def test_the_guide_can_be_read_to_its_end(key: str, times: int) -> None:
    app = Asks(GuideScreen())
    async with app.run_test(size=(60, 20)) as pilot:
        await wait_until(lambda: "What this is" in seen(app) and "Talk to Griff now (demo)" in seen(app))
        read = seen(app)
        for _ in range(times):
            await pilot.press(key)
            read += seen(app)
        await wait_until(lambda: "Ctrl+Q leaves" in seen(app))
        for text in (
            "Nothing you write leaves this computer",
            "https://huggingface.co/google/recurrentgemma-2b-it",
            "https://huggingface.co/settings/tokens",
            "Get 2B",
            "1.54 GB",
            "4.91 GB",
        ):
            assert text in read
        await pilot.press("pageup", "pageup", "pageup", "pageup")
        await wait_until(lambda: "What this is" in seen(app))


# --- what others have published -----------------------------------------------------------


async def search(app: Asks, pilot: Pilot[None]) -> None:
    await pilot.press("s")
    await wait_until(lambda: "asking Hugging Face" not in seen(app))


@pytest.mark.parametrize("size", SIZES)
async def test_a_model_that_is_found_is_got(home: Path, offered: Any, size: tuple[int, int]) -> None:
    """Nothing is asked before the key is pressed; then once; what can't be loaded is not in the list."""
    offered.models = [
        listed(NAME, downloads=1234, gated="auto"),
        listed("google/recurrentgemma-2b-it", downloads=9999),
        listed("some/llama", config={"model_type": "llama"}, tags=["recurrent_gemma"]),
        listed("evil/\x1b[31m\u202e[bold]"),
    ]
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=size) as pilot:
        await ready(app)
        assert offered.asked == [] and "s search" in seen(app)
        await search(app, pilot)
        assert [one for one in offered.asked if "/api/models" in one] == ["GET /api/models"]
        assert [r.name for r in app.question._rows].count("google/recurrentgemma-2b-it") == 1
        assert [r.name for r in app.question._rows][-1] == NAME and "some/llama" not in seen(app)
        await wait_until(lambda: app.question._chosen.name == NAME)
        for text in (
            "1 more model found",
            "its terms come first",
            "1,234 downloads last month",
            "Enter gets it, in 4 bits",
        ):
            await wait_until(lambda text=text: text in seen(app))
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, Confirm))
        await pilot.press("enter")  # the 16-bit files are kept
        await wait_until(lambda: app.answer == str(target(home)))
    assert rgmlx.load(target(home)).config.quantization


async def test_a_search_that_fails_is_a_sentence(home: Path, server: Hub) -> None:
    server.refuse.append(("/api/models", 503, ""))
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app)
        await search(app, pilot)
        sentence = "Models can't be searched for: Hugging Face answered with error 503, try again later."
        await wait_until(lambda: sentence in seen(app))
        server.refuse.clear()
        server.models = []
        await search(app, pilot)
        await wait_until(lambda: "No other model was found that can be loaded." in seen(app))
        assert app.question._rows[0].name == "demo"


async def test_the_screen_can_be_left_while_it_asks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing holds nobody up."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        point_to(f"http://127.0.0.1:{silent.getsockname()[1]}", monkeypatch)
        app = Asks(ModelsScreen("demo", Getter()))
        async with app.run_test(size=(100, 30)) as pilot:
            await ready(app)
            await pilot.press("s")
            await wait_until(lambda: "asking Hugging Face for models" in seen(app) and "s search" not in seen(app))
            await pilot.press("s", "escape")
            await wait_until(lambda: app.answer is None)


async def test_a_letter_in_the_line_for_a_name_asks_nobody(home: Path, server: Hub) -> None:
    app = Asks(ModelsScreen("demo", Getter()))
    async with app.run_test(size=(100, 30)) as pilot:
        await ready(app)
        await pilot.press("tab", "s")
        await wait_until(lambda: isinstance(app.focused, Input) and app.focused.value == "s")
    assert server.asked == []
