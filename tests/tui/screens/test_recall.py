"""What was said before is found in the store, and put before the model's eyes once more."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Scripted, ask, command, idle, said, screen
from textual.pilot import Pilot
from textual.widgets import Input, OptionList
from waiting import wait_until

from rgmlx.conversation.context import Horizon
from tui.app import ChatApp
from tui.screens.recall import MAX_CHARS, RecallScreen, around

PAST = ("My sister lives in Oslo.", "Oslo is far away.", "I have a cat.", "Cats are fine.", "Hello", "Hi.")


class Forgetful(Scripted):
    """Remembers word by word what came after the fourth message."""

    def horizon(self) -> Horizon | None:
        return Horizon(4, 3)


async def opened(app: ChatApp, words: str = "") -> RecallScreen:
    await command(app, f"/recall {words}".strip())
    await wait_until(lambda: isinstance(app.screen, RecallScreen) and app.screen.query(Input))
    assert isinstance(app.screen, RecallScreen)
    return app.screen


def shown(app: ChatApp) -> str:
    return " ".join(" ".join(screen(app)).split())


async def test_a_sentence_of_long_ago_goes_into_the_prompt_with_one_key(tmp_path: Path) -> None:
    app = ChatApp(Forgetful(tmp_path, ["Oslo."], past=PAST))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: idle(app))
        app.prompt.load_text("Where does my sister live?")
        await app.actions.run("recall", "sister")  # as from the palette
        await wait_until(lambda: isinstance(app.screen, RecallScreen) and app.screen.query(Input))
        found = app.screen
        await wait_until(lambda: "1 found" in shown(app))
        assert "word by word" not in shown(app)
        await pilot.press("enter")
        await wait_until(lambda: app.screen is not found)
        assert app.prompt.text == "Earlier I said: “My sister lives in Oslo.”\nWhere does my sister live?"
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and len(said(app)) == 8)
        assert said(app)[-2].text.startswith("Earlier I said: “My sister")


async def test_what_is_still_known_is_marked_and_the_newest_is_first(tmp_path: Path) -> None:
    app = ChatApp(Forgetful(tmp_path, ["ok"], past=(*PAST, "Oslo again", "Yes, Oslo.")))
    async with app.run_test(size=(100, 24)) as pilot:
        await wait_until(lambda: idle(app))
        found = await opened(app)
        assert "Type words of what was said." in shown(app)
        await type_words(app, pilot, "oslo")
        await wait_until(lambda: "4 found" in shown(app))
        assert found._found == [8, 7, 2, 1]
        rows = app.screen.query_one(OptionList).options
        assert ["still known word by word" in str(row.prompt) for row in rows] == [True, True, False, False]
        await pilot.press("down", "down", "enter")
        await wait_until(lambda: app.prompt.text == "Earlier you said: “Oslo is far away.”\n")


async def type_words(app: ChatApp, pilot: Pilot[None], words: str) -> None:
    field = app.screen.query_one(Input)
    field.value = words
    await pilot.pause()


async def test_what_was_said_on_another_branch_was_not_said_here(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"], past=PAST[:2]))
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: idle(app))
        await ask(app, "My brother lives in Bergen.")
        await pilot.press("alt+up")
        await wait_until(lambda: idle(app) and len(said(app)) == 2)
        await opened(app, "Bergen")
        await wait_until(lambda: "Nothing has all of these words." in shown(app))
        await pilot.press("enter", "escape")  # nothing to take
        await wait_until(lambda: not isinstance(app.screen, RecallScreen))
        assert app.prompt.text == ""


async def test_an_empty_conversation_has_nothing_to_recall(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, ["ok"]))
    async with app.run_test(size=(80, 24), notifications=True):
        await wait_until(lambda: idle(app))
        await command(app, "/recall")
        await wait_until(lambda: "Nothing was said yet" in shown(app))


@pytest.mark.parametrize(
    ("text", "words", "begins", "ends"),
    [
        ("short\n\ntext", ["text"], "short text", "short text"),
        ("a " * 2_000 + "needle " + "b " * 2_000, ["needle"], "… a a", "b …"),
        ("needle " + "b " * 2_000, ["needle"], "needle b", "b …"),
        ("a " * 2_000 + "needle", ["needle"], "… a a", "needle"),
        ("a " * 2_000, ["nothing"], "a a", "a …"),
    ],
)
def test_of_a_long_message_what_is_around_the_words(text: str, words: list[str], begins: str, ends: str) -> None:
    found = around(text, words)
    assert found.startswith(begins) and found.endswith(ends) and len(found) <= MAX_CHARS + 4
    assert "\n" not in found and ("needle" in found) == ("needle" in text)
