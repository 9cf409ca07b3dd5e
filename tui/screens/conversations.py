"""The list of conversations: find one, open it, rename, archive, delete, export or import one.

Knows the store and what was asked for; opening is its caller's business. Of the store it holds one page at a time,
and everything that reads or writes it happens in a thread, one thing after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
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
from rgmlx.system.textfiles import exists, read_text, typed_path, write_text

from ..fields import OneLine
from ..terminal.keys import UNDO, brief
from .conversation_pages import Page, View, read_page
from .conversation_rows import ROW_CHARS, Row, Rows, file_name, listed, quoted
from .dialogs import AskText, Confirm, leave

PAUSE = 0.15  # seconds without a key before a search starts
_KEYS = (
    ("enter", "open", "open"),
    ("ctrl+r", "rename", "rename"),
    ("ctrl+t", "archive", "archive"),
    ("ctrl+g", "show_archived", "archived"),
    ("delete,ctrl+d", "delete", "delete"),
    ("ctrl+s", "export", "export"),
    ("ctrl+o", "import", "import"),
    ("escape", "leave", "back"),
)


@dataclass(frozen=True)
class Opened:
    """What was chosen: a conversation, and a message of it if that was what was found."""

    conversation: int
    message: int | None = None


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
    """All conversations, the newest first, and a search through what was said in them.

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
        Binding(UNDO, "undo", "bring back", key_display="^_"),
        # From the search, which has no use for these.
        Binding("down", "list('cursor_down')", show=False),
        Binding("pagedown", "list('page_down')", show=False),
        Binding("pageup", "list('page_up')", show=False),
    ]
    AUTO_FOCUS = "Rows"

    class Changed(Message):
        """A conversation was renamed, archived, deleted, brought back or imported."""

        def __init__(self, conversation: int) -> None:
            super().__init__()
            self.conversation = conversation

    def __init__(
        self, store: Store, current: int | None = None, written: Callable[[int], bool] = lambda conversation: False
    ) -> None:
        """A list of the store's conversations.

        Args:
            current: the one that the caller holds the claim of.
            written: whether a reply is being written in a conversation.
        """
        super().__init__()
        self._store, self._current, self._written = store, current, written
        self._wanted = View()
        self._shown: View | None = None
        self._reading = self._doing = False
        self._open_next = False  # Enter was pressed while what it is about was being looked for
        self._deleted: deque[int] = deque(maxlen=100)  # here, the last one last

    def compose(self) -> ComposeResult:
        yield Static(id="heading")
        yield Search(placeholder="Type to search everything that was said", select_on_focus=False)
        yield Rows(markup=False)
        yield Static(id="notice")
        with ItemGrid(id="keys", min_column_width=14, regular=True):
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
        what = "active only" if view.archived else "archived"
        self.query_one("#key-show_archived", Static).update(_key("^g", "show_archived", what))

    def _mark(self, view: View, options: list[Row], place: int, before: Row | None) -> int | None:
        """The row to mark: the one asked for, the one that was, or what is in its place."""
        usable = [row for row, option in enumerate(options) if option.conversation is not None]
        goto = self._current if self._shown is None else view.goto
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
            leave(self, Opened(row.conversation.id, row.hit.message if row.hit else None))

    def action_leave(self) -> None:
        leave(self, None)

    def action_show_archived(self) -> None:
        self._want(archived=not self._wanted.archived, page=0)

    def action_rename(self) -> None:
        self._do_with_chosen(self._rename)

    def action_archive(self) -> None:
        self._do_with_chosen(self._archive)

    def action_delete(self) -> None:
        self._do_with_chosen(self._delete)

    def action_export(self) -> None:
        self._do_with_chosen(self._export)

    def action_undo(self) -> None:
        self._do(self._undo)

    def action_import(self) -> None:
        self._do(self._import)

    # --- what is done, one thing at a time ------------------------------------------------

    def _do_with_chosen(self, change: Callable[[Conversation], Awaitable[None]]) -> None:
        row = self.query_one(Rows).chosen
        if row is None or row.conversation is None:
            self._say("Choose a conversation first.")
            return
        chosen = row.conversation
        self._do(lambda: change(chosen))

    def _do(self, change: Callable[[], Awaitable[None]]) -> None:
        if not self._doing:  # a held key must not do it to one row after the other
            self._doing = True
            self._say("")
            self.run_worker(self._done(change), group="do")

    async def _done(self, change: Callable[[], Awaitable[None]]) -> None:
        try:
            await change()
        except RgmlxError as e:
            self._say(sentence(str(e)), problem=True)
        finally:
            self._doing = False

    async def _ask(self, title: str, value: str, hint: str, then: Callable[[str], Awaitable[None]]) -> None:
        """Asks, and asks again with what was typed, until it works or is called off."""
        problem = ""
        while (text := await self.app.push_screen_wait(AskText(title, value, hint=hint, problem=problem))) is not None:
            try:
                await then(text)
                return
            except RgmlxError as e:
                value, problem = text, sentence(str(e))

    async def _rename(self, one: Conversation) -> None:
        async def rename(text: str) -> None:
            await asyncio.to_thread(self._store.conversations.rename, one.id, text.strip())
            self._changed(one.id)

        await self._ask("Rename this conversation", one.title[:ROW_CHARS], "", rename)

    async def _archive(self, one: Conversation) -> None:
        await asyncio.to_thread(
            self._alone, one.id, lambda: self._store.conversations.archive(one.id, not one.archived)
        )
        self._say(
            f"{quoted(one)} is back in the list."
            if one.archived
            else f"Archived {quoted(one)}. Ctrl+G shows archived ones, Ctrl+T there brings it back."
        )
        self._changed(one.id)

    async def _delete(self, one: Conversation) -> None:
        await asyncio.to_thread(self._alone, one.id, lambda: self._store.conversations.delete(one.id))
        self._deleted.append(one.id)
        self._say(f"Deleted {quoted(one)}.", undo=True)
        self._changed(one.id)

    def _alone(self, conversation: int, change: Callable[[], None]) -> None:
        """Makes a change that nobody else has the conversation open for."""
        if self._written(conversation):
            raise RgmlxError("A reply is being written in this conversation: stop it in the chat first, with Esc.")
        if conversation == self._current:
            change()
            return
        claim = self._store.lock(conversation)
        if claim is None:
            raise RgmlxError("This conversation is open in another window: close it there first.")
        with claim:
            change()

    async def _undo(self) -> None:
        """Brings back what was deleted here, or else what was deleted last."""
        if not self._deleted:
            self._deleted.extend(one.id for one in (await asyncio.to_thread(self._store.conversations.deleted))[:1])
        if not self._deleted:
            self._say("No deleted conversation is left to bring back.")
            return
        number = self._deleted.pop()
        await asyncio.to_thread(self._store.conversations.undelete, number)
        one = await asyncio.to_thread(self._store.conversations.get, number)
        self._say(f"{quoted(one)} is back.")
        self._changed(number)
        self._want(goto=number, archived=self._wanted.archived or one.archived)

    async def _export(self, one: Conversation) -> None:
        async def export(text: str) -> None:
            path = typed_path(text)
            if path.suffix.lower() not in (".md", ".json"):
                raise RgmlxError("The ending decides what is written: end the name in .md or .json.")
            if await asyncio.to_thread(exists, path):
                question = f"{path} exists already. Replace it?"
                if not await self.app.push_screen_wait(Confirm(question, yes="Replace it", no="Keep it")):
                    raise RgmlxError(f"{path} was kept: give another name.")
            await asyncio.to_thread(self._write, one.id, path)
            self._say(f"Exported to {path}")

        hint = ".md is Markdown, to read. .json keeps all of it, and can be imported again."
        await self._ask(f"Export {quoted(one)} to", f"~/{file_name(one)}.md", hint, export)

    def _write(self, conversation: int, path: Path) -> None:
        exchange = self._store.import_export
        write_text(
            path, exchange.to_json(conversation) if path.suffix.lower() == ".json" else exchange.markdown(conversation)
        )

    async def _import(self) -> None:
        async def bring(text: str) -> None:
            exported = await asyncio.to_thread(read_text, typed_path(text))
            one = await asyncio.to_thread(self._store.import_export.from_json, exported)
            self._say(f"Imported {quoted(one)}.")
            self._changed(one.id)
            with self.prevent(Input.Changed):
                self.query_one(OneLine).value = ""
            self._want(query="", goto=one.id, archived=self._wanted.archived or one.archived)

        await self._ask(
            "Import a conversation from", "~/", "A .json file that was exported here or on another computer.", bring
        )

    def _changed(self, conversation: int) -> None:
        self.post_message(self.Changed(conversation))
        self._want()


def _key(key: str, action: str, what: str) -> Content:
    return Content.from_markup(f"[@click=screen.{action}][b]{key}[/b] {what}[/]")
