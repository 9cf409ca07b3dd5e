"""Where one stands in a conversation that is opened again (A3), and small things around it (A8). On the chat screen."""

from __future__ import annotations

import io
import re
import sys
import threading
from pathlib import Path

import pytest
from scripted import Held, Scripted, ask, command, idle, line, notices, said, screen
from textual.app import App
from textual.color import Color
from waiting import wait_for, wait_until

from rgmlx.errors import ChatError
from rgmlx.store import Store
from rgmlx.system.formatting import model_name
from tui import operations, themes
from tui.activity import Activity
from tui.app import ChatApp
from tui.plain import PlainChat
from tui.prompt.prompt import Prompt
from tui.screens.conversations import ConversationsScreen, Search
from tui.screens.tree import TreeScreen, contrast
from tui.transcript.reply import ReplyMessage

SIZE = (80, 24)
PAST = ("one", "1", "two", "2", "three", "3")


def at(data: Path, reply: int) -> tuple[Scripted, int | None]:
    """A conversation of three turns that was left after so many of them."""
    session = Scripted(data, ["ok"], past=PAST)
    assert session.head is not None
    path = session.store.messages.path(session.head.id)
    message = path[2 * reply - 1].id if reply else None
    session.checkout(message)
    return session, message


def head_on_disk(session: Scripted) -> int | None:
    return session.store.conversations.get(1).head


# --- back in time -----------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [0, 1, 2, 3])
@pytest.mark.parametrize("how", ["start", "list", "tree"])
async def test_a_conversation_left_back_in_time_says_that_more_follows(tmp_path: Path, reply: int, how: str) -> None:
    session, _ = at(tmp_path, reply if how != "tree" else 3)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        if how == "list":
            await command(app, "/new")
            await wait_until(lambda: idle(app) and line(app, "#position") == "")
            await app.actions.open_conversation(1)
        elif how == "tree":
            numbers = [m.id for m in session.store.messages.tree(1)]
            await app.actions.arrive(app.navigation.checkout(numbers[2 * reply - 1] if reply else None))
        await wait_until(lambda: idle(app))
        assert len(app.query(ReplyMessage)) == reply
        if reply < 3:
            assert line(app, "#position").startswith(f"Turn {reply} of 3, Alt+↓ goes forward")
            # In eighty columns too (ugly b).
            whole = f"Turn {reply} of 3, Alt+↓ goes forward  ·  sending begins a branch"
            await wait_until(lambda: any(whole in text for text in screen(app)))
        else:
            assert line(app, "#position") == (
                "At the end of this branch  ·  0 tokens re-read, 0 ms" if how == "tree" else ""
            )
        if not reply:
            await wait_until(lambda: "before the first message" in notices(app))
            assert "Griff" not in notices(app), "it is no new conversation"
        for following in range(reply + 1, 4):
            app.simulate_key("alt+down")
            await wait_until(lambda n=following: idle(app) and len(app.query(ReplyMessage)) == n)


async def test_a_reply_that_was_stopped_before_its_first_word_leaves_the_others_in_sight(tmp_path: Path) -> None:
    class Nothing(Scripted):
        def _scripted(self, run: object) -> object:
            self._end_run(run)
            return iter(())

    session = Nothing(tmp_path, past=PAST)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        app.simulate_key("alt+up")
        await wait_until(lambda: idle(app) and len(said(app)) == 4)
        app.simulate_key("ctrl+r")
        await wait_until(lambda: "has no reply yet" in notices(app) and idle(app) and len(said(app)) == 3)
        await wait_until(lambda: line(app, "#position").startswith("Turn 2 of 3, Alt+↓ goes forward"))


# --- a hit of the search ----------------------------------------------------------------------


async def test_opening_a_hit_does_not_move_the_conversation(tmp_path: Path) -> None:
    session, _ = at(tmp_path, 3)
    tip = head_on_disk(session)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await command(app, "/new")
        await wait_until(lambda: idle(app) and app.session.conversation is None)
        first = session.store.messages.tree(1)[0].id
        await app.actions.open_conversation(1, first)
        await wait_until(lambda: idle(app) and said(app)[-1].text == "1")
        assert line(app, "#position").startswith("Turn 1 of 3, Alt+↓ goes forward") and head_on_disk(session) == tip
        app.simulate_key("alt+down")
        await wait_until(lambda: idle(app) and said(app)[-1].text == "2")
        assert head_on_disk(session) == tip, "reading on is looking, too"
    again = Scripted(tmp_path)
    again.open_latest()
    assert again.head is not None and again.head.id == tip
    again.close()


async def test_what_is_sent_from_a_hit_branches_there(tmp_path: Path) -> None:
    session, _ = at(tmp_path, 3)
    app = ChatApp(session)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await app.actions.open_conversation(1, session.store.messages.tree(1)[0].id)
        await wait_until(lambda: idle(app) and said(app)[-1].text == "1")
        await ask(app, "another way")
        assert [m.text for m in said(app)] == ["one", "1", "another way", "ok"]
        assert head_on_disk(session) == said(app)[-1].id and line(app, "#position") == ""


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (0, "Before the first message of: one\n3 replies follow: /forward goes on to the first."),
        (1, "This is reply 1 of 3: /forward goes on to the next."),
        (3, ""),
    ],
)
def test_plain_says_in_words_that_more_follows(
    tmp_path: Path, reply: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session, _ = at(tmp_path, reply)
    monkeypatch.setattr(Scripted, "require_context", lambda self: None)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"/find two\n/open 1\n/list\n/open 1\n")))
    where = head_on_disk(session)
    assert PlainChat(session).run() == 0
    out = capsys.readouterr().out
    last = out.rsplit("/open 1\n")[-1]
    assert out.count(said) >= 2 and said in last if said else "/forward" not in last
    assert "This is reply 2 of 3: /forward goes on to the next." in out, "the place of what was found"
    assert session.store.conversations.get(1).head == where


# --- small things -------------------------------------------------------------------------------


async def test_esc_stop_is_shown_while_something_runs_and_the_list_at_any_time(tmp_path: Path) -> None:
    app = ChatApp(Held(tmp_path, ["word "] * 400))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app) and "^q quit" in screen(app)[-1] and "Esc stop" not in screen(app)[-1])
        for key in ("^o list", "F1 help", "^q quit"):
            assert key in screen(app)[-1]
        app.query_one(Prompt).insert("go")
        app.simulate_key("enter")
        await wait_until(lambda: app.busy and "Esc stop" in screen(app)[-1])
        for key in ("^o list", "F1 help", "^q quit"):
            assert key in screen(app)[-1]
        app.simulate_key("escape")
        await wait_until(lambda: idle(app) and "Esc stop" not in screen(app)[-1])
        await command(app, "/edit")
        await wait_until(lambda: "Esc leave edit" in screen(app)[-1])  # it leaves the message as it was


async def test_esc_stops_what_the_screen_says_before_the_model_has_begun_with_it(tmp_path: Path) -> None:
    """Its thread may have come to it yet or not."""

    class Late(Scripted):
        begun = threading.Event()

        def sync(self) -> int:
            wait_for(self.begun.is_set)
            self._begin_work()
            if self._cancel.is_set():
                raise ChatError("it was stopped")
            return 0

        @property
        def in_sync(self) -> bool:
            return False

    app = ChatApp(Late(tmp_path, past=PAST))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: app.activity is Activity.SEEKING and "Esc stop" in screen(app)[-1])
        app.simulate_key("escape")
        await wait_until(app.session._cancel.is_set)  # the prompt has the key in its own time
        app.session.begun.set()
        await wait_until(lambda: idle(app) and "It was stopped" in notices(app))


async def test_esc_between_two_rounds_of_a_reading_stops_the_second(tmp_path: Path) -> None:
    class Twice(Scripted):
        rounds = 0

        def sync(self) -> int:
            self.rounds += 1
            self._begin_work()
            if self._cancel.is_set():
                raise ChatError("it was stopped")
            if self.rounds == 1:
                self.stop()  # too late for this round
            return 0

        @property
        def in_sync(self) -> bool:
            return self.rounds > 1

    app = ChatApp(Twice(tmp_path, past=PAST))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app) and app.session.rounds == 2)
        assert "It was stopped" in notices(app)


async def test_the_model_has_one_name_in_status_box_and_text(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        assert "You are talking to Griff" in notices(app) and line(app, "#status").startswith("Griff")
        await ask(app, "hello")
        await wait_until(lambda: any(text.rstrip() == "Griff" for text in screen(app)))
        app.session.name = "google/recurrentgemma-2b-it"
        app.show_status()
        await wait_until(lambda: any(text.rstrip() == "recurrentgemma-2b-it" for text in screen(app)))
        assert line(app, "#status").startswith("recurrentgemma-2b-it")
    assert [model_name(name) for name in ("demo", "a/b", "/dir/model/", "/")] == ["Griff", "b", "model", "/"]


def test_info_after_a_jump_tells_of_no_reply_that_took_no_time(tmp_path: Path) -> None:
    session, _ = at(tmp_path, 3)
    session.metrics.rate, session.metrics.first_token = 31.0, 0.5
    assert "Last reply: 31.0 tokens a second, the first after 0.50 s" in operations.describe(session)
    session.checkout(session.store.messages.tree(1)[1].id)
    (last,) = [text for text in operations.describe(session) if text.startswith("Last reply")]
    assert last == "Last reply: none was written here since this was opened"


@pytest.mark.parametrize("key", ["delete", "ctrl+d"])
async def test_del_in_the_list_with_a_search_deletes_what_is_marked(tmp_path: Path, key: str) -> None:
    app = ChatApp(Scripted(tmp_path, past=PAST))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await command(app, "/new")
        await pilot.press("ctrl+o")
        await wait_until(lambda: isinstance(app.screen, ConversationsScreen))
        await pilot.press("t", "w", "o")
        await wait_until(lambda: "Found: 1" in screen(app)[0])
        assert isinstance(app.screen.focused, Search)
        await pilot.press("left", key, key)  # there is a letter to delete, and who holds the key means letters
        await wait_until(lambda: app.screen.query_one(Search).value == "tw")
        assert app.session.store.conversations.get(1).deleted is None
        await pilot.press("end", key)
        await wait_until(lambda: app.session.store.conversations.get(1).deleted is not None)
        await wait_until(lambda: any("Deleted ‘one’" in text for text in screen(app)))


@pytest.mark.parametrize("theme", themes.NAMES)
async def test_the_selected_row_of_the_tree_is_read_in_every_theme(tmp_path: Path, theme: str) -> None:
    store = Store(tmp_path)
    chat = store.conversations.create("demo").id
    asked = store.messages.add_user(chat, None, "question").id
    for text in ("b1", "b2"):
        reply = store.messages.start_reply(chat, asked, text).id
        store.messages.finish(reply, closed=True)

    class Host(App[None]):
        def on_mount(self) -> None:
            themes.register(self)
            self.theme = theme
            self.push_screen(TreeScreen(store, chat, reply))

    app = Host()
    async with app.run_test(size=(60, 10)) as pilot:
        await wait_until(lambda: any("* Assistant" in text for text in screen(app)))
        for _ in range(3):  # the head, its sibling off the path, their question
            lines = [strip for strip in app.screen._compositor.render_strips() if re.search(r"\d\d:\d\d", strip.text)]
            shown = [s for strip in lines for s in strip if s.text.strip() and s.style and s.style.bgcolor]
            pairs = [(Color.from_rich_color(s.style.color), Color.from_rich_color(s.style.bgcolor)) for s in shown]
            assert len({ground for _, ground in pairs}) == 2, "one row is selected"
            assert min(contrast(text, ground) for text, ground in pairs) > 6
            await pilot.press("up")
    store.close()
