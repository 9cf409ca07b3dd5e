"""The branches of a conversation: all its messages as a tree, a line each, to go to another one.

Knows how the rows of `branches` are drawn; changes nothing, and gives back what was chosen. Of a long conversation a
part is read, around the head or around a chosen line.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar, Literal

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.content import Content
from textual.css.styles import RulesMap
from textual.message import Message
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from rgmlx.conversation.branches import Row, arrange
from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL, Outline, Store
from rgmlx.system.formatting import when_briefly
from rgmlx.system.printable import printable

MAX_LINES = 2000
"""Lines read at once; of a longer conversation, a part."""
_MAX_LEVEL = 6  # further in there would be no room for text
_LABELS = {MODEL: "Assistant"}
_LABEL_WIDTH = 9
_CONTRAST = 7.0  # between a text and what is behind it, below which nothing is made paler

Action = Literal["go", "edit", "regenerate", "copy", "continue"]


@dataclass(frozen=True)
class Chosen:
    """What is to be done with which message."""

    action: Action
    message: int


class _Drawn(Visual):
    """A row, drawn as wide as there is room."""

    def __init__(self, row: Row) -> None:
        self.row = row

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        # Between the colours of this very line: the selected one has others, and "auto" would not be muted in a part.
        text, ground = style.foreground, style.background
        muted = Style(foreground=_muted(text, ground)) if text and ground else Style(dim=True)
        return self.content(width, muted).render_strips(width, 1, style, options)

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        return container_width

    def get_height(self, rules: RulesMap, width: int) -> int:
        return 1

    def content(self, width: int, muted: Style) -> Content:
        """Mark, branch, who, which of how many, the first line of the text, and what else there is to say."""
        row, line = self.row, self.row.line
        bold = Style(bold=True)
        label = _LABELS.get(line.role, "You").ljust(_LABEL_WIDTH)
        which = f" ‹{line.number}/{line.siblings}›" if line.siblings > 1 else ""
        start = Content.assemble(
            ("* " if row.head else "  ", bold),
            (_graph(row.level, row.first), muted),
            (label, bold if line.on_path else muted),
            (which, bold if line.on_path else muted),
            " ",
        )
        end = f"  {_state(row)}{when_briefly(line.created, time.time()):>6}"
        room = max(0, width - start.cell_length - len(end))
        text = Content(_first_line(line.start)).truncate(room, ellipsis=True)
        text = text if line.on_path else text.stylize(muted)
        middle = text.pad_right(max(0, room - text.cell_length))
        return Content.assemble(start, middle, (end, muted)).truncate(width)


def _muted(text: Color, ground: Color) -> Color:
    """A paler colour for text, as far as it is read as well: on the line that is selected there is no room for that."""
    paler = text.blend(ground, 0.2, 1.0)
    return paler if contrast(paler, ground) >= _CONTRAST else text


def contrast(one: Color, other: Color) -> float:
    """How well one colour is read on the other, from 1 to 21, as WCAG 2 has it."""
    low, high = sorted(map(_luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Color) -> float:
    parts = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized)
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def _graph(level: int, first: bool) -> str:
    deep = "┊ " if level > _MAX_LEVEL else ""
    level = min(level, _MAX_LEVEL)
    return deep + "│ " * (level - 1) + ("├ " if first else "│ ") if level else ""


def _state(row: Row) -> str:
    if row.line.streaming:
        return "being written  "
    if row.line.role == MODEL and not row.line.closed:
        return "cut short  "
    return "more: m  " if row.hidden else ""


def _first_line(text: str) -> str:
    lines = printable(text).split("\n")
    return next((line.strip().replace("\t", " ") for line in lines if line.strip()), "(nothing)")


class _Lines(OptionList):
    """The rows. A click selects one, a second click goes there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select", "go", key_display="enter"),
        Binding("left", "screen.sibling(-1)", "previous", show=False),
        Binding("right", "screen.sibling(1)", "next", show=False),
    ]

    def on_resize(self) -> None:
        self.call_after_refresh(self.scroll_to_highlight)  # the note above may have grown, and hidden the last lines

    async def _on_click(self, event: events.Click) -> None:
        number = event.style.meta.get("option")
        event.prevent_default()  # a list would choose at once, and r or e could not be had with a mouse
        if number is not None:
            self.highlighted = number
            if event.chain == 2:
                self.action_select()


class TreeScreen(ModalScreen[Chosen | None]):
    """The tree. Dismisses what was chosen, or None."""

    DEFAULT_CSS = """
    TreeScreen {
        background: $background;
        layout: vertical;
        #tree-title { height: 1; padding: 0 1; text-style: bold; color: $primary; text-overflow: ellipsis; text-wrap: nowrap; }
        #tree-note { height: auto; max-height: 4; padding: 0 1; color: $text-muted; }
        #tree-note.-error { color: $error; }
        OptionList {
            height: 1fr;
            max-height: 100%;
            border: none;
            padding: 0 1;
            text-wrap: nowrap;
            background: $background;
            scrollbar-gutter: stable;
            &:focus { border: none; background-tint: transparent; }
            & > .option-list--option-highlighted { text-style: none; }
        }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "choose('edit')", "edit"),
        Binding("r", "choose('regenerate')", "again", tooltip="another reply in place of this one"),
        Binding("c", "choose('copy')", "copy"),
        Binding("g", "choose('continue')", "go on", tooltip="the assistant goes on with this reply"),
        Binding("m", "more", "more", tooltip="read what is around this line"),
        Binding("escape", "dismiss", "back", key_display="esc"),
    ]

    class Read(Message):
        """What was read of the tree. Posted by the worker."""

        def __init__(self, title: str, outline: list[Outline], total: int, around: int | None) -> None:
            super().__init__()
            self.title, self.outline, self.total, self.around = title, outline, total, around

    class Failed(Message):
        """Why nothing was read. Posted by the worker."""

        def __init__(self, sentence: str) -> None:
            super().__init__()
            self.sentence = sentence

    def __init__(self, store: Store, conversation: int, head: int | None) -> None:
        """`head`: the current message; None: before the first."""
        super().__init__()
        self._store, self._conversation, self._head = store, conversation, head
        self._rows: list[Row] = []
        self._about = ""  # what the note says when nothing else is to be said

    def compose(self) -> ComposeResult:
        yield Static("Branches", id="tree-title", markup=False)
        yield Static("reading ...", id="tree-note", markup=False)
        yield _Lines(markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self._lines.focus()
        self._read(None)

    @work(thread=True, exclusive=True, group="read")
    def _read(self, around: int | None) -> None:
        try:
            title = self._store.conversations.get(self._conversation).title
            outline, total = self._store.outlines.read(self._conversation, self._head, around, MAX_LINES)
        except RgmlxError as e:
            self.post_message(self.Failed(str(e)))
        else:
            self.post_message(self.Read(title, outline, total, around))

    @on(Failed)
    def _failed(self, event: Failed) -> None:
        self._say(f"The tree could not be read: {event.sentence}. Esc goes back.", error=True)

    @on(Read)
    def _shown(self, event: Read) -> None:
        self._rows = arrange(event.outline, self._head)
        wanted = self._head if event.around is None else event.around
        at = next((i for i, row in enumerate(self._rows) if row.line.id == wanted), 0)
        self._lines.set_options(Option(_Drawn(row), id=str(row.line.id)) for row in self._rows)
        self._lines.highlighted = at if self._rows else None
        title = printable(event.title).replace("\n", " ").strip()
        self.query_one("#tree-title", Static).update(Content(f"Branches  ·  {title}" if title else "Branches"))
        self._about = self._describe(event.total)
        self._say("")

    def _describe(self, total: int) -> str:
        if not total:
            return "Nothing was said in this conversation yet. Esc goes back."
        if not self._rows:
            return "This message is no longer there. Esc goes back."
        forks = sum(row.first for row in self._rows)
        branches = "no branches" if not forks else f"{forks + 1:,} branches"
        here = "* is where you are" if self._head is not None else "you are before the first message"
        if len(self._rows) < total:
            return f"{total:,} messages, {len(self._rows):,} of them here: m reads what is around a line. {here}."
        between = "; ← → go from one to the other" if forks else ""
        return f"{total:,} message{'s' * (total > 1)}, {branches}{between}. {here}."

    # --- keys -----------------------------------------------------------------------------

    @property
    def _lines(self) -> _Lines:
        return self.query_one(_Lines)

    @property
    def _row(self) -> Row | None:
        number = self._lines.highlighted
        return self._rows[number] if number is not None and number < len(self._rows) else None

    @on(OptionList.OptionHighlighted)
    def _moved(self) -> None:
        self._say("")

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_choose("go")

    def action_choose(self, action: Action) -> None:
        """Gives back the line that is selected and what to do with it."""
        row = self._row
        if row is None:
            return
        if action in ("regenerate", "continue") and row.line.role != MODEL:
            key = "r writes another reply" if action == "regenerate" else "g goes on with a reply"
            self._say(f"{key}: choose a line of the assistant's.", error=True)
            return
        self.dismiss(Chosen(action, row.line.id))

    def action_sibling(self, step: int) -> None:
        """Selects the previous or the next message with the same parent."""
        if (row := self._row) is None:
            return
        line = row.line
        others = [(r.line.number, i) for i, r in enumerate(self._rows) if r.line.parent == line.parent]
        ahead = [other for other in others if (other[0] - line.number) * step > 0]
        if ahead:
            self._lines.highlighted = min(ahead, key=lambda other: abs(other[0] - line.number))[1]
        elif line.siblings == 1:
            self._say("There is only this message here: ← → go to others where it says ‹1/2›.")

    def action_more(self) -> None:
        """Reads what is around the selected line, in place of what is there."""
        if (row := self._row) is not None:
            self._say("reading ...")
            self._read(row.line.id)

    def _say(self, sentence: str, error: bool = False) -> None:
        note = self.query_one("#tree-note", Static)
        note.set_class(error, "-error")
        note.update(Content(printable(sentence or self._about)))
