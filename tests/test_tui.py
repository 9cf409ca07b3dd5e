"""The chat screen, driven by keys: with the embedded model, and with a slow scripted one where time matters."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.widgets import Static

from rgmlx.chat import MODEL, USER
from rgmlx.errors import RgmlxError
from tui.app import ChatApp
from tui.reply import Notice, ReplyMessage, UserMessage
from tui.session import Session
from tui.transcript import MAX_MESSAGES
from tui.widgets import Prompt

SIZE = (80, 24)


async def wait_until(fact: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


def idle(app: ChatApp) -> bool:
    return app.session.ready and not app._busy


async def type_and_send(app: ChatApp, pilot: object, text: str) -> None:
    app.query_one(Prompt).insert(text)
    app.simulate_key("enter")  # pilot.press would wait for a quiet processor, which a reply is not
    await wait_until(lambda: app.query_one(Prompt).text == "")


class Scripted(Session):
    """A session whose replies are chosen pieces at a chosen pace: a double for a slow model."""

    def __init__(self, data: Path, pieces: list[str], delay: float = 0.0) -> None:
        super().__init__("demo", data)
        self.pieces, self.delay, self.stopped = pieces, delay, False

    def send(self, text: str) -> Iterator[str]:
        self.stopped = False
        for piece in self.pieces:
            if self.stopped:
                return
            time.sleep(self.delay)
            yield piece

    def stop(self) -> None:
        self.stopped = True


async def test_a_first_conversation_survives_a_restart(tmp_path: Path) -> None:
    app = ChatApp(Session("demo", tmp_path, sampling={"seed": 1}))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, pilot, "I have a cat named Zibo.")
        await wait_until(lambda: idle(app) and len(app.session.turns) == 2)
        assert [len(app.query(w)) for w in (UserMessage, ReplyMessage)] == [1, 1]
        assert app.query_one(ReplyMessage).source == app.session.turns[1].text
        assert "memory 0.6 MB, always" in str(app.query_one("#status", Static).content)

    again = ChatApp(Session("demo", tmp_path, sampling={"temperature": 0.0}))
    async with again.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(again))
        assert [t.role for t in again.session.turns] == [USER, MODEL]
        await wait_until(lambda: len(again.query(ReplyMessage)) == 1)
        await type_and_send(again, pilot, "What is my cat called?")
        await wait_until(lambda: idle(again) and len(again.session.turns) == 4)
        assert "Zibo" in again.session.turns[-1].text


async def test_escape_stops_and_keeps_the_partial_reply(tmp_path: Path) -> None:
    class Unhurried(Session):
        """The embedded model, a story of which takes ten seconds here: it can't end before the key comes."""

        def send(self, text: str) -> Iterator[str]:
            for piece in super().send(text):
                time.sleep(0.1)
                yield piece

    app = ChatApp(Unhurried("demo", tmp_path))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, pilot, "Tell me a story about a bear and a kite")
        await wait_until(lambda: len(app.session.turns) == 2 and len(app.session.turns[1].text) > 5)
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        partial = app.session.turns[1]
        assert partial.text
        assert not partial.closed
        assert app.query_one(ReplyMessage).source == partial.text
    again = Session("demo", tmp_path)
    again.load()
    assert again.turns == (app.session.turns[0], partial)


async def test_a_long_message_shows_how_far_it_was_read(tmp_path: Path) -> None:
    app = ChatApp(Session("demo", tmp_path))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, pilot, "one two three four five six seven " * 100)
        await wait_until(lambda: "reading your message" in str(app.query_one("#status", Static).content))
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        assert [t.role for t in app.session.turns] == [USER]
        assert len(app.query(ReplyMessage)) == 0  # no empty box


async def test_a_message_sent_while_loading_is_sent_then(tmp_path: Path) -> None:
    class Slow(Session):
        def load(self) -> None:
            time.sleep(0.5)
            super().load()

    app = ChatApp(Slow("demo", tmp_path))
    async with app.run_test(size=SIZE) as pilot:
        await type_and_send(app, pilot, "Hello!")
        assert not app.session.ready
        await wait_until(lambda: idle(app) and len(app.session.turns) == 2)


async def test_leaving_does_not_wait_for_the_model(tmp_path: Path) -> None:
    class Endless(Session):
        def load(self) -> None:
            time.sleep(60)

    app = ChatApp(Endless("demo", tmp_path))
    async with app.run_test(size=SIZE) as pilot:
        begun = time.monotonic()
        await pilot.press("ctrl+q")
    assert time.monotonic() - begun < 20


async def test_another_reply_and_a_new_conversation(tmp_path: Path) -> None:
    app = ChatApp(Session("demo", tmp_path))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, pilot, "Tell me a story")
        await wait_until(lambda: idle(app) and len(app.session.turns) == 2)
        first = app.session.turns[1].text
        await pilot.press("ctrl+r")
        await wait_until(lambda: len(app.session.turns) == 2 and app.session.turns[1].text != first)
        await wait_until(lambda: idle(app))
        assert len(app.session.turns) == 2
        assert len(app.query(ReplyMessage)) == 1
        await pilot.press("ctrl+n")
        await wait_until(lambda: app.session.turns == ())
        assert len(app.query(UserMessage)) == 0
        assert len(list(tmp_path.glob("demo.earlier-*.rgstate"))) == 1


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


async def test_keys_answer_while_a_reply_streams(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["word "] * 400, delay=0.01))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, pilot, "go")
        await wait_until(lambda: app._busy)
        await pilot.press("h", "i")
        assert app.query_one(Prompt).text == "hi"
        assert app._busy
        await pilot.press("enter")  # refused while a reply is being written; the text stays
        assert app.query_one(Prompt).text == "hi"
        await pilot.press("escape")
        await wait_until(lambda: idle(app))


async def test_model_text_cannot_harm_the_screen(tmp_path: Path) -> None:
    nasty = "[red]markup[/] [/nope] \x1b[2J\x1b]0;title\x07 \u202egnp.exe \ud800 ``` <script> | a | b\n|--|--|"
    app = ChatApp(Scripted(tmp_path, [nasty, "\n", "x" * 5000]))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, pilot, nasty)
        await wait_until(lambda: idle(app) and len(app.query(ReplyMessage)) > 1)
        source = "".join(part.source for part in app.query(ReplyMessage))
        assert source.count("x" * 1000) >= 4
        assert "[red]markup[/] [/nope]" in source
        assert not {"\x1b", "\x07", "\u202e"} & set(source)


async def test_a_failing_reply_is_a_sentence_and_the_app_goes_on(tmp_path: Path) -> None:
    class Failing(Scripted):
        def send(self, text: str) -> Iterator[str]:
            yield "so far"
            if text == "known":
                raise RgmlxError("the disk is full")
            raise ZeroDivisionError("boom")

    app = ChatApp(Failing(tmp_path, []))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        for text, sentence in (
            ("known", "the disk is full"),
            ("unknown", "The reply broke off: ZeroDivisionError: boom"),
        ):
            await type_and_send(app, pilot, text)
            await wait_until(lambda s=sentence: any(s in str(n.content) for n in app.query(Notice)))
            await wait_until(lambda: idle(app))


async def test_no_such_model(tmp_path: Path) -> None:
    app = ChatApp(Session(str(tmp_path / "nothing"), tmp_path))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: any("there is no model" in str(n.content) for n in app.query(Notice)))
        await wait_until(lambda: app.query_one(Prompt).disabled)


async def test_an_unreadable_conversation_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "demo.rgstate").write_bytes(b"rubbish")
    app = ChatApp(Session("demo", tmp_path))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await wait_until(lambda: any("could not be opened" in str(n.content) for n in app.query(Notice)))
    assert [p.read_bytes() for p in tmp_path.glob("demo.unreadable-*")] == [b"rubbish"]


async def test_two_chats_at_once_do_not_touch_each_other(tmp_path: Path) -> None:
    first, second = Session("demo", tmp_path), Session("demo", tmp_path)
    first.load()
    second.load()
    assert second.path.name == "demo-2.rgstate"
    assert "Another rgchat" in second.notice
    "".join(first.send("Hello!"))
    "".join(second.send("My name is Bob."))
    first.close()
    second.close()
    again = Session("demo", tmp_path)
    again.load()
    assert again.turns == first.turns
    other = Session("demo", tmp_path, file=second.path)
    other.load()
    assert other.turns == second.turns


def test_a_place_where_nothing_can_be_kept() -> None:
    with pytest.raises(RgmlxError, match="name another directory with --data"):
        Session("demo", Path("/dev/null/x")).claim()


async def test_few_widgets_stay_mounted(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        for i in range(MAX_MESSAGES):
            await type_and_send(app, pilot, f"message {i}")
            await wait_until(lambda: idle(app))
        assert len(app.query_one("#transcript").children) <= MAX_MESSAGES


def test_a_killed_chat_keeps_the_prompt(tmp_path: Path) -> None:
    """kill -9 while the reply is being written: the message is on the disk."""
    code = (
        "import sys, os, signal; from pathlib import Path; from tui.session import Session\n"
        "s = Session('demo', Path(sys.argv[1])); s.load()\n"
        "for i, piece in enumerate(s.send('My name is Mia.')):\n"
        "    if i == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == -9
    session = Session("demo", tmp_path)
    session.load()
    assert session.turns[0].text == "My name is Mia."
    assert "".join(session.regenerate())


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux, a real terminal to type into")
def test_in_a_real_terminal(tmp_path: Path) -> None:
    """Types, reads the screen, quits, starts again."""
    socket = f"rgchat-test-{os.getpid()}"  # two runs of the tests at once are two servers

    def tmux(*arguments: str) -> str:
        return subprocess.run(["tmux", "-L", socket, *arguments], capture_output=True, text=True, check=True).stdout

    def wait_for(text: str) -> str:
        end = time.monotonic() + 30
        while text not in (screen := tmux("capture-pane", "-p", "-t", "t")):
            assert time.monotonic() < end, screen
            time.sleep(0.1)
        return screen

    command = f"{sys.executable} -m tui --data {tmp_path} --seed 1 --temperature 0; sleep 0.5"
    tmux("new-session", "-d", "-s", "t", "-x", "80", "-y", "24", command)
    try:
        wait_for("0 tokens so far")
        tmux("send-keys", "-t", "t", "I have a cat named Zibo.", "Enter")
        wait_for("pieces/s")
        assert "Zibo" in wait_for("Assistant")
        tmux("send-keys", "-t", "t", "C-q")
        end = time.monotonic() + 20
        while subprocess.run(["tmux", "-L", socket, "has-session"], capture_output=True).returncode == 0:
            assert time.monotonic() < end
            time.sleep(0.1)
        tmux("new-session", "-d", "-s", "t", "-x", "80", "-y", "24", command)
        screen = wait_for("tokens so far")
        assert "I have a cat named Zibo." in screen
        tmux("send-keys", "-t", "t", "What is my cat called?", "Enter")
        wait_for("pieces/s")
        assert "Zibo" in tmux("capture-pane", "-p", "-t", "t").split("What is my cat called?")[1]
    finally:
        subprocess.run(["tmux", "-L", socket, "kill-server"], capture_output=True)
