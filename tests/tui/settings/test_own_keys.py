"""Keys of the user's for commands: read, checked, pressed and shown (`docs/habits.md`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Scripted, idle, line
from waiting import wait_until

from tui import commands
from tui.app import ChatApp
from tui.commands import COMMANDS, GIVEN_KEYS, pressed, use_keys
from tui.prompt.prompt import Prompt
from tui.screens.help import HelpScreen
from tui.screens.tree import TreeScreen
from tui.settings import own_keys
from tui.settings.settings import Defaults, load, save
from tui.terminal import terminals


@pytest.fixture(autouse=True)
def afterwards() -> object:
    yield
    use_keys({})


def read(text: str, tmp_path: Path) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    file = tmp_path / "rgchat.toml"
    file.write_text(text)
    defaults, problems = load(file)
    keys, said = own_keys.read(defaults.keys, GIVEN_KEYS)
    return keys, problems + said


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("alt+t", "alt+t"),
        ("Option + T", "alt+t"),
        ("CTRL+T", "ctrl+t"),
        ("^t", "ctrl+t"),
        ("F5", "f5"),
        ("ctrl+alt+t", "alt+ctrl+t"),
        ("shift+ctrl+F5", "ctrl+shift+f5"),
        ("ctrl+\\\\", "ctrl+backslash"),
        ("alt+?", "alt+question_mark"),
        ("alt+pgup", "alt+pageup"),
    ],
)
def test_a_key_is_written_as_people_write_it(typed: str, key: str, tmp_path: Path) -> None:
    assert read(f'[keys]\ntree = "{typed}"\n', tmp_path) == ({"tree": (key,)}, [])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("keys = 1", 'keys must be a table, such as [keys] with tree = "alt+t" in it. It is ignored'),
        ("[keys]\ntre = 'alt+t'", "there is no command tre for keys; the nearest is keys.tree. It is ignored"),
        ("[keys]\n'/tree' = 'alt+t'", "there is no command /tree for keys; the nearest is keys.tree. It is ignored"),
        ("[keys]\nzzz = 'alt+t'", "there is no command zzz for keys; /help lists the commands. It is ignored"),
        ("[keys]\ntree = 5", 'keys.tree must be a key such as "alt+t", or a list of up to 5. It is ignored'),
        ("[keys]\ntree = []", 'keys.tree must be a key such as "alt+t", or a list of up to 5. It is ignored'),
        ("[keys]\ntree = 'crtl+t'", 'keys.tree can\'t be "crtl+t": there is no such key; the nearest is ctrl+t. It is ignored'),
        ("[keys]\ntree = 'alt+pageupp'", 'keys.tree can\'t be "alt+pageupp": there is no such key; the nearest is alt+pageup. It is ignored'),
        ("[keys]\ntree = '????'", 'keys.tree can\'t be "????": there is no such key; one is written as alt+t, ctrl+t or f5. It is ignored'),
        ("[keys]\ntree = 't'", 'keys.tree can\'t be "t": it is typed into the prompt. It is ignored'),
        ("[keys]\ntree = 'shift+t'", 'keys.tree can\'t be "shift+t": it is typed into the prompt. It is ignored'),
        ("[keys]\ntree = '?'", 'keys.tree can\'t be "?": it is typed into the prompt. It is ignored'),
        ("[keys]\ntree = 'ctrl+y'", 'keys.tree can\'t be "ctrl+y": the prompt needs it: one edits with it. It is ignored'),
        ("[keys]\ntree = 'ctrl+i'", 'keys.tree can\'t be "ctrl+i": terminals send it as Tab. It is ignored'),
        ("[keys]\ntree = 'ctrl+n'", 'keys.tree can\'t be "ctrl+n": new has this key. It is ignored'),
        ("[keys]\ntree = 'ctrl+p'", 'keys.tree can\'t be "ctrl+p": palette has this key. It is ignored'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_the_command_keeps_its_key(text: str, sentence: str, tmp_path: Path) -> None:
    assert read(text, tmp_path) == ({}, [sentence])


def test_keys_can_be_exchanged_and_none_is_given_twice(tmp_path: Path) -> None:
    assert read("[keys]\ntree = 'ctrl+n'\nnew = 'ctrl+t'\n", tmp_path) == (
        {"tree": ("ctrl+n",), "new": ("ctrl+t",)},
        [],
    )
    keys, said = read("[keys]\ntree = ['alt+x', 'alt+t']\nnew = 'alt+x'\n", tmp_path)
    assert keys == {"tree": ("alt+x", "alt+t")}
    assert said == ['keys.new can\'t be "alt+x": tree has this key. It is ignored']
    keys, said = read("[keys]\nnew = 'ctrl+y'\ntree = 'ctrl+n'\n", tmp_path)
    assert keys == {}, "the first keeps its own, so that the second can't have it"
    assert len(said) == 2 and "new has this key" in said[1]
    keys, said = read("[keys]\ntree = 'ctrl+n'\nnew = 'ctrl+y'\n", tmp_path)
    assert keys == {} and len(said) == 2 and "new has this key" in said[1], "in any order"
    assert read("[keys]\nhelp = ['f5', '?']\n", tmp_path) == ({"help": ("f5", "question_mark")}, [])


def test_keys_that_may_not_come_hold_and_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, said = read("[keys]\ntree = 'ctrl+1'\nnew = ['super+n', 'f8']\n", tmp_path)
    assert keys == {"tree": ("ctrl+1",), "new": ("super+n", "f8")} and said == ["keys.tree: few terminals send ctrl+1"]
    monkeypatch.setenv("TERM_PROGRAM", "Apple_Terminal")
    keys, said = read("[keys]\nexport = 'alt+up'\nback = 'f8'\n", tmp_path)
    assert keys["export"] == ("alt+up",)
    assert said == ["keys.export: alt+up does not reach a program in this terminal as it is delivered"]


def test_every_command_has_a_row_and_the_prompt_keeps_its_keys() -> None:
    assert set(GIVEN_KEYS) == {*(command.name for command in COMMANDS), "palette"}
    assert {*Prompt._merge_bindings().key_to_bindings, "tab", "shift+tab", "escape"} == own_keys.OF_THE_PROMPT
    for name, keys in GIVEN_KEYS.items():
        assert all(own_keys._key(key) == (key, "") for key in keys), name


def test_saving_leaves_the_table_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "rgchat.toml"
    file.write_text('theme = "dark"\n\n[keys]\ntree = "alt+t"  # mine\nwrong = 1\n')
    save(file, Defaults(theme="light"))
    assert file.read_text() == 'theme = "light"\n\n[keys]\ntree = "alt+t"  # mine\nwrong = 1\n'


async def test_a_key_of_the_users_means_the_command_and_its_own_nothing(tmp_path: Path) -> None:
    defaults = Defaults(keys={"tree": "alt+t", "list": ["f9"], "next": "alt+n", "copy": "f10"})
    app = ChatApp(Scripted(tmp_path, ["ok"], past=("one", "1")), defaults=defaults)
    async with app.run_test() as pilot:
        await wait_until(lambda: idle(app))
        await pilot.press("ctrl+t", "ctrl+o")
        await pilot.press("x")
        await wait_until(lambda: app.query_one(Prompt).text == "x")
        assert len(app.screen_stack) == 1
        await pilot.press("alt+t")
        await wait_until(lambda: isinstance(app.screen, TreeScreen))
        await pilot.press("escape", "f10")
        await wait_until(
            lambda: any("opied" in one.message or "clipboard" in one.message for one in app._notifications)
        )
        assert app.query_one(Prompt).text == "x", "a key of the user's holds while there is a text"
        foot = line(app, "#keys")
        assert "F9 list" in foot and pressed("list") == "F9" and pressed("tree") == "Alt+T"
        await pilot.press("backspace", "right")  # no longer the next answer
        await pilot.press("f1")
        await wait_until(lambda: isinstance(app.screen, HelpScreen))
        shown = "\n".join(str(one.render()) for one in app.screen.query("Static"))
        assert "/tree  (Alt+T)" in shown and "/list  (F9)" in shown and "/next  (Alt+N)" in shown


async def test_escape_stops_whatever_other_key_does(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"]), defaults=Defaults(keys={"stop": "f8", "palette": "f6"}))
    async with app.run_test() as pilot:
        await wait_until(lambda: idle(app))
        assert commands.keys_of("stop") == ("f8", "escape")
        actions = {key: [b.action for b in there] for key, there in app._bindings.key_to_bindings.items()}
        assert "command('stop')" in actions["escape"] and len(actions["escape"]) == 3
        assert actions["f8"] == ["command('stop')"] and "ctrl+p" not in actions
        await pilot.press("f6")
        await wait_until(lambda: type(app.screen).__name__ == "CommandPalette")


async def test_another_app_has_the_keys_of_the_table_again(tmp_path: Path) -> None:
    ChatApp(Scripted(tmp_path, ["ok"]), defaults=Defaults(keys={"tree": "alt+t"}))
    assert pressed("tree") == "Alt+T"
    ChatApp(Scripted(tmp_path, ["ok"]))
    assert pressed("tree") == "Ctrl+T"


def test_what_terminals_send() -> None:
    sent = "ctrl+t alt+t f5 ctrl+up shift+f5 alt+ctrl+t ctrl+underscore shift+delete alt+1"
    assert all(map(terminals.is_sent, sent.split()))
    assert not any(
        map(terminals.is_sent, ["ctrl+1", "ctrl+shift+t", "super+t", "alt+shift+t", "ctrl+comma", "super+up"])
    )
