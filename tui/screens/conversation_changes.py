"""What can be done to a conversation of the list: rename, pin, archive, delete, bring back, export, import.

Knows the store, and who asks the user; how the list shows it is in `conversations`. What reads or writes the store happens
in a thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from rgmlx.errors import RgmlxError
from rgmlx.store import Conversation, Store
from rgmlx.store.import_export import check_name
from rgmlx.system.formatting import sentence
from rgmlx.system.textfiles import exists, read_text, typed_path

from .conversation_rows import ROW_CHARS, file_name, quoted


class Asks(Protocol):
    """What asks the user."""

    async def ask_text(self, title: str, value: str, *, hint: str, problem: str, path: bool) -> str | None:
        """A line of text, or the path of a file; None where that is called off."""

    async def confirm(self, question: str, *, yes: str, no: str) -> bool:
        """Yes or no."""


@dataclass(frozen=True)
class Done:
    """What was done.

    Attributes:
        said: what to say of it; "" for nothing.
        changed: the number of the conversation that is another one now; None for none.
        found: one to be marked in the list.
        imported: it is new here, so that a search may not find it.
        undo: it can be brought back.
    """

    said: str = ""
    changed: int | None = None
    found: Conversation | None = None
    imported: bool = False
    undo: bool = False


class Changes:
    """What is done to conversations. Each returns what was done, or None where it was called off, and raises RgmlxError."""

    def __init__(self, store: Store, current: int | None, written: Callable[[int], bool], asks: Asks) -> None:
        """
        Args:
            current: the conversation that the caller holds the lock of.
            written: whether a reply is being written in a conversation.
        """
        self._store, self._current, self._written, self._asks = store, current, written, asks
        self._deleted: deque[int] = deque(maxlen=100)  # here, the last one last

    async def rename(self, one: Conversation) -> Done | None:
        """Gives it the title that is asked for."""

        async def rename(text: str) -> Done:
            await asyncio.to_thread(self._store.conversations.rename, one.id, text.strip())
            return Done(changed=one.id)

        return await self._ask("Rename this conversation", one.title[:ROW_CHARS], "", rename)

    async def pin(self, one: Conversation) -> Done:
        """Puts it before all others, or back to its place."""
        await asyncio.to_thread(self._store.conversations.pin, one.id, not one.pinned)
        return Done(f"{quoted(one)} is no longer pinned." if one.pinned else f"Pinned {quoted(one)}.", one.id)

    async def archive(self, one: Conversation) -> Done:
        """Moves it to the archive, or back."""
        await asyncio.to_thread(
            self._alone, one.id, lambda: self._store.conversations.archive(one.id, not one.archived)
        )
        said = (
            f"{quoted(one)} is back in the list."
            if one.archived
            else f"Archived {quoted(one)}. Ctrl+G shows archived ones, Ctrl+T there brings it back."
        )
        return Done(said, one.id)

    async def delete(self, one: Conversation) -> Done:
        """Deletes it."""
        await asyncio.to_thread(self._alone, one.id, lambda: self._store.conversations.delete(one.id))
        self._deleted.append(one.id)
        return Done(f"Deleted {quoted(one)}.", one.id, undo=True)

    def _alone(self, conversation: int, change: Callable[[], None]) -> None:
        """Makes a change that nobody else has the conversation open for."""
        if self._written(conversation):
            raise RgmlxError("A reply is being written in this conversation: stop it in the chat first, with Esc.")
        if conversation == self._current:
            change()
            return
        lock = self._store.lock(conversation)
        if lock is None:
            raise RgmlxError("This conversation is open in another window: close it there first.")
        with lock:
            change()

    async def undo(self) -> Done:
        """Brings back what was deleted here, or else what was deleted last."""
        conversations = self._store.conversations
        if not self._deleted:
            self._deleted.extend(one.id for one in (await asyncio.to_thread(conversations.deleted))[:1])
        if not self._deleted:
            return Done("No deleted conversation is left to bring back.")
        number = self._deleted.pop()
        await asyncio.to_thread(conversations.undelete, number)
        one = await asyncio.to_thread(conversations.get, number)
        return Done(f"{quoted(one)} is back.", number, found=one)

    async def export(self, one: Conversation) -> Done | None:
        """Writes it to the file that is asked for."""

        async def export(text: str) -> Done:
            path = typed_path(text)
            check_name(path)
            if await asyncio.to_thread(exists, path) and not await self._asks.confirm(
                f"{path} exists already. Replace it?", yes="Replace it", no="Keep it"
            ):
                raise RgmlxError(f"{path} was kept: give another name.")
            await asyncio.to_thread(self._store.import_export.write, one.id, path)
            return Done(f"Exported to {path}")

        hint = ".md is Markdown, to read. .json keeps all of it, and can be imported again."
        return await self._ask(f"Export {quoted(one)} to", f"~/{file_name(one)}.md", hint, export, path=True)

    async def bring_in(self) -> Done | None:
        """Makes a conversation of the file that is asked for."""

        async def read(text: str) -> Done:
            exported = await asyncio.to_thread(read_text, typed_path(text))
            one = await asyncio.to_thread(self._store.import_export.from_json, exported)
            return Done(f"Imported {quoted(one)}.", one.id, found=one, imported=True)

        hint = "A .json file that was exported here or on another computer."
        return await self._ask("Import a conversation from", "~/", hint, read, path=True)

    async def _ask(
        self, title: str, value: str, hint: str, then: Callable[[str], Awaitable[Done]], *, path: bool = False
    ) -> Done | None:
        """Asks, and asks again with what was typed, until it works or is called off."""
        problem = ""
        while (text := await self._asks.ask_text(title, value, hint=hint, problem=problem, path=path)) is not None:
            try:
                return await then(text)
            except RgmlxError as e:
                value, problem = text, sentence(str(e))
        return None
