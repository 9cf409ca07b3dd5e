"""The list of conversations, driven by keys and the mouse over a real store, and the small dialogs."""

from __future__ import annotations

import asyncio
import json
import math
import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import pytest
from textual import events
from textual.app import App
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from waiting import wait_until

from rgmlx.errors import RgmlxError
from rgmlx.store import Store
from rgmlx.system import textfiles
from rgmlx.system.formatting import when
from rgmlx.system.textfiles import read_text, typed_path, write_text
from tui import fields
from tui.screens import conversation_pages, conversations, dialogs
from tui.screens.conversations import ConversationsScreen, Opened
from tui.screens.dialogs import TYPING_SECONDS, AskText, Confirm
from tui.terminal import textual_fixes

SIZE = (80, 24)


class Host(App[None]):
    """An app that shows one screen and keeps what it was dismissed with."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [("ctrl+n", "start_over", "new conversation")]

    def __init__(self, screen: ModalScreen) -> None:
        super().__init__()
        textual_fixes.end_workers_first()
        self.first, self.results, self.changed, self.leaked = screen, [], [], 0

    def on_mount(self) -> None:
        self.push_screen(self.first, self.results.append)

    def on_conversations_screen_changed(self, event: ConversationsScreen.Changed) -> None:
        self.changed.append(event.conversation)

    def action_start_over(self) -> None:
        self.leaked += 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as one:
        yield one


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def add(store: Store, title: str, text: str = "", archived: bool = False) -> int:
    one = store.conversations.create("2b", title)
    if text:
        store.messages.add_user(one.id, None, text)
    store.conversations.archive(one.id, archived)
    return one.id


def settled(screen: ConversationsScreen) -> bool:
    """Whether all that was asked for is on the screen."""
    return screen.is_mounted and screen._shown == screen._wanted and not screen._doing


async def begin(screen: ConversationsScreen) -> None:
    await wait_until(lambda: settled(screen))


def rows(screen: ConversationsScreen) -> list[str]:
    return [str(option.prompt) for option in screen.query_one(OptionList).options]


def titles(screen: ConversationsScreen) -> list[str]:
    return [row.splitlines()[0].strip() for row in rows(screen)]


def notice(screen: ConversationsScreen) -> str:
    return str(screen.query_one("#notice", Static).content)


async def search(app: Host, pilot: object, text: str) -> None:
    app.first.query_one(Input).value = text
    await wait_until(lambda: settled(app.first) and app.first._shown.query == text)


async def asked(app: Host, kind: type[ModalScreen]) -> None:
    await wait_until(lambda: isinstance(app.screen, kind) and app.screen.is_mounted and app.screen.focused is not None)


async def answer(app: Host, text: str, problem: bool = False) -> None:
    """Types into the dialog. A problem: the same question comes again."""
    await asked(app, AskText)
    dialog = app.screen
    dialog.query_one(Input).value = text
    app.simulate_key("enter")
    await wait_until(lambda: app.screen is not dialog)
    if problem:
        await asked(app, AskText)


# --- what is shown ----------------------------------------------------------------------------


async def test_newest_first_and_the_current_one_is_marked(store: Store) -> None:
    first, second = add(store, "First"), add(store, "")
    add(store, "Old", archived=True)
    screen = ConversationsScreen(store, first)
    app = Host(screen)
    async with app.run_test(size=SIZE):
        await begin(screen)
        today = f"today {datetime.now():%H:%M}"[:-3]
        assert titles(screen) == ["Untitled", "● First"]
        assert today in rows(screen)[0] and "2b" in rows(screen)[0] and "open now" in rows(screen)[1]
        assert screen.query_one(OptionList).highlighted == 1
        app.simulate_key("up")
        app.simulate_key("enter")
        await wait_until(lambda: app.results)
        assert app.results == [Opened(second)]


@pytest.mark.parametrize("key", ["ctrl+l", "f7"])
async def test_a_pinned_one_goes_to_the_top_and_back(store: Store, key: str) -> None:
    first = add(store, "First")
    add(store, "Second")
    add(store, "Third")
    screen = ConversationsScreen(store, first)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        assert titles(screen) == ["Third", "Second", "● First"]
        await pilot.press(key)
        await wait_until(lambda: settled(screen) and titles(screen) == ["● ★ First", "Third", "Second"])
        assert "open now · pinned · today" in rows(screen)[0] and "pinned" not in rows(screen)[1]
        assert screen.query_one(OptionList).highlighted == 0, "the mark stays on it"
        assert notice(screen) == "Pinned ‘First’." and store.conversations.get(first).pinned
        await pilot.press("down", "down", key)
        await wait_until(lambda: settled(screen) and titles(screen) == ["★ Second", "● ★ First", "Third"])
        await pilot.press("down", key)
        await wait_until(lambda: settled(screen) and titles(screen) == ["★ Second", "Third", "● First"])
        assert notice(screen) == "‘First’ is no longer pinned." and not store.conversations.get(first).pinned
        assert app.changed == [first, first + 1, first]


async def test_what_is_found_and_archived_shows_that_it_is_pinned(store: Store) -> None:
    chat = add(store, "About pets", "My cat is called Zibo.", archived=True)
    add(store, "Other", "Zibo again")
    store.conversations.pin(chat)
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        assert titles(screen) == ["Other"], "archived ones are not in the list, pinned or not"
        await pilot.press("ctrl+g")
        await wait_until(lambda: titles(screen) == ["★ About pets", "Other"])
        await search(app, pilot, "cat")
        assert titles(screen)[0].startswith("★ About pets") and "pinned" in rows(screen)[0]
        await pilot.press("ctrl+l")
        await wait_until(lambda: settled(screen) and titles(screen)[0].startswith("About pets"))
        await pilot.press("enter")
        await wait_until(lambda: app.results and app.results[0].conversation == chat)


async def test_pinned_ones_lead_the_first_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_pages, "PAGE", 2)
    for number in range(4):
        add(store, f"Chat {number}")
    screen = ConversationsScreen(store, None)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("end", "enter")
        await wait_until(lambda: titles(screen) == ["↑ newer conversations", "Chat 1", "Chat 0"])
        await pilot.press("end", "ctrl+l")
        await wait_until(lambda: settled(screen) and titles(screen) == ["↑ newer conversations", "Chat 2", "Chat 1"])
        await pilot.press("home", "enter")
        await wait_until(lambda: titles(screen) == ["★ Chat 0", "Chat 3", "↓ older conversations"])


async def test_archived_ones_come_and_go(store: Store) -> None:
    add(store, "Here")
    add(store, "Away", archived=True)
    screen = ConversationsScreen(store, None)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("ctrl+g")
        await wait_until(lambda: titles(screen) == ["Away", "Here"])
        assert "archived" in rows(screen)[0]
        await pilot.press("f4")
        await wait_until(lambda: titles(screen) == ["Here"])


async def test_titles_and_snippets_from_outside_do_no_harm(store: Store) -> None:
    add(store, "[bold]\x1b[31mred\x07\n[/nonsense", "A [link=x]snippet\x1b]0;title\x07[/] with zibo")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        assert titles(screen) == ["[bold]\ufffd[31mred\ufffd [/nonsense"]
        await search(app, pilot, "zibo")
        text = "".join(strip.text for strip in screen._compositor.render_strips())
        assert "[link=x]snippet\ufffd]0;title\ufffd[/] with zibo" in text
        assert "\x1b" not in text and "\x07" not in text
        await pilot.press("ctrl+s")
        await asked(app, AskText)
        assert app.screen.query_one(Input).value == "~/[bold] [31mred [ nonsense.md"


async def test_nothing_there_is_said(store: Store) -> None:
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        assert "No conversations here" in rows(screen)[0]
        for key in ("enter", "delete", "ctrl+r", "ctrl+t", "ctrl+s"):
            await pilot.press(key)
        assert screen.is_current and "Choose a conversation first." in notice(screen)
        await search(app, pilot, "nowhere")
        assert "Nothing was found" in rows(screen)[0]


async def test_two_pages_are_turned_by_their_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_pages, "PAGE", 5)
    for number in range(8):
        add(store, f"Chat {number}", "zibo")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        assert titles(screen) == [*(f"Chat {n}" for n in (7, 6, 5, 4, 3)), "↓ older conversations"]
        await pilot.press("end", "enter")
        await wait_until(lambda: titles(screen) == ["↑ newer conversations", "Chat 2", "Chat 1", "Chat 0"])
        assert "6 to 8" in str(screen.query_one("#heading", Static).content)
        await pilot.press("home", "enter")
        await wait_until(lambda: titles(screen)[0] == "Chat 7")
        await search(app, pilot, "zibo")
        assert len(rows(screen)) == 6 and "add a word" in rows(screen)[-1]


async def test_a_page_that_was_emptied_gives_way_to_the_one_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_pages, "PAGE", 2)
    for number in range(3):
        add(store, f"Chat {number}")
    screen = ConversationsScreen(store, None)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("end", "enter")
        await wait_until(lambda: "Chat 0" in titles(screen))
        await pilot.press("delete")
        await wait_until(lambda: titles(screen) == ["Chat 2", "Chat 1"])
        await pilot.press("ctrl+underscore")
        await wait_until(lambda: settled(screen) and "Chat 0" in titles(screen))
        assert screen.query_one(OptionList).highlighted == 1  # wherever it is, it is shown


def test_times_read_as_one_says_them() -> None:
    now = datetime(2026, 3, 10, 9, 0).timestamp()
    times = [(2026, 3, 10, 8, 5), (2026, 3, 9, 23, 59), (2026, 3, 8, 1, 0), (2026, 1, 2, 3, 4), (2025, 12, 31, 0, 0)]
    said = [when(datetime(*t).timestamp(), now) for t in times]
    assert said == ["today 08:05", "yesterday", "8 Mar", "2 Jan", "2025-12-31"]
    assert when(1e300, now) == when(float("1e18"), now) == "at some time"


# --- searching --------------------------------------------------------------------------------


async def test_typing_in_the_list_searches_and_a_hit_opens_at_its_message(store: Store) -> None:
    chat = add(store, "About pets", "My cat is called Zibo, of course.")
    message = store.conversations.get(chat).head
    add(store, "Other", "Nothing of the kind.")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press(*"zibo")
        await wait_until(lambda: settled(screen) and titles(screen)[0].startswith("About pets"))
        prompt = screen.query_one(OptionList).options[0].prompt
        bold = [str(prompt)[span.start : span.end] for span in prompt.spans if "bold" in str(span.style)]
        assert bold == ["Zibo"]
        assert screen.query_one(Input).value == "zibo" and screen.query_one(Input).has_focus
        await pilot.press("down", "up")
        assert screen.query_one(Input).has_focus  # up from the first row goes back to the search
        await pilot.press("enter")
        await wait_until(lambda: app.results)
        assert app.results == [Opened(chat, message, ("zibo", "Zibo"))]


async def test_pasting_in_the_list_searches(store: Store) -> None:
    add(store, "Soup")
    add(store, "Other")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE):
        await begin(screen)
        app.post_message(events.Paste("\n soup\n"))
        await wait_until(lambda: settled(screen) and titles(screen) == ["Soup"])
        assert screen.query_one(Input).value == "soup"


async def test_enter_waits_for_what_was_typed(store: Store) -> None:
    chat = add(store, "Soup")
    add(store, "The newest")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE):
        await begin(screen)
        for key in ("s", "o", "u", "enter"):  # faster than the search
            app.simulate_key(key)
        await wait_until(lambda: app.results)
        assert app.results == [Opened(chat)]


async def test_a_search_waits_for_a_pause_in_typing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "PAUSE", 0.5)
    add(store, "Soup")
    screen = ConversationsScreen(store, None)
    searched = []
    find = store.search.find
    store.search.find = lambda text, limit: (searched.append(text), find(text, limit))[1]
    app = Host(screen)
    async with app.run_test(size=SIZE):
        await begin(screen)
        for number, key in enumerate("soup", 1):
            app.simulate_key(key)
            await wait_until(lambda n=number: len(screen.query_one(Input).value) == n)
        await wait_until(lambda: settled(screen) and screen._shown.query == "soup")
        assert searched == ["soup"]


async def test_keys_of_the_chat_below_do_nothing_here(store: Store) -> None:
    app = Host(ConversationsScreen(store, None))
    async with app.run_test(size=SIZE) as pilot:
        await begin(app.first)
        await pilot.press("ctrl+n", "escape")
        await wait_until(lambda: app.results == [None])
        assert not app.leaked
        await pilot.press("ctrl+n")
        await wait_until(lambda: app.leaked)


async def test_signs_and_a_pasted_page_are_no_query_syntax(store: Store) -> None:
    add(store, "Soup", 'NEAR( "a" AND *')
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        for text in ('NEAR("', "* AND", '"', "!!!", "\x1b[2J", "soup " * 5000):
            screen.query_one(Input).insert_text_at_cursor(text)
            await wait_until(lambda: settled(screen))
            assert not screen.query_one("#notice", Static).has_class("-problem")
        assert len(screen.query_one(Input).value) == fields.MAX_CHARS
        assert "\x1b" not in screen.query_one(Input).value
        await pilot.press("escape")
        await wait_until(lambda: app.results == [None])


async def test_a_store_that_fails_says_so(store: Store) -> None:
    add(store, "Soup")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        store.close()
        await pilot.press("ctrl+g")
        await wait_until(lambda: "can't be used" in notice(screen))
        assert rows(screen) == []
        await pilot.press("escape")
        await wait_until(lambda: app.results == [None])


# --- changes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["ctrl+r", "f2"])
async def test_renaming(store: Store, key: str) -> None:
    chat = add(store, "Befor")
    screen = ConversationsScreen(store, chat)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press(key)
        await asked(app, AskText)
        assert app.screen.query_one(Input).value == "Befor"
        await answer(app, "  After ")
        await wait_until(lambda: settled(screen) and titles(screen) == ["● After"])
        assert store.conversations.get(chat).title == "After"
        await wait_until(lambda: app.changed == [chat])
        await pilot.press(key)
        await asked(app, AskText)
        await pilot.press("x", "escape")
        await wait_until(lambda: settled(screen))
        assert store.conversations.get(chat).title == "After"


async def test_archiving_and_back(store: Store) -> None:
    chat = add(store, "Soup")
    screen = ConversationsScreen(store, None)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("ctrl+t")
        await wait_until(lambda: store.conversations.get(chat).archived and settled(screen))
        assert "Archived ‘Soup’." in notice(screen) and "No conversations here" in rows(screen)[0]
        await pilot.press("ctrl+g")
        await wait_until(lambda: settled(screen) and titles(screen) == ["Soup"])
        await pilot.press("f3")
        await wait_until(lambda: not store.conversations.get(chat).archived)


@pytest.mark.parametrize("key", ["delete", "ctrl+d"])
async def test_deleting_and_bringing_back(store: Store, key: str) -> None:
    for title in ("Third", "Second", "First"):
        add(store, title)
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("down", key)
        await wait_until(lambda: settled(screen) and titles(screen) == ["First", "Third"])
        assert "Deleted ‘Second’. Ctrl+_ brings it back." in notice(screen)
        assert screen.query_one(OptionList).highlighted == 1
        await pilot.press(key)
        await wait_until(lambda: settled(screen) and titles(screen) == ["First"])
        await pilot.press("ctrl+underscore")
        await wait_until(lambda: settled(screen) and titles(screen) == ["First", "Third"])
        await pilot.press("ctrl+underscore")
        await wait_until(lambda: settled(screen) and titles(screen) == ["First", "Second", "Third"])
        assert screen.query_one(OptionList).highlighted == 1
        await pilot.press("ctrl+underscore")
        await wait_until(lambda: "No deleted conversation" in notice(screen))
        assert len(app.changed) == 4


async def test_what_was_deleted_in_an_earlier_visit_comes_back(store: Store) -> None:
    store.conversations.delete(add(store, "Gone"))
    screen = ConversationsScreen(store, None)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("ctrl+underscore")
        await wait_until(lambda: settled(screen) and titles(screen) == ["Gone"])


async def test_deleting_while_a_line_is_edited_deletes_a_letter_only(store: Store) -> None:
    add(store, "Soup")
    screen = ConversationsScreen(store, None)
    async with Host(screen).run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press(*"soupx", "left", "delete", "ctrl+d", "delete")
        await wait_until(lambda: settled(screen) and screen._shown.query == "soup")
        assert titles(screen) == ["Soup"] and len(store.conversations.listed()) == 1


@pytest.mark.parametrize("key", ["delete", "ctrl+t"])
async def test_what_another_window_has_open_is_left_alone(store: Store, tmp_path: Path, key: str) -> None:
    chat = add(store, "Soup")
    screen = ConversationsScreen(store, None)
    with Store(tmp_path / "store") as other:
        held = other.lock(chat)
        assert held is not None
        async with Host(screen).run_test(size=SIZE) as pilot:
            await begin(screen)
            await pilot.press(key)
            await wait_until(lambda: "open in another window" in notice(screen))
            one = store.conversations.get(chat)
            assert one.deleted is None and not one.archived
            held.release()
            await wait_until(lambda: settled(screen))
            await pilot.press(key)
            await wait_until(lambda: settled(screen) and "No conversations here" in rows(screen)[0])
            assert list((tmp_path / "store" / "open").iterdir()) == []  # the screen gave its lock back


async def test_the_current_one_is_held_by_this_process(store: Store) -> None:
    chat = add(store, "Soup")
    with store.lock(chat):
        screen = ConversationsScreen(store, chat)
        async with Host(screen).run_test(size=SIZE) as pilot:
            await begin(screen)
            await pilot.press("delete")
            await wait_until(lambda: store.conversations.get(chat).deleted is not None and settled(screen))


# --- files ------------------------------------------------------------------------------------


async def test_export_and_import(store: Store, home: Path) -> None:
    chat = add(store, "Soup: a/b", "With leeks?")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("ctrl+s")
        await asked(app, AskText)
        assert app.screen.query_one(Input).value == "~/Soup a b.md"
        await pilot.press("enter")
        await wait_until(lambda: settled(screen) and "Exported to" in notice(screen))
        assert "With leeks?" in (home / "Soup a b.md").read_text()

        await pilot.press("f5")
        await answer(app, "~/soup.json")
        await wait_until(lambda: settled(screen) and (home / "soup.json").exists())
        assert json.loads((home / "soup.json").read_text())["title"] == "Soup: a/b"
        assert sorted(path.name for path in home.iterdir()) == ["Soup a b.md", "soup.json"]

        store.conversations.rename(chat, "The one before")
        await search(app, pilot, "nothing")
        await pilot.press("ctrl+o")
        await answer(app, "~/soup.json")
        await wait_until(lambda: settled(screen) and sorted(titles(screen)) == ["Soup: a/b", "The one before"])
        assert screen.query_one(Input).value == ""
        assert titles(screen)[screen.query_one(OptionList).highlighted] == "Soup: a/b"
        assert store.messages.path(store.conversations.listed()[0].head)[0].text == "With leeks?"


async def test_an_existing_file_is_replaced_only_when_confirmed(store: Store, home: Path) -> None:
    add(store, "Soup")
    there = home / "Soup.md"
    there.write_text("mine")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("ctrl+s")
        await answer(app, "~/Soup.md")
        await asked(app, Confirm)
        await pilot.press("enter")  # alone, it is no
        await asked(app, AskText)
        assert there.read_text() == "mine"
        assert app.screen.query_one(Input).value == "~/Soup.md"
        await pilot.press("enter")
        await asked(app, Confirm)
        await asyncio.sleep(TYPING_SECONDS)
        await pilot.press("y")
        await wait_until(lambda: settled(screen) and "Exported to" in notice(screen))
        assert there.read_text().startswith("# Soup")


async def test_bad_names_are_asked_for_again(store: Store, home: Path) -> None:
    add(store, "Soup")
    (home / "folder.md").mkdir()
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("ctrl+s")
        for bad, sentence in (
            ("", "not the name of a file"),
            ("~nobody-of-this-name/x.md", "There is no user 'nobody-of-this-name'"),
            ("~/soup.txt", "soup.txt should end in .md (to read) or .json (to import)"),
            ("~/folder.md", "is a folder"),
            ("~/nowhere/soup.md", "There is no folder"),
            (f"~/{'x' * 300}.md", "can't be written"),
        ):
            await answer(app, bad, problem=True)
            assert sentence in str(app.screen.query_one(".-problem", Static).content)
            assert app.screen.query_one(Input).value == bad
        await pilot.press("escape")
        await wait_until(lambda: settled(screen) and app.screen is screen)
        assert [path.name for path in home.iterdir()] == ["folder.md"]


async def test_bad_files_are_not_imported(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textfiles, "MAX_READ", 1000)
    (home / "large.json").write_text("x" * 1001)
    (home / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (home / "other.json").write_text("{}")
    os.mkfifo(home / "pipe.json")  # would never end
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("f6")
        for bad, sentence in (
            ("~/none.json", "There is no file"),
            ("~", "it is a directory"),
            ("~/pipe.json", "it is a pipe or a device"),
            ("~/large.json", "is larger than"),
            ("~/bytes.json", "is not UTF-8 text"),
            ("~/other.json", "not an exported conversation"),
        ):
            await answer(app, bad, problem=True)
            assert sentence in str(app.screen.query_one(".-problem", Static).content)
        assert store.conversations.listed() == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "a.md"
    write_text(there, "old \ud800")  # what can't be encoded does not stop it
    assert there.read_text() == "old ?"

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RgmlxError, match="No space left on device"):
        write_text(there, "new")
    assert there.read_text() == "old ?" and list(tmp_path.iterdir()) == [there]


def test_names_of_files(home: Path) -> None:
    assert typed_path(" ~/a b.md ") == home / "a b.md"
    for bad in ("", "   "):
        with pytest.raises(RgmlxError):
            typed_path(bad)
    with pytest.raises(RgmlxError, match=r"can't be read|no file"):
        read_text(Path("/a\0b"))


# --- mouse, sizes, dialogs --------------------------------------------------------------------


async def test_the_mouse_marks_opens_and_presses_keys(store: Store) -> None:
    chat = add(store, "Second")
    add(store, "First")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.click(OptionList, offset=(6, 3))
        assert screen.query_one(OptionList).highlighted == 1 and not app.results
        await pilot.click("#key-delete", offset=(3, 0))
        await wait_until(lambda: settled(screen) and titles(screen) == ["First"])
        at = notice(screen).index("brings")
        await pilot.click("#notice", offset=(at + 2, 0))
        await wait_until(lambda: settled(screen) and titles(screen) == ["First", "Second"])
        await pilot.click(OptionList, offset=(6, 3))  # it is marked: opened
        await wait_until(lambda: app.results)
        assert app.results == [Opened(chat)]


@pytest.mark.parametrize("size", [(60, 20), (200, 60)])
async def test_all_keys_are_shown_at_any_size(store: Store, size: tuple[int, int]) -> None:
    for number in range(30):
        add(store, f"{number} " + "A very long title " * 20)
    screen = ConversationsScreen(store, None)
    async with Host(screen).run_test(size=size) as pilot:
        await begin(screen)
        await pilot.pause()
        lines = [strip.text for strip in screen._compositor.render_strips()]
        for key in ("Enter open", "^r rename", "^t archive", "^g archived", "Del delete", "^s export", "Esc back"):
            assert any(key in line for line in lines)
        assert sum("A very long title" in line for line in lines) >= 6  # one line each, cut


async def test_one_thing_at_a_time(store: Store) -> None:
    add(store, "Soup")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        screen.action_rename()
        screen.action_export()  # while the other is under way
        await asked(app, AskText)
        await pilot.press("escape")
        await wait_until(lambda: settled(screen))
        assert app.screen is screen


@pytest.mark.parametrize(
    ("keys", "result"),
    [(["enter"], "a value"), (["x", "enter"], "x"), (["escape"], None), (["tab", "tab", "enter"], None)],
)
async def test_ask_text(keys: list[str], result: str | None) -> None:
    app = Host(AskText("[b]A title\x1b", "a\nvalue", hint="[/]"))
    async with app.run_test(size=SIZE) as pilot:
        await asked(app, AskText)
        assert str(app.screen.query(Static).first().content) == "[b]A title\ufffd"
        await pilot.press(*keys)
        await wait_until(lambda: app.results)
        assert app.results == [result]


@pytest.mark.parametrize(
    ("keys", "result"),
    [(["y"], True), (["n"], False), (["escape"], False), (["enter"], False), (["left", "enter"], True)],
)
async def test_confirm(keys: list[str], result: bool) -> None:
    app = Host(Confirm("[b]Sure?", yes="[/]Do it", no="Don't"))
    async with app.run_test(size=SIZE) as pilot:
        await asked(app, Confirm)
        await asyncio.sleep(TYPING_SECONDS)
        await pilot.press(*keys)
        await wait_until(lambda: app.results)
        assert app.results == [result]


async def test_what_is_typed_into_a_question_by_mistake_is_no_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogs, "TYPING_SECONDS", math.inf)  # however slowly the keys come
    app = Host(Confirm("Replace it?"))
    async with app.run_test(size=SIZE) as pilot:
        await asked(app, Confirm)
        await pilot.press("y", *"My only name")
        await pilot.pause()
        assert not app.results
        monkeypatch.setattr(dialogs, "TYPING_SECONDS", 0)
        await pilot.press("y")
        await wait_until(lambda: app.results == [True])


async def test_buttons_are_clicked() -> None:
    app = Host(Confirm("Sure?"))
    async with app.run_test(size=SIZE) as pilot:
        await asked(app, Confirm)
        await pilot.click("#yes")
        await wait_until(lambda: app.results == [True])
        app.push_screen(AskText("A title", "text"), app.results.append)
        await asked(app, AskText)
        assert [str(button.label) for button in app.screen.query(Button)] == ["Enter  OK", "Esc  Cancel"]
        await pilot.click("#ok")
        await wait_until(lambda: app.results == [True, "text"])


async def test_enter_twice_closes_one_screen(store: Store) -> None:
    add(store, "Soup")
    screen = ConversationsScreen(store, None)
    app = Host(screen)
    async with app.run_test(size=SIZE) as pilot:
        await begin(screen)
        await pilot.press("ctrl+r")
        await asked(app, AskText)
        dialog = app.screen
        for _ in range(2):
            dialog.query_one(Input).post_message(Input.Submitted(dialog.query_one(Input), "Soup"))
        await wait_until(lambda: settled(screen) and app.screen is screen)
        end = time.monotonic() + 0.2
        await wait_until(lambda: time.monotonic() > end)
        assert app.screen is screen and not app.results
