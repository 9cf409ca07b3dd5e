"""Keys that come faster than the chat handles them mean what they mean one by one. Headless, and in a terminal."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from ptys import Pty, doomed, ptys
from scripted import Held, Scripted, burst, command, idle, said, screen, taken
from waiting import wait_until

from tui.activity import Activity
from tui.app import ChatApp
from tui.commands import BY_NAME
from tui.prompt.completions import Completions
from tui.prompt.drafts import Draft, Drafts
from tui.prompt.history import History
from tui.prompt.prompt import Prompt
from tui.screens.history import HistoryScreen
from tui.screens.tree import TreeScreen

__all__ = ["ptys"]

SIZE = (80, 24)


def chat(data: Path, pieces: Any = ("Yes.",), past: tuple[str, ...] = ()) -> ChatApp:
    return over(Scripted(data, pieces, past=past))


def held(data: Path, past: tuple[str, ...] = ()) -> tuple[ChatApp, threading.Event]:
    """One whose replies wait, and what lets them go on."""
    session = Held(data, ["word "] * 20, past=past)
    return over(session), session.go_on


def over(session: Scripted) -> ChatApp:
    data = session.store.directory
    return ChatApp(session, history=History(data / "history.jsonl"), drafts=Drafts(data / "drafts"))


async def ready(app: ChatApp) -> Prompt:
    await wait_until(lambda: idle(app))
    await taken(app)
    return app.query_one(Prompt)


def asked(app: ChatApp) -> list[str]:
    """The user's messages up to here."""
    return [message.text for message in said(app)[::2]]


# --- 1: Enter -----------------------------------------------------------------------------


async def test_what_is_typed_right_after_enter_stays(tmp_path: Path) -> None:
    """1: it is neither cleared nor sent with the message before it."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        burst(app, "aa", "enter", "bb")
        await wait_until(lambda: len(said(app)) == 2 and idle(app))
        await taken(app)
        assert asked(app) == ["aa"] and prompt.text == "bb"


async def test_messages_at_once_wait(tmp_path: Path) -> None:
    """1: the second and third of a burst are queued, and what follows is in the prompt."""
    app, go_on = held(tmp_path)
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        burst(app, "aa", "enter", "bb", "enter", "cc", "enter", "dd")
        await wait_until(lambda: prompt.text == "dd")
        go_on.set()
        await wait_until(lambda: len(said(app)) == 6 and idle(app))
        await taken(app)
        assert asked(app) == ["aa", "bb", "cc"] and prompt.text == "dd"


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("/theme dark", "bb"),
        ("/new", "bb"),
        ("/nosuch", "/nosuchbb"),
        ("/new what", "/new whatbb"),
        ("/rename", "/rename bb"),
        ("@missing.txt", "@missing.txtbb"),
    ],
)
async def test_what_is_typed_right_after_a_command_stays(line: str, left: str, tmp_path: Path) -> None:
    """1: also where it can't be done, and is in the prompt again when the next key comes."""
    app = chat(tmp_path, past=("one", "two"))
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        burst(app, line, "enter", "bb")
        await wait_until(lambda: prompt.text == left)
        assert app.session.conversation is None or line != "/new"


async def test_a_message_that_is_refused_is_back_before_the_next_key(tmp_path: Path) -> None:
    """1: there is no model."""
    app = chat(tmp_path)
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        app.machine.enter(Activity.LOADING)
        app.machine.enter(Activity.UNLOADED)
        burst(app, "aa", "enter", "bb")
        await wait_until(lambda: prompt.text == "aabb")


def test_a_burst_in_a_terminal(ptys: Any, tmp_path: Path) -> None:
    """1 and 2: bytes that come in one read; Ctrl+Q keeps what was typed before it."""
    pty: Pty = ptys(*doomed(tmp_path / "data"))
    pty.wait("Nothing you write")
    pty.send("hello\r")
    pty.wait("word word")
    pty.send("aa\rbb\rcc\x11")
    assert pty.end() == 0
    drafts = Drafts(tmp_path / "data" / "drafts")
    session = Scripted(tmp_path / "data")
    try:
        (row,) = session.store.conversations.listed()
        assert session.store.messages.tree(row.id)[0].text == "hello"
        draft = drafts.read(row)
        assert draft is not None and draft.texts == ["aa", "bb", "cc"]
    finally:
        session.close()


# --- 2: keys of the app -------------------------------------------------------------------


async def test_a_key_of_the_app_comes_after_the_letters_before_it(tmp_path: Path) -> None:
    """2: the draft stays in the conversation in which it was typed."""
    app = chat(tmp_path, past=("one", "two"))
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        row = app.session.conversation
        burst(app, "ZZZ", "ctrl+n", "new")
        await wait_until(lambda: prompt.text == "new")
        assert app.session.conversation is None
        draft = app.drafts.read(row)
        assert draft is not None and draft.text == "ZZZ"


async def test_a_message_is_sent_before_the_next_key_of_the_app(tmp_path: Path) -> None:
    """2: Enter, then a new conversation."""
    app = chat(tmp_path, past=("one", "two"))
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        row = app.session.conversation
        assert row is not None
        burst(app, "three", "enter", "ctrl+n", "new")
        await wait_until(lambda: prompt.text == "new" and idle(app))
        assert [m.text for m in app.session.store.messages.tree(row.id)][2] == "three"


async def test_a_key_that_the_prompt_leaves_to_the_app_is_not_overtaken(tmp_path: Path) -> None:
    """2: Esc leaves an edit before Enter sends."""
    app = chat(tmp_path, past=("one", "two"))
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        await command(app, "/edit")
        assert prompt.text == "one"
        burst(app, "!", "escape", "enter", "new")
        await wait_until(lambda: prompt.text == "new")
        await taken(app)
        assert len(app.session.store.messages.tree(1)) == 2 and app.editing is None


# --- 3 and 16: edits ----------------------------------------------------------------------


@pytest.mark.parametrize("begin", ["the tree", "the palette"])
@pytest.mark.parametrize("end", ["left", "sent", "left after a restart"])
async def test_a_draft_is_kept_while_a_message_is_edited(begin: str, end: str, tmp_path: Path) -> None:
    """3: it is in the prompt again when the edit is left or sent, also by another run."""
    app = chat(tmp_path, past=("one", "two"))
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        burst(app, "PRECIOUS", "ctrl+j", "text")
        if begin == "the tree":
            burst(app, "ctrl+t")
            await wait_until(lambda: isinstance(app.screen, TreeScreen) and any("two" in text for text in screen(app)))
            burst(app, "up", "e")
        else:
            await wait_until(lambda: prompt.text == "PRECIOUS\ntext")
            await app.actions.choose(BY_NAME["edit"])
        await wait_until(lambda: prompt.text == "one")
        if end == "left":
            burst(app, "!", "escape", "X")
            await wait_until(lambda: prompt.text == "PRECIOUS\ntextX" and app.editing is None)
            return
        if end == "sent":
            burst(app, "!", "enter", "X")
            await wait_until(lambda: prompt.text == "PRECIOUS\ntextX" and asked(app) == ["one!"] and idle(app))
            return
        burst(app, "!", "ctrl+q")
        await wait_until(lambda: not app.is_running)
    session = Scripted(tmp_path)
    session.open_latest()
    app = ChatApp(session, drafts=Drafts(tmp_path / "drafts"))
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        assert prompt.text == "one!" and app.editing is not None
        burst(app, "escape")
        await wait_until(lambda: prompt.text == "PRECIOUS\ntext" and app.editing is None)


async def test_a_waiting_edit_that_is_taken_back_stays_an_edit(tmp_path: Path) -> None:
    """16: with a draft in the prompt, which comes back behind it; the draft of a crash has both."""
    app, _ = held(tmp_path, past=("one", "two"))
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        burst(app, "three", "enter")
        await wait_until(lambda: app.activity is Activity.WRITING)
        app.actions.edit_message(app.session.store.messages.get(1))
        burst(app, "!", "enter", "draft")
        await wait_until(lambda: prompt.text == "draft" and app.outbox.items)
        (kept,) = app.draft.queue
        assert app.draft.text == "draft" and (kept.text, kept.editing) == ("one!", 1)
        burst(app, "escape")
        await wait_until(lambda: prompt.text == "one!" and not app.outbox.items)
        assert app.editing is not None and app.editing.id == 1 and app.draft == Draft("one!", 1, "draft")
        burst(app, "escape")
        await wait_until(lambda: prompt.text == "draft" and app.editing is None)


async def test_a_waiting_message_that_is_taken_back_does_not_become_part_of_an_edit(tmp_path: Path) -> None:
    """16: the other way round: the edit goes on when the message is sent."""
    app, _ = held(tmp_path, past=("one", "two"))
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        burst(app, "three", "enter")
        await wait_until(lambda: app.activity is Activity.WRITING)
        burst(app, "four", "enter")
        await wait_until(lambda: app.outbox.items)
        app.actions.edit_message(app.session.store.messages.get(1))
        burst(app, "!", "escape")
        await wait_until(lambda: prompt.text == "four" and app.editing is None)
        burst(app, "enter")
        await wait_until(lambda: prompt.text == "one!" and app.editing is not None and app.editing.id == 1)


# --- 5: what takes the place of the draft -------------------------------------------------


@pytest.mark.parametrize("how", ["a search", "a command that needs more"])
async def test_what_takes_the_place_of_the_draft_can_be_undone(how: str, tmp_path: Path) -> None:
    """5: Ctrl+S and a hit, or /rename from the palette; Ctrl+_ brings back what was typed."""
    app = chat(tmp_path, past=("one", "two"))
    assert app.history is not None
    app.history.add("smith")
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        burst(app, "smi")
        if how == "a search":
            burst(app, "ctrl+s")
            await wait_until(lambda: isinstance(app.screen, HistoryScreen) and any("smith" in s for s in screen(app)))
            burst(app, "enter")
        else:
            await wait_until(lambda: prompt.text == "smi")
            await app.actions.choose(BY_NAME["rename"])
        await wait_until(lambda: prompt.text == ("smith" if how == "a search" else "/rename "))
        burst(app, "ctrl+underscore")
        await wait_until(lambda: prompt.text == "smi")


# --- 9: where a waiting message is sent ---------------------------------------------------


@pytest.mark.parametrize("where", ["before the reply", "before the first message"])
async def test_a_waiting_message_comes_after_the_reply_it_was_written_for(where: str, tmp_path: Path) -> None:
    """9: wherever one looks when that ends; one sees it sent."""
    app, go_on = held(tmp_path, past=("one", "two"))
    async with app.run_test(size=SIZE):
        await ready(app)
        burst(app, "story", "enter", "follow", "enter")
        await wait_until(lambda: app.activity is Activity.WRITING and app.outbox.items)
        burst(app, "alt+up", *(["alt+up"] if "first" in where else []))
        await wait_until(lambda: app.activity is Activity.BEHIND and len(said(app)) == (0 if "first" in where else 2))
        go_on.set()
        await wait_until(lambda: len(said(app)) == 6 and not app.outbox.items)
        assert asked(app) == ["one", "story", "follow"]
        await wait_until(lambda: any("follow" in text for text in screen(app)))
        app.session.stop()
        await wait_until(lambda: idle(app))


async def test_a_waiting_command_is_done_where_it_was_given(tmp_path: Path) -> None:
    """9: another reply to the message at which one stood, while the model was elsewhere."""
    app, go_on = held(tmp_path, past=("one", "two"))
    async with app.run_test(size=SIZE):
        await ready(app)
        burst(app, "three", "enter")
        await wait_until(lambda: app.activity is Activity.WRITING)
        burst(app, "alt+up", "ctrl+r", "alt+up")
        await wait_until(lambda: app.outbox.items and app.session.head is None)
        go_on.set()
        await wait_until(lambda: len(app.session.store.messages.tree(1)) == 5)
        assert app.session.store.messages.tree(1)[4].parent == 1
        app.session.stop()
        await wait_until(lambda: idle(app))


# --- 10 and 15: keys ----------------------------------------------------------------------


async def test_ctrl_c_means_the_same_wherever_the_focus_is(tmp_path: Path) -> None:
    """10: in the transcript, without a selection."""
    app = chat(tmp_path, past=("one", "two"))
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        for focus in (True, False):
            burst(app, "abc")
            await wait_until(lambda: prompt.text == "abc")
            if focus:
                burst(app, "tab")
                await wait_until(lambda: app.transcript.has_focus)
            else:
                app.screen.set_focus(None)
            burst(app, "ctrl+c")
            await wait_until(lambda: prompt.text == "")
        app.screen.set_focus(app.transcript)
        burst(app, "ctrl+c")
        await wait_until(lambda: any("Ctrl+Q leaves" in n.message for n in app._notifications))


async def test_enter_after_a_bare_at_sends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """15: the list shows files, of which none was begun or chosen; a chosen one is still put in."""
    (tmp_path / "files").mkdir()
    for name in ("a", "b"):
        (tmp_path / "files" / name).write_text("text")
    monkeypatch.chdir(tmp_path / "files")
    app = chat(tmp_path / "data")
    async with app.run_test(size=SIZE):
        prompt = await ready(app)
        listed = app.query_one(Completions)
        burst(app, "@")
        await wait_until(lambda: listed.is_open)
        burst(app, "down", "enter")
        await wait_until(lambda: prompt.text == "@b ")
        prompt.load_text("")
        burst(app, "@")
        await wait_until(lambda: listed.is_open)
        burst(app, "enter")
        await wait_until(lambda: len(said(app)) == 2 and idle(app))
        assert asked(app) == ["@"]
