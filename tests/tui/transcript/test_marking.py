"""The mark: by keys to every message and block of code, however far back, and what is done there."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Held, Scripted, ask, idle, line, said, screen, type_and_send
from textual.events import Paste
from textual.geometry import Offset
from textual.pilot import Pilot
from waiting import wait_until

from tui.app import ChatApp
from tui.key_line import KeyLine
from tui.prompt.history import History
from tui.prompt.prompt import Prompt
from tui.transcript.markdown import Fence
from tui.transcript.scroll import MAX_MESSAGES
from tui.transcript.stops import Stop, begins, places

SIZE = (80, 24)
SHORT = "ls -l | wc\n\t-w  "
LONG = "\n".join(f"word{i} = '{'日本' * (i % 7)}'  # {i} " for i in range(400))
_INDENTED = LONG.replace("\n", "\n  ")
REPLY = f"First:\n\n```sh\n{SHORT}\n```\n\nThen, in a list:\n\n- one\n\n  ```python\n  {_INDENTED}\n  ```\n\n~~~\nlast\n~~~\n\nEnd."
PAST = ("Hello", "Hi.", "Show me code.", REPLY)


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the terminal was given for its clipboard."""
    monkeypatch.setenv("SSH_TTY", "/dev/pts/0")
    monkeypatch.setenv("TERM", "xterm-kitty")
    texts: list[str] = []
    monkeypatch.setattr(ChatApp, "copy_to_clipboard", lambda app, text: texts.append(text))
    return texts


def bounded(app: ChatApp) -> None:
    """No more is mounted than can be read."""
    rows = app.transcript._rows
    assert len({row.entry.index for row in rows}) <= MAX_MESSAGES + 4
    keys = [(row.entry.index, row.number) for row in rows]
    assert keys == sorted(set(keys)), "an unbroken row, in order"


def at(app: ChatApp) -> tuple[str, int | None]:
    """What is marked: a message's text as it is kept, and which of its blocks."""
    mark = app.transcript.mark
    assert mark is not None and mark.entry.stored is not None
    return app.session.store.messages.get(mark.entry.stored.id).text, mark.block


def told(app: ChatApp) -> list[str]:
    return [notification.message for notification in app._notifications]


async def marked(app: ChatApp, pilot: Pilot[None], *keys: str) -> tuple[str, int | None]:
    await pilot.press(*keys)
    await wait_until(lambda: app.transcript.has_focus and app.transcript.mark is not None)
    return at(app)


def in_view(app: ChatApp) -> bool:
    """Whether the beginning of what is marked is on the screen."""
    transcript, mark = app.transcript, app.transcript.mark
    assert mark is not None
    top = transcript._top(mark)
    return top is not None and 0 <= top - transcript.scroll_y < transcript.size.height


async def test_keys_go_through_messages_and_code(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, past=PAST))
    async with app.run_test(size=(80, 60)) as pilot:
        await wait_until(lambda: idle(app))
        assert await marked(app, pilot, "tab") == (REPLY, None)
        assert [hint.key for hint in app.query_one(KeyLine).hints] == ["Space", "c", "e", "r", "b", "o", "↑↓", "Esc"]
        assert "▸ Reply" in line(app, "#status")
        for keys, wanted in (
            ("down", (REPLY, 0)),
            ("j", (REPLY, 1)),
            ("down", (REPLY, 2)),
            ("k", (REPLY, 1)),
            ("up", (REPLY, 0)),
            ("up", (REPLY, None)),
            ("k", ("Show me code.", None)),
            ("g", ("Hello", None)),
            ("up", ("Hello", None)),
            ("j", ("Hi.", None)),
            ("G", (REPLY, None)),
            ("home", ("Hello", None)),
            ("end", (REPLY, None)),
        ):
            assert await marked(app, pilot, keys) == wanted, keys
            assert in_view(app)
        await pilot.press("escape")
        await wait_until(lambda: app.query_one(Prompt).has_focus and app.transcript.mark is None)
        assert "▸" not in line(app, "#status") and not app.transcript.query(".-marked")


async def test_past_the_last_one_is_the_prompt(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, past=("Hello", "Hi.")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await marked(app, pilot, "tab")
        await pilot.press("down")
        await wait_until(lambda: app.query_one(Prompt).has_focus)
        await pilot.press("tab")
        await wait_until(lambda: app.transcript.mark is not None)
        await pilot.press("tab")
        await wait_until(lambda: app.query_one(Prompt).has_focus and app.transcript.mark is None)


async def test_up_from_the_edge_of_the_prompt_comes_after_what_it_meant_before(tmp_path: Path) -> None:
    """What waits is taken back, older prompts are gone through, and only then the mark is there."""
    history = History(tmp_path / "history")
    history.add("older")
    app = ChatApp(Held(tmp_path, ["ok"], after=0, past=("Hello", "Hi.")), history=history)
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, "go")
        await type_and_send(app, "waits")
        await wait_until(lambda: app.outbox.items)
        await pilot.press("up")
        await wait_until(lambda: app.prompt.text == "waits")
        app.prompt.load_text("")
        app.session.go_on.set()
        await wait_until(lambda: idle(app))
        seen = []
        while app.transcript.mark is None:
            await pilot.press("up")
            seen.append(app.prompt.text)
            assert len(seen) < 9
        assert seen[:-1] == ["waits", "go", "older"][-len(seen) + 1 :] and seen[-1] == "older"
        await pilot.press("escape", "down", "down", "down")
        await wait_until(lambda: app.prompt.text == "")


async def test_an_empty_conversation_has_nothing_to_mark(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: idle(app))
        await pilot.press("tab")
        await wait_until(lambda: any("Nothing was said yet" in text for text in screen(app)))
        assert app.query_one(Prompt).has_focus


async def test_what_is_typed_is_for_the_prompt_but_for_the_keys_of_the_mark(tmp_path: Path, copied: list[str]) -> None:
    """With a draft in the prompt, too; and what is pasted."""
    app = ChatApp(Scripted(tmp_path, past=("Hello", "Hi.")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        app.prompt.load_text("a draft ")
        await marked(app, pilot, "tab")
        await pilot.press("c")
        await wait_until(lambda: copied == ["Hi."])
        assert app.transcript.has_focus and app.prompt.text == "a draft "
        await pilot.press("w", "c", "e")  # the first is none of them
        await wait_until(lambda: app.prompt.text == "a draft wce" and app.prompt.has_focus)
        await marked(app, pilot, "tab")
        await pilot.press("n")  # nothing was looked for
        await wait_until(lambda: app.prompt.text == "a draft wcen")
        await marked(app, pilot, "tab")
        app.post_message(Paste("pasted"))
        await wait_until(lambda: app.prompt.text == "a draft wcenpasted")


async def test_code_is_copied_alone_and_as_it_was_written(tmp_path: Path, copied: list[str]) -> None:
    """Folded, opened and cut into parts; the message with all of it."""
    app = ChatApp(Scripted(tmp_path, past=PAST))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await marked(app, pilot, "tab", "c")
        await wait_until(lambda: copied == [REPLY])
        entry = app.transcript.mark.entry  # type: ignore[union-attr]
        for opened in (False, True):
            if opened:
                assert entry.parts.end == 1
                await app.transcript.show(Stop(entry))
                await pilot.press("space")
                await wait_until(lambda: entry.parts.end > 5)
            assert len(places(entry)) == 3
            for block, code in enumerate((SHORT, LONG, "last")):
                await app.transcript.show(Stop(entry, block))
                copied.clear()
                await pilot.press("c")
                await wait_until(lambda code=code: copied == [code])  # type: ignore[misc]
                assert in_view(app) and at(app) == (REPLY, block)


async def test_the_arrows_read_all_of_a_long_message(tmp_path: Path) -> None:
    """By pages, down and up again, and nothing is passed over."""
    lines = [f"line {i}" for i in range(150)]
    app = ChatApp(Scripted(tmp_path, past=("Hello", "\n\n".join(lines), "Bye", "Bye.")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await marked(app, pilot, "tab", "g", "down")
        for key in ("down", "up"):
            seen: set[str] = set()
            for _ in range(60):
                seen |= {text[:-2].strip() for text in screen(app)}
                if at(app)[0] == ("Bye" if key == "down" else "Hello"):
                    break
                await pilot.press(key)
            assert seen >= set(lines), key


async def test_messages_far_back_come_as_the_mark_gets_there(tmp_path: Path) -> None:
    past = [f"message {i}\n\nof the past" for i in range(300)]
    app = ChatApp(Scripted(tmp_path, past=past))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await marked(app, pilot, "tab")
        for number in range(299, 200, -1):
            assert at(app) == (past[number], None) and in_view(app)
            await pilot.press("up")
            bounded(app)
        assert await marked(app, pilot, "g") == (past[0], None)
        assert in_view(app) and any("message 0" in text for text in screen(app))
        bounded(app)
        assert await marked(app, pilot, "j", "j") == (past[2], None)
        assert await marked(app, pilot, "G") == (past[299], None)
        assert in_view(app) and app.transcript.following
        bounded(app)


async def test_a_message_is_edited_where_it_is(tmp_path: Path) -> None:
    """The user's is sent again, the model's goes on from there; both on a new branch."""
    app = ChatApp(Scripted(tmp_path, ["ok"], past=("one", "1", "two", "2")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await marked(app, pilot, "tab", "g")
        await pilot.press("e")
        await wait_until(lambda: app.prompt.text == "one" and app.prompt.has_focus)
        await pilot.press("exclamation_mark", "enter")
        await wait_until(lambda: idle(app) and app.session.texts() == ["one!", "ok"])
        await marked(app, pilot, "tab")
        await pilot.press("e")
        await wait_until(lambda: app.prompt.text == "ok")
        await pilot.press("s", "enter")
        await wait_until(lambda: idle(app) and app.session.texts() == ["one!", "oks"])


@pytest.mark.parametrize(
    ("up", "texts"), [(1, ["one", "1", "two", "ok"]), (2, ["one", "1", "two", "ok"]), (4, ["one", "ok"])]
)
async def test_another_reply_where_it_is(tmp_path: Path, up: int, texts: list[str]) -> None:
    """To a reply that is marked, and to a message of the user's."""
    app = ChatApp(Scripted(tmp_path, ["ok"], past=("one", "1", "two", "2")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await marked(app, pilot, "tab", *["up"] * (up - 1))
        await pilot.press("r")
        await wait_until(lambda: idle(app) and app.session.texts() == texts)
        assert said(app)[-1].siblings == 2 and app.prompt.has_focus


async def test_back_to_where_it_is_and_a_branch_from_there(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"], past=("one", "1", "two", "2", "three", "3")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await marked(app, pilot, "tab", "g", "j")
        await pilot.press("b")
        await wait_until(lambda: app.session.texts() == ["one", "1"] and app.prompt.has_focus)
        assert line(app, "#position").startswith("Turn 1 of 3")
        await ask(app, "else")
        assert app.session.texts() == ["one", "1", "else", "ok"]


async def test_while_a_reply_is_written(tmp_path: Path, copied: list[str]) -> None:
    """It goes on; what can't be done says why; the first Esc leaves the mark, the second one stops."""
    app = ChatApp(Held(tmp_path, ["some ", "words ", "more"], after=2, past=("Hello", "Hi.")))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, "go")
        await wait_until(lambda: "some words" in "\n".join(screen(app)))
        await pilot.press("tab")
        await wait_until(lambda: app.transcript.mark is not None)
        await pilot.press("c")
        await wait_until(lambda: copied == ["some words "])
        await pilot.press("r")
        await wait_until(lambda: "This is still being written." in told(app))
        await pilot.press("up", "up")
        await wait_until(lambda: app.transcript.mark is not None and at(app) == ("Hi.", None))
        await pilot.press("r")
        await wait_until(lambda: line(app, "#position") == "A reply is being written: Esc stops it.")
        assert at(app) == ("Hi.", None) and app.busy
        await pilot.press("escape")
        await wait_until(lambda: app.prompt.has_focus)
        assert app.busy
        await pilot.press("tab", "G")
        await wait_until(lambda: app.transcript.mark is not None and app.transcript.mark.entry.live)
        app.session.go_on.set()
        await wait_until(lambda: idle(app))
        assert at(app) == ("some words more", None)
        await pilot.press("c")
        await wait_until(lambda: copied[-1] == "some words more")


async def test_the_mark_is_gone_with_what_it_was_at(tmp_path: Path) -> None:
    """Another conversation has other messages; of the same one the mark stays where it was."""
    app = ChatApp(Scripted(tmp_path, past=("one", "1", "two", "2")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        assert await marked(app, pilot, "tab", "up", "up") == ("1", None)
        await app.show_conversation()
        assert at(app) == ("1", None)
        await pilot.press("alt+up", "alt+up")
        await wait_until(lambda: app.session.texts() == [] and app.transcript.mark is None)
        await pilot.press("alt+down", "alt+down")
        await wait_until(lambda: app.session.texts() == ["one", "1", "two", "2"])
        assert await marked(app, pilot, "up") == ("2", None)


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("block", [None, 0])
async def test_it_is_seen_without_colours_and_adds_nothing_to_the_text(
    tmp_path: Path, colour: bool, block: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On another ground, a message's name reversed; the lines are the same."""
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    app = ChatApp(Scripted(tmp_path, past=("Hello", "Hi:\n\n```\ncode\n```")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        region = app.transcript.region

        def lines() -> list[str]:
            return screen(app)[region.y : region.bottom]

        def ground(word: str) -> set[object]:
            strips = app.screen._compositor.render_strips()
            segments = [one for strip in strips for one in strip if word in one.text]
            assert segments
            return {(one.style.bgcolor, one.style.reverse) for one in segments if one.style is not None}

        word, before = ("code", lines()) if block is not None else ("Griff", lines())
        plain, other = ground(word) - ground("Hello"), ground("Hello")
        await marked(app, pilot, "tab", *(["down"] if block is not None else []))
        assert lines() == before
        assert ground(word) != plain | other and ground("Hello") == other
        if block is None:
            assert any(reverse for _, reverse in ground("Griff"))


@pytest.mark.parametrize("columns", [60, 80, 110])
async def test_the_foot_has_room_for_the_keys_and_clicks_press_them(
    tmp_path: Path, columns: int, copied: list[str]
) -> None:
    app = ChatApp(Scripted(tmp_path, past=PAST))
    async with app.run_test(size=(columns, 24)) as pilot:
        await wait_until(lambda: idle(app))
        await marked(app, pilot, "tab")
        foot = screen(app)[-1].strip()
        assert foot.startswith("Space unfold  c copy  e edit  r again") and foot.endswith("Esc prompt")
        assert len(foot) <= columns - 2
        await pilot.click(KeyLine, offset=Offset(screen(app)[-1].index("c copy"), 0))
        await wait_until(lambda: copied == [REPLY] and app.transcript.has_focus)
        await pilot.click(KeyLine, offset=Offset(screen(app)[-1].index("Esc"), 0))
        await wait_until(lambda: app.prompt.has_focus)


async def test_a_block_across_parts_is_one_stop_and_all_of_it_is_marked(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, past=PAST))
    async with app.run_test(size=(80, 200)) as pilot:
        await wait_until(lambda: idle(app))
        await marked(app, pilot, "tab", "space")
        entry = app.transcript.mark.entry  # type: ignore[union-attr]
        await wait_until(lambda: entry.parts.end > 5)
        first, last = begins(Stop(entry, 1)), begins(Stop(entry, 2))
        assert first is not None and last is not None and last[0] > first[0] + 3
        await app.transcript.show(Stop(entry, 1))
        await wait_until(lambda: len(app.transcript.query("Fence.-marked")) > 2)
        assert all("word" in fence.code for fence in app.transcript.query(".-marked").results(Fence))
