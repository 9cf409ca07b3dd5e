"""A command is one row and one function: the screen and plain lines show what it comes to, each in its way."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Scripted, command, idle, notices
from test_plain import talk
from waiting import wait_until

from rgmlx.store.import_export import check_name
from tui import operations
from tui.app import ChatApp
from tui.commands import BY_NAME, COMMANDS, Command
from tui.outcomes import Outcome, Runs, Said
from tui.plain.commands import TABLE


def _loudly(chat: operations.Chat, text: str) -> Outcome:
    """Counts and shouts."""
    return Runs(lambda: Said(f"{text.upper()} {len(chat.session.store.conversations.listed())}"))


@pytest.fixture
def loud(monkeypatch: pytest.MonkeyPatch) -> Command:
    one = Command("loud", "say it loudly", "TEXT", does=_loudly)
    for table in (BY_NAME, TABLE):
        monkeypatch.setitem(table, "loud", one)
    return one


def test_one_row_is_a_command_in_lines(loud: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = talk(Scripted(tmp_path), "/loud hello\n/loud\n/help\n", capsys, code=1)
    assert "You: /loud hello\nHELLO 0\nYou: /loud\n/loud TEXT: say it loudly\n" in out
    assert out.count("\n/loud TEXT: say it loudly\n") == 2  # the second is in the help


async def test_one_row_is_a_command_on_the_screen(loud: Command, tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, past=["one", "1"]))
    async with app.run_test():
        await wait_until(lambda: idle(app))
        await command(app, "/loud hello")
        await wait_until(lambda: "HELLO 1." in notices(app))


def test_what_a_command_does_is_named_in_one_row() -> None:
    """No function is left of a command that is gone, and none stands for two."""
    named = [one.does for one in COMMANDS if one.does is not None]
    there = [
        function
        for name, function in vars(operations).items()
        if getattr(function, "__module__", "") == operations.__name__
        and not name.startswith("_")
        and getattr(function, "__annotations__", {}).get("return") == "Outcome"
    ]
    assert len(set(named)) == len(named) and set(named) == set(there)


@pytest.mark.parametrize("name", ["a.MD", "a.Json"])
def test_an_ending_in_capitals_is_one(name: str, tmp_path: Path) -> None:
    session = Scripted(tmp_path / "data", past=["one", "1"])
    assert session.conversation is not None
    check_name(tmp_path / name)
    session.store.import_export.write(session.conversation.id, tmp_path / name)
    assert (tmp_path / name).read_text().startswith("{" if name.endswith("Json") else "# ")
    session.close()
