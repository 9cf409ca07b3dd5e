"""Long code and long pastes: some lines and how many follow, all of them by a key or a click; copied and found whole."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from scripted import Held, Scripted, idle, screen, type_and_send
from textual.geometry import Offset
from waiting import wait_until

from rgmlx.system.printable import printable
from tui.app import ChatApp
from tui.terminal.clipboard import fences
from tui.transcript.folding import KEPT, LINES, fold_code, fold_text, hidden, more, of_fence
from tui.transcript.markdown import Fence, parser
from tui.transcript.parts import Parts
from tui.transcript.reply import ReplyMessage

SIZE = (80, 24)
CODE = "\n".join(f"x{i} = {i}" for i in range(100))
REPLY = f"Before.\n\n```python\n{CODE}\n```\n\nAfter."
PASTE = "\n".join(f"pasted {i}" for i in range(100))


def shown(app: ChatApp) -> str:
    return "\n".join(text[:-2].rstrip() for text in screen(app))


# --- the text -----------------------------------------------------------------------------


def test_only_what_is_long_is_folded() -> None:
    for count in (1, LINES, LINES + 1, 500):
        code = "\n".join(f"line {i}" for i in range(count))
        text = f"Text.\n\n```py\n{code}\n```\n\nMore."
        folded, long = fold_code(text, ())
        assert (folded == text) == (count <= LINES) == (not long)
        if long:
            (block,) = fences(folded)
            assert block == "\n".join(code.split("\n")[:KEPT])
            assert fold_code(text, long)[0].replace(" \ue0f00:0:0", "") == text
    assert fold_code(f"```\n{CODE}", ())[0] == f"```\n{CODE}", "not closed: it is being written"
    assert fold_text("short") == ("short", 0)
    start, left = fold_text(PASTE)
    assert start == "\n".join(PASTE.split("\n")[:KEPT]) and left == 100 - KEPT
    start, left = fold_text("word " * 5_000)
    assert 300 < len(start) < 1_000 and left > 250, "one long line is long, too"
    assert (more(1), more(1_200)) == ("… 1 more line", "… 1,200 more lines")


def test_nothing_but_code_is_lost_and_all_of_it_is_counted() -> None:
    """Whatever is around it; as many blocks as before, each with the beginning of what it had."""
    rng = random.Random(5)
    for _ in range(200):
        pieces = []
        for number in range(rng.randrange(5)):
            code = "\n".join(
                f"code {number} {i}" * rng.choice((1, 1, 40)) for i in range(rng.choice((0, 1, 30, 31, 90)))
            )
            fence = rng.choice(("```", "~~~~", "`````"))
            block = f"{fence}{rng.choice(('', 'py', 'c++ title'))}\n{code}\n{fence}"
            before = rng.choice(("", "> ", "  "))
            pieces += [f"text {number}", "\n".join(before + line for line in block.split("\n"))]
        text = "\n\n".join([*pieces, "end"])
        folded, long = fold_code(text, ())
        opened, same = fold_code(text, long)
        assert same == long and hidden(opened) == 0 and fences(opened) == fences(text)
        whole, some = fences(text), fences(folded)
        assert len(whole) == len(some)
        assert all(one.startswith(other) for one, other in zip(whole, some, strict=True))
        marks = sum(len(line) - len(line.split(" \ue0f0")[0]) for line in folded.split("\n"))
        assert len(folded) - marks + hidden(folded) == len(text)


def test_the_mark_of_a_fold_is_read_where_it_was_made() -> None:
    """Behind any language or none, through the parser; a model that writes one folds nothing."""
    for name in ("", "python", "c++ title"):
        folded, _ = fold_code(f"```{name}\n{CODE}\n```", ())
        (token,) = (one for one in parser().parse(folded) if one.type == "fence")
        language, fold = of_fence(token.info)
        assert language == (name.split() or [""])[0]
        assert fold is not None and (fold.number, fold.lines) == (0, 100 - KEPT)
    assert of_fence("python \ue0f0x:1:1") == ("python", None)
    assert printable("\ue0f0") == "\ue0f0"


@pytest.mark.parametrize(("lead", "rest"), [("", ""), ("- ", "  "), ("1. ", "   "), ("> ", "> ")])
def test_code_that_is_cut_between_parts_is_closed_where_it_was_opened(lead: str, rest: str) -> None:
    """In a list, too: a fence at the left would end the list there, and begin a block of its own."""
    code = [f"line {i} = {'x' * 60}" for i in range(100)]
    text = f"{lead}```py\n" + "".join(f"{rest}{line}\n" for line in code) + f"{rest}```\n"
    parts = Parts(text)
    found = [fences(part) for part in parts]
    assert len(found) > 2 and all(len(one) == 1 for one in found)
    assert [line.strip() for (block,) in found for line in block.split("\n")] == code
    assert [parts.cuts_code(number) for number in range(parts.end)] == [True] * (len(found) - 1) + [False]


# --- on the screen ------------------------------------------------------------------------


async def test_code_is_folded_and_opened_by_a_key_or_a_click(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, past=("Hello", REPLY)))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app) and "… 88 more lines" in shown(app))
        assert "x11 = 11\n" in shown(app) and "x12" not in shown(app) and "After." in shown(app)
        await pilot.press("tab", "space")
        await wait_until(lambda: "x13 = 13" in shown(app))
        assert "more lines" not in shown(app)
        top = shown(app).split("\n").index("x0 = 0")
        await pilot.press("space")
        await wait_until(lambda: "… 88 more lines" in shown(app))
        assert shown(app).split("\n").index("x0 = 0") == top
        row = next(i for i, text in enumerate(screen(app)) if "more lines" in text)
        await pilot.click(offset=Offset(3, row))
        await wait_until(lambda: "x12 = 12" in shown(app))
        assert shown(app).split("\n").index("x0 = 0") == top


async def test_what_the_user_pasted_is_folded_and_stays_whole(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"], past=("Hello", "Hi.")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, PASTE)
        await wait_until(lambda: idle(app) and "… 88 more lines" in shown(app))
        assert "pasted 11\n" in shown(app) and "pasted 12" not in shown(app)
        assert PASTE in app.session.texts()
        await pilot.press("tab", "up", "space")
        await wait_until(lambda: "pasted 13" in shown(app))
        await pilot.press("e")
        await wait_until(lambda: app.prompt.whole == PASTE)


async def test_a_reply_without_code_is_folded_when_one_asks_for_it(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, past=("Hello", "\n\n".join(f"paragraph {i}" for i in range(60)))))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app) and "paragraph 59" in shown(app))
        await pilot.press("tab", "space")
        await wait_until(lambda: "more lines" in shown(app) and "paragraph 59" not in shown(app))
        await pilot.press("space", "G")
        await wait_until(lambda: "paragraph 59" in shown(app))


async def test_what_is_written_is_folded_when_it_has_ended(tmp_path: Path) -> None:
    """Not before, and not while somebody reads in it."""
    pieces = ["Here:\n\n```py\n", f"{CODE}\n```\n\n", "After."]
    for away in (False, True):
        app = ChatApp(Held(tmp_path / str(away), pieces, after=2, past=("Hello", "Hi.")))
        async with app.run_test(size=SIZE) as pilot:
            await wait_until(lambda: idle(app))  # noqa: B023
            await type_and_send(app, "go")
            await wait_until(lambda: "x99 = 99" in shown(app))  # noqa: B023
            assert "more lines" not in shown(app)
            if away:
                await pilot.press("pageup")
                await wait_until(lambda: "x80 = 80" in shown(app))  # noqa: B023
            before = shown(app)
            app.session.go_on.set()  # type: ignore[attr-defined]
            await wait_until(lambda: idle(app))  # noqa: B023
            if away:
                await pilot.pause()
                assert "more lines" not in shown(app) and "x80 = 80" in shown(app) and before
            else:
                await wait_until(lambda: "… 88 more lines" in shown(app) and "After." in shown(app))  # noqa: B023


async def test_what_is_folded_takes_no_room(tmp_path: Path) -> None:
    """Ten thousand lines are a widget or two until they are opened, and then no more are mounted than can be read."""
    code = "\n".join(f"x{i} = {i}" for i in range(10_000))
    app = ChatApp(Scripted(tmp_path, past=("Hello", f"```py\n{code}\n```")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app) and "more lines" in shown(app))
        entry = app.transcript._entries.last
        assert entry is not None and entry.parts.end == 1
        assert entry.length(0) > len(code)
        await pilot.press("tab", "space")
        await wait_until(lambda: "x12 = 12" in shown(app))
        assert len(app.query(ReplyMessage)) < 6
        await pilot.press("space")
        await wait_until(lambda: "more lines" in shown(app))
        assert len(app.query(Fence)) == 1


@pytest.mark.parametrize("columns", [60, 80, 110])
async def test_it_says_so_at_the_left_in_one_line(tmp_path: Path, columns: int) -> None:
    app = ChatApp(Scripted(tmp_path, past=(PASTE, REPLY)))
    async with app.run_test(size=(columns, 50)):
        await wait_until(lambda: idle(app) and shown(app).count("more lines") == 2)
        lines = shown(app).split("\n")
        at = [i for i, text in enumerate(lines) if "more lines" in text]
        assert [lines[i] for i in at] == ["… 88 more lines (Tab, ↑ and Space show them)"] * 2
        assert [lines[i - 1] for i in at] == ["pasted 11", "x11 = 11"]
