"""The list of conversations: what it shows of them, its search and its keys.

Knows what was asked for; opening is its caller's business, and what can be done to a conversation is in
`conversation_changes`. Of the store it holds one page at a time, which is read in a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ItemGrid
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from rgmlx.errors import RgmlxError
from rgmlx.store import Conversation, Store
from rgmlx.system.formatting import sentence
from rgmlx.system.printable import printable

from ..fields import OneLine
from ..terminal.keys import UNDO, brief
from .conversation_changes import Changes, Done
from .conversation_pages import Page, View, read_page
from .conversation_rows import Row, Rows, listed
from .dialogs import AskText, Confirm, leave

PAUSE = 0.15  # seconds without a key before a search starts
_KEYS = (
    ("enter", "open", "open"),
    ("ctrl+r", "rename", "rename"),
    ("ctrl+l", "pin", "pin"),
    ("ctrl+t", "archive", "archive"),
    ("ctrl+g", "show_archived", "archived"),
    ("delete,ctrl+d", "delete", "delete"),
    ("ctrl+s", "export", "export"),
    ("ctrl+o", "import", "import"),
    ("escape", "leave", "back"),
)


@dataclass(frozen=True)
class Opened:
    """What was chosen: a conversation, and a message of it if that was what was found.

    Attributes:
        words: what was found in the message, what tells the place best first.
    """

    conversation: int
    message: int | None = None
    words: tuple[str, ...] = ()


class Search(OneLine):
    """The line that is searched for. Where there is nothing to delete in it, Del is for the marked row.

    Not where Del has just deleted a letter: who holds the key to empty the line does not mean the conversation.
    """

    _deleting = False

    def on_key(self, event: events.Key) -> None:
        """Any other key ends the deleting of letters."""
        if event.key not in ("delete", "ctrl+d"):
            self._deleting = False

    def action_delete_right(self) -> None:
        """Deletes a character, or the conversation."""
        if not (self.cursor_at_end and self.selection.is_empty):
            self._deleting = True
            super().action_delete_right()
        elif not self._deleting and isinstance(self.screen, ConversationsScreen):
            self.screen.action_delete()


class ConversationsScreen(ModalScreen[Opened | None]):
    """All conversations, pinned ones and then the newest first, and a search through what was said in them.

    A modal screen, so that the keys of the chat below, such as one for another reply, do nothing here. Keys
    are not those that edit a line (ctrl with a, d, e, k, u, w, x), since the search is one; F-keys do the same.

    Dismisses with `Opened`, or with None. Posts `Changed` for what was changed, the current conversation included:
    it may have another title or be deleted by the time the screen goes.
    """

    DEFAULT_CSS = """
    ConversationsScreen { background: $background; }
    ConversationsScreen:ansi { background: ansi_default; }
    ConversationsScreen > #heading { height: 1; padding: 0 2; text-style: bold; }
    ConversationsScreen > Rows { height: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    ConversationsScreen > #notice { height: auto; max-height: 3; padding: 0 2; display: none; link-style: bold; }
    ConversationsScreen > #notice.-shown { display: block; }
    ConversationsScreen > #notice.-problem { color: $text-error; }
    ConversationsScreen > #keys { padding: 0 1; }
    ConversationsScreen > #keys > Static { height: 1; padding: 0 1; link-style: none; link-style-hover: underline; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back"),
        Binding("f2,ctrl+r", "rename", "rename"),
        Binding("f3,ctrl+t", "archive", "archive"),
        Binding("f4,ctrl+g", "show_archived", "archived too"),
        Binding("f5,ctrl+s", "export", "export"),
        Binding("f6,ctrl+o", "import", "import"),
        Binding("f7,ctrl+l", "pin", "pin"),
        Binding(UNDO, "undo", "bring back", key_display="^_"),
        # From the search, which has no use for these.
        Binding("down", "list('cursor_down')", show=False),
        Binding("pagedown", "list('page_down')", show=False),
        Binding("pageup", "list('page_up')", show=False),
    ]
    AUTO_FOCUS = "Rows"

    class Changed(Message):
        """A conversation was renamed, pinned, archived, deleted, brought back or imported."""

        def __init__(self, conversation: int) -> None:
            super().__init__()
            self.conversation = conversation

    def __init__(
        self,
        store: Store,
        current: int | None = None,
        written: Callable[[int], bool] = lambda conversation: False,
        wanted: int | None = None,
    ) -> None:
        """A list of the store's conversations.

        Args:
            current: the one that the caller holds the lock of.
            written: whether a reply is being written in a conversation.
            wanted: the one that is marked at first, in place of the current one.
        """
        super().__init__()
        self._store, self._current, self._first = store, current, wanted
        self._changes = Changes(store, current, written, self)
        self._wanted = View()
        self._shown: View | None = None
        self._reading = self._doing = False
        self._open_next = False  # Enter was pressed while what it is about was being looked for

    def compose(self) -> ComposeResult:
        yield Static(id="heading")
        yield Search(placeholder="Type to search everything that was said", select_on_focus=False)
        yield Rows(markup=False)
        yield Static(id="notice")
        with ItemGrid(id="keys", min_column_width=14):
            for keys, action, what in _KEYS:
                yield Static(_key(brief(*keys.split(",")), action, what), id=f"key-{action}")

    def on_mount(self) -> None:
        self._look()

    # --- what is shown --------------------------------------------------------------------

    def _want(self, **changes: object) -> None:
        """Asks for another view; it is there a moment later. One is read at a time, the last one asked for next."""
        self._wanted = replace(self._wanted, **{"goto": None, "change": self._wanted.change + 1} | changes)  # type: ignore[arg-type]
        self._look()

    def _look(self) -> None:
        if not self._reading:
            self._reading = True
            self.run_worker(self._read_on(), group="read")

    async def _read_on(self) -> None:
        while (view := self._wanted) != self._shown:
            if view.query and (self._shown is None or view.query != self._shown.query):
                await asyncio.sleep(PAUSE)
                if view != self._wanted:
                    continue
            try:
                page = await asyncio.to_thread(read_page, self._store, view)
            except RgmlxError as e:
                page = Page(view.page, failed=True)
                self._say(sentence(str(e)), problem=True)
            self._show(view, page)
            read, self._shown = view, replace(view, page=page.number)
            if self._wanted == read:
                self._wanted = self._shown
        self._reading = False
        if self._open_next:
            self.action_open()

    def _show(self, view: View, page: Page) -> None:
        rows, now = self.query_one(Rows), time.time()
        place, before = rows.highlighted or 0, rows.chosen
        options = listed(view, page, self._current, now)
        with self.app.batch_update():
            rows.set_options(options)
            rows.highlighted = self._mark(view, options, place, before)
        count = f"{len(page.found):,}{' and more' if page.more else ''}"
        heading = (
            f"Found: {count}"
            if view.query
            else "Conversations, archived ones too"
            if view.archived
            else "Conversations"
        )
        if page.number or (page.more and not view.query):
            heading += f", {page.span}"
        self.query_one("#heading", Static).update(heading)
        what = "active" if view.archived else "archived"
        self.query_one("#key-show_archived", Static).update(_key("^g", "show_archived", what))

    def _mark(self, view: View, options: list[Row], place: int, before: Row | None) -> int | None:
        """The row to mark: the one asked for, the one that was, or what is in its place."""
        usable = [row for row, option in enumerate(options) if option.conversation is not None]
        for goto in (self._first, self._current) if self._shown is None else (view.goto,):
            for row in usable:
                if options[row].about(goto):
                    return row
        if self._shown is None or (view.query, view.page) != (self._shown.query, self._shown.page):
            return next(iter(usable), None)
        if before is not None and before.conversation is not None:
            for row in usable:
                if options[row].about(before.conversation.id, before.hit.message if before.hit else None):
                    return row
        return min(usable, key=lambda row: abs(row - place), default=None)

    def _say(self, text: str, problem: bool = False, undo: bool = False) -> None:
        notice = self.query_one("#notice", Static)
        sentence = Content(printable(text))
        notice.update(sentence + Content(" ") + _key("Ctrl+_", "undo", "brings it back.") if undo else sentence)
        notice.set_class(problem, "-problem")
        notice.set_class(bool(text), "-shown")

    # --- keys -----------------------------------------------------------------------------

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._open_next = False
        if (query := event.value.strip()) != self._wanted.query:
            self._want(query=query, page=0)

    def on_key(self, event: events.Key) -> None:
        """What is typed in the list is for the search."""
        if isinstance(self.focused, Rows) and (event.key == "backspace" or (event.is_printable and event.character)):
            event.stop()
            search = self.query_one(OneLine)
            self.set_focus(search)  # at once: the next key finds it there
            if event.key == "backspace":
                search.action_delete_left()
            else:
                search.insert_text_at_cursor(event.character or "")

    def on_paste(self, event: events.Paste) -> None:
        if isinstance(self.focused, Rows):
            self.query_one(OneLine).insert_text_at_cursor(event.text.strip())

    def action_list(self, action: str) -> None:
        rows = self.query_one(Rows)
        rows.focus()
        getattr(rows, f"action_{action}")()

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def action_open(self) -> None:
        row = self.query_one(Rows).chosen
        self._open_next = self._wanted != self._shown
        if row is None or self._open_next:
            return
        if row.page is not None:
            self._want(page=row.page)
        elif row.conversation is not None:
            if row.hit is None or row.hit.message is None:
                leave(self, Opened(row.conversation.id))
            else:
                parts = sorted((text for text, match in row.hit.snippet if match), key=len, reverse=True)
                leave(self, Opened(row.conversation.id, row.hit.message, (self._wanted.query, *parts)))

    def action_leave(self) -> None:
        leave(self, None)

    def action_show_archived(self) -> None:
        self._want(archived=not self._wanted.archived, page=0)

    def action_rename(self) -> None:
        self._do_with_chosen(self._changes.rename)

    def action_pin(self) -> None:
        self._do_with_chosen(self._changes.pin)

    def action_archive(self) -> None:
        self._do_with_chosen(self._changes.archive)

    def action_delete(self) -> None:
        self._do_with_chosen(self._changes.delete)

    def action_export(self) -> None:
        self._do_with_chosen(self._changes.export)

    def action_undo(self) -> None:
        self._do(self._changes.undo)

    def action_import(self) -> None:
        self._do(self._changes.bring_in)

    # --- what is done, one thing at a time ------------------------------------------------

    def _do_with_chosen(self, change: Callable[[Conversation], Awaitable[Done | None]]) -> None:
        row = self.query_one(Rows).chosen
        if row is None or row.conversation is None:
            self._say("Choose a conversation first.")
            return
        chosen = row.conversation
        self._do(lambda: change(chosen))

    def _do(self, change: Callable[[], Awaitable[Done | None]]) -> None:
        if not self._doing:  # a held key must not do it to one row after the other
            self._doing = True
            self._say("")
            self.run_worker(self._done(change), group="do")

    async def _done(self, change: Callable[[], Awaitable[Done | None]]) -> None:
        try:
            if (done := await change()) is not None:
                self._show_done(done)
        except RgmlxError as e:
            self._say(sentence(str(e)), problem=True)
        finally:
            self._doing = False

    def _show_done(self, done: Done) -> None:
        if done.said:
            self._say(done.said, undo=done.undo)
        if done.changed is not None:
            self.post_message(self.Changed(done.changed))
            self._want()
        if done.imported:
            with self.prevent(Input.Changed):
                self.query_one(OneLine).value = ""
            self._want(query="")
        if (one := done.found) is not None:
            self._want(goto=one.id, archived=self._wanted.archived or one.archived)

    # --- asking ---------------------------------------------------------------------------

    async def ask_text(self, title: str, value: str, *, hint: str, problem: str, path: bool) -> str | None:
        """Asks for a line of text, or for the path of a file."""
        return await self.app.push_screen_wait(AskText(title, value, hint=hint, problem=problem, path=path))

    async def confirm(self, question: str, *, yes: str, no: str) -> bool:
        """Asks for yes or no."""
        return await self.app.push_screen_wait(Confirm(question, yes=yes, no=no))


def _key(key: str, action: str, what: str) -> Content:
    return Content.from_markup(f"[@click=screen.{action}][b]{key}[/b] {what}[/]")
