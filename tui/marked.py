"""What is done with the message or the block of code that is marked in the transcript.

Knows the mark, the store and the app; how the mark moves is the transcript's. A text comes from the store, as it was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rgmlx.conversation.session import Session
from rgmlx.errors import RgmlxError
from rgmlx.store import MODEL, Message

from .actions import Actions, Own
from .activity import Need, Verdict, verdict
from .chatting import Chatting
from .editor_actions import EditorActions
from .finding import Finding
from .prompt.prompt import Prompt
from .transcript import stops
from .transcript.parts import KEPT_CHARS
from .transcript.stops import Stop


class MarkedActions:
    """The keys of what is marked, and the command that marks something.

    Attributes:
        commands: by their names.
    """

    def __init__(self, app: Chatting, actions: Actions) -> None:
        self.app, self._actions = app, actions
        self.editor, self.finding = EditorActions(app, actions), Finding(app)
        self.commands: dict[str, Own] = {
            "mark": self._mark,
            "find": self.finding.find,
            "editor": self.editor.edit_draft,
        }
        self._keys: dict[str, Callable[[Stop], Awaitable[None]]] = {
            "copy": self._copy,
            "edit": self._edit,
            "again": self._again,
            "branch": self._branch,
            "fold": self._fold,
            "open": self._open,
        }

    @property
    def session(self) -> Session:
        return self.app.session

    async def do(self, what: str) -> None:
        """Does what a key says with what is marked; what it can't do is a sentence."""
        mark = self.app.transcript.mark
        if what == "leave":
            self.leave()
        elif what.endswith("_hit"):
            await self.finding.go(1 if what == "next_hit" else -1)
        elif mark is not None:
            try:
                await self._keys[what](mark)
            except RgmlxError as e:
                await self._actions.say(str(e))

    def leave(self) -> None:
        """The prompt has the keys again."""
        self.app.query_one(Prompt).focus()

    async def _mark(self, _: str) -> None:
        if self.app.transcript.begin_marking():
            self.app.transcript.focus()
        else:
            self.app.notify("Nothing was said yet: this conversation is empty.", timeout=3)

    # --- the keys -------------------------------------------------------------------------

    async def _copy(self, mark: Stop) -> None:
        await self.app.copy_text(await self._text(mark))

    async def _edit(self, mark: Stop) -> None:
        if (message := self._message(mark)) is None:
            return
        if message.role != MODEL or self._actions.may(Need.SETTLED):
            self.leave()
            self._actions.edit_message(message)

    async def _again(self, mark: Stop) -> None:
        if (message := self._message(mark)) is None:
            return
        if verdict(Need.REPLY, self.app.activity) is Verdict.REFUSE:
            self.app.refuse()
        elif self._actions.may(Need.PLACE):
            self.leave()
            await self._actions.arrive(self.app.navigation.checkout(message.id))
            await self._actions.run("regenerate", "")

    async def _branch(self, mark: Stop) -> None:
        if (message := self._message(mark)) is None:
            return
        head = self.session.head
        if head is not None and head.id == message.id:
            self.app.notify("The conversation stands here: what you send comes next.", timeout=3)
        elif self._actions.may(Need.PLACE):
            self.leave()
            await self._actions.arrive(self.app.navigation.checkout(message.id))

    async def _fold(self, mark: Stop) -> None:
        if not await self.app.transcript.fold_marked():
            live = mark.entry.live
            why = "It is folded once it is written." if live else "It is short: there is nothing to fold."
            self.app.notify(why, timeout=2)

    async def _open(self, mark: Stop) -> None:
        self.editor.show(await self._text(mark), ".txt" if mark.block is not None else ".md")

    # --- what is marked -------------------------------------------------------------------

    def _message(self, mark: Stop) -> Message | None:
        if mark.entry.stored is None:
            self.app.notify("This is still being written.", timeout=3)
            return None
        return self.session.store.messages.get(mark.entry.stored.id)

    async def _text(self, mark: Stop) -> str:
        return await asyncio.to_thread(self._read, mark)

    def _read(self, mark: Stop) -> str:
        stored = mark.entry.stored
        if stored is not None:
            text = self.session.store.messages.get(stored.id).text
        else:
            text = (self.session.so_far(KEPT_CHARS) or ("", 0))[0]
        return text if mark.block is None else stops.code(mark, text)
