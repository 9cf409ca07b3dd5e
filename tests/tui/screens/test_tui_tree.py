"""The tree of branches: what is read of it, how it is arranged, and what its keys give back."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.app import App
from textual.widgets import OptionList, Static
from waiting import wait_until

from rgmlx.conversation.branches import arrange
from rgmlx.store import MODEL, USER, Outline, Store
from tui.screens.tree import MAX_LINES, Chosen, TreeScreen


@pytest.fixture
def chat(store: Store) -> int:
    return store.conversations.create("demo", "A [red]chat[/red]").id


def ask(store: Store, chat: int, parent: int | None, text: str) -> int:
    return store.messages.add_user(chat, parent, text).id


def reply(store: Store, chat: int, parent: int, text: str, closed: bool = True) -> int:
    message = store.messages.start_reply(chat, parent).id
    store.messages.append(message, text)
    return store.messages.finish(message, closed=closed).id


def line_of(store: Store, chat: int, count: int, parent: int | None = None) -> list[int]:
    """Many messages after one another. Straight into the table: `add_user` waits for the disk each time."""
    depth = 0 if parent is None else store.messages.get(parent).depth + 1
    ids = []
    with store._database.transaction() as c:
        for i in range(count):
            role = MODEL if (depth + i) % 2 else USER
            parent = c.execute(
                "INSERT INTO messages (conversation, parent, depth, role, text, chars, closed, streaming, loose, hash, "
                "created) VALUES (?, ?, ?, ?, ?, 9, 1, 0, 0, x'00', 1e9)",
                (chat, parent, depth + i, role, f"message {depth + i}"),
            ).lastrowid
            ids.append(parent)
    return ids


def family(store: Store, chat: int) -> dict[str, int]:
    """a - b1 - c1, a - b2 - c2 - d2, a - b3; and a second beginning, z."""
    a = ask(store, chat, None, "a")
    b1 = reply(store, chat, a, "b1")
    c1 = ask(store, chat, b1, "c1")
    b2 = reply(store, chat, a, "b2")
    c2 = ask(store, chat, b2, "c2")
    d2 = reply(store, chat, c2, "d2", closed=False)
    b3 = reply(store, chat, a, "b3")
    z = ask(store, chat, None, "z")
    return {"a": a, "b1": b1, "c1": c1, "b2": b2, "c2": c2, "d2": d2, "b3": b3, "z": z}


def drawn(outline: list[Outline], head: int | None) -> list[str]:
    return ["  " * row.level + ("+" if row.first else "") + row.line.start for row in arrange(outline, head)]


# --- what is read -------------------------------------------------------------------------


def test_the_outline_of_a_small_tree(store: Store, chat: int) -> None:
    ids = family(store, chat)
    other = store.conversations.create("demo").id
    ask(store, other, None, "elsewhere")
    lines, total = store.outlines.read(chat, ids["d2"], None, 100)
    assert total == 8
    assert [line.start for line in lines] == ["a", "b1", "c1", "b2", "c2", "d2", "b3", "z"]
    for line, message in zip(lines, store.messages.tree(chat), strict=True):
        for name in ("id", "parent", "depth", "role", "closed", "streaming", "created", "number", "siblings"):
            assert getattr(line, name) == getattr(message, name), name
        assert line.children == len(store.messages.children(line.id))
    assert {line.start for line in lines if line.on_path} == {"a", "b2", "c2", "d2"}
    assert not any(line.on_path for line in store.outlines.read(chat, None, None, 100)[0])
    assert store.outlines.read(999, None, None, 100) == ([], 0)


def test_the_outline_has_starts_only(store: Store, chat: int) -> None:
    asked = ask(store, chat, None, "x" * 500_000)
    running = store.messages.start_reply(chat, asked, "a").id
    for _ in range(400):
        store.messages.append(running, "bc")
    lines, _ = store.outlines.read(chat, running, None, 100, chars=50)
    assert [line.start for line in lines] == ["x" * 50, ("a" + "bc" * 400)[:50]]
    assert lines[1].streaming
    store.messages.append(running, "d" * 5_000_000)  # stays in pieces when it ends
    store.messages.finish(running, closed=True)
    assert store.outlines.read(chat, running, None, 100)[0][1].start == ("a" + "bc" * 400)[:200]


def test_of_a_long_conversation_a_part_is_read(store: Store, chat: int) -> None:
    ids = line_of(store, chat, 1000)
    side = line_of(store, chat, 30, ids[899])  # a newer child than the one on the path
    twins = [line_of(store, chat, 1, ids[989])[0] for _ in range(3)]

    def read(around: int | None, head: int | None = ids[-1]) -> list[int]:
        lines, total = store.outlines.read(chat, head, around, 200)
        assert total == 1033
        assert len(lines) <= 200
        return [line.id for line in lines]

    assert read(None) == sorted(ids[950:] + twins)
    assert read(ids[499]) == ids[450:549]
    assert read(ids[0]) == ids[:50]
    assert read(None, head=None) == ids[:50]
    assert read(ids[879]) == sorted(ids[830:929] + side[:1])  # past the fork, towards the head
    assert read(ids[879], head=ids[3]) == sorted(ids[830:901] + side[:29])  # or to the newest
    assert read(side[9]) == sorted([*ids[860:900], *side, ids[900]])


def test_more_siblings_than_can_be_shown(store: Store, chat: int) -> None:
    first = line_of(store, chat, 1)[0]
    many = [line_of(store, chat, 1, first)[0] for _ in range(300)]
    lines, _ = store.outlines.read(chat, many[5], None, 100)
    assert len(lines) == 100
    assert {first, many[5], many[-1]} <= {line.id for line in lines}
    assert next(line for line in lines if line.id == many[5]).number == 6


# --- how it is arranged -------------------------------------------------------------------


def test_branches_stand_above_the_message_that_the_line_goes_on_with(store: Store, chat: int) -> None:
    ids = family(store, chat)
    for head, wanted in (
        ("d2", ["  +z", "a", "  +b1", "  c1", "  +b3", "b2", "c2", "d2"]),
        ("b1", ["  +z", "a", "  +b2", "  c2", "  d2", "  +b3", "b1", "c1"]),
        ("z", ["  +a", "    +b1", "    c1", "    +b3", "  b2", "  c2", "  d2", "z"]),
        (None, ["  +z", "a", "  +b1", "  c1", "  +b3", "b2", "c2", "d2"]),
    ):
        at = ids[head] if head else None
        assert drawn(store.outlines.read(chat, at, None, 100)[0], at) == wanted


def test_a_long_line_is_not_indented(store: Store, chat: int) -> None:
    ids = line_of(store, chat, 5000)
    for fork in ids[:4000:100]:
        line_of(store, chat, 2, fork)
    rows = arrange(store.outlines.read(chat, ids[-1], None, 10_000)[0], ids[-1])
    assert len(rows) == 5080
    assert max(row.level for row in rows) == 1
    assert [row.head for row in rows] == [False] * 5079 + [True]


# --- the screen ---------------------------------------------------------------------------


class Host(App[None]):
    """An app with the tree, and what came of it."""

    def __init__(self, store: Store, chat: int, head: int | None) -> None:
        super().__init__()
        self.branches, self.results = TreeScreen(store, chat, head), []

    def on_mount(self) -> None:
        self.push_screen(self.branches, self.results.append)

    @property
    def lines(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]

    @property
    def selected(self) -> str:
        return self.branches._row.line.start if self.branches._row else ""

    @property
    def note(self) -> str:
        return str(self.branches.query_one("#tree-note", Static).content)


@asynccontextmanager
async def shown(store: Store, chat: int, head: int | None, size: tuple[int, int] = (60, 20)) -> Iterator[tuple]:
    app = Host(store, chat, head)
    async with app.run_test(size=size) as pilot:
        await wait_until(lambda: app.screen is app.branches and app.note != "reading ...")
        await pilot.pause()
        yield app, pilot


async def test_what_a_small_screen_shows(store: Store, chat: int) -> None:
    ids = family(store, chat)
    async with shown(store, chat, ids["d2"]) as (app, _):
        assert app.lines[0].strip() == "Branches  ·  A [red]chat[/red]"
        rows = [found for line in app.lines if (found := re.match(r"(.*) \d\d:\d\d$", line))]
        assert len({row.end() for row in rows}) == 1  # times stand below one another
        assert [" ".join(row[1].split()) for row in rows] == [
            "├ You ‹2/2› z",
            "You ‹1/2› a",
            "├ Assistant ‹1/3› b1",
            "│ You c1",
            "├ Assistant ‹3/3› b3",
            "Assistant ‹2/3› b2",
            "You c2",
            "* Assistant d2 cut short",
        ]
        assert "8 messages, 4 branches" in app.note
        keys = app.lines[-1].split()
        assert keys == [
            "enter",
            "go",
            "e",
            "edit",
            "r",
            "again",
            "c",
            "copy",
            "g",
            "go",
            "on",
            "m",
            "more",
            "esc",
            "back",
        ]
        assert app.selected == "d2"


async def test_arrows_go_through_lines_and_siblings(store: Store, chat: int) -> None:
    ids = family(store, chat)
    async with shown(store, chat, ids["b2"]) as (app, pilot):
        for key, wanted in (
            ("left", "b1"), ("left", "b1"), ("right", "b2"), ("right", "b3"), ("right", "b3"), ("down", "b2"),
            ("down", "c2"), ("up", "b2"), ("home", "z"), ("left", "a"), ("end", "d2"),
        ):  # fmt: skip
            await pilot.press(key)
            await wait_until(lambda wanted=wanted: app.selected == wanted)
        await pilot.press("left")
        await wait_until(lambda: "only this message" in app.note)
        await pilot.press("up")
        await wait_until(lambda: "8 messages" in app.note)


@pytest.mark.parametrize(
    ("key", "action"), [("enter", "go"), ("e", "edit"), ("r", "regenerate"), ("c", "copy"), ("g", "continue")]
)
async def test_keys_give_back_what_was_chosen(store: Store, chat: int, key: str, action: str) -> None:
    ids = family(store, chat)
    async with shown(store, chat, ids["d2"]) as (app, pilot):
        await pilot.press("up", "up", key)
        await wait_until(lambda: app.results)
        assert app.results == [Chosen(action, ids["b2"])]


async def test_escape_gives_nothing_back(store: Store, chat: int) -> None:
    async with shown(store, chat, family(store, chat)["d2"]) as (app, pilot):
        await pilot.press("up", "escape")
        await wait_until(lambda: app.results)
        assert app.results == [None]


@pytest.mark.parametrize("key", ["r", "g"])
async def test_a_message_of_the_users_is_no_reply(store: Store, chat: int, key: str) -> None:
    async with shown(store, chat, family(store, chat)["c2"]) as (app, pilot):
        await pilot.press(key)
        await wait_until(lambda: "choose a line of the assistant's" in app.note)
        assert app.results == []


async def test_with_the_mouse(store: Store, chat: int) -> None:
    ids = family(store, chat)
    async with shown(store, chat, ids["d2"]) as (app, pilot):
        y = next(i for i, line in enumerate(app.lines) if line.split()[-2:-1] == ["b1"])
        await pilot.click(offset=(20, y))
        await wait_until(lambda: app.selected == "b1")
        assert app.results == []
        await pilot.click(offset=(app.lines[-1].index("edit"), 19))
        await wait_until(lambda: app.results)
        assert app.results == [Chosen("edit", ids["b1"])]
    async with shown(store, chat, ids["d2"]) as (app, pilot):
        await pilot.click(offset=(20, y), times=2)
        await wait_until(lambda: app.results)
        assert app.results == [Chosen("go", ids["b1"])]


@pytest.mark.parametrize("size", [(60, 20), (100, 30)])
async def test_five_thousand_messages(store: Store, chat: int, size: tuple[int, int]) -> None:
    ids = line_of(store, chat, 5000)
    async with shown(store, chat, ids[-1], size) as (app, pilot):
        assert app.selected == "message 4999"
        await wait_until(lambda: any("* Assistant message 4999" in line for line in app.lines))  # in view
        assert "5,000 messages, 500 of them here: m reads" in app.note
        await pilot.press("home", "m")  # back to the beginning, in steps
        await wait_until(lambda: "999 of them" in app.note)
        assert app.selected == "message 4500"
        await wait_until(lambda: any("message 4500" in line for line in app.lines))
        for _ in range(10):
            await pilot.press("home", "m")
            await wait_until(lambda: app.note != "reading ...")
            assert app.branches.query_one(OptionList).option_count <= MAX_LINES
        assert app.selected == "message 0"
        await pilot.press("end", "m")
        await wait_until(lambda: "999 of them" in app.note)
        await pilot.press("enter")
        await wait_until(lambda: app.results)
        assert app.results == [Chosen("go", ids[499])]


async def test_a_branch_that_was_not_read_says_so(store: Store, chat: int) -> None:
    ids = line_of(store, chat, 2500)
    side = line_of(store, chat, 20, ids[-3])
    async with shown(store, chat, ids[-1]) as (app, pilot):
        await pilot.press("left", "up", "left", "right")
        await wait_until(lambda: app.selected == "message 2498")
        assert app.branches._row.line.id == side[0]
        assert any("├ You       ‹2/2› message 2498" in line and "more: m" in line for line in app.lines)
        await pilot.press("m")
        await wait_until(lambda: any(row.line.id == side[-1] for row in app.branches._rows))
        assert app.branches._row.line.id == side[0]


async def test_model_text_cannot_harm_the_lines(store: Store, chat: int) -> None:
    nasty = "\n\n [red]x[/] [/nope] \x1b[2J\x07 \u202egnp\t狐狸" + "é" * 100 + "\nsecond"
    asked = ask(store, chat, None, nasty)
    head = reply(store, chat, asked, " \n")
    async with shown(store, chat, head) as (app, _):
        text = "\n".join(app.lines)
        assert "[red]x[/] [/nope] \ufffd[2J\ufffd \ufffdgnp 狐狸é" in text
        assert "…" in text
        assert "(nothing)" in text
        assert "second" not in text
        assert not {"\x1b", "\x07", "\u202e", "\t"} & set(text)


async def test_deep_branches_leave_room_for_text(store: Store, chat: int) -> None:
    at = head = line_of(store, chat, 1)[0]
    for _ in range(12):  # of two branches the first forks again, and the second goes on with the line
        at, _ = line_of(store, chat, 1, at)[0], line_of(store, chat, 2, at)
    async with shown(store, chat, head, (60, 50)) as (app, _):
        assert max(row.level for row in app.branches._rows) == 12
        rows = [line for line in app.lines if "2001" in line]
        assert len(rows) == len(app.branches._rows)
        assert all("message" in line for line in rows)
        assert any("┊ │ │ │ │ │ ├ " in line for line in rows)


@pytest.mark.parametrize("created", [0, 1e9, 1e300, -1e300])
async def test_times_of_any_kind(store: Store, chat: int, created: float) -> None:
    head = store.messages.add_finished(chat, None, USER, "hello", closed=True, created=created)
    async with shown(store, chat, head) as (app, _):
        assert app.selected == "hello"
        assert any(line.endswith(("1970", "2001", "?")) for line in app.lines)


async def test_an_empty_conversation_and_no_head(store: Store, chat: int) -> None:
    async with shown(store, chat, None) as (app, pilot):
        assert "Nothing was said" in app.note
        await pilot.press("enter", "e", "r", "m", "left", "up", "escape")
        await wait_until(lambda: app.results)
        assert app.results == [None]
    family(store, chat)
    async with shown(store, chat, None) as (app, _):
        assert "before the first message" in app.note
        assert not any(line.lstrip().startswith("*") for line in app.lines[2:])


async def test_no_such_conversation(store: Store) -> None:
    async with shown(store, 77, None) as (app, pilot):
        assert "there is no conversation 77" in app.note
        await pilot.press("escape")
        await wait_until(lambda: app.results)


async def test_a_database_that_cannot_be_read(store: Store, chat: int, tmp_path: Path) -> None:
    head = family(store, chat)["d2"]
    with sqlite3.connect(tmp_path / "chats.db") as c:
        c.execute("ALTER TABLE messages RENAME TO gone")
    async with shown(store, chat, head) as (app, _):
        assert app.note.startswith("The tree could not be read: ")
        assert app.note.endswith("Esc goes back.")


async def test_it_survives_another_size(store: Store, chat: int) -> None:
    async with shown(store, chat, family(store, chat)["d2"], (100, 30)) as (app, pilot):
        await pilot.resize_terminal(30, 10)
        await wait_until(lambda: any("* Assistant" in line and len(line) <= 30 for line in app.lines))
        assert app.selected == "d2"
