"""The chat screen, driven by keys: with the embedded model, and with a scripted one where time matters."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import Held, Scripted, ask, command, idle, line, notices, said, screen, session, type_and_send
from waiting import PATIENCE, wait_for, wait_until

import rgmlx
from rgmlx.conversation.context import Context
from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL, USER, Store
from tui.activity import Activity
from tui.app import ChatApp
from tui.prompt.prompt import Prompt
from tui.transcript.reply import HorizonLine, ReplyMessage, UserMessage
from tui.transcript.scroll import MAX_MESSAGES

SIZE = (80, 24)


@pytest.fixture(autouse=True)
def loaded_once(demo: rgmlx.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded model is read from the disk, and unpacked for NumPy, once for all of these: a second each."""
    load = rgmlx.load
    monkeypatch.setattr(rgmlx, "load", lambda name: demo if name == "demo" else load(name))


# --- a conversation -------------------------------------------------------------------------


async def test_a_first_conversation_survives_a_restart(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path, seed=1))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, "I have a cat named Zibo.")
        assert [len(app.query(w)) for w in (UserMessage, ReplyMessage)] == [1, 1]
        assert app.query_one(ReplyMessage).source == said(app)[1].text
        assert "memory 4.3 MB, always" in line(app, "#status")
        assert line(app, "#title") == "I have a cat named Zibo."
        position = app.session.metrics.position

    again = ChatApp(session(tmp_path, temperature=0.0))
    async with again.run_test(size=SIZE):
        await wait_until(lambda: len(again.query(ReplyMessage)) == 1)  # before the model is there
        await wait_until(lambda: idle(again))
        assert [m.role for m in said(again)] == [USER, MODEL]
        assert again.session.metrics.position == position
        assert again.session.metrics.read_again == 0
        again.session.set_settings({"temperature": 0.0})
        assert "Zibo" in await ask(again, "What is my cat called?")


class Unhurried(Session):
    """The embedded model, whose replies wait in the middle until they are stopped: none ends before a key comes."""

    def generate_reply(self, *, endless: bool = False) -> Iterator[str]:
        return self._unhurried(super().generate_reply(endless=endless))

    def _unhurried(self, pieces: Iterator[str]) -> Iterator[str]:
        for number, piece in enumerate(pieces):
            if number == 5:
                wait_for(self._cancel.is_set)
            yield piece


async def test_escape_stops_and_what_was_written_can_be_gone_on_with(tmp_path: Path) -> None:
    app = ChatApp(Unhurried(Store(tmp_path), sampling={"temperature": 0.0}))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await type_and_send(app, "Tell me a joke")
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
    straight.add_user_message("Tell me a joke")
    assert "".join(straight.generate_reply()) == whole.text


class HeldInReading(Session):
    """The embedded model, which waits in the middle of a long text until it is stopped or may read on."""

    go_on = threading.Event()

    def _progress(self, done: int, total: int) -> None:
        super()._progress(done, total)
        wait_for(lambda: self.go_on.is_set() or self._cancel.is_set())


async def test_a_long_message_shows_how_far_it_was_read_and_can_be_stopped(tmp_path: Path, small_steps: None) -> None:
    chat = HeldInReading(Store(tmp_path), sampling={"max_tokens": 8})  # a reply to such a text may go on for ever
    app = ChatApp(chat)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await type_and_send(app, "one two three four five six seven " * 100)
        await wait_until(lambda: "reading your message" in line(app, "#status"))
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        assert [m.role for m in said(app)] == [USER]
        assert len(app.query(ReplyMessage)) == 0  # no empty box
        chat.go_on.set()
        app.simulate_key("ctrl+r")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)


async def test_the_status_tells_reading_again_from_reading_the_message(tmp_path: Path) -> None:
    """Fault 11: both come before a reply, and only the second is counted in tokens of the message."""
    app = ChatApp(Scripted(tmp_path))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        app.machine.enter(Activity.WRITING)
        app.session.reading, app.session.reading_again = (30, 60), True
        assert app.doing(False) == "reading again, 50 % ..."
        app.session.reading_again = False
        assert app.doing(False) == "reading your message, 30 of 60 tokens ..."
        app.session.reading = None
        app.machine.enter(Activity.IDLE)


async def test_a_message_sent_while_loading_is_sent_then(tmp_path: Path) -> None:
    class Slow(Session):
        def load(self, *arguments: object) -> None:
            assert go_on.wait(PATIENCE)
            super().load()

    go_on = threading.Event()
    app = ChatApp(Slow(Store(tmp_path)))
    async with app.run_test(size=SIZE):
        await type_and_send(app, "Hello!")
        assert not app.session.ready
        go_on.set()
        await wait_until(lambda: idle(app) and len(said(app)) == 2)


async def test_leaving_does_not_wait_for_the_model(tmp_path: Path) -> None:
    class Endless(Session):
        def load(self, *arguments: object) -> None:
            loaded.wait(2 * PATIENCE)

    loaded = threading.Event()
    app = ChatApp(Endless(Store(tmp_path)))
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+q")
        await wait_until(lambda: not app.is_running)
    loaded.set()


async def test_other_replies_are_kept_beside_the_first(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path, temperature=1.0, max_tokens=40))  # the beginning of a story, never the same one
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        first = await ask(app, "Tell me a story")
        app.simulate_key("ctrl+r")
        await wait_until(lambda: idle(app) and said(app)[-1].number == 2)
        second = said(app)[-1].text
        assert second != first
        assert len(app.query(ReplyMessage)) == 1
        await wait_until(lambda: any("Griff ‹2/2›" in text for text in screen(app)))
        app.simulate_key("alt+left")
        await wait_until(lambda: idle(app) and said(app)[-1].text == first)
        await wait_until(lambda: any("Griff ‹1/2›" in text for text in screen(app)))
        assert app.query_one(ReplyMessage).source == first
        assert "0 tokens re-read" in app.position.reread
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
        places = {6: app.session.metrics.position}
        for shown in (4, 2, 0):
            app.simulate_key("alt+up")
            await wait_until(lambda n=shown: idle(app) and len(said(app)) == n)
            await wait_until(lambda n=shown: len(app.query(UserMessage)) == n // 2)
            assert "0 tokens re-read" in app.position.reread
            places[shown] = app.session.metrics.position
        assert sorted(places.values(), reverse=True) == list(places.values())
        assert places[0] == 0
        for shown in (2, 4, 6):
            app.simulate_key("alt+down")
            await wait_until(lambda n=shown: idle(app) and len(said(app)) == n)
            assert app.session.metrics.position == places[shown]
        assert app.session.metrics.read_again == 0
        app.simulate_key("alt+up")
        app.simulate_key("alt+up")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)
        assert await ask(app, "What is my cat called?") == called
        assert line(app, "#position") == ""
        assert len(app.session.store.messages.tree(app.session.conversation.id)) == 8
        assert app.session.metrics.read_again == 0


async def test_an_earlier_message_is_edited_and_the_first_is_kept(tmp_path: Path) -> None:
    app = ChatApp(session(tmp_path, temperature=0.0))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, "I have a cat named Zibo.")
        await ask(app, "Hello!")
        await command(app, "/edit")
        prompt = app.query_one(Prompt)
        assert prompt.text == "Hello!"
        assert "Editing" in line(app, "#position")
        app.simulate_key("escape")
        await wait_until(lambda: prompt.text == "" and app.editing is None)
        await command(app, "/edit")
        prompt.load_text("What is my cat called?")
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and said(app)[-1].role == MODEL and said(app)[-2].number == 2)
        assert [m.text for m in said(app) if m.role == USER] == ["I have a cat named Zibo.", "What is my cat called?"]
        assert "Zibo" in said(app)[-1].text
        assert app.session.metrics.read_again == 0
        await wait_until(lambda: any("You ‹2/2›" in text for text in screen(app)))
        await command(app, "/fix")
        prompt.load_text("It is Mimi.")
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and said(app)[-1].text == "It is Mimi.")
        assert app.session.metrics.read_again > 0, "what it did not write itself it has to read"


async def test_endless_goes_on_until_it_is_stopped_and_the_horizon_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Context, "window", 128)  # fewer tokens than the model remembers: less need be written
    app = ChatApp(session(tmp_path))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, "Hello!")
        assert len(app.query(HorizonLine)) == 0
        await command(app, "/endless")
        for position in range(50, 201, 50):
            await wait_until(lambda so_far=position: app.session.metrics.position > so_far)
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        assert not said(app)[-1].closed
        mark = app.session.horizon()
        assert mark is not None
        assert mark.message == said(app)[-1].id
        exact = said(app)[-1].text[-mark.characters :]
        tokenizer = app.session.context.tokenizer
        assert 120 <= len(tokenizer.encode(exact)) <= 128


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
    app = ChatApp(Held(tmp_path, ["word "] * 400))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, "go")
        await wait_until(lambda: app.activity is Activity.WRITING)
        await pilot.press("h", "i")
        assert app.query_one(Prompt).text == "hi"
        assert app.busy
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
        def generate_reply(self, *, endless: bool = False) -> Iterator[str]:
            known = self.head.text == "known"
            for piece in super().generate_reply():
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
