"""Several messages and commands wait: in their order, for their place, across stops, other conversations and ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ptys import Pty, doomed, ptys
from scripted import Scripted, burst, command, idle, line, notices, said, screen, taken, type_and_send
from textual.widgets import OptionList
from waiting import wait_for, wait_until

from rgmlx.store import USER, Store
from tui.activity import Activity
from tui.app import ChatApp
from tui.prompt.drafts import Drafts
from tui.prompt.outbox import Held, Outbox, Waiting
from tui.prompt.queued import MOST
from tui.screens.queue import QueueScreen

__all__ = ["ptys"]

SIZE = (80, 24)


class Paced(Scripted):
    """One whose replies are numbered, and end only when they are let: `allow` is how many of them may."""

    def __init__(self, data: Path, past: tuple[str, ...] = ()) -> None:
        super().__init__(data, past=past)
        self.allow = self.begun = 0

    @property
    def pieces(self) -> Any:
        return self._paced()

    @pieces.setter
    def pieces(self, value: object) -> None:
        pass

    def _paced(self) -> Iterator[str]:
        self.begun += 1
        number = self.begun
        yield f"reply {number}"
        wait_for(lambda: self.allow >= number or self._cancel.is_set())
        yield "."


def chat(session: Scripted) -> ChatApp:
    return ChatApp(session, drafts=Drafts(session.store.directory / "drafts"))


async def writing(app: ChatApp, text: str = "go") -> None:
    """A message is sent, and its reply has begun."""
    await wait_until(lambda: idle(app))
    before = len(said(app))
    await type_and_send(app, text)
    await wait_until(lambda: app.activity is Activity.WRITING and len(said(app)) == before + 2)


async def queued(app: ChatApp, *texts: str) -> None:
    for text in texts:
        await type_and_send(app, text)
    await wait_until(lambda: waiting(app)[-len(texts) :] == list(texts))


def waiting(app: ChatApp) -> list[str]:
    return [item.line for item in app.outbox.items]


def texts(app: ChatApp) -> list[str]:
    return [message.text for message in said(app)]


def finish(app: ChatApp) -> None:
    """Lets all replies end."""
    session = app.session
    assert isinstance(session, Paced)
    session.allow = 1000


# --- their order ------------------------------------------------------------------------------


async def test_each_is_sent_after_the_reply_to_the_one_before(tmp_path: Path) -> None:
    app = chat(session := Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two", "three")
        assert line(app, "#outbox").split("\n") == [
            "Sent in turn when the reply ends, ↑ takes one back",
            "1 one",
            "2 two",
            "3 three",
        ]
        session.allow = 1
        await wait_until(lambda: session.begun == 2 and waiting(app) == ["two", "three"])
        assert texts(app)[:3] == ["go", "reply 1.", "one"]
        finish(app)
        await wait_until(lambda: idle(app) and len(said(app)) == 8)
        assert texts(app) == ["go", "reply 1.", "one", "reply 2.", "two", "reply 3.", "three", "reply 4."]
        assert not app.outbox.display and not list((tmp_path / "drafts").glob("*.json"))


async def test_of_many_the_first_are_shown_and_how_many_others_there_are(tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE) as pilot:
        await writing(app)
        await queued(app, *(f"number {number}" for number in range(1, 6)))
        assert line(app, "#outbox").split("\n")[1:] == ["1 number 1", "2 number 2", "3 number 3", "and 2 more: /queue"]
        await pilot.resize_terminal(60, 9)
        await wait_until(lambda: line(app, "#outbox").startswith("5 wait. Sent in turn when the reply ends"))
        assert app.outbox.size.height == 1
        finish(app)


async def test_there_is_an_end_to_how_many_wait(tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, *map(str, range(MOST)))
        app.prompt.insert("one too many")
        app.simulate_key("enter")
        await wait_until(lambda: any("20 wait already" in n.message for n in app._notifications))
        assert app.prompt.text == "one too many" and len(app.outbox.items) == MOST
        finish(app)
        await wait_until(lambda: idle(app) and len(said(app)) == 2 + 2 * MOST)


def test_there_is_an_end_to_how_long_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.prompt.outbox.MAX_CHARS", 10)
    box = Outbox()
    box.put(Waiting("x" * 8))
    assert box.problem(Waiting("yy")) == "" and "too long" in box.problem(Waiting("yyy"))


async def test_messages_wait_for_a_model_and_for_a_conversation_that_begins(tmp_path: Path) -> None:
    """The first has no message before it; the second follows its reply."""
    session = Paced(tmp_path)
    app = chat(session)
    session.allow = 1000
    async with app.run_test(size=SIZE):
        app.queue(Waiting("one"))
        app.queue(Waiting("two"))
        await wait_until(lambda: idle(app) and len(said(app)) == 4)
        assert texts(app)[::2] == ["one", "two"]


async def test_a_command_keeps_its_place(tmp_path: Path) -> None:
    """/regenerate between two messages: the one behind it follows the new reply."""
    app = chat(session := Paced(tmp_path, past=("past", "old")))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await command(app, "/new")
        await writing(app)
        await app.actions.open_conversation(1)
        await wait_until(lambda: app.activity is Activity.BEHIND)
        await type_and_send(app, "/regenerate")
        await queued(app, "after it")
        assert waiting(app) == ["/regenerate", "after it"]
        finish(app)
        await wait_until(lambda: idle(app) and len(said(app)) == 4)
        assert texts(app) == ["past", "reply 2.", "after it", "reply 3."] and said(app)[1].number == 2
        assert session.store.messages.get(2).text == "old"


async def test_what_follows_an_edit_that_waits_is_on_the_new_branch(tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await app.actions.run("edit", "")
        app.prompt.load_text("another")
        app.simulate_key("enter")
        await wait_until(lambda: waiting(app) == ["another"])
        await queued(app, "behind it")
        finish(app)
        await wait_until(lambda: idle(app) and len(said(app)) == 4)
        assert texts(app) == ["another", "reply 2.", "behind it", "reply 3."] and said(app)[0].number == 2


async def test_wherever_one_looks_all_of_them_go_where_they_belong(tmp_path: Path) -> None:
    """Two wait for the reply, then one elsewhere in the conversation: that one begins a branch there."""
    app = chat(Paced(tmp_path, past=("past", "old")))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two")
        burst(app, "alt+up")
        await wait_until(lambda: app.activity is Activity.BEHIND)
        await queued(app, "branch")
        finish(app)
        await wait_until(lambda: idle(app) and not app.outbox.items and texts(app)[-2:] == ["branch", "reply 4."])
        tree = {m.id: m for m in app.session.store.messages.tree(1)}
        by_text = {m.text: m for m in tree.values()}
        assert [tree[by_text[text].parent].text for text in ("one", "two", "branch")] == ["reply 1.", "reply 2.", "old"]


# --- taken back, changed --------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["up", "escape"])
async def test_the_last_is_taken_back_and_goes_to_its_place_again(key: str, tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two")
        app.simulate_key(key)
        await wait_until(lambda: app.prompt.text == "two" and waiting(app) == ["one"])
        burst(app, "!", "enter")
        await wait_until(lambda: waiting(app) == ["one", "two!"])
        finish(app)
        await wait_until(lambda: idle(app) and len(said(app)) == 6)
        assert texts(app)[::2] == ["go", "one", "two!"]


async def test_escape_takes_back_once_and_stops_then(tmp_path: Path) -> None:
    """However many wait: the reply is stopped by the second one."""
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two", "three")
        app.simulate_key("escape")
        await wait_until(lambda: app.prompt.text == "three")
        await wait_until(lambda: "Esc stop" in screen(app)[-1])
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        await taken(app)
        assert waiting(app) == ["one", "two"] and app.outbox.held is Held.STOPPED and texts(app) == ["go", "reply 1"]
        app.simulate_key("escape")
        await wait_until(lambda: app.prompt.text == "two\nthree" and waiting(app) == ["one"])


async def test_escape_stops_a_reply_where_all_that_waits_is_held(tmp_path: Path) -> None:
    """They are not about to be sent; when they go on, the first Esc takes one back again."""
    app = chat(session := Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two")
        burst(app, "escape", "escape")
        await wait_until(lambda: idle(app) and waiting(app) == ["one"])
        app.prompt.load_text("")
        app.outbox.release()  # as if nothing was to be changed
        app.outbox.hold(Held.STOPPED)
        await type_and_send(app, "now")
        await wait_until(lambda: session.begun == 2 and app.activity is Activity.WRITING)
        await wait_until(lambda: "Esc stop" in screen(app)[-1])
        app.simulate_key("escape")
        await wait_until(lambda: idle(app) and waiting(app) == ["one"])
        app.simulate_key("enter")
        await wait_until(lambda: session.begun == 3 and not app.outbox.items)
        await queued(app, "last")
        await wait_until(lambda: "Esc take back" in screen(app)[-1])
        finish(app)


async def test_one_in_the_middle_is_changed_and_what_follows_waits_for_it(tmp_path: Path) -> None:
    app = chat(session := Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two", "three")
        app.take_back(app.outbox.items[1].number)
        assert app.prompt.text == "two" and app.outbox.held is Held.CHANGED
        session.allow = 2  # "one" is sent meanwhile, "three" is not
        await wait_until(lambda: idle(app) and texts(app)[2:] == ["one", "reply 2."])
        await taken(app)
        assert line(app, "#outbox") == "Held, while one is changed: Enter alone sends it: three"
        burst(app, "!", "enter")
        finish(app)
        await wait_until(lambda: idle(app) and len(said(app)) == 8)
        assert texts(app)[::2] == ["go", "one", "two!", "three"]


# --- held -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["ctrl+c", "/stop"])
async def test_a_stop_holds_what_waits_until_enter(how: str, tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two")
        burst(app, "ctrl+c") if how == "ctrl+c" else burst(app, "/stop", "enter")
        await wait_until(lambda: idle(app))
        await taken(app)
        assert line(app, "#outbox").split("\n") == ["Held, since you stopped: Enter alone sends them", "1 one", "2 two"]
        assert texts(app) == ["go", "reply 1"]
        finish(app)
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and len(said(app)) == 6)
        assert texts(app)[::2] == ["go", "one", "two"]


async def test_what_is_sent_while_others_are_held_goes_before_them(tmp_path: Path) -> None:
    """At once where the model is free, and during that reply as well; they follow on the same branch."""
    app = chat(session := Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two")
        burst(app, "ctrl+c")
        await wait_until(lambda: idle(app))
        await taken(app)
        await type_and_send(app, "first this")
        await wait_until(lambda: session.begun == 2)
        await type_and_send(app, "and this")
        await wait_until(lambda: waiting(app) == ["and this", "one", "two"])
        assert line(app, "#outbox").split("\n") == [
            "Sent when the reply ends, ↑ takes it back: and this",
            "2 held: Enter alone sends them, too",
        ]
        session.allow = 3
        await wait_until(lambda: idle(app) and len(said(app)) == 6)
        await taken(app)
        assert waiting(app) == ["one", "two"]
        finish(app)
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and len(said(app)) == 10)
        assert texts(app)[::2] == ["go", "first this", "and this", "one", "two"]


async def test_held_one_that_is_changed_goes_back_to_its_place(tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two", "three")
        burst(app, "ctrl+c")
        await wait_until(lambda: idle(app))
        await taken(app)
        app.take_back(app.outbox.items[1].number)
        burst(app, "!", "enter")
        await wait_until(lambda: waiting(app) == ["one", "two!", "three"])
        assert app.outbox.held is Held.STOPPED and len(said(app)) == 2


async def test_one_that_can_not_be_sent_holds_the_others(tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, f"read @{tmp_path}/missing.txt please", "two")
        finish(app)
        await wait_until(lambda: idle(app) and "missing.txt" in notices(app).replace("\n", ""))
        await taken(app)
        assert "missing.txt" in app.prompt.text and waiting(app) == ["two"] and app.outbox.held is Held.NOT_SENT
        assert len(said(app)) == 2


async def test_a_command_that_can_not_be_done_holds_the_others(tmp_path: Path) -> None:
    session = Paced(tmp_path)
    app = chat(session)
    session.allow = 1000
    async with app.run_test(size=SIZE):
        app.queue(Waiting(command="regenerate"))  # nothing was said
        app.queue(Waiting("two"))
        await wait_until(lambda: "There is nothing to reply to" in notices(app))
        await wait_until(lambda: app.outbox.held is Held.NOT_SENT and waiting(app) == ["two"])
        assert said(app) == []


# --- other conversations ----------------------------------------------------------------------------


async def test_a_queue_stays_with_its_conversation_and_goes_on_when_one_is_back_in_time(tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two")
        app.simulate_key("ctrl+n")
        await wait_until(lambda: app.activity is Activity.BEHIND)
        await wait_until(lambda: any("2 wait in “go”" in n.message for n in app._notifications))
        assert not app.outbox.items
        await queued(app, "of the new one")
        await app.actions.open_conversation(1)
        await wait_until(lambda: waiting(app) == ["one", "two"] and app.outbox.held is None)
        finish(app)
        await wait_until(lambda: idle(app) and len(said(app)) == 6)
        assert texts(app)[::2] == ["go", "one", "two"]
        assert len(app.session.store.conversations.listed()) == 1, "the new one has not begun"
        app.simulate_key("ctrl+n")
        await wait_until(lambda: waiting(app) == ["of the new one"] and app.outbox.held is Held.AWAY)
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and texts(app)[:1] == ["of the new one"] and len(said(app)) == 2)


async def test_a_queue_whose_reply_has_ended_elsewhere_is_held_and_goes_behind_that_reply(tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two")
        app.simulate_key("ctrl+n")
        await wait_until(lambda: app.activity is Activity.BEHIND)
        finish(app)
        await wait_until(lambda: idle(app))
        await wait_until(lambda: any("has ended: 2 wait there" in n.message for n in app._notifications))
        await app.actions.open_conversation(1)
        await wait_until(lambda: idle(app) and waiting(app) == ["one", "two"])
        assert app.outbox.held is Held.AWAY and len(said(app)) == 2
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and len(said(app)) == 6)
        assert texts(app)[::2] == ["go", "one", "two"]


# --- ends -------------------------------------------------------------------------------------------


def end_by_key(pty: Pty) -> None:
    pty.send("\x11")
    pty.end()


def end_by_signal(number: int) -> Any:
    def end(pty: Pty) -> None:
        pty.process.send_signal(number)
        pty.end()

    return end


ENDS = {"Ctrl+Q": end_by_key, "kill": end_by_signal(signal.SIGTERM), "kill -9": end_by_signal(signal.SIGKILL)}


@pytest.mark.parametrize("end", ENDS)
def test_a_queue_survives_every_end(end: str, ptys: Any, tmp_path: Path) -> None:
    """Each is there once: in the conversation, or in the queue of the next start, where Enter alone sends them."""
    data = tmp_path / "data"
    pty: Pty = ptys(*doomed(data))
    pty.wait("Nothing you write")
    pty.send("hello\r")
    pty.wait("word word")
    pty.send("one\rtwo\rthree\rfour")
    draft = data / "drafts" / "1.json"
    wait_for(lambda: draft.exists() and all(word in draft.read_text() for word in ("one", "two", "three", "four")))
    ENDS[end](pty)
    drafts = Drafts(data / "drafts")
    with Store(data) as store:
        (row,) = store.conversations.listed()
        found = drafts.read(row)
        assert found is not None and found.texts == ["one", "two", "three", "four"]
    session = Paced(data)
    session.open_latest()
    assert session.conversation is not None and session.head is not None
    app = ChatApp(session, drafts=drafts)

    async def again() -> None:
        async with app.run_test(size=SIZE):
            await wait_until(lambda: idle(app) and waiting(app) == ["one", "two", "three"])
            assert app.prompt.text == "four" and app.outbox.held is Held.AWAY
            app.prompt.load_text("")
            finish(app)
            app.simulate_key("enter")
            await wait_until(lambda: idle(app) and len(said(app)) == 8)
            assert [m.text for m in said(app) if m.role == USER] == ["hello", "one", "two", "three"]

    asyncio.run(again())


async def test_the_disk_has_what_is_left_of_a_queue_at_every_moment(tmp_path: Path) -> None:
    """As after kill -9: what was sent is not there twice, and the rest comes after the reply to it."""
    app = chat(session := Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two", "three")
        session.allow = 1
        await wait_until(lambda: session.begun == 2)
        row, seen = session.conversation, Drafts(tmp_path / "drafts")
        found = seen.read(row)  # at once: before anything else can be written
        assert found is not None and [one.text for one in found.queue] == ["two", "three"]
        one = said(app)[2]
        assert one.text == "one"
        for left in found.queue:
            assert left.reply and left.after in (one.id, said(app)[-1].id)
        finish(app)
        await wait_until(lambda: idle(app) and len(said(app)) == 8)
        assert seen.read(row) is None


# --- /queue -----------------------------------------------------------------------------------------


async def test_the_list_moves_removes_and_changes(tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE) as pilot:
        await writing(app)
        await queued(app, "one", "two", "three", "four")
        burst(app, "/queue", "enter")
        await wait_until(lambda: isinstance(app.screen, QueueScreen) and any("4 four" in row for row in screen(app)))
        burst(app, "down", "u")
        await wait_until(lambda: waiting(app) == ["two", "one", "three", "four"])
        burst(app, "d")
        await wait_until(lambda: waiting(app) == ["one", "two", "three", "four"])
        burst(app, "x")
        await wait_until(lambda: waiting(app) == ["one", "three", "four"])
        await pilot.pause()
        burst(app, "enter")
        await wait_until(lambda: app.prompt.text == "three" and not isinstance(app.screen, QueueScreen))
        assert waiting(app) == ["one", "four"]
        burst(app, "!", "enter")
        await wait_until(lambda: waiting(app) == ["one", "three!", "four"] and app.outbox.held is None)
        finish(app)
        await wait_until(lambda: idle(app) and len(said(app)) == 8)
        assert texts(app)[::2] == ["go", "one", "three!", "four"]


async def test_the_list_holds_what_waits_and_lets_it_go_on(tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two")
        burst(app, "/queue", "enter")
        await wait_until(lambda: isinstance(app.screen, QueueScreen))
        burst(app, "h")
        await wait_until(lambda: app.outbox.held is Held.BY_HAND)
        finish(app)
        await wait_until(lambda: idle(app))
        await taken(app)
        assert waiting(app) == ["one", "two"]
        burst(app, "h")
        await wait_until(lambda: idle(app) and len(said(app)) == 6)


async def test_what_is_sent_leaves_the_list_while_it_is_open(tmp_path: Path) -> None:
    app = chat(session := Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await writing(app)
        await queued(app, "one", "two")
        burst(app, "/queue", "enter")
        await wait_until(lambda: isinstance(app.screen, QueueScreen))
        burst(app, "down")
        session.allow = 1
        await wait_until(lambda: session.begun == 2 and any("1 two" in row for row in screen(app)))
        assert app.screen.query_one(OptionList).highlighted == 0
        finish(app)
        await wait_until(lambda: idle(app) and any("Nothing waits" in row for row in screen(app)))
        burst(app, "escape")
        await wait_until(lambda: not isinstance(app.screen, QueueScreen))
        assert texts(app)[::2] == ["go", "one", "two"]


async def test_an_empty_queue_says_so(tmp_path: Path) -> None:
    app = chat(Paced(tmp_path))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await command(app, "/queue")
        await wait_until(lambda: any("Nothing waits" in n.message for n in app._notifications))
