"""Windows too small to show anything: nothing is lost, and the chat is there again when they grow."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted import Scripted

from tui.app import ChatApp
from tui.prompt.prompt import Prompt


@pytest.mark.parametrize("columns", range(1, 8))
async def test_no_window_is_too_small(columns: int, tmp_path: Path) -> None:
    """Fault 7: the placeholder of an empty prompt is wrapped to no columns; with dialogs above it, and grown again."""
    app = ChatApp(Scripted(tmp_path, ["hi"]))
    async with app.run_test(size=(columns, 10)) as pilot:
        for size in ((columns, 1), (columns, 24), (columns, 60), (80, 24), (columns, 10), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        for key in ("f1", "ctrl+o", "ctrl+p"):
            await pilot.press(key)
            for size in ((columns, 10), (80, 24)):
                await pilot.resize_terminal(*size)
                await pilot.pause()
            await pilot.press("escape")
        await pilot.press("t", "y")
        assert app.query_one(Prompt).text == "ty"
    assert app.failure == ""
