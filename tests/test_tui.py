"""The chat screen, driven by keys: with the embedded model, and with a scripted one where time matters."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import Scripted, idle, screen, type_and_send, wait_until
from textual.widgets import Static

from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL, USER, Message, Store
from tui.app import ChatApp
from tui.commands import COMMANDS, parse, plain
from tui.prompt import Prompt
from tui.reply import HorizonLine, Notice, ReplyMessage, UserMessage
from tui.scroll import MAX_MESSAGES
from tui.session import Session

SIZE = (80, 24)


def session(data: Path, **sampling: float) -> Session:
    made = Session(Store(data), sampling=sampling)
    made.open_latest()
    return made


def said(app: ChatApp) -> list[Message]:
    """The messages up to here, as the store has them."""
    head = app.session.head
    return app.session.store.messages.path(head.id if head else None)


def notices(app: ChatApp) -> str:
    return "\n".join(str(n.content) for n in app.query(Notice))


def line(app: ChatApp, which: str) -> str:
    return str(app.query_one(which, Static).content)


async def ask(app: ChatApp, text: str) -> str:
    """Sends a message and waits for the end of its reply."""
    before = len(said(app))
    await type_and_send(app, text)
    await wait_until(lambda: idle(app) and len(said(app)) >= before + 2)
    return said(app)[-1].text


async def command(app: ChatApp, text: str) -> None:
    quiet = 0
    while app.session.ready and quiet < 5:  # what the last one set off is over
        quiet = quiet + 1 if idle(app) else 0
        await asyncio.sleep(0.02)
    app.query_one(Prompt).load_text(text)
    app.query_one(Prompt).action_submit()
    await wait_until(lambda: app.query_one(Prompt).text != text)


# --- a conversation -------------------------------------------------------------------------


async def test_a_first_conversation_survives_a_restart(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path, seed=1))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, "I have a cat named Zibo.")
        assert [len(app.query(w)) for w in (UserMessage, ReplyMessage)] == [1, 1]
        assert app.query_one(ReplyMessage).source == said(app)[1].text
        assert "memory 0.6 MB, always" in line(app, "#status")
        assert line(app, "#title") == "I have a cat named Zibo."
        position = app.session.gauges.position

    again = ChatApp(session(tmp_path, temperature=0.0))
    async with again.run_test(size=SIZE):
        await wait_until(lambda: len(again.query(ReplyMessage)) == 1)  # before the model is there
        await wait_until(lambda: idle(again))
        assert [m.role for m in said(again)] == [USER, MODEL]
        assert again.session.gauges.position == position
        assert again.session.gauges.read_again == 0
        again.session.set_settings({"temperature": 0.0})
        assert "Zibo" in await ask(again, "What is my cat called?")


class Unhurried(Session):
    """The embedded model, a story of which takes ten seconds here: it can't end before a key comes."""

    def reply(self, *, endless: bool = False) -> Iterator[str]:
        for piece in super().reply(endless=endless):
            time.sleep(0.1)
            yield piece


async def test_escape_stops_and_what_was_written_can_be_gone_on_with(tmp_path: Path) -> None:
    app = ChatApp(Unhurried(Store(tmp_path), sampling={"temperature": 0.0}))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await type_and_send(app, "Tell me a story about a bear and a kite")
        await wait_until(lambda: app.query(ReplyMessage) and len(app.query_one(ReplyMessage).source) > 5)
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        partial = said(app)[1]
        assert partial.text
        assert not partial.closed
        assert app.query_one(ReplyMessage).source == partial.text
        app.simulate_key("ctrl+g")
        await wait_until(lambda: idle(app) and said(app)[1].closed)
        whole = said(app)[1]
        assert whole.id == partial.id
        await wait_until(lambda: app.query_one(ReplyMessage).source == whole.text)
    straight = session(tmp_path / "other", temperature=0.0)
    straight.load()
    straight.ask("Tell me a story about a bear and a kite")
    assert "".join(straight.reply()) == whole.text


async def test_a_long_message_shows_how_far_it_was_read_and_can_be_stopped(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await type_and_send(app, "one two three four five six seven " * 100)
        await wait_until(lambda: "reading your message" in line(app, "#status"))
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        assert [m.role for m in said(app)] == [USER]
        assert len(app.query(ReplyMessage)) == 0  # no empty box
        app.simulate_key("ctrl+r")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)


async def test_a_message_sent_while_loading_is_sent_then(tmp_path: Path) -> None:
    class Slow(Session):
        def load(self, *arguments: object) -> None:
            time.sleep(0.5)
            super().load()

    app = ChatApp(Slow(Store(tmp_path)))
    async with app.run_test(size=SIZE):
        await type_and_send(app, "Hello!")
        assert not app.session.ready
        await wait_until(lambda: idle(app) and len(said(app)) == 2)


async def test_leaving_does_not_wait_for_the_model(tmp_path: Path) -> None:
    class Endless(Session):
        def load(self, *arguments: object) -> None:
            time.sleep(60)

    app = ChatApp(Endless(Store(tmp_path)))
    async with app.run_test(size=SIZE) as pilot:
        begun = time.monotonic()
        await pilot.press("ctrl+q")
        await wait_until(lambda: not app.is_running)
    assert time.monotonic() - begun < 20


async def test_other_replies_are_kept_beside_the_first(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        first = await ask(app, "Tell me a story")
        app.simulate_key("ctrl+r")
        await wait_until(lambda: idle(app) and said(app)[-1].number == 2)
        second = said(app)[-1].text
        assert second != first
        assert len(app.query(ReplyMessage)) == 1
        await wait_until(lambda: any("Assistant ‹2/2›" in text for text in screen(app)))
        app.simulate_key("alt+left")
        await wait_until(lambda: idle(app) and said(app)[-1].text == first)
        await wait_until(lambda: any("Assistant ‹1/2›" in text for text in screen(app)))
        assert app.query_one(ReplyMessage).source == first
        assert "0 tokens re-read" in line(app, "#place")
        app.simulate_key("alt+right")
        await wait_until(lambda: idle(app) and said(app)[-1].text == second)


async def test_time_travel_reads_nothing_again_and_branches(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path, temperature=0.0))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, "I have a cat named Zibo.")
        called = await ask(app, "What is my cat called?")
        await ask(app, "Tell me a joke")
        assert "Zibo" in called
        places = {6: app.session.gauges.position}
        for shown in (4, 2, 0):
            app.simulate_key("alt+up")
            await wait_until(lambda n=shown: idle(app) and len(said(app)) == n)
            await wait_until(lambda n=shown: len(app.query(UserMessage)) == n // 2)
            assert "0 tokens re-read" in line(app, "#place")
            places[shown] = app.session.gauges.position
        assert sorted(places.values(), reverse=True) == list(places.values())
        assert places[0] == 0
        for shown in (2, 4, 6):
            app.simulate_key("alt+down")
            await wait_until(lambda n=shown: idle(app) and len(said(app)) == n)
            assert app.session.gauges.position == places[shown]
        assert app.session.gauges.read_again == 0
        app.simulate_key("alt+up")
        app.simulate_key("alt+up")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)
        assert await ask(app, "What is my cat called?") == called
        assert line(app, "#place") == ""
        assert len(app.session.store.messages.tree(app.session.conversation.id)) == 8
        assert app.session.gauges.read_again == 0


async def test_an_earlier_message_is_edited_and_the_first_is_kept(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path, temperature=0.0))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, "I have a cat named Zibo.")
        await ask(app, "Hello!")
        await command(app, "/edit")
        prompt = app.query_one(Prompt)
        assert prompt.text == "Hello!"
        assert "Editing" in line(app, "#place")
        app.simulate_key("escape")
        await wait_until(lambda: prompt.text == "" and app.editing is None)
        await command(app, "/edit")
        prompt.load_text("What is my cat called?")
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and said(app)[-1].role == MODEL and said(app)[-2].number == 2)
        assert [m.text for m in said(app) if m.role == USER] == ["I have a cat named Zibo.", "What is my cat called?"]
        assert "Zibo" in said(app)[-1].text
        assert app.session.gauges.read_again == 0
        await wait_until(lambda: any("You ‹2/2›" in text for text in screen(app)))
        await command(app, "/fix")
        prompt.load_text("It is Mimi.")
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and said(app)[-1].text == "It is Mimi.")
        assert app.session.gauges.read_again > 0, "what it did not write itself it has to read"


async def test_endless_goes_on_until_it_is_stopped_and_the_horizon_is_drawn(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, "Hello!")
        assert len(app.query(HorizonLine)) == 0
        await command(app, "/endless")
        await wait_until(lambda: app.session.gauges.position > 400, 60)
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        assert not said(app)[-1].closed
        mark = app.session.horizon()
        assert mark is not None
        assert mark.message == said(app)[-1].id
        exact = said(app)[-1].text[-mark.characters :]
        tokenizer = app.session.memory.tokenizer
        assert 240 <= len(tokenizer.encode(exact)) <= 256


# --- the screen -----------------------------------------------------------------------------


async def test_many_lines_go_in_whole(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        prompt = app.query_one(Prompt)
        prompt.insert("one\ntwo\n\nthree")
        await pilot.press("ctrl+j")
        prompt.insert("four")
        assert prompt.text == "one\ntwo\n\nthree\nfour"
        await pilot.press("enter")
        await wait_until(lambda: len(app.query(UserMessage)) == 1)
        assert str(app.query_one(UserMessage).content) == "one\ntwo\n\nthree\nfour"
        await wait_until(lambda: idle(app))


async def test_keys_answer_while_a_reply_streams(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["word "] * 400, delay=0.01))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, "go")
        await wait_until(lambda: app.busy == "writing")
        await pilot.press("h", "i")
        assert app.query_one(Prompt).text == "hi"
        assert app.busy
        await pilot.press("enter")  # refused while a reply is being written; the text stays
        assert app.query_one(Prompt).text == "hi"
        await pilot.press("escape")
        await wait_until(lambda: idle(app))


async def test_model_text_cannot_harm_the_screen(tmp_path: Path) -> None:
    nasty = "[red]markup[/] [/nope] \x1b[2J\x1b]0;title\x07 \u202egnp.exe \ud800 ``` <script> | a | b\n|--|--|"
    app = ChatApp(Scripted(tmp_path, [nasty, "\n", "x" * 5000]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        app.post_message(Prompt.Submitted(nasty))
        await wait_until(lambda: idle(app) and len(app.query(ReplyMessage)) > 1)
        source = "".join(part.source for part in app.query(ReplyMessage))
        assert source.count("x" * 1000) >= 4
        assert "[red]markup[/] [/nope]" in source
        assert not {"\x1b", "\x07", "\u202e"} & set(source)
        assert not {"\x1b", "\x07", "\u202e"} & set(line(app, "#title"))


async def test_a_failing_reply_is_a_sentence_and_the_app_goes_on(tmp_path: Path) -> None:
    class Failing(Scripted):
        def reply(self, *, endless: bool = False) -> Iterator[str]:
            known = self.head.text == "known"
            for piece in super().reply():
                yield piece
                raise RgmlxError("the disk is full") if known else ZeroDivisionError("boom")

    app = ChatApp(Failing(tmp_path, ["so far", "never"]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        for text, sentence in (
            ("known", "The disk is full"),
            ("unknown", "The reply broke off: ZeroDivisionError: boom"),
        ):
            await type_and_send(app, text)
            await wait_until(lambda s=sentence: s in notices(app))
            await wait_until(lambda: idle(app))
            assert said(app)[-1].text == "so far"


async def test_no_such_model(tmp_path: Path) -> None:
    app = ChatApp(Session(Store(tmp_path / "data"), str(tmp_path / "nothing")))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: "There is no model" in notices(app) and "/model chooses another" in notices(app))
        prompt = app.query_one(Prompt)
        prompt.insert("Hello!")
        app.simulate_key("enter")
        await wait_until(lambda: "is not loaded" in notices(app))
        assert prompt.text == "Hello!"
        await command(app, "/model demo")
        await wait_until(lambda: idle(app))
        prompt.load_text("Hello!")
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)


async def test_few_widgets_stay_mounted(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        for i in range(MAX_MESSAGES):
            await type_and_send(app, f"message {i}")
            await wait_until(lambda: idle(app))
        assert len(app.query_one("#transcript").children) <= MAX_MESSAGES


# --- commands -------------------------------------------------------------------------------


def test_what_is_a_command() -> None:
    assert parse("/help") == ("help", "")
    assert parse("/Rename  A title ") == ("rename", "A title")
    for text in ("help", "//help", "/usr/bin/env", "/", "/ x", "/help\nme", "a /help", "q"):
        assert parse(text) is None
    assert plain("//help") == "/help"
    assert plain("/usr/bin") == "/usr/bin"


def test_every_command_can_be_carried_out() -> None:
    from tui.actions import Actions

    assert len({c.name for c in COMMANDS}) == len(COMMANDS)
    keys = [key for c in COMMANDS for key in c.keys]
    assert len(set(keys)) == len(keys)
    for one in COMMANDS:
        assert callable(getattr(Actions, {"import": "import_", "continue": "continue_"}.get(one.name, one.name)))


async def test_slash_and_palette_list_every_command(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path))
    async with app.run_test(size=(100, 50)) as pilot:
        await wait_until(lambda: idle(app))
        assert [name for name, _ in app.query_one(Prompt).commands] == [c.name for c in COMMANDS]
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
        await ask(app, "Some code, please")
        await command(app, "/rename Code of mine")
        await wait_until(lambda: line(app, "#title") == "Code of mine")
        for what, text in (("", said(app)[1].text), (" code", "x = 1"), (" mine", "Some code, please")):
            await command(app, f"/copy{what}")
            await wait_until(lambda t=text: copied and copied[-1] == t)
        await command(app, "/copy code 7")
        await wait_until(lambda: "no such code block: there are 1" in notices(app))
        for name in ("a.md", "a.json"):
            await command(app, f"/export {tmp_path / name}")
            await wait_until(lambda n=name: (tmp_path / n).exists())
        assert "x = 1" in (tmp_path / "a.md").read_text()
        await command(app, f"/export {tmp_path / 'a.doc'}")
        await wait_until(lambda: "should end in .md" in notices(app))
        await command(app, "/set temperature 0.5")
        assert app.session.settings["temperature"] == 0.5
        await command(app, "/set temperature hot")
        await wait_until(lambda: "Temperature must be a number" in notices(app))
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
        assert other.session.gauges.read_again == 0
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
    first.go(first.store.messages.path(first.head.id)[1].id)
    app = ChatApp(first)
    async with app.run_test(size=(110, 30)) as pilot:
        await wait_until(lambda: idle(app))
        assert "Turn 1 of 2" in app.place and "Alt+↓ goes forward" in "".join(screen(app))
        await pilot.press("alt+down")
        await wait_until(lambda: idle(app))
        assert said(app)[-1].text == "2" and app.place.startswith("At the end of this branch")


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
            await other.actions.open_conversation(first.session.conversation.id)
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
        assert app.session.head.text == "answer number 2"
        assert "Turn 3 of 6" in line(app, "#place")
        await pilot.press("alt+down")
        await wait_until(lambda: idle(app) and app.session.head.text == "answer number 3")


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


# --- a real terminal ------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux, a real terminal to type into")
def test_in_a_real_terminal(tmp_path: Path) -> None:
    """Types, stops, quits, resumes."""
    socket = f"rgchat-test-{os.getpid()}"  # two runs of the tests at once are two servers

    def tmux(*arguments: str) -> str:
        return subprocess.run(["tmux", "-L", socket, *arguments], capture_output=True, text=True, check=True).stdout

    def wait_for(text: str) -> str:
        end = time.monotonic() + 40
        while text not in (shown := tmux("capture-pane", "-p", "-t", "t")):
            assert time.monotonic() < end, shown
            time.sleep(0.1)
        return shown

    def wait_for_the_end() -> None:
        end = time.monotonic() + 40
        while any(text in (shown := tmux("capture-pane", "-p", "-t", "t")) for text in _BUSY):
            assert time.monotonic() < end, shown
            time.sleep(0.1)

    def gone() -> bool:
        return subprocess.run(["tmux", "-L", socket, "has-session"], capture_output=True).returncode != 0

    environment = f"XDG_CONFIG_HOME={tmp_path}/config XDG_DATA_HOME={tmp_path}/data"
    command = f"{environment} {sys.executable} -m tui --temperature 0; sleep 0.5"
    tmux("new-session", "-d", "-s", "t", "-x", "80", "-y", "24", command)
    try:
        wait_for("What this is")  # the first-run guide
        tmux("send-keys", "-t", "t", "Escape")
        wait_for("memory 0.6 MB, always")
        tmux("send-keys", "-t", "t", "I have a cat named Zibo.", "Enter")
        wait_for("tok/s")
        wait_for_the_end()
        tmux("send-keys", "-t", "t", "Tell me a story about a fox and a kite", "Enter")
        wait_for("writing ...")
        tmux("send-keys", "-t", "t", "Escape")
        wait_for_the_end()
        tmux("send-keys", "-t", "t", "C-q")
        end = time.monotonic() + 20
        while not gone():
            assert time.monotonic() < end
            time.sleep(0.1)
        tmux("new-session", "-d", "-s", "t", "-x", "80", "-y", "40", command)
        shown = wait_for("memory 0.6 MB, always")
        assert "I have a cat named Zibo." in shown
        assert "This reply was cut short: Ctrl+G goes on with it." in shown
        wait_for_the_end()
        time.sleep(1)  # the model comes to where the conversation is
        tmux("send-keys", "-t", "t", "C-g")
        wait_for("tok/s")
        wait_for_the_end()
        tmux("send-keys", "-t", "t", "What is my cat called?", "Enter")
        wait_for("What is my cat called?")
        end = time.monotonic() + 30
        while "Assistant" not in (shown := tmux("capture-pane", "-p", "-t", "t")).split("my cat called?")[-1]:
            assert time.monotonic() < end, shown
            time.sleep(0.1)
    finally:
        subprocess.run(["tmux", "-L", socket, "kill-server"], capture_output=True)


_BUSY = ("writing ...", "thinking ...", "loading ...", "reading ")


def test_quitting_while_a_reply_is_written_keeps_it(tmp_path: Path) -> None:
    async def run() -> tuple[str, str]:
        app = ChatApp(Scripted(tmp_path, ["word "] * 1000, delay=0.005))
        async with app.run_test(size=SIZE) as pilot:
            await wait_until(lambda: idle(app))
            await type_and_send(app, "go")
            await wait_until(lambda: app.query(ReplyMessage) and len(app.query_one(ReplyMessage).source) > 20)
            seen = app.query_one(ReplyMessage).source
            await pilot.press("ctrl+q")
            await wait_until(lambda: not app.is_running)
        return seen, Scripted(tmp_path).store.messages.tree(1)[1].text

    seen, kept = asyncio.run(run())
    assert kept.startswith(seen.rstrip())
