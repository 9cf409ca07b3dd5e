"""The transcript: bounded while it grows, still while it is read, and harmless whatever is in it."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import weakref
from pathlib import Path

import pytest
from scripted import Scripted, idle, screen, type_and_send
from textual.content import Content
from textual.widgets import Label, Static
from textual.widgets._markdown import MarkdownBullet
from waiting import until_idle, wait_until

from rgmlx.system.printable import MAX_MARKS
from tui.app import ChatApp
from tui.prompt.prompt import Prompt
from tui.transcript.markdown import SafeMarkdown
from tui.transcript.parts import KEPT_CHARS, PART_CHARS, PART_LINES, Parts
from tui.transcript.reply import HorizonLine, MessageWidget, Notice, ReplyMessage, UserMessage
from tui.transcript.scroll import MAX_MESSAGES, MAX_PARTS, MAX_WEIGHT
from tui.transcript.stops import Stop

SIZE = (80, 24)
MIXED = ["word ", "\n", "\n\n", "```", "```py\n", "- item\n", "3. x\n", "    ind\n", "|a|b|\n|-|-|\n", "# h\n", "> q\n"]


def past(messages: int) -> list[str]:
    return [f"message {i}\n\nof the past" for i in range(messages)]


def bounded(app: ChatApp) -> None:
    rows = app.transcript._rows
    assert len(rows) <= MAX_PARTS + 4
    assert len({row.entry.index for row in rows}) <= MAX_MESSAGES + 4  # a page, before it is trimmed
    assert sum(row.weight for row in rows) <= MAX_WEIGHT + 4 * 2 * PART_LINES
    keys = [(row.entry.index, row.number) for row in rows]
    assert keys == sorted(set(keys)), "an unbroken row, in order"


# --- parts ----------------------------------------------------------------------------------


def test_a_text_in_pieces_is_cut_where_the_whole_is_and_no_part_is_large() -> None:
    rng = random.Random(3)
    for _ in range(60):
        text = "".join(rng.choices([*MIXED, "x" * 700, "y " * 400], k=800))
        whole, grown, at = Parts(text), Parts(), 0
        while at < len(text):
            step = rng.choice((1, 7, 300, 20_000))
            grown.feed(text[at : at + step])
            at += step
        assert list(whole) == list(grown)
        assert max(map(len, whole)) < 3 * PART_CHARS


def test_what_was_shown_never_moves_to_the_next_part() -> None:
    rng = random.Random(4)
    parts, shown = Parts(), {}
    for _ in range(4000):
        parts.feed(rng.choice(MIXED))
        for number in range(parts.first, parts.end):
            assert parts[number].startswith(shown.get(number, ""))
            shown[number] = parts[number]


def test_a_long_fence_goes_on_in_the_next_part() -> None:
    code = [f"line {i} = {i}" for i in range(1000)]
    parts = list(Parts("Look:\n\n~~~python title\n" + "\n".join(code) + "\n~~~\n\nDone."))
    assert len(parts) > 5
    assert all(part.startswith("~~~python\n") for part in parts[1:-1])
    assert all(part.endswith("\n~~~") for part in parts[:-1])
    lines = [line for part in parts for line in part.split("\n") if line.startswith("line")]
    assert lines == code


def test_a_long_table_keeps_its_head() -> None:
    parts = list(Parts("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 300))
    assert len(parts) > 3
    assert all(part.startswith("| a | b |\n|---|---|\n| 1 |") for part in parts)


@pytest.mark.parametrize(
    "line", ["x" * 10_000_000, "\n" * 200_000, "```\n" + "\n" * 200_000, "`" * 100_000, "a\u0301" * 50_000]
)
def test_one_endless_block_is_cut_too_and_the_oldest_let_go(line: str) -> None:
    parts = Parts(line)
    assert max(map(len, parts)) < 3 * PART_CHARS
    assert sum(map(len, parts)) <= KEPT_CHARS + 3 * PART_CHARS
    assert not any(part.startswith("\u0301") for part in parts)


# --- drawing --------------------------------------------------------------------------------


def drawn(widget: SafeMarkdown) -> list[tuple[str, str]]:
    """What a document shows: each text with the kind of block it is in."""
    out = []
    for child in widget.walk_children():
        if isinstance(child, MarkdownBullet):
            out.append(("bullet", child.symbol.strip()))
        elif isinstance(child, Static | Label) and str(child.content):
            out.append((type(child.parent).__name__, str(child.content)))
    return out


async def test_a_reply_that_grew_looks_like_one_that_was_there(tmp_path: Path) -> None:
    """Piece by piece, through lists, tables, quotes, code: nothing is left over from a moment before."""
    text = (
        "# Head\n\nA **bold** text\nof two lines.\n\n1. one\n2. two\n   more\n3. three\n\n- a\n  - b\n  - c\n- d\n\n"
        "```python\ndef f():\n\n    return 1\n```\n\n> quoted\n> more\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\n"
        "Title\n=====\n\n    indented\n\n```\nplain\n```\nafter [link](https://a.example/x) end"
    )
    app = ChatApp(Scripted(tmp_path, past=["hi", text]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app) and len(app.query(ReplyMessage)) == 2)
        there = [drawn(part) for part in app.query(ReplyMessage)]
        for step in (1, 3, 11):
            await app.transcript.begin_reply()
            for at in range(0, len(text), step):
                app.transcript.write(text[at : at + step])
                await app.transcript._take()
            await app.transcript.end_reply()
            grown = list(app.query(ReplyMessage))[-2:]
            assert [drawn(part) for part in grown] == there
            assert "".join(part.source for part in grown) == text


@pytest.mark.parametrize("written", [True, False])
async def test_a_block_cut_between_parts_looks_whole(tmp_path: Path, written: bool) -> None:
    """Written, and read from the store: a long list, and code, have no seam."""
    items, code = [f"{i}. item {i}" for i in range(1, 40)], [f"x{i} = {i}" for i in range(200)]
    text = "\n".join([*items, "", "```python", *code, "```"])
    app = ChatApp(Scripted(tmp_path, [text], past=[] if written else ["hi", text]))
    async with app.run_test(size=(60, 300)):
        await wait_until(lambda: idle(app))
        if written:
            await type_and_send(app, "hi")
        await wait_until(lambda: idle(app) and "more lines" in "".join(screen(app)))
        entry = app.transcript._entries.last
        assert entry is not None and await app.transcript._toggle(Stop(entry))
        await wait_until(lambda: "x199 = 199" in "".join(screen(app)) and "1. item 1 " in "".join(screen(app)))
        assert len(app.transcript._rows) >= 5
        shown = [line[:-2].strip() for line in screen(app)]  # without what scrolls
        at = shown.index(items[0])
        assert shown[at : at + len(items)] == items
        at = shown.index(code[0])
        assert shown[at : at + len(code)] == code


async def test_an_open_fence_is_plain_and_a_closed_one_highlighted(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, []))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))

        def code() -> Content:
            content = app.query(ReplyMessage).last().query("#code-content").last(Label).content
            assert isinstance(content, Content)
            return content

        await app.transcript.begin_reply()
        app.transcript.write("```python\nimport os\n")
        await app.transcript._take()
        assert code().plain == "import os"
        assert not code().spans
        app.transcript.write("x = 1\n```\n")
        await app.transcript.end_reply()
        assert code().plain == "import os\nx = 1"
        assert code().spans


async def test_an_endless_reply_stays_bounded_and_earlier_parts_are_left_alone(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, []))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await app.transcript.begin_reply()
        touched: dict[MessageWidget, str] = {}  # by the row itself: numbers of objects come again
        for i in range(200):
            app.transcript.write(f"Paragraph {i} " + "of words " * 30 + "\n\n- item\n- item\n\n")
            await app.transcript._take()
            bounded(app)
            rows = app.transcript._rows
            for row in rows[:-1]:
                assert touched.setdefault(row, row.source) == row.source or row is rows[-2]
            if i % 20 == 0:
                await asyncio.sleep(0.05)
                assert f"Paragraph {i}" in rows[-2].source + rows[-1].source
        await app.transcript.end_reply()
        assert app.transcript._rows[0].number > 0, "its beginning has left the screen"
        await wait_until(lambda: "item" in "".join(screen(app)))
        assert app.transcript.following


async def test_nothing_holds_on_to_what_has_left_the_screen(tmp_path: Path) -> None:
    """Nor to its drawn lines, which Textual by itself would keep of the last thousand widgets."""
    app = ChatApp(Scripted(tmp_path, past=past(40)))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        widgets = list(app.transcript.walk_children())
        drawn = [weakref.ref(widget._styles_cache) for widget in widgets]
        gone = [weakref.ref(widget) for widget in widgets]
        assert len(gone) > 10 and any(widget._styles_cache._cache for widget in widgets)
        del widgets
        await app.transcript.clear()
        await app.transcript.notice("Something else.")
        await pilot.pause()
        gc.unfreeze()  # what was there from the start is left alone otherwise
        gc.collect()
        assert [ref for ref in [*drawn, *gone] if ref() is not None] == []


async def test_scrolling_up_brings_back_what_was_said_and_down_again_lets_it_go(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"], past=past(110)))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app) and "message 109" in "".join(screen(app)))
        transcript = app.transcript
        bounded(app)
        seen: list[int] = []
        for _ in range(600):
            top = next((i for i in range(110) if any(f"message {i} " in line for line in screen(app)[1:])), None)
            if top is not None and (not seen or seen[-1] != top):
                seen.append(top)
            bounded(app)
            if top == 0:
                break
            transcript.scroll_page_up()
            await until_idle()
        assert seen[-1] == 0
        assert seen == sorted(seen, reverse=True), "never a jump back down"
        assert max(a - b for a, b in itertools.pairwise(seen)) <= 10, "and none over what was not seen"
        for _ in range(600):
            if any("message 109 " in line for line in screen(app)):
                break
            bounded(app)
            transcript.scroll_page_down()
            await until_idle()
        assert any("message 109 " in line for line in screen(app))
        assert transcript._rows[0].entry.index > -30, "the first ones are gone again"
        transcript.scroll_page_down()
        await wait_until(lambda: transcript.following)


async def test_reading_back_is_not_disturbed_and_end_jumps_down(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, [f"line {i} of the reply\n\n" for i in range(500)], 0.005, past(40)))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await type_and_send(app, "go")
        await wait_until(lambda: app.transcript._rows[-1].number > 0)  # three screens of it
        app.simulate_key("pageup")
        await wait_until(lambda: not app.transcript.following)
        app.transcript.scroll_page_up()

        def shown() -> list[str]:
            return [line[:76] for line in screen(app)[:-6]]  # without the scroll bar

        before = [""]
        while app.transcript._filling or shown() != before:  # until what was scrolled to is there
            before = shown()
            await asyncio.sleep(0.5)
        await wait_until(lambda: idle(app))
        assert shown() == before
        assert "new text below" in str(app.query_one("#status", Static).content)
        bounded(app)
        app.simulate_key("end")
        await wait_until(lambda: "line 499" in "".join(screen(app)))
        assert app.transcript.following
        await wait_until(lambda: "new text below" not in str(app.query_one("#status", Static).content))


async def test_a_page_up_is_never_lost_while_a_reply_comes(tmp_path: Path) -> None:
    """Also while the last parts come in place of others, and between a layout and the drawing of it."""
    app = ChatApp(Scripted(tmp_path, [f"line {i} of the reply\n\n" for i in range(500)], 0.005, past(40)))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await type_and_send(app, "go")
        await wait_until(lambda: app.transcript._rows and app.transcript._rows[-1].number > 0)
        for number in range(60):
            app.simulate_key("pageup")
            await wait_until(lambda: not app.transcript.following)
            await app.transcript.jump()
            for _ in range(number):
                await asyncio.sleep(0)
        app.session.stop()
        await wait_until(lambda: idle(app))


async def test_who_leaves_the_end_while_it_comes_anew_is_not_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = ChatApp(Scripted(tmp_path, past=past(40)))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app) and app.transcript.max_scroll_y > app.transcript.size.height)
        transcript = app.transcript
        rearranged = transcript._rearranged

        async def leave() -> None:
            await rearranged()
            transcript.scroll_page_up()

        monkeypatch.setattr(transcript, "_rearranged", leave)
        async with transcript._lock:
            await transcript._show_end()
        assert not transcript.following


async def test_a_key_that_finds_nothing_to_scroll_does_not_stop_the_view(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, [f"line {i}\n\n" for i in range(60)], delay=0.002))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        app.simulate_key("pageup")
        await until_idle()
        await type_and_send(app, "go")
        await wait_until(lambda: idle(app))
        await wait_until(lambda: "line 59" in "".join(screen(app)))


async def test_the_horizon_is_drawn_above_what_is_remembered_to_the_letter(tmp_path: Path) -> None:
    app = ChatApp(
        Scripted(tmp_path, past=[*past(59), "\n\n".join(f"paragraph {i} " + "word " * 60 for i in range(30))])
    )
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app) and app.query(ReplyMessage))
        transcript, path = app.transcript, app.session.store.messages.path(app.session.head.id)

        def around() -> tuple[str, str]:
            """What is above the line and what is below it."""
            children = list(transcript.children)
            at = next(i for i, child in enumerate(children) if isinstance(child, HorizonLine))
            below = children[at + 1].source if at + 1 < len(children) else ""
            return children[at - 1].source, below

        async def read_up_to_the_line() -> None:
            for _ in range(60):
                if app.query(HorizonLine):
                    break
                transcript.scroll_page_up()
                await until_idle()
                await wait_until(lambda: not transcript._filling)

        await transcript.mark_horizon(path[58].id, 5, 256)  # inside a message: below it
        await read_up_to_the_line()
        assert around()[0] == path[58].text
        assert around()[1].startswith("paragraph 0 ")
        await transcript.jump()
        await transcript.mark_horizon(path[59].id, 3_000, 256)  # inside a long one: above its last parts
        await read_up_to_the_line()
        above, below = around()
        shown = [row.source for row in transcript._rows]
        after = "".join(shown[shown.index(below) :])
        assert len(after) <= 3_000 < len(after) + len(above)
        await transcript.jump()
        await transcript.mark_horizon(path[59].id, 600, 256)  # inside its last part: below it, in words
        assert around() == (shown[-1], "")
        assert "except for the last 100 words" in app.query_one(HorizonLine).says
        await transcript.notice("a sentence of the app")
        assert isinstance(list(transcript.children)[-1], Notice)
        assert around()[0] == shown[-1]
        assert "except for the last 100 words" in app.query_one(HorizonLine).says
        await transcript.mark_horizon(None)
        assert not app.query(HorizonLine)


# --- bad text -------------------------------------------------------------------------------

BAD = {
    "escape": ("a \x1b[2J\x1b]0;title\x07 b", "a \ufffd[2J\ufffd]0;title\ufffd b"),
    "c1": ("a \x9b31m b", "a \ufffd31m b"),
    "bidi": ("a \u202egnp.exe b", "a \ufffdgnp.exe b"),
    "entity": ("a &#x202e;gnp &#x1b;[2J &rlm;b", None),
    "invisible": ("pay\u200bpal\ufeff and \u00adsoft", "paypal and soft"),
    "surrogate": ("a \ud800 b", "a \ufffd b"),
    "tags": ("a\U000e0064\U000e006f b", "a\ufffd b"),
    "ruby": ("\ufff9a\ufffab\ufffb", "\ufffda\ufffdb\ufffd"),
    "marks": ("z" + "\u0301" * 100_000 + " end", "z" + "\u0301" * MAX_MARKS + " end"),
    "markup": ("[red]x[/] [@click=app.quit]y[/] [/nope]", "[red]x[/] [@click=app.quit]y[/] [/nope]"),
    "html": ("a <script>alert(1)</script> b", "a <script>alert(1)</script> b"),
    "family": ("\U0001f469\u200d\U0001f467 ok", "\U0001f469\u200d\U0001f467 ok"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_text_is_shown_and_does_nothing(tmp_path: Path, name: str) -> None:
    text, shown = BAD[name]
    app = ChatApp(Scripted(tmp_path, list(text) if len(text) < 200 else [text]))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        app.post_message(Prompt.Submitted(text))
        await wait_until(lambda: idle(app) and len(app.query(ReplyMessage)) == 1 and len(app.query(UserMessage)) == 1)
        await pilot.pause()
        lines = screen(app)[1:]  # the title has it as well
        if shown:
            assert sum(shown in line for line in lines) == 2, "\n".join(lines)
        assert not [c for line in lines for c in line if ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u200f"]
        for y in range(app.size.height):  # nothing to click
            for x in range(app.size.width):
                style = app.screen.get_style_at(x, y)
                if y < app.size.height - 1:
                    assert not style.meta.get("@click") and not style.link


async def test_links_are_text_and_do_nothing(tmp_path: Path) -> None:
    text = "[a](https://x.example/) [b](javascript:alert(1)) [c](file:///etc/passwd) ![d](http://e/f.png) <https://g.example>"
    app = ChatApp(Scripted(tmp_path, [text]))
    opened: list[str] = []
    app.open_url = lambda url, **_: opened.append(url)
    async with app.run_test(size=(150, 24)) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, "go")
        await wait_until(lambda: idle(app) and len(app.query(ReplyMessage)) == 1)
        await pilot.pause()
        y = next(y for y, line in enumerate(screen(app)) if "x.example" in line)
        line = " ".join(line[:-2].strip() for line in screen(app)[y : y + 2])  # it wraps
        for part in (
            "a (https://x.example/)",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "[d] (http://e/f.png)",
            "https://g.example",
        ):
            assert part in line
        for x, row in itertools.product(range(0, 100, 3), (y, y + 1)):
            await pilot.click(offset=(x, row))
            assert not app.screen.get_style_at(x, row).meta.get("@click")
        assert not opened
        assert app.is_running


async def test_ten_megabytes_in_a_line_do_not_hold_up_the_chat(tmp_path: Path) -> None:
    line = "x" * 10_000_000
    app = ChatApp(Scripted(tmp_path, [line, "\n\nthe end"]))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        app.post_message(Prompt.Submitted(line))
        await wait_until(lambda: app.busy)
        answered = 0
        while app.busy:
            app.simulate_key("h")
            await wait_until(lambda n=answered: len(app.query_one(Prompt).text) > n)
            answered += 1
            bounded(app)
            await asyncio.sleep(0.05)
        assert answered
        await wait_until(lambda: "the end" in "".join(screen(app)))
