"""/find: every place of the conversation on the screen where the words stand, also far back; one stays where one was."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Held, Scripted, ask, command, idle, line, said, screen, type_and_send
from textual.pilot import Pilot
from waiting import wait_until

from tui.app import ChatApp
from tui.finding import MAX_HITS, Hit, hits, pattern
from tui.key_line import KeyLine
from tui.screens.conversations import ConversationsScreen

SIZE = (80, 24)
CODE = "\n".join(f"x{i} = {i}" for i in range(100))


def shown(app: ChatApp) -> str:
    return "\n".join(screen(app))


def told(app: ChatApp) -> list[str]:
    return [notification.message for notification in app._notifications]


def styled(app: ChatApp) -> list[tuple[str, str]]:
    """What is underlined or reversed in the transcript, and how."""
    region, found = app.transcript.region, []
    for strip in app.screen._compositor.render_strips()[region.y : region.bottom]:
        for segment in strip:
            style = segment.style
            if style is not None and segment.text.strip() and segment.text.strip() not in ("You", "Griff"):
                if style.reverse and not set(segment.text) <= set(" ▁▂▃▄▅▆▇█"):
                    found.append((segment.text, "reverse"))
                elif style.underline:
                    found.append((segment.text, "underline"))
    return found


async def find(app: ChatApp, words: str, place: str) -> None:
    await command(app, f"/find {words}")
    await wait_until(lambda: f"▸ {place}:" in line(app, "#status"))


async def test_every_place_is_gone_through(tmp_path: Path) -> None:
    """Of messages that are not mounted, too; the first that is shown is the last one."""
    past = [f"message {i} has a Needle" if i % 50 == 0 else f"message {i}" for i in range(200)]
    app = ChatApp(Scripted(tmp_path, past=past))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        head = app.session.head
        await find(app, "needle", "4 of 4")
        for key, number, place in (
            ("N", 100, "3 of 4"),
            ("N", 50, "2 of 4"),
            ("N", 0, "1 of 4"),
            ("N", 150, "4 of 4"),
            ("n", 0, "1 of 4"),
            ("n", 50, "2 of 4"),
        ):
            await pilot.press(key)
            await wait_until(lambda place=place: f"▸ {place}:" in line(app, "#status"))  # type: ignore[misc]
            await wait_until(lambda number=number: f"message {number} has" in shown(app))  # type: ignore[misc]
            mark = app.transcript.mark
            assert mark is not None and mark.entry.stored is not None and mark.entry.stored.id == number + 1
            await wait_until(lambda: styled(app) == [("Needle", "reverse")])
        assert app.session.head == head and [hint.key for hint in app.query_one(KeyLine).hints][:2] == ["n", "N"]
        await pilot.press("escape")
        await wait_until(lambda: app.prompt.has_focus and not app.transcript.finding)
        assert styled(app) == [] and app.session.head == head
        await pilot.press("n")
        await wait_until(lambda: app.prompt.text == "n")


async def test_several_places_of_a_message_and_a_long_one(tmp_path: Path) -> None:
    """Each is brought into view; the others are underlined."""
    text = "\n\n".join(f"paragraph {i}" + " needle" * (i % 40 == 0) for i in range(200))
    app = ChatApp(Scripted(tmp_path, past=("needle needle", text)))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await find(app, "needle", "7 of 7")
        await wait_until(lambda: "paragraph 160 needle" in shown(app))
        for number in (120, 80, 40, 0):
            await pilot.press("N")
            await wait_until(lambda number=number: f"paragraph {number} needle" in shown(app))  # type: ignore[misc]
            await wait_until(lambda: ("needle", "reverse") in styled(app))
        await pilot.press("N")
        await wait_until(lambda: "▸ 2 of 7" in line(app, "#status"))
        await wait_until(lambda: styled(app)[:2] == [("needle", "underline"), ("needle", "reverse")])


async def test_what_is_folded_is_opened_where_something_is_found(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, past=(CODE, f"Look:\n\n```py\n{CODE}\n```")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app) and "more lines" in shown(app))
        await find(app, "x77 = 77", "2 of 2")
        await wait_until(lambda: "x77 = 77" in shown(app) and "x70 = 70" in shown(app))
        await pilot.press("N")
        await wait_until(lambda: "▸ 1 of 2: Your message" in line(app, "#status") and "x77 = 77" in shown(app))


async def test_only_what_is_on_the_path_and_what_is_being_written(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"], past=("one needle", "1")))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: idle(app))
        await ask(app, "another needle")
        await pilot.press("alt+up")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)
        await find(app, "needle", "1 of 1")
        await pilot.press("escape")
        await command(app, "/find haystack")
        await wait_until(lambda: "“haystack” is nowhere in this conversation." in told(app))
        assert app.prompt.has_focus
    app = ChatApp(Held(tmp_path / "other", ["a needle ", "more"], after=1, past=("Hello", "Hi.")))
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        await type_and_send(app, "go")
        await wait_until(lambda: "a needle" in shown(app))
        await type_and_send(app, "/find needle")
        await wait_until(lambda: "▸ 1 of 1:" in line(app, "#status"))
        app.session.go_on.set()  # type: ignore[attr-defined]
        await wait_until(lambda: idle(app) and "more" in shown(app))


async def test_it_needs_words_and_finds_none_where_nothing_was_said(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path))
    async with app.run_test(size=SIZE, notifications=True):
        await wait_until(lambda: idle(app))
        await command(app, "/find")
        await wait_until(lambda: app.prompt.text == "/find ")
        await command(app, "/find it")
        await wait_until(lambda: "“it” is nowhere in this conversation." in told(app))


@pytest.mark.parametrize(
    ("words", "text", "count"),
    [
        ("two words", "two\n  words TWO WORDS twowords", 2),
        ("a.b*", "a.b* axb", 1),
        ("é", "É é e", 2),
        ("x" * 600, "x" * 500, 1),
        ("  ", "text", None),
    ],
)
def test_words_are_found_as_they_stand(words: str, text: str, count: int | None) -> None:
    wanted = pattern(words)
    assert (wanted is None) == (count is None)
    if wanted is not None:
        assert len(wanted.findall(text)) == count


def test_the_places_are_in_their_order_and_not_too_many(tmp_path: Path) -> None:
    session = Scripted(tmp_path, past=["a a", "b", "a"] + ["a " * 6_000] * 2)
    wanted = pattern("a")
    assert wanted is not None
    found = hits(session, wanted)
    assert (
        len(found) == MAX_HITS
        and found[-1] == Hit(5, 5_999)
        and found == sorted(found, key=lambda hit: (hit.message, hit.number))
    )
    session.open(1, 3, peek=True)
    assert hits(session, wanted) == [Hit(1, 0), Hit(1, 1), Hit(3, 0)]


# --- a hit of the search in the list ------------------------------------------------------


async def open_hit(pilot: Pilot[None], words: str) -> None:
    await pilot.press("ctrl+o")
    await wait_until(lambda: isinstance(pilot.app.screen, ConversationsScreen))
    await pilot.press(*words, "enter")
    await wait_until(lambda: len(pilot.app.screen_stack) == 1)


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_hit_of_the_list_is_marked_where_it_was_said(tmp_path: Path, elsewhere: bool) -> None:
    """What is sent then comes at the end, as if nothing had been looked for."""
    past = [f"message {i} has a Needle" if i in (20, 30) else f"message {i}" for i in range(100)]
    app = ChatApp(Scripted(tmp_path, ["ok"], past=past))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: idle(app))
        head = app.session.head
        assert head is not None
        if elsewhere:
            await command(app, "/new")
            await wait_until(lambda: idle(app) and app.session.conversation is None)
        await open_hit(pilot, "needle")
        await wait_until(lambda: " of 2:" in line(app, "#status") and idle(app))
        first = int(line(app, "#status").partition("▸ ")[2][0])
        await wait_until(lambda: f"message {10 + 10 * first} has" in shown(app))
        await wait_until(lambda: styled(app) == [("Needle", "reverse")])
        assert app.session.head is not None and app.session.head.id == head.id
        assert line(app, "#position") == "" and told(app) == []
        await pilot.press("n")
        await wait_until(lambda: f"▸ {3 - first} of 2:" in line(app, "#status"))
        await pilot.press("escape")
        await ask(app, "goes on")
        assert [m.text for m in said(app)][-3:] == ["message 99", "goes on", "ok"]


async def test_a_hit_on_another_branch_is_looked_at_and_said_to_be(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"], past=("one", "1", "two needles", "2")))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: idle(app))
        await pilot.press("alt+up")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)
        at = app.session.head
        await open_hit(pilot, "needles")
        await wait_until(lambda: "▸ 1 of 1:" in line(app, "#status") and idle(app))
        assert told(app)[0].startswith("This was said further on. The conversation stands where it stood")
        assert at is not None and app.session.store.conversations.get(1).head == at.id
        await pilot.press("escape", "alt+up")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)
        await ask(app, "another way")
        await open_hit(pilot, "needles")
        await wait_until(lambda: any("This was said on another branch." in one for one in told(app)))
        await wait_until(lambda: said(app)[-1].text == "2" and idle(app))
        assert app.session.head is not None and app.session.store.conversations.get(1).head != app.session.head.id
