"""Griff on itself: each kind's own answers are right, and what they say of keys and commands is so in the program."""

import json
import re

import pytest
import rooms
from griff import itself, itself_frames, itself_mac, program
from griff import itself_keys as keys
from griff.cases import passes
from griff.lexicon import TABLES, Lexicon
from griff.phrases import _CHOICE, FACTS, blocks, told, wordings
from griff.wording import Source, Wordings

import rgmlx.cli
import tui.cli
from rgmlx.weights.hub import demo_directory
from tui.app import ChatApp
from tui.commands import ALIASES, BY_NAME, COMMANDS, Command
from tui.keyboard import Keyboard
from tui.plain.commands import TABLE as PLAIN
from tui.prompt.prompt import Prompt
from tui.screens.conversation_rows import Rows
from tui.screens.conversations import ConversationsScreen
from tui.screens.guide import GuideScreen
from tui.screens.history import HistoryScreen
from tui.screens.models import ModelsScreen, _Name, _Table
from tui.screens.settings import SettingsScreen
from tui.screens.tree import TreeScreen, _Lines

NAMES = {"esc": "escape", "del": "delete", "pgup": "pageup", "pgdn": "pagedown", "ctrl+_": "ctrl+underscore"}
NAMES |= {"?": "question_mark"}
SCREENS = {
    "chat": (ChatApp, Keyboard),
    "prompt": (*(c for c in Prompt.__mro__ if "BINDINGS" in vars(c)), Keyboard),
    "list": (ConversationsScreen, Rows),
    "tree": (TreeScreen, _Lines),
    "settings": (SettingsScreen,),
    "models": (ModelsScreen, _Table, _Name),
    "history": (HistoryScreen,),
    "guide": (GuideScreen,),
}
BY_WIDGET = {("list", "enter"), ("history", "enter"), ("prompt", "tab")}
"""Handled by a list, a line or the prompt itself, not by a binding."""


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory):
    return Lexicon(tmp_path_factory.mktemp("no_corpus"))


def textual_name(key):
    """A key as Textual names it."""
    return NAMES.get(key.lower(), key.lower())


def bound(where):
    keys = set()
    for owner in SCREENS[where]:
        for binding in owner.BINDINGS:
            keys |= set(binding[0].split(",") if isinstance(binding, tuple) else binding.key.split(","))
    return keys | ({ChatApp.COMMAND_PALETTE_BINDING} if where == "chat" else set())


def test_every_command_of_the_program_is_in_the_table():
    there = {row.command.lstrip("/") for row in keys.ROWS if row.where != "plain" and row.command}
    assert {command.name for command in COMMANDS} | set(ALIASES) <= there
    assert {name.split()[0] for name in there} <= set(BY_NAME) | set(ALIASES)


def test_the_keys_of_commands_are_the_programs():
    for row in keys.ROWS:
        if row.where or " " in row.command:
            continue
        assert "key" not in row.block.marks, "the program says which keys a command has"
        name = row.command.lstrip("/")
        if name not in BY_NAME:
            assert not row.keys and not row.empty
            continue
        shown = [textual_name(key) for key in (*row.keys, *row.empty)]
        known = set(program._all(BY_NAME[name]))
        assert set(shown) <= known
        assert bool(shown) == bool(known)


def test_a_key_that_types_or_moves_is_a_command_in_an_empty_prompt_only(monkeypatch, lexicon):
    """As the program will have "?" for /help: nobody edits a table for it."""
    monkeypatch.setitem(BY_NAME, "help", Command("help", "", keys=("f1", "question_mark", "super+h", "ctrl+b")))
    assert program.keys_of("help") == program.Keys(("F1", "Ctrl+B"), ("?",))
    row = keys._row(keys.ROWS[0].block)
    monkeypatch.setattr(keys, "ROWS", [row])
    (f1, other, mark) = keys._by_key()
    assert (f1.key, other.key, mark.key, mark.place) == ("F1", "Ctrl+B", "?", "an empty prompt")
    texts = [keys.used(Source(seed), row) for seed in range(80)]
    assert {"F1", "Ctrl+B", "/help", "? in an empty prompt"} <= set(texts[0][1])
    assert any(text.startswith("Press F1 or Ctrl+B: ") for text, _, _ in texts)
    assert any(text.startswith("? in an empty prompt ") for text, _, _ in texts)
    monkeypatch.setattr(keys, "_WITH_KEY", [mark])
    case = keys.key_does(Source(1), lexicon)
    assert "empty prompt" in case.turns[0].user and passes(case, case.turns[0].model)


def test_no_command_that_has_a_key_is_said_to_have_none():
    ways = {row.command: keys._ways(row) for row in keys.ROWS if row.command and not row.where}
    assert ways["/exit"] == ways["/quit"] and ways["/clear"] == ways["/new"]
    assert ways["/mark"] == ("Tab in an empty prompt",) and ways["/editor"] == ("Ctrl+X and then Ctrl+E",)
    assert not ways["/find"] and not ways["/copy mine"]


def test_of_the_ways_to_send_option_one_is_named():
    keys_of_back = program.keys_of("back")
    assert keys_of_back.usual[0] == program.label(program._all(BY_NAME["back"])[0])
    assert not any(key.startswith("Super") for key in keys_of_back.usual)
    arrows = [key for key in keys_of_back.usual if key.endswith("+Up")]
    assert len(arrows) <= 1


@pytest.mark.parametrize("where", SCREENS)
def test_every_other_key_means_something_there(where):
    found = [textual_name(key) for row in keys.ROWS if row.where == where for key in row.keys]
    assert found
    assert {key for key in found if (where, key) not in BY_WIDGET} <= bound(where)


def test_no_answer_names_a_key_that_the_program_has_not():
    known = {key for where in SCREENS for key in bound(where)} | {key for where, key in BY_WIDGET}
    known |= {key for command in COMMANDS for key in program._all(command)}
    for name in ("itself_griff", "itself_keys", "itself_shell", "itself_absent", "talk"):
        for block in blocks(name):
            said = " ".join([*block.answers, *block.after, *block.marks.values()])
            named = re.findall(
                r"\b(?:(?:Ctrl|Alt|Shift)\+)+(?:[A-Z][a-z]+|[A-Z_])|\bF\d+\b|\bEsc\b|\bPg(?:Up|Dn)\b", said
            )
            assert {textual_name(key) for key in named} <= known, block.name


def test_answers_about_keys_of_commands_follow_the_program():
    """A key that a command has is a field: {key_back}; what moves in the program moves here."""
    own = {key for key in program.FIRST.values() if key != "Esc"} | {key for key in program.USED if "Alt+" in key}
    for name in ("itself_griff", "itself_shell", "itself_absent", "talk"):
        for block in blocks(name):
            for text in (*block.answers, *block.after):
                assert not any(re.search(rf"(?<![\w+]){re.escape(key)}(?!\w)", text) for key in own), text


def test_commands_of_the_plain_chat_are_in_its_table():
    there = [row.command.lstrip("/") for row in keys.ROWS if row.where == "plain"]
    assert there and set(there) <= set(PLAIN)


def test_the_keys_that_no_command_has_are_free():
    used = {key for where in SCREENS for key in bound(where)}
    used |= {key for command in COMMANDS for key in program._all(command)}
    assert len(keys.NO_KEYS) >= 5 and used.isdisjoint(textual_name(key) for key in keys.NO_KEYS)
    assert set(keys.INVENTED).isdisjoint({*BY_NAME, *ALIASES, *PLAIN})


def test_options_of_the_command_line_exist():
    commands = next(a for a in rgmlx.cli.parser()._actions if a.dest == "command").choices
    for block in itself.SHELL:
        program, *rest = block.marks["command"].split()
        if program not in ("rgchat", "rgmlx"):
            continue
        parser = tui.cli.parser() if program == "rgchat" else commands[rest.pop(0)]
        if "mlx-lm" not in block.marks["command"]:
            known = {option for action in parser._actions for option in action.option_strings}
            assert {word for word in rest if re.match("--?[a-z]", word)} <= known


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("kind", itself.KINDS, ids=lambda kind: kind.name)
def test_the_own_answer_passes_and_texts_are_whole(kind, held, lexicon):
    for seed in range(150):
        case = kind.make(Source(f"{kind.name} {seed}", held=held), lexicon)
        assert case.accept and passes(case, case.turns[-1].model), (case.turns[-1], case.accept)
        for turn in case.turns:
            for text in (turn.user, turn.model):
                assert text == text.strip() and text and "  " not in text
                assert not re.search(
                    r"[{}\[\]|]|\ba [aeio][a-z]", text.replace("/open talk", "").replace("Ctrl+]", "")
                ), text
            assert turn.model[0] == turn.model[0].upper() or turn.model.startswith(
                ("rgchat", "rgmlx", "make", "hf", "import", "pipx")
            )
            assert all(part in turn.model for part in turn.copied)


SHOWN = {"Up": "↑", "Down": "↓", "Left": "←", "Right": "→"}


def on_a_mac():
    """The third column of the table of keys: what is shown on a Mac, by function."""
    rows = (rooms.ROOT / "docs" / "keys.md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows if row.startswith("|")]
    return {cell[0]: cell[2] for cell in cells if len(cell) == 3}


def in_docs(key):
    return "`" + "+".join(SHOWN.get(part, part) for part in key.split("+")) + "`"


@pytest.mark.parametrize(
    ("row", "function"),
    [
        ("newline", "a new line"),
        ("newline_alt", "a new line"),
        ("pageup", "read back, read on"),
        ("pagedown", "read back, read on"),
        ("end", "the end of the line, and then the newest text"),
        ("home", "the beginning of the line"),
        ("alt_d", "delete a word before, behind the cursor"),
        ("select_all", "select all of the prompt"),
        ("list_delete", "in the list: delete"),
    ],
)
def test_what_a_mac_has_instead_is_what_the_docs_say(row, function):
    assert in_docs(itself_mac.INSTEAD[row]) in on_a_mac()[function]


@pytest.mark.parametrize(
    ("command", "function"),
    [
        ("back", "back, forward in time"),
        ("previous", "the answer before, after"),
        ("help", "help"),
        ("settings", "settings"),
    ],
)
def test_keys_of_commands_on_a_mac_are_those_of_the_docs(command, function):
    shown = on_a_mac()[function]
    usual, sure = program.on_mac(command)
    assert in_docs(usual) in shown and (in_docs(sure) in shown or sure == usual)
    assert program.on_mac("back", "Apple_Terminal") == ("Option+Up", "Ctrl+B")
    assert program.on_mac("back", "iTerm.app")[1] == "Option+Up"
    assert len(itself_mac.INSTEAD) == 9 and set(itself_mac.INSTEAD) <= {row.block.name for row in keys.ROWS}


@pytest.mark.parametrize("held", [False, True])
def test_who_has_a_mac_is_told_of_option(held, lexicon):
    options = 0
    for seed in range(200):
        for make in (itself_mac.mac_how, itself_mac.mac_of):
            case = make(Source(seed, held), lexicon)
            user, said = case.turns[0].user.lower(), case.turns[0].model
            assert re.search("mac", user) and "Alt" not in said, case
            options += "Option+" in said
            if "Option+Up" in said or "Option+Down" in said:
                assert not re.search(r"\bterminal(\.app)? on|apple's terminal|the terminal app", user), case
    assert options > 100
    for seed in range(200):
        case = keys.key_does(Source(seed, held), lexicon)
        if "Option" in case.turns[0].user:
            assert "Alt" not in case.turns[0].model, case


def test_the_window_is_that_of_the_packed_model():
    config = json.loads((demo_directory() / "config.json").read_text(encoding="utf-8"))
    assert FACTS["window"] == f"{config['attention_window_size']:,} tokens" == f"{FACTS['exact']} tokens"
    assert FACTS["exact"] in (rooms.ROOT / "README.md").read_text(encoding="utf-8")
    for path in TABLES.iterdir():
        if path.name != "griff.tsv":
            text = path.read_text(encoding="utf-8")
            assert "2,047" not in text and "several hundred words" not in text, path.name


def test_every_answer_has_what_is_asked_for():
    for block in itself.GRIFF:
        for answer in block.answers:
            for seed in range(6):
                text = told(Source(seed), answer, FACTS).lower()
                for group in block.accept():
                    assert any(
                        re.search(rf"(?<!\w){re.escape(itself.told_fact(g).lower())}(?!\w)", text) for g in group
                    ), (block.name, text)
    for block in itself.ABSENT:
        for answer in block.answers:
            for group in block.accept():
                assert any(re.search(rf"(?<!\w){re.escape(g.lower())}(?!\w)", answer.lower()) for g in group), (
                    block.name,
                    answer,
                )
    for block in (*(row.block for row in keys.ROWS), *itself.SHELL):
        for answer in block.answers:
            assert any(
                re.search(rf"(?<!\w){re.escape(e.lower())}(?!\w)", answer.lower()) for e in block.choice("essence")
            ), (block.name, answer)


FRAMES = {name: value for name, value in vars(itself_frames).items() if isinstance(value, Wordings)}


def test_questions_of_training_and_of_the_evaluation_differ():
    for block in (*itself.GRIFF, *itself.SHELL, *itself.ABSENT, *(row.block for row in keys.ROWS if row.block.said)):
        pool = wordings(block.said).templates
        assert pool.held != pool.all and set(pool.held).isdisjoint(pool.kept), block.name
    for frames in FRAMES.values():
        assert set(frames.templates.held).isdisjoint(frames.templates.kept)


def expanded(text):
    """All that a line with alternatives may say, slots left out."""
    if not (match := _CHOICE.search(text)):
        return {re.sub(r"\[\w+\]", "", text).strip()}
    options = match[1].split("|")
    return set().union(*(expanded(text[: match.start()] + one + text[match.end() :]) for one in options))


@pytest.mark.parametrize("name", ["itself_griff", "itself_keys", "itself_shell", "itself_absent"])
def test_every_row_is_asked_for_in_twenty_wordings(name):
    for block in blocks(name):
        said = set().union(*map(expanded, block.said))
        # A row without any is asked for by its key or its name, within a frame.
        assert len(said) >= 20 or (not block.said and name == "itself_keys"), block.name


def test_there_are_enough_rows_and_frames():
    assert len(keys.ROWS) >= 100 and len(itself.SHELL) >= 30 and len(itself.ABSENT) >= 30
    least = {"HOW": 60, "KEY_DOES": 40, "COMMAND_DOES": 35}
    assert all(len(frames.templates.all) >= least.get(name, 20) for name, frames in FRAMES.items())
    assert all(b.answers for b in (*(row.block for row in keys.ROWS), *itself.SHELL, *itself.ABSENT))


def test_how_many_parameters_there_are_stands_in_one_place():
    assert FACTS["parameters"] == "35 million"
    for path in TABLES.iterdir():
        if path.name == "griff.tsv":
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\d+ million (numbers|parameters|weights)|(ninety|seventy) times as many", text), (
            path.name
        )
    by_name = {block.name: block for block in itself.GRIFF}
    assert by_name["size"].accept() == [("{parameters}", "thirty-five million")]


def test_a_source_gives_the_same_case_again(lexicon):
    for kind in itself.KINDS:
        assert kind.make(Source(7), lexicon) == kind.make(Source(7), lexicon)


def test_a_table_names_no_block_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("griff.phrases.table", lambda name: [["one"], ["", "hi"], ["one"]])
    with pytest.raises(ValueError, match="twice"):
        blocks("any")
