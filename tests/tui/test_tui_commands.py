"""What can be said to the chat behind a slash, and by keys."""

from __future__ import annotations

from pathlib import Path

from scripted import Scripted, ask, command, idle, line, notices, said, screen, session
from textual.widgets import Static
from waiting import wait_until

from tui.app import ChatApp
from tui.commands import ALIASES, BY_NAME, COMMANDS, OFFERED, named, parse, plain
from tui.key_line import KeyLine
from tui.prompt.completions import Completions
from tui.prompt.prompt import Prompt
from tui.screens.guide import GuideScreen
from tui.screens.models import ModelsScreen
from tui.screens.settings import SettingsScreen
from tui.transcript.reply import UserMessage

SIZE = (80, 24)


def test_what_is_a_command() -> None:
    assert parse("/help") == ("help", "")
    assert parse("/Rename  A title ") == ("rename", "A title")
    for text in ("help", "//help", "/usr/bin/env", "/", "/ x", "/help\nme", "a /help", "q"):
        assert parse(text) is None
    assert plain("//help") == "/help"
    assert plain("/usr/bin") == "/usr/bin"


def test_every_command_can_be_carried_out(tmp_path: Path) -> None:
    """By what both have, or by the screen alone; none has both, of which one would never be called."""
    app = ChatApp(Scripted(tmp_path))
    assert len({c.name for c in COMMANDS}) == len(COMMANDS)
    keys = [key for c in COMMANDS for key in c.keys]
    assert len(set(keys)) == len(keys)
    assert {one.name for one in COMMANDS if one.does is None} == set(app.actions.own)
    app.session.close()


async def test_slash_and_palette_list_every_command(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path))
    async with app.run_test(size=(100, 50)) as pilot:
        await wait_until(lambda: idle(app))
        assert [name for name, _ in app.query_one(Prompt).commands] == [name for name, _ in OFFERED]
        assert {c.name for c in COMMANDS} <= {name for name, _ in OFFERED}
        await pilot.press("ctrl+p")
        await wait_until(lambda: len(app.screen_stack) == 2)
        from textual.command import CommandList

        await wait_until(lambda: app.screen.query_one(CommandList).option_count == len(COMMANDS))
        await pilot.press(*"help")
        await wait_until(lambda: app.screen.query_one(CommandList).option_count < len(COMMANDS))
        await pilot.press("enter")
        await wait_until(lambda: type(app.screen).__name__ == "HelpScreen")
        await pilot.press("escape")
        await wait_until(lambda: len(app.screen_stack) == 1)


async def test_an_unknown_command_is_a_sentence_and_stays(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        prompt = app.query_one(Prompt)
        prompt.load_text("/regenrate")
        app.simulate_key("enter")
        await wait_until(lambda: "did you mean /regenerate?" in notices(app))
        assert prompt.text == "/regenrate"
        prompt.load_text("//etc is a directory")
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)
        assert said(app)[0].text == "/etc is a directory"


async def test_commands_on_the_conversation(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["Look:\n\n```py\nx = 1\n```\n"]))
    copied: list[str] = []
    app.copy_to_clipboard = copied.append
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await command(app, "/rename Before")
        await wait_until(lambda: "This conversation is empty" in notices(app))
        await command(app, "/copy code")
        await wait_until(lambda: "There is no reply yet." in notices(app))
        await ask(app, "Some code, please")
        await command(app, "/rename Code of mine")
        await wait_until(lambda: line(app, "#title") == "Code of mine")
        for what, text in (("", said(app)[1].text), (" code", "x = 1"), (" mine", "Some code, please")):
            await command(app, f"/copy{what}")
            await wait_until(lambda t=text: copied and copied[-1] == t)
        await command(app, "/copy code 7")
        await wait_until(lambda: "The last reply has no such code block: it has one." in notices(app))
        for name in ("a.md", "a.json"):
            await command(app, f"/export {tmp_path / name}")
            await wait_until(lambda n=name: (tmp_path / n).exists())
        assert "x = 1" in (tmp_path / "a.md").read_text()
        await command(app, f"/export {tmp_path / 'a.doc'}")
        await wait_until(lambda: "should end in .md" in notices(app))
        await command(app, f"/save {tmp_path / 'a'}")  # fault 14
        await wait_until(lambda: f"{tmp_path / 'a'} should end in .rgstate" in notices(app))
        await command(app, "/set temperature 0.5")
        assert app.session.settings["temperature"] == 0.5
        await command(app, "/set temperature hot")
        await wait_until(lambda: "Temperature must be a finite number" in notices(app))
        await command(app, "/set temperature default")
        assert "temperature" not in app.session.settings
        first = app.session.conversation.id
        await command(app, "/delete")
        await wait_until(lambda: app.session.conversation is None)
        await wait_until(lambda: idle(app) and len(app.query(UserMessage)) == 0)
        await command(app, "/undelete")
        await wait_until(lambda: app.session.conversation is not None and app.session.conversation.id == first)
        await wait_until(lambda: len(app.query(UserMessage)) == 1)
        await command(app, f"/import {tmp_path / 'a.json'}")
        await wait_until(lambda: app.session.conversation.id != first and said(app))
        assert next(m.text for m in said(app)) == "Some code, please"
        await wait_until(lambda: idle(app) and len(app.query(UserMessage)) == 1)
        await command(app, f"/import {tmp_path / 'none.json'}")
        await wait_until(lambda: "There is no file" in notices(app))
        await command(app, "/theme nope")
        await wait_until(lambda: "There is no theme 'nope'" in notices(app))
        await command(app, "/theme light")
        assert app.theme == "light"


async def test_pin_and_pin_again(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(lambda: idle(app))
        await command(app, "/pin")
        await wait_until(lambda: "This conversation is empty" in notices(app))
        await ask(app, "Hello")
        await command(app, "/pin")
        await wait_until(lambda: any("Pinned: it leads the list" in n.message for n in app._notifications))
        assert app.session.conversation.pinned
        await command(app, "/new")
        await wait_until(lambda: app.session.conversation is None)
        await ask(app, "Newer")
        await pilot.press("ctrl+o")
        await wait_until(lambda: any("★ Hello" in text for text in screen(app)))
        lines = [text for text in screen(app) if "Hello" in text or "Newer" in text]
        assert "★ Hello" in lines[0] and "● Newer" in lines[1]
        await pilot.press("up", "ctrl+l")
        await wait_until(lambda: not any("★" in text for text in screen(app)))
        await pilot.press("escape")
        await wait_until(lambda: len(app.screen_stack) == 1)
        await command(app, "/pin")
        await wait_until(lambda: app.session.conversation.pinned)
        await command(app, "/pin")
        await wait_until(lambda: not app.session.conversation.pinned)
        assert [one.pinned for one in app.session.store.conversations.listed()] == [False, False]


async def test_settings_names_the_file_of_the_defaults(tmp_path: Path) -> None:
    """28: the file hides in the user's configuration, on a Mac deep in the Library."""
    file = tmp_path / "Library" / "rgchat.toml"
    app = ChatApp(Scripted(tmp_path / "data", ["ok"]), defaults_file=file)
    async with app.run_test(size=(120, 60)):
        await wait_until(lambda: idle(app))
        await command(app, "/settings")
        await wait_until(lambda: isinstance(app.screen, SettingsScreen))
        await wait_until(lambda: "the other settings are in" in "".join(screen(app)))
        shown = str(app.screen.query_one("#settings-file", Static).content)
        assert shown == f"Defaults of new conversations and the other settings are in {file}"


async def test_a_command_in_capitals_leaves_the_prompt(tmp_path: Path) -> None:
    """Fault 12: it ran, and stayed there to be sent again."""
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        for text in ("/SET temperature 0.6", "/Theme light"):
            await command(app, text)
            assert app.query_one(Prompt).text == ""
        assert app.session.settings["temperature"] == 0.6 and app.theme == "light"


async def test_the_same_is_said_once(tmp_path: Path) -> None:
    """Ugly a: a command given again and again covered half of the screen with what it said."""
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=SIZE, notifications=True):
        await wait_until(lambda: idle(app))
        for text in ("The same.", "The same.", "The same.", "Something else."):
            app.notify(text, timeout=600)
        await wait_until(lambda: any("Something else" in text for text in screen(app)))
        assert sum("The same." in text for text in screen(app)) == 1


async def test_the_last_line_says_what_escape_does(tmp_path: Path) -> None:
    """Ugly c: "stop" while it leaves an edit. Ugly j: an edit of nothing says that it is one."""
    app = ChatApp(Scripted(tmp_path, ["ok"]))

    def shown() -> list[str]:
        return [hint.does for hint in app.query_one(KeyLine).hints if hint.press == "escape"]

    async with app.run_test(size=SIZE, notifications=True):
        await wait_until(lambda: idle(app))
        await ask(app, "Hello")
        await wait_until(lambda: not shown())
        app.simulate_key("enter")  # nothing to send, nothing to say
        await command(app, "/fix")
        await wait_until(lambda: shown() == ["leave edit"])
        assert not app._notifications
        app.query_one(Prompt).load_text(" ")
        app.simulate_key("enter")
        await wait_until(lambda: any("An edit needs a text" in text for text in screen(app)))
        assert app.editing is not None
        app.simulate_key("escape")
        await wait_until(lambda: app.editing is None and not shown())
        app.session.delay = 0.1
        app.session.pieces = ["word "] * 600
        app.query_one(Prompt).load_text("go")
        app.simulate_key("enter")
        await wait_until(lambda: shown() == ["stop"])
        app.query_one(Prompt).load_text("then this")
        app.simulate_key("enter")
        await wait_until(lambda: shown() == ["take back"])
        app.simulate_key("escape")
        await wait_until(lambda: shown() == ["stop"] and app.query_one(Prompt).text == "then this")
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))


async def test_an_archived_conversation_is_where_it_is_said_to_be(tmp_path: Path) -> None:
    """Ugly e: the keys that are named lead to it."""
    app = ChatApp(Scripted(tmp_path, ["ok"], past=["Zebra", "yes"]))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await wait_until(lambda: idle(app))
        await command(app, "/archive")
        await wait_until(lambda: any("Ctrl+O, then Ctrl+G" in text for text in screen(app)))
        await pilot.press("ctrl+o")
        await wait_until(lambda: type(app.screen).__name__ == "ConversationsScreen")
        await pilot.press("ctrl+g")
        await wait_until(lambda: any("Zebra" in text for text in screen(app)))


async def test_the_guide_leads_to_the_model_and_has_help(tmp_path: Path) -> None:
    """Ugly f: "Get 2B" opens the models with that one marked, which Enter takes then. Ugly l: F1 is help there too."""
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(lambda: idle(app))
        await command(app, "/guide")
        await wait_until(lambda: isinstance(app.screen, GuideScreen))
        await pilot.press("f1")
        await wait_until(lambda: type(app.screen).__name__ == "HelpScreen")
        await pilot.press("escape")
        await wait_until(lambda: isinstance(app.screen, GuideScreen))
        await pilot.press("right", "enter")
        await wait_until(lambda: isinstance(app.screen, ModelsScreen))
        models = app.screen
        await wait_until(lambda: models._chosen is not None and models._chosen.name == "google/recurrentgemma-2b-it")


async def test_lines_of_the_help_hang(tmp_path: Path) -> None:
    """Ugly i: a line that is wrapped goes on under its text, not under the key."""
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=(60, 60)) as pilot:
        await wait_until(lambda: idle(app))
        await pilot.press("f1")
        await wait_until(lambda: any("then ↑ or Esc" in text or "↑ or Esc takes" in text for text in screen(app)))
        lines = [text[text.index("│") + 2 : text.rindex("│")] for text in screen(app) if "│" in text]
        at = next(i for i, text in enumerate(lines) if text.startswith("Enter"))
        assert lines[at].index("send") == 12 and lines[at + 1].startswith(" " * 12 + lines[at + 1].strip()[0])


def test_no_alias_is_a_command_of_its_own() -> None:
    names = [name for name, _ in OFFERED]
    assert len(names) == len(set(names)) == len(COMMANDS) + len(ALIASES)
    assert {named(alias) for alias in ALIASES} <= set(BY_NAME) and not set(ALIASES) & set(BY_NAME)


async def test_aliases_do_what_their_commands_do(tmp_path: Path) -> None:
    """/clear begins a new conversation, /exit and /bye leave; the list of all does not have them, a beginning finds them."""
    app = ChatApp(Scripted(tmp_path, past=["one", "1"]))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        offered = app.query_one(Completions)
        await pilot.press("/")
        await wait_until(lambda: offered.is_open)
        assert [str(row.prompt).split()[0] for row in offered.options] == [f"/{name}" for name in BY_NAME]
        for typed, rows in (("c", ["/continue", "/copy", "/clear"]), ("l", ["/clear"])):
            await pilot.press(typed)
            await wait_until(lambda rows=rows: [str(row.prompt).split()[0] for row in offered.options] == rows)
        assert "as /new: a new conversation" in str(offered.options[0].prompt)
        await pilot.press("tab", "enter")
        await wait_until(lambda: app.session.conversation is None and app.query_one(Prompt).text == "")
        await wait_until(lambda: idle(app))
        await pilot.press(*"/bye", "enter")
        await wait_until(lambda: not app.is_running)


async def test_settings_show_what_holds_and_a_limit_of_tokens_cuts_a_reply(tmp_path: Path) -> None:
    """F2 and /set show the model's own numbers; /set NAME shows one and does not reset it."""
    app = ChatApp(session(tmp_path, temperature=0.25))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await command(app, "/set max_tokens 3")
        await command(app, "/set temperature")
        assert any(n.message == "temperature: 0.25" for n in app._notifications)
        assert app.session.settings["temperature"] == 0.25
        await command(app, "/set")
        await wait_until(lambda: "temperature: 0.25\ntop_p: 0.9, the model's own\n" in notices(app))
        await ask(app, "Tell me a story about a fox.")
        assert not said(app)[-1].closed and app.session.settings["max_tokens"] == 3
        await pilot.press("f2")
        await wait_until(lambda: type(app.screen).__name__ == "SettingsScreen" and app.screen.query("Input"))
        placeholders = [field.placeholder for field in app.screen.query("Input")]
        assert placeholders[:2] == ["0.5, the model's own", "0.9, the model's own"]
        assert [field.value for field in app.screen.query("Input")][-1] == "3"


async def test_a_saved_state_goes_on_without_reading(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path / "data", temperature=0.0))
    file = tmp_path / "cat.rgstate"
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, "I have a cat named Zibo.")
        await command(app, f"/save {file}")
        await wait_until(lambda: "Written" in notices(app))
        called = await ask(app, "What is my cat called?")
    other = ChatApp(session(tmp_path / "other", temperature=0.0), file=file)
    async with other.run_test(size=SIZE):
        await wait_until(lambda: idle(other) and len(said(other)) == 2)
        assert other.session.metrics.read_again == 0
        assert await ask(other, "What is my cat called?") == called
        file.write_bytes(file.read_bytes()[:-100])
        await command(other, f"/open {file}")
        await wait_until(lambda: "truncated" in notices(other))
        assert len(said(other)) == 4


async def test_a_file_is_read_into_the_message(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("remember the milk\n")
    app = ChatApp(Scripted(tmp_path / "data", ["ok"]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, f"What do I have to do? @{tmp_path / 'notes.txt'} ")
        assert "remember the milk" in said(app)[0].text
        prompt = app.query_one(Prompt)
        prompt.load_text(f"and @{tmp_path / 'missing.txt'} ")
        app.post_message(Prompt.Submitted(prompt.text))
        await wait_until(lambda: "missing.txt" in notices(app))
        assert "missing.txt" in prompt.text
        assert len(said(app)) == 2


async def test_after_a_restart_further_up_one_is_told_that_more_follows(tmp_path: Path) -> None:
    first = Scripted(tmp_path, past=["one", "1", "two", "2"])
    assert first.head is not None and first.conversation is not None
    first.checkout(first.store.messages.path(first.head.id)[1].id)
    app = ChatApp(first)
    async with app.run_test(size=(110, 30)) as pilot:
        await wait_until(lambda: idle(app))
        assert "Turn 1 of 2" in app.position_label and "Alt+↓ goes forward" in "".join(screen(app))
        await pilot.press("alt+down")
        await wait_until(lambda: idle(app))
        assert said(app)[-1].text == "2" and app.position_label.startswith("At the end of this branch")


async def test_what_a_command_has_no_use_for_is_not_dropped(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, past=["one", "1"]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        app.query_one(Prompt).load_text("/endless tell me more")
        app.simulate_key("enter")
        await wait_until(lambda: any("/endless takes nothing after it" in n.message for n in app._notifications))
        assert app.query_one(Prompt).text == "/endless tell me more" and len(said(app)) == 2


async def test_two_chats_at_once_have_two_conversations(tmp_path: Path) -> None:
    first = ChatApp(Scripted(tmp_path, ["ok"]))
    async with first.run_test(size=SIZE):
        await wait_until(lambda: idle(first))
        await ask(first, "first")
        second = Scripted(tmp_path, ["ok"])
        second.open_latest()
        assert second.conversation is None
        assert "Another rgchat" in second.notices[0]
        other = ChatApp(second)
        async with other.run_test(size=SIZE):
            await wait_until(lambda: idle(other))
            await ask(other, "second")
            other.actions.later(other.actions.open_conversation(first.session.conversation.id))
            await wait_until(lambda: "close it there first" in notices(other))
            assert [m.text for m in said(other)] == ["second", "ok"]
        assert [m.text for m in said(first)] == ["first", "ok"]


async def test_a_hit_of_the_search_opens_where_it_was_said(tmp_path: Path) -> None:
    past = [f"{who} number {i}" for i in range(6) for who in ("question", "answer")]
    app = ChatApp(Scripted(tmp_path, ["ok"], past=past))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await command(app, "/new")
        await wait_until(lambda: idle(app) and app.session.conversation is None)
        await pilot.press("ctrl+o")
        await wait_until(lambda: type(app.screen).__name__ == "ConversationsScreen")
        await pilot.press(*"question number 2")
        await wait_until(lambda: any("question number 2" in text for text in screen(app)[5:]))
        await pilot.press("enter")
        await wait_until(lambda: len(app.screen_stack) == 1 and idle(app) and app.session.head is not None)
        await wait_until(lambda: "▸ 1 of 1: Your message" in line(app, "#status"))
        assert any("question number 2" in text for text in screen(app))
        assert app.session.head.text == "answer number 5" and line(app, "#position") == ""


async def test_what_is_selected_on_the_screen_is_copied(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"], past=["What did you say?", "These words, and no others"]))
    copied: list[str] = []
    app.copy_to_clipboard = copied.append
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app) and any("These words" in text for text in screen(app)))
        y = next(i for i, text in enumerate(screen(app)) if "These words" in text)
        x = screen(app)[y].index("These")
        await pilot.mouse_down(offset=(x, y))
        await pilot.hover(offset=(x + 10, y))
        await pilot.mouse_up(offset=(x + 10, y))
        await pilot.press("ctrl+c")
        await wait_until(lambda: copied)
        assert copied == ["These words"]
        assert app.is_running


async def test_a_damaged_store_is_set_aside_and_the_chat_starts(tmp_path: Path) -> None:
    (tmp_path / "chats.db").write_bytes(b"this was a database" * 1000)
    app = ChatApp(session(tmp_path))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app) and "The file of conversations was damaged" in notices(app))
        await ask(app, "Hello!")
    assert [p.read_bytes()[:19] for p in tmp_path.glob("chats.damaged-*.db")] == [b"this was a database"]
