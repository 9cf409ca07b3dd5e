"""The rows of the list of conversations: what they say, and the list that holds them.

Knows how a conversation, what was found in it and a way to another page are put into words. Reads nothing, and changes
no conversation.
"""

from __future__ import annotations

import re
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from rgmlx.store import Conversation, Hit
from rgmlx.system.formatting import cut, one_line, when

from . import conversation_pages
from .conversation_pages import Page, View

ROW_CHARS = 200
"""Of a title, or of a piece of what was found; the rest is beyond the edge of any screen."""
PINNED = "★ "
"""Before the title of a pinned conversation."""
_NAME_CHARS = 40  # of a title in a sentence


class Row(Option):
    """A row: a conversation, or (`page`) a way to another page."""

    def __init__(
        self,
        prompt: Content,
        conversation: Conversation | None = None,
        hit: Hit | None = None,
        page: int | None = None,
    ) -> None:
        super().__init__(prompt, disabled=conversation is None and page is None)
        self.conversation, self.hit, self.page = conversation, hit, page

    def about(self, conversation: int | None, message: int | None = None) -> bool:
        """Whether it is the row of this conversation, or of this message in it."""
        if self.conversation is None or self.conversation.id != conversation:
            return False
        return message is None or (self.hit is not None and self.hit.message == message)


class Rows(OptionList):
    """The list. A click marks a row, a click on a marked row opens it: what is clicked can be renamed or deleted."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("delete,ctrl+d", "screen.delete", "delete")]

    async def _on_click(self, event: events.Click) -> None:
        event.prevent_default()
        row = event.style.meta.get("option")
        if row is None or self.options[row].disabled:
            return
        if row == self.highlighted:
            self.action_select()
        self.highlighted = row

    def action_cursor_up(self) -> None:
        if any(not option.disabled for option in self.options[: self.highlighted or 0]):
            super().action_cursor_up()
        else:
            self.screen.focus_previous()  # to the search, which is above the list

    def action_cursor_down(self) -> None:
        if self.highlighted != self.option_count - 1:  # the last is the end: no way round to the first
            super().action_cursor_down()

    @property
    def chosen(self) -> Row | None:
        """The marked row."""
        row = self.highlighted_option
        return row if isinstance(row, Row) else None


def listed(view: View, page: Page, current: int | None, now: float) -> list[Row]:
    """All rows for what was read for a view; `current` is the conversation that is open here."""
    rows = [Row(_prompt(one, hit, one.id == current, now), one, hit) for one, hit in page.found]
    if page.number:
        rows.insert(0, Row(Content("  ↑ newer conversations"), page=page.number - 1))
    if not page.found and not page.failed:
        rows.append(Row(Content(_nothing(view))))
    if page.more and view.query:
        first = f"  The first {conversation_pages.PAGE}. There are more: add a word to the search."
        rows.append(Row(Content(first)))
    elif page.more:
        rows.append(Row(Content("  ↓ older conversations"), page=page.number + 1))
    return rows


def quoted(one: Conversation) -> str:
    """The title in a sentence."""
    return f"‘{cut(_title(one), _NAME_CHARS)}’"


def file_name(one: Conversation) -> str:
    """The title as a name that every system takes."""
    return re.sub(r'[\\/:*?"<>|\ufffd\s]+', " ", _title(one))[:60].strip(" .") or "Untitled"


def _title(one: Conversation) -> str:
    return _line(one.title).strip() or "Untitled"


def _line(text: str) -> str:
    return one_line(text, ROW_CHARS)


def _prompt(one: Conversation, hit: Hit | None, current: bool, now: float) -> Content:
    """Two lines: the title, and below it what is known about the conversation or what was found in it."""
    facts = ["open now"] * current + ["pinned"] * one.pinned + [when(one.updated, now), _line(one.model)]
    facts += ["archived"] * one.archived
    about = Content(" · ".join(filter(None, facts)))  # in the row's own colour, which changes where it is marked
    found = (
        Content.assemble(*((_line(text), "bold underline" if match else "") for text, match in hit.snippet))
        if hit
        else None
    )
    title = Content(_title(one)) if found is None or hit is None or hit.message is not None else found
    marks = ("● " if current else "  ") + PINNED * one.pinned
    if hit is not None and hit.message is not None and found is not None:
        return Content.assemble(marks, title, "  ", about, "\n  ", found)
    return Content.assemble(marks, title, "\n  ", about)


def _nothing(view: View) -> str:
    if view.query:
        return "  Nothing was found. Fewer words, or the beginning of one, find more."
    return (
        "  There are no conversations yet." if view.archived else "  No conversations here. Ctrl+G shows archived ones."
    )
