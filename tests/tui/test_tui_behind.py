"""A reply that goes on behind what is opened, and what waits for its end (A6). On the chat screen, with a slow model."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Scripted, command, idle, line, notices, said, screen, type_and_send
from waiting import wait_until

from rgmlx.errors import RgmlxError
from tui.activity import Activity
from tui.app import ChatApp
from tui.prompt.drafts import Drafts
from tui.prompt.prompt import Prompt
from tui.transcript.reply import ReplyMessage, UserMessage

SIZE = (80, 24)


class Held(Scripted):
    """Writes a word at a time, when it is let: `release` says how many there are in all."""

    def __init__(self, data: Path, words: int = 12, past: tuple[str, ...] = ()) -> None:
        super().__init__(data, past=past)
        self.words, self.released = words, 0
        self.broken = False

    def close(self) -> None:
        self.stop()  # or its thread would wait for ever
        super().close()

    def release(self, count: int) -> None:
        self.released = count

    @property
    def pieces(self) -> object:
        return self._paced()

    @pieces.setter
    def pieces(self, value: object) -> None:
        pass

    def _paced(self) -> object:
        for number in range(self.words):
            while number >= self.released and not self._cancel.wait(0.01):
                pass
            if self.broken:
                raise RgmlxError("the disk is full")
            yield f"word{number} "


def shown(app: ChatApp) -> str:
    return "".join(part.source for part in app.query(ReplyMessage))


def words(*numbers: int) -> str:
    return "".join(f"word{number} " for number in range(*numbers))


def stored(session: Scripted, conversation: int) -> list[str]:
    found = session.store.conversations.get(conversation)
    return [message.text for message in session.store.messages.path(found.head)]


async def writing(app: ChatApp, session: Held, text: str = "go") -> None:
    """A message is sent, and three words of its reply are on the screen."""
    await wait_until(lambda: idle(app))
    await type_and_send(app, text)
    session.release(3)
    await wait_until(lambda: shown(app).endswith(words(3)))


# --- what opens during a reply --------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "kind"),
    [("ctrl+o", "ConversationsScreen"), ("f2", "SettingsScreen"), ("f1", "HelpScreen"), ("ctrl+t", "TreeScreen")],
)
async def test_screens_open_during_a_reply_which_goes_on_behind_them(tmp_path: Path, key: str, kind: str) -> None:
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        app.simulate_key(key)
        await wait_until(lambda: type(app.screen).__name__ == kind)
        session.release(7)
        await wait_until(lambda: stored(session, 1)[-1] == words(7))
        app.simulate_key("escape")
        await wait_until(lambda: len(app.screen_stack) == 1)
        assert app.activity is Activity.WRITING
        session.release(12)
        await wait_until(lambda: idle(app) and shown(app) == words(12))
        assert said(app)[-1].closed and said(app)[-1].text == words(12)


async def test_a_new_conversation_during_a_reply_and_back_to_it(tmp_path: Path) -> None:
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        app.simulate_key("ctrl+n")
        await wait_until(lambda: app.activity is Activity.BEHIND and not app.query(UserMessage))
        assert "writing in “go” ..." in line(app, "#status")
        session.release(6)
        await wait_until(lambda: stored(session, 1)[-1] == words(6))
        assert not app.query(ReplyMessage), "nothing of it is drawn here"
        await app.actions.open_conversation(1)
        await wait_until(lambda: app.activity is Activity.WRITING and shown(app).endswith(words(6)))
        session.release(9)
        await wait_until(lambda: shown(app) == words(9))
        session.release(12)
        await wait_until(lambda: idle(app) and shown(app) == words(12))
        assert said(app)[-1].text == words(12) and len(app.query(UserMessage)) == 1


async def test_a_reply_that_ends_behind_another_conversation_is_whole_and_says_so(tmp_path: Path) -> None:
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        app.simulate_key("ctrl+n")
        await wait_until(lambda: app.activity is Activity.BEHIND)
        session.release(12)
        await wait_until(lambda: idle(app))
        assert stored(session, 1) == ["go", words(12)] and not app.query(ReplyMessage)
        await wait_until(lambda: any("The reply in “go” has ended" in n.message for n in app._notifications))
        other = Scripted(tmp_path)
        assert other.open(1), "it is let go"


async def test_escape_stops_a_reply_that_is_written_behind(tmp_path: Path) -> None:
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        app.simulate_key("ctrl+n")
        await wait_until(lambda: app.activity is Activity.BEHIND)
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        assert stored(session, 1)[-1].startswith(words(3))
        await wait_until(lambda: any("The reply in “go” was cut short" in n.message for n in app._notifications))


async def test_a_message_in_another_conversation_waits_for_the_reply(tmp_path: Path) -> None:
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        app.simulate_key("ctrl+n")
        await wait_until(lambda: app.activity is Activity.BEHIND)
        await type_and_send(app, "another subject")
        await wait_until(lambda: "Sent when the reply in “go” ends" in line(app, "#outbox"))
        assert session.conversation is None
        session.release(12)
        await wait_until(lambda: idle(app) and len(said(app)) == 2)
        assert stored(session, 1) == ["go", words(12)]
        assert stored(session, 2) == ["another subject", words(12)]


async def test_going_back_during_a_reply_and_forward_to_it(tmp_path: Path) -> None:
    session = Held(tmp_path, past=("one", "1"))
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session, "two")
        app.simulate_key("alt+up")
        await wait_until(lambda: app.activity is Activity.BEHIND and shown(app) == "1")
        assert "Turn 1 of 2, Alt+↓ goes forward" in line(app, "#position")
        session.release(6)
        await wait_until(lambda: session.store.messages.tree(1)[-1].text == words(6))
        app.simulate_key("alt+down")
        await wait_until(lambda: app.activity is Activity.WRITING and shown(app) == "1" + words(6))
        app.simulate_key("alt+up")
        await wait_until(lambda: app.activity is Activity.BEHIND and shown(app) == "1")
        session.release(12)
        await wait_until(lambda: idle(app))
        assert shown(app) == "1" and session.head.text == "1"
        assert [m.text for m in session.store.messages.tree(1)] == ["one", "1", "two", words(12)]


async def test_a_conversation_that_is_written_in_is_not_deleted(tmp_path: Path) -> None:
    session = Held(tmp_path, past=("one", "1"))
    app = ChatApp(session)
    async with app.run_test(size=SIZE) as pilot:
        await writing(app, session, "two")
        for name in ("delete", "archive"):
            await app.actions.run(name, "")
        app.simulate_key("alt+up")
        await wait_until(lambda: app.activity is Activity.BEHIND)
        await app.actions.run("delete", "")
        await wait_until(lambda: "A reply is being written further on" in notices(app))
        app.simulate_key("ctrl+o")
        await wait_until(lambda: any("open now" in text for text in screen(app)))
        await pilot.press("delete")
        await wait_until(lambda: any("stop it in the chat first" in text for text in screen(app)))
        found = session.store.conversations.get(1)
        assert found.deleted is None and not found.archived


async def test_what_is_delivered_while_one_comes_back_is_shown_once(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))

        def read() -> tuple[str, int]:
            app.transcript.write("lost, as it was before", 0)
            for piece, end in (("one ", 4), ("two ", 8), ("three ", 14), ("four", 18)):
                app.transcript.write(piece, end)
            return "before one two th", 10

        assert await app.transcript.resume_reply(read)
        await wait_until(lambda: shown(app) == "before one two three four")
        app.transcript._let_go()
        app.transcript.write("five", 22)
        assert not await app.transcript.resume_reply(lambda: None), "it has ended"
        assert shown(app) == "before one two three four"


# --- what waits -------------------------------------------------------------------------------


async def test_enter_during_a_reply_has_the_message_wait_and_sends_it_then(tmp_path: Path) -> None:
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        await type_and_send(app, "and then?")
        await wait_until(lambda: "Sent when the reply ends, ↑ takes it back: and then?" in line(app, "#outbox"))
        await wait_until(lambda: any("takes it back: and then?" in text for text in screen(app)[-8:]))
        app.query_one(Prompt).insert("typed")
        session.release(12)
        await wait_until(lambda: idle(app) and len(said(app)) == 4)
        assert [m.text for m in said(app)] == ["go", words(12), "and then?", words(12)]
        assert app.query_one(Prompt).text == "typed" and not app.outbox.items


@pytest.mark.parametrize("key", ["up", "escape"])
async def test_what_waits_is_taken_back_to_be_changed(tmp_path: Path, key: str) -> None:
    """Escape takes it back first, and stops the reply the next time."""
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        await type_and_send(app, "and then?")
        await wait_until(lambda: app.outbox.items)
        app.simulate_key(key)
        await wait_until(lambda: app.query_one(Prompt).text == "and then?")
        assert not app.outbox.items and not app.outbox.display and app.activity is Activity.WRITING
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        assert app.query_one(Prompt).text == "and then?" and len(said(app)) == 2


async def test_what_waits_and_what_is_typed_come_back_together(tmp_path: Path) -> None:
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        await type_and_send(app, "first")
        app.query_one(Prompt).insert("second")
        app.simulate_key("escape")
        await wait_until(lambda: app.query_one(Prompt).text == "first\nsecond")


async def test_an_edit_waits_as_well(tmp_path: Path) -> None:
    session = Held(tmp_path, past=("one", "1"))
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session, "two")
        await app.actions.run("edit", "")
        await wait_until(lambda: app.query_one(Prompt).text == "two")
        app.query_one(Prompt).load_text("three")
        app.simulate_key("enter")
        await wait_until(lambda: app.outbox.items and app.editing is None)
        session.release(12)
        await wait_until(lambda: idle(app) and said(app)[-2].text == "three" and said(app)[-1].closed)
        assert [m.text for m in said(app)] == ["one", "1", "three", words(12)] and said(app)[-2].number == 2


async def test_after_a_failure_what_waits_is_held(tmp_path: Path) -> None:
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        await type_and_send(app, "and then?")
        await wait_until(lambda: app.outbox.items)
        session.broken = True
        session.release(12)
        await wait_until(lambda: idle(app) and "The disk is full" in notices(app))
        assert line(app, "#outbox") == "Held, since the reply broke off: Enter alone sends it: and then?"
        assert app.query_one(Prompt).text == "" and len(said(app)) == 2
        session.broken = False
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and len(said(app)) == 4)
        assert said(app)[2].text == "and then?"


async def test_a_command_that_needs_the_model_waits_for_a_reply_elsewhere(tmp_path: Path) -> None:
    session = Held(tmp_path, past=("one", "1"))
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await command(app, "/new")
        await writing(app, session)
        await app.actions.run("regenerate", "")
        await wait_until(lambda: line(app, "#position") == "A reply is being written: Esc stops it.")
        assert not app._notifications, "it is said where one looks"
        assert not app.outbox.items
        await app.actions.open_conversation(1)
        await wait_until(lambda: app.activity is Activity.BEHIND)
        app.simulate_key("ctrl+r")
        await wait_until(lambda: "/regenerate is done when the reply in “go” ends" in line(app, "#outbox"))
        session.release(12)
        await wait_until(lambda: idle(app) and said(app)[-1].number == 2)
        assert stored(session, 2) == ["go", words(12)] and stored(session, 1) == ["one", words(12)]


async def test_what_waits_stays_with_its_conversation(tmp_path: Path) -> None:
    """It is there again: it is sent to no other, and not without the user."""
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        await type_and_send(app, "of go")
        app.query_one(Prompt).insert("typed later")
        app.simulate_key("ctrl+n")
        await wait_until(lambda: app.activity is Activity.BEHIND and app.query_one(Prompt).text == "")
        await wait_until(lambda: any("stays with “go”" in n.message for n in app._notifications))
        assert not app.outbox.items
        session.release(12)
        await wait_until(lambda: idle(app))
        await app.actions.open_conversation(1)
        await wait_until(lambda: app.query_one(Prompt).text == "typed later")
        assert line(app, "#outbox") == "Held, since you were away: Enter alone sends it: of go"
        assert [m.text for m in said(app)] == ["go", words(12)]


# --- drafts -----------------------------------------------------------------------------------


def with_drafts(data: Path, session: Scripted | None = None) -> ChatApp:
    if session is None:
        session = Scripted(data, ["ok"])
        session.open_latest()
    return ChatApp(session, drafts=Drafts(data / "drafts"))


async def test_a_draft_survives_quitting(tmp_path: Path) -> None:
    app = with_drafts(tmp_path)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await type_and_send(app, "hello")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)
        app.query_one(Prompt).insert("half a thought\nand more")
        app.simulate_key("ctrl+q")
        await wait_until(lambda: not app.is_running)
    app.session.store.close()
    again = with_drafts(tmp_path)
    async with again.run_test(size=SIZE):
        await wait_until(lambda: idle(again))
        assert again.query_one(Prompt).text == "half a thought\nand more"
        again.simulate_key("enter")
        await wait_until(lambda: idle(again) and len(said(again)) == 4)
        assert not list((tmp_path / "drafts").glob("*.json")), "what was sent does not come back"


async def test_what_waits_survives_quitting(tmp_path: Path) -> None:
    session = Held(tmp_path)
    app = with_drafts(tmp_path, session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        await type_and_send(app, "and then?")
        app.query_one(Prompt).insert("and so on")
        await wait_until(lambda: app.outbox.items)
        app.simulate_key("ctrl+q")
        await wait_until(lambda: not app.is_running)
    assert said(app)[0].text == "go" and len(said(app)) == 2
    session.store.close()
    again = with_drafts(tmp_path)
    async with again.run_test(size=SIZE):
        await wait_until(lambda: idle(again))
        assert again.query_one(Prompt).text == "and so on"
        assert line(again, "#outbox") == "Held, since you were away: Enter alone sends it: and then?"


async def test_each_conversation_has_its_draft(tmp_path: Path) -> None:
    app = with_drafts(tmp_path, Scripted(tmp_path, ["ok"], past=("one", "1")))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        app.query_one(Prompt).insert("of one")
        app.simulate_key("ctrl+n")
        await wait_until(lambda: idle(app) and app.query_one(Prompt).text == "")
        app.query_one(Prompt).insert("of a new one")
        await app.actions.open_conversation(1)
        await wait_until(lambda: idle(app) and app.query_one(Prompt).text == "of one")
        app.simulate_key("ctrl+n")
        await wait_until(lambda: idle(app) and app.query_one(Prompt).text == "of a new one")
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)
        app.simulate_key("ctrl+n")
        await wait_until(lambda: idle(app) and app.session.conversation is None)
        assert app.query_one(Prompt).text == ""


async def test_an_edit_that_was_not_sent_is_one_after_a_restart(tmp_path: Path) -> None:
    app = with_drafts(tmp_path, Scripted(tmp_path, ["ok"], past=("one", "1")))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await command(app, "/edit")
        app.query_one(Prompt).load_text("another")
        app.simulate_key("ctrl+q")
        await wait_until(lambda: not app.is_running)
    app.session.store.close()
    again = with_drafts(tmp_path)
    async with again.run_test(size=SIZE):
        await wait_until(lambda: idle(again))
        assert again.query_one(Prompt).text == "another" and "Editing" in line(again, "#position")
        again.simulate_key("enter")
        await wait_until(lambda: idle(again) and [m.text for m in said(again)] == ["another", "ok"])
        assert said(again)[0].number == 2


async def test_a_draft_that_can_not_be_kept_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "drafts").write_text("in its place")
    app = with_drafts(tmp_path)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        for text in ("a", "b", "c"):
            app.query_one(Prompt).insert(text)
            app.keep_draft()
        await wait_until(lambda: any("What you type is not kept" in n.message for n in app._notifications))
        assert sum("is not kept" in n.message for n in app._notifications) == 1


# --- a reply that was stopped -------------------------------------------------------------------


async def test_a_stopped_reply_says_for_good_how_to_go_on_with_it(tmp_path: Path) -> None:
    session = Held(tmp_path)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await writing(app, session)
        app.simulate_key("escape")
        await wait_until(lambda: idle(app))
        assert line(app, "#position") == "This reply was cut short: Ctrl+G goes on with it."
        app.clear_notifications()
        await wait_until(lambda: any("Ctrl+G goes on with it" in text for text in screen(app)))
        session.release(12)
        app.simulate_key("ctrl+g")
        await wait_until(lambda: idle(app) and said(app)[-1].closed)
        assert line(app, "#position") == ""
