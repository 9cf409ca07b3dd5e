"""Markdown as the chat draws it: inert, and cheap while it grows.

Knows Textual's blocks and what each costs. A link is its text and its address, and nothing that a click could do; HTML
is text. A fence that is still open, or names no language, is plain text, and one that is folded says how many lines follow; a
long list grows by its last item; a table of many cells is drawn as one text.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from textual import events
from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Markdown, Static
from textual.widgets._markdown import (
    MarkdownBlock,
    MarkdownBulletList,
    MarkdownFence,
    MarkdownOrderedList,
    MarkdownParagraph,
    MarkdownTable,
)

from rgmlx.system.printable import printable

from .folding import Fold, more, of_fence

if TYPE_CHECKING:
    _Base = Widget
else:
    _Base = object  # styles go by the first widget among a class's bases

MAX_CELLS = 60
"""Cells of a table that get a widget each."""


@cache
def parser() -> MarkdownIt:
    """Markdown with tables, without HTML and without anything to click."""
    md = MarkdownIt("gfm-like", {"html": False, "linkify": False})
    md.core.ruler.push("alone", _alone)
    md.core.ruler.push("inert", _inert)
    return md


def _alone(state: StateCore) -> None:
    """Makes a paragraph of a list that is one item without a word: "30." is an answer, and would not be seen."""
    tokens = state.tokens
    for at in range(len(tokens) - 3):
        opened, item, end, closed = tokens[at : at + 4]
        if (item.type, end.type) != ("list_item_open", "list_item_close") or not closed.type.endswith("list_close"):
            continue
        if not opened.type.endswith("list_open"):
            continue
        text = f"{item.info}{item.markup}"
        inline = Token("inline", "", 0, content=text, map=opened.map, level=opened.level + 1)
        inline.children = [_text(text)]
        paragraph = [Token("paragraph_open", "p", 1), inline, Token("paragraph_close", "p", -1)]
        for token in (paragraph[0], paragraph[2]):
            token.map, token.level, token.block = opened.map, opened.level, True
        tokens[at : at + 4] = [*paragraph, Token("text", "", 0)]
    state.tokens = [token for token in tokens if token.type != "text"]


def _inert(state: StateCore) -> None:
    """Turns links and images into text, and cleans what entities like &#x202e; have brought in."""
    for token in state.tokens:
        token.content = printable(token.content)
        token.info = printable(token.info)
        if token.children:
            token.children = _without_links(token.children)


def _without_links(children: list[Token]) -> list[Token]:
    kept: list[Token] = []
    opened: list[tuple[str, int]] = []
    for child in children:
        child.content = printable(child.content)
        if child.type == "link_open":
            opened.append((str(child.attrs.get("href", "")), len(kept)))
        elif child.type == "link_close":
            href, start = opened.pop() if opened else ("", len(kept))
            if href and href.removeprefix("mailto:") != "".join(t.content for t in kept[start:]):
                kept.append(_text(f" ({href})"))
        elif child.type == "image":
            kept.append(_text(f"[{child.content}] ({child.attrs.get('src', '')})"))
        else:
            kept.append(child)
    return kept


def _text(content: str) -> Token:
    return Token("text", "", 0, content=printable(content))


def is_closed(fence: Token) -> bool:
    """Whether the fence has its last line. An indented block, which has none, is closed."""
    if fence.type != "fence" or fence.map is None:
        return True
    lines = fence.content.count("\n") + (not fence.content.endswith("\n") and bool(fence.content))
    return fence.map[1] - fence.map[0] > lines + 1


class Unfold(Message):
    """Somebody has clicked on what stands below something folded.

    Attributes:
        widget: the part or the block that it stands below.
    """

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget


class Foldable(_Base):
    """May have a line below it, at the very left, that says how many lines are not shown."""

    def show_more(self, lines: int) -> None:
        """Says so of that many lines; of none, nothing."""
        self.border_subtitle = Content(f"{more(lines)} (Tab, ↑ and Space show them)") if lines else None
        self.set_class(bool(lines), "-folded")

    def on_click(self, event: events.Click) -> None:
        if self.has_class("-folded") and event.y == self.outer_size.height - 1:
            event.stop()
            self.post_message(Unfold(self))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Textual leaves the first column of a border free, where a frame has its corner."""
        lines = super().render_lines(crop)
        if lines and crop.x == 0 and self.styles.border_bottom[0] and crop.bottom == self.outer_size.height:
            lines[-1] = Strip.join([lines[-1].crop(1, lines[-1].cell_length), lines[-1].crop(0, 1)])
        return lines


class Fence(Foldable, MarkdownFence):
    """Code, highlighted once it is whole and in the language that it names; never in one that is guessed.

    Attributes:
        fold: what of it is not shown, where it is long.
    """

    def __init__(self, markdown: Markdown, token: Token, code: str) -> None:
        language, fold = of_fence(token.info)
        self.fold: Fold | None = fold
        super().__init__(markdown, token.copy(info=language if is_closed(token) else ""), code)
        self._show_fold()

    def _show_fold(self) -> None:
        self.show_more(self.fold.lines if self.fold is not None else 0)

    def _copy_context(self, block: MarkdownBlock) -> None:
        super()._copy_context(block)
        if isinstance(block, Fence):
            self.fold = block.fold
            self._show_fold()

    @classmethod
    def highlight(cls, code: str, language: str, ansi: bool = False, dark: bool = False) -> Content:
        return super().highlight(code, language, ansi, dark) if language else Content(code)


async def _grow(old: MarkdownBlock, new: MarkdownBlock) -> bool:
    """Gives a list the items that it has got since, of which the last may have changed; whether that could be done."""
    rows = list(old.children)
    if type(new) is not type(old) or not 0 < len(rows) <= len(new._blocks):
        return False
    added = list(new.compose())[len(rows) - 1 :]
    old._copy_context(new)
    with old.app.batch_update():
        await rows[-1].remove()
        await old.mount_all(added)
    return True


def _lighter(rows: Iterable[Widget]) -> ComposeResult:
    """The items of a list; one that is a single paragraph, as most are, without a container around that."""
    for row in rows:
        bullet, body = row._pending_children
        if len(body._pending_children) == 1 and isinstance(body._pending_children[0], MarkdownParagraph):
            row._pending_children = [bullet, *body._pending_children]
        yield row


class BulletList(MarkdownBulletList):
    """A list with bullets, of which the items before the last stay when it grows."""

    def compose(self) -> ComposeResult:
        yield from _lighter(super().compose())

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        if not await _grow(self, block):
            await super()._update_from_block(block)


class OrderedList(MarkdownOrderedList):
    """A list with numbers, of which the items before the last stay when it grows."""

    def compose(self) -> ComposeResult:
        yield from _lighter(super().compose())

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        if not await _grow(self, block):
            await super()._update_from_block(block)


class Table(MarkdownTable):
    """A table; one text where a widget for each cell would be too many."""

    def compose(self) -> ComposeResult:
        headers, rows = self._get_headers_and_rows()
        if len(headers) * (len(rows) + 1) <= MAX_CELLS:
            yield from super().compose()
            return
        lines = [Content(" | ").join(row) for row in (headers, *rows)]
        yield Static(Content("\n").join(lines), markup=False)

    async def _update_from_block(self, block: MarkdownBlock) -> None:
        if isinstance(block, MarkdownTable):
            headers, rows = block._get_headers_and_rows()
            if len(headers) * (len(rows) + 1) > MAX_CELLS:
                await MarkdownBlock._update_from_block(self, block)
                return
        await super()._update_from_block(block)


class SafeMarkdown(Markdown):
    """A Markdown document out of blocks that do no harm."""

    BLOCKS = {  # noqa: RUF012 - as the base class has it
        **Markdown.BLOCKS,
        "fence": Fence,
        "code_block": Fence,
        "bullet_list_open": BulletList,
        "ordered_list_open": OrderedList,
        "table_open": Table,
    }

    def __init__(self, markdown: str | None = None) -> None:
        super().__init__(markdown, parser_factory=parser, open_links=False)
