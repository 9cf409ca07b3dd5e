"""Every editing key of the prompt, over texts of every kind. The harness, `scripts/fuzz_prompt.py`, also runs for longer."""

from __future__ import annotations

import pytest
from fuzz_prompt import TEXTS, Found, check, desk, keys, press, put, rows, table, undo
from textual.binding import Binding

from tui.fields import TextField
from tui.prompt.prompt import Prompt


async def test_each_key_on_each_text() -> None:
    """A1: no key ends the program, leaves the cursor outside of the text or a marker in pieces, or can't be undone."""
    found = Found()
    await table(found, every=6)
    assert found.problems == []
    bindings = [one for one in (*TextField.BINDINGS, *Prompt.BINDINGS) if isinstance(one, Binding)]
    own = {key for binding in bindings for key in binding.key.split(",")}
    assert own <= set(keys())
    assert set(found.pressed) == set(keys())
    assert min(found.pressed.values()) >= len(TEXTS)


async def test_random_keys_one_after_the_other() -> None:
    """A1: rows of keys, selections, pastes and other widths; a longer run is `fuzz_prompt.py --seconds`."""
    found = Found()
    await rows(found, seconds=3, seed=1)
    assert found.problems == []
    assert found.pressed.total() > 20


@pytest.mark.parametrize(
    "row", [["ctrl+k"], ["a", "ctrl+a", "ctrl+k", "ctrl+k"], ["ctrl+shift+k"], ["a", "ctrl+j", "ctrl+k"]]
)
async def test_a_line_that_is_the_last_is_deleted(row: list[str]) -> None:
    """A1: Ctrl+K on an empty last line ended the program."""
    async with desk() as prompt:
        for key in row:
            await press(prompt, key)
            check(prompt)
        assert prompt.text in ("", "a\n")


async def test_undoing_what_made_the_text_longer_than_the_box() -> None:
    """A1: the bar that scrolls goes while the cursor still is below the end of the text."""
    async with desk() as prompt:
        put(prompt, "")
        for _ in range(30):
            await press(prompt, "ctrl+j")
        undo(prompt)
        assert prompt.text == ""
