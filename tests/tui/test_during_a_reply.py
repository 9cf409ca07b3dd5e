"""Nothing waits for a reply: every command and every screen while one is written works, or says in a sentence why not.

The reply goes on behind all of it, and is whole in the end. What is not in the table fails.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scripted import burst, idle, line, notices, said, screen, taken
from test_queue import Paced, chat, finish, queued, texts, waiting, writing
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import OptionList
from waiting import wait_until

from rgmlx.store import Store
from tui.activity import Activity
from tui.app import ChatApp
from tui.commands import ALIASES, COMMANDS
from tui.prompt.history import History
from tui.screens.conversations import ConversationsScreen
from tui.screens.guide import GuideScreen
from tui.screens.help import HelpScreen
from tui.screens.history import HistoryScreen
from tui.screens.models import ModelsScreen
from tui.screens.queue import QueueScreen
from tui.screens.recall import RecallScreen
from tui.screens.settings import SettingsScreen
from tui.screens.tree import TreeScreen

SIZE = (90, 30)
WHY_NOT = "A reply is being written: Esc stops it."
Fact = Callable[[ChatApp], object]


def opens(kind: type[Screen[object]]) -> Fact:
    return lambda app: isinstance(app.screen, kind)


def tells(text: str) -> Fact:
    """Beside the conversation, in it, or above the prompt."""
    return lambda app: any(text in n.message for n in app._notifications) or text in notices(app) + app.position_label


def refuses(app: ChatApp) -> bool:
    """With a sentence; what was typed is in the prompt again."""
    return line(app, "#position") == WHY_NOT and app.prompt.text.startswith("/")


def elsewhere(app: ChatApp) -> bool:
    return app.activity is Activity.BEHIND


TABLE: dict[str, tuple[str, Fact]] = {
    "help": ("", opens(HelpScreen)),
    "guide": ("", opens(GuideScreen)),
    "tree": ("", opens(TreeScreen)),
    "list": ("", opens(ConversationsScreen)),
    "settings": ("", opens(SettingsScreen)),
    "history": ("", opens(HistoryScreen)),
    "recall": ("", opens(RecallScreen)),
    "model": ("", opens(ModelsScreen)),
    "queue": ("", tells("Nothing waits: Enter during a reply")),
    "mark": ("", lambda app: app.transcript.mark is not None),
    "find": ("past", lambda app: "▸ 1 of 1:" in line(app, "#status")),
    "editor": ("", tells("nowhere/ed")),
    "edit": ("", lambda app: app.prompt.text == "go" and app.editing is not None),
    "back": ("", lambda app: elsewhere(app) and texts(app) == ["past", "old"]),
    "forward": ("", tells("This is the end of this branch")),
    "previous": ("", tells("no other answer")),
    "next": ("", tells("no other answer")),
    "copy": ("", tells("characters")),
    "new": ("", lambda app: elsewhere(app) and app.session.conversation is None),
    "persona": ("", tells("persona")),
    "rename": ("Otters", lambda app: line(app, "#title") == "Otters"),
    "pin": ("", tells("Pinned")),
    "undelete": ("", tells("Nothing was deleted.")),
    "export": ("FILES/out.md", lambda app: tells("Written: ")(app)),
    "import": ("FILES/in.json", lambda app: elsewhere(app) and texts(app) == ["imported", "yes"]),
    "set": ("temperature 0.5", lambda app: app.session.settings.get("temperature") == 0.5),
    "system": ("", tells("There is no system text.")),
    "theme": ("light", lambda app: app.theme == "light"),
    "info": ("", tells("Window: ")),
    "stop": ("", lambda app: idle(app) and texts(app)[-1] == "reply 1"),
    "quit": ("", lambda app: not app.is_running),
    "regenerate": ("", refuses),
    "continue": ("", refuses),
    "endless": ("", refuses),
    "fix": ("", refuses),
    "archive": ("", refuses),
    "delete": ("", refuses),
    "save": ("FILES/one.rgstate", refuses),
    "open": ("FILES/one.rgstate", refuses),
}


def test_every_command_is_in_the_table() -> None:
    assert set(TABLE) == {command.name for command in COMMANDS}


async def begun(tmp_path: Path) -> ChatApp:
    app = chat(Paced(tmp_path / "data", past=("past", "old")))
    app.history = app.prompt_history = History(None)  # type: ignore[attr-defined]
    app.history.add("sent before")
    return app


def reply(app: ChatApp) -> str:
    return app.session.store.messages.get(4).text


@pytest.mark.parametrize("name", [*TABLE, *ALIASES])
async def test_a_command_while_a_reply_is_written(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "/nowhere/ed")
    files = tmp_path / "files"
    files.mkdir()
    with Store(tmp_path / "other") as other:
        number = other.conversations.create("demo", "imported").id
        asked = other.messages.add_user(number, None, "imported")
        last = other.messages.finish(other.messages.start_reply(number, asked.id, "yes").id, closed=True)
        other.conversations.set_head(number, last.id)
        other.import_export.write(number, files / "in.json")
    argument, fact = TABLE[ALIASES.get(name, name)]
    app = await begun(tmp_path)
    async with app.run_test(size=SIZE):
        await writing(app)
        await type_and_send_command(app, f"/{name} {argument}".strip().replace("FILES", str(files)))
        await wait_until(lambda: fact(app))
        if not app.is_running or name == "stop":
            return
        assert app.failure == "" and app.activity in (Activity.WRITING, Activity.BEHIND)
        finish(app)
        await wait_until(lambda: idle(app) and reply(app) == "reply 1.")
    assert app.failure == ""


async def type_and_send_command(app: ChatApp, text: str) -> None:
    app.prompt.load_text(text)
    app.prompt.action_submit()
    await taken(app)


# --- in the screens -------------------------------------------------------------------------------


async def open_by(app: ChatApp, text: str, kind: type[Screen[object]]) -> None:
    await type_and_send_command(app, text)
    await wait_until(lambda: isinstance(app.screen, kind))


async def another_conversation(app: ChatApp, pilot: Pilot[None]) -> None:
    app.simulate_key("ctrl+n")
    await wait_until(lambda: elsewhere(app))
    app.session.add_user_message("elsewhere")
    await app.actions.open_conversation(1)
    await open_by(app, "/list", ConversationsScreen)
    await wait_until(lambda: any("elsewhere" in row for row in screen(app)))
    burst(app, "elsewhere")
    await wait_until(lambda: "Found: " in line_of(app, "#heading"))
    await pilot.press("enter")
    await wait_until(lambda: elsewhere(app) and texts(app) == ["elsewhere"])


async def a_branch_of_the_tree(app: ChatApp, pilot: Pilot[None]) -> None:
    await open_by(app, "/tree", TreeScreen)
    await wait_until(lambda: app.screen.query_one(OptionList).option_count >= 4)
    await pilot.press("up", "up", "up", "enter")
    await wait_until(lambda: elsewhere(app))
    assert texts(app)[0] == "past" and len(said(app)) < 4


async def another_reply_from_the_tree(app: ChatApp, pilot: Pilot[None]) -> None:
    """To the one that is being written: not now. To an older one: it waits."""
    await open_by(app, "/tree", TreeScreen)
    await wait_until(lambda: app.screen.query_one(OptionList).option_count >= 4)
    await pilot.press("r")
    await wait_until(lambda: tells(WHY_NOT)(app))
    await open_by(app, "/tree", TreeScreen)
    await wait_until(lambda: app.screen.query_one(OptionList).option_count >= 4)
    await pilot.press("up", "up", "r")
    await wait_until(lambda: waiting(app) == ["/regenerate"] and elsewhere(app))


async def settings_that_are_saved(app: ChatApp, pilot: Pilot[None]) -> None:
    await open_by(app, "/settings", SettingsScreen)
    await pilot.press("ctrl+s")
    await wait_until(lambda: tells("hold from the next reply on")(app))


async def what_was_sent_before(app: ChatApp, pilot: Pilot[None]) -> None:
    await open_by(app, "/history", HistoryScreen)
    burst(app, "sent before")
    await wait_until(lambda: "1 found" in line_of(app, "#found"))
    await pilot.press("enter")
    await wait_until(lambda: app.prompt.text == "sent before")


async def what_was_said_before(app: ChatApp, pilot: Pilot[None]) -> None:
    await open_by(app, "/recall old", RecallScreen)
    await wait_until(lambda: "1 found" in line_of(app, "#found"))
    await pilot.press("enter")
    await wait_until(lambda: app.prompt.text.startswith("Earlier you said: “old”"))


async def the_palette(app: ChatApp, pilot: Pilot[None]) -> None:
    app.simulate_key("ctrl+p")
    await wait_until(lambda: isinstance(app.screen, CommandPalette))
    await pilot.press("escape")


async def what_waits(app: ChatApp, pilot: Pilot[None]) -> None:
    await queued(app, "next")
    await open_by(app, "/queue", QueueScreen)
    await pilot.press("x")
    await wait_until(lambda: waiting(app) == [])


async def another_model(app: ChatApp, pilot: Pilot[None]) -> None:
    """It can be looked at, and got; not changed to while one writes."""
    await open_by(app, "/model", ModelsScreen)
    await choose_a_model(app, pilot)


async def another_model_from_the_guide(app: ChatApp, pilot: Pilot[None]) -> None:
    await open_by(app, "/guide", GuideScreen)
    await pilot.press("right", "enter")
    await wait_until(lambda: isinstance(app.screen, ModelsScreen))
    await choose_a_model(app, pilot)


async def choose_a_model(app: ChatApp, pilot: Pilot[None]) -> None:
    app.screen.dismiss("elsewhere/a-model")  # as the row of one that is on this machine does
    await wait_until(lambda: tells(WHY_NOT)(app))


async def a_model_by_its_name(app: ChatApp, pilot: Pilot[None]) -> None:
    await type_and_send_command(app, "/model elsewhere/a-model")
    await wait_until(lambda: tells(WHY_NOT)(app) and app.prompt.text == "/model elsewhere/a-model")


def line_of(app: ChatApp, which: str) -> str:
    return "".join(str(getattr(one, "content", "")) for one in app.screen.query(which))


INSIDE = (
    another_conversation,
    a_branch_of_the_tree,
    another_reply_from_the_tree,
    settings_that_are_saved,
    what_was_sent_before,
    what_was_said_before,
    the_palette,
    what_waits,
    another_model,
    another_model_from_the_guide,
    a_model_by_its_name,
)


@pytest.mark.parametrize("act", INSIDE, ids=lambda act: act.__name__)
async def test_what_is_done_in_a_screen_while_a_reply_is_written(act: object, tmp_path: Path) -> None:
    app = await begun(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await writing(app)
        await act(app, pilot)  # type: ignore[operator]
        assert app.activity in (Activity.WRITING, Activity.BEHIND)
        finish(app)
        await wait_until(lambda: idle(app) and reply(app) == "reply 1.")
    assert app.failure == ""


# --- the end of a reply that is not on the screen ---------------------------------------------------


@pytest.mark.parametrize("how", ["whole", "stopped"])
async def test_its_end_is_said_with_the_way_there(how: str, tmp_path: Path) -> None:
    """Ctrl+O marks its conversation, and Enter opens it; the next time the list is as always."""
    app = await begun(tmp_path)
    async with app.run_test(size=SIZE) as pilot:
        await writing(app)
        app.simulate_key("ctrl+n")
        await wait_until(lambda: elsewhere(app))
        finish(app) if how == "whole" else app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        end = "has ended" if how == "whole" else "was cut short"
        await wait_until(lambda: tells(f"The reply in “past” {end}: Ctrl+O, Enter opens it.")(app))
        app.session.add_user_message("another")
        await pilot.press("ctrl+o")
        await wait_until(lambda: isinstance(app.screen, ConversationsScreen) and any("past" in r for r in screen(app)))
        await pilot.press("enter")
        await wait_until(lambda: texts(app)[:3] == ["past", "old", "go"])
        assert app.ended_in is None


async def test_the_end_of_one_further_on_says_how_to_go_forward(tmp_path: Path) -> None:
    app = await begun(tmp_path)
    async with app.run_test(size=SIZE):
        await writing(app)
        app.simulate_key("alt+up")
        await wait_until(lambda: elsewhere(app))
        finish(app)
        await wait_until(lambda: tells("The reply in “past” has ended: Alt+↓ or Ctrl+T goes there.")(app))
