"""The start does nothing twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scripted import Scripted, idle
from textual.app import App
from textual.css.stylesheet import Stylesheet
from textual.screen import Screen
from textual.widget import Widget
from waiting import wait_until

from tui.app import ChatApp
from tui.prompt.prompt import Prompt
from tui.settings.settings import Defaults


@pytest.mark.parametrize("theme", ["dark", "light", "contrast"])
async def test_styles_and_the_focus_are_found_once(theme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    updated, focused = list[Any](), list[Any]()
    update, set_focus = Stylesheet.update, Screen.set_focus

    def note_update(sheet: Stylesheet, root: Any, *more: Any, **named: Any) -> None:
        updated.append([*root.walk_children()] if isinstance(root, App) and root.screen_stack else [])
        update(sheet, root, *more, **named)

    def note_focus(screen: Screen[Any], widget: Widget | None, *more: Any, **named: Any) -> None:
        focused.append(widget)
        set_focus(screen, widget, *more, **named)

    monkeypatch.setattr(Stylesheet, "update", note_update)
    monkeypatch.setattr(Screen, "set_focus", note_focus)
    app = ChatApp(Scripted(tmp_path), defaults=Defaults(theme=theme))
    async with app.run_test():
        await wait_until(lambda: idle(app))
        assert app.theme == theme and app.current_theme.dark == (theme != "light")
        assert not any(updated), "all widgets were styled again"
        assert focused and set(focused) == {app.query_one(Prompt)}
        app.theme = "light" if theme == "dark" else "dark"
        await wait_until(lambda: any(updated))
